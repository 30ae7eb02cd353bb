//! MCP servers: a fixed set of tools under one address, for any user of the project.

use std::fmt;

use chrono::{DateTime, Utc};

use super::id::ProjectId;

/// Id of an MCP server: a UUID in its usual spelling.
#[derive(Clone, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct McpServerId(String);

impl McpServerId {
    /// Reads an id; none for what no server ever had.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let fits = bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for McpServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for McpServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An MCP server.
#[derive(Debug, Clone)]
pub struct McpServer {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: McpServerId,
    /// Display name.
    pub name: String,
    /// Toolkits, lower case.
    pub toolkits: Vec<String>,
    /// Auth configs whose accounts are used.
    pub auth_config_ids: Vec<String>,
    /// Tools that are listed and executed, by their first names; empty: all of the toolkits.
    pub allowed_tools: Vec<String>,
    /// Whether the server offers tools to connect accounts.
    pub managed_auth: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Number of users that it was set up for.
    pub instances: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_an_id() {
        let id = "0F0E9A3C-1111-4222-8333-444455556666";
        assert_eq!(McpServerId::parse(id).unwrap().as_str(), id.to_lowercase());
        for bad in
            ["", "x", "0f0e9a3c111142228333444455556666", "0f0e9a3c-1111-4222-8333-44445555666g"]
        {
            assert!(McpServerId::parse(bad).is_none(), "{bad}");
        }
    }
}
