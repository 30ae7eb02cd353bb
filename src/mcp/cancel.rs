//! Calls that their clients no longer want.
//!
//! The notification comes in a request of its own, on any replica. A call is therefore found by what
//! both requests carry: the endpoint, the client's session id and the number of the request.

use axum::http::HeaderMap;
use rmcp::model::RequestId;
use serde_json::Value;

use crate::app::App;
use crate::cache::{Topic, Watch};
use crate::db::notify::Changed;
use crate::domain::id::{ProjectId, random_text};
use crate::error::Result;

/// The header that names a client.
pub(super) const CLIENT: &str = "mcp-session-id";
/// Longest id of a client or a request that is looked at.
const MAX_ID: usize = 128;

/// A name for a client that introduces itself. It opens nothing.
pub(super) fn new_client() -> String {
    random_text(24)
}

/// The name that a client sent.
pub(super) fn client(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(CLIENT)?.to_str().ok()?;
    let good = (1..=MAX_ID).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| name.to_owned())
}

fn topic(project: &ProjectId, door: &str, client: &str, request: &str) -> Option<Topic> {
    let call = format!("{door} {client} {request}");
    (request.len() <= MAX_ID).then(|| Topic::Call(project.clone(), call))
}

/// Hears of the cancellation of a call, from now on.
pub(super) fn watch(
    app: &App,
    project: &ProjectId,
    door: &str,
    client: &str,
    request: &RequestId,
) -> Option<Watch> {
    let request = match request {
        RequestId::Number(number) => number.to_string(),
        RequestId::String(text) => Value::from(text.as_ref()).to_string(),
    };
    Some(app.cache.watches.watch(vec![topic(project, door, client, &request)?]))
}

/// Ends a call, wherever it is made. Unknown ones are nothing.
///
/// # Errors
/// When the database is away.
pub(super) async fn cancel(
    app: &App,
    project: &ProjectId,
    door: &str,
    client: &str,
    request: &Value,
) -> Result<()> {
    let Some(topic) = topic(project, door, client, &request.to_string()) else { return Ok(()) };
    if app.cache.watches.tell(&topic) {
        return Ok(());
    }
    let Topic::Call(project, call) = topic else { return Ok(()) };
    app.changed(&app.db, &Changed::McpCancelled { project, call }).await
}
