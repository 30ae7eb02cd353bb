//! Receivers that refuse, hang, or are gone.

use std::time::Duration;

use patchbay::worker::deliver;
use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use super::{MESSAGE, PATH, count, deliver_due, delivery, hurry, message, put, subscribe};
use crate::support::TestApp;

/// Seconds until the only delivery is tried again.
async fn wait(app: &TestApp) -> Option<f64> {
    let sql = "select extract(epoch from next_at - now())::float8 from webhook_delivery";
    sqlx::query_scalar(sql).fetch_one(&app.app.db).await.unwrap()
}

#[tokio::test]
async fn a_refused_event_is_tried_by_the_schedule_under_the_same_id_and_then_dead() {
    let app = TestApp::with(&[("PATCHBAY_WEBHOOK_RETRY_S", "50,3000,20000")]).await;
    let receiver = Receiver::start().await;
    receiver.usually(Reply::With(500, &[], "out of order".to_owned()));
    let (id, secret) = subscribe(&app.client(), &receiver.url(), "V3").await;
    let event = put(&app, 1).await.remove(0);
    for (number, least, most) in [(1, 40.0, 56.0), (2, 2600.0, 3301.0), (3, 17_900.0, 22_001.0)] {
        deliver_due(&app).await;
        deliver_due(&app).await;
        assert_eq!(receiver.received().len(), number, "not before its time");
        let seconds = wait(&app).await.unwrap();
        assert!((least..most).contains(&seconds), "{number}: {seconds}");
        hurry(&app).await;
    }
    deliver_due(&app).await;
    let got = receiver.received();
    assert_eq!(got.len(), 4);
    assert!(got.iter().all(|one| one.id() == event && one.is_signed_by(&secret)));
    let (outcome, attempts, history) = delivery(&app).await;
    assert_eq!((outcome.as_deref(), attempts, wait(&app).await), (Some("dead"), 4, None));
    assert_eq!(history.as_array().unwrap().len(), 4);
    assert_eq!(history[3]["response"], "out of order");
    let path = format!("{PATH}/{id}/dead_letters");
    let dead = app.client().get(&path).await.expect(200);
    assert_eq!(dead["total_items"], 1);
    let letter = &dead["items"][0];
    assert_eq!((&letter["event_id"], &letter["attempts"]), (&json!(event), &json!(4)));
    assert_eq!((&letter["last_status"], &letter["event_type"]), (&json!(500), &json!(MESSAGE)));
    receiver.usually(Reply::Status(204));
    let redrive = format!("{path}/redrive");
    let none = app.client().post(&redrive, json!({"event_ids": ["msg_x"]})).await.expect(200);
    assert_eq!(none["redriven"], 0);
    let one = app.client().post(&redrive, json!({"event_ids": [event]})).await.expect(200);
    assert_eq!(one, json!({"redriven": 1, "has_more": false}));
    deliver_due(&app).await;
    assert_eq!(receiver.received()[4].id(), event);
    assert_eq!(delivery(&app).await.0.as_deref(), Some("delivered"));
    assert_eq!(app.client().get(&path).await.expect(200)["total_items"], 0);
}

#[tokio::test]
async fn a_receiver_can_ask_for_more_time() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    receiver.replies(&[Reply::With(503, &[("retry-after", "1000")], String::new())]);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    put(&app, 1).await;
    deliver_due(&app).await;
    let seconds = wait(&app).await.unwrap();
    assert!((900.0..1001.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more_until_somebody_says_so() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    receiver.replies(&[Reply::Status(410)]);
    let (id, _) = subscribe(&app.client(), &receiver.url(), "V3").await;
    let path = format!("{PATH}/{id}");
    let wants = json!({"enabled_events": [MESSAGE, "composio.webhook.disabled"]});
    app.client().patch(&path, wants).await.expect(200);
    put(&app, 1).await;
    deliver_due(&app).await;
    let off = app.client().get(&path).await.expect(200);
    assert_eq!((&off["is_enabled"], &off["webhook_url"]), (&json!(false), &json!(receiver.url())));
    assert!(off["disabled_reason"].as_str().unwrap().contains("410"));
    put(&app, 2).await;
    deliver_due(&app).await;
    assert_eq!(receiver.received().len(), 1);
    // The event that says why, and what came since, can be had later.
    let dead = app.client().get(&format!("{path}/dead_letters")).await.expect(200);
    assert_eq!(dead["total_items"], 4);
    let redrive = format!("{path}/dead_letters/redrive");
    let refused = app.client().post(&redrive, json!({})).await.expect_error(409);
    assert!(refused["suggested_fix"].as_str().unwrap().contains("PATCH"));
    app.client().patch(&path, json!({})).await.expect(200);
    assert_eq!(app.client().post(&redrive, json!({})).await.expect(200)["redriven"], 4);
    deliver_due(&app).await;
    assert_eq!(receiver.received().len(), 5);
    let why: Vec<Value> = receiver.received().iter().map(super::receiver::Received::json).collect();
    let why = why.iter().find(|body| body["type"] == "composio.webhook.disabled").unwrap();
    assert_eq!(why["data"]["id"], json!(id));
    assert_eq!(why["metadata"]["org_id"], json!(app.org_id.as_str()));
}

#[tokio::test]
async fn days_without_a_success_disable_a_subscription_but_one_failure_after_them_does_not() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    receiver.usually(Reply::Status(500));
    let (id, _) = subscribe(&app.client(), &receiver.url(), "V3").await;
    let enabled = || async {
        app.client().get(&format!("{PATH}/{id}")).await.expect(200)["is_enabled"] == json!(true)
    };
    let age = |days: i32| {
        let db = app.app.db.clone();
        async move {
            let sql = "update webhook_subscription
                set failing_since = now() - make_interval(days => $1)";
            sqlx::query(sql).bind(days).execute(&db).await.unwrap();
        }
    };
    put(&app, 1).await;
    deliver_due(&app).await;
    let shown = app.client().get(&format!("{PATH}/{id}")).await.expect(200);
    assert!(shown["failing_since"].is_string());
    age(6).await;
    put(&app, 1).await;
    deliver_due(&app).await;
    assert!(enabled().await, "a first attempt");
    age(4).await;
    hurry(&app).await;
    deliver_due(&app).await;
    assert!(enabled().await, "not yet");
    age(6).await;
    hurry(&app).await;
    deliver_due(&app).await;
    assert!(!enabled().await);
    assert_eq!((count(&app, "dead").await, count(&app, "").await), (2, 0));
    // A success in between would have begun it anew.
    receiver.usually(Reply::Status(200));
    app.client().patch(&format!("{PATH}/{id}"), json!({})).await.expect(200);
    age(6).await;
    put(&app, 1).await;
    deliver_due(&app).await;
    let shown = app.client().get(&format!("{PATH}/{id}")).await.expect(200);
    assert_eq!(shown["failing_since"], Value::Null);
}

#[tokio::test]
async fn every_kind_of_bad_answer_is_a_failure_in_words_without_secrets() {
    let app = TestApp::with(&[("PATCHBAY_WEBHOOK_TIMEOUT_S", "1")]).await;
    let receiver = Receiver::start().await;
    let (id, secret) = subscribe(&app.client(), &receiver.url(), "V3").await;
    let echo = format!("I know {secret}");
    let local = &[("location", "http://127.0.0.1:1/inside")];
    for (reply, error) in [
        (Reply::Status(302), "302"),
        (Reply::With(307, local, String::new()), "redirects are not followed"),
        (Reply::Hang, "did not answer in time"),
        (Reply::With(400, &[], echo), "400"),
        (Reply::Drip(500), "500"),
    ] {
        receiver.replies(&[reply]);
        put(&app, 1).await;
        deliver_due(&app).await;
        let sql = "select history #>> '{0,error}' || coalesce(history #>> '{0,response}', '')
            from webhook_delivery order by created_at desc limit 1";
        let told: String = sqlx::query_scalar(sql).fetch_one(&app.app.db).await.unwrap();
        assert!(told.contains(error), "{told}");
        assert!(!told.contains(&secret) && !told.contains("hunter2"), "{told}");
    }
    // Whoever answered 2xx has it, whatever else it says.
    for reply in [Reply::Huge(20_000_000), Reply::Drip(200), Reply::Status(299)] {
        receiver.replies(&[reply]);
        put(&app, 1).await;
        deliver_due(&app).await;
    }
    assert_eq!(count(&app, "delivered").await, 3);
    // A URL that leads into a private network by now is refused when it is used.
    let (inner, _) = app.replica(&[("PATCHBAY_EGRESS_ALLOW", "10.9.9.9")]).await;
    put(&app, 1).await;
    deliver::all_due(&inner).await.unwrap();
    let sql =
        "select history #>> '{0,error}' from webhook_delivery order by created_at desc limit 1";
    let told: String = sqlx::query_scalar(sql).fetch_one(&app.app.db).await.unwrap();
    assert!(told.contains("private or reserved network"), "{told}");
    assert!(!id.is_empty());
}

#[tokio::test]
async fn a_receiver_that_closes_early_or_is_not_there_is_a_failure() {
    let app = TestApp::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    subscribe(&app.client(), &url, "V3").await;
    let closes = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
        drop(listener);
    });
    put(&app, 1).await;
    deliver_due(&app).await;
    closes.await.unwrap();
    hurry(&app).await;
    deliver_due(&app).await;
    let (outcome, attempts, history) = delivery(&app).await;
    assert_eq!((outcome, attempts), (None, 2));
    assert!(history[0]["status"].is_null() && history[1]["status"].is_null(), "{history}");
    assert!(history[1]["error"].as_str().unwrap().contains("refused"), "{history}");
}

#[tokio::test]
async fn receivers_that_hang_stand_before_nobody() {
    let app = TestApp::with(&[("PATCHBAY_WEBHOOK_TIMEOUT_S", "30")]).await;
    let (good, bad) = (Receiver::start().await, Receiver::start().await);
    bad.usually(Reply::Hang);
    let other = app.another_project().await;
    subscribe(&app.client(), &good.url(), "V3").await;
    subscribe(&app.client_of(&other), &bad.url(), "V3").await;
    deliver::start(&app.app);
    for round in 0..20 {
        let bad_rows: Vec<_> = (0..100).map(|n| message(&other.id, round * 100 + n)).collect();
        app.app.outbox.put(bad_rows.clone()).await.unwrap();
        put(&app, 10).await;
    }
    good.got(200).await;
    assert_eq!(good.by_id().len(), 200);
    assert!(bad.most_at_once() <= 8, "{}", bad.most_at_once());
}

#[tokio::test]
async fn a_receiver_that_comes_back_gets_everything_that_waited() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    receiver.usually(Reply::Status(503));
    subscribe(&app.client(), &receiver.url(), "V3").await;
    deliver::start(&app.app);
    let ids = put(&app, 300).await;
    receiver.got(8).await;
    receiver.usually(Reply::Slow(Duration::from_millis(1)));
    for _ in 0..600 {
        hurry_failed(&app).await;
        if count(&app, "delivered").await == 300 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count(&app, "delivered").await, 300);
    assert!(ids.iter().all(|id| receiver.by_id().contains_key(id)));
}

/// Makes what failed due, and leaves alone what is under way.
async fn hurry_failed(app: &TestApp) {
    let sql = "update webhook_delivery set next_at = now() where next_at > now() and claim is null";
    sqlx::query(sql).execute(&app.app.db).await.unwrap();
}
