//! Connected accounts as answers show them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::catalog::Toolkit;
use crate::connect::mask::masked;
use crate::connect::{scheme, toolkit};
use crate::credentials::dcr::SERVER_FIELD;
use crate::domain::connection::{Account, AuthConfig, Project};
use crate::domain::id::uuid_of;
use crate::domain::identity::Identity;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::sharing::{AccountType, Acl, Sharing};
use crate::domain::status::AccountStatus;
use crate::domain::time::iso;

/// Toolkit of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolkitInfo {
    /// Toolkit.
    slug: String,
}

/// Kept for older clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigDeprecated {
    /// A stable UUID-shaped form of the id.
    uuid: String,
}

/// Auth config of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfigInfo {
    /// Auth config id.
    id: String,
    /// Scheme.
    auth_scheme: &'static str,
    /// Whether the operator gives the OAuth client.
    is_composio_managed: bool,
    /// Whether it is disabled.
    is_disabled: bool,
    deprecated: ConfigDeprecated,
}

/// State of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct StateInfo {
    /// Scheme.
    #[serde(rename = "authScheme")]
    auth_scheme: &'static str,
    /// `status` and the connection's fields, masked unless the project's setting says otherwise.
    #[schema(value_type = Object)]
    val: Map<String, Value>,
}

/// Kept for older clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountDeprecated {
    /// Always empty.
    labels: Vec<String>,
    /// A stable UUID-shaped form of the id.
    uuid: String,
}

/// Who besides its owner may use an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Experimental {
    /// Whether the account is its owner's alone.
    account_type: AccountType,
    /// Access list; only of a SHARED account.
    #[serde(skip_serializing_if = "Option::is_none")]
    acl_config_for_shared: Option<Acl>,
}

impl Experimental {
    /// Of an account.
    pub fn of(account: &Account) -> Self {
        let Sharing { account_type, acl } = &account.sharing;
        let is_shared = *account_type == AccountType::Shared;
        Self { account_type: *account_type, acl_config_for_shared: is_shared.then(|| acl.clone()) }
    }
}

/// A connected account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountInfo {
    toolkit: ToolkitInfo,
    auth_config: ConfigInfo,
    /// Connected account id.
    id: String,
    /// The developer's own id of the user.
    user_id: String,
    /// The developer's own name of the account.
    alias: Option<String>,
    /// Whose account at the provider it is; null when that is not known.
    identity: Option<Identity>,
    experimental: Experimental,
    /// State.
    status: AccountStatus,
    /// Why it is in that state.
    status_reason: Option<String>,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
    state: StateInfo,
    /// As `state.val`.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// Fields of the connection that are not credentials.
    #[schema(value_type = Object)]
    params: Map<String, Value>,
    /// Whether it is switched off.
    is_disabled: bool,
    deprecated: AccountDeprecated,
}

/// A page of connected accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountPage {
    /// Accounts, newest first unless asked otherwise.
    items: Vec<AccountInfo>,
    /// Cursor of the next page, or null.
    next_cursor: Option<String>,
    /// Number of pages.
    total_pages: i64,
    /// This page's number, from 1.
    current_page: i64,
    /// Number of accounts.
    total_items: i64,
}

/// State of an account; `url` is where the browser has to go.
pub fn state(app: &App, project: &Project, account: &Account, url: Option<&str>) -> StateInfo {
    let toolkit = toolkit_of(app, account);
    let scheme = toolkit.as_ref().and_then(|t| scheme(t, account.scheme).ok());
    let fields = if project.config.mask_secret_keys_in_connected_account {
        masked(scheme, &account.state.0)
    } else {
        account.state.0.clone()
    };
    let mut val = Map::new();
    val.insert("status".into(), account.status.as_str().into());
    let own = ["status", SERVER_FIELD];
    val.extend(fields.into_iter().filter(|(name, _)| !own.contains(&name.as_str())));
    // Both documented names of a key.
    if account.scheme == AuthSchemeKind::ApiKey
        && let Some(key) = val.get("api_key").cloned()
    {
        val.insert("generic_api_key".into(), key);
    }
    if let Some(url) = url {
        val.insert("redirectUrl".into(), url.into());
        if account.scheme == AuthSchemeKind::Oauth1 {
            // Older SDKs know no unfinished attempt without these. The secret is nobody's business.
            let query = url.split_once('?').map_or("", |(_, query)| query);
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            let token = pairs.find(|(name, _)| name == "oauth_token").map(|(_, v)| v.into_owned());
            val.insert("authUri".into(), url.into());
            val.insert("oauth_token".into(), token.unwrap_or_default().into());
            val.insert("oauth_token_secret".into(), "REDACTED".into());
        }
    }
    if let Some(reason) = &account.status_reason
        && account.status == AccountStatus::Failed
    {
        val.insert("error_description".into(), reason.clone().into());
    }
    StateInfo { auth_scheme: account.scheme.as_str(), val }
}

fn toolkit_of(app: &App, account: &Account) -> Option<Arc<Toolkit>> {
    toolkit(app, &account.project_id, &account.toolkit_slug).ok()
}

/// An account, for an answer.
pub fn info(
    app: &App,
    project: &Project,
    account: &Account,
    config: Option<&AuthConfig>,
) -> AccountInfo {
    let state = state(app, project, account, None);
    let toolkit = toolkit_of(app, account);
    let scheme = toolkit.as_ref().and_then(|t| scheme(t, account.scheme).ok());
    let declared = scheme.map(crate::catalog::fields::connect_fields);
    let params = declared
        .unwrap_or_default()
        .into_iter()
        .filter(|f| !f.secret)
        .filter_map(|f| Some((f.name.clone(), account.state.0.get(&f.name)?.clone())))
        .collect();
    let config_id = account.auth_config_id.as_str();
    AccountInfo {
        toolkit: ToolkitInfo { slug: account.toolkit_slug.clone() },
        auth_config: ConfigInfo {
            id: config_id.to_owned(),
            auth_scheme: account.scheme.as_str(),
            is_composio_managed: config.is_some_and(|c| c.is_managed),
            is_disabled: config.is_some_and(|c| !c.is_enabled),
            deprecated: ConfigDeprecated { uuid: uuid_of(config_id) },
        },
        id: account.id.to_string(),
        user_id: account.user_id.clone(),
        alias: account.alias.clone(),
        identity: account.identity.clone(),
        experimental: Experimental::of(account),
        status: account.status,
        status_reason: account.status_reason.clone(),
        created_at: iso(account.created_at),
        updated_at: iso(account.updated_at),
        data: state.val.clone(),
        state,
        params,
        is_disabled: account.is_disabled,
        deprecated: AccountDeprecated { labels: Vec::new(), uuid: uuid_of(account.id.as_str()) },
    }
}
