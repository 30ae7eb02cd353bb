//! From checked arguments to an HTTP request.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::hosts;
use super::model::{ArrayStyle, BodyKind, Location, Param};
use super::plan::{Body, Call};
use super::template::{Names, Text, text_of};
use super::{Scope, Tool, Toolkit};
use crate::domain::outbound::{OutboundBody, OutboundRequest};

/// Renders one step.
pub(super) fn request(
    tool: &Tool,
    toolkit: &Toolkit,
    step: usize,
    scope: &Scope<'_>,
) -> Result<OutboundRequest, String> {
    let call = &tool.steps.get(step).ok_or("no such step")?.call;
    let names = Names::of_tool(&tool.def.params, scope);
    let base = match &call.base {
        Some(base) => base.url(&toolkit.hosts, &scope.conn)?,
        None => toolkit.base.url(&toolkit.hosts, &scope.conn)?,
    };
    let mut url = hosts::join(&base, &call.path.render(&names)?)?;
    let query = query(tool, call, &names, scope)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(OutboundRequest {
        method: call.method.clone(),
        url,
        headers: headers(tool, toolkit, call, &names, scope)?,
        body: body(tool, call, &names, scope)?,
        timeout: call.timeout,
    })
}

/// Arguments that go to `place`, with their definition and value; absent ones are left out.
fn placed<'a>(
    tool: &'a Tool,
    call: &'a Call,
    scope: &'a Scope<'_>,
    place: Location,
) -> impl Iterator<Item = (&'a str, &'a Param, &'a Value)> {
    call.placed.iter().filter(move |(_, to)| *to == place).filter_map(move |(i, _)| {
        let (name, param) = tool.def.params.0.get(*i)?;
        let value = scope.args.get(name).filter(|value| !value.is_null())?;
        Some((param.wire.as_deref().unwrap_or(name), param, value))
    })
}

fn query(
    tool: &Tool,
    call: &Call,
    names: &Names<'_>,
    scope: &Scope<'_>,
) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (name, tree) in &call.query {
        push_pairs(&mut pairs, name, &tree.render(names, true)?, ArrayStyle::Repeat);
    }
    for (wire, param, value) in placed(tool, call, scope, Location::Query) {
        // What the definition spells out has been made of the argument.
        if !call.query.iter().any(|(name, _)| name == wire) {
            push_pairs(&mut pairs, wire, value, param.style);
        }
    }
    Ok(pairs)
}

fn scalar(value: &Value) -> String {
    text_of(value.clone()).unwrap_or_default()
}

/// Appends a value of a query: none is left out, objects are nested in brackets.
fn push_pairs(pairs: &mut Vec<(String, String)>, name: &str, value: &Value, style: ArrayStyle) {
    match value {
        Value::Null => {}
        Value::Array(_) | Value::Object(_) if style == ArrayStyle::Json => {
            pairs.push((name.to_owned(), value.to_string()));
        }
        Value::Array(items) => match style {
            ArrayStyle::Csv => {
                let joined: Vec<String> = items.iter().map(scalar).collect();
                pairs.push((name.to_owned(), joined.join(",")));
            }
            ArrayStyle::Brackets => {
                let name = format!("{name}[]");
                items.iter().for_each(|item| push_pairs(pairs, &name, item, style));
            }
            _ => items.iter().for_each(|item| push_pairs(pairs, name, item, style)),
        },
        Value::Object(fields) => {
            for (key, item) in fields {
                push_pairs(pairs, &format!("{name}[{key}]"), item, style);
            }
        }
        other => pairs.push((name.to_owned(), scalar(other))),
    }
}

fn header(name: &str, value: String) -> Result<(String, String), String> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("the value for the `{name}` header has a control character in it"));
    }
    Ok((name.to_owned(), value))
}

fn put_header(headers: &mut Vec<(String, String)>, new: (String, String)) {
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&new.0));
    headers.push(new);
}

fn texts(
    headers: &mut Vec<(String, String)>,
    templates: &[(String, Text)],
    names: &Names<'_>,
) -> Result<(), String> {
    for (name, text) in templates {
        if let Some(value) = text.text(names)? {
            put_header(headers, header(name, value)?);
        }
    }
    Ok(())
}

fn headers(
    tool: &Tool,
    toolkit: &Toolkit,
    call: &Call,
    names: &Names<'_>,
    scope: &Scope<'_>,
) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    texts(&mut headers, &toolkit.headers, names)?;
    texts(&mut headers, &call.headers, names)?;
    for (wire, _, value) in placed(tool, call, scope, Location::Header) {
        put_header(&mut headers, header(wire, scalar(value))?);
    }
    Ok(headers)
}

/// The toolkit's own headers, for the proxy.
pub(super) fn toolkit_headers(
    toolkit: &Toolkit,
    conn: &Map<String, Value>,
) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    texts(&mut headers, &toolkit.headers, &Names::of_conn(conn))?;
    Ok(headers)
}

fn body(
    tool: &Tool,
    call: &Call,
    names: &Names<'_>,
    scope: &Scope<'_>,
) -> Result<OutboundBody, String> {
    match &call.body {
        Body::Args(kind) => {
            let declared = call.placed.iter().any(|(_, place)| *place == Location::Body);
            if !declared {
                return Ok(OutboundBody::Empty);
            }
            let mut object = Value::Object(Map::new());
            for (wire, param, value) in placed(tool, call, scope, Location::Body) {
                let pointer = match &param.at {
                    Some(pointer) => pointer.clone(),
                    None => format!("/{}", wire.replace('~', "~0").replace('/', "~1")),
                };
                put_at(&mut object, &pointer, value.clone());
            }
            Ok(encoded(*kind, object))
        }
        Body::Tree(kind, tree) => match tree.render(names, true)? {
            Value::Null => Ok(OutboundBody::Empty),
            value => Ok(encoded(*kind, value)),
        },
        Body::Raw { content_type, text, delimiters } => {
            let text = text.text(names)?.unwrap_or_default();
            if content_type == "application/json" {
                let value = serde_json::from_str(&text).map_err(|e| {
                    format!("the definition's body template made no valid JSON: {e}")
                })?;
                return Ok(OutboundBody::Json(value));
            }
            if delimiters.as_ref().is_some_and(|(mark, n)| text.matches(mark).count() != *n) {
                return Err("an argument has the text that separates the parts of the body".into());
            }
            let bytes = Bytes::from(text);
            Ok(OutboundBody::Raw { content_type: content_type.clone(), bytes })
        }
        Body::GraphQl { query, variables } => {
            let variables = variables.render(names, true)?;
            Ok(OutboundBody::Json(json!({"query": query, "variables": variables})))
        }
    }
}

pub(super) fn encoded(kind: BodyKind, value: Value) -> OutboundBody {
    let pairs = |value: &Value| {
        let mut pairs = Vec::new();
        if let Value::Object(fields) = value {
            fields.iter().for_each(|(name, item)| push_form(&mut pairs, name, item));
        }
        pairs
    };
    match kind {
        BodyKind::Json => OutboundBody::Json(value),
        BodyKind::Form => OutboundBody::Form(pairs(&value)),
        BodyKind::Multipart => OutboundBody::Multipart(pairs(&value)),
    }
}

/// Appends a value of a form: `a[b]=1`, `a[0][b]=1`; an empty list or object clears.
fn push_form(pairs: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                push_form(pairs, &format!("{name}[{i}]"), item);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                push_form(pairs, &format!("{name}[{key}]"), item);
            }
        }
        other => pairs.push((name.to_owned(), scalar(other))),
    }
}

/// Puts a value at a JSON pointer, making the objects on the way; `0` makes a list.
fn put_at(root: &mut Value, pointer: &str, value: Value) {
    let mut slot = root;
    for raw in pointer.split('/').skip(1) {
        let key = raw.replace("~1", "/").replace("~0", "~");
        let index = key.parse::<usize>().ok().filter(|i| *i < 64);
        match index {
            Some(i) if slot.is_array() || slot.is_null() => {
                if slot.is_null() {
                    *slot = Value::Array(Vec::new());
                }
                let Value::Array(items) = slot else { return };
                while items.len() <= i {
                    items.push(Value::Null);
                }
                slot = &mut items[i];
            }
            _ => {
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                let Value::Object(fields) = slot else { return };
                slot = fields.entry(key).or_insert(Value::Null);
            }
        }
    }
    match (slot, value) {
        // Two arguments may fill one object.
        (Value::Object(held), Value::Object(more)) => held.extend(more),
        (slot, value) => *slot = value,
    }
}
