//! `dcr` of a scheme: an authorization server that is found, and a client that is registered there.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ClientAuth;

/// OAuth 2.0 with discovery and dynamic client registration. Everything has a default: a remote
/// MCP server at the toolkit's `base_url` needs none of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dcr {
    /// URL of the protected resource (RFC 9728); the toolkit's `base_url` when absent. May hold
    /// `{{ conn.<field> }}`.
    pub resource: Option<String>,
    /// Issuer of the authorization server, when the resource does not name it, or to pin it.
    pub issuer: Option<String>,
    /// Where the authorization server's metadata is, when not at the well-known places of the
    /// issuer.
    pub discovery_url: Option<String>,
    /// Scopes asked for when the auth config names none; when empty, those of the resource's
    /// challenge or of its metadata.
    pub scopes: Vec<String>,
    /// Scopes that a developer can choose from; informational.
    pub available_scopes: Vec<String>,
    /// Further client metadata for the registration (RFC 7591), over the server's own.
    pub registration: Map<String, Value>,
    /// How the client authenticates itself, where the server leaves the choice.
    pub client_auth: Option<ClientAuth>,
    /// Further parameters of the authorization request.
    pub authorize_params: BTreeMap<String, String>,
    /// The server takes PKCE although its metadata does not say so.
    pub pkce_unadvertised: bool,
    /// Endpoints of a server that publishes no metadata.
    pub fallback: Option<Fallback>,
}

/// Endpoints of an authorization server without metadata.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Authorization endpoint.
    pub authorize_url: String,
    /// Token endpoint.
    pub token_url: String,
    /// Registration endpoint.
    pub registration_url: String,
    /// Revocation endpoint.
    #[serde(default)]
    pub revoke_url: Option<String>,
}

impl Dcr {
    /// Every URL of the definition, with the key it stands under.
    pub fn urls(&self) -> Vec<(&'static str, &str)> {
        let mut all = Vec::new();
        let own = [
            ("resource", &self.resource),
            ("issuer", &self.issuer),
            ("discovery_url", &self.discovery_url),
        ];
        all.extend(own.into_iter().filter_map(|(key, url)| Some((key, url.as_deref()?))));
        if let Some(fallback) = &self.fallback {
            all.push(("fallback.authorize_url", &fallback.authorize_url));
            all.push(("fallback.token_url", &fallback.token_url));
            all.push(("fallback.registration_url", &fallback.registration_url));
            all.extend(fallback.revoke_url.iter().map(|u| ("fallback.revoke_url", u.as_str())));
        }
        all
    }
}
