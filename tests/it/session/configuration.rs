//! What a configuration may say, and how it is changed.

use chrono::TimeDelta;
use patchbay::domain::scheme::AuthSchemeKind::ApiKey;
use patchbay::domain::time::now;
use serde_json::{Value, json};

use super::{SESSIONS, column, problems, session};
use crate::execute::provider::{account, auth_config};
use crate::support::TestApp;

#[tokio::test]
async fn both_spellings_shorthands_and_aliases_come_out_in_one_spelling() {
    let app = TestApp::new().await;
    let body = json!({"user_id": "ann",
        "toolkits": ["GitHub", "gmail"],
        "tools": {
            "GMAIL": ["gmail_send_email"],
            "github": {"enabled": ["GITHUB_CREATE_ISSUE"]},
        },
        "tags": {"enabled": ["readOnlyHint"]},
        "manage_connections": {"enabled": false},
        "workbench": {"proxy_execution_enabled": false},
    });
    let config = &app.client().post(SESSIONS, body).await.expect(201)["config"];
    assert_eq!(config["toolkits"], json!({"enabled": ["github", "gmail"]}));
    assert_eq!(config["tools"]["gmail"], json!({"enabled": ["GMAIL_SEND_EMAIL"]}));
    assert_eq!(config["tools"]["github"], json!({"enabled": ["GITHUB_CREATE_AN_ISSUE"]}));
    assert_eq!(config["tags"], json!({"enabled": ["readOnlyHint"]}));
    assert_eq!(config["manage_connections"]["enabled"], false);
    assert_eq!(config["workbench"]["proxy_execution_enabled"], false);
    assert_eq!(config["search"], json!({"enable": true}));
    assert_eq!(config["execute"], json!({"enable_multi_execute": true}));
    assert_eq!(config["preload"], json!({"tools": []}));
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_path() {
    let app = TestApp::new().await;
    for (body, expected) in [
        (json!({"toolkits": {"enabel": ["gmail"]}}), "toolkits.enabel: unknown field `enabel`"),
        (json!({"toolkits": "gmail"}), "toolkits: invalid type: string"),
        (json!({"toolkits": {"enable": ["gmail", 7]}}), "toolkits.enable[1]: invalid type"),
        (json!({"tools": {"gmail": {"tag": []}}}), "tools.gmail.tag: unknown field `tag`"),
        (json!({"tools": {"gmail": {"enable": [], "disable": []}}}), "tools.gmail: either"),
        (json!({"tags": {"enable": "readOnlyHint"}}), "tags.enable: invalid type"),
        (json!({"connected_accounts": {"gmail": 7}}), "connected_accounts.gmail: invalid type"),
        (json!({"preload": {"tools": "some"}}), "preload.tools: a list"),
        (json!({"preload": {"tools": "all"}}), "needs a positive filter"),
        (json!({"preload": {"tools": ["LOCAL_GREP"]}}), "a `preload` of their own"),
        (json!({"workbench": {"auto_offload_threshold": -1}}), "must be a positive number"),
        (json!({"workbench": {"sandbox_size": "tiny"}}), "must be standard"),
        (
            json!({"workbench": {"enable_proxy_execution": true}, "proxy_execute": {"enable": false}}),
            "cannot be true while",
        ),
        (json!({"multi_account": {"max_accounts_per_toolkit": 1}}), "must be 2 to 10"),
        (
            json!({"manage_connections": {"callback_url": "javascript:alert(1)"}}),
            "manage_connections.callback_url: must start with",
        ),
        (
            json!({"experimental": {"link_url_overwrite": "ftp://a"}}),
            "experimental.link_url_overwrite: must start with",
        ),
        (
            json!({"experimental": {"assistive_prompt_config": {"user_timezone": "Mars/Base"}}}),
            "not an IANA time zone",
        ),
    ] {
        let found = problems(&app, body.clone()).await;
        assert!(found.iter().any(|p| p.contains(expected)), "{body}: {found:?}");
    }
    let error = app.client().post(SESSIONS, json!({"toolkits": []})).await.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains("user_id"), "{error}");
}

#[tokio::test]
async fn protections_that_do_not_exist_are_refused_and_empty_ones_are_not() {
    let app = TestApp::new().await;
    let client = app.client();
    for body in [
        json!({"toolkits": {"require_approval": ["gmail"]}}),
        json!({"tools": {"gmail": {"require_approval": ["GMAIL_SEND_EMAIL"]}}}),
        json!({"tags": {"require_approval": ["destructiveHint"]}}),
        json!({"hooks": [{"id": "h"}]}),
        json!({"instant": {"toolkits": {"enable": ["gmail"]}}}),
        json!({"experimental": {"permissions": {"default": "ask_every_call"}}}),
    ] {
        let mut body = body;
        body["user_id"] = json!("ann");
        client.post(SESSIONS, body).await.expect_error(501);
    }
    let body = json!({"user_id": "ann", "hooks": [], "instant": false,
        "toolkits": {"disable": ["gmail"], "require_approval": []},
        "experimental": {"permissions": {"default": "allow_all", "overrides": {}}}});
    client.post(SESSIONS, body).await.expect(201);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_takes_it_back() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(
        &client,
        "ann",
        json!({"toolkits": ["gmail"], "tags": ["readOnlyHint"],
            "tools": {"gmail": ["GMAIL_SEND_EMAIL"]},
            "manage_connections": {"callback_url": "https://a.example/done", "enable": false},
            "multi_account": {"enable": true, "max_accounts_per_toolkit": 3}}),
    )
    .await;
    let patch = async |body: Value| client.patch(&path, body).await.expect(200);
    let made = patch(json!({"manage_connections": {"callback_url": null},
        "multi_account": {"max_accounts_per_toolkit": null, "require_explicit_selection": true},
        "tools": {"github": {"tags": ["readOnlyHint"]}}, "tags": null}))
    .await;
    let config = &made["config"];
    assert_eq!(made["config_version"], 2);
    assert_eq!(config["toolkits"], json!({"enabled": ["gmail"]}));
    assert_eq!(config["manage_connections"]["enabled"], false);
    assert_eq!(config["manage_connections"].get("callback_url"), None);
    assert_eq!(
        config["multi_account"],
        json!({"enable": true, "require_explicit_selection": true})
    );
    assert_eq!(config["tools"], json!({"github": {"tags": {"enabled": ["readOnlyHint"]}}}));
    assert_eq!(config.get("tags"), None);
    let config = patch(json!({"toolkits": {"enable": []}})).await["config"].clone();
    assert_eq!(config["toolkits"], json!({"enabled": []}));
    let listed = client.get(&format!("{path}/toolkits")).await.expect(200);
    assert_eq!(listed["total_items"], 0);
    let made = patch(json!({"toolkits": null, "manage_connections": null})).await;
    assert_eq!(made["config"].get("toolkits"), None);
    assert_eq!(made["config"]["manage_connections"]["enabled"], true);
    assert_eq!(made["config_version"], 4);
    client.patch(&path, json!({"toolkits": ["nope"]})).await.expect_error(400);
    assert_eq!(client.get(&path).await.expect(200)["config_version"], 4);
    let stranger = app.client_of(&app.another_project().await);
    stranger.patch(&path, json!({"toolkits": null})).await.expect_error(404);
}

#[tokio::test]
async fn a_deleted_account_does_not_stand_in_the_way_of_other_changes() {
    let app = TestApp::new().await;
    let client = app.client();
    let config = auth_config(&app, &app.project.id, "exa", ApiKey, |_| {}).await;
    let pinned = account(&app, &config, "ann", json!({"api_key": "k-12345678"}), |_| {}).await;
    let newer = |a: &mut patchbay::domain::connection::Account| {
        a.created_at = now() + TimeDelta::seconds(5);
    };
    account(&app, &config, "ann", json!({"api_key": "k-12345678"}), newer).await;
    let path = session(&client, "ann", json!({"connected_accounts": {"EXA": pinned.id}})).await;
    let shown = client.get(&format!("{path}/toolkits?toolkits=exa")).await.expect(200);
    assert_eq!(shown["items"][0]["connected_account"]["id"], pinned.id.as_str());
    client.delete(&format!("/api/v3/connected_accounts/{}", pinned.id)).await.expect(200);
    // What was pinned is not replaced in silence by another account.
    let shown = client.get(&format!("{path}/toolkits?toolkits=exa")).await.expect(200);
    assert_eq!(shown["items"][0].get("connected_account"), None);
    let made = client.patch(&path, json!({"tags": ["readOnlyHint"]})).await.expect(200);
    assert_eq!(made["config"]["connected_accounts"]["exa"], json!([pinned.id]));
    let body = json!({"connected_accounts": {"exa": [pinned.id, "ca_nope"]}});
    client.patch(&path, body).await.expect_error(400);
    client.patch(&path, json!({"connected_accounts": null})).await.expect(200);
    let shown = client.get(&format!("{path}/toolkits?toolkits=exa")).await.expect(200);
    assert!(shown["items"][0]["connected_account"]["id"].is_string());
}

#[tokio::test]
async fn accounts_and_auth_configs_must_be_the_sessions_own() {
    let app = TestApp::new().await;
    let config = auth_config(&app, &app.project.id, "exa", ApiKey, |_| {}).await;
    let others = account(&app, &config, "bob", json!({"api_key": "k-12345678"}), |_| {}).await;
    let own = account(&app, &config, "ann", json!({"api_key": "k-12345678"}), |_| {}).await;
    let found = problems(&app, json!({"connected_accounts": {"exa": others.id}})).await;
    assert!(found[0].contains("belongs to another user"), "{found:?}");
    let found = problems(&app, json!({"connected_accounts": {"gmail": own.id}})).await;
    assert!(found[0].contains("the account is one of exa"), "{found:?}");
    let found = problems(&app, json!({"auth_configs": {"gmail": config.id}})).await;
    assert!(found[0].contains("the auth config is one of exa"), "{found:?}");
    let body = json!({"multi_account": {"enable": false},
        "connected_accounts": {"exa": [own.id, own.id]}});
    let found = problems(&app, body).await;
    assert!(found[0].contains("one account only"), "{found:?}");
    let another = app.another_project().await;
    let body = json!({"user_id": "ann", "connected_accounts": {"exa": own.id}});
    app.client_of(&another).post(SESSIONS, body).await.expect_error(400);
    // Older clients know one account for a toolkit.
    let body = json!({"user_id": "ann", "connected_accounts": {"exa": own.id}});
    let made = app.client().post("/api/v3/tool_router/session", body.clone()).await.expect(201);
    assert_eq!(made["config"]["connected_accounts"], json!({"exa": own.id}));
    let made = app.client().post(SESSIONS, body).await.expect(201);
    assert_eq!(made["config"]["connected_accounts"], json!({"exa": [own.id]}));
}

#[tokio::test]
async fn the_prompt_tells_what_the_session_has_and_where_the_user_is() {
    let app = TestApp::new().await;
    let body = json!({"user_id": "ann", "preload": {"tools": "all"}, "toolkits": ["github"],
        "experimental": {"assistive_prompt_config": {"user_timezone": "Europe/Berlin"}}});
    let made = app.client().post(SESSIONS, body).await.expect(201);
    let prompt = made["experimental"]["assistive_prompt"].as_str().unwrap();
    assert!(prompt.contains("Europe/Berlin"), "{prompt}");
    assert!(prompt.contains("COMPOSIO_GET_TOOL_SCHEMAS"), "{prompt}");
    assert_eq!(made["warnings"][0]["code"], "PRELOAD_TOOLS_HIGH_CONTEXT_USAGE");
    let body = json!({"user_id": "ann", "search": {"enable": false}});
    let made = app.client().post(SESSIONS, body).await.expect(201);
    let prompt = made["experimental"]["assistive_prompt"].as_str().unwrap();
    assert!(!prompt.contains("COMPOSIO_GET_TOOL_SCHEMAS"), "{prompt}");
    assert_eq!(made["warnings"], json!([]));
}

#[tokio::test]
async fn tools_are_listed_in_pages_on_v3_1_and_at_once_on_v3() {
    let app = TestApp::new().await;
    let client = app.client();
    let path =
        session(&client, "ann", json!({"toolkits": ["github"], "preload": {"tools": "all"}})).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}/tools?limit=7&cursor={cursor}")).await.expect(200);
        seen.extend(column(&page, "slug"));
        assert!(page["items"].as_array().unwrap().len() <= 7);
        assert_eq!(page["total_pages"], json!(page["total_items"].as_u64().unwrap().div_ceil(7)));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let old = client.get(&format!("{}/tools", path.replace("v3.1", "v3"))).await.expect(200);
    assert_eq!(column(&old, "slug"), seen);
    assert_eq!(old.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn the_oldest_clients_get_an_mcp_address() {
    let app = TestApp::new().await;
    let client = app.client();
    let config = auth_config(&app, &app.project.id, "exa", ApiKey, |_| {}).await;
    let body = json!({"user_id": "ann", "config": {"manually_manage_connections": true,
        "toolkits": [{"toolkit": "exa", "auth_config_id": config.id}, {"toolkit": "gmail"}]}});
    let made = client.post("/api/v3/labs/tool_router/session", body).await.expect(201);
    let id = made["session_id"].as_str().unwrap();
    let url = app.url(&format!("/tool_router/{id}/mcp"));
    assert_eq!(made["chat_session_mcp_url"], url);
    assert_eq!(made["tool_router_instance_mcp_url"], url);
    let session = client.get(&format!("{SESSIONS}/{id}")).await.expect(200);
    assert_eq!(session["config"]["toolkits"], json!({"enabled": ["exa", "gmail"]}));
    assert_eq!(session["config"]["auth_configs"], json!({"exa": config.id}));
    assert_eq!(session["config"]["manage_connections"]["enabled"], false);
    let body = json!({"user_id": "ann"});
    client.post("/api/v3/labs/tool_router/session", body).await.expect(201);
    let body = json!({"user_id": "ann", "config": {"toolkits": [{"toolkit": "nope"}]}});
    client.post("/api/v3/labs/tool_router/session", body).await.expect_error(400);
}
