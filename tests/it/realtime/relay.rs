//! Publishing through a Pusher service of the operator's. The service is not one that can be run
//! here; what stands for it checks what its documentation says of a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::routing::post;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;

use super::client::event;
use crate::support::TestApp;

const SECRET: &str = "s3cr3t";

struct Service {
    took: mpsc::UnboundedSender<Value>,
    /// Requests that it answers with 503 before it takes any.
    refuses: AtomicUsize,
}

fn hmac(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

async fn take(
    State(service): State<Arc<Service>>,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> StatusCode {
    let (unsigned, signature) = uri.query().unwrap().split_once("&auth_signature=").unwrap();
    assert_eq!(signature, hmac(&format!("POST\n{}\n{unsigned}", uri.path())));
    assert_eq!(query["auth_key"], "k3y");
    if service.refuses.load(Ordering::SeqCst) > 0 {
        service.refuses.fetch_sub(1, Ordering::SeqCst);
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let batch = body["batch"].as_array().unwrap();
    assert!((1..=10).contains(&batch.len()));
    for message in batch {
        assert!(message["data"].as_str().unwrap().len() <= 10_240);
        service.took.send(message.clone()).unwrap();
    }
    StatusCode::OK
}

/// A service, its URL, and what it takes.
async fn service(refuses: usize) -> (String, mpsc::UnboundedReceiver<Value>) {
    let (took, receiver) = mpsc::unbounded_channel();
    let service = Arc::new(Service { took, refuses: AtomicUsize::new(refuses) });
    let router = Router::new().route("/apps/17/batch_events", post(take)).with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://k3y:{SECRET}@{}/apps/17", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, receiver)
}

#[tokio::test]
async fn events_are_published_once_by_one_of_the_replicas_until_another_takes_over() {
    let (url, mut took) = service(1).await;
    let settings = [("PATCHBAY_REALTIME_RELAY_URL", url.as_str())];
    let app = TestApp::with(&settings).await;
    let (second, _) = app.replica(&settings).await;
    let channel = format!("private-{}_triggers", app.project.id);
    let mut next = async || loop {
        let message = took.recv().await.unwrap();
        if message["channel"] == json!(channel) {
            let data: Value = serde_json::from_str(message["data"].as_str().unwrap()).unwrap();
            assert_eq!(message["name"], "trigger_to_client");
            return data["payload"]["n"].as_i64().unwrap();
        }
    };
    for n in 0..30 {
        app.app.outbox.put([event(&app.project.id, n)]).await.unwrap();
    }
    let mut seen = [false; 30];
    while seen.contains(&false) {
        // Those of before it led may come once more.
        seen[usize::try_from(next().await).unwrap()] = true;
    }
    app.app.stop.cancel();
    app.app.shut_down().await;
    second.outbox.put([event(&app.project.id, 100)]).await.unwrap();
    while next().await != 100 {}
    second.stop.cancel();
}

#[tokio::test]
async fn clients_are_given_the_relays_key_and_its_signatures() {
    let url = format!("https://k3y:{SECRET}@api-eu.pusher.com/apps/17");
    let app = TestApp::with(&[("PATCHBAY_REALTIME_RELAY_URL", &url)]).await;
    let client = app.client().header("x-source", "TYPESCRIPT_SDK").header("x-sdk-version", "0.6.4");
    let answer = client.get("/api/v3/internal/sdk/realtime/credentials").await;
    assert_eq!(
        answer.json(),
        json!({"project_id": app.project.id, "pusher_key": "k3y", "pusher_cluster": "eu"})
    );
    let channel = format!("private-{}_triggers", app.project.id);
    let auth = super::client::auth(&app, &app.project, "1.2", &channel).await;
    assert_eq!(auth, format!("k3y:{}", hmac(&format!("1.2:{channel}"))));
}
