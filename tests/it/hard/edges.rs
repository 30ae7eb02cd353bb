//! Bad paths, queries, headers and methods.

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::World;
use crate::support::app::TestApp;

/// Sends bytes as they are and returns the answer until the server closes.
async fn raw(app: &TestApp, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn gets() -> Vec<(String, Value)> {
    let spec = serde_json::from_str::<Value>(&patchbay::api::openapi()).unwrap();
    let paths = spec["paths"].as_object().unwrap();
    let gets: Vec<_> = paths
        .iter()
        .filter(|(_, item)| item["get"].is_object())
        .map(|(path, item)| (path.clone(), item["get"].clone()))
        .collect();
    assert!(gets.len() > 20);
    gets
}

fn has_query(operation: &Value, name: &str) -> bool {
    operation["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == name))
}

#[tokio::test]
async fn odd_ids_in_every_path_are_client_errors() {
    let world = World::new().await;
    let spec = serde_json::from_str::<Value>(&patchbay::api::openapi()).unwrap();
    for (path, item) in spec["paths"].as_object().unwrap() {
        if !path.contains('{') {
            continue;
        }
        let client = match super::world::wants_org(path) {
            true => world.app.org_client(),
            false => world.app.client(),
        };
        for odd in [
            "%00",
            "%ff",
            "%c0%af",
            "..%2f..%2fetc%2fpasswd",
            "%2e%2e",
            "'%20or%201=1--",
            "%E2%80%AE",
            "a%0d%0aX-Evil:%201",
            "%25",
            "{nanoid}",
            &"x".repeat(5000),
        ] {
            let mut target = String::new();
            for part in path.split('/').skip(1) {
                target.push('/');
                target.push_str(if part.starts_with('{') { odd } else { part });
            }
            for method in ["get", "delete", "post", "patch"] {
                if !item[method].is_object() {
                    continue;
                }
                let verb: Method = method.to_uppercase().parse().unwrap();
                let request =
                    client.request(verb, &target).header("content-type", "application/json");
                let request = if method == "get" || method == "delete" {
                    request
                } else {
                    request.body("{}")
                };
                let answer = client.send(request).await;
                let what = format!(
                    "{method} {path} with {odd:.40}: {} {:.300}",
                    answer.status, answer.text
                );
                assert!((400..500).contains(&answer.status), "{what}");
                answer.expect_error(answer.status);
                assert!(!answer.headers.contains_key("x-evil"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn absurd_limits_and_forged_cursors_at_every_list() {
    let world = World::new().await;
    let mut lists = 0;
    for (path, operation) in gets() {
        if !has_query(&operation, "limit") || path.contains('{') {
            continue;
        }
        lists += 1;
        let client = match super::world::wants_org(&path) {
            true => world.app.org_client(),
            false => world.app.client(),
        };
        for limit in ["-1", "0", "999999999999999999999", "1e308", "-1e308", "1.5", "inf"] {
            let answer = client.get(&format!("{path}?limit={limit}")).await;
            assert!(
                answer.status == 200 || answer.status == 400,
                "{path} {limit}: {}",
                answer.text
            );
        }
        for limit in ["abc", "NaN", "1;drop", "%00", "[]"] {
            let answer = client.get(&format!("{path}?limit={limit}")).await;
            assert_eq!(answer.status, 400, "{path} {limit}: {}", answer.text);
            answer.expect_error(400);
        }
        if !has_query(&operation, "cursor") {
            continue;
        }
        for cursor in [
            "forged",
            "%ff",
            "%00",
            "MS0",
            "LTEtMTA",
            "OTk5OTk5OTk5OTk5OTk5OTk5LTEw",
            "MS0xMDAwMDAwMDAw",
            "e30",
            "bnVsbA==",
            "../..",
            &"A".repeat(6000),
        ] {
            let answer = client.get(&format!("{path}?cursor={cursor}")).await;
            assert_eq!(answer.status, 400, "{path} {cursor:.50}: {}", answer.text);
            answer.expect_error(400);
        }
        // A cursor far beyond the end is a page without items.
        let answer = client.get(&format!("{path}?cursor=OTk5OTk5OTk5LTEwMDA")).await;
        assert!(answer.status == 200 || answer.status == 400, "{path}: {}", answer.text);
    }
    assert!(lists >= 8, "{lists}");
}

#[tokio::test]
async fn odd_queries_are_never_a_server_error() {
    let world = World::new().await;
    for (path, operation) in gets() {
        if path.contains('{') {
            continue;
        }
        let client = match super::world::wants_org(&path) {
            true => world.app.org_client(),
            false => world.app.client(),
        };
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let names = parameters.iter().filter_map(|p| p["name"].as_str());
        for name in names.chain(["unknown"]) {
            for odd in [
                "=%00",
                "=%ff",
                "=a&{}=b",
                "[a]=1",
                "[a][b]=1",
                "[]=%00",
                "=%27--",
                "=%25_%5c",
                "=%f0%9f%98%80",
                "=",
                "",
            ] {
                let query = format!("{name}{}", odd.replace("{}", name));
                let answer = client.get(&format!("{path}?{query}")).await;
                assert!(answer.status < 500, "{path}?{query}: {} {}", answer.status, answer.text);
                if answer.status >= 400 {
                    answer.expect_error(answer.status);
                }
            }
        }
        let many = vec!["toolkit_slugs=x"; 2000].join("&");
        let answer = client.get(&format!("{path}?{many}")).await;
        assert!(answer.status < 500, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_request_id_cannot_carry_anything_else() {
    let app = TestApp::new().await;
    for id in ["<script>", "a b", &"x".repeat(129), "a;b", "é"] {
        let answer = app.client().header("x-request-id", id).get("/api/v3/nothing").await;
        let error = answer.expect_error(404);
        assert_ne!(error["request_id"], id, "{id}");
    }
    let answer = app.client().header("x-request-id", "my-id_1").get("/api/v3/nothing").await;
    assert_eq!(answer.expect_error(404)["request_id"], "my-id_1");
}

#[tokio::test]
async fn bytes_in_headers_that_are_no_text_are_refused() {
    let app = TestApp::new().await;
    for key in [b"\xff\xfe".as_slice(), b"ak_\xc3\x28", "ключ".as_bytes()] {
        let request = [
            b"GET /api/v3/auth/session/info HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: "
                .as_slice(),
            key,
            b"\r\n\r\n",
        ]
        .concat();
        let answer = raw(&app, &request).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("\"request_id\""), "{answer}");
    }
    let nul = b"GET /api/v3/auth/session/info HTTP/1.1\r\nhost: x\r\nx-api-key: a\0b\r\n\r\n";
    assert!(raw(&app, nul).await.starts_with("HTTP/1.1 400"));
    app.client().get("/api/v3/auth/session/info").await.expect(200);
}

#[tokio::test]
async fn a_head_that_is_too_large_or_malformed_is_refused_and_the_server_lives() {
    let app = TestApp::new().await;
    let huge = format!(
        "GET /api/v3/auth/session/info HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n",
        "y".repeat(3_000_000)
    );
    let answer = raw(&app, huge.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer:.200}");
    for broken in [
        "GET / HTTP/9.9\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET /a b c HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /api/v3/auth_configs HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n{}",
        "POST /api/v3/auth_configs HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
    ] {
        let answer = raw(&app, broken.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{broken}: {answer}");
    }
    app.client().get("/api/v3/auth/session/info").await.expect(200);
}

#[tokio::test]
async fn method_overrides_are_ignored_and_other_methods_have_an_envelope() {
    let world = World::new().await;
    let id = world.connect("exa").await.account;
    let path = format!("/api/v3/connected_accounts/{id}");
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        world.app.client().header(name, "DELETE").get(&path).await.expect(200);
        let query = format!("{path}?_method=DELETE");
        world.app.client().get(&query).await.expect(200);
    }
    world.client.get(&path).await.expect(200);
    for method in ["OPTIONS", "TRACE", "PUT", "PROPFIND"] {
        let method: Method = method.parse().unwrap();
        let answer = world.client.send(world.client.request(method.clone(), &path)).await;
        assert_eq!(answer.status, 405, "{method}: {}", answer.text);
        answer.expect_error(405);
        assert!(answer.headers.contains_key("allow"), "{method}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{method}");
    }
    let head = world.client.send(world.client.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}
