//! What a project says about where its events go.

use serde_json::{Value, json};

use super::{EXPIRED, MESSAGE, PATH};
use crate::support::TestApp;

fn wanted(url: &str) -> Value {
    json!({"webhook_url": url, "enabled_events": [MESSAGE]})
}

#[tokio::test]
async fn the_secret_is_shown_once_and_masked_from_then_on() {
    let app = TestApp::new().await;
    let client = app.client();
    let made = client.post(PATH, wanted("https://example.com/hook?t=1")).await.expect(201);
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("wsk_") && secret.len() == 44, "{secret}");
    assert_eq!(made["version"], "V3");
    assert_eq!(made["enabled_events"], json!([MESSAGE]));
    assert_eq!(made["webhook_url"], "https://example.com/hook?t=1");
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let shown = client.get(&path).await.expect(200);
    let listed = client.get(&format!("{PATH}?limit=1")).await.expect(200);
    let patched = client.patch(&path, json!({"version": "V2"})).await.expect(200);
    assert_eq!(patched["version"], "V2");
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!((&listed["next_cursor"], &listed["total_items"]), (&Value::Null, &json!(1)));
    for view in [&shown, &listed["items"][0], &patched] {
        let masked = view["secret"].as_str().unwrap();
        assert!(masked.ends_with("...") && masked.len() < 12 && !masked.contains(&secret));
        assert_eq!(view["id"], made["id"]);
    }
    let rotated = client.post(&format!("{path}/rotate_secret"), json!({})).await.expect(200);
    assert_eq!(rotated["id"], made["id"]);
    assert_ne!(rotated["secret"], made["secret"]);
    let stored: Vec<u8> = sqlx::query_scalar("select secret from webhook_subscription")
        .fetch_one(&app.app.db)
        .await
        .unwrap();
    let plain = rotated["secret"].as_str().unwrap().as_bytes();
    assert!(!stored.windows(plain.len()).any(|part| part == plain));
    assert_eq!(client.delete(&path).await.expect(200)["success"], true);
    client.get(&path).await.expect_error(404);
    client.delete(&path).await.expect_error(404);
    assert_eq!(client.get(PATH).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_project_has_one_subscription_however_many_ask_at_once() {
    let app = TestApp::new().await;
    let client = app.client();
    let asks = (0..8).map(|n| {
        let client = client.clone();
        async move { client.post(PATH, wanted(&format!("https://example.com/{n}"))).await.status }
    });
    let mut answers = futures_util::future::join_all(asks).await;
    answers.sort_unstable();
    assert_eq!(answers, [201, 409, 409, 409, 409, 409, 409, 409]);
    let refused = client.post("/api/v3/webhook_subscriptions", wanted("https://example.com/9"));
    let error = refused.await.expect_error(409);
    let id = client.get(PATH).await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(error["suggested_fix"].as_str().unwrap().contains(&id));
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_named() {
    let app = TestApp::with(&[("PATCHBAY_EGRESS_ALLOW", "127.0.0.5")]).await;
    let client = app.client();
    let long = format!("https://example.com/{}", "x".repeat(2048));
    for url in [
        "",
        "example.com",
        "ftp://example.com/",
        "https://",
        "http://example.com/plain",
        "http://127.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://user:hunter2@example.com/",
        "https://example.com/#part",
        "javascript:alert(1)",
        long.as_str(),
    ] {
        let error = client.post(PATH, wanted(url)).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().starts_with("webhook_url: "), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let url = "https://example.com/";
    for (body, field) in [
        (json!({"webhook_url": url, "enabled_events": []}), "enabled_events"),
        (json!({"webhook_url": url, "enabled_events": ["x"]}), "enabled_events[0]"),
        (
            json!({"webhook_url": url, "enabled_events": [MESSAGE, EXPIRED], "version": "V2"}),
            "enabled_events[1]",
        ),
        (json!({"webhook_url": url, "enabled_events": [MESSAGE], "version": "V4"}), "version"),
        (json!({"webhook_url": url}), "missing field `enabled_events`"),
        (json!({"webhook_url": 7, "enabled_events": [MESSAGE]}), "webhook_url"),
    ] {
        let error = client.post(PATH, body).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().starts_with(field), "{error}");
    }
    let plain = client.post(PATH, wanted("http://127.0.0.5:8080/x")).await.expect(201);
    let path = format!("{PATH}/{}", plain["id"].as_str().unwrap());
    client.patch(&path, json!({"enabled_events": [EXPIRED, EXPIRED, MESSAGE]})).await.expect(200);
    let error = client.patch(&path, json!({"version": "V1"})).await.expect_error(400);
    assert!(error["errors"][0].as_str().unwrap().contains(EXPIRED), "{error}");
    let same = client.get(&path).await.expect(200);
    assert_eq!(same["enabled_events"], json!([EXPIRED, MESSAGE]));
    assert_eq!(same["version"], "V3");
    client.patch(&path, json!({"enabled_events": [MESSAGE], "version": "V1"})).await.expect(200);
}

#[tokio::test]
async fn a_subscription_of_another_project_is_not_there() {
    let app = TestApp::new().await;
    let made = app.client().post(PATH, wanted("https://example.com/")).await.expect(201);
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let other = app.client_of(&app.another_project().await);
    other.get(&path).await.expect_error(404);
    other.patch(&path, json!({"version": "V1"})).await.expect_error(404);
    other.delete(&path).await.expect_error(404);
    other.post(&format!("{path}/rotate_secret"), json!({})).await.expect_error(404);
    assert_eq!(other.get(PATH).await.expect(200)["items"], json!([]));
    other.post(PATH, wanted("https://example.com/")).await.expect(201);
    app.anonymous().get(&path).await.expect_error(401);
    assert_eq!(app.client().get(&path).await.expect(200)["version"], "V3");
}

#[tokio::test]
async fn the_types_of_events_and_their_versions_are_listed() {
    let app = TestApp::new().await;
    let types = app.client().get(&format!("{PATH}/event_types")).await.expect(200);
    let versions = |name: &str| {
        let items = types["items"].as_array().unwrap();
        items.iter().find(|t| t["event_type"] == name).unwrap()["supported_versions"].clone()
    };
    assert_eq!(versions(MESSAGE), json!(["V1", "V2", "V3"]));
    assert_eq!(versions(EXPIRED), json!(["V3"]));
    assert_eq!(versions("composio.trigger.disabled"), json!(["V3"]));
    assert_eq!(versions("composio.webhook.disabled"), json!(["V3"]));
}

#[tokio::test]
async fn the_project_says_where_its_events_go() {
    let app = TestApp::new().await;
    let path = format!("/api/v3/org/owner/project/{}", app.project.id);
    let before = app.org_client().get(&path).await.expect(200);
    assert_eq!((&before["webhook_url"], &before["webhook_version"]), (&Value::Null, &json!("V3")));
    assert_eq!(before["webhook_secret"], Value::Null);
    let body = json!({
        "webhook_url": "https://example.com/", "enabled_events": [MESSAGE], "version": "V1",
    });
    let made = app.client().post(PATH, body).await.expect(201);
    let after = app.org_client().get(&path).await.expect(200);
    assert_eq!(after["webhook_url"], "https://example.com/");
    assert_eq!(after["event_webhook_url"], Value::Null);
    assert_eq!(
        (&after["webhook_version"], &after["is_new_webhook"]),
        (&json!("V1"), &json!(false))
    );
    let session = app.client().get("/api/v3.1/auth/session/info").await;
    assert!(!session.text.contains(made["secret"].as_str().unwrap()));
}
