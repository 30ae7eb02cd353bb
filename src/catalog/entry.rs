//! Tools as lists know them, and how they are opened.
//!
//! A catalogue has more tools than are ever called, so of each it keeps a [`Head`]; everything else
//! (schemas, templates, validators) is made when somebody needs it.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use quick_cache::Weighter;
use quick_cache::sync::Cache as Lru;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{self, Hints, Map2, ToolkitFile};
use super::{Tool, load};
use crate::config::providers::Provider;
use crate::error::{Error, Result, codes};

/// What the opened tools that are kept may weigh together: characters of their definitions, of
/// which each takes several bytes when it is opened.
const KEPT: u64 = 6 * 1024 * 1024;
/// About how many tools that is.
const KEPT_ITEMS: usize = 2000;
/// Characters of a definition that was not counted.
const USUAL: u64 = 3000;
/// Longest definition of one tool; an import makes none that is nearly as long.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// What lists, filters and searches need of a tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    /// `TOOLKIT_VERB_OBJECT`.
    pub slug: String,
    /// Other slugs that mean this tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Short human name.
    pub name: String,
    /// What it does and when to use it, for a model.
    pub description: String,
    /// Free tags for filters; `important` marks the default set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Behaviour hints.
    #[serde(default)]
    pub hints: Hints,
    /// Whether it calls somebody, so that what it does depends on more than its arguments.
    #[serde(default)]
    pub open_world: bool,
    /// Sets of scopes, any one of which suffices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Vec<String>>,
    /// Deprecation note; the tool still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// Tools that usually have to be called before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Tools that could take its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead: Vec<String>,
    /// Tools that are usual afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What goes wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pitfalls: Vec<String>,
    /// Its arguments.
    #[serde(default)]
    pub params: Map2<HeadParam>,
}

/// What a [`Head`] knows of an argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadParam {
    /// Whether it must be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Sent but not shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

impl Head {
    /// Of a whole definition.
    pub(super) fn of(def: &model::Tool) -> Self {
        let params = def.params.0.iter().map(|(name, param)| {
            (name.clone(), HeadParam { required: param.required, hidden: param.hidden })
        });
        Self {
            slug: def.slug.clone(),
            aliases: def.aliases.clone(),
            name: def.name.clone(),
            description: def.description.clone(),
            tags: def.tags.clone(),
            hints: def.hints,
            open_world: load::open_world(def),
            scopes: def.scopes.clone(),
            deprecated: def.deprecated.clone(),
            before: def.before.clone(),
            instead: def.instead.clone(),
            after: def.after.clone(),
            pitfalls: def.pitfalls.clone(),
            params: Map2(params.collect()),
        }
    }
}

/// A tool of the catalogue. [`Entry::open`] gives what is needed to show its schemas or to execute it.
pub struct Entry {
    /// What is known without opening it.
    pub def: Head,
    /// The free tags of the definition and the behaviour hints (`readOnlyHint`, …).
    pub tags: Vec<String>,
    body: Body,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("slug", &self.def.slug).finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Body {
    /// Its definition, as it was read.
    Kept { number: u64, def: Arc<model::Tool>, shell: Arc<Shell> },
    /// Its definition, compressed.
    Packed { number: u64, bytes: Bytes, shell: Arc<Shell> },
}

/// What opening the tools of a toolkit needs.
pub(super) struct Shell {
    pub file: Arc<ToolkitFile>,
    pub provider: Option<Provider>,
    pub opened: Arc<Opened>,
}

/// The tools that were opened last.
pub struct Opened(Lru<u64, (Arc<Tool>, u64), ByLength>);

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("tools", &self.0.len()).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct ByLength;

impl Weighter<u64, (Arc<Tool>, u64)> for ByLength {
    fn weight(&self, _: &u64, (_, length): &(Arc<Tool>, u64)) -> u64 {
        (*length).max(1)
    }
}

impl Default for Opened {
    fn default() -> Self {
        Self(Lru::with_weighter(KEPT_ITEMS, KEPT, ByLength))
    }
}

impl Entry {
    /// A tool by its definition.
    pub(super) fn kept(def: model::Tool, shell: &Arc<Shell>) -> Self {
        let head = Head::of(&def);
        let tags = load::tags(&head.tags, &head.hints, head.open_world);
        let (number, def, shell) = (number(), Arc::new(def), shell.clone());
        Self { def: head, tags, body: Body::Kept { number, def, shell } }
    }

    /// A tool whose definition is compressed.
    pub(super) fn packed(def: Head, bytes: Bytes, shell: &Arc<Shell>) -> Self {
        let tags = load::tags(&def.tags, &def.hints, def.open_world);
        Self { def, tags, body: Body::Packed { number: number(), bytes, shell: shell.clone() } }
    }

    /// The same tool under other further names.
    pub(super) fn with_aliases(&self, aliases: Vec<String>) -> Self {
        let def = Head { aliases, ..self.def.clone() };
        Self { def, tags: self.tags.clone(), body: self.body.clone() }
    }

    /// `TOOLKIT_VERB_OBJECT`.
    pub fn slug(&self) -> &str {
        &self.def.slug
    }

    /// Whether it has a tag or hint, in any case.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own.eq_ignore_ascii_case(tag))
    }

    /// Whether it may need a scope.
    pub fn may_need(&self, scope: &str) -> bool {
        self.def.scopes.iter().flatten().any(|own| own == scope)
    }

    /// The whole tool. Those that were opened last are kept.
    ///
    /// # Errors
    /// When this version of the server cannot make sense of what an earlier one stored.
    pub fn open(&self) -> Result<Arc<Tool>> {
        let (number, shell) = match &self.body {
            Body::Kept { number, shell, .. } | Body::Packed { number, shell, .. } => {
                (number, shell)
            }
        };
        if let Some((tool, _)) = shell.opened.0.get(number) {
            return Ok(tool);
        }
        let (tool, length) = self.opened(shell).map_err(|e| self.unusable(&e))?;
        let tool = Arc::new(tool);
        shell.opened.0.insert(*number, (tool.clone(), length));
        Ok(tool)
    }

    fn opened(&self, shell: &Shell) -> std::result::Result<(Tool, u64), String> {
        let (def, length) = match &self.body {
            Body::Kept { def, .. } => ((**def).clone(), USUAL),
            Body::Packed { bytes, .. } => definition(bytes)?,
        };
        let tool = load::tool(def, &shell.file, shell.provider.as_ref())
            .map_err(|(_, problems)| problems.join("; "))?;
        Ok((tool, length))
    }

    /// Its definition.
    ///
    /// # Errors
    /// What is stored is damaged.
    pub(super) fn definition(&self) -> std::result::Result<Arc<model::Tool>, String> {
        match &self.body {
            Body::Kept { def, .. } => Ok(def.clone()),
            Body::Packed { bytes, .. } => definition(bytes).map(|(def, _)| Arc::new(def)),
        }
    }

    fn unusable(&self, problem: &str) -> Error {
        tracing::warn!(tool = %self.def.slug, problem, "a stored tool cannot be used");
        Error::new(
            codes::TOOL_UNUSABLE,
            format!("The stored definition of {} cannot be used by this server", self.def.slug),
        )
        .fix("Import the toolkit again")
    }

    /// Names and descriptions of the arguments that are shown.
    pub fn texts(&self) -> Vec<(String, String)> {
        let shown = |def: &model::Tool| {
            let params = def.params.0.iter().filter(|(_, param)| !param.hidden);
            params
                .map(|(name, p)| (name.clone(), p.schema.description.clone().unwrap_or_default()))
                .collect()
        };
        self.definition().map(|def| shown(&def)).unwrap_or_default()
    }
}

/// A number that no other tool has.
fn number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn definition(bytes: &[u8]) -> std::result::Result<(model::Tool, u64), String> {
    let text = unpacked(bytes, MOST_BYTES)?;
    let def = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    Ok((def, text.len() as u64))
}

/// Compresses.
pub(super) fn pack(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(text.len() / 3), Compression::new(6));
    encoder.write_all(text)?;
    encoder.finish()
}

/// Expands what [`pack`] made, up to `most` bytes.
pub(super) fn unpacked(bytes: &[u8], most: usize) -> std::result::Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(bytes.len() * 4);
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = ZlibDecoder::new(bytes).take(limit);
    decoder.read_to_end(&mut text).map_err(|e| e.to_string())?;
    if text.len() > most {
        return Err(format!("longer than {most} bytes"));
    }
    Ok(text)
}

/// A schema of an opened tool, for an answer.
#[derive(Debug, Clone)]
pub struct Shown {
    tool: Arc<Tool>,
    is_output: bool,
}

impl Shown {
    /// That of the arguments.
    pub fn input(tool: &Arc<Tool>) -> Self {
        Self { tool: tool.clone(), is_output: false }
    }

    /// That of the answer.
    pub fn output(tool: &Arc<Tool>) -> Self {
        Self { tool: tool.clone(), is_output: true }
    }
}

impl std::ops::Deref for Shown {
    type Target = Value;

    fn deref(&self) -> &Value {
        if self.is_output { &self.tool.output_schema } else { &self.tool.input_schema }
    }
}

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        (**self).serialize(s)
    }
}
