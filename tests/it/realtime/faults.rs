//! Connections that are lost, clients that do not read, servers that stop.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::client::{Came, Socket, auth, event};
use crate::support::TestApp;

/// Ends the connections that listen for events, and gives their number.
async fn kill_listeners(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and query ilike '%listen%patchbay_events%'
            and pid <> pg_backend_pid()",
    )
    .fetch_one(&app.app.db)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_lost_connection_to_the_database_loses_no_event_and_doubles_none() {
    let app = TestApp::new().await;
    let (_second, address) = app.replica(&[]).await;
    let mut here = Socket::listen(&app, &app.project).await;
    let mut there = Socket::listen_at(&app, address, &app.project).await;
    let mut killed = 0;
    for n in 0..200 {
        if n % 40 == 20 {
            killed += kill_listeners(&app).await;
        }
        app.app.outbox.put(&[event(&app.project.id, n)]).await.unwrap();
    }
    assert!(killed > 0);
    for socket in [&mut here, &mut there] {
        let mut ids = socket.ids(200).await;
        ids.sort_unstable();
        assert_eq!(ids, (0..200).collect::<Vec<_>>());
        socket.silent().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_others_are_not() {
    let app = TestApp::new().await;
    let mut reader = Socket::listen(&app, &app.project).await;
    let slow = TcpSocket::new_v4().unwrap();
    slow.set_recv_buffer_size(4096).unwrap();
    let stream = slow.connect(app.address).await.unwrap();
    let mut socket = {
        let url = format!("ws://{}/app/{}?protocol=7", app.address, app.project.id);
        let (inner, _) =
            tokio_tungstenite::client_async(url, tokio_tungstenite::MaybeTlsStream::Plain(stream))
                .await
                .unwrap();
        Socket { inner, id: String::new() }
    };
    let hello = super::client::data(&socket.text().await);
    let channel = format!("private-{}_triggers", app.project.id);
    let auth = auth(&app, &app.project, hello["socket_id"].as_str().unwrap(), &channel).await;
    socket.subscribe(&channel, &auth).await;
    let text = "x".repeat(200_000);
    for n in 0..60 {
        let mut row = event(&app.project.id, n);
        row.payload["data"]["text"] = json!(text);
        app.app.outbox.put(&[row]).await.unwrap();
        assert_eq!(reader.ids(1).await, [n]);
    }
    // What was in its buffers still comes, the end of it all does too.
    let mut all = 0;
    while let Came::Text(_) = socket.next().await {
        all += 1;
    }
    assert!(all < 60 * 21, "{all}");
    reader.silent().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_in_words_that_bring_clients_back() {
    let app = TestApp::new().await;
    let mut new = Socket::listen(&app, &app.project).await;
    let path = format!("/app/{}?protocol=6&client=Pysher&version=1.0.7", app.project.id);
    let mut old = Socket::raw(app.address, &path).await;
    old.text().await;
    app.app.draining.cancel();
    for (socket, code) in [(&mut new, 4200), (&mut old, 4100)] {
        let error = socket.text().await;
        assert_eq!(error["data"]["code"], code);
        assert!(matches!(socket.next().await, Came::Closed(Some(closed)) if closed == code));
    }
    tokio::time::timeout(Duration::from_secs(20), app.app.shut_down()).await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_socket_alone() {
    let app = TestApp::new().await;
    let mut reader = Socket::listen(&app, &app.project).await;
    for seed in 0..20u8 {
        let mut stream = tokio::net::TcpStream::connect(app.address).await.unwrap();
        let head = format!(
            "GET /app/{}?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: \
             websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\
             \r\n\r\n",
            app.project.id
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = [0; 32];
        stream.read_exact(&mut buffer).await.unwrap();
        assert!(buffer.starts_with(b"HTTP/1.1 101"));
        let noise: Vec<u8> =
            (0..200u8).map(|n| n.wrapping_mul(97).wrapping_add(seed * 13)).collect();
        // The server may have hung up in the middle of it.
        let _ = stream.write_all(&noise).await;
        let _ = stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    app.app.outbox.put(&[event(&app.project.id, 1)]).await.unwrap();
    assert_eq!(reader.ids(1).await, [1]);
}
