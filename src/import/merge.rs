//! Imported tools beside those that somebody wrote.
//!
//! A toolkit written by hand knows how to authenticate, and has the tools that agents need most; a
//! description knows every operation. Where both have a tool, the one written by hand stays.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::{Definition, Report};

fn texts<'a>(tool: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    tool.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn text<'a>(tool: &'a Value, key: &str) -> &'a str {
    tool.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn add_alias(tool: &mut Value, name: &str) {
    if text(tool, "slug") == name || texts(tool, "aliases").any(|known| known == name) {
        return;
    }
    match tool.get_mut("aliases").and_then(Value::as_array_mut) {
        Some(aliases) => aliases.push(name.into()),
        None => tool["aliases"] = json!([name]),
    }
}

/// Gives tools the further names that they are known by: `aliases` says which operation (`GET /things`) a
/// name means. A name that a tool has already keeps its meaning.
pub fn named(definition: &mut Definition, aliases: &BTreeMap<String, String>, report: &mut Report) {
    let of_origin: HashMap<String, usize> = definition
        .tools
        .iter()
        .enumerate()
        .map(|(i, tool)| (text(tool, "origin").to_owned(), i))
        .collect();
    for (name, origin) in aliases {
        if definition.tools.iter().any(|tool| text(tool, "slug") == name) {
            continue;
        }
        match of_origin.get(origin) {
            Some(i) => add_alias(&mut definition.tools[*i], name),
            None => report.left_out("", name.as_str(), format!("there is no operation {origin}")),
        }
    }
}

/// Most names that one tool keeps of versions before.
const MOST_KEPT: usize = 50;

/// What a tool calls: the operation of the description, or the request.
fn operation(tool: &Value) -> Option<String> {
    let origin = text(tool, "origin");
    if !origin.is_empty() {
        return Some(origin.to_owned());
    }
    let request = tool.get("request")?;
    let (method, path) = (text(request, "method"), text(request, "path"));
    (!path.is_empty()).then(|| format!("{method} {path}"))
}

/// The tools by what they call, where no two call the same.
fn by_operation(tools: &[Value]) -> HashMap<String, usize> {
    let mut found: HashMap<String, Option<usize>> = HashMap::new();
    for (i, tool) in tools.iter().enumerate() {
        if let Some(operation) = operation(tool) {
            found.entry(operation).and_modify(|other| *other = None).or_insert(Some(i));
        }
    }
    found.into_iter().filter_map(|(operation, i)| i.map(|i| (operation, i))).collect()
}

/// Keeps the names that tools had in the version before: a tool that calls the same operation as one of
/// `before` is known by that one's names too, unless they mean another tool now.
pub fn remembered(definition: &mut Definition, before: &[Value]) {
    let tools = &mut definition.tools;
    let mut taken: HashSet<String> = HashSet::new();
    for tool in tools.iter() {
        taken.insert(text(tool, "slug").to_owned());
        taken.extend(texts(tool, "aliases").map(str::to_owned));
    }
    let (now, then) = (by_operation(tools), by_operation(before));
    for (place, old) in before.iter().enumerate() {
        let Some(operation) = operation(old) else { continue };
        let Some(i) = now.get(&operation).filter(|_| then.get(&operation) == Some(&place)) else {
            continue;
        };
        for name in std::iter::once(text(old, "slug")).chain(texts(old, "aliases")) {
            let room = texts(&tools[*i], "aliases").count() < MOST_KEPT;
            if room && !name.is_empty() && taken.insert(name.to_owned()) {
                add_alias(&mut tools[*i], name);
            }
        }
    }
}

/// Makes the tools fit a toolkit whose requests have another root: each says its own, and its host is one of
/// those that requests may go to. `known` are the fields that the toolkit's connections have: a root that ends
/// in others (`https://{{ conn.host }}`) is what the toolkit's own stands for.
pub fn rooted(definition: &mut Definition, base: &str, known: &BTreeSet<String>) {
    let root = text(&definition.toolkit, "base_url").trim_end_matches('/').to_owned();
    if root.is_empty() || root == base.trim_end_matches('/') {
        return;
    }
    let is_strange = fields(&root).any(|field| !known.contains(field));
    let behind = root.rsplit("}}").next().unwrap_or_default();
    if is_strange && !behind.contains('/') {
        return;
    }
    for tool in &mut definition.tools {
        if let Some(request) = tool.get_mut("request").and_then(Value::as_object_mut) {
            request.entry("base_url").or_insert_with(|| root.clone().into());
        }
    }
    let Some(host) = host_of(&root).map(Value::from) else { return };
    match definition.toolkit.get_mut("hosts").and_then(Value::as_array_mut) {
        Some(hosts) if hosts.contains(&host) => {}
        Some(hosts) => hosts.push(host),
        None => definition.toolkit["hosts"] = json!([host]),
    }
}

/// Fields of the connection in a template.
fn fields(template: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    template.split("conn.").skip(1).map(move |rest| {
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        &rest[..end]
    })
}

/// The host of a root without templates.
fn host_of(root: &str) -> Option<String> {
    if root.contains("{{") {
        return None;
    }
    url::Url::parse(root).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(root: &str, tools: Value) -> Definition {
        let Value::Array(tools) = tools else { panic!() };
        Definition { toolkit: json!({"slug": "shop", "base_url": root, "versions": ["v"]}), tools }
    }

    #[test]
    fn names_go_to_the_operations_that_they_mean() {
        let mut imported = definition(
            "https://api.shop.example/",
            json!([
                {"slug": "SHOP_LIST", "origin": "GET /things", "request": {"path": "/things"}},
                {"slug": "SHOP_GET", "origin": "GET /things/{id}", "request": {"path": "/things/{id}"}},
            ]),
        );
        let mut report = Report::default();
        let aliases = BTreeMap::from([
            ("SHOP_GET".to_owned(), "GET /things".to_owned()),
            ("SHOP_THINGS".to_owned(), "GET /things".to_owned()),
            ("SHOP_GONE".to_owned(), "GET /gone".to_owned()),
        ]);
        named(&mut imported, &aliases, &mut report);
        assert_eq!(report.left_out[0].what, "SHOP_GONE");
        assert_eq!(imported.tools[0]["aliases"], json!(["SHOP_THINGS"]));
        assert_eq!(imported.tools[1].get("aliases"), None);
    }

    #[test]
    fn a_tool_keeps_the_names_that_its_operation_had() {
        let before = json!([
            {"slug": "SHOP_OLD", "aliases": ["SHOP_OLDER", "SHOP_TAKEN"], "origin": "GET /a"},
            {"slug": "SHOP_SAME", "origin": "GET /b"},
            {"slug": "SHOP_TWICE", "request": {"method": "POST", "path": "/x"}},
            {"slug": "SHOP_TWICE_2", "request": {"method": "POST", "path": "/x"}},
            {"slug": "SHOP_GONE", "origin": "GET /gone"},
        ]);
        let mut imported = definition(
            "https://api.shop.example/",
            json!([
                {"slug": "SHOP_NEW", "origin": "GET /a"},
                {"slug": "SHOP_SAME", "origin": "GET /b"},
                {"slug": "SHOP_TAKEN", "request": {"method": "POST", "path": "/x"}},
            ]),
        );
        remembered(&mut imported, before.as_array().unwrap());
        assert_eq!(imported.tools[0]["aliases"], json!(["SHOP_OLD", "SHOP_OLDER"]));
        assert!(imported.tools[1..].iter().all(|tool| tool.get("aliases").is_none()));
        // The version after that is the same.
        let once = imported.clone();
        imported.tools[0]["aliases"] = json!([]);
        remembered(&mut imported, &once.tools);
        assert_eq!(imported.tools[0], once.tools[0]);
    }

    #[test]
    fn another_root_is_said_at_each_request_and_its_host_allowed() {
        let tools = json!([{"slug": "SHOP_GET", "request": {"path": "/x"}}]);
        let mut imported = definition("https://v2.shop.example/rest", tools.clone());
        rooted(&mut imported, "https://v2.shop.example/rest/", &BTreeSet::new());
        assert_eq!(imported.tools[0]["request"].get("base_url"), None);
        rooted(&mut imported, "https://api.shop.example", &BTreeSet::new());
        assert_eq!(imported.tools[0]["request"]["base_url"], "https://v2.shop.example/rest");
        assert_eq!(imported.toolkit["hosts"], json!(["v2.shop.example"]));
    }

    #[test]
    fn a_root_that_the_toolkit_knows_better_is_its_own() {
        let root = |root: &str| {
            let tools = json!([{"slug": "SHOP_GET", "request": {"path": "/x"}}]);
            let mut imported = definition(root, tools);
            let known = BTreeSet::from(["shop".to_owned()]);
            rooted(&mut imported, "https://{{ conn.shop }}.shop.example", &known);
            imported.tools[0]["request"].get("base_url").cloned()
        };
        assert_eq!(root("https://{{ conn.host }}"), None);
        assert_eq!(root("https://{{ conn.host }}.shop.example"), None);
        // What the toolkit's own root has of this path is not known.
        assert!(root("https://{{ conn.host }}/v2").is_some());
        let other = "https://{{ conn.shop }}.other.example";
        assert_eq!(root(other), Some(other.into()));
    }
}
