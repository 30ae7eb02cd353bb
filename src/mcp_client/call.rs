//! The life of a session.

use std::sync::Arc;

use serde_json::{Value, json};

use super::exchange::{self, ask};
use super::message;
use super::sessions::{Key, Session, Sessions};
use super::{Answer, Endpoint, Failed, Wire};

/// Pages of a list that are read.
const MOST_PAGES: usize = 50;
/// Tools of a server that are taken.
const MOST_TOOLS: usize = 2_000;

/// Calls a tool. With a `key` the session of an earlier call is used again; without one a session is
/// made for this call alone.
///
/// # Errors
/// Why there is no result. A call that the server did not refuse outright is never sent twice.
pub async fn call<W: Wire>(
    sessions: &Sessions,
    key: Option<&Key>,
    wire: &W,
    endpoint: &Endpoint,
    tool: &str,
    arguments: Value,
) -> Result<Answer, Failed<W::Error>> {
    let params = json!({"name": tool, "arguments": arguments});
    with_session(sessions, key, wire, endpoint, "tools/call", params).await
}

/// Lists the tools of a server, as it describes them, and what the server says of itself.
///
/// # Errors
/// Why there is no list.
pub async fn list<W: Wire>(wire: &W, endpoint: &Endpoint) -> Result<Value, Failed<W::Error>> {
    let (session, about) = begin(wire, endpoint).await?;
    let mut tools: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    let mut cut = false;
    for page in 0.. {
        let params = cursor.as_ref().map_or_else(|| json!({}), |at| json!({"cursor": at}));
        let mut answer = one(wire, endpoint, &session, "tools/list", params).await?.result;
        match answer.get_mut("tools").map(Value::take) {
            Some(Value::Array(more)) => tools.extend(more),
            _ => return Err(Failed::Protocol("a list of tools that is none".to_owned())),
        }
        let next = answer.get("nextCursor").and_then(Value::as_str).filter(|next| !next.is_empty());
        let Some(next) = next else { break };
        cut = page + 1 >= MOST_PAGES || tools.len() >= MOST_TOOLS;
        if cut || cursor.as_deref() == Some(next) {
            break;
        }
        cursor = Some(next.to_owned());
    }
    cut |= tools.len() > MOST_TOOLS;
    tools.truncate(MOST_TOOLS);
    exchange::end(wire, endpoint, &session);
    let of = |name: &str| about.get(name).cloned().unwrap_or(Value::Null);
    Ok(json!({
        "serverInfo": of("serverInfo"), "instructions": of("instructions"), "tools": tools,
        "incomplete": cut,
    }))
}

/// One request in a session, which is made anew when the server has forgotten it.
async fn with_session<W: Wire>(
    sessions: &Sessions,
    key: Option<&Key>,
    wire: &W,
    endpoint: &Endpoint,
    method: &str,
    params: Value,
) -> Result<Answer, Failed<W::Error>> {
    if let Some(key) = key
        && let Some(session) = sessions.get(key)
    {
        match one(wire, endpoint, &session, method, params.clone()).await {
            // What a forgotten session is answered with by the protocol, and what it is by many.
            Err(Failed::Status { status: 404 | 400, .. }) => sessions.forget(key, &session),
            other => {
                if !matches!(other, Err(Failed::Status { .. } | Failed::Protocol(_))) {
                    sessions.keep(key, &session);
                }
                return other;
            }
        }
    }
    let (session, _) = begin(wire, endpoint).await?;
    let session = Arc::new(session);
    if let Some(key) = key {
        sessions.keep(key, &session);
    }
    let answer = one(wire, endpoint, &session, method, params).await;
    if key.is_none() {
        exchange::end(wire, endpoint, &session);
    }
    answer
}

async fn one<W: Wire>(
    wire: &W,
    endpoint: &Endpoint,
    session: &Session,
    method: &str,
    mut params: Value,
) -> Result<Answer, Failed<W::Error>> {
    if session.is_none() {
        message::describe(&mut params);
    }
    let request = message::request(session.next_request(), method, params);
    ask(wire, endpoint, session, &request).await.map(|(answer, _)| answer)
}

/// Begins a session. A server that knows no sessions any more is asked what it is instead.
async fn begin<W: Wire>(
    wire: &W,
    endpoint: &Endpoint,
) -> Result<(Session, Value), Failed<W::Error>> {
    let fresh = Session::new();
    let first = ask(wire, endpoint, &fresh, &message::initialize(fresh.next_request())).await;
    let (answer, headers) = match first {
        Ok(first) => first,
        Err(refused) if wants_no_session(&refused) => {
            let session = Session::none();
            let about = one(wire, endpoint, &session, "server/discover", json!({})).await;
            // The first refusal is what the caller can do something about.
            return about.map(|answer| (session, answer.result)).map_err(|_| refused);
        }
        Err(refused) => return Err(refused),
    };
    let version = message::version(&answer.result).map_err(Failed::Protocol)?;
    let id = headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let session = Session::begun(id, version);
    let ready = message::notification("notifications/initialized", json!({}));
    let told = wire.open(exchange::post(endpoint, &session, &ready)).await.map_err(Failed::Wire)?;
    let status = told.status;
    if !(200..300).contains(&status) {
        let body = told.whole().await.map(|b| String::from_utf8_lossy(&b.body).into_owned());
        let body = Value::String(body.unwrap_or_default());
        return Err(Failed::Status { status, body });
    }
    Ok((session, answer.result))
}

/// Whether the refusal of `initialize` may mean that the server has no such thing: method not found,
/// a version that is not supported, or a status that says as much.
fn wants_no_session<E>(refused: &Failed<E>) -> bool {
    match refused {
        Failed::Rpc { code, .. } => matches!(code, -32601 | -32600 | -32602 | -32022 | -32004),
        Failed::Status { status, .. } => matches!(status, 400 | 405),
        _ => false,
    }
}
