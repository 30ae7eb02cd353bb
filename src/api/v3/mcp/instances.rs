//! The users that an MCP server was set up for.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::input::{InstancesQuery, McpInstanceBody, page};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query};
use crate::app::AppState;
use crate::db::mcp_server::{InstanceFilter, InstanceRow};
use crate::domain::id::uuid_of;
use crate::domain::mcp_server::McpServer;
use crate::domain::time::iso;
use crate::error::Result;
use crate::mcp_server::{self, instance};

/// Routes.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(delete))
}

/// A user that an MCP server was set up for.
#[derive(Debug, Serialize, ToSchema)]
struct McpInstance {
    /// A stable UUID.
    id: String,
    /// The user's id.
    instance_id: String,
    /// The server.
    mcp_server_id: String,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

fn view(server: &McpServer, row: InstanceRow) -> McpInstance {
    McpInstance {
        id: uuid_of(&format!("{}\n{}", server.id, row.user_id)),
        instance_id: row.user_id,
        mcp_server_id: server.id.to_string(),
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
    }
}

/// A page of instances.
#[derive(Debug, Serialize, ToSchema)]
struct McpInstances {
    /// The instances.
    instances: Vec<McpInstance>,
    /// The server.
    server_id: String,
    /// Its name.
    server_name: String,
    /// Number of pages.
    total_pages: i64,
    /// This page's number, from 1.
    current_page: i64,
}

/// Set an MCP server up for a user who has connected all of its auth configs.
#[utoipa::path(post, path = "/mcp/servers/{serverId}/instances", tag = "mcp",
    operation_id = "createMcpServerInstance", request_body = McpInstanceBody,
    params(("serverId" = String, Path, description = "MCP server id")),
    responses((status = 201, body = McpInstance),
        (status = 409, body = crate::error::wire::ErrorBody,
            description = "The server is set up for this user already."), CommonErrors))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<McpInstanceBody>,
) -> Result<(StatusCode, Json<McpInstance>)> {
    let server = mcp_server::find(&app, &key.project.id, &id).await?;
    let row = instance::create(&app, &key.project, &server, &body.user_id).await?;
    Ok((StatusCode::CREATED, Json(view(&server, row))))
}

/// List the users that an MCP server was set up for.
#[utoipa::path(get, path = "/mcp/servers/{serverId}/instances", tag = "mcp",
    operation_id = "listMcpServerInstances",
    params(("serverId" = String, Path, description = "MCP server id"), InstancesQuery),
    responses((status = 200, body = McpInstances), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<InstancesQuery>,
) -> Result<Json<McpInstances>> {
    let request = page(query.page_no, query.limit, 20)?;
    let server = mcp_server::find(&app, &key.project.id, &id).await?;
    let filter = InstanceFilter {
        search: query.search,
        by_updated: query.order_by.unwrap_or_default().by_updated(),
        ascending: query.order_direction.unwrap_or_default().ascending(),
    };
    let page = instance::list(&app, &key.project.id, &server.id, &filter, request).await?;
    Ok(Json(McpInstances {
        instances: page.items.into_iter().map(|row| view(&server, row)).collect(),
        server_id: server.id.to_string(),
        server_name: server.name,
        total_pages: page.total_pages,
        current_page: page.current_page,
    }))
}

/// What went with an instance.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedMcpInstance {
    /// In words.
    message: String,
    /// Number of connected accounts that were deleted.
    deleted_connected_accounts: u64,
}

/// Take a user away from an MCP server, and delete the accounts that the user connected with the
/// server's auth configs, also where something else uses them.
#[utoipa::path(delete, path = "/mcp/servers/{serverId}/instances/{instanceId}", tag = "mcp",
    operation_id = "deleteMcpServerInstance",
    params(("serverId" = String, Path, description = "MCP server id"),
        ("instanceId" = String, Path, description = "The user's id")),
    responses((status = 200, body = DeletedMcpInstance), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path((id, user)): Path<(String, String)>,
) -> Result<Json<DeletedMcpInstance>> {
    let server = mcp_server::find(&app, &key.project.id, &id).await?;
    let deleted = instance::delete(&app, &key.project.id, &server, &user).await?;
    Ok(Json(DeletedMcpInstance {
        message: format!("The instance and {deleted} connected accounts were deleted"),
        deleted_connected_accounts: deleted,
    }))
}
