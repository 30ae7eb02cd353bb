//! Many at once: one refresh for everybody, also when a server dies, and nobody else waits for a
//! provider that is slow.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::World;
use super::provider::{Fault, Point, Provider};
use super::replica::Fleet;
use super::{connect, execute, oauth_config, usable};
use crate::support::crowd::Crowd;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_executions_on_two_servers_make_one_refresh() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    let (replica, other) = world.app.another_server().await;
    world.provider.next([Fault::Held]);
    let crowd = Crowd::of(&[world.client(), other], "FAULTY_ME", &id);
    world.provider.holds(1).await;
    crowd.gathers().await;
    world.provider.open_gate();
    crowd.served().await;
    assert_eq!(world.provider.refreshes(), 1);
    replica.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_rejected_tokens_make_one_refresh() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let grant = world.grant(&id).await;
    world.provider.book().end_access(grant);
    let (replica, other) = world.app.another_server().await;
    Crowd::of(&[world.client(), other], "FAULTY_ME", &id).served().await;
    assert_eq!(world.provider.refreshes(), 1);
    replica.stop.cancel();
}

/// A crowd on two real servers; the one that asks the provider is killed when its answer is out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_survives_that_the_server_which_refreshes_is_killed() {
    let provider = Provider::start().await;
    provider.book().rules.reuse_window = Duration::from_secs(3600);
    let settings = [
        ("PATCHBAY_OUTBOUND_TIMEOUT_S", "4"),
        ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "4"),
        ("PATCHBAY_REFRESH_CLAIM_S", "5"),
    ];
    let fleet = Fleet::new(&settings).await;
    let servers = tokio::task::block_in_place(|| {
        ["a", "b"].map(|name| Arc::new(fleet.start(name, &provider)))
    });
    let config = oauth_config(&servers[0].client).await;
    let id = connect(&servers[0].client, &provider, &config, "u").await;
    provider.book().end_access(0);
    let victims = servers.clone();
    provider.watch(move |point, client| {
        // The first one that is answered, and only it.
        if point == Point::Issued && victims.iter().all(|s| s.is_alive()) {
            victims.iter().find(|s| s.name == client).unwrap().kill();
        }
    });
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let (client, id) = (servers[number % 2].client.clone(), id.clone());
        calls.spawn(async move {
            let body = serde_json::json!({"connected_account_id": id, "arguments": {}});
            let path = "/api/v3/tools/execute/FAULTY_ME";
            let request = client.request(axum::http::Method::POST, path).json(&body);
            // None: its server was killed.
            let answer = request.send().await.ok()?;
            Some((answer.status().as_u16(), answer.text().await.ok()?))
        });
    }
    let mut answered = 0;
    while let Some(answer) = calls.join_next().await {
        if let Some((status, text)) = answer.unwrap() {
            assert!(status == 200 && text.contains("\"successful\":true"), "{status} {text}");
            answered += 1;
        }
    }
    assert!(answered >= 100, "everybody on the other server: {answered}");
    assert_eq!(servers.iter().filter(|s| s.is_alive()).count(), 1);
    let book = provider.book();
    assert_eq!((book.uses().len(), book.repeated().len()), (2, 1));
    assert!(book.reused().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_provider_and_a_small_pool_starve_nobody() {
    let world = World::with(&[("PATCHBAY_DATABASE_MAX_CONNECTIONS", "2")], &[]).await;
    let mut slow = Vec::new();
    for number in 0..30 {
        slow.push(world.connected(&format!("slow-{number}")).await);
    }
    world.tokens_end().await;
    let quick = world.connected("quick").await;
    world.provider.next(std::iter::repeat_n(Fault::Held, slow.len()));
    let mut calls = JoinSet::new();
    // Several callers for each, so that some wait for others too.
    for id in slow.iter().chain(&slow).chain(&slow) {
        let (client, id) = (world.client(), id.clone());
        calls.spawn(async move { execute(&client, &id).await });
    }
    world.provider.holds(slow.len()).await;
    // Nothing of this needs the provider of the others.
    world.works(&quick).await;
    assert_eq!(world.status(&slow[0]).await.0, "ACTIVE");
    world.connected("another").await;
    let path = format!("/api/v3/connected_accounts/{}/status", slow[1]);
    world.client().patch(&path, serde_json::json!({"enabled": false})).await.expect(200);
    world.client().patch(&path, serde_json::json!({"enabled": true})).await.expect(200);
    world.client().delete(&format!("/api/v3/connected_accounts/{}", slow[2])).await.expect(200);
    assert!(calls.try_join_next().is_none(), "they still wait");
    world.provider.open_gate();
    let mut gone = 0;
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            200 => assert!(usable(&answer), "{}", answer.text),
            // The one that was deleted.
            status => {
                assert!((400..500).contains(&status), "{}", answer.text);
                gone += 1;
            }
        }
    }
    assert!(gone <= 3, "{gone}");
    let book = world.provider.book();
    assert_eq!(book.uses().len(), slow.len());
    assert!(book.repeated().is_empty());
}
