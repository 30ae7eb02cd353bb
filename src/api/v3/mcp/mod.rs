//! MCP servers.

mod input;
mod instances;
mod view;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query};
use crate::app::AppState;
use crate::connect;
use crate::db::mcp_server::Filter;
use crate::domain::connection::Project;
use crate::domain::id::AccountId;
use crate::error::{Error, Result};
use crate::mcp_server::{self, New};
use input::{CustomMcpServerBody, ListQuery, McpServerBody, McpServerPatch, McpUrlsBody};
use view::{CustomMcpServer, McpServerPage, McpServerView, McpServerWithState};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(create_custom))
        .routes(routes!(generate))
        .routes(routes!(of_app))
        .routes(routes!(get, update, delete))
        .merge(instances::router())
}

/// Create an MCP server of auth configs.
#[utoipa::path(post, path = "/mcp/servers", tag = "mcp", operation_id = "createMcpServer",
    request_body = McpServerBody, responses((status = 201, body = McpServerView), CommonErrors))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<McpServerBody>,
) -> Result<(StatusCode, Json<McpServerView>)> {
    let new = New {
        name: body.name,
        no_auth_toolkits: body.no_auth_apps,
        auth_config_ids: body.auth_config_ids,
        allowed_tools: body.allowed_tools,
        managed_auth: body.managed_auth_via_composio.unwrap_or(false),
        ..New::default()
    };
    let server = mcp_server::create(&app, &key.project, new).await?;
    Ok((StatusCode::CREATED, Json(view::server(&app, &server))))
}

/// Create an MCP server of toolkits.
#[utoipa::path(post, path = "/mcp/servers/custom", tag = "mcp",
    operation_id = "createCustomMcpServer", request_body = CustomMcpServerBody,
    responses((status = 201, body = CustomMcpServer), CommonErrors))]
async fn create_custom(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CustomMcpServerBody>,
) -> Result<(StatusCode, Json<CustomMcpServer>)> {
    let mut allowed_tools = body.allowed_tools.unwrap_or_default();
    allowed_tools.extend(body.custom_tools.unwrap_or_default());
    let new = New {
        name: body.name,
        toolkits: body.toolkits.unwrap_or_default(),
        auth_config_ids: body.auth_config_ids.unwrap_or_default(),
        allowed_tools,
        managed_auth: body.managed_auth_via_composio.unwrap_or(false),
        ..New::default()
    };
    let server = mcp_server::create(&app, &key.project, new).await?;
    Ok((StatusCode::CREATED, Json(view::custom(&app, &server))))
}

async fn page_of(
    app: &AppState,
    project: &Project,
    query: ListQuery,
    toolkit: Option<String>,
) -> Result<Json<McpServerPage>> {
    let request = input::page(query.page_no, query.limit, 10)?;
    let lower = |list: Vec<String>| list.iter().map(|t| t.to_lowercase()).collect();
    let filter = Filter {
        name: query.name,
        toolkits: lower(query.toolkits),
        toolkit,
        auth_config_ids: query.auth_config_ids,
        by_updated: query.order_by.unwrap_or_default().by_updated(),
        ascending: query.order_direction.unwrap_or_default().ascending(),
    };
    let page = mcp_server::list(app, &project.id, &filter, request).await?;
    Ok(Json(McpServerPage {
        items: page.items.iter().map(|server| view::server(app, server)).collect(),
        current_page: page.current_page,
        total_pages: page.total_pages,
    }))
}

/// List MCP servers.
#[utoipa::path(get, path = "/mcp/servers", tag = "mcp", operation_id = "listMcpServers",
    params(ListQuery), responses((status = 200, body = McpServerPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<McpServerPage>> {
    page_of(&app, &key.project, query, None).await
}

/// List the MCP servers of a toolkit.
#[utoipa::path(get, path = "/mcp/app/{appKey}", tag = "mcp", operation_id = "listMcpServersOfApp",
    params(("appKey" = String, Path, description = "Toolkit slug"), ListQuery),
    responses((status = 200, body = McpServerPage), CommonErrors))]
async fn of_app(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(app_key): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<McpServerPage>> {
    let toolkit = connect::toolkit(&app, &key.project.id, &app_key)?.file.slug.clone();
    page_of(&app, &key.project, query, Some(toolkit)).await
}

/// URLs of an MCP server.
#[derive(Debug, Serialize, ToSchema)]
struct McpUrls {
    /// Without a user.
    mcp_url: String,
    /// One per connected account.
    connected_account_urls: Vec<String>,
    /// One per user.
    user_ids_url: Vec<String>,
}

/// Make the URLs of an MCP server for users or connected accounts.
#[utoipa::path(post, path = "/mcp/servers/generate", tag = "mcp",
    operation_id = "generateMcpServerUrls", request_body = McpUrlsBody,
    responses((status = 200, body = McpUrls), CommonErrors))]
async fn generate(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<McpUrlsBody>,
) -> Result<Json<McpUrls>> {
    let project = &key.project.id;
    let server = mcp_server::find(&app, project, &body.mcp_server_id).await?;
    let users = body.user_ids.unwrap_or_default();
    let accounts = body.connected_account_ids.unwrap_or_default();
    let mut problems = Vec::new();
    for (name, list) in [("user_ids", &users), ("connected_account_ids", &accounts)] {
        if list.len() > 1000 {
            problems.push(format!("{name}: at most 1000"));
        }
    }
    let is_user = |user: &String| !user.trim().is_empty() && user.len() <= 512;
    if !users.iter().all(is_user) || users.iter().any(|user| user.contains('\0')) {
        problems.push("user_ids: every user id must be 1 to 512 characters".to_owned());
    }
    if problems.is_empty() {
        for id in &accounts {
            if app.cache.account(project, &AccountId::from(id.as_str())).await?.is_none() {
                let id: String = id.chars().take(100).collect();
                problems.push(format!("connected_account_ids: unknown account {id:?}"));
            }
        }
    }
    if !problems.is_empty() {
        problems.truncate(50);
        return Err(Error::invalid("Invalid users or connected accounts", problems));
    }
    let helper = body.managed_auth_by_composio.unwrap_or(false);
    let of = |name: &str, values: &[String]| {
        values.iter().map(|v| mcp_server::url_for(&app, &server.id, name, v, helper)).collect()
    };
    Ok(Json(McpUrls {
        mcp_url: mcp_server::url(&app, &server.id),
        connected_account_urls: of("connected_account_id", &accounts),
        user_ids_url: of("user_id", &users),
    }))
}

/// Get an MCP server.
#[utoipa::path(get, path = "/mcp/{id}", tag = "mcp", operation_id = "getMcpServer",
    params(("id" = String, Path, description = "MCP server id")),
    responses((status = 200, body = McpServerWithState), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<McpServerWithState>> {
    let server = mcp_server::find(&app, &key.project.id, &id).await?;
    Ok(Json(McpServerWithState { server: view::server(&app, &server), deleted: false }))
}

/// Change an MCP server.
#[utoipa::path(patch, path = "/mcp/{id}", tag = "mcp", operation_id = "updateMcpServer",
    params(("id" = String, Path, description = "MCP server id")), request_body = McpServerPatch,
    responses((status = 200, body = McpServerWithState), CommonErrors))]
async fn update(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<McpServerPatch>,
) -> Result<Json<McpServerWithState>> {
    let server = mcp_server::update(&app, &key.project.id, &id, body.into()).await?;
    Ok(Json(McpServerWithState { server: view::server(&app, &server), deleted: false }))
}

/// A deleted MCP server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct DeletedMcpServer {
    /// Its id.
    id: String,
    /// Always true.
    deleted: bool,
}

/// Delete an MCP server; its users' accounts stay.
#[utoipa::path(delete, path = "/mcp/{id}", tag = "mcp", operation_id = "deleteMcpServer",
    params(("id" = String, Path, description = "MCP server id")),
    responses((status = 200, body = DeletedMcpServer), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedMcpServer>> {
    mcp_server::delete(&app, &key.project.id, &id).await?;
    Ok(Json(DeletedMcpServer { id, deleted: true }))
}
