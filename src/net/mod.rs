//! Every outbound byte goes through here: one client with pooled connections, limits of time and
//! size, and the guard over the addresses.

pub mod download;
mod encode;
pub mod guard;
mod redirect;
mod streamed;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::config::Config;
use crate::domain::outbound::{OutboundRequest, OutboundResponse};
use encode::Body;
use guard::{Guard, Refusal};
use streamed::Limits;

pub use streamed::Streamed;

/// Redirects that one request follows.
const MAX_REDIRECTS: usize = 5;

/// How much of the answer to a notification is read, and how long that is waited for.
const MAX_REPLY: usize = 16 * 1024;
const AFTER_HEAD: Duration = Duration::from_secs(1);

/// The one HTTP client. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    guard: Guard,
    read_timeout: Duration,
    timeout: Duration,
    max_response_bytes: usize,
}

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

/// Names of the headers and query parameters that carry credentials, besides `Authorization`
/// and `Cookie`: they are left out when a redirect leads to another host.
#[derive(Debug, Clone, Default)]
pub struct CredentialNames {
    /// Header names.
    pub headers: Vec<String>,
    /// Query parameters.
    pub query: Vec<String>,
}

/// How far redirects are followed.
enum Follow<'a> {
    No,
    Yes(&'a CredentialNames),
}

/// One attempt: a request that is ready for the wire.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
}

impl Client {
    /// Builds the client.
    ///
    /// # Errors
    /// When the system has no usable certificate store.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        // Fails only when a provider is there already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = Guard::new(&config.egress_allow);
        #[expect(clippy::disallowed_methods, reason = "the one place")]
        let http = reqwest::Client::builder()
            .user_agent(concat!("Patchbay/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .dns_resolver(guard.clone())
            .connect_timeout(config.outbound_connect_timeout)
            .pool_max_idle_per_host(1024)
            .pool_idle_timeout(Duration::from_secs(55))
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(60))
            .build()?;
        Ok(Self(Arc::new(Inner {
            http,
            guard,
            read_timeout: config.outbound_read_timeout,
            timeout: config.outbound_timeout,
            max_response_bytes: config.outbound_max_response_bytes,
        })))
    }

    /// Sends a request that carries no credentials besides `Authorization` and `Cookie` headers.
    /// Redirects are followed within the same origin (scheme, host, port), and for GET and HEAD,
    /// with everything that came from credentials removed, to other hosts that the guard lets
    /// through. A redirect that is not followed is returned as it is.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, NetError> {
        self.send_with(request, &CredentialNames::default()).await
    }

    /// As [`Client::send`], for a request with credentials under further names.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn send_with(
        &self,
        request: OutboundRequest,
        credentials: &CredentialNames,
    ) -> Result<OutboundResponse, NetError> {
        self.run(request, Follow::Yes(credentials), self.0.max_response_bytes).await
    }

    /// Sends a request and returns what the first host answers, also a redirect.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn send_once(&self, request: OutboundRequest) -> Result<OutboundResponse, NetError> {
        self.run(request, Follow::No, self.0.max_response_bytes).await
    }

    /// As [`Client::send_once`], for a document of a stranger's that is no larger than `limit`.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn send_small(
        &self,
        request: OutboundRequest,
        limit: usize,
    ) -> Result<OutboundResponse, NetError> {
        self.run(request, Follow::No, limit.min(self.0.max_response_bytes)).await
    }

    /// Sends a request whose answer counts by its status: a receiver that has answered was reached,
    /// whatever comes after the head. Redirects are returned as they are; of the body there is no
    /// more than the beginning.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn notify(&self, request: OutboundRequest) -> Result<OutboundResponse, NetError> {
        let deadline = Instant::now() + request.timeout.unwrap_or(self.0.timeout);
        let mut hop = encode::hop(request)?;
        let patience = deadline.saturating_duration_since(Instant::now());
        let mut answer = self.attempt(&mut hop, deadline, patience).await?;
        let status = answer.status().as_u16();
        let headers = std::mem::take(answer.headers_mut());
        let mut body = Vec::new();
        // A connection whose answer was read to its end can be used again.
        let until = deadline.min(Instant::now() + AFTER_HEAD);
        while let Ok(Ok(Some(chunk))) = timeout_at(until, answer.chunk()).await {
            let room = MAX_REPLY.saturating_sub(body.len());
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                break;
            }
        }
        Ok(OutboundResponse { status, headers, body: body.into() })
    }

    /// Whether what is sent to this URL is safe on its way: by https, or to a host that the
    /// operator named among the exceptions of the guard.
    pub fn is_safe_way(&self, url: &Url) -> bool {
        url.scheme() == "https" || (url.scheme() == "http" && self.0.guard.is_named(url))
    }

    /// `limit`, or the configured total time of a request when that is shorter.
    pub fn at_most(&self, limit: Duration) -> Duration {
        limit.min(self.0.timeout)
    }

    /// Whether the guard would refuse this URL by its text alone.
    ///
    /// # Errors
    /// [`NetError::Refused`].
    pub fn check_url(&self, url: &Url) -> Result<(), NetError> {
        self.0.guard.check_url(url)
    }

    /// As [`Client::send_with`], but for the body, which is read as it comes.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn open(
        &self,
        request: OutboundRequest,
        credentials: &CredentialNames,
    ) -> Result<Streamed, NetError> {
        self.begin(request, Follow::Yes(credentials), self.0.max_response_bytes).await
    }

    async fn run(
        &self,
        request: OutboundRequest,
        follow: Follow<'_>,
        limit: usize,
    ) -> Result<OutboundResponse, NetError> {
        self.begin(request, follow, limit).await?.whole().await
    }

    async fn begin(
        &self,
        request: OutboundRequest,
        follow: Follow<'_>,
        bytes: usize,
    ) -> Result<Streamed, NetError> {
        let deadline = Instant::now() + request.timeout.unwrap_or(self.0.timeout);
        // A definition that allows more time means that the provider thinks that long.
        let patience = request.timeout.map_or(self.0.read_timeout, |t| t.max(self.0.read_timeout));
        let limits = Limits { deadline, silence: self.0.read_timeout, bytes };
        let mut hop = encode::hop(request)?;
        for _ in 0..MAX_REDIRECTS {
            let answer = self.attempt(&mut hop, deadline, patience).await?;
            let next = match &follow {
                Follow::No => None,
                Follow::Yes(credentials) => {
                    redirect::next(&hop, answer.status(), answer.headers(), credentials)
                }
            };
            match next {
                Some(next) => hop = next,
                None => return Ok(Streamed::new(answer, hop.url, limits)),
            }
        }
        Err(NetError::Connection(format!("{} redirects too often", host(&hop.url))))
    }

    async fn attempt(
        &self,
        hop: &mut Hop,
        deadline: Instant,
        patience: Duration,
    ) -> Result<reqwest::Response, NetError> {
        self.0.guard.check_url(&hop.url)?;
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = hop.headers.clone();
        hop.body.put_into(&mut request);
        let limit = deadline.min(Instant::now() + patience);
        match timeout_at(limit, self.0.http.execute(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(explain(&error, &hop.url)),
            Err(_) => Err(timed_out(&hop.url)),
        }
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or("the provider")
}

fn timed_out(url: &Url) -> NetError {
    NetError::Timeout(format!("{} did not answer in time", host(url)))
}

fn too_large(url: &Url, limit: usize) -> NetError {
    NetError::TooLarge(format!("The answer of {} is larger than {limit} bytes", host(url)))
}

/// The client's error in words of our own: its own text may hold the URL.
fn explain(error: &reqwest::Error, url: &Url) -> NetError {
    let host = host(url);
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(Refusal(name)) = inner.downcast_ref::<Refusal>() {
            return guard::refused(name);
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        return if error.is_connect() {
            NetError::Timeout(format!("{host} could not be reached in time"))
        } else {
            timed_out(url)
        };
    }
    if error.is_builder() {
        return NetError::Invalid(format!("The request to {host} cannot be sent as it is"));
    }
    let reason = if error.is_connect() {
        connect_reason(error)
    } else if error.is_decode() {
        "sent an answer that cannot be decoded, or broke it off"
    } else {
        "broke the connection off before its answer was complete"
    };
    NetError::Connection(format!("{host} {reason}"))
}

fn connect_reason(error: &reqwest::Error) -> &'static str {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return "has a certificate or TLS set-up that is not trusted";
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            if io.get_ref().is_some_and(|e| e.is::<rustls::Error>()) {
                return "has a certificate or TLS set-up that is not trusted";
            }
            if io.kind() == std::io::ErrorKind::ConnectionRefused {
                return "refused the connection";
            }
            if io.raw_os_error().is_none() && io.to_string().contains("lookup address") {
                return "is a name that does not resolve";
            }
        }
        cause = inner.source();
    }
    "could not be reached"
}
