//! Many sockets.

use super::client::{Came, Socket, event};
use crate::support::TestApp;

#[tokio::test]
async fn those_who_listen_keep_their_places_and_others_make_way() {
    let app = TestApp::with(&[("PATCHBAY_REALTIME_MAX_SOCKETS", "2")]).await;
    let mut listens = Socket::listen(&app, &app.project).await;
    let mut idle = Socket::open(app.address, &app.project.id).await;
    let mut second = Socket::listen(&app, &app.project).await;
    let error = idle.text().await;
    assert_eq!(error["data"]["code"], 4100);
    let path = format!("/app/{}?protocol=7", app.project.id);
    let mut third = Socket::raw(app.address, &path).await;
    assert_eq!(third.text().await["data"]["code"], 4100);
    assert!(matches!(third.next().await, Came::Closed(Some(4100))));
    // Other projects have places of their own.
    let other = app.another_project().await;
    Socket::listen(&app, &other).await;
    app.app.outbox.put(&[event(&app.project.id, 1)]).await.unwrap();
    assert_eq!((listens.ids(1).await, second.ids(1).await), (vec![1], vec![1]));
    drop(second);
    // A place that was left is free again; when the server notices is up to the network.
    loop {
        let mut next = Socket::raw(app.address, &path).await;
        if next.text().await["event"] == "pusher:connection_established" {
            break;
        }
    }
}
