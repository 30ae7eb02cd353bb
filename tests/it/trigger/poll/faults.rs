//! Providers and accounts that do not work, and items that cannot be asked about.

use super::{World, assert_each_once};

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_is_left_alone() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let items = [world.feed.add("a", 0)];
    world.feed.book().faults.push_back((429, Some(1000)));
    world.poll().await;
    let wait = world.wait(&id).await;
    assert!((990.0..1200.0).contains(&wait), "{wait}");
    let error: Option<String> = world.value("last_error", &id).await;
    assert!(error.unwrap().contains("429"));
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
    assert_eq!(world.value::<Option<String>>("last_error", &id).await, None);
    assert!(world.wait(&id).await < 70.0);
}

#[tokio::test]
async fn failures_are_counted_told_and_spaced() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let items = [world.feed.add("a", 0)];
    let mut waits = Vec::new();
    for status in [500, 503, 401, 403] {
        world.feed.book().always = Some(status);
        world.poll().await;
        waits.push(world.wait(&id).await);
        let error: Option<String> = world.value("last_error", &id).await;
        assert!(error.unwrap().contains(&status.to_string()));
    }
    assert!(waits[3] > 3.0 * waits[0], "{waits:?}");
    assert_eq!(world.value::<i32>("failures", &id).await, 4);
    world.sql("update trigger_poll set failures = 1000").await;
    world.poll().await;
    assert!(world.wait(&id).await < 5000.0, "it is never given up");
    world.feed.book().always = None;
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
    assert_eq!(world.value::<i32>("failures", &id).await, 0);
    assert!(world.value::<bool>("last_ok_at is not null and last_at = last_ok_at", &id).await);
}

#[tokio::test]
async fn a_page_that_fails_keeps_what_the_pages_before_it_had() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let items: Vec<String> = (0..40).map(|n| world.feed.add(&format!("n{n}"), 5)).collect();
    world.feed.book().forgets_pages = true;
    world.poll().await;
    assert_eq!(world.ids(&id).await.len(), 20, "the first page");
    assert_eq!(world.value::<i32>("failures", &id).await, 1);
    world.feed.book().forgets_pages = false;
    world.poll_to_the_end().await;
    assert_each_once(&world.ids(&id).await, &items);
}

#[tokio::test]
async fn an_account_that_expired_is_polled_again_when_it_is_active() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let mut items = vec![world.feed.add("a", 0)];
    world.poll().await;
    world.sql("update connected_account set status = 'EXPIRED', status_reason = 'over'").await;
    items.push(world.feed.add("b", 0));
    let lists = world.feed.lists();
    for _ in 0..5 {
        world.poll().await;
    }
    assert_eq!(world.feed.lists(), lists, "nobody is asked");
    let error: String = world.value("last_error", &id).await;
    assert!(error.contains("EXPIRED") && error.contains("over"), "{error}");
    assert!(world.wait(&id).await <= 375.0);
    world.sql("update connected_account set status = 'ACTIVE'").await;
    items.push(world.feed.add("c", 0));
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
    assert_eq!(world.value::<i32>("failures", &id).await, 0);
}

#[tokio::test]
async fn an_item_that_cannot_be_asked_about_holds_up_nobody_and_is_told_later() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME_EACH").await;
    let items: Vec<String> = (0..10).map(|n| world.feed.add(&format!("n{n}"), 10 - n)).collect();
    world.feed.book().item_faults.insert("n4".into(), 500);
    world.poll().await;
    assert_eq!(world.ids(&id).await.len(), 9);
    world.poll().await;
    assert_eq!(world.ids(&id).await.len(), 9);
    assert_eq!(world.value::<i32>("failures", &id).await, 0);
    world.feed.book().item_faults.clear();
    world.later_is_now().await;
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
    let told = world.told(&id).await;
    assert_eq!(told.iter().find(|(id, _)| id == "n4").unwrap().1["text"], "text of n4");
}

#[tokio::test]
async fn an_item_that_never_answers_is_told_as_the_list_had_it() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME_EACH").await;
    let mut items = vec![world.feed.add("gone", 1), world.feed.add("broken", 1)];
    world.feed.book().item_faults.extend([("gone".into(), 404), ("broken".into(), 500)]);
    for _ in 0..8 {
        world.later_is_now().await;
        world.poll().await;
    }
    assert_eq!(world.ids(&id).await, ["gone"], "what is gone is not waited for");
    // Hours later.
    world
        .sql(
            "update trigger_poll set cursor = jsonb_set(cursor, '{later,0,since}',
                to_jsonb((cursor #> '{later,0,since}')::bigint - 7 * 3600000))",
        )
        .await;
    world.later_is_now().await;
    world.poll().await;
    items.push(world.feed.add("fine", 0));
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
    let told = world.told(&id).await;
    assert_eq!(told[1].1, serde_json::json!({"id": "broken", "text": null}));
    assert!(world.cursor(&id).await.get("later").is_none());
}

#[tokio::test]
async fn an_outage_of_the_items_loses_none_of_them() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME_EACH").await;
    let items: Vec<String> =
        (0..150).map(|n| world.feed.add(&format!("n{n:03}"), 150 - n)).collect();
    world.feed.book().item_faults.extend(items.iter().map(|id| (id.clone(), 503)));
    for _ in 0..4 {
        world.later_is_now().await;
        world.poll().await;
    }
    assert!(world.ids(&id).await.is_empty());
    assert!(world.value::<i32>("failures", &id).await > 0, "it shows");
    world.feed.book().item_faults.clear();
    world.later_is_now().await;
    world.poll_to_the_end().await;
    assert_each_once(&world.ids(&id).await, &items);
}

#[tokio::test]
async fn a_limit_while_items_are_asked_about_stops_the_asking() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME_EACH").await;
    let items: Vec<String> = (0..50).map(|n| world.feed.add(&format!("n{n:02}"), 50 - n)).collect();
    world.feed.book().item_faults.insert("n20".into(), 429);
    world.poll().await;
    let told = world.ids(&id).await.len();
    assert!(told < 50, "{told}");
    assert!(world.value::<String>("last_error", &id).await.contains("429"));
    world.feed.book().item_faults.clear();
    world.poll_to_the_end().await;
    assert_each_once(&world.ids(&id).await, &items);
}

#[tokio::test]
async fn items_that_are_no_events_are_not_told_and_not_asked_about_again() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME_EACH").await;
    world.feed.add("a", 1);
    world.feed.book().items[0].text = "hidden".into();
    world.feed.add("b", 0);
    world.poll().await;
    world.feed.book().items[0].text = "shown".into();
    world.poll().await;
    assert_eq!(world.ids(&id).await, ["b"]);
}

#[tokio::test]
async fn what_postgresql_cannot_store_is_told_all_the_same() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    world.feed.add("a", 0);
    world.feed.book().items[0].text = "before\0after".into();
    world.poll().await;
    let told = world.told(&id).await;
    assert_eq!(told[0].1["text"], "before\u{fffd}after");
}

#[tokio::test]
async fn an_account_that_is_deleted_ends_the_polling_and_the_project_is_told() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    world.sql("update connected_account set deleted_at = now()").await;
    let lists = world.feed.lists();
    world.poll().await;
    world.poll().await;
    assert_eq!(world.feed.lists(), lists);
    assert!(!world.value::<bool>("is_active", &id).await);
    let (db, project) = (&world.app.app.db, &world.app.project.id);
    let row = patchbay::db::trigger_instance::get(db, project, &id).await.unwrap().unwrap();
    assert_eq!(row.disabled_by.as_deref(), Some("server"));
    assert!(row.disabled_reason.unwrap().contains("is deleted"));
    let events = patchbay::db::event::of_subject(db, project, id.as_str(), 10).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["composio.trigger.disabled"]);
}

#[tokio::test]
async fn an_account_that_works_again_is_polled_soon() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let path = format!("/api/v3/connected_accounts/{}/status", world.account.id);
    let set = |enabled: bool| {
        let (client, path) = (world.app.client(), path.clone());
        async move { client.patch(&path, serde_json::json!({"enabled": enabled})).await.expect(200) }
    };
    set(false).await;
    world.poll().await;
    assert!(world.wait(&id).await > 30.0);
    set(true).await;
    assert!(world.wait(&id).await < 6.0);
    world.poll().await;
    assert_eq!(world.value::<i32>("failures", &id).await, 0);
    assert!(world.wait(&id).await > 30.0);
    set(true).await;
    assert!(world.wait(&id).await > 30.0, "there is nothing to make up for");
}
