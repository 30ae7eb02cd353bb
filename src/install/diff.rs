//! What a new version changes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Most names in each list.
const MOST: usize = 500;

/// What is different between two versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Diff {
    /// Tools that are new.
    pub added: Vec<String>,
    /// Tools that are gone.
    pub removed: Vec<String>,
    /// Tools that are different.
    pub changed: Vec<ChangedTool>,
    /// Tools that have another name now; the old one means them too.
    pub renamed: Vec<RenamedTool>,
    /// How many tools are as they were.
    pub unchanged: usize,
    /// How many there are of each kind; the lists are cut off.
    pub counts: Counts,
}

/// How many tools are different.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// New ones.
    pub added: usize,
    /// Those that are gone.
    pub removed: usize,
    /// Different ones.
    pub changed: usize,
    /// Those with another name.
    pub renamed: usize,
}

/// A tool that has another name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RenamedTool {
    /// What it was called.
    pub from: String,
    /// What it is called.
    pub to: String,
}

/// A tool that is different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChangedTool {
    /// Its slug.
    pub slug: String,
    /// Arguments that are new.
    pub added_params: Vec<String>,
    /// Arguments that are gone.
    pub removed_params: Vec<String>,
    /// Arguments that are different.
    pub changed_params: Vec<String>,
}

/// Most names of each kind in a changelog.
const MOST_NAMED: usize = 20;

impl Diff {
    /// For people: what a version changes against `before`, the one before it.
    pub fn in_words(&self, before: Option<&str>) -> String {
        if before.is_none() {
            return format!("The first version, with {} tools.", self.counts.added);
        }
        let counts = self.counts;
        let changed = self.changed.iter().map(|tool| tool.slug.clone()).collect();
        let renamed = self.renamed.iter().map(|tool| format!("{} to {}", tool.from, tool.to));
        let parts = [
            ("Added", self.added.clone(), counts.added),
            ("Removed", self.removed.clone(), counts.removed),
            ("Renamed", renamed.collect(), counts.renamed),
            ("Changed", changed, counts.changed),
        ];
        let words = parts.into_iter().filter(|(_, _, count)| *count > 0);
        let words = words.map(|(what, names, count): (_, Vec<String>, usize)| {
            let named = names.len().min(MOST_NAMED);
            let more = match count - named {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{what}: {}{more}.", names[..named].join(", "))
        });
        let words: Vec<String> = words.collect();
        if words.is_empty() { "The tools are the same.".to_owned() } else { words.join(" ") }
    }
}

/// Compares the tools of two versions.
pub fn diff(before: &[Value], after: &[Value]) -> Diff {
    let by_slug = |tools: &'_ [Value]| -> BTreeMap<String, Value> {
        let slug = |tool: &Value| tool["slug"].as_str().unwrap_or_default().to_owned();
        tools.iter().map(|tool| (slug(tool), tool.clone())).collect()
    };
    let (before, after) = (by_slug(before), by_slug(after));
    let mut means: BTreeMap<&str, &str> = BTreeMap::new();
    for (slug, tool) in &after {
        let aliases = tool["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
        means.extend(aliases.map(|alias| (alias, slug.as_str())));
    }
    let mut diff = Diff::default();
    let mut was: BTreeMap<&str, &str> = BTreeMap::new();
    for slug in before.keys().filter(|slug| !after.contains_key(*slug)) {
        match means.get(slug.as_str()) {
            Some(to) => {
                was.entry(*to).or_insert(slug);
                diff.renamed.push(RenamedTool { from: slug.clone(), to: (*to).to_owned() });
            }
            None => diff.removed.push(slug.clone()),
        }
    }
    for (slug, tool) in &after {
        let old = was.get(slug.as_str()).and_then(|old| before.get(*old));
        match (before.get(slug), old) {
            (None, None) => diff.added.push(slug.clone()),
            (Some(old), _) if old == tool => diff.unchanged += 1,
            (Some(old), _) => diff.changed.push(changed(slug, old, tool)),
            (None, Some(old)) if is_but_for_names(old, tool) => {}
            (None, Some(old)) => diff.changed.push(changed(slug, old, tool)),
        }
    }
    diff.counts = Counts {
        added: diff.added.len(),
        removed: diff.removed.len(),
        changed: diff.changed.len(),
        renamed: diff.renamed.len(),
    };
    diff.added.truncate(MOST);
    diff.removed.truncate(MOST);
    diff.changed.truncate(MOST);
    diff.renamed.truncate(MOST);
    diff
}

/// Whether a tool is another one but for what it is called.
fn is_but_for_names(before: &Value, after: &Value) -> bool {
    let without = |tool: &Value| {
        let mut fields = tool.as_object().cloned().unwrap_or_default();
        ["slug", "aliases", "name"].into_iter().for_each(|key| drop(fields.shift_remove(key)));
        fields
    };
    without(before) == without(after)
}

fn changed(slug: &str, before: &Value, after: &Value) -> ChangedTool {
    let none = Map::new();
    let params = |tool: &'_ Value| tool["params"].as_object().cloned().unwrap_or(none.clone());
    let (old, new) = (params(before), params(after));
    let names = |list: Vec<&String>| list.into_iter().cloned().collect();
    ChangedTool {
        slug: slug.to_owned(),
        added_params: names(new.keys().filter(|name| !old.contains_key(*name)).collect()),
        removed_params: names(old.keys().filter(|name| !new.contains_key(*name)).collect()),
        changed_params: names(
            new.iter()
                .filter(|(name, param)| old.get(*name).is_some_and(|old| old != *param))
                .map(|(name, _)| name)
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_new_gone_and_different_is_told() {
        let tool = |slug: &str, params: Value| json!({"slug": slug, "params": params});
        let before = [tool("A", json!({"x": {"type": "string"}, "y": {}})), tool("B", json!({}))];
        let after = [tool("A", json!({"x": {"type": "integer"}, "z": {}})), tool("C", json!({}))];
        let found = diff(&before, &after);
        let words = found.in_words(Some("20260101_00"));
        assert_eq!(words, "Added: C. Removed: B. Changed: A.");
        assert_eq!((found.added, found.removed), (vec!["C".to_owned()], vec!["B".to_owned()]));
        let [changed] = found.changed.as_slice() else { panic!("{:?}", found.changed) };
        assert_eq!(changed.added_params, ["z"]);
        assert_eq!(changed.removed_params, ["y"]);
        assert_eq!(changed.changed_params, ["x"]);
        let renamed = [
            json!({"slug": "A2", "aliases": ["A"], "params": before[0]["params"]}),
            json!({"slug": "B2", "aliases": ["B"], "params": {"n": {}}}),
        ];
        let found = diff(&before, &renamed);
        assert_eq!(found.in_words(Some("v")), "Renamed: A to A2, B to B2. Changed: B2.");
        assert!(found.added.is_empty() && found.removed.is_empty(), "{found:?}");
        let same = diff(&before, &before);
        assert_eq!((same.unchanged, same.counts), (2, Counts::default()));
        assert_eq!(same.in_words(Some("20260101_00")), "The tools are the same.");
        assert_eq!(diff(&[], &before).in_words(None), "The first version, with 2 tools.");
    }
}
