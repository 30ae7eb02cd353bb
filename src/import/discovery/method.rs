//! A method and its arguments.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::media::{self, Upload};
use super::{Api, auth, names};
use crate::import::schema::Use;
use crate::import::slug::{self, Slugs};
use crate::import::{Report, text};

/// Parameters that change how and not what is answered; `fields` is kept.
const STANDARD: [&str; 12] = [
    "$.xgafv",
    "access_token",
    "alt",
    "callback",
    "key",
    "oauth_token",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "userIp",
    "bearer_token",
];
/// Bytes of the arguments that a body has.
const MOST_BODY: usize = 60_000;
/// Bytes of the schema of an answer.
const MOST_ANSWER: usize = 12_000;

/// A method where it is in the document.
pub(super) struct Method<'a> {
    pub at: String,
    pub id: String,
    pub name: &'a str,
    pub resources: Vec<&'a str>,
    pub value: &'a Value,
}

/// An argument.
pub(super) struct Argument {
    pub name: String,
    pub wire: String,
    pub place: &'static str,
    pub fields: Map<String, Value>,
}

/// The parts of a request.
pub(super) struct Parts {
    pub method: &'static str,
    pub path: String,
    pub arguments: Vec<Argument>,
}

/// The tools for a method: one, and where it can be downloaded one that does.
pub(super) fn tools<'a>(
    api: &Api<'a>,
    method: &Method<'a>,
    slugs: &mut Slugs,
    report: &mut Report,
) -> Result<Vec<Value>, String> {
    let text_of = |key: &str| method.value.get(key).and_then(Value::as_str);
    let verb = match text_of("httpMethod").unwrap_or_default() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        other => {
            let shown: String = other.chars().take(20).collect();
            return Err(format!("its HTTP method is {shown:?}"));
        }
    };
    let written = text_of("path").or(text_of("flatPath")).ok_or("it has no path")?;
    let path = path(api, written)?;
    let mut parts = Parts { method: verb, path, arguments: Vec::new() };
    parameters(api, method, &mut parts);
    body(api, method, &mut parts, report);
    if api.has_fields {
        parts.arguments.push(Argument {
            name: "fields".to_owned(),
            wire: "fields".to_owned(),
            place: "query",
            fields: Map::from_iter([
                ("type".to_owned(), "string".into()),
                (
                    "description".to_owned(),
                    "Which fields the answer has, such as items(id,name),nextPageToken; all of the \
                     usual ones without it."
                        .into(),
                ),
            ]),
        });
    }
    let names = names::of(api.name, &method.id);
    let origin = format!("{verb} {written}");
    let (slug, is_plain) = slugs.take(&names.plain, &names.others, &origin);
    if !is_plain {
        report.renamed(&method.at, &names.plain, &slug, "the name was taken, or is too long");
    }
    let answer = answer(api, method);
    let downloads = is(method.value, "supportsMediaDownload");
    let only_media = downloads && method.value.get("response").is_none();
    let about = text::clean(text_of("description").unwrap_or_default(), text::TOOL);
    let readable = slug::title(&names.plain.to_lowercase());
    let mut tool = json!({
        "slug": slug,
        "name": readable,
        "description": if about.is_empty() { format!("{readable}.") } else { about.clone() },
        "tags": method.resources.last().map(|name| text::clean(name, 40)).into_iter().collect::<Vec<_>>(),
        "hints": hints(verb, method.name),
        "origin": text::clean(&origin, text::ARGUMENT),
        "aliases": names.aliases,
        "scopes": auth::of_method(method),
    });
    if is(method.value, "deprecated") {
        tool["deprecated"] = "Google has deprecated this method.".into();
    }
    let mut made = Vec::new();
    if downloads && !only_media {
        made.push(media::download(&tool, &parts, &names, slugs, &origin));
    }
    match Upload::of(api, method) {
        Some(upload) => media::upload(&mut tool, &parts, &upload, answer, &method.at, report),
        None => {
            tool["params"] = placed(&parts.arguments).into();
            tool["request"] = json!({"method": verb, "path": parts.path});
            tool["response"] = if only_media {
                tool["request"]["query"] = json!({"alt": "media"});
                json!({"file": true})
            } else {
                answer
            };
        }
    }
    made.insert(0, tool);
    Ok(made)
}

pub(super) fn is(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// `v1/{+name}:cancel` as `/v1/{name*}:cancel`, below the service's path.
pub(super) fn path(api: &Api<'_>, written: &str) -> Result<String, String> {
    // An absolute one is below the root, as uploads are.
    let whole = match written.strip_prefix('/') {
        Some(_) => written.to_owned(),
        None => format!("{}{written}", api.service_path),
    };
    let mut out = String::new();
    let literal = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/%".contains(c);
        match text.chars().find(|c| !plain(*c)) {
            Some(bad) => Err(format!("its path has {bad:?} in it")),
            None => Ok(()),
        }
    };
    let mut rest = whole.as_str();
    while let Some((before, tail)) = rest.split_once('{') {
        let (inner, after) = tail.split_once('}').ok_or("a brace of its path is not closed")?;
        let (name, many) = match inner.strip_prefix('+') {
            Some(name) => (name, "*"),
            None => (inner, ""),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(plain) || before.contains('}') {
            return Err(format!("its path has the placeholder {{{}}}", text::clean(inner, 40)));
        }
        literal(before)?;
        out.push_str(before);
        out.push_str(&format!("{{{name}{many}}}"));
        rest = after;
    }
    if rest.contains('}') {
        return Err("a brace of its path is not opened".to_owned());
    }
    literal(rest)?;
    out.push_str(rest);
    Ok(out)
}

fn parameters(api: &Api<'_>, method: &Method<'_>, parts: &mut Parts) {
    let declared = method.value.get("parameters").and_then(Value::as_object);
    let mut names: HashSet<String> = HashSet::new();
    for (wire, value) in declared.into_iter().flatten() {
        let standard = STANDARD.contains(&wire.as_str()) || (wire == "fields" && api.has_fields);
        let in_path = value.get("location").and_then(Value::as_str) == Some("path");
        if standard && !in_path {
            continue;
        }
        let stands = parts.path.contains(&format!("{{{wire}}}"))
            || parts.path.contains(&format!("{{{wire}*}}"));
        let place = if stands { "path" } else { "query" };
        if in_path && !stands {
            continue;
        }
        let name = free(&plain(wire), &mut names);
        let mut fields = parameter(wire, value);
        if place == "path" || is(value, "required") {
            fields.insert("required".to_owned(), true.into());
        }
        parts.arguments.push(Argument { name, wire: wire.clone(), place, fields });
    }
    // A placeholder that nobody declared is an argument all the same.
    let path = parts.path.clone();
    for inner in path.split('{').skip(1).filter_map(|tail| tail.split('}').next()) {
        let wire = inner.trim_end_matches('*');
        if !parts.arguments.iter().any(|a| a.place == "path" && a.wire == wire) {
            let mut fields = parameter(wire, &Value::Null);
            fields.insert("required".to_owned(), true.into());
            let name = free(&plain(wire), &mut names);
            parts.arguments.push(Argument { name, wire: wire.to_owned(), place: "path", fields });
        }
    }
}

/// A parameter's schema, in the old words of discovery documents.
fn parameter(name: &str, value: &Value) -> Map<String, Value> {
    let text_of = |key: &str| value.get(key).and_then(Value::as_str);
    let number = matches!(text_of("format"), Some("int64" | "uint64"));
    let mut one = match text_of("type") {
        Some("integer") => json!({"type": "integer"}),
        Some("number") => json!({"type": "number"}),
        Some("boolean") => json!({"type": "boolean"}),
        _ if number => json!({"type": "string", "also": ["integer"]}),
        _ => json!({"type": "string"}),
    };
    if let Some(choices) = value.get("enum").and_then(Value::as_array)
        && one["type"] == "string"
    {
        let mut seen = HashSet::new();
        let choices: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        let choices: Vec<&str> = choices.into_iter().filter(|c| seen.insert(*c)).collect();
        if !choices.is_empty() && choices.len() <= 500 {
            one["enum"] = json!(choices);
        }
    }
    let mut about = text_of("description").unwrap_or_default().trim().to_owned();
    if about.is_empty() {
        about = format!("{}.", slug::title(&slug::words(name)));
    }
    if is(value, "deprecated") && !about.to_lowercase().contains("deprecated") {
        about = format!("Deprecated. {about}");
    }
    if let Some(default) = text_of("default")
        && !about.to_lowercase().contains("default")
    {
        about = format!("{about} Default: {default}.");
    }
    let many = is(value, "repeated");
    let mut out = if many { json!({"type": "array", "items": one}) } else { one };
    out["description"] = text::clean(&about, text::ARGUMENT).into();
    match out {
        Value::Object(out) => out,
        _ => Map::new(),
    }
}

/// The properties of the body as arguments.
fn body<'a>(api: &Api<'a>, method: &Method<'a>, parts: &mut Parts, report: &mut Report) {
    let Some(request) = method.value.get("request") else { return };
    let at = format!("{}/request", method.at);
    let converted = api.converter.convert_within(request, &at, Use::Input, MOST_BODY);
    for (at, what) in &converted.repairs {
        report.repaired(at, what.clone());
    }
    let mut names: HashSet<String> = parts.arguments.iter().map(|a| a.name.clone()).collect();
    let mut schema = converted.schema;
    let whole = schema.contains_key("also") || converted.alternatives;
    let properties = match schema.get_mut("properties").map(Value::take) {
        Some(Value::Object(properties)) if !properties.is_empty() && !whole => properties,
        other => {
            if let Some(properties) = other {
                schema.insert("properties".to_owned(), properties);
            }
            schema.entry("description").or_insert_with(|| "The body of the request.".into());
            schema.insert("at".to_owned(), "".into());
            let name = free("body", &mut names);
            parts.arguments.push(Argument {
                name,
                wire: "body".into(),
                place: "body",
                fields: schema,
            });
            return;
        }
    };
    let required = needed(api, method, request);
    for (wire, value) in properties {
        let Value::Object(mut fields) = value else { continue };
        if required.contains(wire.as_str()) {
            fields.insert("required".to_owned(), true.into());
        }
        fields
            .entry("description")
            .or_insert_with(|| format!("{}.", slug::title(&slug::words(&wire))).into());
        // What is also in the path or the query is told apart by its name.
        let wanted = plain(&wire);
        let wanted = if names.contains(&wanted) { format!("body_{wanted}") } else { wanted };
        let name = free(&wanted, &mut names);
        parts.arguments.push(Argument { name, wire, place: "body", fields });
    }
}

/// Properties of the body that this method cannot do without.
fn needed<'a>(api: &Api<'a>, method: &Method<'_>, request: &Value) -> HashSet<&'a str> {
    let schema =
        request.get("$ref").and_then(Value::as_str).and_then(|name| api.schemas?.get(name));
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let is_needed = |value: &Value| {
        let ids = value.pointer("/annotations/required").and_then(Value::as_array);
        ids.into_iter().flatten().any(|id| id.as_str() == Some(method.id.as_str()))
    };
    let all = properties.into_iter().flatten();
    all.filter(|(_, value)| is_needed(value)).map(|(name, _)| name.as_str()).collect()
}

/// How the answer is read, with what is in it.
fn answer<'a>(api: &Api<'a>, method: &Method<'a>) -> Value {
    let Some(response) = method.value.get("response") else { return json!({}) };
    let at = format!("{}/response", method.at);
    let mut schema = api.converter.convert_within(response, &at, Use::Output, MOST_ANSWER).schema;
    match schema.remove("properties") {
        Some(Value::Object(properties)) if !properties.is_empty() => json!({"schema": properties}),
        _ => json!({}),
    }
}

fn hints(verb: &str, name: &str) -> Value {
    let name = name.to_ascii_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match verb {
        "GET" | "HEAD" => json!({"read_only": true, "idempotent": true}),
        "DELETE" => json!({"destructive": true, "idempotent": true}),
        "PUT" => json!({"update": true, "idempotent": true}),
        "PATCH" => json!({"update": true}),
        _ if is(&["delete", "remove", "revoke", "trash", "clear", "obliterate"])
            && !name.starts_with("un") =>
        {
            json!({"destructive": true})
        }
        _ if name.starts_with("search")
            || name.starts_with("query")
            || name.starts_with("list") =>
        {
            json!({"read_only": true})
        }
        _ if is(&["create", "insert", "add"]) => json!({"create": true}),
        _ => json!({}),
    }
}

/// The arguments as a definition has them.
pub(super) fn placed(arguments: &[Argument]) -> Map<String, Value> {
    let entries = arguments.iter().map(|argument| {
        let mut fields = argument.fields.clone();
        fields.insert("in".to_owned(), argument.place.into());
        if argument.wire != argument.name {
            fields.insert("wire".to_owned(), argument.wire.clone().into());
        }
        (argument.name.clone(), Value::Object(fields))
    });
    entries.collect()
}

/// A name that models' providers take.
fn plain(name: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut out: String = name.chars().map(|c| if good(c) { c } else { '_' }).take(60).collect();
    if out.is_empty() {
        out.push_str("value");
    }
    out
}

fn free(name: &str, taken: &mut HashSet<String>) -> String {
    let mut out = name.to_owned();
    let mut number = 2;
    while !taken.insert(out.clone()) {
        out = format!("{name}_{number}");
        number += 1;
    }
    out
}
