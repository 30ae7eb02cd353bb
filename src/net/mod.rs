//! Every outbound byte goes through here.

use crate::config::Config;
use crate::domain::outbound::{OutboundRequest, OutboundResponse};

/// The one HTTP client.
#[derive(Debug, Clone)]
pub struct Client;

/// Why there is no answer. Messages name the host, never path, query or headers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    /// The guard refused the address.
    #[error("{0}")]
    Refused(String),
    /// Nobody answered in time.
    #[error("{0}")]
    Timeout(String),
    /// The connection failed or broke.
    #[error("{0}")]
    Connection(String),
    /// The answer is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// The request cannot be sent as it is (a header with a line break, …).
    #[error("{0}")]
    Invalid(String),
}

impl Client {
    /// Builds the client.
    ///
    /// # Errors
    /// When the system has no usable certificate store.
    pub fn new(_config: &Config) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Sends a request. Redirects are followed only to the same host (scheme, host, port), or, with
    /// everything that came from credentials removed, to hosts that the guard lets through.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn send(&self, _request: OutboundRequest) -> Result<OutboundResponse, NetError> {
        Err(NetError::Connection("no client".into()))
    }
}
