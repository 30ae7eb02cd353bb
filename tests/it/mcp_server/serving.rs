//! What a server lists and executes, for whom.

use patchbay::domain::connection::AuthConfig;
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::mcp_server::{Address, Served, open};
use serde_json::{Map, Value, json};

use super::rest::SERVERS;
use crate::execute::provider::{World, account, auth_config, map};

fn of_user(user: &str) -> Address {
    Address { user_id: Some(user.to_owned()), ..Address::default() }
}

async fn make(world: &World, body: Value) -> String {
    let made = world.app.client().post(&format!("{SERVERS}/custom"), body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn own_project(world: &World) -> std::sync::Arc<patchbay::domain::connection::Project> {
    world.app.app.cache.project(&world.app.project.id).await.unwrap().unwrap()
}

async fn served(world: &World, id: &str, address: &Address) -> Served {
    let project = own_project(world).await;
    open(&world.app.app, id, Some(&project), address).await.unwrap()
}

async fn refused(world: &World, id: &str, address: &Address) -> (u16, &'static str) {
    let project = own_project(world).await;
    let error = open(&world.app.app, id, Some(&project), address).await.unwrap_err();
    (error.code.status.as_u16(), error.code.slug)
}

fn slugs(world: &World, served: &Served) -> Vec<String> {
    served
        .tools(&world.app.app.catalogs.server())
        .iter()
        .map(|(_, tool)| tool.def.slug.clone())
        .collect()
}

fn thing() -> Map<String, Value> {
    map(json!({"name": "a"}))
}

async fn second_config(world: &World) -> AuthConfig {
    auth_config(&world.app, &world.app.project.id, "mock", AuthSchemeKind::ApiKey, |_| {}).await
}

#[tokio::test]
async fn a_server_lists_its_tools_and_executes_no_others() {
    let world = World::new().await;
    let config = world.config.id.as_str();
    let id = make(
        &world,
        json!({"name": "Two tools", "toolkits": ["mock"],
        "auth_config_ids": [config], "allowed_tools": ["mock_thing_get", "MOCK_ADD_THING"]}),
    )
    .await;
    let ann = served(&world, &id, &of_user("ann")).await;
    // An alias and another case came in; the first name is what is kept.
    assert_eq!(slugs(&world, &ann), ["MOCK_GET_THING", "MOCK_ADD_THING"]);
    assert!(ann.connection_tools().is_empty());
    let done = ann.call(&world.app.app, "MOCK_GET_THING", thing()).await.unwrap();
    assert!(done.successful, "{done:?}");
    for other in ["MOCK_LIST", "MOPEN_GET", "NOPE", "COMPOSIO_INITIATE_CONNECTION"] {
        let error = ann.call(&world.app.app, other, Map::new()).await.unwrap_err();
        assert_eq!(error.code.status.as_u16(), 403, "{other}");
    }
    let id = make(&world, json!({"name": "All tools", "toolkits": ["mock"]})).await;
    let all = served(&world, &id, &of_user("ann")).await;
    let catalog = world.app.app.catalogs.server();
    let mock = catalog.toolkit("mock").unwrap();
    assert_eq!(slugs(&world, &all).len(), mock.tools.len());
}

#[tokio::test]
async fn an_auth_config_that_restricts_tools_restricts_the_server() {
    let world = World::new().await;
    let only = |config: &mut AuthConfig| {
        config.restrict_to_tools = Some(vec!["MOCK_GET_THING".to_owned()]);
    };
    let project = &world.app.project.id;
    let config = auth_config(&world.app, project, "mock", AuthSchemeKind::ApiKey, only).await;
    let id =
        make(&world, json!({"name": "Restricted", "auth_config_ids": [config.id.as_str()]})).await;
    let ann = served(&world, &id, &of_user("ann")).await;
    assert_eq!(slugs(&world, &ann), ["MOCK_GET_THING"]);
    assert!(ann.call(&world.app.app, "MOCK_ADD_THING", thing()).await.is_err());
}

#[tokio::test]
async fn only_accounts_of_the_servers_auth_configs_are_used() {
    let world = World::new().await;
    let other = second_config(&world).await;
    let id =
        make(&world, json!({"name": "Other config", "auth_config_ids": [other.id.as_str()]})).await;
    let ann = served(&world, &id, &of_user("ann")).await;
    let error = ann.call(&world.app.app, "MOCK_GET_THING", thing()).await.unwrap_err();
    assert_eq!(error.code.number, 1803);
    assert!(error.suggested_fix.unwrap().contains(other.id.as_str()));
    // Her newest account is one of another auth config; the server's own is older.
    let early = |a: &mut patchbay::domain::connection::Account| {
        a.created_at -= chrono::TimeDelta::hours(1);
    };
    account(&world.app, &other, "ann", json!({"generic_api_key": "key-of-other"}), early).await;
    world.app.app.cache.clear();
    let done = ann.call(&world.app.app, "MOCK_GET_THING", thing()).await.unwrap();
    assert!(done.successful);
    assert_eq!(world.provider.last().header("authorization"), Some("Bearer key-of-other"));
}

#[tokio::test]
async fn an_address_names_a_user_or_an_account_that_fits() {
    let world = World::new().await;
    let (config, anns) = (world.config.id.as_str(), world.account.id.as_str());
    let id = make(&world, json!({"name": "Addresses", "auth_config_ids": [config]})).await;
    assert_eq!(refused(&world, &id, &Address::default()).await.0, 400);
    assert_eq!(refused(&world, &id, &of_user(" ")).await.0, 400);
    assert_eq!(refused(&world, &id, &of_user(&"x".repeat(513))).await.0, 400);
    let by_account = |user: Option<&str>, account: &str| Address {
        user_id: user.map(str::to_owned),
        connected_account_id: Some(account.to_owned()),
        ..Address::default()
    };
    let ann = served(&world, &id, &by_account(None, anns)).await;
    assert_eq!(ann.user_id, "ann");
    assert!(ann.call(&world.app.app, "MOCK_GET_THING", thing()).await.unwrap().successful);
    served(&world, &id, &by_account(Some("ann"), anns)).await;
    let mismatch = "ConnectedAccount_Mismatch";
    assert_eq!(refused(&world, &id, &by_account(Some("bob"), anns)).await, (400, mismatch));
    assert_eq!(refused(&world, &id, &by_account(None, "ca_guessed")).await.0, 404);
    // An account of the same user, of an auth config that the server does not have.
    let other = second_config(&world).await;
    let hers =
        account(&world.app, &other, "ann", json!({"generic_api_key": "k-1234567"}), |_| {}).await;
    assert_eq!(refused(&world, &id, &by_account(None, hers.id.as_str())).await, (400, mismatch));
    // An account of another project.
    let foreign = world.app.another_project().await;
    let config = auth_config(&world.app, &foreign.id, "mock", AuthSchemeKind::ApiKey, |_| {}).await;
    let theirs =
        account(&world.app, &config, "ann", json!({"generic_api_key": "k-1234567"}), |_| {}).await;
    assert_eq!(refused(&world, &id, &by_account(None, theirs.id.as_str())).await.0, 404);
    assert_eq!(
        refused(&world, "00000000-0000-4000-8000-000000000000", &of_user("ann")).await.0,
        404
    );
    assert_eq!(refused(&world, "nope", &of_user("ann")).await.0, 404);
}

#[tokio::test]
async fn a_key_is_needed_unless_the_project_says_otherwise_and_never_anothers() {
    let world = World::new().await;
    let app = &world.app.app;
    let id = make(&world, json!({"name": "Guarded", "toolkits": ["mock"]})).await;
    let ann = of_user("ann");
    let status = |error: patchbay::error::Error| error.code.status.as_u16();
    assert_eq!(status(open(app, &id, None, &ann).await.unwrap_err()), 401);
    let foreign = world.app.another_project().await;
    let foreign = app.cache.project(&foreign.id).await.unwrap().unwrap();
    assert_eq!(status(open(app, &id, Some(&foreign), &ann).await.unwrap_err()), 401);
    let path = "/api/v3/org/project/config";
    let body = json!({"require_mcp_api_key": false});
    world.app.client().patch(path, body).await.expect(200);
    open(app, &id, None, &ann).await.unwrap();
    assert_eq!(status(open(app, &id, Some(&foreign), &ann).await.unwrap_err()), 401);
    let gone = world.app.client().delete(&format!("/api/v3/mcp/{id}")).await;
    gone.expect(200);
    assert_eq!(status(open(app, &id, None, &ann).await.unwrap_err()), 404);
}

#[tokio::test]
async fn a_managed_server_lets_the_agent_connect_its_user() {
    let world = World::new().await;
    let config = world.config.id.as_str();
    let id = make(
        &world,
        json!({"name": "Managed", "toolkits": ["mock", "mopen"],
        "auth_config_ids": [config], "managed_auth_via_composio": true}),
    )
    .await;
    let bob = served(&world, &id, &of_user("bob")).await;
    let names: Vec<&str> = bob.connection_tools().iter().map(|spec| spec.slug).collect();
    assert_eq!(names, ["COMPOSIO_CHECK_ACTIVE_CONNECTION", "COMPOSIO_INITIATE_CONNECTION"]);
    let app = &world.app.app;
    let error = bob.call(app, "MOCK_GET_THING", thing()).await.unwrap_err();
    assert!(error.suggested_fix.unwrap().contains("COMPOSIO_INITIATE_CONNECTION"));
    let of = |toolkit: &str| map(json!({"toolkit": toolkit}));
    let state = bob.call(app, "COMPOSIO_CHECK_ACTIVE_CONNECTION", of("mock")).await.unwrap();
    assert_eq!(state.data["active_connection"], false);
    let state = bob.call(app, "COMPOSIO_CHECK_ACTIVE_CONNECTION", of("mopen")).await.unwrap();
    assert_eq!(state.data["active_connection"], true);
    let link = bob.call(app, "COMPOSIO_INITIATE_CONNECTION", of("MOCK")).await.unwrap();
    let url = link.data["redirect_url"].as_str().unwrap();
    let page = world.app.anonymous().get(url).await;
    assert_eq!(page.status, 200);
    let form = [("generic_api_key", "key-of-bob")];
    let sent = world.app.anonymous();
    let sent = sent.send(sent.request(reqwest::Method::POST, url).form(&form)).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let state = bob.call(app, "COMPOSIO_CHECK_ACTIVE_CONNECTION", of("mock")).await.unwrap();
    assert_eq!(state.data["active_connection"], true);
    assert_eq!(state.data["connected_account_id"], link.data["connected_account_id"]);
    let again = bob.call(app, "COMPOSIO_INITIATE_CONNECTION", of("mock")).await.unwrap();
    assert_eq!(again.data["redirect_url"], Value::Null);
    assert!(bob.call(app, "MOCK_GET_THING", thing()).await.unwrap().successful);
    assert_eq!(world.provider.last().header("authorization"), Some("Bearer key-of-bob"));
    // Apps that the server does not have are not connected through it.
    assert!(bob.call(app, "COMPOSIO_INITIATE_CONNECTION", of("github")).await.is_err());
    let quiet = Address { helper_actions: Some(false), ..of_user("bob") };
    assert!(served(&world, &id, &quiet).await.connection_tools().is_empty());
}
