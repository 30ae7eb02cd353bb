//! The endpoints that SDKs ask before they connect.

use serde_json::json;

use super::client::Socket;
use crate::support::TestApp;

const CREDENTIALS: &str = "/api/v3/internal/sdk/realtime/credentials";
const AUTH: &str = "/api/v3/internal/sdk/realtime/auth";

#[tokio::test]
async fn a_client_is_told_its_project_key_and_cluster() {
    let app = TestApp::new().await;
    for path in [CREDENTIALS, "/api/v3.1/cli/realtime/credentials"] {
        let answer = app.client().get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.json(),
            json!({"project_id": app.project.id, "pusher_key": app.project.id,
                "pusher_cluster": "patchbay"})
        );
        assert_eq!(app.anonymous().get(path).await.status, 401);
    }
    let key = app.client().get("/api/v3/auth/session/info").await;
    assert_eq!(key.json()["project"]["nano_id"], json!(app.project.id));
}

#[tokio::test]
async fn clients_that_take_any_cluster_are_led_to_the_public_host() {
    let app = TestApp::with(&[("PATCHBAY_PUBLIC_URL", "https://tools.example.com")]).await;
    let cluster = async |source: &str, version: &str| {
        let client = app.client().header("x-source", source).header("x-sdk-version", version);
        client.get(CREDENTIALS).await.json()["pusher_cluster"].as_str().unwrap().to_owned()
    };
    assert_eq!(cluster("TYPESCRIPT_SDK", "0.6.4").await, "x@tools.example.com:443/");
    assert_eq!(cluster("PYTHON_SDK", "0.11.1").await, "x@tools.example.com:443/");
    assert_eq!(cluster("PYTHON_SDK", "0.30.0").await, "patchbay");
    assert_eq!(cluster("SOMETHING", "1").await, "patchbay");
}

#[tokio::test]
async fn forms_and_json_are_taken_and_another_projects_channel_is_not() {
    let app = TestApp::new().await;
    let other = app.another_project().await;
    let client = app.client();
    let form = async |path: &str, channel: &str| {
        let fields = [("socket_id", "12.34"), ("channel_name", channel)];
        client.send(client.request(reqwest::Method::POST, path).form(&fields)).await
    };
    let own = format!("private-{}_triggers", app.project.id);
    let by_form = form(&format!("{AUTH}?source=python"), &own).await;
    let by_json = client.post(AUTH, json!({"socket_id": "12.34", "channel_name": own})).await;
    assert_eq!((by_form.status, by_json.status), (200, 200));
    assert_eq!(by_form.json(), by_json.json());
    let auth = by_form.json()["auth"].as_str().unwrap().to_owned();
    let (key, signature) = auth.split_once(':').unwrap();
    assert_eq!((key, signature.len()), (app.project.id.as_str(), 64));
    let cli = format!("private-cli-{}", app.project.id);
    assert_eq!(form("/api/v3.1/cli/realtime/auth", &cli).await.status, 200);

    for channel in [
        format!("private-{}_triggers", other.id),
        format!("private-cli-{}", other.id),
        format!("presence-{}", app.project.id),
        "private-".to_owned(),
        String::new(),
    ] {
        for path in [AUTH, "/api/v3.1/cli/realtime/auth"] {
            let answer = form(path, &channel).await;
            assert_eq!(answer.status, 403, "{channel}");
            assert_eq!(answer.json()["error"]["slug"], "Realtime_ChannelForbidden");
        }
    }
    for id in ["", "12", "a.b", "1.2:private-x", "1.2.3"] {
        let answer = client.post(AUTH, json!({"socket_id": id, "channel_name": own})).await;
        assert_eq!(answer.status, 400, "{id}");
    }
    assert_eq!(client.post(AUTH, json!({"channel_name": own})).await.status, 400);
    assert_eq!(app.anonymous().post(AUTH, json!({})).await.status, 401);
}

#[tokio::test]
async fn one_replica_opens_the_channel_of_a_socket_at_another() {
    let app = TestApp::new().await;
    let (_second, address) = app.replica(&[]).await;
    Socket::listen_at(&app, address, &app.project).await;
}

#[tokio::test]
async fn a_new_link_key_does_not_shut_clients_out() {
    let app = TestApp::new().await;
    let mut socket = Socket::open(app.address, &app.project.id).await;
    let channel = format!("private-{}_triggers", app.project.id);
    let before = super::client::auth(&app, &app.project, &socket.id, &channel).await;
    patchbay::db::link_key::retire_current(
        &app.app.db,
        patchbay::domain::time::now() + chrono::TimeDelta::hours(1),
    )
    .await
    .unwrap();
    app.app.vault.forget_all();
    let after = super::client::auth(&app, &app.project, &socket.id, &channel).await;
    assert_ne!(before, after);
    for auth in [before, after] {
        let answer = socket.subscribe(&channel, &auth).await;
        assert_eq!(answer["event"], "pusher_internal:subscription_succeeded");
    }
}
