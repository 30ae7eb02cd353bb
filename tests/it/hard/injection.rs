//! Arguments and parameters that try to leave their place.

use serde_json::{Value, json};

use super::provider::Mode;
use super::world::{SECRET, World};

#[tokio::test]
async fn an_argument_cannot_leave_its_path_segment() {
    let world = World::new().await;
    let account = world.connect("github").await.account;
    for evil in [
        "../../user",
        "..",
        ".",
        "a/../../../user",
        "..%2f..%2fuser",
        "%2e%2e",
        "a?admin=1",
        "a#b",
        "a\\..\\b",
        "//evil.example",
        "@evil.example",
        "a\r\nX-Evil: 1",
        "a\0b",
        "a;b",
        "{{ cred }}",
        "{{ 7 * 7 }}",
        "http://evil.example/",
    ] {
        world.provider.take();
        let arguments = json!({"owner": evil, "repo": "r"});
        let answer = world.execute("GITHUB_GET_A_REPOSITORY", &account, arguments).await;
        let seen = world.provider.take();
        if answer.status == 400 {
            assert!(seen.is_empty(), "{evil:?}");
            answer.expect_error(400);
            continue;
        }
        assert_eq!(answer.expect(200)["successful"], true, "{evil:?}: {}", answer.text);
        let target = seen[0].target().to_owned();
        let parts: Vec<&str> = target.split('/').collect();
        assert_eq!((parts.len(), parts[1], parts[3]), (4, "repos", "r"), "{evil:?}: {target}");
        assert!(!target.contains(['?', '#', '\\', '\r', '\n', '\0', '@']), "{evil:?}: {target}");
        assert!(!target.contains("/../") && !target.contains("49"), "{evil:?}: {target}");
        assert!(seen[0].header("x-evil").is_empty(), "{evil:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_file_path_argument_cannot_climb() {
    let world = World::new().await;
    let account = world.connect("github").await.account;
    for evil in ["../../../user", "a/../../b", "a/./b", "a//b", "..", "a/%2e%2e/b", "/../../x"] {
        world.provider.take();
        let arguments = json!({"owner": "o", "repo": "r", "path": evil});
        let answer = world.execute("GITHUB_GET_REPOSITORY_CONTENT", &account, arguments).await;
        let seen = world.provider.take();
        assert!(answer.status == 400 || answer.status == 200, "{evil}: {}", answer.text);
        for seen in seen {
            let target = seen.target();
            assert!(target.starts_with("/repos/o/r/contents"), "{evil}: {target}");
            let climbs = target.split('/').any(|s| matches!(s, "." | ".." | "%2e%2e" | "%2E%2E"));
            assert!(!climbs, "{evil}: {target}");
        }
    }
}

#[tokio::test]
async fn a_query_argument_cannot_add_or_replace_parameters() {
    let world = World::new().await;
    let account = world.connect("serpapi").await.account;
    for evil in ["x&api_key=mine", "x#", "x%26a=b", "x\r\nX-Evil: 1", "x\0y", "x;a=b", "a=b&c=d"] {
        world.provider.take();
        let answer = world.execute("SERPAPI_SEARCH", &account, json!({"query": evil})).await;
        assert_eq!(answer.expect(200)["successful"], true, "{evil:?}: {}", answer.text);
        let seen = world.provider.take().remove(0);
        let url = url::Url::parse(&format!("http://x{}", seen.target())).unwrap();
        let all: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of = |name: &str| -> Vec<&str> {
            all.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
        };
        assert_eq!(of("q"), [evil], "{all:?}");
        assert_eq!(of("api_key"), [SECRET], "{all:?}");
        assert!(seen.header("x-evil").is_empty());
    }
}

#[tokio::test]
async fn custom_headers_cannot_inject_headers_or_change_the_connection() {
    let world = World::new().await;
    let call = |name: Value, value: Value| {
        json!({"arguments": {"query": "x"}, "custom_auth_params": {
            "parameters": [{"name": name, "in": "header", "value": value}]}})
    };
    for (name, value) in [
        (json!("X-A"), json!(format!("{SECRET}\r\nX-Evil: 1"))),
        (json!("X-A"), json!(format!("{SECRET}\nX-Evil: 1"))),
        (json!("X-A"), json!(format!("{SECRET}\u{0}"))),
        (json!("X-A: b\r\nX-Evil"), json!(SECRET)),
        (json!("X A"), json!(SECRET)),
        (json!(""), json!(SECRET)),
        (json!("Host"), json!("evil.example")),
        (json!("content-length"), json!("0")),
        (json!("Transfer-Encoding"), json!("chunked")),
        (json!("Connection"), json!("upgrade")),
    ] {
        let answer =
            world.client.post("/api/v3/tools/execute/EXA_SEARCH", call(name.clone(), value)).await;
        answer.expect_error(400);
        assert!(
            !answer.text.contains(SECRET) && !answer.text.contains("Evil: 1"),
            "{}",
            answer.text
        );
    }
    assert!(world.provider.take().is_empty());
    let good = call(json!("x-api-key"), json!(SECRET));
    let answer = world.client.post("/api/v3/tools/execute/EXA_SEARCH", good).await.expect(200);
    assert_eq!(answer["successful"], true, "{answer}");
    assert!(!world.log_rows().await.concat().contains(SECRET));
}

#[tokio::test]
async fn a_base_url_of_the_callers_own_reaches_no_private_address() {
    // Only the provider itself is let through, and by its name.
    let world = World::with(&[("PATCHBAY_EGRESS_ALLOW", "localhost")]).await;
    let port = world.provider.address.port();
    for base in [
        format!("http://127.0.0.1:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://0x7f.1:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://0.0.0.0:{port}"),
        "http://169.254.169.254".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "http://[fd00:ec2::254]".to_owned(),
        "http://10.0.0.1".to_owned(),
        "http://192.168.1.1".to_owned(),
        "http://100.100.100.200".to_owned(),
        "ftp://example.com".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1".to_owned(),
        format!("http://user:{SECRET}@localhost:{port}"),
        "javascript:alert(1)".to_owned(),
        "//evil.example".to_owned(),
        "not a url".to_owned(),
        String::new(),
    ] {
        let body = json!({"arguments": {"query": "x"}, "custom_auth_params": {
            "base_url": base, "parameters": [{"name": "x-api-key", "in": "header", "value": SECRET}]}});
        let answer = world.client.post("/api/v3/tools/execute/EXA_SEARCH", body).await;
        if answer.status == 200 {
            assert_eq!(answer.json()["successful"], false, "{base}: {}", answer.text);
        } else {
            answer.expect_error(400);
        }
        assert!(!answer.text.contains(SECRET), "{base}: {}", answer.text);
    }
    assert!(world.provider.take().is_empty());
}

#[tokio::test]
async fn a_pattern_in_the_arguments_is_only_text() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    world.provider.set(Mode::Good);
    for evil in
        ["(a+)+$", "{% for i in range(100000) %}x{% endfor %}", "{{ cred.api_key }}", "%s%n"]
    {
        world.provider.take();
        let answer = world.execute("EXA_SEARCH", &account, json!({"query": evil})).await;
        assert_eq!(answer.expect(200)["successful"], true, "{}", answer.text);
        let seen = world.provider.take().remove(0);
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(body["query"], evil);
    }
}
