//! How an API of Google's is connected.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::method::Method;

/// Scopes that are asked for when nobody says otherwise.
const MOST_SCOPES: usize = 12;

/// Scopes of a method, any of which suffices.
fn scopes_of<'a>(method: &Method<'a>) -> impl Iterator<Item = &'a str> {
    let list = method.value.get("scopes").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// The schemes of a document.
pub(super) fn schemes(document: &Value, methods: &[Method<'_>]) -> Vec<Value> {
    let declared = document.pointer("/auth/oauth2/scopes").and_then(Value::as_object);
    let available: Vec<&str> = declared
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .filter(|scope| is_scope(scope))
        .collect();
    let mut schemes = Vec::new();
    if !available.is_empty() {
        schemes.push(json!({
            "scheme": "OAUTH2",
            "oauth2": {
                "authorize": {
                    "url": "https://accounts.google.com/o/oauth2/v2/auth",
                    "params": {"access_type": "offline", "prompt": "consent"},
                },
                "token": {"url": "https://oauth2.googleapis.com/token"},
                "revoke_url": "https://oauth2.googleapis.com/revoke",
                "response": {"expires_default_s": 3600},
                "scopes": enough(&available, methods),
                "available_scopes": available,
            },
        }));
        schemes.push(json!({"scheme": "BEARER_TOKEN"}));
    }
    let has_key = document.pointer("/parameters/key").is_some();
    if has_key || schemes.is_empty() {
        schemes.push(json!({
            "scheme": "API_KEY", "inject": {"headers": {"X-Goog-Api-Key": "{{ cred.api_key }}"}},
        }));
    }
    schemes
}

/// Whether a text can stand in a list of scopes that is joined by blanks.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.len() <= 300 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
}

/// Few scopes with which every method can be called: each time the one that most of the remaining
/// ones can be called with.
fn enough<'a>(available: &[&'a str], methods: &[Method<'_>]) -> Vec<&'a str> {
    let mut open: Vec<HashSet<&str>> = methods
        .iter()
        .map(|m| scopes_of(m).collect())
        .filter(|s: &HashSet<&str>| !s.is_empty())
        .collect();
    let mut chosen = Vec::new();
    while !open.is_empty() && chosen.len() < MOST_SCOPES {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for (i, scope) in available.iter().enumerate() {
            // All of the cloud is more than one API needs.
            let broad = scope.ends_with("/auth/cloud-platform") && available.len() > 2;
            let count = open.iter().filter(|scopes| scopes.contains(scope)).count();
            counts.insert(i, if broad { count.min(1) } else { count });
        }
        let best = counts.into_iter().max_by_key(|(i, count)| (*count, usize::MAX - i));
        let Some((best, _)) = best.filter(|(_, count)| *count > 0) else { break };
        chosen.push(available[best]);
        open.retain(|scopes| !scopes.contains(available[best]));
    }
    chosen
}

/// Leaves out scopes of tools that the document does not declare.
pub(super) fn keep_known(tools: &mut [Value], schemes: &[Value]) {
    let known: HashSet<&str> = schemes
        .iter()
        .filter_map(|scheme| scheme.pointer("/oauth2/available_scopes")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for tool in tools {
        if let Some(Value::Array(sets)) = tool.get_mut("scopes") {
            sets.retain(|set| set[0].as_str().is_some_and(|scope| known.contains(scope)));
        }
    }
}

/// The scopes of a method as a definition has them.
pub(super) fn of_method(method: &Method<'_>) -> Vec<Value> {
    let mut seen = HashSet::new();
    scopes_of(method).filter(|scope| seen.insert(*scope)).map(|scope| json!([scope])).collect()
}
