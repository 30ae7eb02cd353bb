//! The users that a server was set up for. An instance is a note: a server works for users
//! without one as well. Removing one removes what the user connected for the server.

use crate::app::{App, AppState};
use crate::connect::account;
use crate::db;
use crate::db::account::Filter as AccountFilter;
use crate::db::mcp_server::{InstanceFilter, InstanceRow};
use crate::domain::connection::Project;
use crate::domain::id::ProjectId;
use crate::domain::mcp_server::{McpServer, McpServerId};
use crate::domain::page::{Page, PageRequest};
use crate::error::{Error, Result, codes};

/// Most accounts that are deleted with one instance.
const MAX_ACCOUNTS: i64 = 1000;

/// Sets a server up for a user.
///
/// # Errors
/// 403 when the user lacks an ACTIVE account of one of the server's auth configs, 409 when the
/// server is set up for the user already.
pub async fn create(
    app: &App,
    project: &Project,
    server: &McpServer,
    user_id: &str,
) -> Result<InstanceRow> {
    if user_id.trim().is_empty() || user_id.len() > 512 || user_id.contains('\0') {
        let problem = "user_id: must be 1 to 512 characters".to_owned();
        return Err(Error::invalid("Invalid user_id", vec![problem]));
    }
    let mut missing = server.auth_config_ids.clone();
    if !missing.is_empty() {
        let filter = AccountFilter {
            user_ids: vec![user_id.to_owned()],
            auth_config_ids: missing.clone(),
            statuses: vec!["ACTIVE".to_owned()],
            ..AccountFilter::default()
        };
        let (rows, _) = db::account::list(&app.db, &project.id, &filter, MAX_ACCOUNTS, 0).await?;
        missing.retain(|id| !rows.iter().any(|row| row.auth_config_id.as_str() == id));
    }
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Error::new(
            codes::FORBIDDEN,
            format!("The user has no connected account of auth config {missing}"),
        )
        .fix("Connect the user with POST /api/v3/connected_accounts/link, then repeat this"));
    }
    let row = db::mcp_server::insert_instance(&app.db, &project.id, &server.id, user_id).await?;
    row.ok_or_else(|| {
        Error::new(codes::CONFLICT, "The MCP server is set up for this user already")
            .fix("List its instances with GET /api/v3/mcp/servers/{serverId}/instances")
    })
}

/// A page of a server's instances.
///
/// # Errors
/// When the database is away.
pub async fn list(
    app: &App,
    project: &ProjectId,
    server: &McpServerId,
    filter: &InstanceFilter,
    request: PageRequest,
) -> Result<Page<InstanceRow>> {
    let (limit, offset) = (request.limit, request.offset());
    let (rows, total) =
        db::mcp_server::list_instances(&app.db, project, server, filter, limit, offset).await?;
    Ok(Page::new(rows, total, request))
}

/// Takes a user away from a server, and deletes the accounts that the user connected with the
/// server's auth configs: they are the user's own, whatever else uses them. Returns their number.
///
/// # Errors
/// 404 when the server was not set up for the user.
pub async fn delete(
    app: &AppState,
    project: &ProjectId,
    server: &McpServer,
    user_id: &str,
) -> Result<u64> {
    if !db::mcp_server::delete_instance(&app.db, project, &server.id, user_id).await? {
        return Err(Error::not_found(codes::MCP_SERVER_NOT_FOUND, "MCP server instance", user_id)
            .fix("List the instances with GET /api/v3/mcp/servers/{serverId}/instances"));
    }
    if server.auth_config_ids.is_empty() {
        return Ok(0);
    }
    let filter = AccountFilter {
        user_ids: vec![user_id.to_owned()],
        auth_config_ids: server.auth_config_ids.clone(),
        ..AccountFilter::default()
    };
    let (rows, _) = db::account::list(&app.db, project, &filter, MAX_ACCOUNTS, 0).await?;
    let mut deleted = 0;
    for row in rows {
        match account::delete(app, project, &row.id, None).await {
            Ok(_) => deleted += 1,
            // Somebody else was faster.
            Err(error) if error.code == codes::ACCOUNT_NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    Ok(deleted)
}
