//! The tools that a remote MCP server has.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::super::access::{self, Access};
use super::super::exchange::{Exchange, Trouble};
use super::endpoint;
use crate::app::App;
use crate::catalog::Toolkit;
use crate::credentials::dcr;
use crate::domain::id::ProjectId;
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
    let host = url.host_str().unwrap_or("the server");
    match mcp_client::list(&wire, &endpoint).await {
        Ok(tools) => Ok(Listing::Tools(tools)),
        Err(Failed::Status { status: 401 | 403, .. }) => {
            Ok(Listing::Closed { oauth: dcr::is_offered(&app.net, url).await })
        }
        Err(Failed::Wire(error) | Failed::Net(error)) => Err(unlisted(trouble(error))),
        Err(failed) => Err(unlisted(said(host, &failed))),
    }
}

/// Asks the server of a toolkit for its tools with the credentials of an account.
///
/// # Errors
/// The account is none of the toolkit's or cannot be used; and as [`list`].
pub async fn list_as(
    app: &App,
    project: &ProjectId,
    toolkit: &Toolkit,
    account: &str,
) -> Result<Value> {
    let account = access::by_id(app, project, account).await?;
    if account.toolkit_slug != toolkit.file.slug {
        let message = format!("The connected account is one of {}", account.toolkit_slug);
        return Err(Error::new(codes::ACCOUNT_MISMATCH, message)
            .fix(format!("Pass an account of {}", toolkit.file.slug)));
    }
    let access: Access = access::with_config(app, project, account).await?;
    let exchange = Exchange::begin(app, toolkit, access, None).await?;
    let conn = exchange.access().fields(toolkit).conn;
    let mut endpoint = endpoint(toolkit, &conn)
        .map_err(|problem| Error::invalid("The MCP server cannot be asked", vec![problem]))?;
    endpoint.timeout = Some(app.net.at_most(PATIENCE));
    let mut listed = match mcp_client::list(&exchange, &endpoint).await {
        Ok(listed) => listed,
        Err(Failed::Wire(Trouble::Refused(error))) => return Err(error),
        Err(Failed::Wire(Trouble::Net(error)) | Failed::Net(error)) => {
            return Err(unlisted(trouble(error)));
        }
        Err(failed) => {
            let (code, why) = said(&toolkit.file.name, &failed);
            return Err(unlisted((code, exchange.secrets().clean(why))));
        }
    };
    // A server may say back what it was sent.
    exchange.secrets().clean_value(&mut listed);
    Ok(listed)
}

fn trouble(error: NetError) -> (crate::error::Code, String) {
    match error {
        NetError::Refused(why) => (codes::VALIDATION_FAILED, why),
        error => (codes::PROVIDER_UNAVAILABLE, error.to_string()),
    }
}

fn said<E>(who: &str, failed: &Failed<E>) -> (crate::error::Code, String) {
    let why = match failed {
        Failed::Status { status, .. } => format!("{who} answered HTTP {status}"),
        Failed::Rpc { message, .. } => format!("{who} reported an error: {message}"),
        Failed::Protocol(what) => format!("{who} sent {what}"),
        Failed::Wire(_) | Failed::Net(_) => format!("{who} did not answer"),
    };
    (codes::VALIDATION_FAILED, why)
}

fn unlisted((code, why): (crate::error::Code, String)) -> Error {
    Error::new(code, format!("The tools of the MCP server cannot be listed: {why}"))
        .fix("Check the URL: it is the one that MCP clients are given, often with /mcp at its end")
}
