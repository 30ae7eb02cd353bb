//! Proxy endpoints that try to lead elsewhere.

use serde_json::json;

use super::provider::{Mode, Provider};
use super::world::{SECRET, World};

#[tokio::test]
async fn an_endpoint_cannot_lead_to_another_host() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    let other = Provider::start().await;
    let (evil, port) = (other.address.to_string(), other.address.port());
    let own = world.provider.address;
    for endpoint in [
        format!("http://{evil}/x"),
        format!("HTTP://{evil}/x"),
        format!("http:/{evil}/x"),
        format!("http:\\\\{evil}/x"),
        format!("//{evil}/x"),
        format!("///{evil}/x"),
        format!("/\\{evil}/x"),
        format!("\\\\{evil}/x"),
        format!("\\{evil}/x"),
        format!("@{evil}/x"),
        format!(":80@{evil}/x"),
        format!("http://{own}@{evil}/x"),
        format!("http://user:pw@{own}/x"),
        format!("http://{own}\\@{evil}/x"),
        format!("http://{own}#@{evil}/x"),
        format!("http://localhost:{port}/x"),
        format!("\thttp://{evil}/x"),
        format!("ht\ntp://{evil}/x"),
        format!(".{evil}/x"),
        format!("%2f%2f{evil}/x"),
        format!("https://api.exa.ai@{evil}/x"),
        "https://api.exa.ai/x".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:text/plain,x".to_owned(),
        String::new(),
        " ".to_owned(),
        "\0".to_owned(),
    ] {
        let answer = world.proxy(&account, &endpoint).await;
        assert!(answer.status == 200 || answer.status == 400, "{endpoint:?}: {}", answer.text);
        assert!(!answer.text.contains(SECRET), "{endpoint:?}");
        assert!(other.take().is_empty(), "{endpoint:?} reached the other host");
    }
    assert!(world.provider.take().iter().all(|s| s.header("host") == [own.to_string()]));
}

#[tokio::test]
async fn an_endpoint_stays_below_the_toolkits_path() {
    // hackernews has the path prefix /api/v1.
    let world = World::new().await;
    let data = json!({"authScheme": "NO_AUTH", "toolkitSlug": "hackernews", "val": {}});
    for endpoint in [
        "/../../secret",
        "../secret",
        "/..%2f..%2fsecret",
        "/%2e%2e/%2e%2e/secret",
        "/.%2e/secret",
        "/a/../../../secret",
        "/..\\..\\secret",
        "/%2e%2e%5csecret",
        "/..;/secret",
    ] {
        let body = json!({"custom_connection_data": data, "endpoint": endpoint, "method": "GET"});
        let answer = world.client.post("/api/v3/tools/execute/proxy", body).await;
        assert!(answer.status == 200 || answer.status == 400, "{endpoint}: {}", answer.text);
        for seen in world.provider.take() {
            let target = seen.target();
            assert!(target.starts_with("/api/v1/"), "{endpoint}: {target}");
            let decoded = percent_encoding::percent_decode_str(target).decode_utf8_lossy();
            let climbs = decoded.split(['/', '\\']).any(|part| part == "..");
            assert!(!climbs, "{endpoint}: {target} climbs at a server that decodes it");
        }
    }
}

#[tokio::test]
async fn proxy_headers_cannot_inject_or_take_over() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    // The key was tried when the account was connected.
    world.provider.take();
    for (name, value) in [
        ("X-A", "b\r\nX-Evil: 1"),
        ("X-A\r\nX-Evil", "1"),
        ("X A", "b"),
        ("", "b"),
        ("Host", "evil"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("X-A", "b\u{0}"),
    ] {
        let body = json!({"connected_account_id": account, "endpoint": "/x", "method": "GET",
            "parameters": [{"name": name, "value": value, "type": "header"}]});
        let answer = world.client.post("/api/v3/tools/execute/proxy", body).await;
        answer.expect_error(400);
    }
    assert!(world.provider.take().is_empty());
    // The account's own credential wins over one of the caller's.
    let body = json!({"connected_account_id": account, "endpoint": "/x", "method": "GET",
        "parameters": [{"name": "X-API-Key", "value": "mine", "in": "header"}]});
    world.client.post("/api/v3/tools/execute/proxy", body).await.expect(200);
    assert_eq!(world.provider.take()[0].header("x-api-key"), [SECRET]);
}

#[tokio::test]
async fn a_binary_body_is_fetched_from_public_addresses_only() {
    let world = World::with(&[("PATCHBAY_EGRESS_ALLOW", "localhost")]).await;
    let account = world.connect("exa").await.account;
    for url in [
        format!("{}/x", world.provider.url()),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "http://u:p@localhost/".to_owned(),
        "x".to_owned(),
    ] {
        let body = json!({"connected_account_id": account, "endpoint": "/x", "method": "POST",
            "binary_body": {"url": url}});
        let answer = world.client.post("/api/v3/tools/execute/proxy", body).await;
        assert!((400..500).contains(&answer.status), "{url}: {}", answer.text);
        answer.expect_error(answer.status);
    }
    for binary in [json!({}), json!({"base64": "!!"}), json!({"base64": "aa", "url": "http://x"})] {
        let body = json!({"connected_account_id": account, "endpoint": "/x", "method": "POST",
            "binary_body": binary});
        world.client.post("/api/v3/tools/execute/proxy", body).await.expect_error(400);
    }
    assert!(world.provider.take().is_empty());
}

#[tokio::test]
async fn secrets_in_a_proxied_answer_stay_out_of_the_log() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    world.provider.set(Mode::Echo);
    world.proxy(&account, "/x").await.expect(200);
    let rows = world.log_rows().await;
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].contains(SECRET), "{}", rows[0]);
}
