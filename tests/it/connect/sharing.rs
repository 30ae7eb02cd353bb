use serde_json::{Value, json};

use super::World;
use crate::support::client::TestClient;

async fn key_account(world: &World, config: &str, connection: Value) -> String {
    let mut connection = connection;
    connection["state"] = json!({"authScheme": "API_KEY", "val": {"api_key": "key-123456"}});
    let made = world.initiate(config, connection).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn exa(world: &World) -> String {
    world.auth_config("exa", json!({"type": "use_custom_auth", "authScheme": "API_KEY"})).await
}

/// Executes a tool; the refusal's code, or 0 when nothing of this server's refused it.
async fn refusal(world: &World, body: Value) -> u64 {
    let mut body = body;
    body["arguments"] = json!({});
    let response = world.client().post("/api/v3/tools/execute/EXA_LIST_IMPORTS", body).await;
    if response.status == 200 { 0 } else { response.json()["error"]["code"].as_u64().unwrap() }
}

#[tokio::test]
async fn a_private_account_is_its_owners_and_a_shared_one_whose_the_list_says() {
    let world = World::new().await;
    let config = exa(&world).await;
    let private = key_account(&world, &config, json!({"user_id": "ann"})).await;
    assert_eq!(world.account(&private).await["experimental"], json!({"account_type": "PRIVATE"}));
    assert_eq!(
        refusal(&world, json!({"user_id": "bob", "connected_account_id": private})).await,
        1804
    );

    let experimental = json!({"account_type": "SHARED",
        "acl_config_for_shared": {"allowed_user_ids": ["bob", "eve", "bob"]}});
    let shared = json!({"user_id": "ann", "experimental": experimental});
    let shared = key_account(&world, &config, shared).await;
    let expected = json!({"account_type": "SHARED", "acl_config_for_shared":
        {"allow_all_users": false, "allowed_user_ids": ["bob", "eve"], "not_allowed_user_ids": []}});
    assert_eq!(world.account(&shared).await["experimental"], expected);
    let named = |user: &str| json!({"user_id": user, "connected_account_id": shared});
    for (user, code) in [("ann", 0), ("bob", 0), ("eve", 0), ("joe", 1821)] {
        assert_eq!(refusal(&world, named(user)).await, code, "{user}");
    }
    // A key that names no user is the project itself.
    assert_eq!(refusal(&world, json!({"connected_account_id": shared})).await, 0);

    let path = format!("/api/v3/connected_accounts/{shared}");
    let change = json!({"experimental": {"acl_config_for_shared":
        {"allow_all_users": true, "not_allowed_user_ids": ["eve"]}}});
    let answer = world.client().patch(&path, change).await.expect(200);
    assert_eq!(answer, json!({"id": shared, "status": "ACTIVE", "success": true}));
    for (user, code) in [("ann", 0), ("bob", 0), ("joe", 0), ("eve", 1821)] {
        assert_eq!(refusal(&world, named(user)).await, code, "{user}");
    }
    let acl = world.account(&shared).await["experimental"]["acl_config_for_shared"].clone();
    assert_eq!(acl["allowed_user_ids"], json!(["bob", "eve"]));
}

#[tokio::test]
async fn a_shared_account_is_never_used_or_listed_unasked() {
    let world = World::new().await;
    let config = exa(&world).await;
    let experimental = json!({"account_type": "SHARED",
        "acl_config_for_shared": {"allow_all_users": true}});
    let connection = json!({"user_id": "ann", "experimental": experimental});
    let shared = key_account(&world, &config, connection).await;
    for user in ["ann", "bob"] {
        assert_eq!(refusal(&world, json!({"user_id": user})).await, 1803, "{user}");
    }
    let ids = async |query: &str| -> Vec<String> {
        let page = world.client().get(&format!("/api/v3.1/connected_accounts{query}")).await;
        let page = page.expect(200);
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let private = key_account(&world, &config, json!({"user_id": "ann"})).await;
    assert_eq!(ids("").await, std::slice::from_ref(&private));
    assert_eq!(ids("?account_type=PRIVATE").await, std::slice::from_ref(&private));
    assert_eq!(ids("?account_type=SHARED").await, std::slice::from_ref(&shared));
    assert_eq!(ids("?account_type=ALL").await, [private, shared]);
    world.client().get("/api/v3.1/connected_accounts?account_type=MINE").await.expect_error(400);
}

#[tokio::test]
async fn an_access_list_is_checked_and_only_for_shared_accounts() {
    let world = World::new().await;
    let config = exa(&world).await;
    let private = key_account(&world, &config, json!({"user_id": "ann"})).await;
    let acl = json!({"acl_config_for_shared": {"allow_all_users": true}});
    let path = format!("/api/v3.1/connected_accounts/{private}");
    let error = world.client().patch(&path, json!({"experimental": acl})).await.expect_error(400);
    let fragment = "acl_config_for_shared is only valid on SHARED";
    assert!(error["message"].as_str().unwrap().contains(fragment), "{error}");
    let link = json!({"auth_config_id": config, "user_id": "ann", "experimental": acl});
    let path = "/api/v3.1/connected_accounts/link";
    let error = world.client().post(path, link).await.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains(fragment), "{error}");

    for wrong in [
        json!({"account_type": "PUBLIC"}),
        json!({"account_type": "SHARED", "acl_config_for_shared": {"allowed_user_ids": "bob"}}),
        json!({"account_type": "SHARED", "acl_config_for_shared": {"allowed_user_ids": [""]}}),
        json!({"account_type": "SHARED", "acl_config_for_shared": {"allow_all_users": "yes"}}),
        json!({"account_type": "SHARED",
            "acl_config_for_shared": {"not_allowed_user_ids": vec!["\u{0}"; 2]}}),
        json!({"account_type": "SHARED", "acl_config_for_shared":
            {"allowed_user_ids": (0..1001).map(|i| i.to_string()).collect::<Vec<_>>()}}),
    ] {
        let link = json!({"auth_config_id": config, "user_id": "ann", "experimental": wrong});
        world.client().post(path, link).await.expect_error(400);
    }
    let link = json!({"auth_config_id": config, "user_id": "ann",
        "experimental": {"account_type": "SHARED"}});
    let made = world.client().post(path, link).await.expect(201);
    assert_eq!(made["experimental"]["account_type"], "SHARED");
    assert_eq!(made["experimental"]["acl_config_for_shared"]["allow_all_users"], false);
}

#[tokio::test]
async fn an_alias_names_one_account_and_outlives_only_dead_attempts() {
    let world = World::new().await;
    let config = exa(&world).await;
    let work = json!({"user_id": "ann", "alias": " work "});
    let first = key_account(&world, &config, work.clone()).await;
    assert_eq!(world.account(&first).await["alias"], "work");
    let link = json!({"auth_config_id": config, "user_id": "ann", "alias": "work"});
    let path = "/api/v3/connected_accounts/link";
    let error = world.client().post(path, link.clone()).await.expect_error(400);
    assert!(error["errors"].to_string().contains("alias"), "{error}");
    // Another user's, and another toolkit's, are others.
    key_account(&world, &config, json!({"user_id": "bob", "alias": "work"})).await;

    let second = key_account(&world, &config, json!({"user_id": "ann"})).await;
    let path2 = format!("/api/v3/connected_accounts/{second}");
    world.client().patch(&path2, json!({"alias": "work"})).await.expect_error(400);
    world.client().patch(&path2, json!({"alias": "home"})).await.expect(200);
    let path1 = format!("/api/v3/connected_accounts/{first}");
    world.client().patch(&path1, json!({"alias": ""})).await.expect(200);
    assert!(world.account(&first).await["alias"].is_null());
    // An attempt that ended without success gives its name back.
    let state = json!({"authScheme": "API_KEY", "val": {"api_key": "k-1", "status": "FAILED"}});
    let failed = json!({"user_id": "ann", "alias": "work", "state": state});
    world.initiate(&config, failed).await.expect(201);
    world.client().post(path, link).await.expect(201);
}

#[tokio::test]
async fn a_patch_is_all_or_nothing() {
    let world = World::new().await;
    world.unmask().await;
    let config = exa(&world).await;
    key_account(&world, &config, json!({"user_id": "ann", "alias": "work"})).await;
    let id = key_account(&world, &config, json!({"user_id": "ann"})).await;
    let path = format!("/api/v3.1/connected_accounts/{id}");
    let state = json!({"authScheme": "API_KEY", "val": {"api_key": "other-key"}});
    let change = json!({"alias": "work", "connection": {"state": state}});
    world.client().patch(&path, change).await.expect_error(400);
    assert_eq!(world.account(&id).await["state"]["val"]["api_key"], "key-123456");
    let state = json!({"authScheme": "API_KEY", "val": {"api_key": null}});
    world.client().patch(&path, json!({"connection": {"state": state}})).await.expect_error(400);
    let state = json!({"authScheme": "BASIC", "val": {"username": "x"}});
    world.client().patch(&path, json!({"connection": {"state": state}})).await.expect_error(400);
    let state = json!({"authScheme": "API_KEY", "val": {"api_key": "new-key", "extra": "kept"}});
    world.client().patch(&path, json!({"connection": {"state": state}})).await.expect(200);
    let state = json!({"authScheme": "API_KEY", "val": {"extra": null}});
    world.client().patch(&path, json!({"connection": {"state": state}})).await.expect(200);
    let val = world.account(&id).await["state"]["val"].clone();
    assert_eq!(val["api_key"], "new-key");
    assert!(val.get("extra").is_none(), "{val}");
}

#[tokio::test]
async fn a_project_that_refuses_to_guess_is_told_what_there_is() {
    let world = World::new().await;
    let config = exa(&world).await;
    let first = key_account(&world, &config, json!({"user_id": "ann", "alias": "work"})).await;
    let path = "/api/v3/org/project/config";
    assert_eq!(world.client().get(path).await.expect(200)["on_ambiguous_account"], "newest");
    let refuse = json!({"on_ambiguous_account": "refuse"});
    let answer = world.client().patch(path, refuse).await.expect(200);
    assert_eq!(answer["on_ambiguous_account"], "refuse");
    world.client().patch(path, json!({"on_ambiguous_account": "ask"})).await.expect_error(400);

    assert_eq!(refusal(&world, json!({"user_id": "ann"})).await, 0, "one account is no question");
    let second = key_account(&world, &config, json!({"user_id": "ann"})).await;
    let body = json!({"user_id": "ann", "arguments": {}});
    let tool = "/api/v3/tools/execute/EXA_LIST_IMPORTS";
    let error = world.client().post(tool, body).await.expect_error(400);
    assert_eq!(error["code"], 1820);
    assert_eq!(error["errors"], json!([second, format!("{first}, alias \"work\"")]));
    assert!(error["suggested_fix"].as_str().unwrap().contains("connected_account_id"));
    for id in [&first, &second] {
        let named = json!({"user_id": "ann", "connected_account_id": id});
        assert_eq!(refusal(&world, named).await, 0);
    }
    let off = format!("/api/v3/connected_accounts/{second}/status");
    world.client().patch(&off, json!({"enabled": false})).await.expect(200);
    assert_eq!(refusal(&world, json!({"user_id": "ann"})).await, 0);
}

#[tokio::test]
async fn the_servers_setting_holds_for_projects_that_say_nothing_on_every_replica() {
    let world = World::with(&[("PATCHBAY_ON_AMBIGUOUS_ACCOUNT", "refuse")]).await;
    let config = exa(&world).await;
    key_account(&world, &config, json!({"user_id": "ann"})).await;
    let (_, address) = world.app.replica(&[("PATCHBAY_ON_AMBIGUOUS_ACCOUNT", "refuse")]).await;
    let replica = TestClient::new(address).header("x-api-key", &world.app.project.key);
    let body = json!({"user_id": "ann", "arguments": {}});
    let tool = "/api/v3/tools/execute/EXA_LIST_IMPORTS";
    // The other replica knows one account; then there are two.
    replica.post(tool, body.clone()).await.expect(200);
    key_account(&world, &config, json!({"user_id": "ann"})).await;
    for _ in 0..200 {
        let response = replica.post(tool, body.clone()).await;
        if response.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        }
        assert_eq!(response.expect_error(400)["code"], 1820);
        let newest = json!({"on_ambiguous_account": "newest"});
        world.client().patch("/api/v3/org/project/config", newest).await.expect(200);
        assert_eq!(refusal(&world, json!({"user_id": "ann"})).await, 0);
        return;
    }
    panic!("the replica never heard of the second account");
}
