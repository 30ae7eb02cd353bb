//! What the provider is sent.

use patchbay::domain::scheme::AuthSchemeKind;
use serde_json::json;

use super::provider::{KEY, World, account, auth_config};

#[tokio::test]
async fn a_key_goes_into_its_header() {
    let world = World::new().await;
    let answer = world.run("MOCK_GET_THING", json!({"name": "a", "filter": "x y"})).await;
    assert_eq!(answer["successful"], true);
    assert_eq!(answer["error"], json!(null));
    assert_eq!(answer["data"]["path"], "/api/things/a");
    let seen = world.provider.last();
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!((seen.method.as_str(), seen.query.as_str()), ("GET", "filter=x%20y"));
}

#[tokio::test]
async fn a_key_goes_into_query_and_body_and_arguments_cannot_replace_it() {
    let world = World::new().await;
    let project = &world.app.project.id;
    let config = auth_config(&world.app, project, "mocq", AuthSchemeKind::ApiKey, |_| {}).await;
    account(&world.app, &config, "ann", json!({"api_key": KEY}), |_| {}).await;
    let arguments = json!({"name": "n", "key": "mine", "api_key": "mine"});
    world.run("MOCQ_ADD", arguments).await;
    let seen = world.provider.last();
    assert_eq!(seen.query, format!("api_key={KEY}"));
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body, json!({"name": "n", "key": KEY}));
}

#[tokio::test]
async fn basic_and_bearer_credentials_are_sent_as_http_wants_them() {
    let world = World::new().await;
    let project = &world.app.project.id;
    for (scheme, state, expected) in [
        (
            AuthSchemeKind::Basic,
            json!({"username": "u", "password": "p:w"}),
            "Basic dTpwOnc=".to_owned(),
        ),
        (AuthSchemeKind::BearerToken, json!({"token": "tok-1"}), "Bearer tok-1".to_owned()),
    ] {
        let config = auth_config(&world.app, project, "mock", scheme, |_| {}).await;
        let account = account(&world.app, &config, "bob", state, |_| {}).await;
        let body = json!({"arguments": {"name": "a"}, "connected_account_id": account.id});
        world.post("MOCK_GET_THING", body).await.expect(200);
        assert_eq!(world.provider.last().header("authorization"), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn a_toolkit_without_credentials_needs_neither_account_nor_user() {
    let world = World::new().await;
    let answer = world.post("MOPEN_LOOK", json!({})).await.expect(200);
    assert_eq!(answer["successful"], true);
    assert_eq!(world.provider.last().header("authorization"), None);
}

#[tokio::test]
async fn an_argument_cannot_leave_its_path_segment() {
    let world = World::new().await;
    for name in ["../../admin", "a/b", "a?x=1", "a#b", "a%2fb", "..%2f", "a\\b", "ä ö"] {
        world.run("MOCK_GET_THING", json!({"name": name})).await;
        let seen = world.provider.last();
        assert!(seen.path.starts_with("/api/things/"), "{name}: {}", seen.path);
        assert_eq!(seen.path.matches('/').count(), 3, "{name}: {}", seen.path);
        assert_eq!(seen.query, "", "{name}");
    }
    let before = world.provider.seen().len();
    for name in ["..", ".", ""] {
        let body = json!({"arguments": {"name": name}, "user_id": "ann"});
        let error = world.post("MOCK_GET_THING", body).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().contains("name"), "{error}");
    }
    assert_eq!(world.provider.seen().len(), before);
}

#[tokio::test]
async fn an_argument_cannot_add_a_header() {
    let world = World::new().await;
    let arguments = json!({"name": "a", "trace": "x\r\nX-Evil: 1"});
    let body = json!({"arguments": arguments, "user_id": "ann"});
    let answer = world.post("MOCK_GET_THING", body).await;
    assert!(!answer.text.contains("\"successful\":true"), "{}", answer.text);
    assert!(world.provider.seen().iter().all(|seen| seen.header("x-evil").is_none()));
    // The next call works.
    let answer = world.run("MOCK_GET_THING", json!({"name": "a", "trace": "t1"})).await;
    assert_eq!(answer["successful"], true);
    assert_eq!(world.provider.last().header("x-trace"), Some("t1"));
}

#[tokio::test]
async fn every_problem_of_the_arguments_is_named_and_nothing_is_sent() {
    let world = World::new().await;
    let body = json!({"arguments": {"filter": 5, "nope": 1}, "user_id": "ann"});
    let error = world.post("MOCK_GET_THING", body).await.expect_error(400);
    let problems = error["errors"].to_string();
    assert!(problems.contains("name"), "{problems}");
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn versions_resolve_and_an_unknown_pin_names_the_others() {
    let world = World::new().await;
    for version in [json!(null), json!("latest"), json!("00000000_00"), json!("20250909_00")] {
        let body = json!({"arguments": {"name": "a"}, "user_id": "ann", "version": version});
        world.post("MOCK_THING_GET", body).await.expect(200);
    }
    let body = json!({"arguments": {"name": "a"}, "user_id": "ann", "version": "20200101_00"});
    let error = world.post("MOCK_GET_THING", body).await.expect_error(404);
    assert_eq!(error["slug"], "Toolkit_VersionNotFound");
    assert!(error.to_string().contains("20250909_00"), "{error}");
    assert_eq!(world.provider.seen().len(), 4);
}

#[tokio::test]
async fn parameters_of_the_callers_own_take_the_place_of_an_account() {
    let world = World::new().await;
    let custom = json!({
        "base_url": format!("http://{}/other", world.provider.address),
        "parameters": [
            {"name": "X-Own", "in": "header", "value": "own-secret-1"},
            {"name": "n", "in": "query", "value": 7},
        ],
        "body": {"extra": true},
    });
    let body = json!({"arguments": {"name": "a"}, "user_id": "ann", "custom_auth_params": custom});
    let answer = world.post("MOCK_ADD_THING", body).await.expect(200);
    let seen = world.provider.last();
    assert_eq!((seen.path.as_str(), seen.query.as_str()), ("/other/things", "n=7"));
    assert_eq!(seen.header("x-own"), Some("own-secret-1"));
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.body, r#"{"name":"a","extra":true}"#);
    let log = world.log(&answer["log_id"]).await;
    let kept = format!("{:?}{:?}", log.request, log.response);
    assert!(kept.contains("X-Own") && !kept.contains("own-secret-1"), "{kept}");
}

#[tokio::test]
async fn parameters_of_the_callers_own_are_checked() {
    let world = World::new().await;
    let account = world.account.id.as_str();
    for (custom, with_account) in [
        (json!({"base_url": "http://127.0.0.1:1"}), true),
        (json!({"base_url": "file:///etc/passwd"}), false),
        (json!({"base_url": "http://user:pw@example.com"}), false),
        (json!({"parameters": [{"name": "Host", "in": "header", "value": "x"}]}), false),
        (json!({"parameters": [{"name": "X", "in": "header", "value": "a\r\nb: c"}]}), false),
        (json!({"parameters": [{"name": "X", "in": "cookie", "value": "a"}]}), false),
    ] {
        let mut body = json!({"arguments": {"name": "a"}, "custom_auth_params": custom});
        if with_account {
            body["connected_account_id"] = account.into();
        }
        world.post("MOCK_GET_THING", body).await.expect_error(400);
    }
    // A private address that was not allowed is refused when it comes to connecting.
    let custom = json!({"base_url": "http://169.254.169.254"});
    let body = json!({"arguments": {"name": "a"}, "custom_auth_params": custom});
    let answer = world.post("MOCK_GET_THING", body).await.expect(200);
    assert_eq!(answer["successful"], false);
    assert!(answer["error"].as_str().unwrap().contains("private"), "{answer}");
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn a_connection_of_the_callers_own_works_without_an_account() {
    let world = World::new().await;
    let data = |scheme: &str, toolkit: &str| {
        json!({"authScheme": scheme, "toolkitSlug": toolkit,
            "val": {"generic_api_key": "own-key-123", "token": "own-token-1"}})
    };
    for (scheme, expected) in
        [("API_KEY", "Bearer own-key-123"), ("BEARER_TOKEN", "Bearer own-token-1")]
    {
        let custom = data(scheme, "mock");
        let body = json!({"arguments": {"name": "a"}, "custom_connection_data": custom});
        world.post("MOCK_GET_THING", body).await.expect(200);
        assert_eq!(world.provider.last().header("authorization"), Some(expected));
    }
    for custom in [data("NO_AUTH", "mock"), data("API_KEY", "mocq")] {
        let body = json!({"arguments": {"name": "a"}, "custom_connection_data": custom});
        world.post("MOCK_GET_THING", body).await.expect_error(400);
    }
}
