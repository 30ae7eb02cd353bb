//! What is new: shared times, wrong order, late arrivals, forgotten tokens, pages.

use super::feed::now_ms;
use super::{World, assert_each_once};

#[tokio::test]
async fn items_that_share_a_second_are_all_told_once() {
    let world = World::new().await;
    let second = now_ms() / 1000 * 1000;
    for slug in ["FEED_BY_TIME", "FEED_BY_TIME_EACH"] {
        world.feed.book().items.clear();
        let id = world.watching(slug).await;
        let mut items = Vec::new();
        // Some of them come after others of the same second were told.
        for batch in 0..5 {
            for n in 0..30 {
                items.push(world.feed.add_at(&format!("{batch}-{n}"), second));
            }
            world.poll_to_the_end().await;
            assert_each_once(&world.ids(&id).await, &items);
        }
        world.sql("delete from trigger_poll").await;
    }
}

#[tokio::test]
async fn late_and_out_of_order_arrivals_within_the_overlap_are_told() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let mut items = vec![world.feed.add("newest", 0)];
    world.poll().await;
    for (name, ago) in [("late", 60), ("later", 110), ("earlier", 30), ("now", 0)] {
        items.push(world.feed.add(name, ago));
        world.poll().await;
    }
    assert_each_once(&world.ids(&id).await, &items);
    // Behind the overlap: the contract of a timestamp.
    world.feed.add("too late", 3000);
    world.poll().await;
    assert_eq!(world.ids(&id).await.len(), items.len());
}

#[tokio::test]
async fn events_of_one_poll_come_in_the_order_of_their_time() {
    let world = World::new().await;
    for slug in ["FEED_BY_TIME", "FEED_BY_TIME_EACH"] {
        world.feed.book().items.clear();
        let id = world.watching(slug).await;
        for (name, ago) in [("c", 20), ("a", 40), ("d", 10), ("b", 30)] {
            world.feed.add(name, ago);
        }
        world.poll().await;
        assert_eq!(world.ids(&id).await, ["a", "b", "c", "d"], "{slug}");
        world.sql("delete from trigger_poll").await;
    }
}

#[tokio::test]
async fn an_item_from_the_future_does_not_end_the_news() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let mut items = vec![world.feed.add_at("2099", now_ms() + 70 * 365 * 86_400_000)];
    world.poll().await;
    items.push(world.feed.add("today", 0));
    world.poll().await;
    assert_each_once(&world.ids(&id).await, &items);
}

#[tokio::test]
async fn more_pages_than_one_poll_reads_are_read_by_the_next_ones() {
    let world = World::new().await;
    for slug in ["FEED_BY_TIME", "FEED_BY_TIME_EACH", "FEED_BY_TOKEN"] {
        world.feed.book().items.clear();
        let id = world.watching(slug).await;
        let mut items: Vec<String> =
            (0..150).map(|n| world.feed.add(&format!("n{n}"), n % 50)).collect();
        let before = world.feed.lists();
        world.poll().await;
        assert_eq!(world.feed.lists() - before, 3, "no more than the definition says");
        assert!(world.wait(&id).await < 5.0, "it goes on at once");
        // They come while the pages are read, and move the others on.
        items.extend((0..10).map(|n| world.feed.add(&format!("m{n}"), 0)));
        world.poll_to_the_end().await;
        world.poll_to_the_end().await;
        assert_each_once(&world.ids(&id).await, &items);
        world.sql("delete from trigger_poll").await;
    }
}

#[tokio::test]
async fn more_items_than_one_poll_handles_are_handled_by_the_next_ones() {
    let world = World::new().await;
    world.feed.book().page_size = 5000;
    for slug in ["FEED_BY_TIME", "FEED_BY_TOKEN"] {
        world.feed.book().items.clear();
        let id = world.watching(slug).await;
        let items: Vec<String> =
            (0..1200).map(|n| world.feed.add(&format!("n{n}"), n % 100)).collect();
        world.poll().await;
        let first = world.ids(&id).await.len();
        assert!(first > 0 && first < items.len(), "{first}");
        world.poll_to_the_end().await;
        assert_each_once(&world.ids(&id).await, &items);
        world.sql("delete from trigger_poll").await;
    }
}

#[tokio::test]
async fn a_page_that_the_provider_forgot_is_read_from_the_first_one() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let items: Vec<String> = (0..70).map(|n| world.feed.add(&format!("n{n}"), 30)).collect();
    world.poll().await;
    assert_eq!(world.ids(&id).await.len(), 60);
    world.feed.book().forgets_pages = true;
    world.poll().await;
    world.feed.book().forgets_pages = false;
    world.poll_to_the_end().await;
    assert_each_once(&world.ids(&id).await, &items);
}

#[tokio::test]
async fn a_token_that_the_provider_forgot_costs_nothing() {
    let world = World::new().await;
    for n in 0..30 {
        world.feed.add(&format!("old{n}"), 4000);
    }
    let id = world.watching("FEED_BY_TOKEN").await;
    let mut items = vec![world.feed.add("a", 0)];
    world.poll().await;
    items.push(world.feed.add("b", 0));
    items.push(world.feed.add("c", 0));
    world.feed.book().floor = 1000;
    world.poll_to_the_end().await;
    world.feed.book().floor = 0;
    items.push(world.feed.add("d", 0));
    world.poll_to_the_end().await;
    assert_each_once(&world.ids(&id).await, &items);
    assert_eq!(world.value::<i32>("failures", &id).await, 0);
}

#[tokio::test]
async fn a_list_is_told_apart_by_its_ids() {
    let world = World::new().await;
    for n in 0..200 {
        world.feed.add(&format!("old{n}"), 4000);
    }
    let id = world.watching("FEED_BY_IDS").await;
    let mut items = Vec::new();
    for n in 0..5 {
        items.push(world.feed.add(&format!("n{n}"), 0));
        world.poll_to_the_end().await;
    }
    assert_each_once(&world.ids(&id).await, &items);
    // One that leaves and comes back is none that is new, and what moves up neither.
    world.feed.book().items.retain(|item| item.id != "n2");
    world.poll_to_the_end().await;
    world.feed.add("n2", 0);
    world.feed.book().items.retain(|item| item.id != "n4" && item.id != "n3");
    world.poll_to_the_end().await;
    assert_each_once(&world.ids(&id).await, &items);
}

#[tokio::test]
async fn what_is_remembered_stays_small() {
    let world = World::new().await;
    let id = world.watching("FEED_BY_TIME").await;
    let size = "length(cursor::text)";
    let mut items = Vec::new();
    for n in 0..20 {
        // More than the overlap between one poll and the next, as far as the items are concerned.
        let at = now_ms() - 150_000 * (20 - n);
        items.extend((0..20).map(|m| world.feed.add_at(&format!("{n}-{m}"), at + m)));
        world.poll_to_the_end().await;
        // As if what was listed by now had been listed hours ago.
        world
            .sql(
                "update trigger_poll set cursor = jsonb_set(cursor, '{seen,hours}',
                    (select coalesce(jsonb_object_agg((k::bigint - 3)::text, v), '{}')
                     from jsonb_each(cursor #> '{seen,hours}') as e (k, v)))",
            )
            .await;
    }
    assert!(world.value::<i32>(size, &id).await < 2000, "{}", world.cursor(&id).await);
    assert_each_once(&world.ids(&id).await, &items);
    let before = world.cursor(&id).await;
    world.poll().await;
    world.poll().await;
    assert_ne!(before, world.cursor(&id).await);
    let before = world.cursor(&id).await;
    world.poll().await;
    assert_eq!(before, world.cursor(&id).await, "an idle poll changes nothing");
}

#[tokio::test]
async fn without_times_of_the_items_the_databases_clock_moves_the_cursor() {
    let world = World::new().await;
    world.feed.add("old", 1800);
    let id = world.watching("FEED_BY_OUR_CLOCK").await;
    let mut items = Vec::new();
    for (name, ago) in [("a", 0), ("late", 100), ("b", 0)] {
        items.push(world.feed.add(name, ago));
        world.poll_to_the_end().await;
    }
    assert_each_once(&world.ids(&id).await, &items);
    let last = world.feed.book().lists.last().unwrap().clone();
    let since: i64 =
        last.split("since=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
    assert!((now_ms() / 1000 - since) < 200, "{last}");
}
