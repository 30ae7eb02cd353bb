use serde_json::{Value, json};

use super::World;
use super::server::Ways;

/// Every way to be unsuitable is said, and leaves no account behind.
async fn refused(world: &World, change: impl FnOnce(&mut Ways, &str), status: u16, says: &str) {
    let config = world.config("notion_mcp", json!({})).await;
    let url = world.server.url.clone();
    world.server.change(|w| {
        *w = Ways { challenge: w.challenge.take(), ..Ways::default() };
        change(w, &url);
    });
    let error = world.initiate(&config).await.expect_error(status);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
    assert!(error["suggested_fix"].as_str().is_some_and(|f| !f.is_empty()));
    let all = world.client().get("/api/v3/connected_accounts").await.expect(200);
    assert_eq!(all["total_items"], 0, "a half-made account");
}

fn metadata(w: &mut Ways, keys: Value) {
    w.metadata = keys.as_object().unwrap().clone();
}

#[tokio::test]
async fn servers_that_lack_something_are_told_what() {
    let world = World::new().await;
    let cases = [
        (json!({"registration_endpoint": null}), "no registration_endpoint"),
        (json!({"token_endpoint": null}), "no token_endpoint"),
        (json!({"authorization_endpoint": null}), "no authorization_endpoint"),
        (json!({"issuer": null}), "names no issuer"),
        (json!({"code_challenge_methods_supported": null}), "PKCE"),
        (json!({"code_challenge_methods_supported": ["plain"]}), "PKCE"),
        (json!({"response_types_supported": ["token"]}), "response type code"),
        (json!({"grant_types_supported": ["client_credentials"]}), "authorization code grant"),
        (
            json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
            "client authentications",
        ),
    ];
    for (keys, says) in cases {
        refused(&world, |w, _| metadata(w, keys), 400, says).await;
    }
}

#[tokio::test]
async fn servers_that_lie_are_not_believed() {
    let world = World::new().await;
    refused(
        &world,
        |w, _| metadata(w, json!({"issuer": "https://evil.example"})),
        400,
        "another issuer",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.resource =
                json!({"resource": "https://evil.example/mcp"}).as_object().unwrap().clone()
        },
        400,
        "another resource",
    )
    .await;
    refused(
        &world,
        |w, url| {
            w.resource = json!({"resource": format!("{url}/mc")}).as_object().unwrap().clone();
        },
        400,
        "another resource",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.registration =
                json!({"redirect_uris": ["https://evil.example"]}).as_object().unwrap().clone()
        },
        400,
        "another redirect URI",
    )
    .await;
    refused(
        &world,
        |w, _| w.registration = json!({"client_secret": null}).as_object().unwrap().clone(),
        400,
        "client_secret",
    )
    .await;
    refused(
        &world,
        |w, _| w.registration = json!({"client_id": null}).as_object().unwrap().clone(),
        400,
        "client_id",
    )
    .await;
}

#[tokio::test]
async fn endpoints_on_private_networks_without_tls_or_with_templates_are_refused() {
    let world = World::new().await;
    for place in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        for (to, says) in [
            ("http://mcp.example/x", "not an https URL"),
            ("https://169.254.169.254/latest", "private or reserved network"),
            ("https://10.0.0.1/x", "private or reserved network"),
            ("https://a:b@mcp.example/x", "user name"),
            ("javascript:alert(1)", "not a URL"),
            ("file:///etc/passwd", "not a URL"),
            ("https://mcp.example/{{ cred.client_secret }}", "not a URL"),
            ("https://mcp.example/x?{% raw %}", "not a URL"),
            ("https://mcp.example/x#frag", "not a URL"),
        ] {
            refused(&world, |w, _| metadata(w, json!({place: to})), 400, says).await;
        }
    }
    refused(
        &world,
        |w, _| {
            let list = json!({"authorization_servers": ["https://192.168.0.1"]});
            w.resource = list.as_object().unwrap().clone();
        },
        400,
        "private or reserved network",
    )
    .await;
    // Where the challenge leads is looked at in the same way.
    refused(
        &world,
        |w, _| w.challenge = Some("Bearer resource_metadata=\"http://10.0.0.1/x\"".into()),
        400,
        "resource_metadata",
    )
    .await;
}

#[tokio::test]
async fn huge_broken_and_redirected_documents_are_no_documents() {
    let world = World::new().await;
    let place = "/.well-known/oauth-authorization-server";
    refused(
        &world,
        |w, _| {
            w.pages.insert(
                place.into(),
                (200, vec![], format!("{{\"a\":\"{}\"}}", "x".repeat(300_000))),
            );
        },
        400,
        "larger than",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.pages.insert(place.into(), (200, vec![], "<html>hello</html>".into()));
        },
        400,
        "publishes no metadata",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.pages.insert(place.into(), (200, vec![], "[".repeat(100_000)));
        },
        400,
        "publishes no metadata",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.pages.insert(place.into(), (503, vec![], String::new()));
        },
        503,
        "HTTP 503",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.pages.insert(
                "/register".into(),
                (403, vec![], json!({"error": "access_denied"}).to_string()),
            );
        },
        400,
        "does not register unknown clients",
    )
    .await;
    refused(
        &world,
        |w, _| {
            w.pages.insert("/register".into(), (500, vec![], String::new()));
        },
        503,
        "registration endpoint",
    )
    .await;
}

#[tokio::test]
async fn redirects_are_followed_within_an_origin_only() {
    let world = World::new().await;
    let elsewhere = super::server::Server::start().await;
    let config = world.config("notion_mcp", json!({})).await;
    let place = "/.well-known/oauth-authorization-server".to_owned();
    let to = format!("{}{place}", elsewhere.url);
    world.server.change(|w| {
        w.pages.insert(place.clone(), (302, vec![("location", to)], String::new()));
    });
    let error = world.initiate(&config).await.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains("publishes no metadata"), "{error}");
    assert!(elsewhere.paths().is_empty(), "{:?}", elsewhere.paths());
    // Within the origin; and in a circle, which ends.
    let document = json!({"issuer": world.server.url,
        "authorization_endpoint": format!("{}/authorize", world.server.url),
        "token_endpoint": format!("{}/token", world.server.url),
        "registration_endpoint": format!("{}/register", world.server.url),
        "code_challenge_methods_supported": ["S256"]});
    world.server.change(|w| {
        w.pages.insert(place.clone(), (307, vec![("location", "/moved".into())], String::new()));
        w.pages.insert("/moved".into(), (200, vec![], document.to_string()));
    });
    world.begin(&config).await;
    let config = world.config("notion_mcp", json!({})).await;
    world.server.change(|w| {
        w.pages.insert(place.clone(), (307, vec![("location", place)], String::new()));
    });
    world.initiate(&config).await.expect_error(400);
}

#[tokio::test]
async fn a_server_that_a_person_names_must_be_a_public_one() {
    let world = World::new().await;
    let config = world.config("mcp", json!({})).await;
    for (server, says) in [
        ("169.254.169.254", "private or reserved network"),
        ("10.1.2.3:8080", "private or reserved network"),
        ("2130706433", "refused"),
        ("evil.example/path", "host name"),
        ("a@evil.example", "host name"),
        ("evil.example?x", "host name"),
        ("", "server"),
    ] {
        let val = json!({"server": server, "path": "/mcp", "status": "INITIALIZING"});
        let answer = world.initiate_with(&world.client(), &config, val).await;
        if server.is_empty() {
            // Nothing was named: the person is asked on the page.
            assert!(answer.expect(201)["redirect_url"].as_str().unwrap().contains("/link/"));
            continue;
        }
        let text = answer.text.clone();
        assert!((400..=503).contains(&answer.status), "{server}: {text}");
        assert!(text.contains(says) || says == "refused", "{server}: {text}");
    }
    assert!(world.server.paths().is_empty());
}

#[tokio::test]
async fn a_caller_cannot_say_where_tokens_are_sent() {
    let world = World::new().await;
    world.unmask().await;
    let config = world.config("notion_mcp", json!({})).await;
    let evil = super::server::Server::start().await;
    let server = json!({"server": {"issuer": evil.url, "authorize_url": evil.url,
        "token_url": format!("{}/token", evil.url), "register_url": null, "revoke_url": null,
        "resource": null, "methods": [], "sends_iss": false, "scopes": [],
        "offline_access": false, "found_at": "2030-01-01T00:00:00Z"},
        "method": "none", "redirect_uri": "https://x.example"});
    let val = json!({"access_token": "at", "refresh_token": "rt", "client_id": "c",
        "dcr_server": server, "status": "ACTIVE"});
    let made = world.initiate_with(&world.client(), &config, val.clone()).await.expect(201);
    let id = made["id"].as_str().unwrap();
    let body = json!({"connection": {"state": {"authScheme": "DCR_OAUTH", "val": val}}});
    world.client().patch(&format!("/api/v3/connected_accounts/{id}"), body).await;
    world.client().post(&format!("/api/v3/connected_accounts/{id}/refresh"), json!({})).await;
    assert!(evil.paths().is_empty(), "{:?}", evil.paths());
}
