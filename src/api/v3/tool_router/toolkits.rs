//! The toolkits of a session.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::toolkits::managed_schemes;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::{App, AppState};
use crate::domain::id::SessionId;
use crate::domain::page::Page;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::time::iso;
use crate::error::Result;
use crate::session::toolkits::{Filter, Shown, is_no_auth};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ToolkitsQuery {
    /// Toolkits per page; 20 when absent, at most 50.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
    /// Only these, of those that the session allows.
    #[serde(deserialize_with = "query::list")]
    toolkits: Vec<String>,
    /// Only those with an active account, or only those without.
    #[serde(deserialize_with = "query::flag")]
    is_connected: Option<bool>,
    /// Words to look for in slug, name and description.
    #[serde(deserialize_with = "query::text")]
    search: Option<String>,
}

/// The auth config of an account.
#[derive(Debug, Serialize, ToSchema)]
struct SessionAuthConfig {
    /// Id.
    id: String,
    /// Scheme.
    auth_scheme: AuthSchemeKind,
    /// Whether it uses the operator's client.
    is_composio_managed: bool,
}

/// The account that a toolkit is used with.
#[derive(Debug, Serialize, ToSchema)]
struct SessionAccount {
    /// Id.
    id: String,
    /// The developer's own id of its owner.
    user_id: String,
    /// State; tools can be executed while it is ACTIVE.
    status: &'static str,
    /// When it was made.
    created_at: String,
    /// Its auth config.
    auth_config: SessionAuthConfig,
}

/// About a toolkit.
#[derive(Debug, Serialize, ToSchema)]
struct SessionToolkitMeta {
    /// What it is.
    description: String,
    /// URL of its logo.
    logo: String,
}

/// A toolkit of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionToolkit {
    /// Slug.
    slug: String,
    /// Display name.
    name: String,
    /// Always true: others are not listed.
    enabled: bool,
    /// Whether it works without credentials, and has none.
    is_no_auth: bool,
    /// Schemes for which the operator gave the server a client of its own.
    composio_managed_auth_schemes: Vec<AuthSchemeKind>,
    /// About it.
    meta: SessionToolkitMeta,
    /// The account that executions use, or the newest that cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_account: Option<SessionAccount>,
}

fn item(app: &App, shown: Shown) -> SessionToolkit {
    let file = &shown.toolkit.file;
    SessionToolkit {
        slug: file.slug.clone(),
        name: file.name.clone(),
        enabled: true,
        // Where credentials are a choice, an account that was connected is worth showing; clients
        // show none for a toolkit that needs none.
        is_no_auth: is_no_auth(&shown.toolkit) && shown.account.is_none(),
        composio_managed_auth_schemes: managed_schemes(app, &shown.toolkit),
        meta: SessionToolkitMeta {
            description: file.description.trim().to_owned(),
            logo: file.logo.clone().unwrap_or_default(),
        },
        connected_account: shown.account.map(|account| SessionAccount {
            id: account.id.to_string(),
            user_id: account.user_id,
            status: account.status.as_str(),
            created_at: iso(account.created_at),
            auth_config: SessionAuthConfig {
                id: account.auth_config_id.to_string(),
                auth_scheme: account.scheme,
                is_composio_managed: account.is_managed,
            },
        }),
    }
}

/// List the toolkits that a session allows, and with which account each is used.
#[utoipa::path(get, path = "/tool_router/session/{session_id}/toolkits", tag = "tool router",
    operation_id = "listSessionToolkits",
    params(("session_id" = String, Path, description = "Session id"), ToolkitsQuery),
    responses((status = 200, body = Page<SessionToolkit>), CommonErrors))]
pub(super) async fn toolkits(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<ToolkitsQuery>,
) -> Result<Json<Page<SessionToolkit>>> {
    let request = page(query.limit.map(|limit| limit.min(50)), query.cursor.as_deref(), 20)?;
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let filter =
        Filter { slugs: query.toolkits, is_connected: query.is_connected, search: query.search };
    let shown = crate::session::toolkits::page(&app, &session, &filter, request).await?;
    Ok(Json(shown.map(|shown| item(&app, shown))))
}
