//! A client of the Pusher protocol that hides nothing.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchbay::db::event::EventRow;
use patchbay::domain::id::{EventId, ProjectId};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::support::TestApp;
use crate::support::app::TestProject;

/// Far more than anything takes.
const LONG: Duration = Duration::from_secs(30);

/// Silence that is long enough to say that nothing comes.
const SILENCE: Duration = Duration::from_millis(300);

pub struct Socket {
    pub inner: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub id: String,
}

/// What came.
#[derive(Debug)]
pub enum Came {
    Text(Value),
    Closed(Option<u16>),
}

impl Came {
    pub fn text(self) -> Value {
        match self {
            Self::Text(value) => value,
            Self::Closed(code) => panic!("closed with {code:?}"),
        }
    }
}

/// The data of a message, which is JSON in a text.
pub fn data(message: &Value) -> Value {
    serde_json::from_str(message["data"].as_str().expect("data is a text")).unwrap()
}

impl Socket {
    /// Connects, without a look at the answer.
    pub async fn raw(address: SocketAddr, path: &str) -> Self {
        let (inner, _) =
            tokio_tungstenite::connect_async(format!("ws://{address}{path}")).await.unwrap();
        Self { inner, id: String::new() }
    }

    /// Connects as a client does.
    pub async fn open(address: SocketAddr, project: &ProjectId) -> Self {
        let path = format!("/app/{project}?protocol=7&client=js&version=8.4.0&flash=false");
        let mut socket = Self::raw(address, &path).await;
        let hello = socket.text().await;
        assert_eq!(hello["event"], "pusher:connection_established");
        data(&hello)["socket_id"].as_str().unwrap().clone_into(&mut socket.id);
        socket
    }

    pub async fn say(&mut self, message: Value) {
        self.inner.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn next(&mut self) -> Came {
        loop {
            let next = tokio::time::timeout(LONG, self.inner.next()).await.expect("nothing came");
            return match next {
                Some(Ok(Message::Text(text))) => Came::Text(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => Came::Closed(frame.map(|f| f.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Came::Closed(None),
            };
        }
    }

    pub async fn text(&mut self) -> Value {
        self.next().await.text()
    }

    /// Nothing comes.
    pub async fn silent(&mut self) {
        if let Ok(came) = tokio::time::timeout(SILENCE, self.inner.next()).await {
            panic!("{came:?}");
        }
    }

    pub async fn subscribe(&mut self, channel: &str, auth: &str) -> Value {
        self.say(json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth}}))
            .await;
        self.text().await
    }

    /// Listens to the channel of triggers, with the auth of the server.
    pub async fn listen(app: &TestApp, project: &TestProject) -> Self {
        Self::listen_at(app, app.address, project).await
    }

    /// The same at another replica than the one that gives the auth.
    pub async fn listen_at(app: &TestApp, address: SocketAddr, project: &TestProject) -> Self {
        let mut socket = Self::open(address, &project.id).await;
        let channel = format!("private-{}_triggers", project.id);
        let auth = auth(app, project, &socket.id, &channel).await;
        let answer = socket.subscribe(&channel, &auth).await;
        assert_eq!(answer["event"], "pusher_internal:subscription_succeeded", "{answer}");
        socket
    }

    /// The next event, put together, and in how many messages it came.
    pub async fn event(&mut self) -> (String, usize) {
        let (mut text, mut count) = (String::new(), 0);
        loop {
            let message = self.text().await;
            count += 1;
            match message["event"].as_str().unwrap() {
                "trigger_to_client" => {
                    return (message["data"].as_str().unwrap().to_owned(), count);
                }
                "chunked-trigger_to_client" => {
                    let piece = data(&message);
                    assert_eq!(piece["index"], count - 1, "in order");
                    text.push_str(piece["chunk"].as_str().unwrap());
                    if piece["final"] == true {
                        return (text, count);
                    }
                }
                other => panic!("{other}"),
            }
        }
    }

    /// The ids of the next events.
    pub async fn ids(&mut self, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        for _ in 0..count {
            let event: Value = serde_json::from_str(&self.event().await.0).unwrap();
            ids.push(event["payload"]["n"].as_i64().unwrap());
        }
        ids
    }
}

/// What the auth endpoint gives.
pub async fn auth(app: &TestApp, project: &TestProject, socket_id: &str, channel: &str) -> String {
    let body = json!({"socket_id": socket_id, "channel_name": channel});
    let answer = app.client_of(project).post("/api/v3/internal/sdk/realtime/auth", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["auth"].as_str().unwrap().to_owned()
}

/// An event of a trigger, with a number.
pub fn event(project: &ProjectId, n: i64) -> EventRow {
    let id = EventId::message();
    EventRow {
        project_id: project.clone(),
        kind: "composio.trigger.message".to_owned(),
        subject_id: "ti_1".to_owned(),
        dedupe_key: None,
        payload: json!({"id": id, "type": "composio.trigger.message",
            "metadata": {"trigger_slug": "GITHUB_COMMIT_EVENT", "trigger_id": "ti_1",
                "connected_account_id": "ca_1", "auth_config_id": "ac_1", "user_id": "ada"},
            "data": {"n": n}}),
        original: Some("{\"raw\": true}".to_owned()),
        created_at: patchbay::domain::time::now(),
        id,
    }
}
