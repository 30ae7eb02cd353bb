//! Parameters as arguments: one flat list with the provider's own names.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::operation::Common;
use super::{Api, Operation, said, words};
use crate::import::schema::{Use, fitting, size};
use crate::import::text;

/// Headers that are the server's own matter, and those of signatures.
const OWN_HEADERS: [&str; 22] = [
    "accept",
    "content-type",
    "authorization",
    "user-agent",
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "accept-encoding",
    "cookie",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
];
const ALSO_OWN: [&str; 1] = ["x-amz-signedheaders"];
/// Parameters of all of Google's methods that change how and not what is answered.
const GOOGLES: [&str; 10] = [
    "$.xgafv",
    "alt",
    "callback",
    "prettyPrint",
    "quotaUser",
    "uploadType",
    "upload_protocol",
    "oauth_token",
    "access_token",
    "key",
];
/// Bytes of all arguments of one tool.
const MOST_BYTES: usize = 100 * 1024;

/// An argument on its way.
pub(super) struct Argument {
    pub at: String,
    pub place: &'static str,
    /// Name on the wire.
    pub wire: String,
    pub fields: Map<String, Value>,
    pub required: bool,
    pub aliases: Vec<String>,
}

/// The arguments of a tool, in the order in which they are shown.
#[derive(Default)]
pub(super) struct Arguments {
    pub list: Vec<Argument>,
    pub headers: BTreeMap<String, String>,
}

/// What a tool needs of its arguments.
pub(super) struct Finished {
    pub list: Map<String, Value>,
    pub headers: BTreeMap<String, String>,
}

/// The parameters of an operation, with those of its path that it does not replace.
pub(super) fn declared<'a>(
    api: &Api<'a>,
    operation: &Operation<'a>,
) -> Vec<(String, &'a Map<String, Value>)> {
    let item_at = operation.at.rsplit_once('/').map_or("", |(at, _)| at);
    let lists = [(operation.at.as_str(), operation.value), (item_at, operation.item)];
    let mut seen = std::collections::HashSet::new();
    let mut found = [Vec::new(), Vec::new()];
    for (found, (at, holder)) in found.iter_mut().zip(lists) {
        let list = holder.get("parameters").and_then(Value::as_array);
        for (i, parameter) in list.into_iter().flatten().enumerate() {
            let (parameter, at) = api.follow(parameter, &format!("{at}/parameters/{i}"));
            let Value::Object(parameter) = parameter else { continue };
            let (Some(name), Some(place)) = (said(parameter, "name"), said(parameter, "in")) else {
                api.repaired(&at, "a parameter without name or place is left out");
                continue;
            };
            if seen.insert((name, place)) {
                found.push((at, parameter));
            }
        }
    }
    let [own, shared] = found;
    shared.into_iter().chain(own).collect()
}

/// Adds the parameters.
pub(super) fn add<'a>(
    api: &Api<'a>,
    operation: &Operation<'a>,
    common: &Common,
    path: &str,
    query: &[(String, String)],
    arguments: &mut Arguments,
) {
    let google =
        api.root.pointer("/info/x-providerName").and_then(Value::as_str) == Some("googleapis.com");
    for (at, parameter) in declared(api, operation) {
        let name = said(parameter, "name").unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        let mut wire = name.to_owned();
        let place = match said(parameter, "in").unwrap_or_default() {
            "path" => "path",
            "query" => "query",
            "header" => "header",
            "cookie" => "cookie",
            other => {
                let shown: String = other.chars().take(40).collect();
                api.repaired(&at, format!("a parameter in `{shown}` is left out"));
                continue;
            }
        };
        let carries =
            |place: &str| common.credentials.iter().any(|(p, n)| p == place && *n == lower);
        if place == "header" && OWN_HEADERS.iter().chain(&ALSO_OWN).any(|own| *own == lower) {
            match lower.as_str() {
                "accept" => fixed("Accept", parameter, arguments),
                // Some choose the form of their answer by it, which is none of the usual codings.
                "accept-encoding" => fixed("Accept-Encoding", parameter, arguments),
                _ => {}
            }
            continue;
        }
        if place != "path" && (carries(place) || (google && GOOGLES.contains(&name))) {
            api.repaired(
                &at,
                format!("`{name}` carries credentials or is the server's own; no argument"),
            );
            continue;
        }
        let mut place = place;
        if place == "path" {
            wire = name.trim_start_matches('+').trim_end_matches(['+', '*']).to_owned();
            if !path.contains(&format!("{{{wire}}}")) && !path.contains(&format!("{{{wire}*}}")) {
                // `/things?id={id}` is written by some.
                let Some((key, _)) = query.iter().find(|(_, v)| v.trim_matches(['{', '}']) == wire)
                else {
                    api.repaired(&at, format!("`{name}` does not stand in the path; left out"));
                    continue;
                };
                wire.clone_from(key);
                place = "query";
            }
        }
        if place == "header"
            && !lower.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        {
            api.repaired(&at, "the name of a header that cannot be one; left out");
            continue;
        }
        arguments.list.push(argument(api, &at, parameter, place, wire));
    }
}

/// A header of the server's own with a fixed value, where the description asks for one.
fn fixed(header: &str, parameter: &Map<String, Value>, arguments: &mut Arguments) {
    let schema = parameter.get("schema").and_then(Value::as_object);
    let choices = schema.and_then(|s| s.get("enum")).and_then(Value::as_array);
    let value = schema.and_then(|s| s.get("default")).or_else(|| choices.and_then(|c| c.first()));
    let plain = |text: &&str| {
        text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') && !text.contains("{{")
    };
    if let Some(value) = value.and_then(Value::as_str).filter(plain) {
        arguments.headers.insert(header.to_owned(), value.to_owned());
    }
}

fn argument<'a>(
    api: &Api<'a>,
    at: &str,
    parameter: &'a Map<String, Value>,
    place: &'static str,
    wire: String,
) -> Argument {
    let content = parameter.get("content").and_then(Value::as_object).and_then(|c| c.iter().next());
    let schema = match (parameter.get("schema"), content) {
        (Some(schema), _) => Some((schema, format!("{at}/schema"))),
        (None, Some((kind, media))) => {
            let kind = kind.replace('~', "~0").replace('/', "~1");
            media.get("schema").map(|schema| (schema, format!("{at}/content/{kind}/schema")))
        }
        _ => None,
    };
    let mut fields = match &schema {
        Some((schema, at)) => api.schema(schema, at, Use::Input).schema,
        None => Map::from_iter([("type".to_owned(), json!("string"))]),
    };
    let raw = schema.as_ref().map(|(schema, _)| api.follow(schema, at).0);
    let required = place == "path" || parameter.get("required") == Some(&Value::Bool(true));
    if let Some(words) = said(parameter, "description") {
        let schema_words = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        let defaults = schema_words.find("Default: ").map(|i| &schema_words[i..]);
        let more = defaults.filter(|_| !words.to_lowercase().contains("default"));
        let words = match more {
            Some(more) => format!("{words} {more}"),
            None => words.to_owned(),
        };
        fields.insert("description".into(), text::clean(&words, text::ARGUMENT).into());
    }
    style(
        api,
        at,
        parameter,
        content.is_some() && parameter.get("schema").is_none(),
        place,
        &mut fields,
    );
    if parameter.get("allowReserved") == Some(&Value::Bool(true)) && place == "query" {
        fields.insert("allow_reserved".into(), true.into());
    }
    let mut argument =
        Argument { at: at.to_owned(), place, wire, fields, required, aliases: Vec::new() };
    example(parameter, &mut argument);
    constant(&mut argument);
    default(raw, &mut argument);
    argument
}

/// Examples that stand beside the schema.
fn example(parameter: &Map<String, Value>, argument: &mut Argument) {
    let named = parameter.get("examples").and_then(Value::as_object).into_iter().flatten();
    let mut given =
        parameter.get("example").into_iter().chain(named.filter_map(|(_, e)| e.get("value")));
    let scalar = |value: &&Value| !value.is_null() && !value.is_object() && !value.is_array();
    let taken = argument.fields.contains_key("enum") || argument.fields.contains_key("examples");
    if let Some(value) = given.find(scalar).filter(|_| !taken)
        && fits(&argument.fields, value)
        && let Some(value) = fitting(&argument.fields, value)
        && value.to_string().len() <= 100
        && value.as_str().is_none_or(|t| text::clean(t, 100) == t)
    {
        argument.fields.insert("examples".into(), json!([value]));
    }
}

/// What can have one value only is no question to a model.
pub(super) fn constant(argument: &mut Argument) {
    let single = argument.fields.get("enum").and_then(Value::as_array).filter(|c| c.len() == 1);
    if let Some(value) = single.and_then(|choices| choices.first()).cloned()
        && argument.required
        && argument.place != "path"
    {
        argument.required = false;
        argument.fields.insert("default".into(), value);
        argument.fields.insert("hidden".into(), true.into());
    }
}

/// The default of a required argument is sent when nothing else is. Other defaults are the provider's
/// matter: sending them could overwrite what is there.
pub(super) fn default(raw: Option<&Value>, argument: &mut Argument) {
    let Some(value) = raw.and_then(|schema| schema.get("default")) else { return };
    let listed =
        argument.fields.get("enum").and_then(Value::as_array).is_none_or(|c| c.contains(value));
    let empty = value.as_str().is_some_and(str::is_empty);
    // A number in a path is somebody's id that was meant as an example.
    let example = argument.place == "path"
        && (!value.is_string()
            || value.as_str().is_some_and(|t| t.contains(|c: char| c.is_ascii_digit())));
    let scalar = !value.is_object() && !value.is_array() && !value.is_null();
    if argument.required && scalar && listed && !empty && !example && fits(&argument.fields, value)
    {
        argument.required = false;
        argument.fields.insert("default".into(), value.clone());
    }
}

/// Whether a value has the type of a schema.
fn fits(schema: &Map<String, Value>, value: &Value) -> bool {
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// How lists and objects are written.
fn style(
    api: &Api<'_>,
    at: &str,
    parameter: &Map<String, Value>,
    is_json: bool,
    place: &'static str,
    fields: &mut Map<String, Value>,
) {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
    let also = fields.get("also").and_then(Value::as_array).into_iter().flatten();
    let object = kind == "object" || also.clone().any(|k| k == "object");
    let list = kind == "array" || also.clone().any(|k| k == "array");
    let usual = if matches!(place, "path" | "header") { "simple" } else { "form" };
    let named = said(parameter, "style").unwrap_or(usual);
    let explode = match parameter.get("explode") {
        Some(Value::Bool(explode)) => *explode,
        _ => named == "form",
    };
    let style = match (named, explode) {
        _ if is_json && (object || list) => "json",
        ("label", false) => "label",
        ("label", true) => "label_exploded",
        ("matrix", false) => "matrix",
        ("matrix", true) => "matrix_exploded",
        _ if !object && !list => return,
        ("form", true) if place == "query" && object => "exploded",
        ("form", true) if place == "query" => return,
        ("form", false) if place == "query" => {
            if object {
                "flat"
            } else {
                "csv"
            }
        }
        ("spaceDelimited", false) => "spaces",
        ("pipeDelimited", false) => "pipes",
        ("spaceDelimited" | "pipeDelimited", true) => {
            if object {
                "exploded"
            } else {
                return;
            }
        }
        ("deepObject", _) => "deep",
        ("simple" | "form", true) if object => "exploded",
        ("simple" | "form", _) => return,
        (other, _) => {
            let shown: String = other.chars().take(40).collect();
            api.repaired(at, format!("the style `{shown}` is not known; written as usual"));
            return;
        }
    };
    let queries = [
        "repeat", "csv", "brackets", "json", "indexed", "pipes", "spaces", "deep", "exploded",
        "flat",
    ];
    let good = match place {
        "query" => queries.contains(&style),
        "path" => matches!(
            style,
            "csv"
                | "flat"
                | "exploded"
                | "json"
                | "label"
                | "label_exploded"
                | "matrix"
                | "matrix_exploded"
        ),
        _ => matches!(style, "csv" | "flat" | "exploded" | "json"),
    };
    if good {
        fields.insert("style".into(), style.into());
    } else {
        api.repaired(at, format!("`{named}` cannot stand in a {place}; written as usual"));
    }
}

/// Placeholders that no parameter is declared for.
pub(super) fn missing(
    api: &Api<'_>,
    operation: &Operation<'_>,
    path: &str,
    arguments: &mut Arguments,
) {
    let inner = path.split('{').skip(1).filter_map(|tail| tail.split_once('}'));
    for (name, _) in inner {
        let name = name.trim_end_matches('*');
        if arguments.list.iter().any(|a| a.place == "path" && a.wire == name) {
            continue;
        }
        api.repaired(
            &operation.at,
            "a placeholder of the path is declared by no parameter; taken as text",
        );
        arguments.list.push(Argument {
            at: operation.at.clone(),
            place: "path",
            wire: name.to_owned(),
            fields: Map::from_iter([("type".to_owned(), json!("string"))]),
            required: true,
            aliases: Vec::new(),
        });
    }
}

/// A name that models' providers take.
pub(super) fn plain(name: &str) -> String {
    let mut out = String::new();
    for c in name.strip_suffix("[]").unwrap_or(name).chars() {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            out.push(c);
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    if out.len() != name.len() {
        out.truncate(out.trim_end_matches('_').len());
    }
    out.truncate(64);
    if out.is_empty() { "value".to_owned() } else { out }
}

impl Arguments {
    /// Gives everything its name, in order of precedence.
    pub(super) fn finished(self, api: &Api<'_>) -> Finished {
        let Self { list, headers } = self;
        let rank = |argument: &Argument| match argument.place {
            "path" => 0,
            "query" => 1,
            "header" => 2,
            "cookie" => 3,
            _ => 4,
        };
        let mut order: Vec<usize> = (0..list.len()).collect();
        order.sort_by_key(|i| rank(&list[*i]));
        let mut taken: HashMap<String, usize> = HashMap::new();
        let mut given = vec![String::new(); list.len()];
        for i in order {
            let argument = &list[i];
            let plain = plain(&argument.wire);
            let mut name = plain.clone();
            if taken.contains_key(&name) {
                name = format!("{}_{plain}", argument.place);
                name.truncate(64);
            }
            let mut number = 2;
            while taken.contains_key(&name) {
                let tail = format!("_{number}");
                name = plain.clone();
                name.truncate(64 - tail.len());
                name.push_str(&tail);
                number += 1;
            }
            if name != argument.wire {
                let why = if name == plain {
                    "models take letters, digits, _, . and - only"
                } else {
                    "another argument is called so"
                };
                api.report.borrow_mut().renamed(&argument.at, &argument.wire, &name, why);
            }
            taken.insert(name.clone(), i);
            given[i] = name;
        }
        let mut out = Map::new();
        let mut aliases: std::collections::HashSet<String> = taken.keys().cloned().collect();
        let mut budget = MOST_BYTES;
        for (argument, name) in list.into_iter().zip(given) {
            let mut fields = argument.fields;
            if size(&fields) > budget / 4 {
                shorten(&mut fields);
            }
            let bytes = size(&fields) + name.len();
            if bytes > budget && !argument.required && argument.place != "path" {
                api.repaired(
                    &argument.at,
                    format!(
                        "`{name}` is left out: the arguments of one tool may have {} KB",
                        MOST_BYTES / 1024
                    ),
                );
                continue;
            }
            budget = budget.saturating_sub(bytes);
            if name != argument.wire {
                fields.insert("wire".into(), argument.wire.clone().into());
            }
            let mut others = argument.aliases;
            if name != argument.wire {
                others.push(argument.wire.clone());
            }
            let others: Vec<String> =
                others.into_iter().filter(|alias| aliases.insert(alias.clone())).collect();
            if !others.is_empty() {
                fields.insert("aliases".into(), others.into());
            }
            fields.insert("in".into(), argument.place.into());
            if argument.required {
                fields.insert("required".into(), true.into());
            }
            if !fields.contains_key("description") {
                let words = words(&argument.wire);
                let words = if words.is_empty() { "A value".to_owned() } else { words };
                fields.insert("description".into(), format!("{words}.").into());
            }
            out.insert(name, fields.into());
        }
        Finished { list: out, headers }
    }
}

/// Takes the words out of the inside of a schema.
fn shorten(schema: &mut Map<String, Value>) {
    fn inner(value: &mut Value, depth: usize) {
        let Value::Object(fields) = value else { return };
        fields.remove("description");
        fields.remove("examples");
        if depth > 12 {
            return;
        }
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.values_mut().for_each(|value| inner(value, depth + 1));
        }
        if let Some(items) = fields.get_mut("items") {
            inner(items, depth + 1);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(|value| inner(value, 0));
    }
    if let Some(items) = schema.get_mut("items") {
        inner(items, 0);
    }
    if let Some(Value::String(words)) = schema.get("description") {
        let short = text::clean(words, 100);
        schema.insert("description".into(), short.into());
    }
}
