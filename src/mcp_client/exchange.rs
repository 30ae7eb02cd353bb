//! One request and its answer: a JSON document, or a stream of events that has it.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::events::Events;
use super::message::{self, Incoming};
use super::sessions::Session;
use super::{Answer, Endpoint, Failed, Wire};
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::net::Streamed;

/// How often a stream that broke off is asked for again.
const MOST_RESUMPTIONS: usize = 5;
/// Questions of a server that are answered within one call.
const MOST_QUESTIONS: usize = 20;
/// Longest wait before a stream is asked for again, where the server has no wish.
const USUAL_RETRY: std::time::Duration = std::time::Duration::from_millis(500);

/// What a request is answered with, beside the headers of the answer.
pub(super) type Answered<E> = Result<(Answer, HeaderMap), Failed<E>>;

/// A request for the endpoint, without credentials.
pub(super) fn post(endpoint: &Endpoint, session: &Session, message: &Value) -> OutboundRequest {
    let mut headers = endpoint.headers.clone();
    headers.push(("Accept".into(), "application/json, text/event-stream".into()));
    headers.extend(session.headers(message));
    OutboundRequest {
        method: Method::POST,
        url: endpoint.url.clone(),
        headers,
        body: OutboundBody::Json(message.clone()),
        timeout: endpoint.timeout,
    }
}

/// Sends a request and reads on until its answer is there.
pub(super) async fn ask<W: Wire>(
    wire: &W,
    endpoint: &Endpoint,
    session: &Session,
    message: &Value,
) -> Answered<W::Error> {
    let id = message.get("id").cloned().unwrap_or(Value::Null);
    let mut cancel = Cancel { wire, endpoint, session, id: None };
    // Nobody may cancel the first request of a session.
    if message.get("method").and_then(Value::as_str) != Some("initialize") {
        cancel.id = Some(id.clone());
    }
    let began = Instant::now();
    let answer = wire.open(post(endpoint, session, message)).await.map_err(Failed::Wire)?;
    let head = answer.headers.clone();
    let mut reading = Reading { wire, endpoint, session, id, list_changed: false, asked: 0 };
    let result = match kind(&answer) {
        Kind::Refusal => Err(refusal(answer).await),
        Kind::Json => reading.document(answer).await,
        Kind::Events => reading.stream(answer, began).await,
        Kind::Other(what) => Err(Failed::Protocol(what)),
    };
    // The server knows how it ended, unless the time was up.
    if !matches!(result, Err(Failed::Net(_))) {
        cancel.id = None;
    }
    let list_changed = reading.list_changed;
    match result {
        Ok(result) => Ok((Answer { result, list_changed }, head)),
        Err(Failed::Rpc { code, message, .. }) => Err(Failed::Rpc { code, message, list_changed }),
        Err(other) => Err(other),
    }
}

enum Kind {
    Refusal,
    Json,
    Events,
    Other(String),
}

fn kind(answer: &Streamed) -> Kind {
    let name = answer.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let name = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let good = (200..300).contains(&answer.status);
    match name.as_str() {
        _ if !good => Kind::Refusal,
        "application/json" => Kind::Json,
        "text/event-stream" => Kind::Events,
        "" => Kind::Other(format!("HTTP {} without an answer", answer.status)),
        other => {
            let shown: String = other.chars().take(60).collect();
            Kind::Other(format!("{shown} instead of JSON or a stream of events"))
        }
    }
}

/// What a status that is no success comes with. A JSON-RPC error says more than the status.
async fn refusal<E>(answer: Streamed) -> Failed<E> {
    let answer = match answer.whole().await {
        Ok(answer) => answer,
        Err(error) => return error.into(),
    };
    // 404 and 400 are what sessions end with, whatever is in the body.
    if !matches!(answer.status, 400 | 401 | 403 | 404)
        && let Ok(messages) = Incoming::read(&answer.body)
        && let Some(Incoming::Error(_, code, message)) = messages.into_iter().next()
    {
        return Failed::Rpc { code, message, list_changed: false };
    }
    let body = serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()));
    Failed::Status { status: answer.status, body }
}

struct Reading<'a, W> {
    wire: &'a W,
    endpoint: &'a Endpoint,
    session: &'a Session,
    id: Value,
    list_changed: bool,
    asked: usize,
}

impl<W: Wire> Reading<'_, W> {
    async fn document(&mut self, answer: Streamed) -> Result<Value, Failed<W::Error>> {
        let answer = answer.whole().await?;
        self.messages(&answer.body)?
            .ok_or_else(|| Failed::Protocol("an answer to something else".to_owned()))
    }

    /// Reads events until the answer is among them. A stream may end before: where it can be gone on
    /// with, it is.
    async fn stream(
        &mut self,
        mut answer: Streamed,
        began: Instant,
    ) -> Result<Value, Failed<W::Error>> {
        let mut events = Events::default();
        for _ in 0..MOST_RESUMPTIONS {
            let broke = loop {
                match answer.chunk().await {
                    Ok(Some(piece)) => {
                        for event in events.feed(&piece) {
                            if event.data.trim().is_empty() {
                                continue;
                            }
                            if let Some(result) = self.messages(event.data.as_bytes())? {
                                return Ok(result);
                            }
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let Some(last) = events.last_id.clone() else {
                return Err(broke.map_or_else(ended, Failed::Net));
            };
            if let Some(error) = broke
                && !matches!(error, crate::net::NetError::Connection(_))
            {
                return Err(error.into());
            }
            sleep(events.retry.unwrap_or(USUAL_RETRY)).await;
            answer = self.resume(&last, began).await?;
            events = Events::after(last, events.retry);
        }
        Err(ended())
    }

    /// The rest of a stream, after the event with this id.
    async fn resume(&self, last: &str, began: Instant) -> Result<Streamed, Failed<W::Error>> {
        let mut request = post(self.endpoint, self.session, &Value::Null);
        request.method = Method::GET;
        request.body = OutboundBody::Empty;
        request.headers.push(("Accept".into(), "text/event-stream".into()));
        request.headers.push(("Last-Event-ID".into(), last.to_owned()));
        request.timeout = match self.endpoint.timeout {
            None => None,
            Some(limit) => Some(limit.checked_sub(began.elapsed()).ok_or_else(ended)?),
        };
        let answer = self.wire.open(request).await.map_err(Failed::Wire)?;
        match kind(&answer) {
            Kind::Events => Ok(answer),
            _ => Err(ended()),
        }
    }

    /// Takes what is not the answer as what it is, and gives the answer if it is there.
    fn messages(&mut self, text: &[u8]) -> Result<Option<Value>, Failed<W::Error>> {
        let mut found = None;
        for message in Incoming::read(text).map_err(Failed::Protocol)? {
            match message {
                Incoming::Result(id, result) if id == self.id => found = Some(Ok(result)),
                Incoming::Error(id, code, message) if id == self.id || id.is_null() => {
                    found = Some(Err(Failed::Rpc { code, message, list_changed: false }));
                }
                Incoming::Notification(method) if method == "notifications/tools/list_changed" => {
                    self.list_changed = true;
                }
                Incoming::Request(id, method) => {
                    self.asked += 1;
                    if self.asked > MOST_QUESTIONS {
                        let why = "more questions than answers".to_owned();
                        return Err(Failed::Protocol(why));
                    }
                    let reply = message::reply(id, &method);
                    self.wire.tell(post(self.endpoint, self.session, &reply));
                }
                _ => {}
            }
        }
        found.transpose()
    }
}

fn ended<E>() -> Failed<E> {
    Failed::Protocol("no answer before the end of its stream".to_owned())
}

/// Tells the server that nobody waits for the answer any more, when that is so.
struct Cancel<'a, W: Wire> {
    wire: &'a W,
    endpoint: &'a Endpoint,
    session: &'a Session,
    id: Option<Value>,
}

impl<W: Wire> Drop for Cancel<'_, W> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let params = serde_json::json!({"requestId": id, "reason": "The caller went away"});
        let message = message::notification("notifications/cancelled", params);
        self.wire.tell(post(self.endpoint, self.session, &message));
    }
}

/// Ends a session that will not be used again.
pub(super) fn end<W: Wire>(wire: &W, endpoint: &Endpoint, session: &Session) {
    if session.has_id() {
        let mut request = post(endpoint, session, &Value::Null);
        request.method = Method::DELETE;
        request.body = OutboundBody::Empty;
        wire.tell(request);
    }
}
