//! Configurations of sessions under a name.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tool_router::body::PolicyBody;
use super::tool_router::view::policy;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::domain::id::SessionConfigId;
use crate::domain::page::Page;
use crate::domain::time::iso;
use crate::error::Result;
use crate::error::wire::ErrorBody;
use crate::session::named::{self, Change, Named};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, patch, delete))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Configurations per page; 20 when absent, at most 100.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
    /// Part of the name.
    #[serde(deserialize_with = "query::text")]
    search: Option<String>,
    /// Those that were put aside, instead of the others.
    #[serde(deserialize_with = "query::flag")]
    archived: Option<bool>,
}

/// A named configuration in a list.
#[derive(Debug, Serialize, ToSchema)]
struct SessionConfigItem {
    /// Id.
    id: String,
    /// Name, once in a project.
    name: String,
    /// Whether it is put aside.
    archived: bool,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

/// A named configuration.
#[derive(Debug, Serialize, ToSchema)]
struct SessionConfigView {
    #[serde(flatten)]
    item: SessionConfigItem,
    /// When to use it; null when nobody wrote it down.
    description: Option<String>,
    /// Toolkits, tools and tags, in the words of requests.
    #[schema(value_type = PolicyBody)]
    config: Value,
}

fn item(row: &Named) -> SessionConfigItem {
    SessionConfigItem {
        id: row.id.to_string(),
        name: row.name.clone(),
        archived: row.archived_at.is_some(),
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
    }
}

fn view(row: &Named) -> SessionConfigView {
    SessionConfigView {
        item: item(row),
        description: Some(row.description.clone()).filter(|text| !text.is_empty()),
        config: policy(&row.config),
    }
}

/// List named configurations by name.
#[utoipa::path(get, path = "/session_configs", tag = "session configs",
    operation_id = "listSessionConfigs", params(ListQuery),
    responses((status = 200, body = Page<SessionConfigItem>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<SessionConfigItem>>> {
    let request = page(query.limit.map(|limit| limit.min(100)), query.cursor.as_deref(), 20)?;
    let archived = query.archived.unwrap_or(false);
    let search = query.search.as_deref();
    let (rows, total) = named::list(&app, &key.project.id, archived, search, request).await?;
    Ok(Json(Page::new(rows.iter().map(item).collect(), total, request)))
}

/// A new named configuration.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateSessionConfigBody {
    /// Name, once in the project; at most 80 characters.
    name: String,
    /// When to use it.
    description: Option<String>,
    /// Toolkits, tools and tags of sessions that take it over.
    config: Option<PolicyBody>,
}

/// Create a named configuration, for `experimental.session_config_id` of sessions.
#[utoipa::path(post, path = "/session_configs", tag = "session configs",
    operation_id = "createSessionConfig", request_body = CreateSessionConfigBody,
    responses((status = 201, body = SessionConfigView), CommonErrors,
        (status = 409, description = "Another one has the name", body = ErrorBody),
        (status = 501, description = "A protection that this server does not have", body = ErrorBody)))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CreateSessionConfigBody>,
) -> Result<(StatusCode, Json<SessionConfigView>)> {
    let config = body.config.unwrap_or_default().config()?;
    let description = body.description.unwrap_or_default();
    let row = named::create(&app, &key.project, body.name.trim(), &description, config).await?;
    Ok((StatusCode::CREATED, Json(view(&row))))
}

/// Get a named configuration.
#[utoipa::path(get, path = "/session_configs/{session_config_id}", tag = "session configs",
    operation_id = "getSessionConfig",
    params(("session_config_id" = String, Path, description = "Id of the configuration")),
    responses((status = 200, body = SessionConfigView), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<SessionConfigView>> {
    let row = named::find(&app, &key.project.id, &SessionConfigId::from(id)).await?;
    Ok(Json(view(&row)))
}

/// A change of a named configuration; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
struct PatchSessionConfigBody {
    /// Name.
    name: Option<String>,
    /// When to use it.
    description: Option<String>,
    /// All of its toolkits, tools and tags.
    config: Option<PolicyBody>,
    /// Whether it is put aside: no session can take it over any more.
    archived: Option<bool>,
}

/// Change, archive or bring back a named configuration. Sessions keep what they took over.
#[utoipa::path(patch, path = "/session_configs/{session_config_id}", tag = "session configs",
    operation_id = "patchSessionConfig", request_body = PatchSessionConfigBody,
    params(("session_config_id" = String, Path, description = "Id of the configuration")),
    responses((status = 200, body = SessionConfigView), CommonErrors,
        (status = 409, description = "Another one has the name", body = ErrorBody),
        (status = 501, description = "A protection that this server does not have", body = ErrorBody)))]
async fn patch(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<PatchSessionConfigBody>,
) -> Result<Json<SessionConfigView>> {
    let change = Change {
        name: body.name.map(|name| name.trim().to_owned()),
        description: body.description,
        config: body.config.map(PolicyBody::config).transpose()?,
        archived: body.archived,
    };
    let row = named::update(&app, &key.project, &SessionConfigId::from(id), change).await?;
    Ok(Json(view(&row)))
}

/// A deleted named configuration.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedSessionConfig {
    /// Id.
    id: String,
    /// Always true.
    deleted: bool,
}

/// Delete a named configuration. Sessions keep what they took over.
#[utoipa::path(delete, path = "/session_configs/{session_config_id}", tag = "session configs",
    operation_id = "deleteSessionConfig",
    params(("session_config_id" = String, Path, description = "Id of the configuration")),
    responses((status = 200, body = DeletedSessionConfig), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedSessionConfig>> {
    let id = SessionConfigId::from(id);
    named::delete(&app, &key.project.id, &id).await?;
    Ok(Json(DeletedSessionConfig { id: id.to_string(), deleted: true }))
}
