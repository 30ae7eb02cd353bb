//! Sessions that can be used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::message::WITHOUT_SESSION;
use crate::domain::id::ProjectId;

/// Sessions that are kept; those used longest ago go first.
const MOST: usize = 10_000;
/// How long a session may lie unused. Servers forget them after about as long, or say so.
const IDLE: Duration = Duration::from_secs(300);

/// Whose session it is. Credentials are part of it: another token may be another person's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Project.
    pub project: ProjectId,
    /// Account and state of its credentials; empty where there are none.
    pub account: String,
    /// The server.
    pub url: String,
}

/// A session with a server.
#[derive(Debug)]
pub(super) struct Session {
    id: Option<String>,
    version: String,
    last_request: AtomicI64,
}

impl Session {
    /// One that has not begun.
    pub(super) fn new() -> Self {
        Self { id: None, version: String::new(), last_request: AtomicI64::new(0) }
    }

    /// One that the server began.
    pub(super) fn begun(id: Option<String>, version: String) -> Self {
        Self { id, version, last_request: AtomicI64::new(1) }
    }

    /// What takes its place where the server has none: each request stands for itself.
    pub(super) fn none() -> Self {
        Self::begun(None, WITHOUT_SESSION.to_owned())
    }

    pub(super) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Whether requests have to say what the client is.
    pub(super) fn is_none(&self) -> bool {
        self.version == WITHOUT_SESSION
    }

    /// An id for a request.
    pub(super) fn next_request(&self) -> i64 {
        self.last_request.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Headers of a message in this session.
    pub(super) fn headers(&self, message: &Value) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        if let Some(id) = &self.id {
            headers.push(("Mcp-Session-Id".to_owned(), id.clone()));
        }
        if !self.version.is_empty() {
            headers.push(("MCP-Protocol-Version".to_owned(), self.version.clone()));
        }
        if self.is_none()
            && let Some(method) = message.get("method").and_then(Value::as_str)
        {
            headers.push(("Mcp-Method".to_owned(), method.to_owned()));
            if let Some(name) = message.pointer("/params/name").and_then(Value::as_str) {
                headers.push(("Mcp-Name".to_owned(), header_text(name)));
            }
        }
        headers
    }
}

/// Text as a header may hold it: what is not plain is wrapped as the protocol says.
fn header_text(text: &str) -> String {
    let plain = text.bytes().all(|b| (0x21..=0x7e).contains(&b) || b == b' ')
        && text.trim() == text
        && !text.is_empty()
        && !text.starts_with("=?");
    if plain { text.to_owned() } else { format!("=?base64?{}?=", STANDARD.encode(text)) }
}

/// Sessions by whose they are.
#[derive(Debug)]
pub struct Sessions(Cache<Key, (Arc<Session>, Instant)>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Sessions {
    /// One that was used not long ago.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Session>> {
        let (session, used) = self.0.get(key)?;
        if used.elapsed() > IDLE {
            self.0.remove(key);
            return None;
        }
        Some(session)
    }

    /// Keeps a session, or that it was used.
    pub(super) fn keep(&self, key: &Key, session: &Arc<Session>) {
        self.0.insert(key.clone(), (session.clone(), Instant::now()));
    }

    /// Forgets a session, unless another one has taken its place.
    pub(super) fn forget(&self, key: &Key, session: &Arc<Session>) {
        let _ = self.0.remove_if(key, |(known, _)| Arc::ptr_eq(known, session));
    }
}
