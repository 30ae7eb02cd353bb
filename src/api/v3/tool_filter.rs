//! Which tools a list has.

use std::sync::Arc;

use super::tool_view::Found;
use crate::catalog::{Catalog, Entry, Shelved, Toolkit};
use crate::domain::connection::AuthConfig;
use crate::domain::page::PageRequest;
use crate::error::Result;

/// What a list of tools may be narrowed down by.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    /// Slugs of toolkits; empty: all.
    pub toolkits: &'a [String],
    /// Auth configs that the tools can be executed with; none: it does not matter.
    pub configs: Option<Vec<Arc<AuthConfig>>>,
    /// Only the default sets.
    pub important: bool,
    /// Deprecated ones too.
    pub deprecated: bool,
    /// Tags, any of which suffices; empty: any.
    pub tags: &'a [String],
    /// Scopes, any of which suffices; empty: any.
    pub scopes: &'a [String],
}

/// Some of the tools of a list.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// Those of the page.
    pub found: Vec<Found<'a>>,
    /// How many there are in all.
    pub total: usize,
}

impl Filter<'_> {
    /// Whether a toolkit has tools that may be listed.
    pub fn toolkit(&self, toolkit: &Toolkit) -> bool {
        let slug = toolkit.slug();
        (self.toolkits.is_empty()
            || self.toolkits.iter().any(|wanted| wanted.eq_ignore_ascii_case(slug)))
            && self
                .configs
                .as_ref()
                .is_none_or(|configs| configs.iter().any(|config| config.toolkit_slug == slug))
    }

    /// Whether a tool of such a toolkit is listed.
    pub fn tool(&self, toolkit: &Toolkit, tool: &Entry) -> bool {
        (!self.important || tool.has_tag("important"))
            && (self.deprecated || tool.def.deprecated.is_none())
            && self.rare(toolkit, tool)
    }

    /// What takes a look at the tool itself.
    fn rare(&self, toolkit: &Toolkit, tool: &Entry) -> bool {
        self.allowed(toolkit, tool)
            && (self.tags.is_empty() || self.tags.iter().any(|tag| tool.has_tag(tag)))
            && (self.scopes.is_empty() || self.scopes.iter().any(|scope| tool.may_need(scope)))
    }

    /// Whether one of the auth configs lets it execute.
    fn allowed(&self, toolkit: &Toolkit, tool: &Entry) -> bool {
        let Some(configs) = &self.configs else { return true };
        let names =
            |name: &String| *name == tool.def.slug || tool.def.aliases.iter().any(|a| a == name);
        let own = configs.iter().filter(|config| config.toolkit_slug == toolkit.slug());
        own.map(|config| config.restrict_to_tools.as_ref())
            .any(|only| only.is_none_or(|only| only.iter().any(names)))
    }

    fn is_plain(&self) -> bool {
        self.configs.is_none() && self.tags.is_empty() && self.scopes.is_empty()
    }

    fn shelved(&self, tool: &Shelved) -> bool {
        (!self.important || tool.important) && (self.deprecated || !tool.deprecated)
    }

    /// A page of the tools in the order of the catalogue. `version` gives that of each toolkit.
    ///
    /// # Errors
    /// Those of `version`.
    pub fn page<'a>(
        &self,
        catalog: &'a Catalog,
        request: PageRequest,
        version: impl Fn(&'a Toolkit) -> Result<&'a str>,
    ) -> Result<Cut<'a>> {
        let (skip, most) = (request.skip(), request.take());
        let mut cut = Cut { found: Vec::with_capacity(most.min(1000)), total: 0 };
        let is_plain = self.is_plain();
        for toolkit in catalog.toolkits().iter().filter(|toolkit| self.toolkit(toolkit)) {
            let version = version(toolkit)?;
            for tool in toolkit.order().iter().filter(|tool| self.shelved(tool)) {
                let is_here = cut.total >= skip && cut.found.len() < most;
                // Most requests count the tools that are not on the page, and no more.
                if is_plain && !is_here {
                    cut.total += 1;
                    continue;
                }
                let Some(tool) = toolkit.tools.get(tool.index as usize) else { continue };
                if is_plain || self.rare(toolkit, tool) {
                    if is_here {
                        cut.found.push(Found { toolkit, tool, slug: &tool.def.slug, version });
                    }
                    cut.total += 1;
                }
            }
        }
        Ok(cut)
    }
}
