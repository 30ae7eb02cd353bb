//! What an attacker would try.

use reqwest::Method;

use super::{Client, REDIRECT, location, opens, query_of, refused, session};
use crate::support::TestApp;
use crate::support::client::TestResponse;
use serde_json::json;

fn with(parameters: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut changed = parameters.to_vec();
    changed.retain(|(n, _)| n != name);
    changed.push((name.to_owned(), value.to_owned()));
    changed
}

/// The link that an error page offers.
fn offered(response: &TestResponse) -> String {
    assert_eq!(response.status, 400, "{}", response.text);
    assert!(!response.headers.contains_key("location"));
    let link = response.text.split("<a href=\"").nth(1).unwrap().split('"').next().unwrap();
    link.replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn a_program_on_the_own_machine_hears_of_an_error_at_once() {
    let app = TestApp::new().await;
    let body = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    let made = app.anonymous().post("/oauth/register", body).await.expect(201);
    let id = made["client_id"].as_str().unwrap();
    let page =
        format!("/oauth/authorize?client_id={id}&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb");
    let back = location(&app.anonymous().get(&page).await);
    assert!(back.starts_with("http://127.0.0.1:9/cb?error=invalid_request"), "{back}");
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_was_not_registered() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (_, url) = session(&app).await;
    let good = client.parameters(&url);
    for uri in [
        "https://evil.example/",
        "https://client.example/back",
        "https://client.example/back?keep=1&x",
        "https://client.example.evil.example/back?keep=1",
        "javascript:alert(1)",
        "//evil.example/",
        "",
    ] {
        let page = Client::page_of(&with(&good, "redirect_uri", uri));
        let shown = client.http.get(&page).await;
        assert_eq!(shown.status, 400, "{uri}");
        assert!(!shown.headers.contains_key("location"), "{uri}");
        let posted = client.http.send(client.http.request(Method::POST, &page)).await;
        assert_eq!(posted.status, 400, "{uri}");
    }
    // Two addresses, of which one is good, and a client that nobody registered.
    let mut both = good.clone();
    both.push(("redirect_uri".into(), "https://evil.example/".into()));
    assert_eq!(client.http.get(&Client::page_of(&both)).await.status, 400);
    for id in ["mcp_x", "", "mcp_bm9wZQ"] {
        let page = Client::page_of(&with(&good, "client_id", id));
        assert_eq!(client.http.get(&page).await.status, 400, "{id}");
    }
}

#[tokio::test]
async fn weak_or_missing_pkce_goes_back_to_the_client() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (_, url) = session(&app).await;
    let good = client.parameters(&url);
    for (name, value, error) in [
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("resource", "https://evil.example/mcp", "invalid_target"),
        ("resource", "javascript:x", "invalid_target"),
    ] {
        let answer = client.http.get(&Client::page_of(&with(&good, name, value))).await;
        // Anybody can register: nobody is sent anywhere without being asked.
        let back = offered(&answer);
        assert!(back.starts_with("https://client.example/back?keep=1&"), "{back}");
        let query = query_of(&back);
        assert_eq!(query["error"], error, "{name}={value}");
        assert_eq!(query["state"], "the state & more");
        assert_eq!(query["iss"], app.url(""));
    }
    let mut twice = good.clone();
    twice.push(("code_challenge".into(), "x".repeat(43)));
    let answer = client.http.get(&Client::page_of(&twice)).await;
    assert_eq!(query_of(&offered(&answer))["error"], "invalid_request");
    // At the token endpoint: no verifier, a wrong one, the challenge itself.
    for verifier in [None, Some("x".repeat(43)), Some(good[3].1.clone())] {
        let code = client.code(&url, &app.project.key).await;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("code", &code),
            ("redirect_uri", REDIRECT),
        ];
        if let Some(verifier) = &verifier {
            form.push(("code_verifier", verifier));
        }
        let answer = client.token(&form).await;
        refused(&answer, if verifier.is_none() { "invalid_request" } else { "invalid_grant" });
        if verifier.is_some() {
            // A code that somebody tried out is worth nothing any more.
            refused(&client.exchange(&code).await, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn a_code_or_token_of_one_client_is_nothing_to_another() {
    let app = TestApp::new().await;
    let victim = Client::register(&app).await;
    let mut thief = Client::register(&app).await;
    thief.verifier.clone_from(&victim.verifier);
    let (_, url) = session(&app).await;
    let code = victim.code(&url, &app.project.key).await;
    refused(&thief.exchange(&code).await, "invalid_grant");
    let tokens = victim.tokens(&url, &app.project.key).await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    refused(&thief.renew(refresh).await, "invalid_grant");
    victim.renew(refresh).await.expect(200);
    // Another resource than the one that was allowed.
    let code = victim.code(&url, &app.project.key).await;
    let other = app.url("/tool_router/trs_other/mcp");
    let answer = victim
        .token(&[
            ("grant_type", "authorization_code"),
            ("client_id", &victim.id),
            ("code", &code),
            ("code_verifier", &victim.verifier),
            ("resource", &other),
        ])
        .await;
    refused(&answer, "invalid_target");
    for junk in ["", "mco_", "mco_a_b", "mrt_x", "' or 1=1 --", "\u{0}"] {
        let status = victim.exchange(junk).await.status;
        assert_eq!(status, 400, "{junk:?}");
        assert_eq!(victim.renew(junk).await.status, 400, "{junk:?}");
    }
    let twice = [("grant_type", "refresh_token"), ("client_id", "x"), ("client_id", "y")];
    refused(&victim.token(&twice).await, "invalid_request");
    refused(&victim.token(&[("grant_type", "password")]).await, "unsupported_grant_type");
}

#[tokio::test]
async fn a_key_of_another_project_lets_nobody_into_this_one() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let page = Client::page_of(&client.parameters(&url));
    let foreign = app.another_project().await;
    for key in [foreign.key.as_str(), app.org_key.as_str(), "ak_guessed-guessed-guessed", "\u{0}"] {
        let shown = client.person(&page, &[("api_key", key), ("action", "allow")]).await;
        assert_eq!(shown.status, 401, "{key}");
        assert!(!shown.text.contains(key) || key == "\u{0}", "the key is on the page");
        assert!(!shown.headers.contains_key("location"));
    }
    let empty = client.person(&page, &[("api_key", ""), ("action", "allow")]).await;
    assert_eq!(empty.status, 400);
    // A token for the whole of the other project opens nothing here.
    let all = Client::page_of(&with(&client.parameters(&url), "resource", &app.url("")));
    let form = [("api_key", foreign.key.as_str()), ("action", "allow")];
    let back = location(&client.person(&all, &form).await);
    let tokens = client.exchange(&query_of(&back)["code"]).await.expect(200);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(opens(&app, access, &path).await.as_deref(), Some(foreign.id.as_str()));
    assert_ne!(foreign.id, app.project.id);
    // The project in a token is part of what is hashed.
    let own = app.project.id.as_str().trim_start_matches("pr_");
    let forged = access.replace(foreign.id.as_str().trim_start_matches("pr_"), own);
    assert_eq!(opens(&app, &forged, &path).await, None);
}

#[tokio::test]
async fn a_form_counts_only_from_the_page_that_was_shown_to_this_browser() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (_, url) = session(&app).await;
    let page = Client::page_of(&client.parameters(&url));
    let shown = client.http.get(&page).await;
    let cookie = shown.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(shown.headers[name], value);
    }
    let policy = shown.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
    assert!(!shown.text.contains("<script"));
    let proof = shown.text.split("name=\"proof\" value=\"").nth(1).unwrap();
    let proof = proof.split('"').next().unwrap();
    let key = app.project.key.as_str();
    let stolen = "patchbay_sign_in=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for cookie in [None, Some(stolen), Some("patchbay_sign_in=x")] {
        let form = [("proof", proof), ("api_key", key), ("action", "allow")];
        let mut request = client.http.request(Method::POST, &page).form(&form);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        assert_eq!(client.http.send(request).await.status, 403, "{cookie:?}");
    }
    let denied = client.person(&page, &[("action", "deny")]).await;
    assert_eq!(query_of(&location(&denied))["error"], "access_denied");
}

#[tokio::test]
async fn names_and_states_are_shown_and_sent_as_text() {
    let app = TestApp::new().await;
    let body =
        json!({"client_name": "<img src=x onerror=alert(1)>\"'&", "redirect_uris": [REDIRECT]});
    let made = app.anonymous().post("/oauth/register", body).await.expect(201);
    let mut client = Client::register(&app).await;
    client.id = made["client_id"].as_str().unwrap().to_owned();
    let (_, url) = session(&app).await;
    let good = client.parameters(&url);
    let shown = client.http.get(&Client::page_of(&good)).await;
    assert!(!shown.text.contains("<img"), "{}", shown.text);
    assert!(shown.text.contains("client.example"));
    let state = "a\r\nSet-Cookie: x=y&code=forged";
    let page = Client::page_of(&with(&good, "state", state));
    let denied = location(&client.person(&page, &[("action", "deny")]).await);
    let query = query_of(&denied);
    assert_eq!(query["state"], state);
    assert!(!query.contains_key("code"));
}

#[tokio::test]
async fn keys_cannot_be_tried_out_without_end() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (_, url) = session(&app).await;
    let page = Client::page_of(&client.parameters(&url));
    for _ in 0..200 {
        let form = [("api_key", "ak_wrong-wrong-wrong"), ("action", "allow")];
        let shown = client.person(&page, &form).await;
        if shown.status == 429 {
            return;
        }
        assert_eq!(shown.status, 401);
    }
    panic!("nobody stopped it");
}
