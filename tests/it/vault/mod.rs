//! Secrets at rest: data keys, master keys, and exchanging both while servers serve.

mod command;
mod dump;
mod format;
mod kill;
mod rotation;
mod upgrade;
mod writers;

use std::collections::HashMap;
use std::time::Duration;

use patchbay::db;
use patchbay::domain::connection::{Account, SecretMap};
use patchbay::domain::id::{AccountId, ProjectId, random_text};
use patchbay::vault::rotate::{Report, Rotation};
use patchbay::vault::status::{self, Status};
use patchbay::vault::{Context, Key, Masters, Vault};
use serde_json::json;

use crate::support::TestApp;
use crate::support::app::{ENCRYPTION_KEY, TestProject};

/// Secret of each account.
pub type Secrets = HashMap<(ProjectId, AccountId), String>;

/// The key that all test servers have.
pub fn masters() -> Masters {
    Masters::one(Key::parse(ENCRYPTION_KEY).unwrap(), ENCRYPTION_KEY.into())
}

/// A vault that has nothing in memory.
pub fn fresh_vault(app: &TestApp) -> Vault {
    Vault::new(masters(), &app.app.db)
}

/// An account of a project, with another secret in each.
pub async fn connect(app: &TestApp, project: &TestProject) -> (AccountId, String) {
    let client = app.client_of(project);
    let body = json!({"toolkit": {"slug": "exa"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "API_KEY", "shared_credentials": {"base_url": "https://api.exa.ai"}}});
    let config = client.post("/api/v3/auth_configs", body).await.expect(201);
    let config = config["auth_config"]["id"].as_str().unwrap().to_owned();
    let secret = format!("sk-{}", random_text(24));
    let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u1",
        "state": {"authScheme": "API_KEY", "val": {"generic_api_key": secret}}}});
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    assert_eq!(made["status"], "ACTIVE", "{made}");
    (made["id"].as_str().unwrap().into(), secret)
}

/// Many accounts like one that is there, each with a secret of its own.
pub async fn copies(app: &TestApp, project: &ProjectId, id: &AccountId, n: usize) -> Secrets {
    let row = db::account::get(&app.app.db, project, id).await.unwrap().unwrap();
    let first = app.app.vault.open_account(row).await.unwrap();
    let mut secrets = Secrets::new();
    for _ in 0..n {
        let secret = format!("sk-{}", random_text(24));
        let mut state = first.state.0.clone();
        state.insert("generic_api_key".to_owned(), json!(secret));
        let account =
            Account { id: AccountId::generate(), state: SecretMap(state), ..first.clone() };
        let sealed = app.app.vault.seal_account(&account).await.unwrap();
        db::account::insert(&app.app.db, &sealed).await.unwrap();
        secrets.insert((project.clone(), account.id), secret);
    }
    secrets
}

/// Opens every account with what this vault has and the database holds.
pub async fn assert_all_open(vault: &Vault, app: &TestApp, secrets: &Secrets) {
    let rows: Vec<(ProjectId, AccountId, Vec<u8>)> =
        sqlx::query_as("select project_id, id, state from connected_account")
            .fetch_all(&app.app.db)
            .await
            .unwrap();
    let mut found = 0;
    for (project, id, sealed) in rows {
        let Some(secret) = secrets.get(&(project.clone(), id.clone())) else { continue };
        let column = "connected_account.state";
        let context = Context { column, project: project.as_str(), row: id.as_str() };
        let plain = vault.open(context, &sealed).await.unwrap();
        assert!(String::from_utf8_lossy(&plain).contains(secret), "{id}");
        found += 1;
    }
    assert_eq!(found, secrets.len());
}

/// Opens every sealed value of the database, whatever it is; returns their number.
pub async fn assert_every_value_opens(vault: &Vault, app: &TestApp) -> usize {
    let values: Vec<(String, String, String, Vec<u8>)> = sqlx::query_as(
        "select 'project.webhook_secret', id, id, webhook_secret from project
         union all select 'auth_config.credentials', project_id, id, credentials from auth_config
            where credentials <> ''
         union all select 'auth_config.shared_credentials', project_id, id, shared_credentials
            from auth_config where shared_credentials is not null
         union all select 'connected_account.state', project_id, id, state from connected_account
            where state <> ''
         union all select 'connect_token.data', project_id, encode(hash, 'hex'), data
            from connect_token
         union all select 'oauth_client.client', project_id, id, client from oauth_client
            where client is not null
         union all select 'revocation.tokens', project_id, id, tokens from revocation
            where tokens is not null",
    )
    .fetch_all(&app.app.db)
    .await
    .unwrap();
    for (column, project, row, sealed) in &values {
        let context = Context { column, project, row };
        assert!(vault.open(context, sealed).await.is_ok(), "{column} of {project} {row}");
    }
    values.len()
}

pub async fn status(vault: &Vault, app: &TestApp) -> Status {
    status::read(vault, &app.app.db).await.unwrap()
}

/// Every value is sealed with the one current data key of its project.
pub fn assert_only_current_keys_seal(status: &Status) {
    let mut projects: Vec<&str> = Vec::new();
    for key in &status.data_keys {
        if key.retired_at.is_some() {
            assert_eq!(key.rows, 0, "{key:?}");
        } else {
            assert!(!projects.contains(&key.project_id.as_str()), "two current keys: {key:?}");
            projects.push(&key.project_id);
        }
    }
    assert!(status.master_keys.iter().all(|m| m.rows == 0), "{status:?}");
}

/// Gives everything new data keys.
pub async fn rotate(vault: &Vault, app: &TestApp) -> Report {
    let mut say = |_: &str| {};
    let mut rotation = Rotation::new(vault, app.app.db.clone(), &mut say);
    rotation.data_keys().await.unwrap();
    rotation.report().clone()
}

/// Deletes retired keys that were retired that long ago.
pub async fn sweep(vault: &Vault, app: &TestApp, grace: Duration) -> Report {
    let mut say = |_: &str| {};
    let mut rotation = Rotation::new(vault, app.app.db.clone(), &mut say);
    rotation.sweep(grace, Duration::ZERO).await.unwrap();
    rotation.report().clone()
}
