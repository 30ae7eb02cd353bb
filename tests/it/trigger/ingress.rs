//! Calls of providers: verified, stored as events, answered.

use std::time::Duration;

use axum::body::Bytes;
use patchbay::domain::identity::Identity;
use patchbay::domain::time::now;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use super::provider::{Hook, World};
use crate::execute::provider::account;
use crate::support::client::TestResponse;

fn hex_mac(secret: &str, text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, text))
}

fn signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex_mac(secret, body))
}

/// A call as HOOKMOCK_THING wants it signed.
async fn call(world: &World, hook: &Hook, delivery: &str, body: &Value) -> TestResponse {
    let body = body.to_string();
    let client = world
        .app
        .anonymous()
        .header("x-signature", &signature(&hook.secret, body.as_bytes()))
        .header("x-delivery", delivery);
    client.post_raw(&hook.url, Bytes::from(body)).await
}

fn thing(name: &str) -> Value {
    json!({"kind": "thing", "name": name})
}

async fn with_thing() -> (World, String, Hook) {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    let hook = world.provider.hooks().pop().unwrap();
    (world, id, hook)
}

#[tokio::test]
async fn a_signed_call_is_an_event_before_it_is_answered() {
    let (world, id, hook) = with_thing().await;
    let answer = call(&world, &hook, "d1", &thing("cup")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let events = world.events(&id).await;
    assert_eq!(events.len(), 1);
    let (event, payload) = (&events[0], &events[0].payload);
    assert!(event.id.as_str().starts_with("msg_"));
    assert_eq!(payload["id"], event.id.as_str());
    assert_eq!(payload["type"], "composio.trigger.message");
    assert_eq!(event.kind, "composio.trigger.message");
    assert_eq!(payload["data"], json!({"name": "cup", "box": "b", "hook": "h1"}));
    let metadata = payload["metadata"].as_object().unwrap();
    let names: Vec<&str> = metadata.keys().map(String::as_str).collect();
    for (name, expected) in [
        ("trigger_slug", "HOOKMOCK_THING"),
        ("trigger_id", id.as_str()),
        ("connected_account_id", world.account.id.as_str()),
        ("auth_config_id", world.config.id.as_str()),
        ("user_id", "ann"),
    ] {
        assert_eq!(metadata[name], expected, "{name} {names:?}");
    }
    assert!(metadata["log_id"].as_str().unwrap().starts_with("log_"));
    assert!(payload["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(event.original.as_deref(), Some(thing("cup").to_string().as_str()));
    assert_eq!(event.dedupe_key.as_deref(), Some("d1"));
    let state = world.get(&id).await["state"].clone();
    assert!(state["last_event_at"].is_string() && state["last_error"].is_null(), "{state}");
}

#[tokio::test]
async fn a_delivery_is_one_event_however_often_it_comes() {
    let (world, id, hook) = with_thing().await;
    let (_, other) = world.app.another_server().await;
    for _ in 0..3 {
        assert_eq!(call(&world, &hook, "d1", &thing("cup")).await.status, 200);
    }
    let body = thing("cup").to_string();
    let path = hook.url.split_once("/hooks/").unwrap().1;
    let client = other
        .header("x-signature", &signature(&hook.secret, body.as_bytes()))
        .header("x-delivery", "d1");
    assert_eq!(client.post_raw(&format!("/hooks/{path}"), Bytes::from(body)).await.status, 200);
    assert_eq!(world.events(&id).await.len(), 1);
    call(&world, &hook, "d2", &thing("cup")).await.expect(200);
    assert_eq!(world.events(&id).await.len(), 2);
    // What the definition does not call an event is taken and leaves nothing.
    call(&world, &hook, "d3", &json!({"kind": "ping"})).await.expect(200);
    assert_eq!(world.events(&id).await.len(), 2);
}

#[tokio::test]
async fn forged_calls_are_refused_and_leave_a_line_in_the_health() {
    let (world, id, hook) = with_thing().await;
    let body = thing("cup").to_string();
    let good = signature(&hook.secret, body.as_bytes());
    let post = |signature: &str, body: &str| {
        let client = world.app.anonymous().header("x-signature", signature);
        let (url, body) = (hook.url.clone(), Bytes::from(body.to_owned()));
        async move { client.post_raw(&url, body).await }
    };
    for (signature, body) in [
        (signature("another secret", body.as_bytes()).as_str(), body.as_str()),
        (good.as_str(), thing("mug").to_string().as_str()),
        (&good[7..], &body),
        ("sha256=", &body),
        ("", &body),
    ] {
        let error = post(signature, body).await.expect_error(401);
        assert!(!error.to_string().contains(&hook.secret));
    }
    world.app.anonymous().post_raw(&hook.url, Bytes::from(body.clone())).await.expect_error(401);
    assert_eq!(world.events(&id).await.len(), 0);
    let state = world.get(&id).await["state"].clone();
    assert!(state["last_error"].as_str().unwrap().contains("signature"), "{state}");
    // A flood of them writes once a minute.
    let first = state["last_error_at"].clone();
    post("sha256=00", &body).await.expect_error(401);
    assert_eq!(world.get(&id).await["state"]["last_error_at"], first);
    assert_eq!(post(&good, &body).await.status, 200);
    assert_eq!(world.events(&id).await.len(), 1);
}

#[tokio::test]
async fn only_the_whole_url_of_the_project_leads_anywhere() {
    let (world, id, hook) = with_thing().await;
    let stranger = world.app.another_project().await;
    let (project, secret) = (world.app.project.id.as_str(), hook.url.rsplit('/').next().unwrap());
    let body = thing("cup").to_string();
    let client =
        world.app.anonymous().header("x-signature", &signature(&hook.secret, body.as_bytes()));
    let wrong_end = format!("{}x", &secret[..secret.len() - 1]);
    for path in [
        format!("/hooks/t/{project}/{id}/{wrong_end}"),
        format!("/hooks/t/{project}/{id}/"),
        format!("/hooks/t/{project}/{id}"),
        format!("/hooks/t/{project}/ti_unknown/{secret}"),
        format!("/hooks/t/{}/{id}/{secret}", stranger.id),
        format!("/hooks/e/{project}/{id}/{secret}"),
        format!("/hooks/t/{project}/{id}/{secret}/more"),
        format!("/hooks/t/{project}/{id}%00/{secret}"),
        format!("/hooks/t/{project}/{}/{secret}", "x".repeat(5000)),
    ] {
        let answer = client.post_raw(&path, Bytes::from(body.clone())).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
    assert_eq!(world.events(&id).await.len(), 0);
    for method in [Method::PUT, Method::DELETE, Method::GET, Method::HEAD] {
        let answer = client.send(client.request(method.clone(), &hook.url)).await;
        assert_eq!(answer.status, 405, "{method}");
    }
}

#[tokio::test]
async fn broken_and_oversized_bodies_are_refused() {
    let world = World::with(&[("PATCHBAY_MAX_BODY_BYTES", "20000")]).await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    let hook = world.provider.hooks().pop().unwrap();
    let post = |body: Vec<u8>| {
        let signature = signature(&hook.secret, &body);
        let client = world.app.anonymous().header("x-signature", &signature);
        let url = hook.url.clone();
        async move { client.post_raw(&url, body).await }
    };
    for (body, status) in [
        (b"{".to_vec(), 400),
        (b"\xff\xfe".to_vec(), 400),
        (b"{}{}".to_vec(), 400),
        (vec![b'['; 10_000], 400),
        (vec![b' '; 30_000], 413),
        (b"".to_vec(), 200),
        (b"null".to_vec(), 200),
        (b"[1, \"thing\"]".to_vec(), 200),
        (br#"{"kind": 5}"#.to_vec(), 200),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        assert_eq!(post(body).await.status, status, "{shown}");
    }
    let state = world.get(&id).await["state"].clone();
    assert!(state["last_error"].as_str().unwrap().contains("not JSON"), "{state}");
    assert_eq!(world.events(&id).await.len(), 0);
    // NUL is no reason to lose an event.
    let text = "{\"kind\": \"thing\", \"name\": \"a\\u0000b\"}";
    assert_eq!(post(text.as_bytes().to_vec()).await.status, 200);
    assert_eq!(world.events(&id).await[0].payload["data"]["name"], "a\u{fffd}b");
}

#[tokio::test]
async fn a_list_is_an_event_per_element_and_the_same_body_is_the_same_events() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_LIST", json!({"box": "b"})).await;
    let state = world.get(&id).await["state"].clone();
    let text = |name: &str| state[name].as_str().unwrap().to_owned();
    let (url, secret) = (text("webhook_url"), text("webhook_secret"));
    assert!(world.list("").await["items"][0]["state"].get("webhook_secret").is_none());
    let item = |name: &str| json!({"clientState": secret, "name": name});
    let body = json!({"value": [item("a"), item("a"), item("b")]});
    let client = world.app.anonymous();
    for _ in 0..2 {
        client.post(&url, body.clone()).await.expect(200);
    }
    let names: Vec<Value> =
        world.events(&id).await.iter().map(|e| e.payload["data"]["name"].clone()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let forged = json!({"value": [item("c"), {"clientState": "x", "name": "c"}]});
    client.post(&url, forged).await.expect_error(401);
    client.post(&url, json!({"value": []})).await.expect_error(401);
    assert_eq!(world.events(&id).await.len(), 3);
}

#[tokio::test]
async fn handshakes_are_answered_and_never_as_a_page() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_LIST", json!({"box": "b"})).await;
    let url = world.get(&id).await["state"]["webhook_url"].as_str().unwrap().to_owned();
    let client = world.app.anonymous();
    let script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for answer in [
        client.post(&format!("{url}?validationToken={script}"), json!({})).await,
        client.get(&format!("{url}?validationToken={script}")).await,
    ] {
        assert_eq!((answer.status, answer.text.as_str()), (200, "<script>alert(1)</script>"));
        let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert!(header("content-security-policy").contains("default-src 'none'"));
    }
    let head = client.send(client.request(Method::HEAD, &url)).await;
    assert_eq!(head.status, 200);
    // This one has to be verified.
    let challenge = json!({"type": "url_verification", "challenge": "c"});
    client.post(&url, challenge).await.expect_error(401);
    assert_eq!(world.events(&id).await.len(), 0);
}

#[tokio::test]
async fn a_secret_of_a_handshake_is_kept_once_and_checked_from_then_on() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_SHOOK", json!({"box": "b"})).await;
    let hook = world.provider.hooks().pop().unwrap();
    assert_eq!(world.get(&id).await["state"]["registration"], "registered");
    let body = json!({"name": "x"}).to_string();
    let post = |secret: &str| {
        use base64::Engine;
        let key = hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes());
        let mac = hmac::sign(&key, body.as_bytes());
        let text = base64::engine::general_purpose::STANDARD.encode(mac);
        let client = world.app.anonymous().header("x-hook-signature", &text);
        let (url, body) = (hook.url.clone(), Bytes::from(body.clone()));
        async move { client.post_raw(&url, body).await }
    };
    assert_eq!(post(&hook.secret).await.status, 200);
    // Another handshake is answered, and changes nothing.
    let stranger = world.app.anonymous().header("x-hook-secret", "mine");
    stranger.post(&hook.url, json!({})).await.expect(200);
    assert_eq!(post("mine").await.status, 401);
    assert_eq!(post(&hook.secret).await.status, 200);
    assert_eq!(world.events(&id).await.len(), 1);
    // The next registration may bring another one.
    world.manage(&id, "disable").await.expect(200);
    world.until(&id, |shown| shown["state"]["registration"] == "removed").await;
    world.provider.mood(|mood| mood.shakes = "another-secret");
    world.manage(&id, "enable").await.expect(200);
    assert_eq!([post(&hook.secret).await.status, post("another-secret").await.status], [401, 200]);
    let sealed: Vec<u8> = sqlx::query_scalar("select secrets from trigger_instance")
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains(&hook.secret));
}

#[tokio::test]
async fn old_calls_are_refused_and_forms_are_read() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_STAMPED", json!({"box": "b"})).await;
    let hook = world.provider.hooks().pop().unwrap();
    let body = json!({"id": "e1", "name": "x"}).to_string();
    let post = |at: i64| {
        let mac = hex_mac(&hook.secret, format!("{at}.{body}").as_bytes());
        let client = world.app.anonymous().header("x-stamp", &format!("t={at},v1=00,v1={mac}"));
        let (url, body) = (hook.url.clone(), Bytes::from(body.clone()));
        async move { client.post_raw(&url, body).await.status }
    };
    let at = now().timestamp();
    assert_eq!([post(at - 400).await, post(at + 400).await], [401, 401]);
    assert_eq!([post(at - 200).await, post(at).await], [200, 200]);
    assert_eq!(world.events(&id).await.len(), 1);
    let bell = world.set_up("HOOKMOCK_BELL", json!({})).await;
    let state = world.get(&bell).await["state"].clone();
    let client =
        world.app.anonymous().header("x-bell-token", state["webhook_secret"].as_str().unwrap());
    let request = client.request(Method::POST, state["webhook_url"].as_str().unwrap());
    let form = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body("who=Bob+%26+Eve&n=3");
    assert_eq!(client.send(form).await.status, 200);
    let events = world.events(&bell).await;
    assert_eq!(events[0].payload["data"], json!({"form": "Bob & Eve", "n": "3"}));
}

#[tokio::test]
async fn disabled_and_deleted_instances_take_no_events() {
    let (world, id, hook) = with_thing().await;
    let (replica, _) = world.app.another_server().await;
    call(&world, &hook, "d0", &thing("a")).await.expect(200);
    world.manage(&id, "disable").await.expect(200);
    assert_eq!(call(&world, &hook, "d1", &thing("a")).await.status, 200);
    world.delete(&id).await.expect(200);
    assert_eq!(call(&world, &hook, "d2", &thing("a")).await.status, 410);
    assert_eq!(world.events(&id).await.len(), 1);
    drop(replica);
}

#[tokio::test]
async fn a_replica_that_knew_an_instance_hears_that_it_is_deleted() {
    let (world, id, hook) = with_thing().await;
    let (_, other) = world.app.another_server().await;
    let body = thing("cup").to_string();
    let path = format!("/hooks/{}", hook.url.split_once("/hooks/").unwrap().1);
    let client = other.header("x-signature", &signature(&hook.secret, body.as_bytes()));
    let post = || client.post_raw(&path, Bytes::from(body.clone()));
    assert_eq!(post().await.status, 200);
    world.delete(&id).await.expect(200);
    for _ in 0..200 {
        if post().await.status == 410 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the other server still takes its calls");
}

#[tokio::test]
async fn an_account_that_is_shut_hears_nothing_until_it_is_open_again() {
    let (world, id, hook) = with_thing().await;
    let status = |enabled: bool| {
        let path = format!("/api/v3/connected_accounts/{}/status", world.account.id);
        let client = world.app.client();
        async move { client.patch(&path, json!({"enabled": enabled})).await.expect(200) }
    };
    status(false).await;
    assert_eq!(world.get(&id).await["state"]["status"], "waiting");
    assert_eq!(call(&world, &hook, "d1", &thing("a")).await.status, 200);
    assert_eq!(world.events(&id).await.len(), 0);
    status(true).await;
    assert_eq!(call(&world, &hook, "d2", &thing("a")).await.status, 200);
    assert_eq!(world.events(&id).await.len(), 1);
    // A lapsed token does not keep the provider from calling.
    world.sql("update connected_account set status = 'EXPIRED'").await;
    world.app.app.cache.clear();
    assert_eq!(call(&world, &hook, "d3", &thing("a")).await.status, 200);
    assert_eq!(world.events(&id).await.len(), 2);
    assert_eq!(world.get(&id).await["state"]["account_status"], "EXPIRED");
}

#[tokio::test]
async fn the_provider_is_told_while_the_account_that_goes_still_has_credentials() {
    let (world, id, _) = with_thing().await;
    let path = format!("/api/v3/connected_accounts/{}", world.account.id);
    world.app.client().delete(&path).await.expect(200);
    assert_eq!(world.provider.hooks().len(), 0);
    world.delete(&id).await.expect_error(410);
    // A revoked account may be connected again: its instances are disabled, and stay.
    let eve = world.granted("eve").await;
    let body = json!({"connected_account_id": eve.id, "trigger_config": {"box": "b"}});
    let made = world.upsert("HOOKMOCK_THING", body).await.expect(200);
    assert_eq!(world.provider.hooks().len(), 1);
    let path = format!("/api/v3.1/connected_accounts/{}/revoke", eve.id);
    world.app.client().post(&path, json!({})).await.expect(200);
    assert_eq!(world.provider.hooks().len(), 0);
    let state = world.get(made["trigger_id"].as_str().unwrap()).await["state"].clone();
    assert_eq!((&state["status"], &state["disabled_by"]), (&json!("disabled"), &json!("user")));
    assert_eq!(state["disabled_reason"], "Its connected account was revoked");
    // A deleted auth config takes its accounts along.
    let bob = world.account_of("bob").await;
    let body = json!({"connected_account_id": bob.id, "trigger_config": {"box": "b"}});
    world.upsert("HOOKMOCK_THING", body).await.expect(200);
    let path = format!("/api/v3/auth_configs/{}", world.config.id);
    world.app.client().delete(&path).await.expect(200);
    assert_eq!(world.provider.hooks().len(), 0);
}

#[tokio::test]
async fn a_provider_is_asked_to_call_again_when_the_database_is_away() {
    let (world, _, hook) = with_thing().await;
    call(&world, &hook, "d1", &thing("a")).await.expect(200);
    world.app.app.db.close().await;
    let answer = call(&world, &hook, "d2", &thing("a")).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
}

async fn app_call(world: &World, url: &str, secret: &str, body: &Value) -> TestResponse {
    let (body, at) = (body.to_string(), now().timestamp());
    let mac = hex_mac(secret, format!("v0:{at}:{body}").as_bytes());
    let client = world
        .app
        .anonymous()
        .header("x-app-signature", &format!("v0={mac}"))
        .header("x-app-timestamp", &at.to_string());
    client.post_raw(url, Bytes::from(body)).await
}

#[tokio::test]
async fn one_url_of_an_app_serves_all_instances_that_a_call_concerns() {
    let world = World::new().await;
    let of_team = |user: &'static str, team: &'static str| {
        account(&world.app, &world.config, user, json!({"generic_api_key": "k"}), move |account| {
            account.identity = Some(Identity { id: Some(team.into()), ..Identity::default() });
        })
    };
    let (one, two) = (of_team("one", "T1").await, of_team("two", "T2").await);
    let set_up = |account: patchbay::domain::connection::Account, room: &'static str| {
        let config = json!({"connected_account_id": account.id, "trigger_config": {"room": room}});
        let world = &world;
        async move {
            let made = world.upsert("HOOKMOCK_APP", config).await.expect(200);
            made["trigger_id"].as_str().unwrap().to_owned()
        }
    };
    let all = set_up(one.clone(), "").await;
    let only = set_up(one, "r1").await;
    let other = set_up(two, "").await;
    let client = world.app.client();
    let health = |id: &str| {
        let path = format!("/api/v3/trigger_instances/manage/{id}");
        let client = world.app.client();
        async move { client.get(&path).await.expect(200)["state"].clone() }
    };
    // Nobody can call yet, and the instance says so.
    let state = health(&all).await;
    assert_eq!((&state["status"], &state["registration"]), (&json!("waiting"), &json!("none")));
    assert!(state["registration_error"].as_str().unwrap().contains("webhook_endpoints"), "{state}");
    let path = "/api/v3.1/webhook_endpoints";
    let new = json!({"toolkit_slug": "hookmock", "client_id": "app-1"});
    let made = client.post(path, new.clone()).await.expect(201);
    assert_eq!(client.post(path, new).await.expect(200)["id"], made["id"]);
    assert_eq!(made["setup_fields"], json!(["signing_secret"]));
    let state = health(&all).await;
    assert_eq!(state["status"], "active");
    let to_do = state["registration_error"].as_str().unwrap();
    assert!(to_do.contains(made["id"].as_str().unwrap()), "{to_do}");
    let url = made["webhook_url"].as_str().unwrap().to_owned();
    let secret = "signing-secret-1";
    let body = json!({"team": "T1", "room": "r2", "text": "hi", "event_id": "e1"});
    // Nothing is taken before the secret is known.
    app_call(&world, &url, secret, &body).await.expect_error(401);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    client.post(&one, json!({"data": {}})).await.expect_error(400);
    client.patch(&one, json!({"data": {"other": "x"}})).await.expect_error(400);
    let shown = client.post(&one, json!({"data": {"signing_secret": secret}})).await.expect(200);
    assert_eq!(shown["data"], json!({"signing_secret": "sign..."}));
    let verification = json!({"type": "url_verification", "challenge": "c-1"});
    let answer = app_call(&world, &url, secret, &verification).await.expect(200);
    assert_eq!(answer, json!({"challenge": "c-1"}));
    app_call(&world, &url, "another", &verification).await.expect_error(401);
    for _ in 0..2 {
        app_call(&world, &url, secret, &body).await.expect(200);
    }
    let count = |id: String| {
        let world = &world;
        async move { world.events(&id).await.len() }
    };
    assert_eq!(
        [count(all.clone()).await, count(only.clone()).await, count(other.clone()).await],
        [1, 0, 0]
    );
    let body = json!({"team": "T1", "room": "r1", "text": "hi", "event_id": "e2"});
    app_call(&world, &url, secret, &body).await.expect(200);
    assert_eq!([count(all).await, count(only).await, count(other).await], [2, 1, 0]);
    app_call(&world, &url, "another", &body).await.expect_error(401);
    let verified_at = client.get(&one).await.expect(200)["verified_at"].clone();
    assert!(verified_at.is_string());
    let listed = client.get("/api/v3/trigger_instances/active").await.expect(200);
    for instance in listed["items"].as_array().unwrap() {
        let state = &instance["state"];
        assert_eq!(state["registration"], "registered", "{state}");
        assert_eq!(
            (&state["registered_at"], &state["registration_error"]),
            (&verified_at, &json!(null))
        );
    }
    let list = client.get(&format!("{path}?toolkit_slug=hookmock")).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let stranger = world.app.client_of(&world.app.another_project().await);
    stranger.get(&one).await.expect_error(404);
    stranger.patch(&one, json!({"data": {"signing_secret": "x"}})).await.expect_error(404);
    assert_eq!(stranger.get(path).await.expect(200)["items"], json!([]));
    let none = json!({"toolkit_slug": "github", "client_id": "a"});
    client.post(path, none).await.expect_error(400);
}

#[tokio::test]
async fn events_of_a_time_span_are_sent_again_under_their_ids() {
    let (world, id, hook) = with_thing().await;
    let client = world.app.client();
    let sub = json!({"webhook_url": format!("http://{}/nobody", world.app.address),
        "enabled_events": ["composio.trigger.message"], "version": "V3"});
    client.post("/api/v3/webhook_subscriptions", sub).await;
    for n in 0..3 {
        call(&world, &hook, &format!("d{n}"), &thing("cup")).await.expect(200);
    }
    world.sql("update webhook_delivery set outcome = 'delivered', next_at = null, ended_at = now(), claim = null").await;
    let events = world.events(&id).await;
    let path = format!("/api/v3/trigger_instances/manage/{id}/replay");
    let at = |n: usize| patchbay::domain::time::iso(events[n].created_at);
    let body = json!({"from": at(1)});
    assert_eq!(client.post(&path, body).await.expect(200), json!({"deliveries": 2}));
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from webhook_delivery where event_id = $1")
            .bind(events[2].id.as_str())
            .fetch_one(&world.app.app.db)
            .await
            .unwrap();
    assert_eq!((waiting, world.events(&id).await.len()), (1, 3));
    for body in [json!({}), json!({"from": "yesterday"}), json!({"from": at(1), "to": at(0)})] {
        client.post(&path, body).await.expect_error(400);
    }
    let stranger = world.app.client_of(&world.app.another_project().await);
    stranger.post(&path, json!({"from": at(0)})).await.expect_error(404);
}
