//! The Model Context Protocol: sessions and MCP servers for every MCP client.

mod oauth;

use axum::Router;

use crate::app::AppState;

/// Routes of the MCP endpoints. They are not part of the API's document: the protocol has its own.
pub fn router() -> Router<AppState> {
    oauth::router()
}
