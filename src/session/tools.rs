//! What a session lists: the meta tools, and the tools that were asked for beside them.

use std::sync::Arc;

use super::meta::Meta;
use crate::catalog::{Catalog, Entry, Toolkit};
use crate::domain::session::{Preload, Session};
use crate::error::{Error, codes};

/// Most tools of the catalogue that one session lists.
pub const MAX_PRELOADED: usize = 1000;

/// A tool of a session's list.
#[derive(Debug, Clone, Copy)]
pub enum Listed<'a> {
    /// One of the server's own.
    Meta(Meta),
    /// One of the catalogue.
    App(&'a Arc<Toolkit>, &'a Arc<Entry>),
}

impl Listed<'_> {
    /// Its slug.
    pub fn slug(&self) -> &str {
        match self {
            Self::Meta(meta) => meta.slug(),
            Self::App(_, tool) => tool.slug(),
        }
    }
}

/// Whether the session may see and execute a tool.
pub fn allows(session: &Session, toolkit: &Toolkit, tool: &Entry) -> bool {
    session.config.allows_tool(&toolkit.file.slug, &tool.def.slug, &tool.tags)
}

/// Everything that the session lists, in a stable order: meta tools first.
pub fn listed<'a>(catalog: &'a Catalog, session: &Session) -> Vec<Listed<'a>> {
    let mut found: Vec<Listed<'a>> = Meta::ALL
        .iter()
        .filter(|meta| meta.is_offered(session))
        .map(|m| Listed::Meta(*m))
        .collect();
    match &session.config.preload {
        Preload::Tools(slugs) => {
            let known = slugs.iter().filter_map(|slug| catalog.tool(slug));
            let allowed = known.filter(|(toolkit, tool)| allows(session, toolkit, tool));
            found.extend(
                allowed.take(MAX_PRELOADED).map(|(toolkit, tool)| Listed::App(toolkit, tool)),
            );
        }
        Preload::All => {
            let all =
                catalog.toolkits().iter().flat_map(|t| t.tools.iter().map(move |tool| (t, tool)));
            let allowed = all.filter(|(toolkit, tool)| allows(session, toolkit, tool));
            found.extend(
                allowed.take(MAX_PRELOADED).map(|(toolkit, tool)| Listed::App(toolkit, tool)),
            );
        }
    }
    found
}

/// The refusal of a tool that the session does not have.
pub fn not_offered(slug: &str) -> Error {
    Error::new(
        codes::SESSION_TOOL_NOT_ALLOWED,
        format!("The session does not have the tool {slug}"),
    )
    .fix("Use a tool of the session's list, or create a session whose configuration has it")
}
