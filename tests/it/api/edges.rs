//! What every request goes through, whatever it asks for.

use reqwest::Method;
use serde_json::json;

use crate::support::TestApp;

const CONFIG: &str = "/api/v3/org/project/config";

#[tokio::test]
async fn health_answers_without_a_key() {
    let app = TestApp::new().await;
    app.anonymous().get("/health/live").await.expect(200);
    app.anonymous().get("/health/ready").await.expect(200);
}

#[tokio::test]
async fn readiness_says_when_the_database_is_away() {
    let app = TestApp::new().await;
    app.app.db.close().await;
    app.anonymous().get("/health/live").await.expect(200);
    let response = app.anonymous().get("/health/ready").await;
    assert_eq!(response.expect_error(503)["slug"], "Server_DatabaseUnavailable");
    assert!(response.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_refused() {
    let app = TestApp::new().await;
    for prefix in ["/api/v3", "/api/v3.1"] {
        let path = format!("{prefix}/org/project/config");
        let error = app.anonymous().get(&path).await.expect_error(401);
        assert_eq!(error["slug"], "HTTP_Unauthorized");
        assert!(error["suggested_fix"].as_str().unwrap().contains("x-api-key"));
        let wrong = app.anonymous().header("x-api-key", "ak_wrong");
        wrong.get(&path).await.expect_error(401);
        let org = app.anonymous().header("x-api-key", &app.org_key);
        org.get(&path).await.expect_error(401);
        app.client().get(&path).await.expect(200);
        let user = app.anonymous().header("x-user-api-key", &app.project.key);
        user.get(&path).await.expect(200);
    }
    let projects = "/api/v3/org/owner/project/list";
    app.client().get(projects).await.expect_error(401);
    let misplaced = app.anonymous().header("x-org-api-key", &app.project.key);
    misplaced.get(projects).await.expect_error(401);
    app.org_client().get(projects).await.expect(200);
}

#[tokio::test]
async fn an_organization_key_acts_on_its_own_projects_only() {
    let app = TestApp::new().await;
    let other = TestApp::new().await;
    let on = |id: &str| app.org_client().header("x-project-id", id);
    on(app.project.id.as_str()).get(CONFIG).await.expect(200);
    on(other.project.id.as_str()).get(CONFIG).await.expect_error(404);
    on("pr_nothing").get(CONFIG).await.expect_error(404);
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let app = TestApp::new().await;
    let id = |client: crate::support::client::TestClient| async move {
        let response = client.get("/health/live").await;
        response.headers["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id(app.anonymous().header("x-request-id", "my-own_1")).await, "my-own_1");
    assert!(id(app.anonymous()).await.starts_with("req_"));
    let long = "x".repeat(129);
    for odd in ["", "a b", "a\"b", long.as_str()] {
        assert!(id(app.anonymous().header("x-request-id", odd)).await.starts_with("req_"));
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_get_the_envelope() {
    let app = TestApp::new().await;
    for path in ["/nowhere", "/api/v3/nowhere", "/api/v3", "/api/v4/tools", "/api/v3/org/"] {
        app.client().get(path).await.expect_error(404);
    }
    let response = app.client().delete(CONFIG).await;
    response.expect_error(405);
    let allow = response.headers["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("PATCH"), "{allow}");
}

#[tokio::test]
async fn bad_bodies_get_clear_refusals_and_the_next_request_works() {
    let app = TestApp::new().await;
    let client = app.client();
    let patch = |body: Vec<u8>| client.send(client.request(Method::PATCH, CONFIG).body(body));
    for bad in [
        &b"{"[..],
        b"",
        b"nonsense",
        b"{\"display_name\": \"a\"",
        b"{\"display_name\": \"\xff\xfe\"}",
        b"{} trailing",
        b"{\"display_name\": 5}",
        b"[]",
        b"\"text\"",
        b"{\"display_name\": \"a\\u0000b\"}",
    ] {
        patch(bad.to_vec()).await.expect_error(400);
    }
    let deep = format!("{{\"display_name\": {}", "[".repeat(100_000));
    patch(deep.into_bytes()).await.expect_error(400);
    let wrong = patch(br#"{"is_2FA_enabled": "yes"}"#.to_vec()).await.expect_error(400);
    assert!(wrong["errors"][0].as_str().unwrap().starts_with("is_2FA_enabled: "), "{wrong}");
    client.patch(CONFIG, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_announced_or_not() {
    let app = TestApp::with(&[("PATCHBAY_MAX_BODY_BYTES", "1000000")]).await;
    let client = app.client();
    let body = format!("{{\"display_name\": \"{}\"}}", "x".repeat(10_000_000));
    let announced = client.request(Method::PATCH, CONFIG).body(body.clone());
    client.send(announced).await.expect_error(413);
    let chunks = futures_util::stream::iter(
        body.into_bytes()
            .chunks(1 << 16)
            .map(|c| Ok::<_, std::io::Error>(c.to_vec()))
            .collect::<Vec<_>>(),
    );
    let chunked = client.request(Method::PATCH, CONFIG).body(reqwest::Body::wrap_stream(chunks));
    client.send(chunked).await.expect_error(413);
    client.patch(CONFIG, json!({})).await.expect(200);
}

#[tokio::test]
async fn odd_paths_and_queries_are_refused_in_the_envelope() {
    let app = TestApp::new().await;
    let client = app.org_client();
    client.get("/api/v3/org/owner/project/list?limit=abc").await.expect_error(400);
    client.get("/api/v3/org/owner/project/list?cursor=forged").await.expect_error(400);
    client.get("/api/v3/org/owner/project/list?cursor=%ff").await.expect_error(400);
    client.get("/api/v3/org/owner/project/%ff").await.expect_error(400);
    client.get("/api/v3/org/owner/project/%00").await.expect_error(400);
    client.get("/api/v3/org/owner/project/..%2f..%2fetc").await.expect_error(404);
    for limit in ["-1", "0", "999999999999999999999", "1.5"] {
        let path = format!("/api/v3/org/owner/project/list?limit={limit}");
        client.get(&path).await.expect(200);
    }
}
