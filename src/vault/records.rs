//! Sealing and opening whole rows: the step between `db` rows and domain types.

use serde_json::{Map, Value};
use sqlx::types::Json;

use super::{Context, Vault};
use crate::db::account::AccountRow;
use crate::db::auth_config::AuthConfigRow;
use crate::domain::connection::{Account, AuthConfig, SecretMap};
use crate::domain::id::{AccountId, AuthConfigId, ProjectId, RevocationId};
use crate::domain::identity::Identity;
use crate::domain::sharing::Sharing;
use crate::error::Result;

/// Context of `auth_config.credentials`.
fn config_context<'a>(project: &'a ProjectId, id: &'a AuthConfigId) -> Context<'a> {
    Context { column: "auth_config.credentials", project: project.as_str(), row: id.as_str() }
}

/// Context of `auth_config.shared_credentials`.
fn shared_context<'a>(project: &'a ProjectId, id: &'a AuthConfigId) -> Context<'a> {
    Context { column: "auth_config.shared_credentials", ..config_context(project, id) }
}

/// Key of the sealed state under which the identity lies. No field of a connection can have it:
/// names of fields are plain words.
const IDENTITY: &str = "@identity";

/// A connection's state and the identity that lies in it.
fn split(mut state: Map<String, Value>) -> (SecretMap, Option<Identity>) {
    let identity = state.remove(IDENTITY).and_then(|value| serde_json::from_value(value).ok());
    (SecretMap(state), identity)
}

/// A connection's state with the identity in it, for sealing.
fn joined(account: &Account) -> Map<String, Value> {
    let mut state = account.state.0.clone();
    state.remove(IDENTITY);
    if let Some(Ok(value)) = account.identity.as_ref().map(serde_json::to_value) {
        state.insert(IDENTITY.to_owned(), value);
    }
    state
}

fn account_context<'a>(project: &'a ProjectId, id: &'a AccountId) -> Context<'a> {
    Context { column: "connected_account.state", project: project.as_str(), row: id.as_str() }
}

fn client_context<'a>(project: &'a ProjectId, id: &'a str) -> Context<'a> {
    Context { column: "oauth_client.client", project: project.as_str(), row: id }
}

fn revocation_context<'a>(project: &'a ProjectId, id: &'a RevocationId) -> Context<'a> {
    Context { column: "revocation.tokens", project: project.as_str(), row: id.as_str() }
}

/// `row` is the token's hash in hex.
fn token_context<'a>(project: &'a ProjectId, row: &'a str) -> Context<'a> {
    Context { column: "connect_token.data", project: project.as_str(), row }
}

fn webhook_context(project: &ProjectId) -> Context<'_> {
    Context { column: "project.webhook_secret", project: project.as_str(), row: project.as_str() }
}

impl Vault {
    /// Opens an auth config.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_auth_config(&self, row: AuthConfigRow) -> Result<AuthConfig> {
        let credentials =
            self.open_map(config_context(&row.project_id, &row.id), &row.credentials).await?;
        let shared = match &row.shared_credentials {
            Some(sealed) => self.open_map(shared_context(&row.project_id, &row.id), sealed).await?,
            None => Map::new(),
        };
        Ok(AuthConfig {
            project_id: row.project_id,
            id: row.id,
            toolkit_slug: row.toolkit_slug,
            name: row.name,
            scheme: row.scheme,
            is_managed: row.is_managed,
            is_enabled: row.is_enabled,
            credentials: SecretMap(credentials),
            shared_credentials: SecretMap(shared),
            restrict_to_tools: row.restrict_to_tools,
            scope_tools: row.scope_tools,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// Seals an auth config for [`crate::db::auth_config::insert`] or `update`.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_auth_config(&self, config: &AuthConfig) -> Result<AuthConfigRow> {
        let shared = &config.shared_credentials.0;
        let shared_credentials = if shared.is_empty() {
            None
        } else {
            Some(self.seal_map(shared_context(&config.project_id, &config.id), shared).await?)
        };
        let context = config_context(&config.project_id, &config.id);
        let credentials = self.seal_map(context, &config.credentials.0).await?;
        Ok(AuthConfigRow {
            project_id: config.project_id.clone(),
            id: config.id.clone(),
            toolkit_slug: config.toolkit_slug.clone(),
            name: config.name.clone(),
            scheme: config.scheme,
            is_managed: config.is_managed,
            is_enabled: config.is_enabled,
            credentials,
            shared_credentials,
            restrict_to_tools: config.restrict_to_tools.clone(),
            scope_tools: config.scope_tools.clone(),
            created_at: config.created_at,
            updated_at: config.updated_at,
        })
    }

    /// Opens a connected account.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_account(&self, row: AccountRow) -> Result<Account> {
        let state = self.open_map(account_context(&row.project_id, &row.id), &row.state).await?;
        let (state, identity) = split(state);
        Ok(Account {
            project_id: row.project_id,
            id: row.id,
            auth_config_id: row.auth_config_id,
            toolkit_slug: row.toolkit_slug,
            user_id: row.user_id,
            scheme: row.scheme,
            status: row.status,
            status_reason: row.status_reason,
            is_disabled: row.is_disabled,
            alias: row.alias,
            sharing: Sharing { account_type: row.account_type, acl: row.acl.0 },
            identity,
            state,
            state_version: row.state_version,
            token_expires_at: row.token_expires_at,
            attempt_expires_at: row.attempt_expires_at,
            callback_url: row.callback_url,
            flow: row.flow,
            refresh: row.refresh,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }

    /// Seals a connected account for [`crate::db::account::insert`] or `update_state`.
    ///
    /// # Errors
    /// As [`Vault::seal_auth_config`].
    pub async fn seal_account(&self, account: &Account) -> Result<AccountRow> {
        let context = account_context(&account.project_id, &account.id);
        let state = self.seal_map(context, &joined(account)).await?;
        Ok(AccountRow {
            project_id: account.project_id.clone(),
            id: account.id.clone(),
            auth_config_id: account.auth_config_id.clone(),
            toolkit_slug: account.toolkit_slug.clone(),
            user_id: account.user_id.clone(),
            scheme: account.scheme,
            status: account.status,
            status_reason: account.status_reason.clone(),
            is_disabled: account.is_disabled,
            alias: account.alias.clone(),
            account_type: account.sharing.account_type,
            acl: Json(account.sharing.acl.clone()),
            state,
            state_version: account.state_version,
            token_expires_at: account.token_expires_at,
            attempt_expires_at: account.attempt_expires_at,
            callback_url: account.callback_url.clone(),
            flow: account.flow.clone(),
            refresh: account.refresh.clone(),
            created_at: account.created_at,
            updated_at: account.updated_at,
        })
    }

    /// Seals the data of a connect token; `hash` is the token's hash.
    ///
    /// # Errors
    /// As [`Vault::seal_auth_config`].
    pub async fn seal_token_data(
        &self,
        project: &ProjectId,
        hash: &[u8],
        data: &Map<String, Value>,
    ) -> Result<Vec<u8>> {
        let row = hex::encode(hash);
        self.seal_map(token_context(project, &row), data).await
    }

    /// Opens the data of a connect token.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_token_data(
        &self,
        project: &ProjectId,
        hash: &[u8],
        sealed: &[u8],
    ) -> Result<Map<String, Value>> {
        let row = hex::encode(hash);
        self.open_map(token_context(project, &row), sealed).await
    }

    /// Seals a registered OAuth client; `id` is its row's.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_oauth_client(
        &self,
        project: &ProjectId,
        id: &str,
        client: &Map<String, Value>,
    ) -> Result<Vec<u8>> {
        self.seal_map(client_context(project, id), client).await
    }

    /// Opens a registered OAuth client.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_oauth_client(
        &self,
        project: &ProjectId,
        id: &str,
        sealed: &[u8],
    ) -> Result<Map<String, Value>> {
        self.open_map(client_context(project, id), sealed).await
    }

    /// Seals what it takes to revoke tokens.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_revocation(
        &self,
        project: &ProjectId,
        id: &RevocationId,
        data: &Map<String, Value>,
    ) -> Result<Vec<u8>> {
        self.seal_map(revocation_context(project, id), data).await
    }

    /// Opens what it takes to revoke tokens.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_revocation(
        &self,
        project: &ProjectId,
        id: &RevocationId,
        sealed: &[u8],
    ) -> Result<Map<String, Value>> {
        self.open_map(revocation_context(project, id), sealed).await
    }

    /// Seals a project's webhook secret. Nothing is signed with it any more: every webhook subscription
    /// has its own; the column stays for servers of the release before, which read it.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_webhook_secret(&self, project: &ProjectId, secret: &str) -> Result<Vec<u8>> {
        self.seal(webhook_context(project), secret.as_bytes()).await
    }
}
