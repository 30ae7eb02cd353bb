//! One refresh per token, whoever needs it, and nobody else waits for it.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::{all_are_due, replica};
use crate::credentials::provider::{Fault, Verdict};
use crate::credentials::{World, execute, usable};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_executions_on_two_replicas_with_an_ended_token_refresh_once() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let (other, client) = replica(&world).await;
    let clients = [world.client(), client];
    for turn in 1..=3 {
        world.tokens_end().await;
        other.cache.clear();
        let mut calls = JoinSet::new();
        for n in 0..200 {
            let (client, id) = (clients[n % 2].clone(), id.clone());
            calls.spawn(async move { execute(&client, &id).await });
        }
        while let Some(answer) = calls.join_next().await {
            let answer = answer.unwrap();
            assert!(usable(&answer), "{} {}", answer.status, answer.text);
        }
        assert_eq!(world.provider.refreshes(), turn);
    }
    let book = world.provider.book();
    assert!(book.uses().iter().all(|u| u.verdict == Verdict::First));
    other.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_two_replicas_and_callers_refresh_each_account_once() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(world.connected(&format!("u{n}")).await);
    }
    let (other, client) = replica(&world).await;
    all_are_due(&world).await;
    world.tokens_end().await;
    other.cache.clear();
    let mut calls = JoinSet::new();
    for (n, id) in ids.iter().enumerate() {
        let client = if n % 2 == 0 { world.client() } else { client.clone() };
        let id = id.clone();
        calls.spawn(async move { usable(&execute(&client, &id).await) });
    }
    let (here, there) = (world.app.app.clone(), other.clone());
    let both = tokio::join!(
        patchbay::worker::refresh::all_due(&here),
        patchbay::worker::refresh::all_due(&there)
    );
    both.0.unwrap();
    both.1.unwrap();
    while let Some(works) = calls.join_next().await {
        assert!(works.unwrap());
    }
    assert_eq!(world.provider.refreshes(), ids.len());
    assert!(world.provider.book().uses().iter().all(|u| u.verdict == Verdict::First));
    other.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_thinks_long_keeps_nobody_else_waiting() {
    let world = World::with(&[("PATCHBAY_DATABASE_MAX_CONNECTIONS", "2")], &[]).await;
    let good = world.connected("good").await;
    let mut slow = Vec::new();
    for n in 0..8 {
        slow.push(world.connected(&format!("slow{n}")).await);
    }
    let ends = "update connected_account set token_expires_at = now() - interval '1 second',
        refresh_due = now() where user_id like 'slow%'";
    super::sql(&world, ends).await;
    world.provider.always(Some(Fault::Held));
    let mut calls = JoinSet::new();
    for id in slow.iter().chain(&slow) {
        let (client, id) = (world.client(), id.clone());
        calls.spawn(async move { usable(&execute(&client, &id).await) });
    }
    // More refreshes are under way than there are connections.
    world.provider.holds(slow.len()).await;
    for _ in 0..5 {
        world.works(&good).await;
        let path = format!("/api/v3/connected_accounts/{}", slow[0]);
        assert_eq!(world.client().get(&path).await.expect(200)["status"], "ACTIVE");
    }
    world.provider.open_gate();
    while let Some(works) = calls.join_next().await {
        assert!(works.unwrap());
    }
    assert_eq!(world.provider.refreshes(), slow.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_stores_what_the_provider_is_about_to_answer() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    world.provider.always(Some(Fault::Held));
    let (client, account) = (world.client(), id.clone());
    let call = tokio::spawn(async move {
        let body = json!({"connected_account_id": account, "arguments": {}});
        let request = client.request(reqwest::Method::POST, "/api/v3/tools/execute/FAULTY_ME");
        let _ = request.json(&body).send().await;
    });
    world.provider.holds(1).await;
    // The caller goes away, and the server stops.
    call.abort();
    let app = world.app.app.clone();
    let mut stopping = tokio::spawn(async move { app.shut_down().await });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut stopping).await;
    assert!(early.is_err(), "the refresh is waited for");
    world.provider.always(None);
    world.provider.open_gate();
    stopping.await.unwrap();
    let (_other, client) = replica(&world).await;
    assert!(usable(&execute(&client, &id).await));
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_401_that_a_new_token_does_not_cure_does_not_refresh_with_every_call() {
    let world = World::new().await;
    let id = world.connected("u").await;
    // Tokens that the token endpoint gives and the API does not take.
    world.provider.book().rules.lifetime = Duration::ZERO;
    let grant = world.grant(&id).await;
    world.provider.book().end_access(grant);
    for _ in 0..5 {
        let answer = world.execute(&id).await.expect(200);
        assert_eq!(answer["successful"], false, "{answer}");
    }
    assert_eq!(world.provider.refreshes(), 1);
    assert_eq!(world.status(&id).await.0, "ACTIVE");
    world.provider.book().rules.lifetime = Duration::from_secs(3600);
    super::sql(&world, "update connected_account set refresh_after = null").await;
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_while_the_database_is_away_is_stored_when_it_is_back() {
    use sqlx::Connection;
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    world.provider.always(Some(Fault::Held));
    let (client, account) = (world.client(), id.clone());
    let call = tokio::spawn(async move { execute(&client, &account).await });
    world.provider.holds(1).await;
    let options = world.app.database.options.clone();
    let name = options.get_database().unwrap().to_owned();
    let mut admin = sqlx::PgConnection::connect_with(&options.database("postgres")).await.unwrap();
    let mut door = async |open: bool| {
        let text = format!("alter database {name} with allow_connections {open}");
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut admin).await.unwrap();
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        sqlx::query(end).bind(&name).execute(&mut admin).await.unwrap();
    };
    door(false).await;
    world.provider.always(None);
    world.provider.open_gate();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!call.is_finished(), "the answer is kept in hand");
    door(true).await;
    let answer = call.await.unwrap();
    assert!(usable(&answer), "{} {}", answer.status, answer.text);
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 1);
}
