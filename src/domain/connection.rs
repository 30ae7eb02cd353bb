//! Auth configs and connected accounts with their secrets opened: what the
//! cache holds and the use cases work with. Debug prints never show a secret.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::id::{AccountId, ApiKeyId, AuthConfigId, OrgId, ProjectId};
use super::identity::Identity;
use super::project::ProjectConfig;
use super::scheme::AuthSchemeKind;
use super::sharing::Sharing;
use super::status::AccountStatus;

/// Secret fields by name.
#[derive(Clone, Default, PartialEq)]
pub struct SecretMap(pub Map<String, Value>);

impl SecretMap {
    /// A text field.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

impl fmt::Debug for SecretMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A project, as requests need it.
#[derive(Debug, Clone)]
pub struct Project {
    /// Project id.
    pub id: ProjectId,
    /// Its organization.
    pub org_id: OrgId,
    /// Display name.
    pub name: String,
    /// Settings.
    pub config: ProjectConfig,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Who is calling: an API key that is valid.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Organization that the key belongs to.
    pub org_id: OrgId,
    /// Project that the key opens; none for an organization key.
    pub project: Option<Arc<Project>>,
    /// The key's row id.
    pub key_id: ApiKeyId,
    /// The key's display name.
    pub key_name: String,
    /// The key's first characters.
    pub key_hint: String,
    /// When the key was made.
    pub key_created_at: DateTime<Utc>,
}

/// An auth config with its credentials opened.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: AuthConfigId,
    /// Toolkit.
    pub toolkit_slug: String,
    /// Display name.
    pub name: String,
    /// Scheme.
    pub scheme: AuthSchemeKind,
    /// Uses the operator's OAuth client.
    pub is_managed: bool,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// Client id and secret, scopes, further fields.
    pub credentials: SecretMap,
    /// Fields that every account inherits.
    pub shared_credentials: SecretMap,
    /// Tools that may be executed; none: all.
    pub restrict_to_tools: Option<Vec<String>>,
    /// Tools whose scopes are asked for.
    pub scope_tools: Option<Vec<String>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A connected account with its state opened.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: AccountId,
    /// Auth config it was made with.
    pub auth_config_id: AuthConfigId,
    /// Toolkit.
    pub toolkit_slug: String,
    /// The developer's own id of the user.
    pub user_id: String,
    /// Scheme.
    pub scheme: AuthSchemeKind,
    /// State.
    pub status: AccountStatus,
    /// Why it is in that state.
    pub status_reason: Option<String>,
    /// Switched off by the developer.
    pub is_disabled: bool,
    /// The developer's own name of the account.
    pub alias: Option<String>,
    /// Who besides its owner may use it.
    pub sharing: Sharing,
    /// Whose account at the provider it is, as far as that is known.
    pub identity: Option<Identity>,
    /// Credentials and connection fields, flat, under the names that templates use
    /// (`access_token`, `refresh_token`, `api_key`, `token`, `username`, `password`,
    /// `subdomain`, …).
    pub state: SecretMap,
    /// Number of the present state.
    pub state_version: i64,
    /// When the access token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// When an unfinished attempt to connect ends.
    pub attempt_expires_at: Option<DateTime<Utc>>,
    /// Where the person's browser goes in the end.
    pub callback_url: Option<String>,
    /// `link` or `initiate`.
    pub flow: String,
    /// How refreshing it goes.
    pub refresh: RefreshRecord,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// How refreshing an account goes: when next, and what the last attempts said.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct RefreshRecord {
    /// When a worker takes the account up; none: never.
    #[sqlx(rename = "refresh_due")]
    pub due: Option<DateTime<Utc>>,
    /// Nobody asks the provider before this.
    #[sqlx(rename = "refresh_after")]
    pub after: Option<DateTime<Utc>>,
    /// Attempts in a row that brought no token.
    #[sqlx(rename = "refresh_failures")]
    pub failures: i32,
    /// Those of them that the provider refused.
    #[sqlx(rename = "refresh_refusals")]
    pub refusals: i32,
    /// What the last one of them said.
    #[sqlx(rename = "refresh_error")]
    pub error: Option<String>,
    /// Since when an answer may have been lost that replaced the refresh token.
    #[sqlx(rename = "refresh_lost_at")]
    pub lost_at: Option<DateTime<Utc>>,
    /// When the present token was stored.
    pub refreshed_at: Option<DateTime<Utc>>,
}
