//! GraphQL schemas: the answer of the introspection query, or a schema in SDL.
//!
//! | file | knows |
//! |---|---|
//! | `schema` | types and fields, wherever they come from |
//! | `introspection`, `sdl` | reading the one and the other |
//! | `select` | what is asked of an answer |
//! | `argument` | types of variables as arguments |
//! | `tools` | a tool for each field of `Query` and `Mutation` |

mod argument;
mod introspection;
mod schema;
mod sdl;
mod select;
mod tools;

use serde_json::Value;

use super::{Definition, Failure, Options, Progress, Report};

/// Whether text looks like a schema in SDL rather than like JSON or YAML.
pub fn is_sdl(text: &str) -> bool {
    sdl::is_likely(text)
}

/// Imports the answer of the introspection query.
///
/// # Errors
/// It is none, or has nothing to import.
pub fn import_introspection(
    document: &Value,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let schema = introspection::read(document)?;
    tools::make(&schema, "GraphQL introspection", options, progress)
}

/// Imports a schema in SDL.
///
/// # Errors
/// Where the text is no SDL: the line; or it has nothing to import.
pub fn import_sdl(
    text: &str,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let schema = sdl::read(text)?;
    tools::make(&schema, "GraphQL SDL", options, progress)
}

#[cfg(test)]
mod tests;
