//! What a new version changes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Most names in each list; counts are exact.
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
    /// How many tools are as they were.
    pub unchanged: usize,
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

/// Compares the tools of two versions.
pub fn diff(before: &[Value], after: &[Value]) -> Diff {
    let by_slug = |tools: &'_ [Value]| -> BTreeMap<String, Value> {
        let slug = |tool: &Value| tool["slug"].as_str().unwrap_or_default().to_owned();
        tools.iter().map(|tool| (slug(tool), tool.clone())).collect()
    };
    let (before, after) = (by_slug(before), by_slug(after));
    let mut diff = Diff::default();
    for (slug, tool) in &after {
        match before.get(slug) {
            None => diff.added.push(slug.clone()),
            Some(old) if old == tool => diff.unchanged += 1,
            Some(old) => diff.changed.push(changed(slug, old, tool)),
        }
    }
    diff.removed = before.into_keys().filter(|slug| !after.contains_key(slug)).collect();
    diff.added.truncate(MOST);
    diff.removed.truncate(MOST);
    diff.changed.truncate(MOST);
    diff
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
        assert_eq!((found.added, found.removed), (vec!["C".to_owned()], vec!["B".to_owned()]));
        let [changed] = found.changed.as_slice() else { panic!("{:?}", found.changed) };
        assert_eq!(changed.added_params, ["z"]);
        assert_eq!(changed.removed_params, ["y"]);
        assert_eq!(changed.changed_params, ["x"]);
        assert_eq!(diff(&before, &before).unchanged, 2);
    }
}
