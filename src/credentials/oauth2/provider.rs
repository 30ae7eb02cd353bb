//! The OAuth 2.0 side of an auth config: the toolkit's endpoints with the client and the scopes
//! that the config, the connection, or the operator gives.

use std::borrow::Cow;

use serde_json::{Map, Value};
use url::Url;

use super::standard;
use crate::catalog::model::{AuthScheme, OAuth2};
use crate::catalog::{Toolkit, endpoint};
use crate::config::Config;
use crate::credentials::{dcr, fields};
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::secret::{ExposeSecret, SecretString};
use crate::error::{Error, Result, codes};

/// Path of the callback below the public URL.
pub const CALLBACK_PATH: &str = "/api/v3/toolkits/auth/callback";

/// Field of a connection's state with the redirect URI that it was authorized with, kept where the
/// provider wants it again with every refresh.
pub const REDIRECT_URI_FIELD: &str = "oauth_redirect_uri";

/// An OAuth client.
#[derive(Debug, Clone, Default)]
pub struct OauthClient {
    /// Client id.
    pub id: String,
    /// Client secret.
    pub secret: Option<SecretString>,
    /// Private key in PEM, for `private_key_jwt`.
    pub private_key: Option<SecretString>,
    /// Id of that key.
    pub key_id: Option<String>,
}

/// A provider for one auth config and one connection's fields.
pub struct Provider<'a> {
    pub(super) def: Cow<'a, OAuth2>,
    pub(super) client: OauthClient,
    toolkit: &'a Toolkit,
    /// Whether the client is the operator's: not even its id is for the project.
    managed: bool,
    /// Fields that are not secret.
    conn: Map<String, Value>,
    /// All fields.
    cred: Map<String, Value>,
    /// Hosts that the secret may go to although the definition does not name them.
    trusted: Vec<String>,
    scopes: Vec<String>,
    user_scopes: Vec<String>,
    /// Where the provider sends the browser back to.
    pub redirect_uri: String,
}

/// An authorization request, ready for the browser.
pub struct Authorization {
    /// Where the browser goes.
    pub url: String,
    /// PKCE verifier to keep for the exchange.
    pub verifier: Option<String>,
}

impl<'a> Provider<'a> {
    /// The provider of an auth config; `state` holds the connection's fields. The operator's
    /// client is looked up now, never stored.
    ///
    /// # Errors
    /// When the scheme is not OAUTH2, or there is no client.
    pub fn of(
        config: &Config,
        toolkit: &'a Toolkit,
        auth_config: &AuthConfig,
        state: &SecretMap,
    ) -> Result<Self> {
        if auth_config.scheme == AuthSchemeKind::DcrOauth {
            return dcr::provider(config, toolkit, auth_config, state);
        }
        let scheme = toolkit
            .scheme(AuthSchemeKind::Oauth2)
            .filter(|_| auth_config.scheme == AuthSchemeKind::Oauth2);
        let Some((scheme, def)) = scheme.and_then(|s| Some((s, s.oauth2.as_ref()?))) else {
            return Err(Error::new(
                codes::AUTH_SCHEME_UNSUPPORTED,
                format!("{} does not connect by OAUTH2 with this auth config", toolkit.file.name),
            ));
        };
        let (client, managed_scopes) = client(config, toolkit, def, auth_config, state)?;
        let mut provider =
            Self::with(config, (toolkit, scheme), Cow::Borrowed(def), client, auth_config, state);
        if let (Some(scopes), None) = (managed_scopes, list(&auth_config.credentials, "scopes")) {
            provider.scopes = scopes;
        }
        Ok(provider)
    }

    /// A provider with a definition and a client of one's own.
    pub fn with(
        config: &Config,
        (toolkit, scheme): (&'a Toolkit, &AuthScheme),
        def: Cow<'a, OAuth2>,
        client: OauthClient,
        auth_config: &AuthConfig,
        state: &SecretMap,
    ) -> Self {
        let all = fields::inherited(auth_config, state);
        let own_client = !auth_config.is_managed;
        // A developer knows where to send the developer's secret, a person where to send theirs.
        let hosts = scheme.connect_fields.iter().chain(&scheme.config_fields).filter(|f| f.host);
        let trusted = hosts
            .filter_map(|f| Some((f, all.text(&f.name)?)))
            .filter(|(f, value)| {
                own_client
                    && (def.client_of_connection() || fields::is_given(auth_config, &f.name, value))
            })
            .map(|(_, value)| value.to_owned())
            .collect();
        let chosen = |name: &str| list(&auth_config.credentials, name);
        Self {
            client,
            toolkit,
            managed: auth_config.is_managed,
            conn: fields::plain(scheme, &all.0),
            trusted,
            scopes: chosen("scopes").unwrap_or_else(|| def.scopes.clone()),
            user_scopes: chosen("user_scopes").unwrap_or_else(|| def.user_scopes.clone()),
            redirect_uri: auth_config
                .credentials
                .text("oauth_redirect_uri")
                .map_or_else(|| default_redirect_uri(config), str::to_owned),
            cred: all.0,
            def,
        }
    }

    /// What the definition says.
    pub fn definition(&self) -> &OAuth2 {
        &self.def
    }

    /// Whether tokens of this provider can be refreshed.
    pub fn can_refresh(&self) -> bool {
        !self.def.refresh.unsupported
    }

    /// Whether the provider can be told to forget a token.
    pub fn can_revoke(&self) -> bool {
        self.def.revocation().is_some()
    }

    /// Scopes that are asked for.
    pub(super) fn scope(&self) -> String {
        if self.def.authorize.skip_scopes {
            return String::new();
        }
        // Some call a space a plus, which is how a form writes it.
        let separator = self.def.authorize.scope_separator.as_str();
        self.scopes.join(if separator == "+" { " " } else { separator })
    }

    /// All scopes that are asked for, as token answers list them.
    pub(super) fn asked(&self) -> Option<String> {
        let all: Vec<&str> =
            self.scopes.iter().chain(&self.user_scopes).map(String::as_str).collect();
        (!all.is_empty() && !self.def.authorize.skip_scopes).then(|| all.join(" "))
    }

    /// A field of the connection.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.cred.get(name).and_then(Value::as_str).filter(|t| !t.is_empty())
    }

    /// Values of secret fields, which must not be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        let fields = self.cred.iter().filter(|(name, _)| !self.conn.contains_key(*name));
        let mut all: Vec<String> =
            fields.filter_map(|(_, value)| value.as_str()).map(str::to_owned).collect();
        let keys = [&self.client.secret, &self.client.private_key];
        all.extend(keys.into_iter().flatten().map(|s| s.expose_secret().to_owned()));
        all.extend(self.managed.then(|| self.client.id.clone()));
        all
    }

    /// An endpoint, filled.
    pub(super) fn endpoint(
        &self,
        source: &str,
        oauth: &Map<String, Value>,
    ) -> std::result::Result<Url, String> {
        let roots = [("conn", &self.conn), ("oauth", oauth)];
        self.toolkit.endpoint(source, &roots, &self.trusted)
    }

    /// Values of the flow that every request sees; those in `more` come on top.
    pub(super) fn flow(&self, more: &[(&str, &str)]) -> Map<String, Value> {
        let common = [
            ("client_id", self.client.id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("scope", &self.scope()),
        ]
        .map(|(k, v)| (k.to_owned(), Value::from(v)));
        let more = more.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v)));
        common.into_iter().chain(more).collect()
    }

    /// Puts the definition's parameters over the standard ones. `secret` says whether they may
    /// see secret fields.
    pub(super) fn over(
        &self,
        pairs: &mut Vec<(String, String)>,
        params: &std::collections::BTreeMap<String, String>,
        oauth: &Map<String, Value>,
        secret: bool,
    ) -> std::result::Result<(), String> {
        let nothing = Map::new();
        let cred = if secret { &self.cred } else { &nothing };
        let roots = [("conn", &self.conn), ("oauth", oauth), ("cred", cred)];
        for (name, source) in params {
            let value = endpoint::text(source, &roots).map_err(|_| {
                format!("the parameter {name} cannot be made of the connection's fields")
            })?;
            match (pairs.iter_mut().find(|(known, _)| known == name), value) {
                (Some(pair), Some(value)) => pair.1 = value,
                (None, Some(value)) => pairs.push((name.clone(), value)),
                (_, None) => pairs.retain(|(known, _)| known != name),
            }
        }
        Ok(())
    }

    /// The authorization request.
    ///
    /// # Errors
    /// When the grant needs no browser, or the endpoint cannot be made of the fields.
    pub fn authorize(&self, state: &str) -> Result<Authorization> {
        let rule = &self.def.authorize;
        if !self.def.by_browser() {
            return Err(Error::bad_request(
                "This toolkit connects by client credentials; there is nothing to consent to",
            ));
        }
        let oauth = self.flow(&[("state", state)]);
        let wrong = |problem: String| {
            Error::invalid("The connection cannot be started with these fields", vec![problem])
        };
        let mut url = self.endpoint(&rule.url, &oauth).map_err(wrong)?;
        let (id, redirect) = (&self.client.id, &self.redirect_uri);
        let standard = standard::authorization(&url, id, redirect, state, rule.pkce);
        let standard = standard.map_err(wrong)?;
        // What the endpoint brings along comes first.
        let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut set = |name: &str, value: String| {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name.to_owned(), value));
        };
        for (name, value) in standard.pairs {
            let name = if name == "client_id" { rule.client_id_param.as_str() } else { &name };
            set(name, value);
        }
        if let (scope, false) = (self.scope(), self.scope().is_empty()) {
            set(&rule.scope_param, scope);
        }
        if let (Some(name), false) = (&rule.user_scope_param, self.user_scopes.is_empty()) {
            set(name, self.user_scopes.join(&rule.scope_separator));
        }
        self.over(&mut pairs, &rule.params, &oauth, false).map_err(wrong)?;
        url.query_pairs_mut().clear().extend_pairs(pairs);
        Ok(Authorization { url: url.into(), verifier: standard.verifier })
    }
}

/// The client, and the scopes that the operator wants with the operator's.
fn client(
    config: &Config,
    toolkit: &Toolkit,
    def: &OAuth2,
    auth_config: &AuthConfig,
    state: &SecretMap,
) -> Result<(OauthClient, Option<Vec<String>>)> {
    if auth_config.is_managed {
        let slug = &toolkit.file.slug;
        let managed = config
            .providers
            .get(slug)
            .and_then(|p| p.managed.as_ref())
            .ok_or_else(|| managed_unavailable(slug))?;
        let client = OauthClient {
            id: managed.client_id.clone(),
            secret: Some(managed.client_secret.clone()),
            private_key: managed.private_key.clone(),
            key_id: managed.key_id.clone(),
        };
        return Ok((client, managed.scopes.clone()));
    }
    let inherited;
    let from = if def.client_of_connection() {
        inherited = fields::inherited(auth_config, state);
        &inherited
    } else {
        &auth_config.credentials
    };
    let text = |name: &str| from.text(name).filter(|t| !t.is_empty());
    let secret = |name: &str| text(name).map(|t| t.to_owned().into());
    let Some(id) = text("client_id") else {
        return Err(if def.client_of_connection() {
            Error::invalid("The connection has no client", vec!["client_id: is required".into()])
        } else {
            Error::bad_request("The auth config has no client_id")
                .fix("Set client_id and client_secret in the auth config's credentials")
        });
    };
    let client = OauthClient {
        id: id.to_owned(),
        secret: secret("client_secret"),
        private_key: secret("private_key"),
        key_id: text("key_id").map(str::to_owned),
    };
    Ok((client, None))
}

/// The redirect URI of auth configs that name none.
pub fn default_redirect_uri(config: &Config) -> String {
    format!("{}{CALLBACK_PATH}", config.public_url)
}

/// The client id that goes with the tokens of an auth config: some providers want it beside the
/// token in every request.
pub fn client_id<'a>(config: &'a Config, auth_config: &'a AuthConfig) -> Option<&'a str> {
    if auth_config.scheme != AuthSchemeKind::Oauth2 {
        return None;
    }
    if !auth_config.is_managed {
        return auth_config.credentials.text("client_id");
    }
    let operators = config.providers.get(&auth_config.toolkit_slug)?;
    operators.managed.as_ref().map(|managed| managed.client_id.as_str())
}

/// The error for a toolkit without a client of the operator's.
pub fn managed_unavailable(slug: &str) -> Error {
    Error::new(
        codes::MANAGED_AUTH_UNAVAILABLE,
        format!("This server has no OAuth client of its own for {slug}"),
    )
    .fix(format!(
        "Use use_custom_auth with your own credentials, or have the operator set `{slug}.managed` \
         (client_id, client_secret) in the file that PATCHBAY_PROVIDERS_FILE names"
    ))
}

/// A list of texts among the credentials.
fn list(credentials: &SecretMap, name: &str) -> Option<Vec<String>> {
    let items = credentials.0.get(name)?.as_array()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
