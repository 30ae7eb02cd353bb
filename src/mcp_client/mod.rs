//! Calls of remote MCP servers over streamable HTTP.
//!
//! A session is an id and a version of the protocol, no connection and no task: it costs nothing while
//! nobody calls. How a request gets its credentials and leaves is the [`Wire`]'s business.
//!
//! | file | knows |
//! |---|---|
//! | `message` | JSON-RPC, and what a server may ask of us |
//! | `events` | server-sent events |
//! | `exchange` | one request and its answer, whichever way it comes |
//! | `call` | the life of a session: made, used, forgotten by the server, made anew |
//! | `sessions` | sessions that can be used again |

mod call;
mod events;
mod exchange;
mod message;
mod sessions;

use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::domain::outbound::OutboundRequest;
use crate::net::{NetError, Streamed};

pub use call::{call, list};
pub use sessions::{Key, Sessions};

/// Sends requests with the credentials that they need.
pub trait Wire: Sync {
    /// Why a request was not answered.
    type Error: Send;

    /// Sends a request; the body of the answer is read as it comes.
    fn open(
        &self,
        request: OutboundRequest,
    ) -> impl Future<Output = Result<Streamed, Self::Error>> + Send;

    /// Sends a request whose answer nobody waits for.
    fn tell(&self, request: OutboundRequest);
}

/// Where a server is, and how long it may take.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The one URL of the server.
    pub url: Url,
    /// Headers of the toolkit.
    pub headers: Vec<(String, String)>,
    /// Total time of a request; the client's own limit when none.
    pub timeout: Option<Duration>,
}

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    /// `result` of the answer.
    pub result: Value,
    /// Whether the server said that its list of tools is another one now.
    pub list_changed: bool,
}

/// Why there is no result.
#[derive(Debug)]
pub enum Failed<E> {
    /// The request was not answered.
    Wire(E),
    /// The answer broke off, or is too large.
    Net(NetError),
    /// An HTTP status that is no success, and what came with it.
    Status {
        /// The status.
        status: u16,
        /// The body, as JSON or text.
        body: Value,
    },
    /// The server's own error.
    Rpc {
        /// JSON-RPC code.
        code: i64,
        /// What it says.
        message: String,
        /// Whether the server said that its list of tools is another one now.
        list_changed: bool,
    },
    /// What came is not the protocol; says what.
    Protocol(String),
}

impl<E> Failed<E> {
    /// Whether the server does not know the tool that was called (any more).
    pub fn is_unknown_tool(&self) -> bool {
        match self {
            // Invalid params, and method not found by those who think of tools as methods.
            Self::Rpc { code: -32602 | -32601, message, .. } => {
                let said = message.to_lowercase();
                said.contains("tool")
                    && ["unknown", "not found", "no such", "does not exist"]
                        .iter()
                        .any(|w| said.contains(w))
            }
            _ => false,
        }
    }
}

impl<E> From<NetError> for Failed<E> {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}
