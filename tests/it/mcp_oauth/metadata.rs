//! What clients read before they sign anybody in.

use serde_json::json;

use super::session;
use crate::support::TestApp;

#[tokio::test]
async fn clients_find_everything_from_the_endpoint_on() {
    let app = TestApp::new().await;
    let http = app.anonymous();
    let base = app.url("");
    let (path, url) = session(&app).await;
    let challenge = patchbay::mcp_oauth::challenge(&app.app, &path, false);
    let metadata = format!("{base}/.well-known/oauth-protected-resource{path}");
    assert!(challenge.to_str().unwrap().contains(&format!("resource_metadata=\"{metadata}\"")));
    let resource = http.get(&metadata).await.expect(200);
    assert_eq!(resource["resource"], url);
    assert_eq!(resource["authorization_servers"], json!([base]));
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/tool_router/trs_x/mcp",
        "/.well-known/openid-configuration",
        "/v3/mcp/x/.well-known/openid-configuration",
    ] {
        let server = http.get(path).await;
        assert_eq!(server.headers["access-control-allow-origin"], "*", "{path}");
        let server = server.expect(200);
        assert_eq!(server["issuer"], base);
        assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(server["token_endpoint_auth_methods_supported"], json!(["none"]));
        assert_eq!(server["authorization_endpoint"], format!("{base}/oauth/authorize"));
    }
    let root = http.get("/.well-known/oauth-protected-resource").await.expect(200);
    assert_eq!(root["resource"], base);
}

#[tokio::test]
async fn metadata_does_not_tell_which_endpoints_exist() {
    let app = TestApp::new().await;
    let http = app.anonymous();
    let id = "0f0e9a3c-1111-4222-8333-444455556666";
    for path in [format!("/v3/mcp/{id}"), format!("/v3/mcp/{id}/mcp")] {
        let got = http.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        assert_eq!(got.expect(200)["resource"], app.url(&format!("/v3/mcp/{id}")));
    }
    for path in ["/api/v3/tools", "/tool_router/a%22b/mcp", "/v3/mcp/nope", "/x\r\ny"] {
        let path = path.replace("\r\n", "%0d%0a");
        http.get(&format!("/.well-known/oauth-protected-resource{path}")).await.expect_error(404);
    }
}

#[tokio::test]
async fn registration_takes_what_clients_send_and_refuses_bad_addresses() {
    let app = TestApp::new().await;
    let http = app.anonymous();
    let editor = json!({"client_name": "Editor", "redirect_uris": ["http://127.0.0.1:33418/",
        "https://vscode.dev/redirect", "http://localhost/"], "grant_types":
        ["authorization_code", "refresh_token"], "response_types": ["code"], "scope": "mcp x",
        "token_endpoint_auth_method": "none", "client_uri": "https://e.example", "contacts": []});
    let made = http.post("/oauth/register", editor).await.expect(201);
    assert!(made["client_id"].as_str().unwrap().starts_with("mcp_"));
    assert_eq!(made["redirect_uris"].as_array().unwrap().len(), 3);
    for uri in ["javascript:alert(1)", "http://evil.example/", "data:text/html,x", "ftp://x/"] {
        let body = json!({"redirect_uris": [uri]});
        super::refused(&http.post("/oauth/register", body).await, "invalid_redirect_uri");
    }
    let none = json!({"client_name": "x"});
    super::refused(&http.post("/oauth/register", none).await, "invalid_redirect_uri");
    for body in ["", "[]", "{", "nul", "{\"redirect_uris\": 1}"] {
        super::refused(&http.post_raw("/oauth/register", body).await, "invalid_client_metadata");
    }
    let body = json!({"redirect_uris": ["https://a.example/"], "grant_types": ["password"]});
    super::refused(&http.post("/oauth/register", body).await, "invalid_client_metadata");
    let long = format!("{{\"x\": \"{}\"}}", "x".repeat(70_000));
    super::refused(&http.post_raw("/oauth/register", long).await, "invalid_request");
}

#[tokio::test]
async fn an_address_that_registers_without_end_is_stopped() {
    let app = TestApp::new().await;
    let http = app.anonymous();
    for _ in 0..10_000 {
        let got = http.post_raw("/oauth/register", "{}").await;
        if got.status == 429 {
            assert_eq!(got.json()["error"], "temporarily_unavailable");
            assert!(got.headers.contains_key("retry-after"));
            return;
        }
    }
    panic!("nobody stopped it");
}
