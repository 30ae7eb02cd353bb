//! What the access token of an MCP client opens.

use chrono::{DateTime, Utc};

/// A valid access token.
#[derive(Debug, Clone)]
pub struct McpToken {
    /// Path of the one endpoint that it opens; empty: all of its project.
    pub resource: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}
