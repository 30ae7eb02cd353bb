//! Toolkit and tool definitions: loading, checking, looking up, and turning a call into requests.
//!
//! | module | knows |
//! |---|---|
//! | `model` | the file format, field by field |
//! | `source` | where the files are: embedded, and a folder of the operator |
//! | `load` | files to [`Catalog`], all problems at once |
//! | `compile` | JSON to a toolkit, tools that are wrong left out; and how that is stored |
//! | `entry` | tools as lists know them, opened on demand |
//! | `layer`, `live` | what a project sees, and how it changes |
//! | `derive` | toolkits that have the tools of others |
//! | `check` | what serde cannot see: names, placeholders, scopes |
//! | `schema` | JSON Schemas that models are shown, and the one that arguments are checked by |
//! | `args` | aliases, coercion, defaults, validation |
//! | `template`, `filters`, `mime` | expressions |
//! | `path`, `plan`, `render`, `body` | requests |
//! | `style` | how lists and objects are written in them |
//! | `file` | files among the arguments |
//! | `hosts` | where requests may go, operator overrides |
//! | `endpoint` | OAuth endpoints and parameters made of fields |
//! | `fields` | the fields of a scheme's forms |
//! | `inject` | credentials |
//! | `probe` | the calls that check new credentials |
//! | `login` | requests that make a token of stored secrets |
//! | `trigger` | trigger types |
//! | `version` | which versions resolve |

mod args;
mod body;
mod check;
mod check_dcr;
mod check_oauth2;
mod check_params;
mod check_relations;
mod compile;
mod complete;
mod derive;
pub mod endpoint;
mod entry;
pub mod fields;
mod file;
mod filters;
mod folded;
mod hosts;
mod inject;
mod layer;
mod live;
mod load;
mod login;
mod mime;
pub mod model;
mod path;
mod plan;
mod probe;
mod render;
mod schema;
mod source;
mod style;
mod template;
pub mod trigger;
mod version;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};
use url::Url;

use crate::config::Providers;
use crate::domain::id::ProjectId;
use crate::domain::outbound::OutboundRequest;
use crate::domain::scheme::AuthSchemeKind;
use model::ResponseRule;

pub use compile::{Bad, Compiled, Packed, compile, definition, unpack};
pub use entry::{Entry, Head, HeadParam, Opened, Shown};
pub use file::{Files, LoadedFile};
pub use folded::{Folded, fold};
pub use inject::{Injected, Injection};
pub use layer::{Catalog, Layer};
pub use live::{Catalogs, Change};
pub use login::{LoggedIn, Login, LoginScope, StepRule, Unsigned};
pub use plan::Step;
pub use probe::{Probe, Probes};
pub use trigger::Trigger;

/// Where a toolkit comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// The server's own files, or the operator's.
    #[default]
    BuiltIn,
    /// Installed for the whole server.
    Server,
    /// Installed for a project.
    Project(ProjectId),
}

/// A toolkit, checked, with the operator's overrides applied.
#[derive(Debug)]
pub struct Toolkit {
    /// As the file has it, but for the operator's OAuth endpoints.
    pub file: Arc<model::ToolkitFile>,
    /// Its tools in file order.
    pub tools: Vec<Arc<Entry>>,
    /// Its trigger types in file order.
    pub triggers: Vec<Arc<Trigger>>,
    /// Where it comes from.
    pub origin: Origin,
    base: hosts::Base,
    hosts: hosts::Hosts,
    headers: Vec<(String, template::Text)>,
    injections: Vec<(AuthSchemeKind, Injection)>,
    probes: Vec<(AuthSchemeKind, Probes)>,
    logins: Vec<(AuthSchemeKind, Login)>,
    order: OnceLock<Box<[Shelved]>>,
    folded: OnceLock<Folded>,
}

/// What lists ask of every tool of a toolkit, side by side: those of tens of thousands of tools are
/// read for one page.
#[derive(Debug, Clone, Copy)]
pub struct Shelved {
    /// Its place in [`Toolkit::tools`].
    pub index: u32,
    /// Whether it belongs to the default set.
    pub important: bool,
    /// Whether it should not be used any more.
    pub deprecated: bool,
}

/// A tool with its schemas and templates compiled.
#[derive(Debug)]
pub struct Tool {
    /// As the file has it.
    pub def: model::Tool,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// JSON Schema of `{data, error, successful}`.
    pub output_schema: Value,
    /// The free tags of the definition and the behaviour hints (`readOnlyHint`, …).
    pub tags: Vec<String>,
    /// The tool's rule for reading answers, over the toolkit's.
    pub rule: ResponseRule,
    steps: Vec<Step>,
    result: Option<template::Tree>,
    /// Names that templates may use because the caller provides them; none for what is listed.
    given: &'static [&'static str],
    aliases: HashMap<String, usize>,
    validator: OnceLock<jsonschema::Validator>,
}

/// The `import.yaml` of the built-in toolkits that a package completes, with their slugs.
pub fn completions() -> Vec<(String, String)> {
    source::completions()
}

/// Problems of the definitions, one line each, with file and line.
#[derive(Debug)]
pub struct CatalogErrors(pub Vec<String>);

impl fmt::Display for CatalogErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for CatalogErrors {}

/// What request templates see.
#[derive(Debug)]
pub struct Scope<'a> {
    /// Arguments, checked, with defaults.
    pub args: &'a Map<String, Value>,
    /// Connection fields that are not secret.
    pub conn: Map<String, Value>,
    /// Answers of earlier steps.
    pub steps: Map<String, Value>,
    /// The element of a `for_each`.
    pub item: Option<Value>,
}

impl Catalog {
    /// Loads the built-in toolkits and those of `extra`, which are checked.
    ///
    /// # Errors
    /// Every problem of every file of `extra`.
    pub fn load(extra: Option<&Path>, providers: &Providers) -> Result<Self, CatalogErrors> {
        load::load(extra, providers, false)
    }

    /// Loads the toolkits of one folder, without the built-in ones.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn of_folder(dir: &Path, providers: &Providers) -> Result<Self, CatalogErrors> {
        load::load_folder(dir, providers)
    }

    /// Loads as [`Catalog::load`] does, but checks the built-in toolkits too and compiles what is
    /// otherwise compiled on first use: for `patchbay catalog check`, and the test of the built-in ones.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn check(extra: Option<&Path>, providers: &Providers) -> Result<Self, CatalogErrors> {
        let catalog = load::load(extra, providers, true)?;
        let problems: Vec<String> = catalog
            .toolkits()
            .iter()
            .flat_map(|toolkit| &toolkit.tools)
            .filter_map(|tool| match tool.open() {
                Ok(tool) => tool.compile_validator().err(),
                Err(error) => Some(error.to_string()),
            })
            .collect();
        if problems.is_empty() { Ok(catalog) } else { Err(CatalogErrors(problems)) }
    }
}

impl Toolkit {
    /// Its tools in the order of lists: the default set first, so that a short page is the most useful
    /// one.
    pub fn order(&self) -> &[Shelved] {
        self.order.get_or_init(|| {
            let shelved = |(index, tool): (usize, &Arc<Entry>)| Shelved {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                important: tool.has_tag("important"),
                deprecated: tool.def.deprecated.is_some(),
            };
            let mut order: Vec<Shelved> = self.tools.iter().enumerate().map(shelved).collect();
            order.sort_by_key(|tool| !tool.important);
            order.into()
        })
    }

    /// Its slug, name and description for word searches.
    pub fn folded(&self) -> &Folded {
        self.folded.get_or_init(|| Folded::of(&self.file))
    }

    /// One of its tools, by slug or alias.
    pub fn tool(&self, slug: &str) -> Option<&Arc<Entry>> {
        let is_it = |tool: &&Arc<Entry>| {
            tool.def.slug == slug || tool.def.aliases.iter().any(|alias| alias == slug)
        };
        self.tools.iter().find(is_it)
    }

    /// Lower-case slug.
    pub fn slug(&self) -> &str {
        &self.file.slug
    }

    /// The definition of one of its schemes.
    pub fn scheme(&self, kind: AuthSchemeKind) -> Option<&model::AuthScheme> {
        self.file.auth.iter().find(|scheme| scheme.scheme == kind)
    }

    /// Where the credentials of a scheme go.
    pub fn injection(&self, kind: AuthSchemeKind) -> Option<&Injection> {
        self.injections.iter().find(|(known, _)| *known == kind).map(|(_, injection)| injection)
    }

    /// The calls that are made when an account of a scheme is connected.
    pub fn probes(&self, kind: AuthSchemeKind) -> Option<&Probes> {
        self.probes.iter().find(|(known, _)| *known == kind).map(|(_, probes)| probes)
    }

    /// How a scheme makes a token of stored secrets.
    pub fn login(&self, kind: AuthSchemeKind) -> Option<&Login> {
        self.logins.iter().find(|(known, _)| *known == kind).map(|(_, login)| login)
    }

    /// Root of requests for a connection with these fields, on an allowed host.
    ///
    /// # Errors
    /// A field that the root is made of is missing or leads to a host that is not the toolkit's.
    pub fn base_url(&self, conn: &Map<String, Value>) -> Result<Url, String> {
        self.base.url(&self.hosts, conn)
    }

    /// Whether requests with this toolkit's credentials may go to the host of `url`.
    pub fn allows_host(&self, conn: &Map<String, Value>, url: &Url) -> bool {
        self.hosts.allows(url, conn)
            || self.base_url(conn).is_ok_and(|base| hosts::same_origin(&base, url))
    }

    /// Headers that the toolkit sends with every request, for the proxy.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn default_headers(
        &self,
        conn: &Map<String, Value>,
    ) -> Result<Vec<(String, String)>, String> {
        render::toolkit_headers(self, conn)
    }

    /// Fills the URL of an OAuth endpoint. `trusted` are hosts that the client's secret may go to
    /// although the definition does not name them.
    ///
    /// # Errors
    /// `<field>: <what it must be>`, or what is wrong with the whole.
    pub fn endpoint(
        &self,
        source: &str,
        roots: &endpoint::Roots<'_>,
        trusted: &[String],
    ) -> Result<Url, String> {
        endpoint::url(source, &self.hosts, roots, trusted)
    }

    /// Every name that `conn` may have in templates.
    pub fn connection_names(&self) -> BTreeSet<String> {
        check::connection_names(&self.file)
    }
}

impl Tool {
    /// `TOOLKIT_VERB_OBJECT`.
    pub fn slug(&self) -> &str {
        &self.def.slug
    }

    /// Applies aliases, coercion and defaults, then the schema.
    ///
    /// # Errors
    /// One line per problem, in words that a model can act on.
    pub fn check_arguments(
        &self,
        args: Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<String>> {
        args::check(self, args)
    }

    /// The requests of the tool in order: one (with an empty id) for `request`, none for a
    /// function of the server.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Name of the function of the server that this tool is.
    pub fn builtin(&self) -> Option<&str> {
        self.def.builtin.as_deref()
    }

    /// The tool of a remote MCP server that this tool is.
    pub fn mcp(&self) -> Option<&model::McpTool> {
        self.def.mcp.as_ref()
    }

    /// Checked arguments under the names that they have on the wire; absent ones are left out.
    pub fn wired(&self, args: &Map<String, Value>) -> Map<String, Value> {
        let params = self.def.params.0.iter();
        let given = params.filter_map(|(name, param)| {
            let value = args.get(name).filter(|value| !value.is_null())?;
            Some((param.wire.as_ref().unwrap_or(name).clone(), value.clone()))
        });
        given.collect()
    }

    /// Whether step `step` is to be sent.
    ///
    /// # Errors
    /// An expression that cannot be evaluated.
    pub fn when(&self, step: usize, scope: &Scope<'_>) -> Result<bool, String> {
        plan::when(self, step, scope)
    }

    /// The elements that step `step` is sent for; none when it is sent once.
    ///
    /// # Errors
    /// An expression that cannot be evaluated or gives no list.
    pub fn for_each(&self, step: usize, scope: &Scope<'_>) -> Result<Option<Vec<Value>>, String> {
        plan::for_each(self, step, scope)
    }

    /// Renders the request of step `step` (0 for `request`), without credentials.
    ///
    /// # Errors
    /// What is wrong with the arguments, in words that a model can act on.
    pub fn render(
        &self,
        toolkit: &Toolkit,
        step: usize,
        scope: &Scope<'_>,
    ) -> Result<OutboundRequest, String> {
        self.render_with(toolkit, step, scope, &Files::new())
    }

    /// As [`Tool::render`], with the content of the files that the arguments name.
    ///
    /// # Errors
    /// As [`Tool::render`].
    pub fn render_with(
        &self,
        toolkit: &Toolkit,
        step: usize,
        scope: &Scope<'_>,
        files: &Files,
    ) -> Result<OutboundRequest, String> {
        render::request(self, toolkit, step, scope, files)
    }

    /// Keys of the uploaded files that checked arguments name, each once.
    pub fn file_keys(&self, args: &Map<String, Value>) -> Vec<String> {
        file::keys(self, args)
    }

    /// Puts the content of files into checked arguments where they carry it as text.
    ///
    /// # Errors
    /// When one of the files is not there.
    pub fn put_files(&self, args: &mut Map<String, Value>, files: &Files) -> Result<(), String> {
        file::put(self, args, files)
    }

    /// The tool's result made of the answers of its steps (in `scope.steps`, null for a step
    /// that was left out); none when the answer of the only or last step is the result.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn result(&self, scope: &Scope<'_>) -> Result<Option<Value>, String> {
        plan::result(self, scope)
    }

    /// Compiles the validator of the arguments, which otherwise happens on first use.
    ///
    /// # Errors
    /// One line that names the tool.
    pub fn compile_validator(&self) -> Result<(), String> {
        args::validator(self).map(drop)
    }
}
