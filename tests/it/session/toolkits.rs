//! The toolkits of a session.

use chrono::TimeDelta;
use patchbay::domain::connection::Account;
use patchbay::domain::scheme::AuthSchemeKind::ApiKey;
use patchbay::domain::status::AccountStatus;
use patchbay::domain::time::now;
use serde_json::{Value, json};

use super::{column, session};
use crate::execute::provider::{account, auth_config};
use crate::support::TestApp;

fn after(seconds: i64) -> impl FnOnce(&mut Account) {
    move |account| account.created_at = now() + TimeDelta::seconds(seconds)
}

#[tokio::test]
async fn the_account_shown_is_the_one_that_executions_use() {
    let app = TestApp::new().await;
    let client = app.client();
    let key = json!({"api_key": "k-12345678"});
    let one = auth_config(&app, &app.project.id, "exa", ApiKey, |_| {}).await;
    let two = auth_config(&app, &app.project.id, "exa", ApiKey, |_| {}).await;
    let off = auth_config(&app, &app.project.id, "exa", ApiKey, |c| c.is_enabled = false).await;
    let of_one = account(&app, &one, "ann", key.clone(), after(1)).await;
    let of_two = account(&app, &two, "ann", key.clone(), after(2)).await;
    account(&app, &off, "ann", key.clone(), after(3)).await;
    account(&app, &one, "bob", key.clone(), after(4)).await;
    let expired = |a: &mut Account| {
        a.created_at = now() + TimeDelta::seconds(5);
        a.status = AccountStatus::Expired;
    };
    let expired = account(&app, &two, "ann", key, expired).await;
    let shown = async |user: &str, config: Value| -> Value {
        let path = session(&client, user, config).await;
        let page = client.get(&format!("{path}/toolkits?toolkits=exa")).await.expect(200);
        assert_eq!(page["total_items"], 1);
        page["items"][0]["connected_account"].clone()
    };
    let newest = shown("ann", json!({})).await;
    assert_eq!(newest["id"], of_two.id.as_str());
    assert_eq!(newest["status"], "ACTIVE");
    assert_eq!(newest["user_id"], "ann");
    assert_eq!(
        newest["auth_config"],
        json!({"id": two.id, "auth_scheme": "API_KEY", "is_composio_managed": false})
    );
    let by_config = shown("ann", json!({"auth_configs": {"exa": one.id}})).await;
    assert_eq!(by_config["id"], of_one.id.as_str());
    let pinned =
        json!({"auth_configs": {"exa": one.id}, "connected_accounts": {"exa": expired.id}});
    let pinned = shown("ann", pinned).await;
    assert_eq!(pinned["id"], expired.id.as_str());
    assert_eq!(pinned["status"], "EXPIRED");
    assert_eq!(shown("eve", json!({})).await, json!(null));
}

#[tokio::test]
async fn what_can_be_used_comes_first_and_filters_narrow_the_list() {
    let app = TestApp::new().await;
    let client = app.client();
    let config = auth_config(&app, &app.project.id, "zenodo", ApiKey, |_| {}).await;
    account(&app, &config, "ann", json!({"api_key": "k-12345678"}), |_| {}).await;
    let path = session(&client, "ann", json!({"toolkits": {"disable": ["github"]}})).await;
    let page = async |query: &str| -> Value {
        client.get(&format!("{path}/toolkits{query}")).await.expect(200)
    };
    let first = page("").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 20);
    assert_eq!(first["items"][0]["slug"], "zenodo");
    assert!(!column(&first, "slug").contains(&"github".to_owned()));
    assert_eq!(first["current_page"], 1);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&format!("?cursor={cursor}")).await;
    assert!(column(&second, "slug").iter().all(|slug| !column(&first, "slug").contains(slug)));
    assert_eq!(page("?limit=9999").await["items"].as_array().unwrap().len(), 50);
    // A filter cannot bring back what the session excludes.
    let chosen = page("?toolkits=github,GMAIL,nope,hackernews").await;
    let mut slugs = column(&chosen, "slug");
    slugs.sort();
    assert_eq!(slugs, ["gmail", "hackernews"]);
    assert_eq!(column(&page("?is_connected=true").await, "slug"), ["zenodo"]);
    let others = page("?is_connected=false&toolkits=zenodo,gmail").await;
    assert_eq!(column(&others, "slug"), ["gmail"]);
    let found = page("?search=hacker").await;
    assert_eq!(found["items"][0]["slug"], "hackernews");
    assert_eq!(found["items"][0]["is_no_auth"], true);
    assert_eq!(found["items"][0]["enabled"], true);
    assert!(found["items"][0]["meta"]["logo"].is_string());
    assert!(found["items"][0].get("connected_account").is_none());
    client.get(&format!("{path}/toolkits?cursor=x")).await.expect_error(400);
    let stranger = app.client_of(&app.another_project().await);
    stranger.get(&format!("{path}/toolkits")).await.expect_error(404);
}
