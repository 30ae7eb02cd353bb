//! Providers with rules of their own, which a definition states: what goes wrong without it, and
//! that it does not with it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use patchbay::domain::time::now;
use patchbay::worker::refresh::all_due;
use serde_json::json;

use super::World;
use super::provider::{Fault, Redirect, Verdict};

const REDIRECT_URI: &str = "refresh: {send_redirect_uri: true}";

/// A world whose provider wants the redirect URI with a refresh, or does not.
async fn with_redirect_rule(rule: Redirect, oauth2: &[&str]) -> World {
    let world = World::with(&[("PATCHBAY_REFRESH_MAX_REFUSALS", "2")], oauth2).await;
    world.provider.book().rules.redirect_uri = rule;
    world
}

#[tokio::test]
async fn a_provider_gets_the_redirect_uri_with_a_refresh_or_not_as_its_definition_says() {
    for (rule, oauth2) in [(Redirect::Required, &[REDIRECT_URI][..]), (Redirect::Forbidden, &[])] {
        let world = with_redirect_rule(rule, oauth2).await;
        let id = world.connected("u").await;
        for _ in 0..3 {
            world.tokens_end().await;
            world.works(&id).await;
        }
        let sent = world.provider.last_form().remove("redirect_uri");
        let own = world.app.url("/api/v3/toolkits/auth/callback");
        assert_eq!(sent, (rule == Redirect::Required).then_some(own));
        assert!(world.provider.book().uses().iter().all(|u| u.verdict == Verdict::First));
    }
}

#[tokio::test]
async fn a_definition_that_is_wrong_about_the_redirect_uri_ends_accounts_late_and_with_the_reason()
{
    for (rule, oauth2) in [(Redirect::Required, &[][..]), (Redirect::Forbidden, &[REDIRECT_URI])] {
        let world = with_redirect_rule(rule, oauth2).await;
        let id = world.connected("u").await;
        world.tokens_end().await;
        // The grant is not what is refused, and perhaps somebody corrects the definition.
        let error = world.execute(&id).await.expect_error(503);
        assert!(error["message"].as_str().unwrap().contains("redirect_uri is wrong"), "{error}");
        assert_eq!(world.status(&id).await, ("ACTIVE".to_owned(), String::new()));
        world.retry_now().await;
        world.execute(&id).await.expect_error(400);
        let (status, reason) = world.status(&id).await;
        assert_eq!(status, "EXPIRED");
        assert!(reason.starts_with("Max auth failures reached"), "{reason}");
        assert!(reason.contains("redirect_uri is wrong"), "{reason}");
        let book = world.provider.book();
        assert!(book.uses().iter().all(|u| u.verdict == Verdict::Wrong), "nothing was spent");
    }
}

#[tokio::test]
async fn a_refresh_carries_the_redirect_uri_that_the_person_consented_at() {
    let world = with_redirect_rule(Redirect::Required, &[REDIRECT_URI]).await;
    let before = world.connected("before").await;
    let path = format!("/api/v3/auth_configs/{}", world.config);
    let uri = "https://app.example.com/oauth/back";
    let body = json!({"type": "custom", "credentials": {"oauth_redirect_uri": uri}});
    world.client().patch(&path, body).await.expect(200);
    let after = world.connected("after").await;
    let own = world.app.url("/api/v3/toolkits/auth/callback");
    for (id, uri) in [(&before, own.as_str()), (&after, uri), (&before, own.as_str())] {
        world.tokens_end().await;
        world.works(id).await;
        assert_eq!(world.provider.last_form()["redirect_uri"], uri);
    }
}

#[tokio::test]
async fn a_lifetime_in_the_unit_of_the_definition_is_kept_and_planned_with() {
    // Text too: some write numbers as one.
    for lifetime in [json!(3_600_000), json!("3600000"), json!(3_600_000.4)] {
        let world = World::with(&[], &["response: {expires_unit: ms}"]).await;
        world.provider.book().rules.expires_in = Some(lifetime);
        let began = now().trunc_subsecs(6);
        let id = world.connected("u").await;
        let ended = now();
        for turn in 0..2 {
            let end: DateTime<Utc> = world.value("token_expires_at", &id).await;
            if turn == 0 {
                let hour = TimeDelta::hours(1);
                assert!((began + hour..=ended + hour).contains(&end), "{began} {end}");
            } else {
                let life = "extract(epoch from token_expires_at - refreshed_at)::float8";
                assert_eq!(world.value::<f64>(life, &id).await, 3600.0);
            }
            assert_eq!(world.account(&id).await["state"]["val"]["expires_in"], 3600);
            let early = "extract(epoch from token_expires_at - refresh_due)::float8";
            let early: f64 = world.value(early, &id).await;
            assert!((600.0..=900.0).contains(&early), "{early}");
            all_due(&world.app.app).await.unwrap();
            assert_eq!(world.provider.refreshes(), turn, "not before its time");
            world
                .sql("update connected_account set refresh_due = now() - interval '1 second'")
                .await;
            all_due(&world.app.app).await.unwrap();
            assert_eq!(world.provider.refreshes(), turn + 1);
        }
    }
}

/// Too many requests, and when to come back.
fn busy(until: &str) -> Fault {
    Fault::Answer(429, vec![("retry-after", until.to_owned())], String::new())
}

/// Whether something holds for the account's row.
async fn holds(world: &World, condition: &'static str, id: &str) -> bool {
    world.value(condition, id).await
}

#[tokio::test]
async fn nobody_asks_before_the_date_that_a_busy_provider_names() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    let until = (now() + TimeDelta::minutes(30)).trunc_subsecs(0);
    world.provider.always(Some(busy(&until.format("%a, %d %b %Y %H:%M:%S GMT").to_string())));
    for _ in 0..3 {
        let answer = world.execute(&id).await;
        answer.expect_error(503);
        let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=1800).contains(&wait), "{wait}");
        world.app.app.cache.clear();
    }
    assert_eq!(world.status(&id).await, ("ACTIVE".to_owned(), String::new()));
    for time in ["refresh_after", "refresh_due"] {
        let next: DateTime<Utc> = world.value(time, &id).await;
        assert!(next >= until, "{time}: {next} is before {until}");
    }
    // The workers know as well, whatever else makes the account due.
    world.sql("update connected_account set refresh_due = now() - interval '1 second'").await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 1);
    world.provider.always(None);
    world.retry_now().await;
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 2);
}

#[tokio::test]
async fn a_date_that_is_past_or_absurd_keeps_nobody_away_for_long() {
    let soon = "refresh_after <= now() + interval '1 second'";
    let backoff = "refresh_after <= now() + interval '10 seconds'";
    let hour = "refresh_after <= now() + interval '1 hour' \
                and refresh_after > now() + interval '30 minutes'";
    for (date, expected) in [
        ("Fri, 02 Jan 2015 03:04:05 GMT", soon),
        ("Thu, 01 Jan 1970 00:00:00 GMT", soon),
        ("0", soon),
        ("Fri, 31 Dec 9999 23:59:59 GMT", hour),
        ("Friday, 31-Dec-60 23:59:59 GMT", hour),
        ("18446744073709551615", hour),
        ("99999999999999999999999999", backoff),
        ("Sat, 32 Dec 2026 23:59:59 GMT", backoff),
        ("-1", backoff),
        ("later", backoff),
    ] {
        let world = World::new().await;
        let id = world.connected("u").await;
        world.tokens_end().await;
        world.provider.next([busy(date)]);
        world.execute(&id).await.expect_error(503);
        assert_eq!(world.status(&id).await, ("ACTIVE".to_owned(), String::new()), "{date}");
        assert!(holds(&world, expected, &id).await, "{date}");
        world.retry_now().await;
        world.works(&id).await;
    }
}

#[tokio::test]
async fn a_token_is_used_to_its_end_while_its_provider_wants_to_be_left_alone() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.provider.always(Some(busy("Fri, 31 Dec 9999 23:59:59 GMT")));
    world.sql("update connected_account set refresh_due = now() - interval '1 second'").await;
    all_due(&world.app.app).await.unwrap();
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 1);
    assert!(holds(&world, "refresh_due > now()", &id).await);
}
