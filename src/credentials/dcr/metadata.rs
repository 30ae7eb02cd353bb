//! What the documents of a resource and of an authorization server say, and whether that can be
//! used. Nothing is sent from here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{Failure, Method};
use crate::net::Client;

/// Longest URL and most list items that are taken from a document.
const MAX_URL: usize = 2000;
const MAX_ITEMS: usize = 100;

/// An authorization server, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Its name; none when the definition's own endpoints stand in for metadata.
    pub issuer: Option<String>,
    /// The resource that tokens are for (RFC 8707).
    pub resource: Option<String>,
    /// Authorization endpoint.
    pub authorize_url: String,
    /// Token endpoint.
    pub token_url: String,
    /// Registration endpoint.
    pub register_url: Option<String>,
    /// Revocation endpoint.
    pub revoke_url: Option<String>,
    /// Ways to authenticate a client that both sides know; empty: the server does not say.
    pub methods: Vec<Method>,
    /// Whether the server names itself in the answer of an authorization (RFC 9207).
    pub sends_iss: bool,
    /// Scopes to ask for.
    pub scopes: Vec<String>,
    /// Whether `offline_access` is what brings a refresh token.
    pub offline_access: bool,
    /// When this was found.
    pub found_at: DateTime<Utc>,
}

/// A document of a protected resource (RFC 9728).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its name, as tokens are asked for.
    pub resource: Option<String>,
    /// Issuers of its authorization servers.
    pub issuers: Vec<String>,
    /// Scopes that it knows.
    pub scopes: Vec<String>,
}

fn unsuitable<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Unsuitable(why.into()))
}

fn texts(document: &Value, name: &str) -> Option<Vec<String>> {
    let items = document.get(name)?.as_array()?;
    let plain = |text: &&str| text.len() <= MAX_URL && !text.chars().any(char::is_control);
    Some(
        items
            .iter()
            .filter_map(Value::as_str)
            .filter(plain)
            .take(MAX_ITEMS)
            .map(str::to_owned)
            .collect(),
    )
}

/// Scopes of a list or of a text, without what cannot be one (RFC 6749 section 3.3).
pub fn scopes<'a>(items: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_scope = |text: &&str| {
        !text.is_empty()
            && text.len() <= 200
            && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
            && !text.contains("{{")
            && !text.contains("{%")
    };
    let mut all: Vec<String> = Vec::new();
    for scope in items.filter(is_scope).take(MAX_ITEMS) {
        if !all.iter().any(|known| known == scope) {
            all.push(scope.to_owned());
        }
    }
    all
}

/// A URL of a document that may be called, or that a browser may be sent to.
pub fn endpoint(net: &Client, what: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|u| {
        // Braces would make a template of it.
        text.len() <= MAX_URL
            && u.has_host()
            && u.fragment().is_none()
            && !text.contains(['{', '}'])
    });
    let Some(url) = url else {
        return unsuitable(format!("its {what} is not a URL that can be used"));
    };
    if !net.is_safe_way(&url) {
        return unsuitable(format!("its {what} is not an https URL"));
    }
    net.check_url(&url).map_err(|e| Failure::Unsuitable(format!("its {what}: {e}")))?;
    Ok(url)
}

/// Whether a resource that names itself `named` is the one at `url`: the same origin, and the
/// same path or one above it. Servers with one document for all of their paths do the latter.
fn covers(named: &str, url: &Url) -> bool {
    let Ok(named) = Url::parse(named) else { return false };
    let path = named.path().trim_end_matches('/');
    named.origin() == url.origin()
        && named.fragment().is_none()
        && named.username().is_empty()
        && named.query().is_none_or(|q| url.query() == Some(q))
        && (url.path() == path
            || url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
}

/// Reads the document of the resource at `url`.
pub fn resource(document: &Value, url: &Url) -> Result<Resource, Failure> {
    let named = document.get("resource").and_then(Value::as_str);
    match named {
        Some(named) if covers(named, url) && !named.contains(['{', '}']) => {}
        Some(_) => return unsuitable("the metadata of its resource is about another resource"),
        None => return unsuitable("the metadata of its resource does not name the resource"),
    }
    Ok(Resource {
        resource: named.map(str::to_owned),
        issuers: texts(document, "authorization_servers").unwrap_or_default(),
        scopes: scopes(
            texts(document, "scopes_supported").unwrap_or_default().iter().map(String::as_str),
        ),
    })
}

/// What the definition says beyond the documents.
pub struct Wanted<'a> {
    /// Issuer whose metadata this must be; none: any of the document's own origin, `from`.
    pub issuer: Option<&'a str>,
    /// Where the document was.
    pub from: &'a Url,
    /// PKCE is known to be there without being advertised.
    pub pkce_unadvertised: bool,
    /// Whether a client has to be registered.
    pub registers: bool,
}

/// Reads the metadata of an authorization server (RFC 8414).
pub fn server(
    net: &Client,
    document: &Value,
    wanted: &Wanted<'_>,
    now: DateTime<Utc>,
) -> Result<Server, Failure> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let Some(issuer) = text("issuer") else {
        return unsuitable("the metadata of its authorization server names no issuer");
    };
    let same = match wanted.issuer {
        // One slash more or less is no other server.
        Some(known) => known.trim_end_matches('/') == issuer.trim_end_matches('/'),
        None => Url::parse(issuer).is_ok_and(|u| u.origin() == wanted.from.origin()),
    };
    if !same {
        return unsuitable("the metadata of its authorization server is of another issuer");
    }
    endpoint(net, "issuer", issuer)?;
    let needed = |name: &str| -> Result<String, Failure> {
        let Some(url) = text(name) else {
            return unsuitable(format!("its authorization server has no {name}"));
        };
        endpoint(net, name, url).map(String::from)
    };
    let optional = |name: &str| text(name).map(|url| endpoint(net, name, url).map(String::from));
    let has = |name: &str, value: &str, usual: bool| {
        texts(document, name).map_or(usual, |all| all.iter().any(|v| v == value))
    };
    if !has("code_challenge_methods_supported", "S256", wanted.pkce_unadvertised) {
        return unsuitable("its authorization server does not offer PKCE with S256");
    }
    if !has("response_types_supported", "code", true) {
        return unsuitable("its authorization server does not offer the response type code");
    }
    if !has("grant_types_supported", "authorization_code", true) {
        return unsuitable("its authorization server does not offer the authorization code grant");
    }
    let register_url = optional("registration_endpoint").transpose()?;
    if wanted.registers && register_url.is_none() {
        return unsuitable(
            "its authorization server has no registration_endpoint (dynamic client registration)",
        );
    }
    let methods = match texts(document, "token_endpoint_auth_methods_supported") {
        None => Vec::new(),
        Some(all) => {
            let known: Vec<Method> = [Method::Basic, Method::Post, Method::None]
                .into_iter()
                .filter(|m| all.iter().any(|name| name == m.as_str()))
                .collect();
            if known.is_empty() {
                return unsuitable(
                    "its token endpoint takes none of the client authentications none, \
                     client_secret_basic and client_secret_post",
                );
            }
            known
        }
    };
    Ok(Server {
        issuer: Some(issuer.to_owned()),
        resource: None,
        authorize_url: needed("authorization_endpoint")?,
        token_url: needed("token_endpoint")?,
        register_url,
        // Not worth failing for.
        revoke_url: optional("revocation_endpoint").and_then(Result::ok),
        methods,
        sends_iss: document.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
        scopes: Vec::new(),
        offline_access: has("scopes_supported", "offline_access", false),
        found_at: now,
    })
}

/// Places of a document about `url` (a resource or an issuer): with the name between host and
/// path, and, for issuers of OpenID Connect, below the path.
pub fn well_known(url: &Url, name: &str, below: bool) -> Url {
    let mut place = url.clone();
    let path = url.path().trim_end_matches('/');
    let path = if below {
        format!("{path}/.well-known/{name}")
    } else {
        format!("/.well-known/{name}{path}")
    };
    place.set_path(&path);
    place.set_query(None);
    place.set_fragment(None);
    place
}
