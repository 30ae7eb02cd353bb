//! From checked arguments to an HTTP request.

use serde_json::{Map, Value};

use super::file::Files;
use super::model::{Location, Param, Style};
use super::plan::Call;
use super::style::{self, joined, push};
use super::template::{Names, Text};
use super::{Scope, Tool, Toolkit, body, hosts};
use crate::domain::outbound::{OutboundBody, OutboundRequest};

/// Renders one step.
pub(super) fn request(
    tool: &Tool,
    toolkit: &Toolkit,
    step: usize,
    scope: &Scope<'_>,
    files: &Files,
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
        let line: Vec<String> = url
            .query()
            .filter(|held| !held.is_empty())
            .map(str::to_owned)
            .into_iter()
            .chain(query.into_iter().map(|(k, value)| format!("{}={value}", style::name(&k))))
            .collect();
        url.set_query(Some(&line.join("&")));
    }
    let mut headers = headers(tool, toolkit, call, &names, scope)?;
    let body = body::made(tool, call, &names, scope, files)?;
    if let (Some(kind), OutboundBody::Json(_)) = (&call.content_type, &body) {
        put_header(&mut headers, header("Content-Type", kind.clone())?);
    }
    Ok(OutboundRequest { method: call.method.clone(), url, headers, body, timeout: call.timeout })
}

/// Arguments that go to `place`, with their name there, their definition and value; absent ones
/// are left out.
pub(super) fn placed<'a>(
    tool: &'a Tool,
    call: &'a Call,
    scope: &'a Scope<'_>,
    place: Location,
) -> impl Iterator<Item = (&'a str, &'a Param, &'a Value)> {
    declared(tool, call, place).filter_map(move |(name, param)| {
        let value = scope.args.get(name).filter(|value| !value.is_null())?;
        Some((param.wire.as_deref().unwrap_or(name), param, value))
    })
}

/// The arguments that go to `place` when they are there, by their own names.
fn declared<'a>(
    tool: &'a Tool,
    call: &'a Call,
    place: Location,
) -> impl Iterator<Item = (&'a str, &'a Param)> {
    call.placed.iter().filter(move |(_, to)| *to == place).filter_map(move |(i, _)| {
        let (name, param) = tool.def.params.0.get(*i)?;
        Some((name.as_str(), param))
    })
}

/// Names as they are, values encoded.
fn query(
    tool: &Tool,
    call: &Call,
    names: &Names<'_>,
    scope: &Scope<'_>,
) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let percent = style::Text::Percent;
    for (name, tree) in &call.query {
        push(&mut pairs, name, &tree.render(names, true)?, Style::Repeat, percent);
    }
    for (wire, param, value) in placed(tool, call, scope, Location::Query) {
        // What the definition spells out has been made of the argument.
        if call.query.iter().any(|(name, _)| name == wire) {
            continue;
        }
        let style = param.style.unwrap_or(style::usual(Location::Query));
        if let (Style::Exploded, Value::Object(object)) = (style, value) {
            own_names(tool, call, wire, object)?;
        }
        let text = if param.allow_reserved { style::Text::Reserved } else { percent };
        push(&mut pairs, wire, value, style, text);
    }
    Ok(pairs)
}

/// Properties that become parameters must not take the place of parameters that there are.
fn own_names(
    tool: &Tool,
    call: &Call,
    wire: &str,
    object: &Map<String, Value>,
) -> Result<(), String> {
    let taken = |key: &str| {
        call.query.iter().any(|(name, _)| name == key)
            || declared(tool, call, Location::Query)
                .map(|(name, param)| param.wire.as_deref().unwrap_or(name))
                .any(|other| other == key && other != wire)
    };
    match object.keys().find(|key| taken(key)) {
        Some(key) => Err(format!("`{wire}.{key}` has the name of another query parameter")),
        None => Ok(()),
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
    for (wire, param, value) in placed(tool, call, scope, Location::Header) {
        let style = param.style.unwrap_or(style::usual(Location::Header));
        let value = joined(wire, value, style, style::Text::Plain);
        put_header(&mut headers, header(wire, value)?);
    }
    cookies(&mut headers, placed(tool, call, scope, Location::Cookie))?;
    Ok(headers)
}

/// Puts cookies behind those that the definition spells out.
fn cookies<'a>(
    headers: &mut Vec<(String, String)>,
    given: impl Iterator<Item = (&'a str, &'a Param, &'a Value)>,
) -> Result<(), String> {
    let mut pairs = Vec::new();
    for (wire, param, value) in given {
        let style = match param.style.unwrap_or(style::usual(Location::Cookie)) {
            Style::Csv => Style::Flat,
            other => other,
        };
        push(&mut pairs, wire, value, style, style::Text::Cookie);
    }
    if pairs.is_empty() {
        return Ok(());
    }
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !is_token(name)) {
        return Err(format!("`{name}` cannot be the name of a cookie"));
    }
    let held = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let held = held.map(|(_, value)| value.clone()).into_iter();
    let line: Vec<String> =
        held.chain(pairs.into_iter().map(|(name, value)| format!("{name}={value}"))).collect();
    put_header(headers, header("Cookie", line.join("; "))?);
    Ok(())
}

/// Whether a text can be the name of a header or a cookie (RFC 9110's token).
pub(super) fn is_token(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(plain)
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
