//! From a description to something that can be stored; no database, no network.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Diff;
use super::diff::diff;
use crate::catalog::{self, Bad, Opened, Packed, Toolkit};
use crate::config::Providers;
use crate::error::{Error, Result, codes};
use crate::import::{self, Definition, Documents, Options, Progress, Report, merge};

/// A definition that was made, and not compiled yet.
pub(super) struct Made {
    pub slug: String,
    pub name: String,
    definition: Definition,
    report: Report,
}

/// What can be stored.
pub(super) struct Ready {
    pub slug: String,
    pub name: String,
    pub report: Report,
    pub packed: Packed,
    pub changes: Diff,
    pub digest: Vec<u8>,
    pub tools: usize,
}

/// What a definition is made of.
pub(super) enum Source {
    /// A description, or a definition.
    Text(Vec<u8>),
    /// A description that was read, with the documents that it refers to.
    Read(Box<(Value, Documents)>),
    /// It is made already.
    Made(Box<(Definition, Report)>),
}

/// Reads a description.
pub(super) fn make(
    source: Source,
    options: &Options,
    aliases: &BTreeMap<String, String>,
    progress: Progress<'_>,
) -> Result<Made> {
    let (mut definition, mut report) = match source {
        Source::Made(made) => *made,
        Source::Read(read) => {
            let (document, documents) = *read;
            import::import_with(document, documents, options, progress).map_err(not_imported)?
        }
        Source::Text(document) => match own(&document) {
            Some(definition) => (definition, Report::default()),
            None => import::import(&document, options, progress).map_err(not_imported)?,
        },
    };
    merge::named(&mut definition, aliases, &mut report);
    definition.toolkit["versions"] = Value::from(vec![options.version.clone()]);
    let text = |key: &str| definition.toolkit[key].as_str().unwrap_or_default().to_owned();
    let (slug, name) = (text("slug"), text("name"));
    Ok(Made { slug, name, definition, report })
}

/// Compiles a definition and compares it with the version before.
pub(super) fn compile(
    made: Made,
    version: &str,
    base: Option<&Toolkit>,
    before: Option<&Packed>,
    providers: &Providers,
    opened: &Arc<Opened>,
) -> Result<Ready> {
    let Made { slug, name, mut definition, mut report } = made;
    if let Some(base) = base {
        merge::rooted(&mut definition, &base.file.base_url, &base.connection_names());
    }
    let stored = |packed: &Packed| catalog::definition(packed).map_err(Error::internal);
    let old = before.map(stored).transpose()?.map(|(_, tools)| tools).unwrap_or_default();
    merge::remembered(&mut definition, &old);
    let digest = digest(&definition);
    definition.toolkit["versions"] = Value::from(vec![version.to_owned()]);
    let Definition { toolkit, tools } = &definition;
    let compiled = catalog::compile(toolkit, tools, base, providers, opened);
    let compiled = compiled.map_err(|problems| refused("The toolkit cannot be made", problems))?;
    left_out(&mut report, &compiled.bad);
    if compiled.kept > 0 {
        report.notes.push(format!(
            "{} operations have a tool written by hand already, which stays as it is",
            compiled.kept
        ));
    }
    let tools = tools.len() - compiled.bad.len();
    report.tools = tools - compiled.kept;
    // An MCP server that wants credentials first lists its tools later.
    let later = definition.tools.is_empty() && report.format.starts_with(super::remote::FORMAT);
    if tools == 0 && !later {
        let why = report.left_out.iter().take(20).map(|l| format!("{}: {}", l.what, l.why));
        let problem = match report.operations {
            0 => "The description has no operations",
            _ => "None of the operations can be imported",
        };
        return Err(refused(problem, why.collect()));
    }
    let changes = diff(&old, &stored(&compiled.packed)?.1);
    let packed = compiled.packed;
    Ok(Ready { slug, name, tools: report.tools, report, packed, changes, digest })
}

fn not_imported(failure: import::Failure) -> Error {
    refused("The description cannot be imported", vec![failure.to_string()])
}

pub(super) fn refused(message: &'static str, mut problems: Vec<String>) -> Error {
    problems.truncate(50);
    Error::new(codes::IMPORT_FAILED, message).with_errors(problems)
}

/// A definition in the server's own format, as JSON: `{"toolkit": {…}, "tools": […]}`.
fn own(document: &[u8]) -> Option<Definition> {
    if !document.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let mut value: Value = serde_json::from_slice(document).ok()?;
    let Value::Array(tools) = value.get_mut("tools")?.take() else { return None };
    let toolkit = value.get_mut("toolkit")?.take();
    toolkit.is_object().then_some(Definition { toolkit, tools })
}

fn left_out(report: &mut Report, bad: &[Bad]) {
    for bad in bad {
        report.left_out(&format!("/tools/{}", bad.index), &*bad.slug, bad.problems.join("; "));
    }
}

/// Of the definition without its version: the same again is no new version.
fn digest(definition: &Definition) -> Vec<u8> {
    let mut toolkit = definition.toolkit.clone();
    toolkit["versions"] = Value::Null;
    let mut hash = Sha256::new();
    hash.update(toolkit.to_string());
    for tool in &definition.tools {
        hash.update(tool.to_string());
    }
    hash.finalize().to_vec()
}
