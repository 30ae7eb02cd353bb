//! Finding the authorization server of a resource, or the endpoints of a known one.

use std::time::Duration;

use axum::http::{Method, header};
use serde_json::{Value, json};
use url::Url;

use super::challenge::{self, Challenge};
use super::metadata::{self, Resource, Server, Wanted, endpoint, well_known};
use super::{Failure, Target};
use crate::catalog::model::Dcr;
use crate::domain::outbound::{OutboundBody, OutboundRequest, OutboundResponse};
use crate::domain::time::now;
use crate::net::Client;

/// Longest time for one document.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest time for all of them.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Largest document.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Redirects that are followed for one document, all within its origin.
const MAX_REDIRECTS: usize = 3;

/// Most issuers of a resource that are asked.
const MAX_ISSUERS: usize = 3;

/// Sent along, because some servers tell protocols apart by it.
const MCP_VERSION: &str = "2025-06-18";

/// Finds the authorization server. `registers` says whether a client has to be registered there.
pub async fn discover(
    net: &Client,
    dcr: &Dcr,
    target: &Target,
    registers: bool,
) -> Result<Server, Failure> {
    let all = find(net, dcr, target, registers);
    match tokio::time::timeout(net.at_most(TOTAL_TIMEOUT), all).await {
        Ok(found) => found,
        Err(_) => Err(Failure::Unreachable("its metadata did not come in time".to_owned())),
    }
}

async fn find(
    net: &Client,
    dcr: &Dcr,
    target: &Target,
    registers: bool,
) -> Result<Server, Failure> {
    let (challenge, resource) = match &target.resource {
        Some(url) => of_resource(net, url).await?,
        None => (Challenge::default(), None),
    };
    let mut server = of_issuer(net, dcr, target, resource.as_ref(), registers).await?;
    let resource = resource.unwrap_or_default();
    // RFC 8707 wants the name that the resource has for itself.
    let own = || target.resource.as_ref().map(|url| plain(url).to_owned());
    server.resource = resource.resource.or_else(own);
    let asked = challenge.scope.as_deref().unwrap_or_default();
    server.scopes = match metadata::scopes(asked.split_ascii_whitespace()) {
        _ if !dcr.scopes.is_empty() => dcr.scopes.clone(),
        scopes if !scopes.is_empty() => scopes,
        _ => resource.scopes,
    };
    Ok(server)
}

/// An address without the slash that URLs of a bare host get.
fn plain(url: &Url) -> &str {
    match url.path() {
        "/" if url.query().is_none() => url.as_str().trim_end_matches('/'),
        _ => url.as_str(),
    }
}

/// The challenge and the metadata of a resource; the latter is missing at older servers.
async fn of_resource(net: &Client, url: &Url) -> Result<(Challenge, Option<Resource>), Failure> {
    endpoint(net, "address", url.as_str())?;
    let challenge = challenge(net, url).await?;
    if let Some(place) = &challenge.resource_metadata {
        let place = endpoint(net, "resource_metadata", place)?;
        if let Some(document) = document(net, place).await? {
            let found = metadata::resource(&document, url)?;
            return Ok((challenge, Some(found)));
        }
    }
    let mut places = vec![well_known(url, "oauth-protected-resource", false)];
    if !matches!(url.path(), "" | "/") {
        let mut root = url.clone();
        root.set_path("/");
        places.push(well_known(&root, "oauth-protected-resource", false));
    }
    for place in places {
        if let Some(document) = document(net, place).await? {
            let found = metadata::resource(&document, url)?;
            return Ok((challenge, Some(found)));
        }
    }
    Ok((challenge, None))
}

async fn of_issuer(
    net: &Client,
    dcr: &Dcr,
    target: &Target,
    resource: Option<&Resource>,
    registers: bool,
) -> Result<Server, Failure> {
    let named = resource.map(|r| r.issuers.as_slice()).unwrap_or_default();
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    let issuers: Vec<String> = match (&target.issuer, &target.resource) {
        (Some(issuer), _) => {
            let pinned = target.discovery.is_some();
            if !pinned && !named.is_empty() && !named.iter().any(|n| same(n, issuer)) {
                return Err(Failure::Unsuitable(
                    "its resource trusts another authorization server than the definition names"
                        .to_owned(),
                ));
            }
            vec![issuer.clone()]
        }
        (None, _) if !named.is_empty() => named.iter().take(MAX_ISSUERS).cloned().collect(),
        // Before RFC 9728 a server was its own authorization server.
        (None, Some(url)) => vec![url.origin().ascii_serialization()],
        (None, None) => Vec::new(),
    };
    if let Some(place) = &target.discovery {
        let wanted = Wanted {
            issuer: target.issuer.as_deref(),
            from: place,
            pkce_unadvertised: dcr.pkce_unadvertised,
            registers,
        };
        endpoint(net, "discovery_url", place.as_str())?;
        if let Some(document) = document(net, place.clone()).await? {
            return metadata::server(net, &document, &wanted, now());
        }
    }
    let mut first = None;
    for issuer in &issuers {
        match at_issuer(net, dcr, issuer, registers).await {
            Ok(Some(server)) => return Ok(server),
            Ok(None) => {}
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    if let Some(fallback) = &dcr.fallback {
        return Ok(Server {
            issuer: None,
            resource: None,
            authorize_url: fallback.authorize_url.clone(),
            token_url: fallback.token_url.clone(),
            register_url: Some(fallback.registration_url.clone()),
            revoke_url: fallback.revoke_url.clone(),
            methods: Vec::new(),
            sends_iss: false,
            scopes: Vec::new(),
            offline_access: false,
            found_at: now(),
        });
    }
    let asked = issuers.iter().filter_map(|i| Url::parse(i).ok()?.host_str().map(str::to_owned));
    let asked: Vec<String> = asked.collect();
    Err(first.unwrap_or_else(|| {
        Failure::Unsuitable(format!(
            "{} publishes no metadata of an OAuth authorization server",
            if asked.is_empty() { "the server".to_owned() } else { asked.join(", ") }
        ))
    }))
}

/// The metadata at the places that belong to an issuer; none when there is no document.
async fn at_issuer(
    net: &Client,
    dcr: &Dcr,
    issuer: &str,
    registers: bool,
) -> Result<Option<Server>, Failure> {
    let url = endpoint(net, "issuer", issuer)?;
    let mut places = vec![
        well_known(&url, "oauth-authorization-server", false),
        well_known(&url, "openid-configuration", false),
        well_known(&url, "openid-configuration", true),
    ];
    places.dedup();
    for place in places {
        let Some(document) = document(net, place.clone()).await? else { continue };
        let wanted = Wanted {
            issuer: Some(issuer),
            from: &place,
            pkce_unadvertised: dcr.pkce_unadvertised,
            registers,
        };
        return metadata::server(net, &document, &wanted, now()).map(Some);
    }
    Ok(None)
}

/// What a resource answers to a stranger. MCP servers want a POST; a GET is enough for others, and
/// tells most of the former too.
async fn challenge(net: &Client, url: &Url) -> Result<Challenge, Failure> {
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": MCP_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "Patchbay", "version": env!("CARGO_PKG_VERSION")},
        },
    });
    let asks = [(Method::GET, OutboundBody::Empty), (Method::POST, OutboundBody::Json(hello))];
    let mut last = None;
    for (method, body) in asks {
        let mut request = request(url.clone());
        request.method = method;
        request.body = body;
        // One that opens a stream to strangers has no challenge.
        request.timeout = Some(net.at_most(Duration::from_secs(4)));
        let answer = match net.send_small(request, MAX_DOCUMENT).await {
            Ok(answer) => answer,
            Err(error) => {
                last = Some(error);
                continue;
            }
        };
        last = None;
        if answer.status == 401 {
            let values = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
            let found = challenge::read(values.filter_map(|v| v.to_str().ok()));
            if found != Challenge::default() {
                return Ok(found);
            }
        }
    }
    match last.map(Failure::from) {
        // Refused by the guard: no other path of it will do.
        Some(Failure::Unsuitable(why)) => Err(Failure::Unsuitable(why)),
        _ => Ok(Challenge::default()),
    }
}

fn request(url: Url) -> OutboundRequest {
    OutboundRequest {
        method: Method::GET,
        url,
        headers: vec![
            ("accept".to_owned(), "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version".to_owned(), MCP_VERSION.to_owned()),
        ],
        body: OutboundBody::Empty,
        timeout: None,
    }
}

/// Reads a document; none when there is none.
async fn document(net: &Client, mut url: Url) -> Result<Option<Value>, Failure> {
    for _ in 0..=MAX_REDIRECTS {
        let mut ask = request(url.clone());
        ask.headers[0].1 = "application/json".to_owned();
        ask.timeout = Some(net.at_most(DOCUMENT_TIMEOUT));
        let answer = net.send_small(ask, MAX_DOCUMENT).await?;
        match answer.status {
            200 => {
                let value = serde_json::from_slice::<Value>(&answer.body).ok();
                // Sites that answer every path with a page have no document.
                return Ok(value.filter(Value::is_object));
            }
            301 | 302 | 303 | 307 | 308 => match within(&answer, &url) {
                Some(next) => url = next,
                None => return Ok(None),
            },
            429 | 500.. => {
                return Err(Failure::Unreachable(format!(
                    "{} answered HTTP {}",
                    url.host_str().unwrap_or("the server"),
                    answer.status
                )));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Where a redirect leads, when that is the same origin.
fn within(answer: &OutboundResponse, url: &Url) -> Option<Url> {
    let location = answer.headers.get(header::LOCATION)?.to_str().ok()?;
    let next = url.join(location).ok()?;
    (next.origin() == url.origin() && next.username().is_empty()).then_some(next)
}
