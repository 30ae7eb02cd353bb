use serde_json::json;

use super::provider::Style;
use super::{World, location, maybe, param};

#[tokio::test]
async fn consent_makes_the_account_active_and_sends_the_browser_back() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    let back = "https://app.example/cb?mine=1&x=%20y#frag";
    let (id, url) = world.begin(&config, json!({"user_id": "u", "callback_url": back})).await;
    let redirect = world.app.url("/api/v3/toolkits/auth/callback");
    assert_eq!(param(&url, "redirect_uri"), redirect);
    assert!(maybe(&url, "code_challenge").is_some());
    assert_eq!(world.account(&id).await["status"], "INITIATED");

    let code = world.provider.consent(&url);
    let response = world.callback(&[("code", &code), ("state", &param(&url, "state"))]).await;
    let expected = format!(
        "https://app.example/cb?mine=1&x=%20y&status=success&connectedAccountId={id}&appName=linear#frag"
    );
    assert_eq!(location(&response).as_str(), expected);
    assert_eq!(response.headers["referrer-policy"], "no-referrer");

    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE");
    let val = &account["state"]["val"];
    assert_eq!(val["access_token"].as_str().unwrap().len(), 7, "{val}");
    assert!(val.get("redirectUrl").is_none() && val["scope"] == "read write", "{val}");
    assert!(account["status_reason"].is_null());
    let (_, sent) = world.provider.last_request();
    assert_eq!(
        (sent["client_id"].as_str(), sent["client_secret"].as_str()),
        ("my-id", "my-secret")
    );
    assert_eq!(sent["redirect_uri"], redirect);
}

#[tokio::test]
async fn a_state_works_once_and_forged_ones_never() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    let (id, url) = world.begin(&config, json!({"user_id": "u"})).await;
    let state = param(&url, "state");
    let project = world.app.project.id.as_str().strip_prefix("pr_").unwrap();
    let forged = format!("st_{project}_{}", "a".repeat(32));
    for wrong in ["", "x", "st_", &forged, &state[..state.len() - 1], "st_a_b'--"] {
        let response = world.callback(&[("code", "c"), ("state", wrong)]).await;
        assert_eq!(response.status, 400, "{wrong}: {}", response.text);
        assert!(response.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        assert_eq!(world.account(&id).await["status"], "INITIATED");
    }
    let program = world.app.anonymous();
    let error =
        program.get(&format!("/api/v3.1/toolkits/auth/callback?code=c&state={forged}")).await;
    assert_eq!(error.expect_error(400)["slug"], "Link_StateInvalid");

    let code = world.provider.consent(&url);
    assert_eq!(world.callback(&[("code", &code), ("state", &state)]).await.status, 200);
    let before = world.account(&id).await;
    let replay = world.callback(&[("code", &code), ("state", &state)]).await;
    assert_eq!(replay.status, 400);
    let denied = world.callback(&[("error", "access_denied"), ("state", &state)]).await;
    assert_eq!(denied.status, 400);
    assert_eq!(world.account(&id).await, before, "a replay changes nothing");
}

#[tokio::test]
async fn two_callbacks_at_once_exchange_one_code() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    let (_, url) = world.begin(&config, json!({"user_id": "u"})).await;
    let (state, code) = (param(&url, "state"), world.provider.consent(&url));
    let pairs = [("code", code.as_str()), ("state", state.as_str())];
    let (a, b) = tokio::join!(world.callback(&pairs), world.callback(&pairs));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn denied_consent_fails_the_account_with_a_reason() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    let back = "https://app.example/cb";
    let (id, url) = world.begin(&config, json!({"user_id": "u", "callback_url": back})).await;
    let state = param(&url, "state");
    let response = world
        .callback(&[
            ("error", "access_denied"),
            ("error_description", "No, <b>"),
            ("state", &state),
        ])
        .await;
    let to = location(&response);
    assert_eq!(
        (param(&to, "status"), param(&to, "connectedAccountId")),
        ("failed".into(), id.clone())
    );
    let account = world.account(&id).await;
    assert_eq!(account["status"], "FAILED");
    assert!(account["status_reason"].as_str().unwrap().contains("access_denied"));

    // Without a callback URL a page says so, and shows the provider's text as text.
    let (_, url) = world.begin(&config, json!({"user_id": "u"})).await;
    let state = param(&url, "state");
    let response = world
        .callback(&[("error", "x"), ("error_description", "<script>1</script>"), ("state", &state)])
        .await;
    assert_eq!(response.status, 200);
    assert!(response.text.contains("was not connected"));
    assert!(!response.text.contains("<script>"));
}

#[tokio::test]
async fn a_failing_exchange_fails_the_account_without_leaking() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    for (style, code, expected) in [
        (Style::Standard, "never-issued", "invalid_grant"),
        (Style::Down, "any-code", "503"),
        (Style::Html, "any-code", "neither JSON"),
    ] {
        world.provider.style(style);
        let (id, url) = world.begin(&config, json!({"user_id": "u"})).await;
        let response = world.callback(&[("code", code), ("state", &param(&url, "state"))]).await;
        assert!(response.text.contains("was not connected"), "{}", response.text);
        let account = world.account(&id).await;
        assert_eq!(account["status"], "FAILED");
        let reason = account["status_reason"].as_str().unwrap();
        assert!(reason.contains(expected), "{reason}");
        assert!(!account.to_string().contains("my-secret") && !account.to_string().contains(code));
    }
}

#[tokio::test]
async fn odd_providers_are_understood() {
    let world = World::new().await;
    world.unmask().await;
    // Slack: `ok`, a nested user token, values to keep, no lifetime, no PKCE.
    world.provider.style(Style::Slack);
    let id = world.connected("slack").await;
    let val = world.account(&id).await["state"]["val"].clone();
    assert!(val["access_token"].as_str().unwrap().starts_with("at-"));
    assert_eq!((&val["team_id"], &val["authed_user_id"]), (&json!("T1"), &json!("U1")));
    assert!(val.get("expires_in").is_none());
    // GitHub: a form-encoded answer.
    world.provider.style(Style::Form);
    let id = world.connected("github").await;
    let val = world.account(&id).await["state"]["val"].clone();
    assert!(val["access_token"].as_str().unwrap().starts_with("at-"));
    assert_eq!(val["scope"], "a b");
    // Notion: JSON body, client in HTTP basic authentication, no PKCE.
    world.provider.style(Style::Standard);
    world.connected("notion").await;
    let (headers, sent) = world.provider.last_request();
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
    assert!(!sent.contains_key("client_secret"));
}

#[tokio::test]
async fn a_redirect_uri_of_the_developers_own_is_used_exactly() {
    let world = World::new().await;
    let uri = "https://white.label.example/api/redirect?keep=1";
    let config = world
        .auth_config(
            "linear",
            json!({"type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": {
                "client_id": "a", "client_secret": "b", "oauth_redirect_uri": uri,
                "scopes": ["read", "admin"]}}),
        )
        .await;
    let (id, url) = world.begin(&config, json!({"user_id": "u"})).await;
    assert_eq!(param(&url, "redirect_uri"), uri);
    assert_eq!(param(&url, "scope"), "read,admin");
    let code = world.provider.consent(&url);
    // The developer may change the auth config meanwhile; the exchange repeats what was asked.
    let change = json!({"type": "custom", "credentials": {"oauth_redirect_uri": null}});
    world.client().patch(&format!("/api/v3/auth_configs/{config}"), change).await.expect(200);
    world.callback(&[("code", &code), ("state", &param(&url, "state"))]).await;
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_expires() {
    let world = World::with(&[("PATCHBAY_CONNECT_TTL_S", "1")]).await;
    let config = world.oauth_config("linear").await;
    let (id, url) = world.begin(&config, json!({"user_id": "u"})).await;
    let body = json!({"auth_config_id": config, "user_id": "u"});
    let link = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    // Seen at once, by whoever reads.
    let account = world.account(&id).await;
    assert_eq!(account["status"], "EXPIRED");
    assert!(
        account["status_reason"].as_str().unwrap().contains("did not complete within 1 seconds")
    );
    // Written down by the worker.
    patchbay::worker::expire(&world.app.app).await.unwrap();
    let expired =
        world.client().get("/api/v3/connected_accounts?statuses=EXPIRED").await.expect(200);
    assert_eq!(expired["total_items"], 2);
    let code = world.provider.consent(&url);
    let late = world.callback(&[("code", &code), ("state", &param(&url, "state"))]).await;
    assert_eq!(late.status, 400);
    assert_eq!(world.account(&id).await["status"], "EXPIRED");
    let page = world.app.anonymous().get(link["redirect_url"].as_str().unwrap()).await;
    assert_eq!(page.status, 410);
}

#[tokio::test]
async fn deleting_revokes_the_tokens_at_the_provider() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    world.client().delete(&format!("/api/v3/connected_accounts/{id}")).await.expect(200);
    for _ in 0..100 {
        if world.provider.revoked().len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let revoked = world.provider.revoked();
    assert!(revoked.iter().any(|t| t.starts_with("rt-")), "{revoked:?}");
    assert!(revoked.iter().any(|t| t.starts_with("at-")), "{revoked:?}");
}
