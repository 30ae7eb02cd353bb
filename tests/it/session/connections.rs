//! Connecting accounts within a session.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::world::{Agent, World};
use crate::support::client::TestClient;

const MANAGE: &str = "COMPOSIO_MANAGE_CONNECTIONS";
const WAIT: &str = "COMPOSIO_WAIT_FOR_CONNECTIONS";

/// Fills the page of a link in, as the person does.
async fn finish(client: &TestClient, url: &str, key: &str) -> u16 {
    let form = client.request(reqwest::Method::POST, url).form(&[("generic_api_key", key)]);
    client.send(form).await.status
}

async fn auth_configs(world: &World, toolkit: &str) -> usize {
    let path = format!("/api/v3/auth_configs?toolkit_slug={toolkit}");
    world.app.client().get(&path).await.expect(200)["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_link_of_a_session_connects_its_user() {
    let world = World::new().await;
    let agent = world
        .agent("ann", json!({"manage_connections": {"callback_url": "https://app.example/chat"}}))
        .await;
    let body = json!({"toolkit": "mocs", "alias": "work"});
    let link = agent.post("link", body).await.expect(201);
    let id = link["connected_account_id"].as_str().unwrap();
    let token = link["link_token"].as_str().unwrap();
    assert_eq!(link["redirect_url"], world.app.url(&format!("/link/{token}")));
    let account = format!("/api/v3/connected_accounts/{id}");
    let client = world.app.client();
    let begun = client.get(&account).await.expect(200);
    assert_eq!(begun["status"], "INITIATED");
    assert_eq!(begun["user_id"], "ann");
    assert_eq!(begun["auth_config"]["id"], *world.config.id.as_str());
    let url = link["redirect_url"].as_str().unwrap();
    let form = client.request(reqwest::Method::POST, url).form(&[("generic_api_key", "key-ann")]);
    let done = client.send(form).await;
    let location = done.headers.get("location").map(|l| l.to_str().unwrap().to_owned());
    assert!(
        location.as_deref().is_some_and(|l| l.starts_with("https://app.example/chat?")),
        "{done:?}"
    );
    assert_eq!(client.get(&account).await.expect(200)["status"], "ACTIVE");
    agent.with_account("MOCS_MIRROR", "work").await.expect(200);
    assert_eq!(world.last_key(), "key-ann");
}

#[tokio::test]
async fn links_lead_to_the_host_that_the_configuration_names() {
    let world = World::new().await;
    let own = json!({"experimental": {"link_url_overwrite": "https://connect.example/x/"}});
    let agent = world.agent("ann", own).await;
    let link = agent.post("link", json!({"toolkit": "mocs"})).await.expect(201);
    let token = link["link_token"].as_str().unwrap();
    assert_eq!(link["redirect_url"], format!("https://connect.example/x/link/{token}"));
    let data = agent.run(MANAGE, json!({"toolkits": [{"name": "mocs"}]})).await;
    let url = data["results"]["mocs"]["redirect_url"].as_str().unwrap();
    assert!(url.starts_with("https://connect.example/x/link/ln_"), "{url}");
}

#[tokio::test]
async fn a_pinned_account_that_lapsed_is_connected_again_and_no_other_made() {
    let world = World::new().await;
    let lapsed = |a: &mut patchbay::domain::connection::Account| {
        a.status = patchbay::domain::status::AccountStatus::Expired;
    };
    let account = world.account("ann", "key-ann", 10, lapsed).await;
    let pins = json!({"connected_accounts": {"mocs": account.id}});
    let agent = world.agent("ann", pins).await;
    let data = agent.run(MANAGE, json!({"toolkits": ["mocs"]})).await;
    let result = &data["results"]["mocs"];
    assert_eq!(result["connected_account_id"], *account.id.as_str(), "{result}");
    let listed = agent.run(MANAGE, json!({"toolkits": [{"name": "mocs", "action": "list"}]})).await;
    assert_eq!(listed["results"]["mocs"]["accounts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_link_is_refused_where_it_would_be_of_no_use() {
    let world = World::new().await;
    let agent = world.agent("ann", json!({"toolkits": {"disable": ["mocq"]}})).await;
    let error = agent.post("link", json!({"toolkit": "mocq"})).await.expect_error(403);
    assert_eq!(error["slug"], "ToolRouter_ToolNotAllowed");
    let error = agent.post("link", json!({"toolkit": "mopen"})).await.expect_error(400);
    assert_eq!(error["slug"], "ToolRouter_NothingToConnect");
    agent.post("link", json!({"toolkit": "nope"})).await.expect_error(404);
    agent.post("link", json!({})).await.expect_error(400);
    let body = json!({"toolkit": "mocs", "callback_url": "javascript:alert(1)"});
    agent.post("link", body).await.expect_error(400);
    // Nothing to connect with: the error names the setting that the operator can make.
    let error = agent.post("link", json!({"toolkit": "gmail"})).await.expect_error(400);
    assert_eq!(error["slug"], "AuthConfig_ManagedAuthUnavailable");
    assert!(error["suggested_fix"].is_string());
    let stranger = world.app.client_of(&world.app.another_project().await);
    stranger
        .post(&format!("{}/link", agent.path), json!({"toolkit": "mocs"}))
        .await
        .expect_error(404);
    let config = json!({"multi_account": {"enable": true, "max_accounts_per_toolkit": 2}});
    let agent = world.agent("ann", config).await;
    for key in ["one", "two"] {
        agent.post("link", json!({"toolkit": "mocs"})).await.expect(201);
        world.account("ann", key, 1, |_| {}).await;
    }
    world.app.app.cache.clear();
    let error = agent.post("link", json!({"toolkit": "mocs"})).await.expect_error(400);
    assert_eq!(error["slug"], "ToolRouter_AccountLimit");
}

#[tokio::test]
async fn the_auth_config_of_the_session_is_used_else_the_newest_else_one_is_made() {
    let world = World::new().await;
    let other = world.another_config().await;
    let linked = |answer: Value| answer["connected_account_id"].as_str().unwrap().to_owned();
    let config_of = async |id: String| {
        let path = format!("/api/v3/connected_accounts/{id}");
        world.app.client().get(&path).await.expect(200)["auth_config"]["id"].clone()
    };
    let agent = world.agent("ann", json!({"auth_configs": {"mocs": world.config.id}})).await;
    let id = linked(agent.post("link", json!({"toolkit": "mocs"})).await.expect(201));
    assert_eq!(config_of(id).await, *world.config.id.as_str());
    let agent = world.agent("ann", json!({})).await;
    let id = linked(agent.post("link", json!({"toolkit": "MOCS"})).await.expect(201));
    assert_eq!(config_of(id).await, *other.id.as_str());
    // None yet: many at once, over two servers, make one together.
    assert_eq!(auth_configs(&world, "mocq").await, 0);
    let (_other, client) = world.app.another_server().await;
    let path = format!("{}/link", agent.path);
    let clients: Vec<TestClient> =
        (0..16).map(|n| if n % 2 == 0 { client.clone() } else { world.app.client() }).collect();
    let links = clients.iter().map(|c| c.post(&path, json!({"toolkit": "mocq"})));
    for answer in join_all(links).await {
        answer.expect(201);
    }
    assert_eq!(auth_configs(&world, "mocq").await, 1);
}

#[tokio::test]
async fn one_call_reports_connects_and_fails_each_toolkit_for_itself() {
    let world = World::new().await;
    let account = world.account("ann", "key-ann", 10, |a| a.alias = Some("work".into())).await;
    let agent = world.agent("ann", json!({"toolkits": {"disable": ["github"]}})).await;
    for toolkits in [
        json!(["mocs", "mock", "mopen", "nope", "github"]),
        json!([{"name": "mocs"}, {"name": "mock", "action": "add"}, {"name": "mopen"}, "nope",
            {"name": "github"}]),
    ] {
        let data = agent.run(MANAGE, json!({"toolkits": toolkits})).await;
        let results = &data["results"];
        assert_eq!(results["mocs"]["status"], "active");
        assert_eq!(results["mocs"]["connected_account_id"], *account.id.as_str());
        assert_eq!(results["mocs"]["accounts"][0]["alias"], "work");
        assert_eq!(results["mock"]["status"], "initiated", "{data}");
        let url = results["mock"]["redirect_url"].as_str().unwrap();
        assert!(url.starts_with(&world.app.url("/link/")), "{url}");
        assert_eq!(results["mopen"]["status"], "active");
        for failed in ["nope", "github"] {
            assert_eq!(results[failed]["status"], "failed");
            assert!(results[failed]["error_message"].is_string());
        }
        assert_eq!(
            data["summary"],
            json!({"total_toolkits": 5, "active_connections": 2,
            "initiated_connections": 1, "failed_connections": 2})
        );
    }
    let again = json!({"toolkits": ["mocs"], "reinitiate_all": true});
    let data = agent.run(MANAGE, again).await;
    assert_eq!(data["results"]["mocs"]["status"], "initiated");
    assert_eq!(data["results"]["mocs"]["was_reinitiated"], true);
    let answer = agent.execute(MANAGE, json!({"toolkits": ["nope"]})).await.expect(200);
    assert_eq!(answer["error"], "1 out of 1 toolkits failed");
    agent.execute(MANAGE, json!({"toolkits": []})).await.expect_error(400);
    agent.execute(MANAGE, json!({"toolkits": [5]})).await.expect_error(400);
    let agent = world.agent("ann", json!({"manage_connections": {"enable": false}})).await;
    agent.execute(MANAGE, json!({"toolkits": ["mocs"]})).await.expect_error(403);
    agent.execute(WAIT, json!({"toolkits": ["mocs"]})).await.expect_error(403);
}

#[tokio::test]
async fn accounts_are_listed_renamed_and_removed_by_their_owner_alone() {
    let world = World::new().await;
    let mine = world.account("ann", "key-ann", 10, |_| {}).await;
    let theirs = world.account("bob", "key-bob", 5, |_| {}).await;
    let agent = world.agent("ann", json!({})).await;
    let act = async |agent: &Agent, action: Value| {
        let mut item = action;
        item["name"] = "mocs".into();
        let answer = agent.execute(MANAGE, json!({"toolkits": [item]})).await.expect(200);
        answer["data"]["results"]["mocs"].clone()
    };
    let listed = act(&agent, json!({"action": "list"})).await;
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["accounts"][0]["is_default"], true);
    assert!(!listed.to_string().contains("key-ann"));
    let rename = json!({"action": "rename", "account_id": mine.id, "alias": "home"});
    assert_eq!(act(&agent, rename).await["accounts"][0]["alias"], "home");
    agent.with_account("MOCS_MIRROR", "home").await.expect(200);
    for action in ["rename", "remove"] {
        for name in [json!(theirs.id), json!(null), json!("ca_never")] {
            let item = json!({"action": action, "account_id": name, "alias": "x"});
            assert_eq!(act(&agent, item).await["status"], "failed");
        }
    }
    let item = json!({"action": "explode"});
    assert_eq!(act(&agent, item).await["status"], "failed");
    let remove = json!({"action": "remove", "account_id": "home"});
    let config = json!({"manage_connections": {"enable_connection_removal": false}});
    let keeper = world.agent("ann", config).await;
    assert_eq!(act(&keeper, remove.clone()).await["status"], "failed");
    assert_eq!(act(&agent, remove).await["status"], "removed");
    let path = format!("/api/v3/connected_accounts/{}", mine.id);
    world.app.client().get(&path).await.expect_error(404);
    let path = format!("/api/v3/connected_accounts/{}", theirs.id);
    world.app.client().get(&path).await.expect(200);
}

#[tokio::test]
async fn waiting_ends_when_the_person_is_done_on_whatever_server() {
    let world = World::new().await;
    let config = json!({"manage_connections": {"enable_wait_for_connections": true}});
    let agent = world.agent("ann", config).await;
    let (_other, client) = world.app.another_server().await;
    for client in [world.app.client(), client] {
        let args = json!({"toolkits": ["mocs"], "reinitiate_all": true});
        let data = agent.run(MANAGE, args).await;
        let url = data["results"]["mocs"]["redirect_url"].as_str().unwrap();
        let path = url.split_once("/link/").map(|(_, token)| format!("/link/{token}")).unwrap();
        let wait = agent.run(WAIT, json!({"toolkits": ["mocs"], "timeout_seconds": 50}));
        let person = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            finish(&client, &path, "key-ann").await
        };
        let (waited, status) = tokio::join!(wait, person);
        assert!(status < 400, "{status}");
        assert_eq!(waited["results"]["mocs"]["status"], "active", "{waited}");
        assert_eq!((&waited["all_connected"], &waited["timed_out"]), (&json!(true), &json!(false)));
    }
}

#[tokio::test]
async fn waiting_finds_an_account_that_the_server_has_not_heard_of_yet() {
    let world = World::new().await;
    let config = json!({"manage_connections": {"enable_wait_for_connections": true}});
    let agent = world.agent("ann", config).await;
    let data = agent.run(WAIT, json!({"toolkits": ["mocs"]})).await;
    assert_eq!(data["results"]["mocs"]["status"], "not_started");
    // As another server would, whose notification is still on its way.
    let first = world.account("ann", "k", 5, |_| {}).await;
    let data = agent.run(WAIT, json!({"toolkits": ["mocs"]})).await;
    assert_eq!(data["results"]["mocs"]["status"], "active", "{data}");
    assert_eq!(data["results"]["mocs"]["connected_account_id"], json!(first.id));
    let second = world.account("ann", "k", 0, |_| {}).await;
    let data = agent.run(WAIT, json!({"toolkits": ["mocs"]})).await;
    assert_eq!(data["results"]["mocs"]["connected_account_id"], json!(second.id), "{data}");
}

#[tokio::test]
async fn waiting_says_why_it_is_of_no_use_and_when_the_time_is_over() {
    let world = World::new().await;
    let config = json!({"manage_connections": {"enable_wait_for_connections": true}});
    let agent = world.agent("ann", config).await;
    let data = agent.run(WAIT, json!({"toolkits": ["mocs"]})).await;
    assert_eq!(data["results"]["mocs"]["status"], "not_started");
    agent.run(MANAGE, json!({"toolkits": ["mocs"]})).await;
    let data = agent.run(WAIT, json!({"toolkits": ["mocs"], "timeout_seconds": 1})).await;
    assert_eq!(data["timed_out"], true);
    assert_eq!(data["results"]["mocs"]["status"], "pending");
    let data = agent.run(WAIT, json!({"toolkits": ["mocs", "mopen"], "mode": "any"})).await;
    assert_eq!((&data["timed_out"], &data["all_connected"]), (&json!(false), &json!(false)));
    world
        .account("ann", "k", -5, |a| {
            a.status = patchbay::domain::status::AccountStatus::Failed;
            a.status_reason = Some("The person said no".into());
        })
        .await;
    let data = agent.run(WAIT, json!({"toolkits": ["mocs"]})).await;
    assert_eq!(data["results"]["mocs"]["status"], "failed");
    assert_eq!(data["results"]["mocs"]["reason"], "The person said no");
    for arguments in [
        json!({"toolkits": []}),
        json!({"toolkits": ["mocs"], "mode": "some"}),
        json!({"toolkits": ["mocs"], "timeout_seconds": -1}),
    ] {
        agent.execute(WAIT, arguments).await.expect_error(400);
    }
    agent.execute(WAIT, json!({"toolkits": ["nope"]})).await.expect_error(404);
    let agent = world.agent("ann", json!({})).await;
    agent.execute(WAIT, json!({"toolkits": ["mocs"]})).await.expect_error(403);
}
