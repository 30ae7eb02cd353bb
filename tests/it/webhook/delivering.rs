//! Events that arrive.

use chrono::Utc;
use patchbay::db::event::EventRow;
use patchbay::domain::id::EventId;
use patchbay::worker::deliver;
use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use super::{EXPIRED, MESSAGE, PATH, count, deliver_due, delivery, message, put, subscribe};
use crate::support::TestApp;

#[tokio::test]
async fn an_event_arrives_signed_under_its_own_id_in_each_version() {
    for version in ["V1", "V2", "V3"] {
        let (app, receiver) = (TestApp::new().await, Receiver::start().await);
        let (_, secret) = subscribe(&app.client(), &receiver.url(), version).await;
        let row = message(&app.project.id, 7);
        assert_eq!(app.app.outbox.put([row.clone()]).await.unwrap(), 1);
        deliver_due(&app).await;
        let [got] = &receiver.received()[..] else { panic!("{:?}", receiver.received()) };
        assert_eq!(got.id(), row.id.as_str());
        assert!(got.is_signed_by(&secret) && !got.is_signed_by("wsk_other"));
        assert_eq!(got.header("x-composio-webhook-version"), version);
        assert_eq!(got.header("content-type"), "application/json");
        let at: i64 = got.header("webhook-timestamp").parse().unwrap();
        assert!((Utc::now().timestamp() - at).abs() < 60);
        let body = got.json();
        let data = match version {
            "V1" => &body["payload"],
            _ => &body["data"],
        };
        assert_eq!(data["text"], row.payload["data"]["text"]);
        match version {
            "V1" => assert_eq!(body["trigger_name"], "github_commit_event"),
            "V2" => assert_eq!(body["data"]["trigger_nano_id"], "ti_1"),
            _ => assert_eq!(body, row.payload),
        }
        let (outcome, attempts, history) = delivery(&app).await;
        assert_eq!((outcome.as_deref(), attempts), (Some("delivered"), 1));
        assert_eq!(history[0]["status"], 200);
        assert!(history[0].get("error").is_none());
    }
}

#[tokio::test]
async fn what_is_stored_here_is_sent_from_here_at_once() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    deliver::start(&app.app);
    let ids = put(&app, 50).await;
    receiver.got(50).await;
    app.app.shut_down().await;
    assert_eq!(receiver.by_id().len(), 50);
    assert!(ids.iter().all(|id| receiver.by_id()[id] == 1));
    assert_eq!(count(&app, "delivered").await, 50);
}

#[tokio::test]
async fn many_callers_at_once_each_hear_of_their_own_events() {
    let app = TestApp::new().await;
    let twice = message(&app.project.id, 1);
    let calls = (0..100).map(|n| {
        let (outbox, mut row) = (app.app.outbox.clone(), message(&app.project.id, n));
        if n % 2 == 0 {
            row.dedupe_key.clone_from(&twice.dedupe_key);
        }
        async move { outbox.put([row]).await.unwrap() }
    });
    let stored = futures_util::future::join_all(calls).await;
    let odd = stored.iter().skip(1).step_by(2).sum::<usize>();
    let even = stored.iter().step_by(2).sum::<usize>();
    assert_eq!((odd, even), (50, 1));
}

#[tokio::test]
async fn an_event_with_nul_characters_is_stored_and_arrives() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    let mut row = message(&app.project.id, 1);
    row.payload["data"] = json!({"a\0b": ["c\0d"]});
    row.original = Some("raw\0".to_owned());
    assert_eq!(app.app.outbox.put([row]).await.unwrap(), 1);
    deliver_due(&app).await;
    assert_eq!(receiver.received()[0].json()["data"], json!({"a\u{fffd}b": ["c\u{fffd}d"]}));
}

#[tokio::test]
async fn an_account_that_expired_is_told_to_whoever_wants_to_know() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    let (id, secret) = subscribe(&app.client(), &receiver.url(), "V3").await;
    let row = || {
        let id = EventId::generate();
        EventRow {
            payload: json!({
                "id": id, "type": EXPIRED,
                "metadata": {"project_id": app.project.id, "org_id": null},
                "data": {"id": "ca_1", "status": "EXPIRED"}, "timestamp": "2026-01-15T10:30:00Z",
            }),
            project_id: app.project.id.clone(),
            kind: EXPIRED.to_owned(),
            subject_id: "ca_1".to_owned(),
            dedupe_key: None,
            original: None,
            created_at: Utc::now(),
            id,
        }
    };
    app.app.outbox.put([row()]).await.unwrap();
    deliver_due(&app).await;
    assert!(receiver.received().is_empty(), "it is not subscribed to");
    let both = json!({"enabled_events": [MESSAGE, EXPIRED]});
    app.client().patch(&format!("{PATH}/{id}"), both).await.expect(200);
    // Once by way of the database, and once straight from here.
    app.app.outbox.put([row()]).await.unwrap();
    deliver_due(&app).await;
    deliver::start(&app.app);
    app.app.outbox.put([row()]).await.unwrap();
    receiver.got(2).await;
    for got in receiver.received() {
        assert!(got.is_signed_by(&secret));
        assert_eq!(got.json()["metadata"]["org_id"], app.org_id.as_str());
    }
}

#[tokio::test]
async fn a_new_secret_signs_the_next_request_and_the_old_one_no_more() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    let (id, old) = subscribe(&app.client(), &receiver.url(), "V3").await;
    put(&app, 1).await;
    deliver_due(&app).await;
    let path = format!("{PATH}/{id}/rotate_secret");
    let new = app.client().post(&path, json!({})).await.expect(200)["secret"].clone();
    let new = new.as_str().unwrap().to_owned();
    put(&app, 1).await;
    deliver_due(&app).await;
    let got = receiver.received();
    assert!(got[0].is_signed_by(&old) && !got[0].is_signed_by(&new));
    assert!(got[1].is_signed_by(&new) && !got[1].is_signed_by(&old));
}

#[tokio::test]
async fn events_go_to_their_own_project_only() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    let other = app.another_project().await;
    let others = Receiver::start().await;
    subscribe(&app.client(), &receiver.url(), "V3").await;
    let (id, _) = subscribe(&app.client_of(&other), &others.url(), "V3").await;
    put(&app, 3).await;
    deliver_due(&app).await;
    assert_eq!((receiver.received().len(), others.received().len()), (3, 0));
    let dead = format!("{PATH}/{id}/dead_letters");
    app.client().get(&dead).await.expect_error(404);
    app.client().post(&format!("{dead}/redrive"), json!({})).await.expect_error(404);
    app.client_of(&other).get(&dead).await.expect(200);
}

#[tokio::test]
async fn a_deleted_subscription_gets_nothing_more() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    let (id, _) = subscribe(&app.client(), &receiver.url(), "V3").await;
    put(&app, 5).await;
    app.client().delete(&format!("{PATH}/{id}")).await.expect(200);
    assert_eq!(count(&app, "dropped").await, 5);
    put(&app, 1).await;
    deliver_due(&app).await;
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn events_and_their_deliveries_are_forgotten_together() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    receiver.usually(Reply::Status(500));
    subscribe(&app.client(), &receiver.url(), "V3").await;
    put(&app, 3).await;
    deliver_due(&app).await;
    let sql = "update event set created_at = now() - interval '31 days' where id in
        (select id from event limit 2)";
    sqlx::query(sql).execute(&app.app.db).await.unwrap();
    let ttl = app.app.config.event_ttl;
    assert_eq!(patchbay::db::event::delete_older(&app.app.db, ttl, 10).await.unwrap(), 2);
    assert_eq!(count(&app, "").await, 1);
}

#[tokio::test]
async fn a_span_of_time_of_a_trigger_is_sent_again_under_the_same_ids() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    let begin = Utc::now();
    let ids = put(&app, 3).await;
    deliver_due(&app).await;
    let replay = |trigger: &'static str, from, to| {
        let (db, project) = (app.app.db.clone(), app.project.id.clone());
        async move {
            let again = patchbay::db::webhook_delivery::replay(&db, &project, trigger, from, to);
            again.await.unwrap()
        }
    };
    let end = Utc::now();
    assert_eq!(replay("ti_2", begin, end).await, 0);
    assert_eq!(replay("ti_1", end, Utc::now()).await, 0);
    assert_eq!(replay("ti_1", begin, end).await, 3);
    assert_eq!(replay("ti_1", begin, end).await, 0, "they are on their way");
    deliver_due(&app).await;
    assert!(ids.iter().all(|id| receiver.by_id()[id] == 2));
    let history: Vec<Value> = sqlx::query_scalar("select history from webhook_delivery")
        .fetch_all(&app.app.db)
        .await
        .unwrap();
    assert!(history.iter().all(|history| history.as_array().unwrap().len() == 2));
}
