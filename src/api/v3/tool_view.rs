//! How a tool is shown.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::toolkits::no_auth;
use crate::catalog::{Entry, Shown, Toolkit};
use crate::error::Result;
use crate::session::TOOLKIT;
use crate::session::meta::{Meta, Spec};
use crate::session::tools::Listed;

/// A tool of the catalogue under the name it was asked by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// Its toolkit.
    pub toolkit: &'a Toolkit,
    /// The tool.
    pub tool: &'a Entry,
    /// Slug or alias.
    pub slug: &'a str,
    /// Version of the toolkit.
    pub version: &'a str,
}

/// The toolkit of a tool.
#[derive(Debug, Serialize, ToSchema)]
struct ToolToolkit<'a> {
    /// Slug.
    slug: &'a str,
    /// Display name.
    name: &'a str,
    /// URL of its logo.
    logo: &'a str,
}

/// The toolkit's logo, for older clients.
#[derive(Debug, Serialize, ToSchema)]
struct DeprecatedToolToolkit<'a> {
    /// URL of its logo.
    logo: &'a str,
}

/// What older clients read.
#[derive(Debug, Serialize, ToSchema)]
struct DeprecatedTool<'a> {
    /// Display name.
    #[serde(rename = "displayName")]
    display_name: &'a str,
    /// Version.
    version: &'a str,
    /// All versions, newest first.
    available_versions: &'a [String],
    /// Whether it is deprecated.
    is_deprecated: bool,
    /// Its toolkit.
    toolkit: DeprecatedToolToolkit<'a>,
}

/// A tool.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ToolItem<'a> {
    /// Slug.
    slug: &'a str,
    /// Display name.
    name: &'a str,
    /// What it does, for a model.
    description: &'a str,
    /// What it does, for a person.
    human_description: &'a str,
    /// Its toolkit.
    toolkit: ToolToolkit<'a>,
    /// JSON Schema of the arguments.
    #[schema(value_type = Object)]
    input_parameters: Shown,
    /// JSON Schema of the answer.
    #[schema(value_type = Object)]
    output_parameters: Shown,
    /// Whether it works without credentials.
    no_auth: bool,
    /// All versions, newest first.
    available_versions: &'a [String],
    /// The version shown.
    version: &'a str,
    /// Every scope that it may need.
    scopes: Vec<&'a str>,
    /// Which scopes it needs; null when it needs none.
    #[schema(value_type = Option<Object>)]
    scope_requirements: Option<Value>,
    /// Tags and behaviour hints.
    tags: Vec<&'a str>,
    /// Whether it is deprecated.
    is_deprecated: bool,
    /// What older clients read.
    deprecated: DeprecatedTool<'a>,
}

impl<'a> Found<'a> {
    /// Tags of the definition and hints.
    pub fn tags(&self) -> Vec<&'a str> {
        self.tool.tags.iter().map(String::as_str).collect()
    }

    /// Every scope of every set, once.
    fn scopes(&self) -> Vec<&'a str> {
        let mut scopes: Vec<&str> = Vec::new();
        for scope in self.tool.def.scopes.iter().flatten() {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        scopes
    }

    /// As a list shows it; none, with a line in the log, when it cannot be shown.
    pub fn listed(&self) -> Option<ToolItem<'a>> {
        self.item().ok()
    }

    /// As the API shows it.
    ///
    /// # Errors
    /// When its stored definition cannot be used any more.
    pub fn item(&self) -> Result<ToolItem<'a>> {
        let opened = self.tool.open()?;
        let (file, def) = (&self.toolkit.file, &self.tool.def);
        let logo = file.logo.as_deref().unwrap_or_default();
        let is_deprecated = def.deprecated.is_some();
        Ok(ToolItem {
            slug: self.slug,
            name: &def.name,
            description: def.description.trim(),
            human_description: def.description.trim(),
            toolkit: ToolToolkit { slug: &file.slug, name: &file.name, logo },
            input_parameters: Shown::input(&opened),
            output_parameters: Shown::output(&opened),
            no_auth: no_auth(self.toolkit),
            available_versions: &file.versions,
            version: self.version,
            scopes: self.scopes(),
            scope_requirements: requirements(&def.scopes),
            tags: self.tags(),
            is_deprecated,
            deprecated: DeprecatedTool {
                display_name: &def.name,
                version: self.version,
                available_versions: &file.versions,
                is_deprecated,
                toolkit: DeprecatedToolToolkit { logo },
            },
        })
    }
}

/// The sets of scopes, any of which suffices, in the API's structure: all of a list of names
/// and alternatives.
pub(super) fn requirements(sets: &[Vec<String>]) -> Option<Value> {
    match sets {
        [] => None,
        [set] => Some(json!({"all_of": set})),
        sets => {
            let any_of: Vec<Value> = sets
                .iter()
                .map(|set| match set.as_slice() {
                    [scope] => json!(scope),
                    set => json!({"all_of": set}),
                })
                .collect();
            Some(json!({"all_of": [{"any_of": any_of}]}))
        }
    }
}

/// A tool of a session: one of the catalogue, or a meta tool.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum SessionTool<'a> {
    /// One of the catalogue.
    App(Box<ToolItem<'a>>),
    /// One of the server's own, in the same form.
    #[schema(value_type = Object)]
    Meta(Value),
}

/// A tool of a session's list.
pub(super) fn session_tool<'a>(tool: &Listed<'a>) -> Option<SessionTool<'a>> {
    match tool {
        Listed::App(toolkit, tool) => {
            let version = toolkit.newest_version();
            let found = Found { toolkit, tool, slug: &tool.def.slug, version };
            found.listed().map(|item| SessionTool::App(Box::new(item)))
        }
        Listed::Meta(meta) => Some(meta_tool(*meta, meta.slug())),
    }
}

/// A meta tool under the name it was asked by.
pub(super) fn meta_tool(meta: Meta, slug: &str) -> SessionTool<'static> {
    SessionTool::Meta(shown(meta.spec(), slug))
}

fn shown(spec: &Spec, slug: &str) -> Value {
    let toolkit = json!({"slug": TOOLKIT, "name": "Composio", "logo": ""});
    json!({
        "slug": slug,
        "name": spec.name,
        "description": spec.description,
        "human_description": spec.description,
        "toolkit": toolkit,
        "input_parameters": spec.input,
        "output_parameters": {
            "type": "object",
            "properties": {
                "data": spec.output,
                "error": {"type": "string", "nullable": true},
                "successful": {"type": "boolean"},
            },
        },
        "no_auth": true,
        "available_versions": ["latest"],
        "version": "latest",
        "scopes": [],
        "tags": spec.tags,
        "is_deprecated": false,
        "deprecated": {
            "displayName": spec.name,
            "version": "latest",
            "available_versions": ["latest"],
            "is_deprecated": false,
            "toolkit": {"logo": ""},
        },
    })
}
