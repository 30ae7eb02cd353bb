//! Several servers over one database, and their ends.

use std::time::Duration;

use patchbay::worker::deliver;
use rustix::process::Signal;
use sqlx::Connection;

use super::receiver::{Receiver, Reply};
use super::{count, message, put, subscribe};
use crate::boot::process::Home;
use crate::support::TestApp;
use crate::support::app::ENCRYPTION_KEY;

#[tokio::test]
async fn two_servers_share_the_work_and_send_each_event_once() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    // Nobody sends yet, so all of them wait in the database.
    let ids = put(&app, 400).await;
    let (replica, _) = app.replica(&[]).await;
    let (one, two) = tokio::join!(deliver::all_due(&app.app), deliver::all_due(&replica));
    one.unwrap();
    two.unwrap();
    let left: Vec<(i32, serde_json::Value, Option<String>, bool)> = sqlx::query_as(
        "select attempts, history, claim, next_at > now() from webhook_delivery
         where outcome is distinct from 'delivered' limit 3",
    )
    .fetch_all(&app.app.db)
    .await
    .unwrap();
    assert_eq!(receiver.received().len(), 400, "{left:?}");
    assert_eq!(receiver.by_id().len(), ids.len());
    assert_eq!(count(&app, "delivered").await, 400);
}

#[tokio::test]
async fn a_server_that_stops_ends_what_is_under_way_and_leaves_the_rest_to_others_at_once() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    let (replica, _) = app.replica(&[]).await;
    receiver.usually(Reply::Slow(Duration::from_millis(300)));
    deliver::start(&replica);
    let rows: Vec<_> = (0..100).map(|n| message(&app.project.id, n)).collect();
    replica.outbox.put(rows.clone()).await.unwrap();
    receiver.got(1).await;
    replica.shut_down().await;
    let sent = receiver.received().len();
    assert!(sent < 100, "it would take much longer");
    assert_eq!(count(&app, "delivered").await, i64::try_from(sent).unwrap());
    receiver.usually(Reply::Status(200));
    deliver::all_due(&app.app).await.unwrap();
    assert_eq!(count(&app, "delivered").await, 100);
    assert!(receiver.by_id().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_between_the_answer_and_its_note_sends_under_the_same_id_again() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    let id = put(&app, 1).await.remove(0);
    receiver.usually(Reply::Hang);
    let url = app.database.url();
    let home = Home::new();
    let server = home.start(&[
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8"),
    ]);
    receiver.got(1).await;
    server.signal(Signal::KILL);
    drop(server);
    receiver.usually(Reply::Status(200));
    let held: bool =
        sqlx::query_scalar("select claim is not null and next_at > now() from webhook_delivery")
            .fetch_one(&app.app.db)
            .await
            .unwrap();
    assert!(held, "nobody else sends it while the claim lasts");
    super::hurry(&app).await;
    deliver::all_due(&app.app).await.unwrap();
    assert_eq!(receiver.by_id(), [(id, 2)].into());
    assert_eq!(count(&app, "delivered").await, 1);
}

#[tokio::test]
async fn lost_connections_of_the_database_lose_no_event() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    subscribe(&app.client(), &receiver.url(), "V3").await;
    deliver::start(&app.app);
    let mut stored = Vec::new();
    for round in 0..10 {
        let rows: Vec<_> = (0..20).map(|n| message(&app.project.id, round * 20 + n)).collect();
        let cut = async {
            let mut db = sqlx::PgConnection::connect_with(&app.database.options).await.unwrap();
            let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
            sqlx::query(sql).execute(&mut db).await.unwrap();
        };
        let (answer, ()) = tokio::join!(app.app.outbox.put(rows.clone()), cut);
        // Whoever was told no brings them again.
        if answer.is_err() {
            for _ in 0..100 {
                if app.app.outbox.put(rows.clone()).await.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        stored.extend(rows.iter().map(|row| row.id.to_string()));
    }
    for _ in 0..300 {
        super::hurry(&app).await;
        if count(&app, "delivered").await == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count(&app, "delivered").await, 200);
    let got = receiver.by_id();
    assert!(stored.iter().all(|id| got.contains_key(id)) && got.len() == 200);
}
