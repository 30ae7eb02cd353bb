//! Which hosts and web pages may talk to the endpoints.
//!
//! A page can point a name of its own at any address (DNS rebinding) and then talk to it from the
//! visitor's browser as if it were its own server. The `Host` header has that name, so names that
//! are not this server's are refused; an IP address cannot be pointed anywhere.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};

use super::refusal::Refusal;
use crate::config::Config;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
/// Headers that a page's script may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "mcp-session-id, mcp-protocol-version, www-authenticate, x-request-id, retry-after, \
     x-ratelimit, x-ratelimit-remaining, x-ratelimit-window-size",
);
/// Seconds for which a browser may remember what it asked before.
const REMEMBER: HeaderValue = HeaderValue::from_static("7200");

/// See the module.
#[derive(Debug)]
pub(super) struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Gate {
    /// What the settings let through.
    pub(super) fn new(config: &Config) -> Self {
        let mut hosts = config.mcp_allowed_hosts.clone();
        let mut origins = config.mcp_allowed_origins.clone();
        if let Ok(url) = url::Url::parse(&config.public_url) {
            hosts.extend(url.host_str().map(str::to_ascii_lowercase));
            origins.push(url.origin().ascii_serialization());
        }
        Self { hosts, origins }
    }

    /// The page's origin, when a page sent the request.
    ///
    /// # Errors
    /// When the host or the origin is not let through.
    pub(super) fn check(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let host = match headers.get(header::HOST) {
            Some(host) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
            None => uri.authority().cloned(),
        };
        let host = host.ok_or_else(|| {
            Refusal::http(StatusCode::BAD_REQUEST, "The Host header is missing or malformed")
        })?;
        if !self.host(host.host()) {
            return Err(Refusal::http(
                StatusCode::FORBIDDEN,
                "This host name is not one of the server's. If it should be, the operator adds it \
                 to PATCHBAY_MCP_ALLOWED_HOSTS",
            ));
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        if origin.to_str().is_ok_and(|origin| self.origin(origin)) {
            return Ok(Some(origin.clone()));
        }
        Err(Refusal::http(
            StatusCode::FORBIDDEN,
            "Web pages of this origin may not talk to the server. If they should, the operator \
             adds it to PATCHBAY_MCP_ALLOWED_ORIGINS",
        ))
    }

    fn host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|known| known == "*" || *known == host)
    }

    fn origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.origins.iter().any(|known| known == "*" || *known == origin) || is_local(&origin)
    }
}

/// Whether a page was served by this machine.
fn is_local(origin: &str) -> bool {
    url::Url::parse(origin).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && match url.host() {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
                Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
                None => false,
            }
    })
}

/// The answer to a browser that asks before it sends a page's request.
pub(super) fn preflight<B: Default>(request: &HeaderMap) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBER);
    if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

/// Whether a browser asks before it sends.
pub(super) fn is_preflight(method: &Method) -> bool {
    method == Method::OPTIONS
}

/// Lets the page read the answer.
pub(super) fn admit<B>(response: &mut Response<B>, origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(hosts: &[&str], origins: &[&str]) -> Gate {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Gate { hosts: own(hosts), origins: own(origins) }
    }

    #[test]
    fn only_own_names_and_addresses_are_hosts() {
        let gate = gate(&["mcp.example.com"], &[]);
        for host in ["mcp.example.com", "MCP.example.com.", "localhost", "10.0.0.7", "[::1]"] {
            assert!(gate.host(host), "{host}");
        }
        for host in
            ["evil.test", "localhost.evil.test", "mcp.example.com.evil.test", "", "127.evil"]
        {
            assert!(!gate.host(host), "{host}");
        }
        assert!(super::tests::gate(&["*"], &[]).host("evil.test"));
    }

    #[test]
    fn only_own_and_local_pages_are_origins() {
        let gate = gate(&[], &["https://chat.example.com"]);
        for origin in ["https://chat.example.com", "http://localhost:6274", "http://127.0.0.1:1"] {
            assert!(gate.origin(origin), "{origin}");
        }
        for origin in [
            "http://chat.example.com",
            "https://chat.example.com.evil.test",
            "https://localhost.evil.test",
            "null",
            "file://",
            "",
        ] {
            assert!(!gate.origin(origin), "{origin}");
        }
    }
}
