//! Who is polled first.

use patchbay::trigger::poll::{Turns, round};
use serde_json::json;

use super::{World, due, feed_account, instance};

/// Many due instances of the world's account, long overdue.
async fn crowd(world: &World, count: i32) {
    let id = instance(&world.app.app, &world.account, "FEED_BY_TIME", json!({"interval": 1})).await;
    for statement in [
        "insert into trigger_instance (project_id, id, slug, toolkit_slug, toolkit_version,
            account_id, auth_config_id, user_id, kind, config, config_hash, ingress_hash, secrets)
         select project_id, 'ti_crowd' || n, slug, toolkit_slug, toolkit_version, account_id,
            auth_config_id, user_id, kind, config, convert_to(n::text, 'utf8'), '', ''
         from trigger_instance, generate_series(1, $2) n where id = $1",
        "insert into trigger_poll (project_id, trigger_id, interval_s, next_at, toolkit_slug)
         select project_id, 'ti_crowd' || n, 60, now() - interval '1 day', 'feed'
         from trigger_poll, generate_series(1, $2) n where trigger_id = $1",
    ] {
        sqlx::query(statement).bind(&id).bind(count).execute(&world.app.app.db).await.unwrap();
    }
    sqlx::query("analyze trigger_poll, trigger_instance").execute(&world.app.app.db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_with_thousands_of_overdue_instances_starves_nobody() {
    let world = World::with(&[("PATCHBAY_POLL_CONCURRENCY", "4")]).await;
    crowd(&world, 3000).await;
    let mut small = Vec::new();
    for _ in 0..5 {
        let project = world.app.another_project().await;
        let account = feed_account(&world.app, &project).await;
        let config = json!({"interval": 1});
        small.push(instance(&world.app.app, &account, "FEED_BY_TIME", config).await);
    }
    let turns = Turns::new(4);
    let mut polls = 0;
    loop {
        polls += round(&world.app.app, &turns).await.unwrap();
        turns.idle().await;
        let left: i64 = sqlx::query_scalar(
            "select count(*) from trigger_poll where trigger_id = any($1) and last_at is null",
        )
        .bind(small.iter().map(|id| id.as_str()).collect::<Vec<_>>())
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
        if left == 0 {
            break;
        }
        assert!(polls < 100, "{left} of 5 still wait after {polls} polls");
    }
    assert!(polls <= 30, "{polls} polls before everybody had their turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_project_has_half_of_the_room() {
    let world = World::new().await;
    crowd(&world, 50).await;
    world.feed.gate.close();
    let turns = Turns::new(8);
    assert_eq!(round(&world.app.app, &turns).await.unwrap(), 4);
    world.feed.gate.holds(4).await;
    assert_eq!(round(&world.app.app, &turns).await.unwrap(), 0);
    world.feed.gate.open();
    turns.idle().await;
    assert_eq!(round(&world.app.app, &turns).await.unwrap(), 4);
    turns.idle().await;
}

#[tokio::test]
async fn after_a_long_pause_polls_do_not_come_at_once_again() {
    let world = World::new().await;
    crowd(&world, 100).await;
    world.poll().await;
    due(&world.app.app).await;
    world.poll().await;
    let spread: f64 = sqlx::query_scalar(
        "select extract(epoch from max(next_at) - min(next_at))::float8 from trigger_poll",
    )
    .fetch_one(&world.app.app.db)
    .await
    .unwrap();
    assert!(spread > 5.0, "{spread}");
}
