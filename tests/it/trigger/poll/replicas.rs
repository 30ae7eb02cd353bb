//! Several servers: one poller per instance, and a claim that was lost stores nothing.

use std::time::Duration;

use patchbay::worker::poll::all_due;

use super::{World, assert_each_once, due, instance};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn replicas_poll_each_instance_once() {
    let world = World::new().await;
    let other = world.replica(&[]).await;
    let mut all = Vec::new();
    for n in 0..60 {
        let config = json!({"interval": 1, "color": format!("c{n}")});
        all.push(instance(&world.app.app, &world.account, "FEED_BY_TIME", config).await);
    }
    let (here, there) = (world.app.app.clone(), other.clone());
    let both = tokio::join!(all_due(&here), all_due(&there));
    both.0.unwrap();
    both.1.unwrap();
    assert_eq!(world.feed.lists(), all.len());
    let item = world.feed.add("a", 0);
    due(&here).await;
    let both = tokio::join!(all_due(&here), all_due(&there));
    both.0.unwrap();
    both.1.unwrap();
    assert_eq!(world.feed.lists(), 2 * all.len());
    for id in &all {
        assert_each_once(&world.ids(id).await, std::slice::from_ref(&item));
    }
    other.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_lost_stores_nothing_twice_and_loses_nothing() {
    let world = World::new().await;
    let other = world.replica(&[]).await;
    let id = world.watching("FEED_BY_TIME").await;
    let items = [world.feed.add("a", 0), world.feed.add("b", 0)];
    world.feed.gate.close();
    due(&world.app.app).await;
    let app = world.app.app.clone();
    let slow = tokio::spawn(async move { all_due(&app).await });
    world.feed.gate.holds(1).await;
    // As if this server had been paused for longer than its claim.
    let end = "update trigger_poll set claim = null, next_at = now()";
    sqlx::query(end).execute(&world.app.app.db).await.unwrap();
    let second = tokio::spawn(async move { (all_due(&other).await, other) });
    world.feed.gate.holds(2).await;
    world.feed.gate.open();
    slow.await.unwrap().unwrap();
    let (done, other) = second.await.unwrap();
    done.unwrap();
    assert_each_once(&world.ids(&id).await, &items);
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
    other.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_takes_long_keeps_its_claim() {
    let world = World::with(&[("PATCHBAY_POLL_CLAIM_S", "3")]).await;
    let other = world.replica(&[("PATCHBAY_POLL_CLAIM_S", "3")]).await;
    let id = world.watching("FEED_BY_TIME").await;
    let items = [world.feed.add("a", 0)];
    world.feed.gate.close();
    due(&world.app.app).await;
    let app = world.app.app.clone();
    let slow = tokio::spawn(async move { all_due(&app).await });
    world.feed.gate.holds(1).await;
    let first: chrono::DateTime<chrono::Utc> = world.value("next_at", &id).await;
    let kept = tokio::time::timeout(Duration::from_secs(30), async {
        while world.value::<chrono::DateTime<chrono::Utc>>("next_at", &id).await == first {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    kept.await.unwrap();
    all_due(&other).await.unwrap();
    world.feed.gate.open();
    slow.await.unwrap().unwrap();
    assert_eq!(world.feed.lists(), 2, "the baseline and one poll");
    assert_each_once(&world.ids(&id).await, &items);
    other.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_disabled_while_it_is_polled_tells_nothing() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    world.feed.add("a", 0);
    world.feed.gate.close();
    due(&world.app.app).await;
    let app = world.app.app.clone();
    let slow = tokio::spawn(async move { all_due(&app).await });
    world.feed.gate.holds(1).await;
    world.sql("update trigger_poll set is_active = false").await;
    world.feed.gate.open();
    slow.await.unwrap().unwrap();
    assert!(world.ids(&id).await.is_empty());
    world.poll().await;
    assert_eq!(world.feed.lists(), 2);
}
