//! What an account does when its provider goes wrong, seen through `tools/execute`.

use std::time::Duration;

use futures_util::FutureExt;
use patchbay::cache::Topic;
use patchbay::db::notify::Changed;
use serde_json::{Value, json};

use super::World;
use super::provider::{Fault, Verdict};

/// Provider calls that time out soon.
const IMPATIENT: [(&str, &str); 2] =
    [("PATCHBAY_OUTBOUND_TIMEOUT_S", "1"), ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "1")];

/// A provider that rotates with a window for those who missed an answer.
async fn forgiving(settings: &[(&str, &str)]) -> World {
    let world = World::with(settings, &[]).await;
    world.provider.book().rules.reuse_window = Duration::from_secs(3600);
    world
}

/// The execution fails for now: the caller is told to come back, and the account stays.
async fn fails_for_now(world: &World, id: &str) {
    let answer = world.execute(id).await;
    let error = answer.expect_error(503);
    assert_eq!(error["slug"], "ConnectedAccount_RefreshUnavailable", "{error}");
    assert_eq!(world.status(id).await, ("ACTIVE".to_owned(), String::new()));
}

/// The execution fails, and so will all others: the account says why.
async fn is_over(world: &World, id: &str) -> String {
    let answer = world.execute(id).await;
    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text);
    let (status, reason) = world.status(id).await;
    assert_eq!(status, "EXPIRED");
    assert!(!reason.is_empty());
    // Asking again changes nothing, and the provider is not bothered.
    let asked = world.provider.refreshes();
    assert!((400..500).contains(&world.execute(id).await.status));
    assert_eq!(world.provider.refreshes(), asked);
    reason
}

#[tokio::test]
async fn rotating_tokens_are_used_once_each() {
    let world = World::new().await;
    let id = world.connected("u").await;
    for turn in 1..=20 {
        world.tokens_end().await;
        world.works(&id).await;
        assert_eq!(world.provider.refreshes(), turn);
    }
    let book = world.provider.book();
    assert!(book.uses().iter().all(|u| u.verdict == Verdict::First));
    assert!(book.repeated().is_empty());
}

#[tokio::test]
async fn a_refreshed_token_changes_nothing_for_those_who_watch_the_accounts() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let (app, project) = (&world.app.app, &world.app.project.id);
    // Notifications come in their order: after this one, those before it have come too.
    let settle = async || {
        let mark = app.cache.watches.watch(vec![Topic::Call(project.clone(), "mark".to_owned())]);
        let what = Changed::McpCancelled { project: project.clone(), call: "mark".to_owned() };
        patchbay::db::notify::changed(&app.db, &what).await.unwrap();
        mark.changed().await;
    };
    world.tokens_end().await;
    settle().await;
    let watch = app.cache.watches.watch(vec![Topic::Accounts(project.clone(), "u".to_owned())]);
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 1);
    settle().await;
    assert!(watch.changed().now_or_never().is_none());
    let path = format!("/api/v3/connected_accounts/{id}/status");
    world.client().patch(&path, json!({"enabled": false})).await.expect(200);
    watch.changed().await;
}

#[tokio::test]
async fn a_refresh_token_that_does_not_rotate_is_kept() {
    let world = World::new().await;
    world.provider.book().rules.rotate = false;
    let id = world.connected("u").await;
    for _ in 0..3 {
        world.tokens_end().await;
        world.works(&id).await;
    }
    let book = world.provider.book();
    assert!(book.uses().iter().all(|u| u.token == book.uses()[0].token));
}

#[tokio::test]
async fn a_lost_answer_is_fetched_again_within_the_reuse_window() {
    for fault in [Fault::DropAfter, Fault::Half, Fault::Silence] {
        let world = forgiving(&IMPATIENT).await;
        let id = world.connected("u").await;
        world.tokens_end().await;
        world.provider.next([fault]);
        fails_for_now(&world, &id).await;
        world.retry_now().await;
        world.works(&id).await;
        let book = world.provider.book();
        assert_eq!((book.repeated().len(), book.reused().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_lost_answer_without_a_reuse_window_ends_the_account_with_a_reason() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let grant = world.grant(&id).await;
    world.tokens_end().await;
    world.provider.next([Fault::DropAfter]);
    fails_for_now(&world, &id).await;
    world.retry_now().await;
    let reason = is_over(&world, &id).await;
    assert!(reason.contains("invalid_grant"), "{reason}");
    assert!(world.provider.book().why_over(grant).is_some(), "the provider noticed the reuse");
}

#[tokio::test]
async fn a_connection_that_breaks_before_anything_happened_costs_nothing() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    world.provider.next([Fault::DropBefore]);
    fails_for_now(&world, &id).await;
    world.retry_now().await;
    world.works(&id).await;
    assert!(world.provider.book().repeated().is_empty());
}

#[tokio::test]
async fn without_a_lifetime_a_token_is_used_until_the_provider_refuses_it() {
    let world = World::new().await;
    world.provider.book().rules.expires_in = None;
    let id = world.connected("u").await;
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 0);
    let grant = world.grant(&id).await;
    world.provider.book().end_access(grant);
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_lifetime_in_milliseconds_is_survived() {
    let world = World::new().await;
    world.provider.book().rules.expires_in = Some(3_600_000.into());
    let id = world.connected("u").await;
    let grant = world.grant(&id).await;
    world.provider.book().end_access(grant);
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn odd_lifetimes_do_not_break_an_account() {
    for lifetime in [json!("3600"), json!(0), json!(-1), json!("soon"), json!(1e300), json!(null)] {
        let world = World::new().await;
        world.provider.book().rules.expires_in = Some(lifetime);
        let id = world.connected("u").await;
        world.works(&id).await;
        let grant = world.grant(&id).await;
        world.provider.book().end_access(grant);
        world.works(&id).await;
    }
}

#[tokio::test]
async fn a_narrower_scope_is_stored_and_the_account_goes_on() {
    let world = World::new().await;
    world.provider.book().rules.refreshed_scope = Some("read");
    let id = world.connected("u").await;
    assert_eq!(world.account(&id).await["state"]["val"]["scope"], "read write");
    world.tokens_end().await;
    world.works(&id).await;
    assert_eq!(world.account(&id).await["state"]["val"]["scope"], "read");
}

#[tokio::test]
async fn what_passes_leaves_the_account_active_and_working_afterwards() {
    let later = |body: Value| Fault::json(200, &body);
    let faults = [
        Fault::text(500, "oops"),
        Fault::text(502, "<html>bad gateway</html>"),
        Fault::json(503, &json!({"error": "invalid_grant"})),
        Fault::text(408, ""),
        Fault::Answer(429, vec![("retry-after", "1".into())], String::new()),
        later(json!({"error": "temporarily_unavailable"})),
        later(json!({"ok": false, "error": "ratelimited"})),
        Fault::json(400, &json!({"error": "server_error"})),
        Fault::text(200, "<html>maintenance</html>"),
        Fault::json(200, &json!({})),
        Fault::json(200, &json!({"access_token": ""})),
        Fault::json(200, &json!({"access_token": null, "refresh_token": "rt-evil"})),
        Fault::json(200, &json!([1, 2])),
        Fault::Answer(200, vec![("content-type", "application/json".into())], "{\"acc".into()),
        Fault::Answer(204, vec![], String::new()),
    ];
    let world = forgiving(&IMPATIENT).await;
    for fault in faults {
        let id = world.connected("u").await;
        world.tokens_end().await;
        world.provider.next([fault.clone()]);
        let answer = world.execute(&id).await;
        assert_eq!(answer.status, 503, "{fault:?}: {}", answer.text);
        let (status, _) = world.status(&id).await;
        assert_eq!(status, "ACTIVE", "{fault:?}");
        world.retry_now().await;
        world.works(&id).await;
    }
    assert!(world.provider.book().repeated().is_empty());
}

#[tokio::test]
async fn a_refusal_in_any_dialect_ends_the_account_with_a_reason() {
    let faults = [
        Fault::json(400, &json!({"error": "invalid_grant"})),
        Fault::json(401, &json!({"error": "invalid_grant", "error_description": "revoked"})),
        Fault::json(200, &json!({"error": "bad_refresh_token"})),
        Fault::json(200, &json!({"ok": false, "error": "invalid_refresh_token"})),
        Fault::json(400, &json!({"error": {"code": "invalid_grant", "message": "gone"}})),
        Fault::json(403, &json!({"error": "access_denied"})),
    ];
    let world = World::new().await;
    for fault in faults {
        let id = world.connected("u").await;
        world.tokens_end().await;
        world.provider.next([fault.clone()]);
        let reason = is_over(&world, &id).await;
        assert!(!reason.contains("rt-"), "{fault:?}: {reason}");
    }
}
