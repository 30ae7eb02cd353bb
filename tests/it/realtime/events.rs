//! Events on their way to sockets.

use patchbay::domain::id::uuid_of;
use serde_json::{Value, json};

use super::client::{Socket, auth, event};
use crate::support::TestApp;

#[tokio::test]
async fn an_event_reaches_the_sockets_of_its_project_alone_in_the_oldest_shape() {
    let app = TestApp::new().await;
    let other = app.another_project().await;
    let mut own = Socket::listen(&app, &app.project).await;
    let mut again = Socket::listen(&app, &app.project).await;
    let mut theirs = Socket::listen(&app, &other).await;
    app.app.outbox.put([event(&app.project.id, 1)]).await.unwrap();
    for socket in [&mut own, &mut again] {
        let (text, messages) = socket.event().await;
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(messages, 1);
        assert_eq!(value["payload"], json!({"n": 1}));
        assert_eq!(value["originalPayload"], json!({"raw": true}));
        assert_eq!(value["appName"], "github");
        assert_eq!(value["metadata"]["nanoId"], "ti_1");
        assert_eq!(value["metadata"]["id"], uuid_of("ti_1"));
        assert_eq!(value["metadata"]["triggerName"], "GITHUB_COMMIT_EVENT");
        assert_eq!(value["metadata"]["connection"]["clientUniqueUserId"], "ada");
        assert_eq!(value["metadata"]["connection"]["status"], "INACTIVE", "there is no account");
    }
    theirs.silent().await;
}

#[tokio::test]
async fn only_events_of_triggers_are_sent_and_only_where_somebody_listens() {
    let app = TestApp::new().await;
    let mut listens = Socket::listen(&app, &app.project).await;
    let mut idle = Socket::open(app.address, &app.project.id).await;
    let mut account = event(&app.project.id, 1);
    account.kind = "composio.connected_account.expired".to_owned();
    app.app.outbox.put([account, event(&app.project.id, 2)]).await.unwrap();
    assert_eq!(listens.ids(1).await, [2]);
    idle.silent().await;
    let channel = format!("private-{}_triggers", app.project.id);
    listens.say(json!({"event": "pusher:unsubscribe", "data": {"channel": channel}})).await;
    listens.say(json!({"event": "pusher:ping"})).await;
    assert_eq!(listens.text().await["event"], "pusher:pong");
    app.app.outbox.put([event(&app.project.id, 3)]).await.unwrap();
    listens.silent().await;
}

#[tokio::test]
async fn the_command_line_has_the_same_events_on_its_own_channel() {
    let app = TestApp::new().await;
    let mut socket = Socket::open(app.address, &app.project.id).await;
    let channel = format!("private-cli-{}", app.project.id);
    let auth = auth(&app, &app.project, &socket.id, &channel).await;
    socket.subscribe(&channel, &auth).await;
    app.app.outbox.put([event(&app.project.id, 5)]).await.unwrap();
    let message = socket.text().await;
    assert_eq!(message["channel"], json!(channel));
    assert_eq!(message["event"], "trigger_to_client");
}

#[tokio::test]
async fn a_long_event_comes_in_pieces_and_every_byte_of_it() {
    let app = TestApp::new().await;
    let mut socket = Socket::listen(&app, &app.project).await;
    let mut row = event(&app.project.id, 1);
    let text: String = "{\"\\\n ä語🦀\u{1f}".chars().cycle().take(100_000).collect();
    row.payload["data"]["text"] = json!(text);
    let original = json!({"text": text, "more": "x"}).to_string();
    row.original = Some(original.clone());
    app.app.outbox.put([row, event(&app.project.id, 2)]).await.unwrap();
    let (whole, messages) = socket.event().await;
    assert!(messages > 20, "{messages}");
    let value: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(value["payload"]["text"], json!(text));
    assert!(whole.contains(&original), "as it was sent");
    assert_eq!(socket.ids(1).await, [2], "once, and the next one after it");
}

#[tokio::test]
async fn every_replica_sends_to_its_own_sockets() {
    let app = TestApp::new().await;
    let (second, address) = app.replica(&[]).await;
    let mut here = Socket::listen(&app, &app.project).await;
    let mut there = Socket::listen_at(&app, address, &app.project).await;
    for n in 0..50 {
        let outbox = if n % 2 == 0 { &app.app.outbox } else { &second.outbox };
        outbox.put([event(&app.project.id, n)]).await.unwrap();
    }
    let all: Vec<i64> = (0..50).collect();
    assert_eq!(here.ids(50).await, all);
    assert_eq!(there.ids(50).await, all);
    here.silent().await;
    there.silent().await;
}

#[tokio::test]
async fn who_comes_later_gets_nothing_of_before() {
    let app = TestApp::new().await;
    app.app.outbox.put([event(&app.project.id, 1)]).await.unwrap();
    let mut first = Socket::listen(&app, &app.project).await;
    app.app.outbox.put([event(&app.project.id, 2)]).await.unwrap();
    assert_eq!(first.ids(1).await, [2]);
    let mut second = Socket::listen(&app, &app.project).await;
    app.app.outbox.put([event(&app.project.id, 3)]).await.unwrap();
    assert_eq!(second.ids(1).await, [3]);
    assert_eq!(first.ids(1).await, [3]);
}
