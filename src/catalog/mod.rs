//! Toolkit and tool definitions: loading, checking, looking up.

pub mod fields;
pub mod model;
mod version;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::Providers;
use crate::domain::outbound::OutboundRequest;

/// Everything that was loaded; never changes while the server runs.
#[derive(Debug, Default)]
pub struct Catalog {
    toolkits: Vec<Arc<Toolkit>>,
}

/// A toolkit, checked, with the operator's overrides applied.
#[derive(Debug)]
pub struct Toolkit {
    /// As the file has it.
    pub file: model::ToolkitFile,
    /// Its tools in file order.
    pub tools: Vec<Arc<Tool>>,
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
}

/// Problems of the definitions, one line each, with file and line.
#[derive(Debug)]
pub struct CatalogErrors(pub Vec<String>);

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
    /// Loads the built-in toolkits and those of `extra`.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn load(_extra: Option<&Path>, _providers: &Providers) -> Result<Self, CatalogErrors> {
        Ok(Self::default())
    }

    /// Toolkits by slug, sorted.
    pub fn toolkits(&self) -> &[Arc<Toolkit>] {
        &self.toolkits
    }

    /// A toolkit by slug, in any case.
    pub fn toolkit(&self, _slug: &str) -> Option<&Arc<Toolkit>> {
        None
    }

    /// A tool by slug or alias (exact case), with its toolkit.
    pub fn tool(&self, _slug: &str) -> Option<(&Arc<Toolkit>, &Arc<Tool>)> {
        None
    }
}

impl Tool {
    /// Applies aliases, coercion and defaults, then the schema.
    ///
    /// # Errors
    /// One line per problem, in words that a model can act on.
    pub fn check_arguments(
        &self,
        _args: Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<String>> {
        Err(Vec::new())
    }

    /// The requests of the tool in order: one for `request`.
    pub fn render(
        &self,
        _toolkit: &Toolkit,
        _step: usize,
        _scope: &Scope<'_>,
    ) -> Result<OutboundRequest, String> {
        Err(String::new())
    }
}
