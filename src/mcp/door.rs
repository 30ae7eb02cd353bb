//! What stands behind an endpoint: a session, or an MCP server.

use std::sync::Arc;

use rmcp::model::Tool;
use serde_json::{Map, Value};

use super::tools;
use crate::app::AppState;
use crate::cache::Topic;
use crate::domain::connection::Project;
use crate::domain::id::ProjectId;
use crate::domain::session::Session;
use crate::error::Result;
use crate::execute::ExecuteOutcome;
use crate::session;

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// A session.
    Session(Arc<Project>, Arc<Session>),
}

/// For a model that was given the meta tools.
const SESSION_INSTRUCTIONS: &str = "\
These tools reach the apps of one user. Begin with COMPOSIO_SEARCH_TOOLS: describe what is to be done, \
and it names the tools for it, their input schemas, and whether the user's accounts are connected. Connect a \
missing one with COMPOSIO_MANAGE_CONNECTIONS and give the link to the user. Then execute the tools with \
COMPOSIO_MULTI_EXECUTE_TOOL, or by their own names. Never guess a tool's name or its arguments.";

impl Door {
    /// The project behind it.
    pub(super) fn project(&self) -> &ProjectId {
        match self {
            Self::Session(project, _) => &project.id,
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Session(_, session) => session.id.as_str(),
        }
    }

    /// What a model should know before it uses the tools.
    pub(super) fn instructions(&self) -> Option<String> {
        match self {
            Self::Session(_, session) => {
                session.config.enable_search.then(|| SESSION_INSTRUCTIONS.to_owned())
            }
        }
    }

    /// What may change its tools.
    pub(super) fn topics(&self) -> Vec<Topic> {
        match self {
            Self::Session(project, session) => vec![
                Topic::Session(project.id.clone(), session.id.clone()),
                Topic::Accounts(project.id.clone(), session.user_id.clone()),
            ],
        }
    }

    /// Its tools, after the cursor of the page before, and the next cursor.
    ///
    /// # Errors
    /// For a cursor that is none.
    pub(super) fn tools(
        &self,
        app: &AppState,
        cursor: Option<&str>,
    ) -> Option<(Vec<Tool>, Option<String>)> {
        match self {
            Self::Session(_, session) => {
                let listed = session::tools::listed(app, session);
                let slugs: Vec<&str> = listed.iter().map(|tool| tool.slug()).collect();
                let page = tools::page(&slugs, cursor)?;
                let shown = listed.get(page.range).unwrap_or_default();
                Some((shown.iter().map(tools::listed).collect(), page.next))
            }
        }
    }

    /// Executes a tool.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub(super) async fn call(
        &self,
        app: &AppState,
        slug: String,
        arguments: Map<String, Value>,
    ) -> Result<ExecuteOutcome> {
        match self {
            Self::Session(project, session) => {
                let call = session::execute::Call { slug, arguments, account: None };
                session::execute::execute(app, project, session, call).await
            }
        }
    }
}
