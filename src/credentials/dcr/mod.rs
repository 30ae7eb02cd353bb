//! OAuth 2.0 without an app made beforehand, as remote MCP servers have it: the authorization
//! server is found by the protected resource (RFC 9728, RFC 8414), a client is registered there
//! (RFC 7591), and from then on it is OAuth 2.0 like any other: [`Registered::provider`] makes
//! what [`super::oauth2`] works with.
//!
//! | file | knows |
//! |---|---|
//! | `challenge` | the `WWW-Authenticate` header of a 401 |
//! | `metadata` | what the documents say, and whether that can be used |
//! | `discover` | where the documents are, and how strangers' documents are read |
//! | `register` | the registration request |
//! | `client` | one client per auth config and server, whoever asks first |
//! | `renew` | new tokens by a refresh token, at endpoints that may have moved |
//!
//! Every document is a stranger's: small, in time, without redirects to another origin, and no
//! URL of it is called but through the guard of [`crate::net`].

mod challenge;
mod client;
mod discover;
mod metadata;
mod register;
mod renew;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::oauth2::{OauthClient, Provider, TokenFailure};
use crate::catalog::Toolkit;
use crate::catalog::model::{Dcr, OAuth2};
use crate::config::Config;
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::scheme::AuthSchemeKind;
use crate::error::{Error, Result, codes};
use crate::net::{Client, NetError};

pub use client::{forget, registered};
pub(super) use metadata::Server;
pub(super) use renew::Renewal;

/// Field of an account's state with what is known of its server. Never shown.
pub const SERVER_FIELD: &str = "dcr_server";

/// Fields of an account's state that say which client it was connected with.
pub const CLIENT_FIELDS: [&str; 5] =
    ["client_id", "client_secret", "client_id_issued_at", "client_secret_expires_at", SERVER_FIELD];

/// Whether a server at this address can be connected by OAuth without an app made beforehand.
pub async fn is_offered(net: &Client, resource: &Url) -> bool {
    let target = Target { resource: Some(resource.clone()), issuer: None, discovery: None };
    discover::discover(net, &Dcr::default(), &target, true).await.is_ok()
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server does not offer what is needed, or is not to be trusted. Says what.
    #[error("{0}")]
    Unsuitable(String),
    /// The server could not be asked.
    #[error("{0}")]
    Unreachable(String),
}

impl Failure {
    /// For the caller of the API.
    pub fn into_error(self, toolkit: &Toolkit) -> Error {
        let name = &toolkit.file.name;
        match self {
            Self::Unsuitable(why) => Error::new(
                codes::DISCOVERY_FAILED,
                format!("{name} cannot be connected by DCR_OAUTH: {why}"),
            )
            .fix(
                "Check the server's address; a server without dynamic client registration can be \
                 connected with a client_id of your own in the auth config",
            ),
            Self::Unreachable(why) => Error::new(
                codes::PROVIDER_UNAVAILABLE,
                format!("{name} could not be asked how to connect: {why}"),
            )
            .fix("Retry in a few seconds; nothing was stored"),
        }
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout(why) | NetError::Connection(why) => Self::Unreachable(why),
            NetError::Refused(why) | NetError::TooLarge(why) | NetError::Invalid(why) => {
                Self::Unsuitable(why)
            }
        }
    }
}

/// How a client authenticates itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Method {
    /// A public client.
    #[serde(rename = "none")]
    None,
    /// HTTP basic authentication.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// Among the parameters.
    #[serde(rename = "client_secret_post")]
    Post,
}

impl Method {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    /// As definitions of OAUTH2 spell it.
    fn in_definitions(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Post => "post",
        }
    }
}

/// A server with a client that is known there. No derived Debug: it holds secrets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Registered {
    pub(super) server: Server,
    pub(super) method: Method,
    pub(super) redirect_uri: String,
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id_issued_at: Option<i64>,
    /// 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    /// Whether this server registered it, or a developer did.
    #[serde(default)]
    is_own: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration_client_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration_access_token: Option<String>,
}

impl Registered {
    /// As data for a sealed place.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// What [`Registered::to_value`] made.
    pub fn from_value(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    /// The client that an account was connected with.
    pub fn of_state(state: &SecretMap) -> Option<Self> {
        let mut known = state.0.get(SERVER_FIELD)?.as_object()?.clone();
        for name in &CLIENT_FIELDS[..4] {
            if let Some(value) = state.0.get(*name) {
                known.insert((*name).to_owned(), value.clone());
            }
        }
        Self::deserialize(Value::Object(known)).ok()
    }

    /// Writes the client into an account's state, from where its tokens are refreshed: they are
    /// this client's, whatever client the auth config has by then.
    pub fn write(&self, state: &mut SecretMap) {
        for name in CLIENT_FIELDS {
            state.0.remove(name);
        }
        let Value::Object(mut all) = self.to_value() else { return };
        // Managing the registration is the auth config's business.
        all.remove("registration_client_uri");
        all.remove("registration_access_token");
        for name in &CLIENT_FIELDS[..4] {
            if let Some(value) = all.remove(*name) {
                state.0.insert((*name).to_owned(), value);
            }
        }
        state.0.insert(SERVER_FIELD.to_owned(), Value::Object(all));
    }

    /// The issuer must be the one that was asked (RFC 9207): an answer of another server that
    /// came in this one's place would make us hand its code, or ours, to the wrong one.
    ///
    /// # Errors
    /// Why the answer is refused.
    pub fn check_issuer(&self, iss: Option<&str>) -> std::result::Result<(), String> {
        match (iss, &self.server.issuer) {
            (Some(iss), Some(issuer)) if iss == issuer => Ok(()),
            (Some(_), None) => Ok(()),
            (Some(_), Some(_)) => Err("The answer is of another authorization server".to_owned()),
            (None, _) if self.server.sends_iss => {
                Err("The authorization server left its name (iss) out of its answer".to_owned())
            }
            (None, _) => Ok(()),
        }
    }

    /// OAuth 2.0 with this server and client.
    ///
    /// # Errors
    /// When the toolkit has no such scheme.
    pub fn provider<'a>(
        &self,
        config: &Config,
        toolkit: &'a Toolkit,
        auth_config: &AuthConfig,
        state: &SecretMap,
    ) -> Result<Provider<'a>> {
        let (scheme, dcr) = definition(toolkit)?;
        let client = OauthClient {
            id: self.client_id.clone(),
            secret: self.client_secret.clone().map(Into::into),
            ..OauthClient::default()
        };
        let def = self.oauth2(dcr)?;
        let mut provider =
            Provider::with(config, (toolkit, scheme), Cow::Owned(def), client, auth_config, state);
        provider.redirect_uri.clone_from(&self.redirect_uri);
        Ok(provider)
    }

    fn oauth2(&self, dcr: &Dcr) -> Result<OAuth2> {
        let server = &self.server;
        let mut scopes = server.scopes.clone();
        let mut authorize = Map::new();
        if let Some(resource) = &server.resource {
            authorize.insert("resource".into(), resource.clone().into());
        }
        if server.offline_access && !scopes.iter().any(|s| s == "offline_access") {
            scopes.push("offline_access".into());
        }
        if scopes.iter().any(|s| s == "offline_access") && server.offline_access {
            // OpenID Connect wants consent to be asked for anew when access outlives the person.
            authorize.insert("prompt".into(), "consent".into());
        }
        let token = authorize.get("resource").cloned();
        authorize.extend(dcr.authorize_params.iter().map(|(k, v)| (k.clone(), v.clone().into())));
        let mut def = json!({
            "authorize": {"url": server.authorize_url, "params": authorize, "pkce": true},
            "token": {
                "url": server.token_url,
                "client_auth": self.method.in_definitions(),
                "params": token.map(|r| json!({ "resource": r })).unwrap_or_else(|| json!({})),
            },
            "scopes": scopes,
        });
        if let Some(url) = &server.revoke_url {
            def["revoke_url"] = url.clone().into();
        }
        serde_json::from_value(def)
            .map_err(|_| Error::internal("a discovered server makes no OAuth definition"))
    }
}

/// Whether a token endpoint's refusal says that it does not know the client (any more).
pub fn is_forgotten(failure: &TokenFailure) -> bool {
    let (TokenFailure::Over(why) | TokenFailure::Refused(why)) = failure else { return false };
    why.split(':').next() == Some("invalid_client")
}

/// The OAuth 2.0 side of an account that was connected before.
///
/// # Errors
/// When the account does not know its client, or the toolkit has no such scheme.
pub fn provider<'a>(
    config: &Config,
    toolkit: &'a Toolkit,
    auth_config: &AuthConfig,
    state: &SecretMap,
) -> Result<Provider<'a>> {
    let registered = Registered::of_state(state).ok_or_else(|| {
        Error::bad_request("The connected account does not know its authorization server")
            .fix("Connect the account again")
    })?;
    registered.provider(config, toolkit, auth_config, state)
}

/// The scheme of a toolkit, with what the definition says of it.
fn definition(toolkit: &Toolkit) -> Result<(&crate::catalog::model::AuthScheme, &Dcr)> {
    static USUAL: std::sync::LazyLock<Dcr> = std::sync::LazyLock::new(Dcr::default);
    toolkit
        .scheme(AuthSchemeKind::DcrOauth)
        .map(|scheme| (scheme, scheme.dcr.as_ref().unwrap_or(&USUAL)))
        .ok_or_else(|| {
            Error::new(
                codes::AUTH_SCHEME_UNSUPPORTED,
                format!("{} does not connect by DCR_OAUTH", toolkit.file.name),
            )
        })
}

/// What to look for: addresses of the definition, filled with the connection's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    resource: Option<Url>,
    issuer: Option<String>,
    discovery: Option<Url>,
}

impl Target {
    fn of(toolkit: &Toolkit, dcr: &Dcr, conn: &Map<String, Value>) -> Result<Self> {
        let wrong = |problem: String| {
            Error::invalid("The connection cannot be started with these fields", vec![problem])
        };
        let fill = |source: &Option<String>| -> Result<Option<Url>> {
            let Some(source) = source else { return Ok(None) };
            toolkit.endpoint(source, &[("conn", conn)], &[]).map(Some).map_err(wrong)
        };
        let resource = match fill(&dcr.resource)? {
            Some(url) => Some(url),
            None if dcr.issuer.is_none() || dcr.resource.is_none() => {
                Some(toolkit.base_url(conn).map_err(wrong)?)
            }
            None => None,
        };
        // Taken as it is written: issuers are compared letter by letter.
        let issuer = match &dcr.issuer {
            Some(text) if text.contains("{{") => fill(&dcr.issuer)?.map(String::from),
            other => other.clone(),
        };
        Ok(Self { resource, issuer, discovery: fill(&dcr.discovery_url)? })
    }

    /// Tells servers apart.
    fn key(&self) -> String {
        let parts = [
            self.resource.as_ref().map(Url::as_str).unwrap_or_default(),
            self.issuer.as_deref().unwrap_or_default(),
            self.discovery.as_ref().map(Url::as_str).unwrap_or_default(),
        ];
        parts.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn registered() -> Registered {
        Registered::from_value(&json!({
            "server": {
                "issuer": "https://as.example", "resource": "https://mcp.example/mcp",
                "authorize_url": "https://as.example/authorize",
                "token_url": "https://as.example/token", "register_url": null,
                "revoke_url": "https://as.example/revoke", "methods": [], "sends_iss": true,
                "scopes": ["read"], "offline_access": true, "found_at": "2026-01-01T00:00:00Z",
            },
            "method": "client_secret_basic", "redirect_uri": "https://me.example/cb",
            "client_id": "c-1", "client_secret": "s-1", "client_secret_expires_at": 0,
            "registration_access_token": "rat", "registration_client_uri": "https://as.example/c",
        }))
        .unwrap()
    }

    #[test]
    fn an_account_knows_its_client_but_not_how_to_manage_it() {
        let mut state =
            SecretMap(json!({"client_id": "old", "team": 1}).as_object().unwrap().clone());
        registered().write(&mut state);
        assert_eq!(state.text("client_id"), Some("c-1"));
        assert_eq!(state.0["client_secret_expires_at"], 0);
        assert!(!Value::Object(state.0.clone()).to_string().contains("rat\""));
        let back = Registered::of_state(&state).unwrap();
        assert_eq!(back.client_secret.as_deref(), Some("s-1"));
        assert_eq!(back.server.issuer.as_deref(), Some("https://as.example"));
        assert_eq!(state.0["team"], 1);
    }

    #[test]
    fn answers_of_another_server_are_refused() {
        let mut known = registered();
        assert!(known.check_issuer(Some("https://as.example")).is_ok());
        assert!(known.check_issuer(Some("https://evil.example")).is_err());
        assert!(known.check_issuer(Some("https://as.example/")).is_err());
        assert!(known.check_issuer(None).is_err());
        known.server.sends_iss = false;
        assert!(known.check_issuer(None).is_ok());
        assert!(known.check_issuer(Some("https://evil.example")).is_err());
    }

    #[test]
    fn a_discovered_server_becomes_an_ordinary_definition() {
        let def = registered().oauth2(&Dcr::default()).unwrap();
        assert_eq!(def.scopes, ["read", "offline_access"]);
        assert_eq!(def.authorize.params["resource"], "https://mcp.example/mcp");
        assert_eq!(def.authorize.params["prompt"], "consent");
        assert_eq!(def.token.params["resource"], "https://mcp.example/mcp");
        assert!(def.authorize.pkce && def.revocation().is_some());
    }
}
