//! Ids and links of another project.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{World, connect, oauth_account, oauth_config};
use crate::net::fault::response;

#[tokio::test]
async fn another_projects_ids_are_unknown_everywhere_and_stay_untouched() {
    let world = World::new().await;
    let own = world.connect("exa").await;
    let oauth = oauth_account(&world.client, "at-0123456789", "rt-0123456789").await;
    let ran = world.execute("EXA_SEARCH", &own.account, json!({"query": "x"})).await.expect(200);
    let log = ran["log_id"].as_str().unwrap();
    let before = snapshot(&world, &own.account, &own.config).await;
    world.provider.take();

    let stranger = world.app.another_project().await;
    let client = world.app.client_of(&stranger);
    let (config, account, oauth) = (&own.config, &own.account, &oauth.account);
    let run = |id: &str| json!({"connected_account_id": id, "arguments": {"query": "x"}});
    let proxy = json!({"connected_account_id": account, "endpoint": "/x", "method": "GET"});
    let given = json!({"auth_config": {"id": config}, "connection": {"user_id": "u1",
        "state": {"authScheme": "API_KEY", "val": {"generic_api_key": "k-123456"}}}});
    let link = json!({"auth_config_id": config, "user_id": "u1"});
    let patched = json!({"connection": {"state": {"val": {"generic_api_key": "stolen-1"}}}});
    let shared = json!({"experimental": {"acl_config_for_shared": {"allow_all_users": true}}});
    for (method, path, body) in [
        ("GET", format!("/auth_configs/{config}"), Value::Null),
        ("PATCH", format!("/auth_configs/{config}"), json!({"type": "custom", "name": "stolen"})),
        ("PATCH", format!("/auth_configs/{config}/DISABLED"), json!({})),
        ("DELETE", format!("/auth_configs/{config}"), Value::Null),
        ("GET", format!("/connected_accounts/{account}"), Value::Null),
        ("PATCH", format!("/connected_accounts/{account}"), patched),
        ("PATCH", format!("/connected_accounts/{account}"), json!({"alias": "stolen"})),
        ("PATCH", format!("/connected_accounts/{account}/status"), json!({"enabled": false})),
        ("POST", format!("/connected_accounts/{account}/refresh"), json!({})),
        ("POST", format!("/connected_accounts/{oauth}/refresh"), json!({})),
        ("POST", format!("/connected_accounts/{account}/revoke"), Value::Null),
        ("POST", format!("/connected_accounts/{oauth}/revoke"), Value::Null),
        ("PATCH", format!("/connected_accounts/{account}"), shared),
        ("DELETE", format!("/connected_accounts/{account}"), Value::Null),
        ("DELETE", format!("/connected_accounts/{oauth}?revoke_on_delete=true"), Value::Null),
        ("DELETE", format!("/auth_configs/{config}?revoke_on_delete=true"), Value::Null),
        ("POST", "/connected_accounts".to_owned(), given),
        ("POST", "/connected_accounts/link".to_owned(), link),
        ("POST", "/tools/execute/EXA_SEARCH".to_owned(), run(account)),
        ("POST", "/tools/execute/proxy".to_owned(), proxy),
        ("GET", format!("/internal/action_execution/log/{log}"), Value::Null),
        ("GET", format!("/logs/tool_execution/{log}"), Value::Null),
    ] {
        for mount in ["/api/v3", "/api/v3.1"] {
            let path = format!("{mount}{path}");
            let method: Method = method.parse().unwrap();
            let request = client.request(method.clone(), &path);
            let request = if body.is_null() { request } else { request.json(&body) };
            let answer = client.send(request).await;
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
            answer.expect_error(404);
            assert!(!names_the_user(&answer.text), "{}", answer.text);
        }
    }
    assert!(world.provider.take().is_empty(), "nothing was sent with the owner's credentials");
    assert_eq!(snapshot(&world, account, config).await, before);
}

/// As a word of its own: ids are random, and one in a few has these two characters somewhere.
fn names_the_user(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "u1")
}

async fn snapshot(world: &World, account: &str, config: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [format!("/connected_accounts/{account}"), format!("/auth_configs/{config}")] {
        all.push(world.client.get(&format!("/api/v3{path}")).await.expect(200));
    }
    all
}

#[tokio::test]
async fn lists_and_filters_never_show_another_project() {
    let world = World::new().await;
    let own = world.connect("exa").await;
    world.execute("EXA_SEARCH", &own.account, json!({"query": "x"})).await.expect(200);
    let stranger = world.app.another_project().await;
    let client = world.app.client_of(&stranger);
    let (config, account) = (&own.config, &own.account);
    for path in [
        "/connected_accounts".to_owned(),
        format!("/connected_accounts?connected_account_ids={account}"),
        format!("/connected_accounts?auth_config_ids={config}&user_ids=u1"),
        "/auth_configs".to_owned(),
        "/auth_configs?toolkit_slug=exa".to_owned(),
    ] {
        let page = client.get(&format!("/api/v3{path}")).await.expect(200);
        assert_eq!((&page["items"], &page["total_items"]), (&json!([]), &json!(0)), "{path}");
    }
    for path in ["/internal/action_execution/logs", "/logs/tool_execution"] {
        let mine = world.client.post(&format!("/api/v3{path}"), json!({})).await;
        assert!(mine.expect(200).to_string().contains("log_"), "{path}: {}", mine.text);
        let theirs = client.post(&format!("/api/v3{path}"), json!({})).await;
        assert!(!theirs.expect(200).to_string().contains("log_"), "{path}: {}", theirs.text);
    }
}

#[tokio::test]
async fn the_same_user_id_in_two_projects_means_two_users() {
    let world = World::new().await;
    connect(&world.client, "exa", "key-of-the-first-project").await;
    let stranger = world.app.another_project().await;
    let client = world.app.client_of(&stranger);
    let run = json!({"user_id": "u1", "arguments": {"query": "x"}});
    let path = "/api/v3/tools/execute/EXA_SEARCH";
    // Warm the first project's caches, then ask from the second.
    world.client.post(path, run.clone()).await.expect(200);
    world.provider.take();
    let error = client.post(path, run.clone()).await.expect_error(400);
    assert_eq!(error["code"], 1803, "{error}");
    assert!(world.provider.take().is_empty());
    connect(&client, "exa", "key-of-the-second-project").await;
    client.post(path, run.clone()).await.expect(200);
    assert_eq!(world.provider.take()[0].header("x-api-key"), ["key-of-the-second-project"]);
    world.client.post(path, run).await.expect(200);
    assert_eq!(world.provider.take()[0].header("x-api-key"), ["key-of-the-first-project"]);
}

#[tokio::test]
async fn a_link_to_a_file_cannot_be_forged_changed_or_used_late() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    let evil = "attachment; filename=\"../../a\\b\\\"; filename=x.html\"";
    let kind = [("content-type", "text/html; x"), ("content-disposition", evil)];
    let script = b"\xff<script>alert(1)</script>";
    let bytes = response("200 OK", &kind[1..], script);
    world.provider.set(super::provider::Mode::Bytes(bytes));
    let answer = world.proxy(&account, "/x").await.expect(200);
    let url = answer["binary_data"]["url"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let path = url.split_once("/api/").map(|(_, rest)| format!("/api/{rest}")).unwrap();
    let anonymous = world.app.anonymous();
    let good = anonymous.send(anonymous.request(Method::GET, &path)).await;
    assert_eq!(good.status, 200);
    assert_eq!(good.headers["x-content-type-options"], "nosniff");
    let disposition = good.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment"), "{disposition}");
    assert!(!disposition.contains(['/', '\\', '"']), "{disposition}");
    assert!(good.headers["content-security-policy"].to_str().unwrap().contains("sandbox"));

    let (head, query) = path.split_once('?').unwrap();
    let stranger = world.app.another_project().await;
    let other = head.replace(world.app.project.id.as_str(), stranger.id.as_str());
    let later = query.replacen("expires=", "expires=9", 1);
    let sign = query.split_once("signature=").unwrap().1;
    for forged in [
        head.to_owned(),
        format!("{other}?{query}"),
        format!("{head}?{later}"),
        format!("{head}?{query}00"),
        format!("{head}?{}", query.replace(sign, &"0".repeat(64))),
        format!("{head}?{}", query.replace(sign, "")),
        format!("{head}?{}", query.replace(sign, &sign[..32])),
        format!("{head}?{}", query.replace(sign, "zz")),
        format!("{head}?expires=0&signature={sign}"),
        format!("{head}?expires=-1&signature={sign}"),
        format!("{head}?expires=x&signature={sign}"),
        format!("{head}?{query}&signature={sign}"),
    ] {
        let answer = anonymous.get(&forged).await;
        assert!((400..500).contains(&answer.status), "{forged}: {}", answer.text);
        answer.expect_error(answer.status);
    }
}

#[tokio::test]
async fn a_link_to_a_file_ends() {
    let world = World::with(&[("PATCHBAY_FILE_TTL_S", "1")]).await;
    let account = world.connect("exa").await.account;
    world.provider.set(super::provider::Mode::Bytes(response("200 OK", &[], b"\xff\x00")));
    let answer = world.proxy(&account, "/x").await.expect(200);
    let url = answer["binary_data"]["url"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let path = format!("/api/{}", url.split_once("/api/").unwrap().1);
    let anonymous = world.app.anonymous();
    for _ in 0..50 {
        let answer = anonymous.send(anonymous.request(Method::HEAD, &path)).await;
        if answer.status == 404 {
            anonymous.get(&path).await.expect_error(404);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the link does not end");
}

#[tokio::test]
async fn an_organization_cannot_touch_projects_of_another() {
    let first = World::new().await;
    let second = World::new().await;
    // Two organizations in one database.
    let other = patchbay::domain::id::OrgId::generate();
    patchbay::db::project::insert_org(&first.app.app.db, &other, "Other").await.unwrap();
    sqlx::query("update project set org_id = $1 where id = $2")
        .bind(other.as_str())
        .bind(first.app.another_project().await.id.as_str())
        .execute(&first.app.app.db)
        .await
        .unwrap();
    let theirs: String = sqlx::query_scalar("select id from project where org_id = $1")
        .bind(other.as_str())
        .fetch_one(&first.app.app.db)
        .await
        .unwrap();
    let org = first.app.org_client();
    for path in [theirs.as_str(), second.app.project.id.as_str()] {
        let path = format!("/api/v3/org/owner/project/{path}");
        org.get(&path).await.expect_error(404);
        org.delete(&path).await.expect_error(404);
        let answer = org.post(&format!("{path}/regenerate_api_key"), json!({})).await;
        answer.expect_error(404);
    }
    let list = org.get("/api/v3/org/owner/project/list").await;
    list.expect(200);
    assert!(!list.text.contains(&theirs));
    let request = org.request(Method::GET, "/api/v3/connected_accounts");
    org.send(request.header("x-project-id", &theirs)).await.expect_error(404);
}

#[tokio::test]
async fn a_deleted_account_is_never_used_again_however_the_calls_race() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    let path = format!("/api/v3/connected_accounts/{account}");
    let run = || world.execute("EXA_SEARCH", &account, json!({"query": "x"}));
    let (a, b, deleted, c, d) =
        tokio::join!(run(), run(), world.client.delete(&path), run(), run());
    deleted.expect(200);
    for answer in [a, b, c, d] {
        assert!(answer.status == 200 || answer.status == 404, "{}", answer.text);
    }
    world.provider.take();
    for _ in 0..3 {
        run().await.expect_error(404);
    }
    assert!(world.provider.take().is_empty());
    world.client.delete(&path).await.expect_error(404);
    world.client.get(&path).await.expect_error(404);
    let stored: (Vec<u8>,) = sqlx::query_as("select state from connected_account where id = $1")
        .bind(&account)
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
    assert!(stored.0.is_empty(), "the credentials are gone from the row");
}

#[tokio::test]
async fn a_disabled_auth_config_stops_its_accounts_at_once() {
    let world = World::new().await;
    let own = world.connect("exa").await;
    world.execute("EXA_SEARCH", &own.account, json!({"query": "x"})).await.expect(200);
    let path = format!("/api/v3/auth_configs/{}/DISABLED", own.config);
    world.client.patch(&path, json!({})).await.expect(200);
    world.provider.take();
    world.execute("EXA_SEARCH", &own.account, json!({"query": "x"})).await.expect_error(400);
    world.proxy(&own.account, "/x").await.expect_error(400);
    let by_user = json!({"user_id": "u1", "arguments": {"query": "x"}});
    world.client.post("/api/v3/tools/execute/EXA_SEARCH", by_user).await.expect_error(400);
    assert!(world.provider.take().is_empty());
    let link = json!({"auth_config_id": own.config, "user_id": "u1"});
    world.client.post("/api/v3/connected_accounts/link", link).await.expect_error(400);
    oauth_config(&world.client).await;
}
