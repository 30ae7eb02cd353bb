//! Telling the other replicas that something changed.

use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use crate::domain::id::{
    AccountId, AuthConfigId, EndpointId, ProjectId, SessionId, SubscriptionId, TriggerId,
};

/// Channel of the cache invalidations.
pub const CHANNEL: &str = "patchbay_changed";

/// What changed; the payload of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "t")]
pub enum Changed {
    /// An API key was made or deleted, or a project's settings changed.
    Keys,
    /// An auth config.
    AuthConfig {
        /// Its project.
        project: ProjectId,
        /// Its id.
        id: AuthConfigId,
    },
    /// A connected account.
    Account {
        /// Its project.
        project: ProjectId,
        /// Its id.
        id: AccountId,
        /// The user whose default account may have changed with it.
        user: String,
        /// Its tokens were renewed and nothing else: what is remembered of it is stale, but what
        /// can be done with it is as before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        tokens_only: bool,
    },
    /// A session of an agent.
    Session {
        /// Its project.
        project: ProjectId,
        /// Its id.
        id: SessionId,
    },
    /// Nothing that is stored: an MCP client no longer wants the answer of a call, which another
    /// replica may be making.
    McpCancelled {
        /// The project.
        project: ProjectId,
        /// The call; see `mcp::cancel`.
        call: String,
    },
    /// An MCP server.
    McpServer {
        /// Its id, which is its address too.
        id: String,
    },
    /// A sign-in of an MCP client was revoked.
    McpTokens {
        /// Its project.
        project: ProjectId,
    },
    /// A trigger instance.
    Trigger {
        /// Its project.
        project: ProjectId,
        /// Its id.
        id: TriggerId,
        /// Its toolkit, whose other instances may share a URL with it.
        toolkit: String,
    },
    /// The URL of a provider's app.
    Endpoint {
        /// Its project.
        project: ProjectId,
        /// Its id.
        id: EndpointId,
    },
    /// A webhook subscription.
    Subscription {
        /// Its project.
        project: ProjectId,
        /// Its id.
        id: SubscriptionId,
    },
    /// A project's data keys.
    DataKeys {
        /// The project.
        project: ProjectId,
    },
    /// Toolkits were installed or taken away.
    Toolkits,
    /// The master keys, or the keys that sign links.
    ServerKeys,
}

/// Notifies every listening replica. Inside a transaction the notification goes
/// out with the commit, never before.
pub async fn changed(db: impl PgExecutor<'_>, what: &Changed) -> sqlx::Result<()> {
    let payload = serde_json::to_string(what).map_err(|e| sqlx::Error::Encode(Box::new(e)))?;
    // PostgreSQL refuses a payload of 8000 bytes or more; an over-long user id
    // falls back to dropping everything.
    let payload = if payload.len() < 7900 { payload } else { "all".to_owned() };
    sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(db).await?;
    Ok(())
}
