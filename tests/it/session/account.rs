//! With which account a tool of a session is executed.

use std::time::Duration;

use patchbay::domain::sharing::{AccountType, Acl, Sharing};
use patchbay::domain::status::AccountStatus;
use serde_json::json;

use super::world::World;

const TOOL: &str = "MOCS_MIRROR";

fn shared_with(users: &[&str]) -> Sharing {
    let allowed_user_ids = users.iter().map(|user| (*user).to_owned()).collect();
    Sharing { account_type: AccountType::Shared, acl: Acl { allowed_user_ids, ..Acl::default() } }
}

#[tokio::test]
async fn the_documented_order_decides_which_account_is_used() {
    let mut world = World::new().await;
    let old = world.account("ann", "key-old", 100, |a| a.alias = Some("work".into())).await;
    world.account("ann", "key-new", 50, |_| {}).await;
    world.account("bob", "key-bob", 1, |_| {}).await;
    let first = world.config.clone();
    world.config = world.another_config().await;
    world.account("ann", "key-other-config", 20, |_| {}).await;

    // The newest of all.
    let agent = world.agent("ann", json!({})).await;
    agent.run(TOOL, json!({})).await;
    assert_eq!(world.last_key(), "key-other-config");
    // The newest of the auth config.
    let configured = world.agent("ann", json!({"auth_configs": {"mocs": first.id}})).await;
    configured.run(TOOL, json!({})).await;
    assert_eq!(world.last_key(), "key-new");
    // The one that is named goes before both.
    let config = json!({"auth_configs": {"mocs": first.id},
        "connected_accounts": {"mocs": [old.id]}});
    let pinned = world.agent("ann", config).await;
    pinned.run(TOOL, json!({})).await;
    assert_eq!(world.last_key(), "key-old");
    // What the call says goes before everything, by id and by alias.
    for name in [old.id.as_str(), "work"] {
        agent.with_account(TOOL, name).await.expect(200);
        assert_eq!(world.last_key(), "key-old");
    }
    // Nobody's account: the error says how to connect, under the number that SDKs know.
    let nobody = world.agent("eve", json!({})).await;
    let error = nobody.execute(TOOL, json!({})).await.expect_error(400);
    assert_eq!(error["code"], 1803);
    let fix = error["suggested_fix"].as_str().unwrap();
    assert!(fix.contains("COMPOSIO_MANAGE_CONNECTIONS"), "{error}");
    let config = json!({"manage_connections": {"enable": false}});
    let nobody = world.agent("eve", config).await;
    let error = nobody.execute(TOOL, json!({})).await.expect_error(400);
    assert!(error["suggested_fix"].as_str().unwrap().contains("authorize"), "{error}");
}

#[tokio::test]
async fn an_account_of_somebody_else_is_unknown_by_every_name() {
    let world = World::new().await;
    world.account("ann", "key-ann", 10, |_| {}).await;
    let theirs = world.account("bob", "key-bob", 1, |a| a.alias = Some("bobs".into())).await;
    let agent = world.agent("ann", json!({})).await;
    let unknown = agent.with_account(TOOL, "ca_never").await.expect_error(404);
    for name in [theirs.id.as_str(), "bobs"] {
        let error = agent.with_account(TOOL, name).await.expect_error(404);
        assert_eq!((&error["slug"], &error["errors"]), (&unknown["slug"], &unknown["errors"]));
    }
    let stranger = world.app.client_of(&world.app.another_project().await);
    let stranger = world.agent_at(stranger, "bob", json!({})).await;
    stranger.with_account(TOOL, theirs.id.as_str()).await.expect_error(404);
    stranger.execute(TOOL, json!({})).await.expect_error(400);
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn shared_accounts_are_used_only_where_the_configuration_names_them() {
    let world = World::new().await;
    let shared = world.account("bob", "key-shared", 1, |a| a.sharing = shared_with(&["ann"])).await;
    let id = shared.id.as_str();
    for user in ["ann", "bob"] {
        let agent = world.agent(user, json!({})).await;
        agent.execute(TOOL, json!({})).await.expect_error(400);
        let status = if user == "bob" { 403 } else { 404 };
        agent.with_account(TOOL, id).await.expect_error(status);
        let agent = world.agent(user, json!({"connected_accounts": {"mocs": id}})).await;
        agent.run(TOOL, json!({})).await;
        agent.with_account(TOOL, id).await.expect(200);
        assert_eq!(world.last_key(), "key-shared");
    }
    // Taken back: the session loses it at once.
    let agent = world.agent("ann", json!({"connected_accounts": {"mocs": id}})).await;
    let path = format!("/api/v3/connected_accounts/{id}");
    let denied = json!({"experimental": {"acl_config_for_shared": {"allowed_user_ids": []}}});
    world.app.client().patch(&path, denied).await.expect(200);
    let error = agent.execute(TOOL, json!({})).await.expect_error(403);
    assert_eq!(error["slug"], "ConnectedAccount_NotShared");
}

#[tokio::test]
async fn a_pinned_account_that_does_not_work_is_never_replaced_by_another() {
    let world = World::new().await;
    world.account("ann", "key-fine", 1, |_| {}).await;
    let pinned = world.account("ann", "key-pinned", 10, |_| {}).await;
    let agent = world.agent("ann", json!({"connected_accounts": {"mocs": pinned.id}})).await;
    agent.run(TOOL, json!({})).await;
    let seen = world.provider.seen().len();
    let client = world.app.client();
    let path = format!("/api/v3/connected_accounts/{}", pinned.id);
    client.patch(&format!("{path}/status"), json!({"enabled": false})).await.expect(200);
    let error = agent.execute(TOOL, json!({})).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_Inactive");
    client.patch(&format!("{path}/status"), json!({"enabled": true})).await.expect(200);
    agent.run(TOOL, json!({})).await;
    client.delete(&path).await.expect(200);
    let error = agent.execute(TOOL, json!({})).await.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains("deleted"), "{error}");
    let other = world.account("ann", "key-expired", 5, |a| a.status = AccountStatus::Expired).await;
    let agent = world.agent("ann", json!({"connected_accounts": {"mocs": other.id}})).await;
    let error = agent.execute(TOOL, json!({})).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_NotActive");
    assert_eq!(world.provider.seen().len(), seen + 1);
}

#[tokio::test]
async fn a_session_that_names_its_accounts_uses_no_others() {
    let mut world = World::new().await;
    let one = world.account("ann", "key-one", 10, |a| a.alias = Some("one".into())).await;
    let two = world.account("ann", "key-two", 5, |a| a.alias = Some("two".into())).await;
    world.account("ann", "key-three", 1, |a| a.alias = Some("three".into())).await;
    let config = json!({"connected_accounts": {"mocs": [one.id, two.id]},
        "multi_account": {"enable": true, "require_explicit_selection": true}});
    let agent = world.agent("ann", config).await;
    let error = agent.execute(TOOL, json!({})).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_Ambiguous");
    assert_eq!(error["errors"].as_array().unwrap().len(), 2, "{error}");
    assert!(error["message"].as_str().unwrap().contains(one.id.as_str()), "{error}");
    agent.with_account(TOOL, "two").await.expect(200);
    assert_eq!(world.last_key(), "key-two");
    let error = agent.with_account(TOOL, "three").await.expect_error(403);
    assert_eq!(error["slug"], "ToolRouter_AccountNotAllowed");
    // One account of each toolkit, and no other.
    let agent = world.agent("ann", json!({"multi_account": {"enable": false}})).await;
    agent.with_account(TOOL, "three").await.expect(200);
    agent.with_account(TOOL, "one").await.expect_error(403);
    // An auth config narrows in the same way.
    let first = world.config.clone();
    world.config = world.another_config().await;
    let other = world.account("ann", "key-other", 1, |_| {}).await;
    let agent = world.agent("ann", json!({"auth_configs": {"mocs": first.id}})).await;
    agent.with_account(TOOL, other.id.as_str()).await.expect_error(403);
}

#[tokio::test]
async fn several_accounts_must_be_told_apart_where_that_is_asked_for() {
    let world = World::new().await;
    let one = world.account("ann", "key-one", 10, |_| {}).await;
    let explicit = json!({"multi_account": {"require_explicit_selection": true}});
    let agent = world.agent("ann", explicit).await;
    agent.run(TOOL, json!({})).await;
    // Connected meanwhile: the warm server notices.
    let client = world.app.client();
    let body = json!({"auth_config": {"id": world.config.id}, "connection": {"user_id": "ann",
        "state": {"authScheme": "API_KEY", "val": {"generic_api_key": "key-two"}}}});
    client.post("/api/v3/connected_accounts", body).await.expect(201);
    let error = agent.execute(TOOL, json!({})).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_Ambiguous");
    // The project's own setting does the same for sessions that say nothing.
    let agent = world.agent("ann", json!({})).await;
    agent.run(TOOL, json!({})).await;
    assert_eq!(world.last_key(), "key-two");
    let refuse = json!({"on_ambiguous_account": "refuse"});
    client.patch("/api/v3/org/project/config", refuse).await.expect(200);
    agent.execute(TOOL, json!({})).await.expect_error(400);
    agent.with_account(TOOL, one.id.as_str()).await.expect(200);
    assert_eq!(world.last_key(), "key-one");
}

#[tokio::test]
async fn a_warm_server_reads_nothing_to_choose_an_account() {
    let world = World::new().await;
    world.account("ann", "key-one", 10, |a| a.alias = Some("one".into())).await;
    let two = world.account("ann", "key-two", 5, |_| {}).await;
    let configs = json!({"auth_configs": {"mocs": world.config.id}});
    let pins = json!({"connected_accounts": {"mocs": two.id}});
    let app = &world.app.app;
    let catalog = app.catalogs.server();
    let toolkit = catalog.toolkit("mocs").unwrap();
    let project = patchbay::cache::project_of(
        patchbay::db::project::get(&app.db, &world.app.project.id).await.unwrap().unwrap(),
    );
    for (config, name) in
        [(json!({}), None), (configs, None), (pins, None), (json!({}), Some("one"))]
    {
        let agent = world.agent("ann", config).await;
        let id = agent.path.rsplit('/').next().unwrap();
        let session = patchbay::session::find(app, &project.id, &id.into()).await.unwrap();
        let choose = || patchbay::session::account::choose(app, &project, &session, toolkit, name);
        let cold = choose().await.unwrap().unwrap();
        // With every connection taken, whoever reads waits in vain.
        let mut taken = Vec::new();
        let next = || tokio::time::timeout(Duration::from_millis(200), app.db.acquire());
        while let Ok(connection) = next().await {
            taken.push(connection.unwrap());
        }
        assert!(!taken.is_empty());
        let warm = choose().await.unwrap().unwrap();
        assert_eq!(warm.id, cold.id);
    }
}
