//! Providers that misbehave, behind tools/execute and the proxy.

use std::io::Write;

use super::provider::Mode;
use super::world::{SECRET, World, oauth_account};
use crate::net::fault::response;

const TOOL: &str = "SERPAPI_SEARCH";

fn query() -> serde_json::Value {
    serde_json::json!({"query": "x"})
}

fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..1000 {
        encoder.write_all(&[b' '; 65536]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    response("200 OK", &[("content-encoding", "gzip")], &bomb)
}

/// Faults with the status that the proxy answers for each.
fn without_answer() -> Vec<(&'static str, Mode, u16)> {
    let bytes = |text: &str| Mode::Bytes(text.as_bytes().to_vec());
    vec![
        ("hangs", Mode::Hang, 504),
        ("trickles", Mode::Trickle, 504),
        ("resets", Mode::Reset, 502),
        ("never ends", Mode::Endless, 502),
        ("announces 1 GB", bytes("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n"), 502),
        ("sends a gzip bomb", Mode::Bytes(bomb()), 502),
        ("speaks another protocol", bytes("SSH-2.0-OpenSSH_9.2\r\n"), 502),
        ("closes at once", bytes(""), 502),
        (
            "redirects for ever",
            Mode::Bytes(response("302 Found", &[("location", "/search.json?again=1")], b"")),
            502,
        ),
        (
            "sends broken compression",
            Mode::Bytes(response("200 OK", &[("content-encoding", "gzip")], b"no gzip")),
            502,
        ),
    ]
}

#[tokio::test]
async fn a_provider_that_gives_no_answer_is_a_failed_execution_and_the_next_one_works() {
    let world = World::new().await;
    let account = world.connect("serpapi").await.account;
    let mut calls = 0;
    for (what, mode, _) in without_answer() {
        world.provider.set(mode);
        let answer = world.execute(TOOL, &account, query()).await;
        let body = answer.expect(200);
        assert_eq!(body["successful"], false, "{what}: {body}");
        assert!(body["error"].as_str().is_some_and(|e| e.contains("127.0.0.1")), "{what}: {body}");
        assert!(body["data"].is_object(), "{what}: {body}");
        assert!(body["log_id"].as_str().unwrap().starts_with("log_"), "{what}: {body}");
        world.provider.set(Mode::Good);
        let next = world.execute(TOOL, &account, query()).await.expect(200);
        assert_eq!(next["successful"], true, "after it {what}: {next}");
        calls += 2;
    }
    let rows = world.log_rows().await;
    assert_eq!(rows.len(), calls, "every call has its row");
    assert!(!rows.concat().contains(SECRET));
}

#[tokio::test]
async fn a_provider_that_gives_no_answer_is_a_gateway_error_of_the_proxy() {
    let world = World::new().await;
    let account = world.connect("serpapi").await.account;
    for (what, mode, status) in without_answer() {
        world.provider.set(mode);
        let answer = world.proxy(&account, "/search.json").await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        answer.expect_error(status);
        assert_eq!(answer.headers["x-should-retry"], "false", "{what}");
        assert!(!answer.text.contains(SECRET), "{what}: {}", answer.text);
        world.provider.set(Mode::Good);
        world.proxy(&account, "/search.json").await.expect(200);
    }
    assert!(!world.log_rows().await.concat().contains(SECRET));
}

#[tokio::test]
async fn an_error_answer_is_a_failed_execution_whatever_its_form() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    let html = "<!doctype html><html><body><script>alert(1)</script></body></html>";
    let long = format!("{{\"error\": \"{}\"}}", "y".repeat(90_000));
    let deep = format!("{}1{}", "[".repeat(40_000), "]".repeat(40_000));
    for (status, kind, body) in [
        ("500 Oops", "text/html", html.as_bytes()),
        ("500 Oops", "application/json", b"{broken"),
        ("500 Oops", "application/json", b""),
        ("503 Busy", "application/json", long.as_bytes()),
        ("404 Gone", "text/plain", b"\xff\xfe\x00\x01"),
        ("400 Bad", "application/json", b"{\"error\": {\"a\": [null, {}]}}"),
        ("400 Bad", "application/json", b"{\"error\": \"a\\u0000b\"}"),
        ("400 Bad", "application/json", deep.as_bytes()),
        ("302 Found", "text/plain", b"no location"),
        ("999 Odd", "text/plain", b"odd"),
    ] {
        world.provider.set(Mode::Bytes(response(status, &[("content-type", kind)], body)));
        let answer = world.execute("EXA_SEARCH", &account, query()).await.expect(200);
        assert_eq!(answer["successful"], false, "{status} {kind}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(!error.contains("<script") && error.len() < 5000, "{status}: {error}");
        world.proxy(&account, "/x").await.expect(200);
    }
    world.provider.set(Mode::Good);
    let next = world.execute("EXA_SEARCH", &account, query()).await.expect(200);
    assert_eq!(next["successful"], true);
    assert_eq!(world.log_rows().await.len(), 21);
}

#[tokio::test]
async fn a_successful_answer_in_an_odd_form_is_data() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    let deep = format!("{}1{}", "[".repeat(40_000), "]".repeat(40_000));
    for (kind, body) in [
        ("text/html", b"<h1>hello</h1>".as_slice()),
        ("application/json", b"{broken"),
        ("application/json", b""),
        ("application/json", b"[1, 2]"),
        ("application/json", b"null"),
        ("application/json", b"1e999"),
        ("application/json", deep.as_bytes()),
        ("application/json", b"{\"a\": \"x\\u0000y\", \"a\": 2}"),
        ("application/json", b"{\"a\": \"\\ud800\"}"),
        ("application/octet-stream", b"\x00\x01\x02"),
        ("not a type; ; \"", b"\xff\xff"),
    ] {
        world.provider.set(Mode::Bytes(response("200 OK", &[("content-type", kind)], body)));
        let answer = world.execute("EXA_SEARCH", &account, query()).await.expect(200);
        assert_eq!(answer["successful"], true, "{kind}: {answer}");
        assert!(answer["data"].is_object(), "{kind}: {answer}");
        let answer = world.proxy(&account, "/x").await.expect(200);
        assert_eq!(answer["status"], 200, "{kind}: {answer}");
    }
    assert_eq!(world.log_rows().await.len(), 22);
}

#[tokio::test]
async fn a_provider_that_repeats_the_credentials_does_not_give_them_away() {
    let world = World::new().await;
    for (toolkit, tool) in [("serpapi", TOOL), ("exa", "EXA_SEARCH")] {
        let account = world.connect(toolkit).await.account;
        world.provider.set(Mode::Echo);
        let failed = world.execute(tool, &account, query()).await;
        assert_eq!(failed.expect(200)["successful"], false);
        assert!(!failed.text.contains(SECRET), "{}", failed.text);
        let seen = world.provider.take().remove(0);
        assert!(seen.head.contains(SECRET), "the provider did get the key: {seen:?}");
    }
    assert!(!world.log_rows().await.concat().contains(SECRET));
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_credentials_and_private_addresses_stay_closed() {
    let world = World::new().await;
    let other = super::provider::Provider::start().await;
    let port = other.address.port();
    for (toolkit, tool) in [("serpapi", TOOL), ("exa", "EXA_SEARCH")] {
        let account = world.connect(toolkit).await.account;
        // As a provider that keeps the query would write it.
        let key = if toolkit == "serpapi" { SECRET } else { "" };
        let location = format!("http://localhost:{port}/there?api_key={key}&q=1");
        world.provider.set(Mode::Bytes(response("302 Found", &[("location", &location)], b"")));
        world.execute(tool, &account, query()).await.expect(200);
        world.proxy(&account, "/x").await.expect(200);
        for seen in other.take() {
            assert!(!format!("{}{}", seen.head, seen.body).contains(SECRET), "{seen:?}");
        }
        let metadata = "http://169.254.169.254/latest/meta-data/iam";
        world.provider.set(Mode::Bytes(response("302 Found", &[("location", metadata)], b"")));
        let answer = world.execute("SERPAPI_SEARCH", &account, query()).await;
        assert!(answer.status == 400 || answer.expect(200)["successful"] == false);
        let answer = world.proxy(&account, "/x").await;
        assert_eq!(answer.expect_error(400)["slug"], "HTTP_BadRequest", "{}", answer.text);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_misbehaves_is_a_clear_error_and_leaks_nothing() {
    let world = World::new().await;
    let id = oauth_account(&world.client, "at-old-secret", SECRET).await.account;
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let html = response("500 Oops", &[("content-type", "text/html")], b"<h1>Oops</h1>");
    let other = response("302 Found", &[("location", "http://localhost:1/")], b"");
    for (what, mode) in [
        ("resets", Mode::Reset),
        ("500", Mode::Bytes(html)),
        ("bomb", Mode::Bytes(bomb())),
        ("redirect", Mode::Bytes(other)),
        ("no token", Mode::Good),
        ("endless", Mode::Endless),
    ] {
        world.provider.set(mode);
        let answer = world.client.post(&path, serde_json::json!({})).await;
        assert!((400..600).contains(&answer.status), "{what}: {}", answer.text);
        answer.expect_error(answer.status);
        assert!(!answer.text.contains(SECRET), "{what}: {}", answer.text);
        let account = world.client.get(&format!("/api/v3/connected_accounts/{id}")).await;
        assert_eq!(account.expect(200)["status"], "ACTIVE", "after it {what}");
    }
    world.provider.set(Mode::Echo);
    let answer = world.client.post(&path, serde_json::json!({})).await;
    assert!(!answer.text.contains(SECRET), "{}", answer.text);
}
