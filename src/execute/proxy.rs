//! Requests of the caller's own with an account's credentials.

use std::sync::Arc;

use axum::http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::access::{self, Access};
use super::exchange::{Exchange, Trouble};
use super::params::check_header;
use super::record::Record;
use super::redact::Secrets;
use super::response::{self, Body};
use super::types::{ProxyOutcome, ProxyRequest};
use crate::app::App;
use crate::catalog::Toolkit;
use crate::domain::connection::Project;
use crate::domain::outbound::{OutboundBody, OutboundRequest, OutboundResponse};
use crate::error::{Error, Result, codes};
use crate::net::NetError;

/// Headers of an answer that are the connection's, or that are secrets between the provider and
/// this server.
const HIDDEN_ANSWER_HEADERS: &[&str] =
    &["connection", "keep-alive", "transfer-encoding", "set-cookie", "content-encoding"];

/// Sends a request of the caller's own with an account's credentials.
///
/// # Errors
/// The caller's faults; `BAD_GATEWAY` and `GATEWAY_TIMEOUT` when the provider gave no answer.
pub async fn proxy(app: &App, project: &Project, request: ProxyRequest) -> Result<ProxyOutcome> {
    let (toolkit, access) = target(app, project, &request).await?;
    let mut record = Record::begin(app, project, "proxy");
    record.set(|row| {
        let path = request.endpoint.split(['?', '#']).next().unwrap_or_default();
        row.tool_slug = format!("{} {path}", request.method).chars().take(300).collect();
        row.toolkit_slug.clone_from(&toolkit.file.slug);
        row.toolkit_version = toolkit.file.versions.first().cloned().unwrap_or_default();
    });
    super::note_access(&mut record, &access);
    let mut secrets = Secrets::default();
    access.add_secrets(&toolkit, &mut secrets);
    record.secrets = Arc::new(secrets);
    record.request(&described(&request));
    match run(app, project, &toolkit, access, request, &mut record).await {
        Err(error) => Err(record.refused(error).await),
        Ok(outcome) => {
            record.response(&outcome.data);
            let failed = (outcome.status >= 400)
                .then(|| format!("{} answered {}", toolkit.file.name, outcome.status));
            record.finish(failed.as_deref()).await?;
            Ok(outcome)
        }
    }
}

/// The account, or what stands for one, and its toolkit.
async fn target(
    app: &App,
    project: &Project,
    request: &ProxyRequest,
) -> Result<(Arc<Toolkit>, Access)> {
    let of = |slug: &str| {
        let found = app.toolkit(&project.id, slug);
        found.ok_or_else(|| Error::not_found(codes::TOOLKIT_NOT_FOUND, "Toolkit", slug))
    };
    if let Some(data) = request.custom_connection_data.clone() {
        let toolkit = of(&data.toolkit_slug)?;
        let access = access::custom(&toolkit, data)?;
        return Ok((toolkit, access));
    }
    let Some(id) = request.connected_account_id.as_deref().filter(|id| !id.is_empty()) else {
        return Err(Error::bad_request("A proxy call needs connected_account_id")
            .fix("Pass connected_account_id, or custom_connection_data"));
    };
    let account = access::by_id(app, project, id).await?;
    let toolkit = of(&account.toolkit_slug)?;
    let access = access::with_config(app, project, account).await?;
    if let Access::Account(_, config) = &access
        && config.restrict_to_tools.is_some()
    {
        return Err(Error::new(
            codes::TOOL_RESTRICTED,
            format!("Auth config {} allows certain tools only, and no proxy calls", config.id),
        )
        .fix("Execute an allowed tool, or use an account of another auth config"));
    }
    Ok((toolkit, access))
}

async fn run(
    app: &App,
    project: &Project,
    toolkit: &Toolkit,
    access: Access,
    request: ProxyRequest,
    record: &mut Record<'_>,
) -> Result<ProxyOutcome> {
    let outbound = {
        let conn = access.fields(toolkit).conn;
        outbound(toolkit, &conn, request)?
    };
    let exchange = Exchange::begin(app, toolkit, access, None).await?;
    let answer = exchange.send(outbound).await;
    super::note_exchange(record, &exchange);
    match answer {
        Ok(answer) => outcome(app, project, answer).await,
        Err(Trouble::Refused(error)) => Err(error),
        Err(Trouble::Net(error)) => Err(gateway_error(&error)),
    }
}

/// What the lack of an answer means for a caller that asked for exactly that answer.
fn gateway_error(error: &NetError) -> Error {
    match error {
        NetError::Timeout(message) => Error::new(codes::GATEWAY_TIMEOUT, message.clone()),
        NetError::Connection(message) | NetError::TooLarge(message) => {
            Error::new(codes::BAD_GATEWAY, message.clone())
        }
        NetError::Refused(message) | NetError::Invalid(message) => {
            Error::bad_request(message.clone())
        }
    }
}

fn outbound(
    toolkit: &Toolkit,
    conn: &Map<String, Value>,
    request: ProxyRequest,
) -> Result<OutboundRequest> {
    let method = match request.method.to_ascii_uppercase().as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "HEAD" => Method::HEAD,
        _ => {
            return Err(Error::bad_request("method must be GET, POST, PUT, PATCH, DELETE or HEAD"));
        }
    };
    let mut url = endpoint(toolkit, conn, &request.endpoint)?;
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    let unusable =
        |problem| Error::bad_request(format!("The connection cannot be used: {problem}"));
    let mut headers = toolkit.default_headers(conn).map_err(unusable)?;
    for (name, value) in request.headers {
        check_header(&name, &value)?;
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        headers.push((name, value));
    }
    let kind = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, value)| value.to_ascii_lowercase())
        .unwrap_or_default();
    let body = match (request.binary, request.body) {
        (Some((bytes, content_type)), _) => {
            check_header("Content-Type", &content_type)?;
            OutboundBody::Raw { content_type, bytes: bytes.into() }
        }
        (None, None | Some(Value::Null)) => OutboundBody::Empty,
        (None, Some(body)) => text_body(body, &kind),
    };
    Ok(OutboundRequest { method, url, headers, body, timeout: None })
}

/// JSON, unless the caller's own `Content-Type` says otherwise.
fn text_body(body: Value, kind: &str) -> OutboundBody {
    match body {
        Value::Object(fields) if kind.starts_with("application/x-www-form-urlencoded") => {
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            OutboundBody::Form(fields.into_iter().map(|(k, v)| (k, text(v))).collect())
        }
        Value::String(text) if !kind.is_empty() && !kind.contains("json") => {
            OutboundBody::Raw { content_type: kind.to_owned(), bytes: text.into() }
        }
        // A text that is JSON already, as callers that serialize by themselves send it.
        Value::String(text) if serde_json::from_str::<Map<String, Value>>(&text).is_ok() => {
            OutboundBody::Raw { content_type: "application/json".to_owned(), bytes: text.into() }
        }
        other => OutboundBody::Json(other),
    }
}

/// The address: below the toolkit's root, or an absolute one on the toolkit's own hosts.
fn endpoint(toolkit: &Toolkit, conn: &Map<String, Value>, text: &str) -> Result<Url> {
    let text = text.trim();
    let absolute = text.contains("://")
        && text.split("://").next().is_some_and(|s| s.chars().all(|c| c.is_ascii_alphanumeric()));
    let base = || {
        let unusable =
            |problem| Error::bad_request(format!("The connection cannot be used: {problem}"));
        toolkit.base_url(conn).map_err(unusable)
    };
    if absolute {
        let url =
            Url::parse(text).map_err(|_| Error::bad_request("endpoint is not a valid URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::bad_request("endpoint must be an http or https URL, or a path"));
        }
        if !toolkit.allows_host(conn, &url) {
            return Err(Error::bad_request(format!(
                "endpoint leads to {}, which is not a host of {}",
                url.host_str().unwrap_or("no host"),
                toolkit.file.name
            ))
            .fix("Use a path, which is taken below the toolkit's base URL"));
        }
        check_climb(&url)?;
        return Ok(url);
    }
    let base = base()?;
    let path = text.strip_prefix('/').unwrap_or(text);
    if path.starts_with(['/', '\\']) || text.chars().any(char::is_control) {
        return Err(Error::bad_request("endpoint must be a URL or a path"));
    }
    if path.is_empty() {
        // The root itself, and not one slash below it: an MCP server has no other address.
        return Ok(base);
    }
    let root = base.as_str().trim_end_matches('/');
    let mut url = Url::parse(&format!("{root}/{path}"))
        .map_err(|_| Error::bad_request("endpoint is not a valid path"))?;
    url.set_fragment(None);
    // Dot segments, in whatever spelling, are gone by now.
    let prefix = base.path().trim_end_matches('/');
    let below = url.path() == prefix || url.path().starts_with(&format!("{prefix}/"));
    if url.origin() != base.origin() || !below {
        return Err(Error::bad_request("endpoint leaves the toolkit's base URL")
            .fix("Use an absolute URL on one of the toolkit's hosts"));
    }
    check_climb(&url)?;
    Ok(url)
}

/// Refuses dot segments that hide in encoded slashes (`..%2f`) or path parameters (`..;`): a
/// server that decodes them would climb out of the path that was checked.
fn check_climb(url: &Url) -> Result<()> {
    let path = percent_encoding::percent_decode_str(url.path()).decode_utf8_lossy();
    let climbs = path
        .split(['/', '\\'])
        .any(|segment| matches!(segment.split(';').next(), Some("." | "..")));
    if climbs {
        return Err(Error::bad_request("endpoint must not have `.` or `..` in its path"));
    }
    Ok(())
}

async fn outcome(app: &App, project: &Project, answer: OutboundResponse) -> Result<ProxyOutcome> {
    let mut headers = Map::new();
    for name in answer.headers.keys() {
        if HIDDEN_ANSWER_HEADERS.contains(&name.as_str()) {
            continue;
        }
        let values: Vec<String> = answer
            .headers
            .get_all(name)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect();
        headers.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    let status = answer.status;
    let (data, binary) = match response::read(&answer) {
        Body::Value(value) => (value, None),
        Body::File(file) => {
            let size = answer.body.len();
            let content = answer.body.into();
            let stored = app.files.put(&project.id, &file.name, &file.mimetype, content).await?;
            (Value::Null, Some((stored, file.mimetype, size)))
        }
    };
    Ok(ProxyOutcome { status, data, headers, binary })
}

/// For the log: values of headers may be secrets of the caller's own.
fn described(request: &ProxyRequest) -> Value {
    let headers: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    let query: Vec<Value> =
        request.query.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "endpoint": request.endpoint,
        "method": request.method,
        "headers": headers,
        "query": query,
        "body": request.body,
        "binary_bytes": request.binary.as_ref().map(|(bytes, _)| bytes.len()),
    })
}
