//! One operation of the description as one tool.

use serde_json::{Map, Value, json};

use super::params::Arguments;
use super::servers::Servers;
use super::{Api, Operation, answer, body, names, params, said, sparse};
use crate::import::text;

/// What every operation of a description has in common.
pub(super) struct Common {
    /// Names of header and query parameters that carry credentials: `(in, name)` in lower case.
    pub credentials: Vec<(String, String)>,
    /// Names of the description's OAuth 2.0 schemes.
    pub oauth: Vec<String>,
    pub servers: Servers,
    /// Slug of the toolkit.
    pub toolkit: String,
}

/// A tool, but for its slug and aliases.
pub(super) fn tool<'a>(
    api: &Api<'a>,
    operation: &Operation<'a>,
    common: &Common,
) -> Result<Map<String, Value>, String> {
    let (path, query) = path(operation.path)?;
    let mut arguments = Arguments::default();
    params::add(api, operation, common, &path, &query, &mut arguments);
    params::missing(api, operation, &path, &mut arguments);
    let sent = body::add(api, operation, &mut arguments);
    let params = arguments.finished(api);
    let mut fixed = Map::new();
    for (name, value) in query.into_iter().filter(|(_, value)| !value.contains('{')) {
        fixed.insert(name, value.into());
    }
    let method = operation.method.to_uppercase();
    let request = sparse(json!({
        "method": method,
        "path": path,
        "base_url": common.servers.of_operation(api, operation),
        "headers": params.headers,
        "query": fixed,
        "body": sent.kind,
        "content_type": sent.content_type,
    }));
    let scopes: Vec<Vec<String>> = scopes(api, operation, &common.oauth);
    let deprecated = operation.value.get("deprecated") == Some(&Value::Bool(true));
    let tool = sparse(json!({
        "slug": "",
        "aliases": [],
        "origin": origin(operation),
        "name": names::title(operation),
        "description": names::description(operation),
        "tags": tags(operation),
        "scopes": scopes,
        "deprecated": if deprecated { "The provider has declared it obsolete." } else { "" },
        "params": params.list,
        "request": request,
        "response": answer::rule(api, operation),
    }));
    let Value::Object(mut tool) = tool else { return Err("no tool".to_owned()) };
    tool.insert("hints".to_owned(), hints(operation, &common.toolkit));
    Ok(tool)
}

/// `GET /things`
pub(super) fn origin(operation: &Operation<'_>) -> String {
    let path: String = operation.path.chars().filter(|c| !c.is_control()).take(500).collect();
    format!("{} {path}", operation.method.to_uppercase())
}

/// The path as the toolkit format has it, and what of it is a query.
fn path(source: &str) -> Result<(String, Vec<(String, String)>), String> {
    let source = source.split('#').next().unwrap_or_default();
    let (source, query) = source.split_once('?').unwrap_or((source, ""));
    let mut path = String::new();
    if !source.starts_with('/') {
        path.push('/');
    }
    let mut rest = source;
    loop {
        let (literal, tail) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        for c in literal.chars() {
            if c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(c) {
                path.push(c);
            } else {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    path.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        if tail.is_empty() {
            break;
        }
        let close = tail.find('}').ok_or("a `{` of the path has no `}`")?;
        let name = tail[1..close].trim();
        let slashes = name.starts_with('+') || name.ends_with(['+', '*']);
        let name = name.trim_start_matches('+').trim_end_matches(['+', '*']);
        if name.is_empty() || name.contains('{') {
            return Err("a placeholder of the path has no name".to_owned());
        }
        path.push_str(&format!("{{{name}{}}}", if slashes { "*" } else { "" }));
        rest = &tail[close + 1..];
    }
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    });
    // `{?a,b}` says nothing that the parameters do not.
    Ok((path, query.filter(|(name, _)| !name.contains('{')).collect()))
}

/// Sets of scopes that its security requirements name.
fn scopes(api: &Api<'_>, operation: &Operation<'_>, oauth: &[String]) -> Vec<Vec<String>> {
    let security = operation.value.get("security").or_else(|| api.root.get("security"));
    let mut sets: Vec<Vec<String>> = Vec::new();
    for requirement in security.and_then(Value::as_array).into_iter().flatten() {
        let Some(requirement) = requirement.as_object() else { continue };
        for (_, scopes) in requirement.iter().filter(|(name, _)| oauth.contains(name)) {
            let scopes = scopes.as_array().into_iter().flatten().filter_map(Value::as_str);
            let set: Vec<String> = scopes.filter(|s| is_scope(s)).map(str::to_owned).collect();
            if !set.is_empty() && !sets.contains(&set) && sets.len() < 20 {
                sets.push(set);
            }
        }
    }
    sets
}

/// What OAuth 2.0 takes as a scope.
pub(super) fn is_scope(text: &str) -> bool {
    let good = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    !text.is_empty() && text.len() <= 300 && text.chars().all(good)
}

fn tags(operation: &Operation<'_>) -> Vec<String> {
    let tags = operation.value.get("tags").and_then(Value::as_array);
    let tags = tags.into_iter().flatten().filter_map(Value::as_str);
    let mut out: Vec<String> = Vec::new();
    for tag in tags.map(|tag| text::clean(tag, 60)) {
        let reserved = tag.eq_ignore_ascii_case("important") || tag.ends_with("Hint");
        if !tag.is_empty() && !reserved && !out.contains(&tag) && out.len() < 5 {
            out.push(tag);
        }
    }
    out
}

fn hints(operation: &Operation<'_>, toolkit: &str) -> Value {
    let name = names::base(toolkit, operation);
    let starts = |words: &[&str]| {
        let first = name.split('_').next().unwrap_or_default();
        words.contains(&first)
    };
    match operation.method {
        "get" | "head" | "options" => json!({"read_only": true, "idempotent": true}),
        "delete" => json!({"destructive": true, "idempotent": true}),
        "put" => json!({"idempotent": true, "update": true}),
        "patch" => json!({"update": true}),
        _ if starts(&["DELETE", "REMOVE", "REVOKE", "DESTROY", "PURGE"]) => {
            json!({"destructive": true})
        }
        _ if starts(&["SEARCH", "QUERY", "LIST", "FIND", "COUNT"]) => json!({"read_only": true}),
        _ if starts(&["CREATE", "ADD", "INSERT", "NEW"]) => json!({"create": true}),
        _ if starts(&["UPDATE", "EDIT", "MODIFY", "SET"]) => json!({"update": true}),
        _ => json!({}),
    }
}

/// Whether it says that it should not be used any more.
pub(super) fn is_obsolete(operation: &Operation<'_>) -> bool {
    operation.value.get("deprecated") == Some(&Value::Bool(true))
        || said(operation.value, "summary").is_some_and(|s| s.to_lowercase().contains("deprecated"))
}
