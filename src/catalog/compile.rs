//! Definitions that come as JSON: from an importer, or from where they are stored.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Entry, Head, MOST_BYTES, Opened, Shell, pack, unpacked};
use super::model::{self, ToolkitFile};
use super::source::SourceFile;
use super::{Toolkit, check, check_relations, load, login};
use crate::config::Providers;

/// Most bytes of the heads of one toolkit, expanded.
const MOST_HEADS: usize = 256 * 1024 * 1024;

/// A tool that cannot be part of its toolkit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Its place in the definition.
    pub index: usize,
    /// Its slug, as far as it has one.
    pub slug: String,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// A definition that was compiled.
#[derive(Debug)]
pub struct Compiled {
    /// The toolkit, with the tools that are good.
    pub toolkit: Toolkit,
    /// The others.
    pub bad: Vec<Bad>,
    /// The same to be stored.
    pub packed: Packed,
}

/// A toolkit as it is stored: read without looking at every tool.
#[derive(Debug, Clone)]
pub struct Packed {
    /// `toolkit.yaml` and what lists need of the tools, compressed.
    pub heads: Bytes,
    /// The definitions of the tools, one after the other, each compressed.
    pub bodies: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Index<T> {
    toolkit: Value,
    tools: Vec<(T, usize)>,
}

/// Compiles a definition: `toolkit` is what would stand in `toolkit.yaml`, `tools` what would stand in
/// `tools/*.yaml`. A tool that is wrong is left out.
///
/// # Errors
/// What is wrong with the toolkit as a whole.
pub fn compile(
    toolkit: &Value,
    tools: &[Value],
    providers: &Providers,
    opened: &Arc<Opened>,
) -> Result<Compiled, Vec<String>> {
    let shell = shell(toolkit, providers, opened)?;
    let main = SourceFile { label: "toolkit".into(), text: String::new() };
    let mut problems = Vec::new();
    check::toolkit(&shell.file.slug, &main, &shell.file, &mut problems);
    check_relations::texts(&shell.file.pitfalls, &mut |problem| problems.push(problem));
    if !problems.is_empty() {
        return Err(problems.iter().map(|p| plain(p)).collect());
    }
    let mut made = Made::new(&shell);
    let known = names(tools);
    for (index, tool) in tools.iter().enumerate() {
        if let Err(problems) = made.add(tool, &known) {
            let slug = tool["slug"].as_str().unwrap_or_default().to_owned();
            made.bad.push(Bad { index, slug, problems });
        }
    }
    let Made { entries, index, bodies, bad, has_base, .. } = made;
    let toolkit_value = toolkit.clone();
    let toolkit = put_together(&shell, entries, Some(has_base))?;
    let index = Index { toolkit: toolkit_value, tools: index };
    let heads = serde_json::to_vec(&index).map_err(|e| vec![e.to_string()])?;
    let heads = pack(&heads).map_err(|e| vec![e.to_string()])?;
    let packed = Packed { heads: heads.into(), bodies: bodies.into() };
    Ok(Compiled { toolkit, bad, packed })
}

/// Reads what [`compile`] made. `versions` are all that there are, newest first.
///
/// # Errors
/// When it is damaged, or this version of the server cannot make sense of it.
pub fn unpack(
    packed: &Packed,
    versions: &[String],
    providers: &Providers,
    opened: &Arc<Opened>,
) -> Result<Toolkit, Vec<String>> {
    let heads = unpacked(&packed.heads, MOST_HEADS).map_err(|e| vec![e])?;
    let index: Index<Head> = serde_json::from_slice(&heads).map_err(|e| vec![e.to_string()])?;
    let mut file = index.toolkit;
    if !versions.is_empty() {
        file["versions"] = versions.into();
    }
    let shell = shell(&file, providers, opened)?;
    let mut at = 0;
    let mut entries = Vec::with_capacity(index.tools.len());
    for (head, length) in index.tools {
        let end = at + length;
        if end > packed.bodies.len() {
            return Err(vec!["the stored tools are cut off".into()]);
        }
        entries.push(Arc::new(Entry::packed(head, packed.bodies.slice(at..end), &shell)));
        at = end;
    }
    put_together(&shell, entries, None)
}

/// The definitions of the tools that are stored, in their order, and that of the toolkit.
///
/// # Errors
/// When they are damaged.
pub fn definition(packed: &Packed) -> Result<(Value, Vec<Value>), String> {
    let heads = unpacked(&packed.heads, MOST_HEADS)?;
    let index: Index<Value> = serde_json::from_slice(&heads).map_err(|e| e.to_string())?;
    let mut at = 0;
    let mut tools = Vec::with_capacity(index.tools.len());
    for (_, length) in index.tools {
        let bytes = packed.bodies.get(at..at + length).ok_or("the stored tools are cut off")?;
        let text = unpacked(bytes, MOST_BYTES)?;
        tools.push(serde_json::from_slice(&text).map_err(|e| e.to_string())?);
        at += length;
    }
    Ok((index.toolkit, tools))
}

fn shell(
    toolkit: &Value,
    providers: &Providers,
    opened: &Arc<Opened>,
) -> Result<Arc<Shell>, Vec<String>> {
    let mut file: ToolkitFile =
        serde_path_to_error::deserialize(toolkit).map_err(|e| vec![e.to_string()])?;
    for scheme in &mut file.auth {
        login::imply(scheme).map_err(|e| vec![format!("auth: {e}")])?;
    }
    let provider = providers.get(&file.slug).cloned();
    load::overridden(&mut file, provider.as_ref());
    load::overridden_oauth1(&mut file, provider.as_ref());
    Ok(Arc::new(Shell { file: Arc::new(file), provider, opened: opened.clone() }))
}

/// `has_base` is known when the tools were compiled; what is stored was checked before.
fn put_together(
    shell: &Shell,
    entries: Vec<Arc<Entry>>,
    has_base: Option<bool>,
) -> Result<Toolkit, Vec<String>> {
    let main = SourceFile { label: "toolkit".into(), text: String::new() };
    let mut problems = Vec::new();
    let provider = shell.provider.as_ref();
    let probes = load::probes(&main, &shell.file, provider, &mut problems);
    let made = load::parts(shell.file.clone(), provider, (entries, Vec::new()), probes)?;
    if let Some(has_base) = has_base {
        check::toolkit_templates(&main, &made, has_base, &mut problems);
    }
    if problems.is_empty() { Ok(made) } else { Err(problems.iter().map(|p| plain(p)).collect()) }
}

/// Every slug and alias.
fn names(tools: &[Value]) -> HashSet<&str> {
    let aliases = |tool: &'_ Value| tool["aliases"].as_array().map(Vec::len).unwrap_or(0);
    let mut names = HashSet::with_capacity(tools.iter().map(|tool| 1 + aliases(tool)).sum());
    for tool in tools {
        names.extend(tool["slug"].as_str());
        names.extend(tool["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str));
    }
    names
}

/// A problem without the place, which is always the same here.
fn plain(problem: &str) -> String {
    match problem.split_once(":1:1: ") {
        Some((_, rest)) => rest.to_owned(),
        None => problem.to_owned(),
    }
}

struct Made<'a> {
    shell: &'a Arc<Shell>,
    taken: HashSet<String>,
    entries: Vec<Arc<Entry>>,
    index: Vec<(Head, usize)>,
    bodies: Vec<u8>,
    bad: Vec<Bad>,
    has_base: bool,
}

impl<'a> Made<'a> {
    fn new(shell: &'a Arc<Shell>) -> Self {
        Self {
            shell,
            taken: HashSet::new(),
            entries: Vec::new(),
            index: Vec::new(),
            bodies: Vec::new(),
            bad: Vec::new(),
            has_base: false,
        }
    }

    fn add(&mut self, tool: &Value, known: &HashSet<&str>) -> Result<(), Vec<String>> {
        let mut tool = tool.clone();
        related(&mut tool, known);
        let text = serde_json::to_vec(&tool).map_err(|e| vec![e.to_string()])?;
        if text.len() > MOST_BYTES {
            return Err(vec![format!("its definition has more than {MOST_BYTES} bytes")]);
        }
        let def: model::Tool =
            serde_path_to_error::deserialize(&tool).map_err(|e| vec![e.to_string()])?;
        let name = format!("{}: ", def.slug);
        let source = SourceFile { label: "tool".into(), text: String::new() };
        let mut problems = Vec::new();
        check::tool(&source, &self.shell.file, &def, &mut problems);
        for text in &def.pitfalls {
            check_relations::texts(std::slice::from_ref(text), &mut |p| problems.push(p));
        }
        for slug in std::iter::once(&def.slug).chain(&def.aliases) {
            if self.taken.contains(slug) {
                problems.push(format!("`{slug}` is another tool's name"));
            }
        }
        let head = Head::of(&def);
        if problems.is_empty() {
            match load::tool(def, &self.shell.file, self.shell.provider.as_ref()) {
                Ok(tool) => {
                    check::templates(&source, &self.shell.file, &tool, &mut problems);
                    if let Err(problem) = tool.compile_validator() {
                        problems.push(problem);
                    }
                    self.has_base |= problems.is_empty() && check::has_open_base(&tool);
                }
                Err((_, found)) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            let bare = problems.iter().map(|p| plain(p));
            return Err(bare.map(|p| p.strip_prefix(&name).unwrap_or(&p).to_owned()).collect());
        }
        let body = pack(&text).map_err(|e| vec![e.to_string()])?;
        self.taken.extend(std::iter::once(&head.slug).chain(&head.aliases).cloned());
        self.bodies.extend_from_slice(&body);
        self.index.push((head.clone(), body.len()));
        self.entries.push(Arc::new(Entry::packed(head, body.into(), self.shell)));
        Ok(())
    }
}

/// Drops relations to tools that are not there: they may have been left out.
fn related(tool: &mut Value, known: &HashSet<&str>) {
    for key in ["before", "instead", "after"] {
        if let Some(list) = tool.get_mut(key).and_then(Value::as_array_mut) {
            list.retain(|slug| slug.as_str().is_some_and(|slug| known.contains(slug)));
            list.truncate(5);
        }
    }
}
