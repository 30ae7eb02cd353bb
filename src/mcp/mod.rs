//! The Model Context Protocol: sessions and MCP servers for every MCP client.
//!
//! `rmcp` speaks the protocol; what stands around it is ours, because keys, limits, clear refusals
//! and cancellation across replicas are this server's own.
//!
//! | module | knows |
//! |---|---|
//! | `gate` | which hosts and web pages may talk to the endpoints |
//! | `entry` | a request from its arrival to its answer |
//! | `auth` | whose request it is |
//! | `body` | what a message must look like before the protocol is asked |
//! | `door` | what stands behind an endpoint: a session, or an MCP server |
//! | `server` | the protocol's operations |
//! | `tools` | tools and results in the protocol's words |
//! | `cancel` | calls that their clients no longer want |
//! | `stream` | telling clients that the list of tools changed |
//! | `oauth` | signing in |
//! | `refusal` | errors outside of an operation |
//!
//! Nothing is remembered between requests, so any replica answers any of them. The session id that
//! older revisions are given only names a client, so that it can cancel its own calls.

mod auth;
mod body;
mod cancel;
mod door;
mod entry;
mod gate;
mod oauth;
mod refusal;
mod server;
mod stream;
mod tools;

use axum::Router;
use axum::routing::any;

use crate::app::AppState;

/// Routes of the MCP endpoints. They are not part of the API's document: the protocol has its own.
pub fn router(app: &AppState) -> Router<AppState> {
    let mcp = entry::Mcp::new(app.clone());
    Router::new()
        .route("/tool_router/{session_id}/mcp", any(entry::session))
        .route("/tool_router/v3/{session_id}/mcp", any(entry::session))
        .route("/v3/mcp/{server_id}", any(entry::server))
        .route("/v3/mcp/{server_id}/mcp", any(entry::server))
        .with_state(mcp)
        .merge(oauth::router())
}
