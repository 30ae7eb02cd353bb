//! A built-in toolkit with further tools: somebody wrote it by hand, a description has the rest.
//!
//! The built-in one says how to authenticate, and its tools and trigger types stay as they are. What is
//! stored is only what comes in addition, so a newer server's own tools are never hidden by it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::model::ToolkitFile;
use super::{Entry, Toolkit};

/// The built-in file with what the stored one adds: versions, and hosts that requests may go to.
pub(super) fn file(base: &ToolkitFile, stored: &Value) -> ToolkitFile {
    let mut file = base.clone();
    let texts = |key: &str| {
        let list = stored.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    file.versions.extend(texts("versions"));
    file.versions.sort_by(|a, b| b.cmp(a));
    file.versions.dedup();
    for host in texts("hosts") {
        if !file.hosts.contains(&host) {
            file.hosts.push(host);
        }
    }
    file
}

/// The tools of both. A tool of `more` whose name the built-in toolkit has already is left away and leaves
/// its further names to that one; how many there were comes second.
pub(super) fn entries(base: &Toolkit, more: Vec<Arc<Entry>>) -> (Vec<Arc<Entry>>, usize) {
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (i, tool) in base.tools.iter().enumerate() {
        for name in std::iter::once(&tool.def.slug).chain(&tool.def.aliases) {
            owners.insert(name, i);
        }
    }
    let mut named: HashMap<usize, Vec<String>> = HashMap::new();
    let (mut added, mut kept) = (Vec::with_capacity(more.len()), 0);
    for tool in more {
        let is_free = |alias: &&String| !owners.contains_key(alias.as_str());
        match owners.get(tool.slug()) {
            Some(owner) => {
                kept += 1;
                named
                    .entry(*owner)
                    .or_default()
                    .extend(tool.def.aliases.iter().filter(is_free).cloned());
            }
            None if tool.def.aliases.iter().all(|alias| is_free(&alias)) => added.push(tool),
            None => {
                let free = tool.def.aliases.iter().filter(is_free).cloned().collect();
                added.push(Arc::new(tool.with_aliases(free)));
            }
        }
    }
    let mut all = Vec::with_capacity(base.tools.len() + added.len());
    for (i, tool) in base.tools.iter().enumerate() {
        all.push(match named.remove(&i) {
            Some(more) if !more.is_empty() => {
                let aliases = tool.def.aliases.iter().cloned().chain(more).collect();
                Arc::new(tool.with_aliases(aliases))
            }
            _ => tool.clone(),
        });
    }
    all.extend(added);
    (all, kept)
}
