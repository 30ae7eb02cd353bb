//! Auth configs.

mod input;
mod shape;

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{CreateBody, UpdateBody};
use self::shape::{AuthConfigInfo, AuthConfigPage};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::connect::{auth_config, find_config};
use crate::db;
use crate::db::auth_config::Filter;
use crate::domain::id::AuthConfigId;
use crate::domain::page::Page;
use crate::error::{Error, Result};
use crate::trigger::{self, Going};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(set_status))
}

/// The toolkit of a new auth config.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedToolkit {
    /// Toolkit.
    slug: String,
}

/// A new auth config, in brief.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedAuthConfig {
    /// Auth config id.
    id: String,
    /// Scheme.
    auth_scheme: &'static str,
    /// Whether the operator gives the OAuth client.
    is_composio_managed: bool,
    /// Tools that may be executed; empty: all.
    restrict_to_following_tools: Vec<String>,
}

/// A new auth config.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthConfigCreated)]
struct Created {
    toolkit: CreatedToolkit,
    auth_config: CreatedAuthConfig,
}

/// A change that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthConfigDone)]
struct Done {
    /// Always true.
    success: bool,
    /// What happened.
    message: &'static str,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those whose OAuth client the operator gives, or only the others.
    #[serde(deserialize_with = "query::flag")]
    is_composio_managed: Option<bool>,
    /// Only those of these toolkits, joined by commas.
    #[serde(deserialize_with = "query::list")]
    #[param(value_type = Option<String>)]
    toolkit_slug: Vec<String>,
    /// Also those that are disabled.
    #[serde(deserialize_with = "query::flag")]
    show_disabled: Option<bool>,
    /// Part of the name.
    #[serde(deserialize_with = "query::text")]
    search: Option<String>,
    /// Auth configs per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// List auth configs, newest first.
#[utoipa::path(get, path = "/auth_configs", tag = "auth_configs",
    operation_id = "getAuthConfigs", params(ListQuery),
    responses((status = 200, body = AuthConfigPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<AuthConfigInfo>>> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let filter = Filter {
        toolkit_slugs: query.toolkit_slug.iter().map(|s| s.to_lowercase()).collect(),
        is_managed: query.is_composio_managed,
        show_disabled: query.show_disabled.unwrap_or(false),
        search: query.search,
    };
    let project = &key.project;
    let (rows, total) =
        db::auth_config::list(&app.db, &project.id, &filter, request.limit, request.offset())
            .await?;
    let ids: Vec<String> = rows.iter().map(|r| r.id.to_string()).collect();
    let counts: HashMap<_, _> = db::account::count_active_by_config(&app.db, &project.id, &ids)
        .await?
        .into_iter()
        .collect();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let config = app.vault.open_auth_config(row).await?;
        let connections = counts.get(&config.id).copied().unwrap_or_default();
        items.push(shape::info(&app, project, &config, connections));
    }
    Ok(Json(Page::new(items, total, request)))
}

/// Make an auth config.
#[utoipa::path(post, path = "/auth_configs", tag = "auth_configs",
    operation_id = "postAuthConfigs", request_body = CreateBody,
    responses((status = 201, body = Created), CommonErrors))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CreateBody>,
) -> Result<(StatusCode, Json<Created>)> {
    let config = auth_config::create(&app, &key.project, body.checked()?).await?;
    let created = Created {
        toolkit: CreatedToolkit { slug: config.toolkit_slug },
        auth_config: CreatedAuthConfig {
            id: config.id.to_string(),
            auth_scheme: config.scheme.as_str(),
            is_composio_managed: config.is_managed,
            restrict_to_following_tools: config.restrict_to_tools.unwrap_or_default(),
        },
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// One auth config.
#[utoipa::path(get, path = "/auth_configs/{nanoid}", tag = "auth_configs",
    operation_id = "getAuthConfigsByNanoid",
    params(("nanoid" = String, Path, description = "Auth config id")),
    responses((status = 200, body = AuthConfigInfo), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<AuthConfigInfo>> {
    let project = &key.project;
    let config = find_config(&app, &project.id, &AuthConfigId::from(id)).await?;
    let ids = [config.id.to_string()];
    let counts = db::account::count_active_by_config(&app.db, &project.id, &ids).await?;
    let connections = counts.first().map(|c| c.1).unwrap_or_default();
    Ok(Json(shape::info(&app, project, &config, connections)))
}

/// Change an auth config.
#[utoipa::path(patch, path = "/auth_configs/{nanoid}", tag = "auth_configs",
    operation_id = "patchAuthConfigsByNanoid", request_body = UpdateBody,
    params(("nanoid" = String, Path, description = "Auth config id")),
    responses((status = 200, body = Done), CommonErrors))]
async fn update(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<UpdateBody>,
) -> Result<Json<Done>> {
    let id = AuthConfigId::from(id);
    let config = find_config(&app, &key.project.id, &id).await?;
    let change = body.checked(config.is_managed)?;
    auth_config::update(&app, &key.project.id, &id, change).await?;
    Ok(Json(Done { success: true, message: "Auth config updated" }))
}

/// A deletion.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedConfig {
    /// Always true.
    success: bool,
    /// For a person.
    message: &'static str,
    /// Name of the revocation in the server's log; only with `revoke_on_delete=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke_job_id: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Whether the provider is told to forget the tokens of the accounts; true when absent.
    #[serde(deserialize_with = "query::flag")]
    revoke_on_delete: Option<bool>,
}

/// Delete an auth config and all its connected accounts.
#[utoipa::path(delete, path = "/auth_configs/{nanoid}", tag = "auth_configs",
    operation_id = "deleteAuthConfigsByNanoid",
    params(("nanoid" = String, Path, description = "Auth config id"), DeleteQuery),
    responses((status = 200, body = DeletedConfig), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Result<Json<DeletedConfig>> {
    let (project, id) = (&key.project.id, AuthConfigId::from(id));
    trigger::farewell(&app, project, Going::AuthConfig(id.clone())).await?;
    let job = auth_config::delete(&app, project, &id, query.revoke_on_delete).await?;
    Ok(Json(DeletedConfig {
        success: true,
        message: "Auth config and its connected accounts deleted",
        revoke_job_id: job.filter(|_| query.revoke_on_delete == Some(true)),
    }))
}

/// Enable or disable an auth config.
#[utoipa::path(patch, path = "/auth_configs/{nanoid}/{status}", tag = "auth_configs",
    operation_id = "patchAuthConfigsByNanoidByStatus",
    params(("nanoid" = String, Path, description = "Auth config id"),
        ("status" = String, Path, description = "`ENABLED` or `DISABLED`")),
    responses((status = 200, body = Done), CommonErrors))]
async fn set_status(
    State(app): State<AppState>,
    key: ProjectKey,
    Path((id, status)): Path<(String, String)>,
) -> Result<Json<Done>> {
    let enabled = match status.as_str() {
        "ENABLED" => true,
        "DISABLED" => false,
        _ => {
            let problem = "status: must be ENABLED or DISABLED".to_owned();
            return Err(Error::invalid("Unknown status", vec![problem]));
        }
    };
    auth_config::set_enabled(&app, &key.project.id, &AuthConfigId::from(id), enabled).await?;
    let message = if enabled { "Auth config enabled" } else { "Auth config disabled" };
    Ok(Json(Done { success: true, message }))
}
