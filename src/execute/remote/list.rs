//! The tools that a remote MCP server has.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::app::App;
use crate::credentials::dcr;
use crate::domain::outbound::OutboundRequest;
use crate::error::{Error, Result, codes};
use crate::mcp_client::{self, Endpoint, Failed, Wire};
use crate::net::{CredentialNames, NetError, Streamed};

/// How long one request of a listing may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server was found to be.
#[derive(Debug)]
pub enum Listing {
    /// Its tools, with what it says of itself: `serverInfo`, `instructions`, `tools`.
    Tools(Value),
    /// It wants credentials first. Whether it says how to get them (OAuth).
    Closed {
        /// Whether an authorization server can be found.
        oauth: bool,
    },
}

/// Requests with headers that somebody gave, and no account.
struct Plain<'a> {
    app: &'a App,
    headers: &'a [(String, String)],
}

impl Plain<'_> {
    fn with(&self, mut request: OutboundRequest) -> (OutboundRequest, CredentialNames) {
        request.headers.extend(self.headers.iter().cloned());
        let headers = self.headers.iter().map(|(name, _)| name.clone()).collect();
        (request, CredentialNames { headers, query: Vec::new() })
    }
}

impl Wire for Plain<'_> {
    type Error = NetError;

    async fn open(&self, request: OutboundRequest) -> std::result::Result<Streamed, NetError> {
        let (request, names) = self.with(request);
        self.app.net.open(request, &names).await
    }

    fn tell(&self, request: OutboundRequest) {
        let (request, names) = self.with(request);
        let net = self.app.net.clone();
        let _running = self.app.tasks.spawn(async move {
            let _ = net.send_with(request, &names).await;
        });
    }
}

/// Asks a server for its tools, with these headers beside the usual ones.
///
/// # Errors
/// It is no MCP server, or cannot be reached.
pub async fn list(app: &App, url: &Url, headers: &[(String, String)]) -> Result<Listing> {
    let wire = Plain { app, headers };
    let endpoint = Endpoint {
        url: url.clone(),
        headers: Vec::new(),
        timeout: Some(app.net.at_most(PATIENCE)),
    };
    let host = url.host_str().unwrap_or("the server").to_owned();
    match mcp_client::list(&wire, &endpoint).await {
        Ok(tools) => Ok(Listing::Tools(tools)),
        Err(Failed::Status { status: 401, .. }) => {
            Ok(Listing::Closed { oauth: dcr::is_offered(&app.net, url).await })
        }
        Err(failed) => {
            let (code, why) = match failed {
                Failed::Wire(NetError::Refused(why)) | Failed::Net(NetError::Refused(why)) => {
                    (codes::VALIDATION_FAILED, why)
                }
                Failed::Wire(error) | Failed::Net(error) => {
                    (codes::PROVIDER_UNAVAILABLE, error.to_string())
                }
                Failed::Status { status, .. } => {
                    (codes::VALIDATION_FAILED, format!("{host} answered HTTP {status}"))
                }
                Failed::Rpc { message, .. } => {
                    (codes::VALIDATION_FAILED, format!("{host} reported an error: {message}"))
                }
                Failed::Protocol(what) => (codes::VALIDATION_FAILED, format!("{host} sent {what}")),
            };
            Err(Error::new(code, format!("The tools of the MCP server cannot be listed: {why}"))
                .fix("Check the URL: it is the one that MCP clients are given, often with /mcp at its end"))
        }
    }
}
