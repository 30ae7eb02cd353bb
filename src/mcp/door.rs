//! What stands behind an endpoint: a session, or an MCP server.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::Tool;
use serde_json::{Map, Value};

use super::tools::{self, Shown};
use crate::app::AppState;
use crate::cache::Topic;
use crate::domain::connection::Project;
use crate::domain::id::ProjectId;
use crate::domain::session::Session;
use crate::error::Result;
use crate::execute::ExecuteOutcome;
use crate::mcp_server::Served;
use crate::session;

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Door {
    /// A session.
    Session(Arc<Project>, Arc<Session>),
    /// An MCP server, opened for a user.
    Server(Arc<Served>),
}

/// For a model that was given the meta tools.
const SESSION_INSTRUCTIONS: &str = "\
These tools reach the apps of one user. Begin with COMPOSIO_SEARCH_TOOLS: describe what is to be done, \
and it names the tools for it, their input schemas, and whether the user's accounts are connected. Connect a \
missing one with COMPOSIO_MANAGE_CONNECTIONS and give the link to the user. Then execute the tools with \
COMPOSIO_MULTI_EXECUTE_TOOL, or by their own names. Never guess a tool's name or its arguments.";

/// For a model that was given a server's tools and those that connect its user.
const SERVER_INSTRUCTIONS: &str = "\
These tools act for one user, with accounts that the user connects. When a tool says that no account is \
connected, use the connection tools to get a link, give it to the user, and try again once the account is \
active.";

impl Door {
    /// The project behind it.
    pub(super) fn project(&self) -> &ProjectId {
        match self {
            Self::Session(project, _) => &project.id,
            Self::Server(served) => &served.project.id,
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Session(_, session) => session.id.as_str(),
            Self::Server(served) => served.server.id.as_str(),
        }
    }

    /// Its name for people.
    pub(super) fn title(&self) -> &str {
        match self {
            Self::Session(..) => "Patchbay",
            Self::Server(served) => &served.server.name,
        }
    }

    /// What a model should know before it uses the tools.
    pub(super) fn instructions(&self) -> Option<String> {
        match self {
            Self::Session(_, session) => {
                session.config.enable_search.then(|| SESSION_INSTRUCTIONS.to_owned())
            }
            Self::Server(served) => served.connects.then(|| SERVER_INSTRUCTIONS.to_owned()),
        }
    }

    /// What may change its tools.
    pub(super) fn topics(&self) -> Vec<Topic> {
        match self {
            Self::Session(project, session) => vec![
                Topic::Session(project.id.clone(), session.id.clone()),
                Topic::Accounts(project.id.clone(), session.user_id.clone()),
            ],
            Self::Server(served) => vec![
                Topic::Server(served.server.id.clone()),
                Topic::Accounts(served.project.id.clone(), served.user_id.clone()),
            ],
        }
    }

    /// A page of its tools after a cursor, and the next cursor; none for a cursor that is none.
    pub(super) fn tools(
        &self,
        app: &AppState,
        cursor: Option<&str>,
    ) -> Option<(Vec<Tool>, Option<String>)> {
        let catalog = app.catalog(self.project());
        let all: Vec<Shown<'_>> = match self {
            Self::Session(_, session) => {
                session::tools::listed(&catalog, session).into_iter().map(Shown::from).collect()
            }
            Self::Server(served) => {
                let own = served.connection_tools().into_iter().map(Shown::Own);
                own.chain(served.tools(&catalog).into_iter().map(|(_, tool)| Shown::App(tool)))
                    .collect()
            }
        };
        let slugs: Vec<&str> = all.iter().map(Shown::slug).collect();
        let page = tools::page(&slugs, cursor)?;
        let shown = all.get(page.range).unwrap_or_default();
        Some((shown.iter().filter_map(Shown::tool).collect(), page.next))
    }

    /// Executes a tool. Boxed, because its type goes down to the database's sockets: nested in those of
    /// the router it is more than the compiler takes.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub(super) fn call<'a>(
        &'a self,
        app: &'a AppState,
        slug: String,
        arguments: Map<String, Value>,
    ) -> BoxFuture<'a, Result<ExecuteOutcome>> {
        match self {
            Self::Session(project, session) => {
                let call = session::execute::Call { slug, arguments, ..Default::default() };
                session::execute::execute(app, project, session, call).boxed()
            }
            Self::Server(served) => async move { served.call(app, &slug, arguments).await }.boxed(),
        }
    }
}
