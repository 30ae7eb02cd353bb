//! The first look tells nothing, and nothing that comes after the instance is missed.

use serde_json::json;

use super::feed::now_ms;
use super::{World, assert_each_once};

#[tokio::test]
async fn what_was_there_before_is_not_news() {
    let world = World::new().await;
    for n in 0..50 {
        world.feed.add(&format!("old{n}"), 7200 + n);
    }
    for slug in ["FEED_BY_TIME", "FEED_BY_TIME_EACH", "FEED_BY_TOKEN", "FEED_BY_IDS"] {
        world.watching(slug).await;
    }
    for _ in 0..3 {
        world.poll_to_the_end().await;
    }
    let events: i64 = sqlx::query_scalar("select count(*) from event")
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
    assert_eq!(events, 0);
}

#[tokio::test]
async fn an_event_has_the_documented_shape_and_the_item_as_it_was() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    world.feed.add("a", 1);
    world.poll().await;
    let (db, project) = (&world.app.app.db, &world.app.project.id);
    let rows = patchbay::db::event::of_subject(db, project, id.as_str(), 10).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let payload = &row.payload;
    assert_eq!(payload["type"], "composio.trigger.message");
    assert!(payload["id"].as_str().unwrap().starts_with("msg_"));
    assert_eq!(payload["id"], row.id.as_str());
    assert_eq!(payload["data"], json!({"id": "a", "text": "text of a"}));
    assert!(payload["timestamp"].as_str().unwrap().ends_with('Z'));
    let metadata = &payload["metadata"];
    assert!(metadata["log_id"].as_str().unwrap().starts_with("log_"));
    let expected = json!({"log_id": metadata["log_id"], "trigger_slug": "FEED_BY_TIME",
        "trigger_id": id, "connected_account_id": world.account.id,
        "auth_config_id": world.account.auth_config_id, "user_id": "ann"});
    assert_eq!(*metadata, expected);
    let original: serde_json::Value =
        serde_json::from_str(row.original.as_deref().unwrap()).unwrap();
    assert_eq!((original["id"].as_str(), row.dedupe_key.as_deref()), (Some("a"), Some("a")));
    let first = world.feed.book().lists[0].clone();
    assert!(!first.contains("interval") && !first.contains("color"), "{first}");
}

#[tokio::test]
async fn what_comes_between_the_instance_and_its_first_look_is_told_by_the_second() {
    let world = World::new().await;
    for slug in ["FEED_BY_TIME", "FEED_BY_TIME_EACH"] {
        world.feed.book().items.clear();
        world.feed.add("before", 4000);
        let id = world.instance(slug).await;
        world.feed.add("between", 10);
        world.poll().await;
        assert!(world.ids(&id).await.is_empty(), "the first look tells nothing");
        assert!(world.wait(&id).await < 5.0, "and the second is soon");
        world.poll().await;
        world.poll().await;
        assert_eq!(world.ids(&id).await, ["between"], "{slug}");
    }
}

#[tokio::test]
async fn an_empty_list_is_a_baseline_too() {
    let world = World::new().await;
    for slug in ["FEED_BY_TIME", "FEED_BY_TIME_EACH", "FEED_BY_TOKEN", "FEED_BY_IDS"] {
        world.feed.book().items.clear();
        let id = world.watching(slug).await;
        world.poll().await;
        world.feed.add("a", 0);
        world.poll().await;
        world.feed.add("b", 0);
        world.poll_to_the_end().await;
        assert_eq!(world.ids(&id).await, ["a", "b"], "{slug}");
        world.sql("delete from trigger_poll").await;
    }
}

#[tokio::test]
async fn a_long_list_is_a_baseline_over_several_polls() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..200 {
        world.feed.add(&format!("old{n}"), 3900);
    }
    let id = world.instance("FEED_BY_TOKEN").await;
    world.poll().await;
    assert_eq!(world.cursor(&id).await["ready"], false, "three pages of ten");
    // Comes while the baseline is not whole.
    ids.push(world.feed.add("during", 0));
    world.poll_to_the_end().await;
    assert_eq!(world.cursor(&id).await["ready"], true);
    ids.push(world.feed.add("after", 0));
    world.poll_to_the_end().await;
    // A change that came during the baseline stands on its last page: it was there before it ended.
    let told = world.ids(&id).await;
    assert!(told == ["after"] || told == ["during", "after"], "{told:?}");
}

#[tokio::test]
async fn clocks_that_differ_lose_and_double_nothing() {
    for skew in [-1800, -300, 300, 1800, 90_000] {
        let world = World::new().await;
        let at = |ago: i64| now_ms() + 1000 * (skew - ago);
        world.feed.add_at("old", at(5400 + skew.max(0)));
        let id = world.instance("FEED_BY_TIME").await;
        // By any clock, the old one is older than the instance.
        world.sql("update trigger_instance set updated_at = now() + interval '2 days'").await;
        world.poll_to_the_end().await;
        let mut items = Vec::new();
        for n in 0..5 {
            items.push(world.feed.add_at(&format!("{n}a"), at(1)));
            items.push(world.feed.add_at(&format!("{n}b"), at(1)));
            world.poll().await;
        }
        world.poll_to_the_end().await;
        assert_each_once(&world.ids(&id).await, &items);
    }
}
