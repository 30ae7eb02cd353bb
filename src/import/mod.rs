//! Descriptions of APIs made into toolkit definitions.
//!
//! What comes out is written as the files of `toolkits/` are (`docs/TOOLKIT-FORMAT.md`), so whatever
//! loads, checks and executes those does the same with what was imported. Nothing here contacts
//! anyone or knows the database: bytes go in, a definition and a report come out.
//!
//! | module | knows |
//! |---|---|
//! | `document` | bytes to JSON, within limits |
//! | `external` | other documents that a description refers to |
//! | `discovery` | Google's discovery documents |
//! | `graphql` | GraphQL schemas |
//! | `mcp` | what a remote MCP server lists |
//! | `openapi` | OpenAPI 3.0 and 3.1, Swagger 2.0 |
//! | `schema` | JSON Schema to the toolkit format's own |
//! | `slug` | names of toolkits, tools and arguments |
//! | `text` | sentences by strangers, made harmless |
//! | `merge` | imported tools beside those that somebody wrote |
//! | `report` | what was taken, changed and left out |

pub mod discovery;
pub mod document;
pub mod external;
pub mod graphql;
pub mod mcp;
pub mod merge;
mod openapi;
pub mod report;
pub mod schema;
pub mod slug;
pub mod text;

use std::fmt;

use serde_json::Value;

pub use external::Documents;
pub use report::{LeftOut, Renamed, Repaired, Report};

/// What the one who imports says about a description.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Slug of the toolkit; made of the description's title when absent.
    pub slug: Option<String>,
    /// Display name; the description's title when absent.
    pub name: Option<String>,
    /// Root of all requests, instead of what the description says.
    pub base_url: Option<String>,
    /// Where the description was fetched: relative servers are below it.
    pub source_url: Option<String>,
    /// Version of the definition that is made, `YYYYMMDD_NN`.
    pub version: String,
    /// Hosts besides the toolkit's own that requests may go to.
    pub allow: Vec<String>,
}

/// A definition, as its files would be written.
#[derive(Debug, Clone)]
pub struct Definition {
    /// `toolkit.yaml`.
    pub toolkit: Value,
    /// The tools, as in `tools/*.yaml`, in the order of the description.
    pub tools: Vec<Value>,
}

/// How far an import is: operations done, and how many there are.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Makes a definition of a description.
///
/// # Errors
/// It is none, or of a kind that is not known.
pub fn import(
    document: &[u8],
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    if let Ok(text) = std::str::from_utf8(document)
        && graphql::is_sdl(text)
    {
        return graphql::import_sdl(text, options, progress);
    }
    let document = document::read(document)?;
    import_with(document, Documents::of(options.source_url.as_deref(), None), options, progress)
}

/// As [`import`], of a document that was read, with the others that it refers to.
///
/// # Errors
/// It is none, or of a kind that is not known.
pub fn import_with(
    mut document: Value,
    documents: Documents,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let format = Format::of(&document)?;
    match format {
        Format::OpenApi | Format::Swagger => {
            let bundled = documents.bundle(&mut document);
            let made = openapi::import(&document, &bundled, format, options, progress);
            made.map(|(definition, mut report)| {
                bundled.name_places(&mut report);
                (definition, report)
            })
        }
        Format::Discovery => discovery::import(&document, options, progress),
        Format::GraphQlIntrospection => graphql::import_introspection(&document, options, progress),
        Format::Mcp => mcp::import(&document, options, progress),
    }
}

/// Why nothing could be imported at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// JSON pointer into the description; empty when it is about the whole.
    pub at: String,
    /// What is wrong, in words for whoever has the description.
    pub problem: String,
}

impl Failure {
    /// About the whole description.
    pub fn of_all(problem: impl Into<String>) -> Self {
        Self { at: String::new(), problem: problem.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.at, self.problem)
        }
    }
}

impl std::error::Error for Failure {}

/// Formats of descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenAPI 3.0 or 3.1.
    OpenApi,
    /// Swagger 2.0.
    Swagger,
    /// Google's API discovery document.
    Discovery,
    /// A GraphQL schema: the answer of the introspection query.
    GraphQlIntrospection,
    /// What a remote MCP server lists (see [`mcp`]).
    Mcp,
}

impl Format {
    /// The format of a document, by what only that one has.
    ///
    /// # Errors
    /// What is known, for whoever brought something else.
    pub fn of(document: &Value) -> Result<Self, Failure> {
        let has = |name: &str| document.get(name).is_some();
        if has("openapi") {
            Ok(Self::OpenApi)
        } else if has("swagger") {
            Ok(Self::Swagger)
        } else if has("discoveryVersion") {
            Ok(Self::Discovery)
        } else if has("__schema") || document.pointer("/data/__schema").is_some() {
            Ok(Self::GraphQlIntrospection)
        } else if document.pointer("/mcp/url").is_some() {
            Ok(Self::Mcp)
        } else {
            Err(Failure::of_all(
                "This is no description of an API that can be imported: OpenAPI 3.0 or 3.1 (`openapi`), \
                 Swagger 2.0 (`swagger`), a Google discovery document (`discoveryVersion`), a GraphQL \
                 introspection answer (`__schema`) or a GraphQL schema in SDL are needed",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_format_is_known_by_its_own_key() {
        assert_eq!(Format::of(&json!({"openapi": "3.1.0"})), Ok(Format::OpenApi));
        assert_eq!(Format::of(&json!({"swagger": "2.0"})), Ok(Format::Swagger));
        assert_eq!(Format::of(&json!({"discoveryVersion": "v1"})), Ok(Format::Discovery));
        let answer = json!({"data": {"__schema": {}}});
        assert_eq!(Format::of(&answer), Ok(Format::GraphQlIntrospection));
        assert_eq!(Format::of(&json!({"mcp": {"url": "https://a/mcp"}})), Ok(Format::Mcp));
        assert!(Format::of(&json!({"info": {}})).unwrap_err().problem.contains("OpenAPI"));
    }
}
