//! The OAuth 2.0 side of an auth config: the toolkit's endpoints with the client and the scopes
//! that the config, or the operator, gives.

use std::time::Duration;

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl};
use serde_json::Value;

use crate::catalog::Toolkit;
use crate::catalog::model::{AuthScheme, OAuth2};
use crate::config::Config;
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::secret::SecretString;
use crate::error::{Error, Result, codes};

/// Longest time for one call of a provider's OAuth endpoint.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Path of the callback below the public URL.
pub const CALLBACK_PATH: &str = "/api/v3/toolkits/auth/callback";

/// A provider for one auth config and one connection's fields.
pub struct Provider<'a> {
    pub(super) def: &'a OAuth2,
    pub(super) client_id: String,
    pub(super) client_secret: Option<SecretString>,
    pub(super) token_url: String,
    pub(super) refresh_url: Option<String>,
    pub(super) revoke_url: Option<String>,
    authorize_url: String,
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
    /// The provider of an auth config; `state` holds the connection's fields for templates of
    /// URLs. The operator's client is looked up now, never stored.
    ///
    /// # Errors
    /// When the scheme is not OAUTH2, or there is no client.
    pub fn of(
        config: &Config,
        toolkit: &'a Toolkit,
        auth_config: &AuthConfig,
        state: &SecretMap,
    ) -> Result<Self> {
        let scheme = toolkit
            .file
            .auth
            .iter()
            .find(|s| s.scheme == AuthSchemeKind::Oauth2)
            .filter(|_| auth_config.scheme == AuthSchemeKind::Oauth2);
        let Some((scheme, def)) = scheme.and_then(|s| Some((s, s.oauth2.as_ref()?))) else {
            return Err(Error::new(
                codes::AUTH_SCHEME_UNSUPPORTED,
                format!("{} does not connect by OAUTH2 with this auth config", toolkit.file.name),
            ));
        };
        let own = list(&auth_config.credentials, "scopes");
        let (client_id, client_secret, scopes) = if auth_config.is_managed {
            let slug = &toolkit.file.slug;
            let managed = config
                .providers
                .get(slug)
                .and_then(|p| p.managed.as_ref())
                .ok_or_else(|| managed_unavailable(slug))?;
            let scopes = own.or_else(|| managed.scopes.clone());
            (managed.client_id.clone(), Some(managed.client_secret.clone()), scopes)
        } else {
            let Some(id) = auth_config.credentials.text("client_id") else {
                return Err(Error::bad_request("The auth config has no client_id")
                    .fix("Set client_id and client_secret in the auth config's credentials"));
            };
            let secret = auth_config.credentials.text("client_secret");
            (id.to_owned(), secret.map(|s| s.to_owned().into()), own)
        };
        let fill = |url: &str| fill(url, scheme, state);
        let refresh_url = match &def.refresh.url {
            Some(url) => Some(fill(url)?),
            None => None,
        };
        let revoke_url = match &def.revoke_url {
            Some(url) => Some(fill(url)?),
            None => None,
        };
        Ok(Self {
            client_id,
            client_secret,
            token_url: fill(&def.token.url)?,
            refresh_url,
            revoke_url,
            authorize_url: fill(&def.authorize.url)?,
            scopes: scopes.unwrap_or_else(|| def.scopes.clone()),
            user_scopes: list(&auth_config.credentials, "user_scopes").unwrap_or_default(),
            redirect_uri: auth_config
                .credentials
                .text("oauth_redirect_uri")
                .map_or_else(|| default_redirect_uri(config), str::to_owned),
            def,
        })
    }

    /// Whether tokens of this provider can be refreshed.
    pub fn can_refresh(&self) -> bool {
        !self.def.refresh.unsupported
    }

    /// Whether the provider can be told to forget a token.
    pub fn can_revoke(&self) -> bool {
        self.revoke_url.is_some()
    }

    /// The authorization request.
    ///
    /// # Errors
    /// When an endpoint or the redirect URI is not a URL.
    pub fn authorize(&self, state: &str) -> Result<Authorization> {
        let rule = &self.def.authorize;
        let not_a_url = |what: &str| Error::bad_request(format!("{what} is not a URL"));
        let client = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_auth_uri(
                AuthUrl::new(self.authorize_url.clone())
                    .map_err(|_| not_a_url("The authorization endpoint"))?,
            )
            .set_redirect_uri(
                RedirectUrl::new(self.redirect_uri.clone())
                    .map_err(|_| not_a_url("oauth_redirect_uri"))?,
            );
        let state = state.to_owned();
        let mut request = client.authorize_url(move || CsrfToken::new(state));
        let scope = self.scopes.join(&rule.scope_separator);
        if !scope.is_empty() {
            request = request.add_extra_param(rule.scope_param.as_str(), scope);
        }
        if let (Some(name), false) = (&rule.user_scope_param, self.user_scopes.is_empty()) {
            let scope = self.user_scopes.join(&rule.scope_separator);
            request = request.add_extra_param(name.as_str(), scope);
        }
        for (name, value) in &rule.params {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        let mut verifier = None;
        if rule.pkce {
            let (challenge, secret) = PkceCodeChallenge::new_random_sha256();
            request = request.set_pkce_challenge(challenge);
            verifier = Some(secret.secret().clone());
        }
        Ok(Authorization { url: request.url().0.into(), verifier })
    }
}

/// The redirect URI of auth configs that name none.
pub fn default_redirect_uri(config: &Config) -> String {
    format!("{}{CALLBACK_PATH}", config.public_url)
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

/// Fills `{{ conn.<field> }}` of an endpoint's URL. A value may be a host label or a path segment,
/// never more: it must not be able to move the endpoint elsewhere.
pub(in crate::credentials) fn fill(
    url: &str,
    scheme: &AuthScheme,
    state: &SecretMap,
) -> Result<String> {
    let mut out = String::with_capacity(url.len());
    let mut rest = url;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, tail) = after
            .split_once("}}")
            .ok_or_else(|| Error::internal("a template in an OAuth URL does not end"))?;
        let name = expression
            .trim()
            .strip_prefix("conn.")
            .ok_or_else(|| Error::internal("an OAuth URL holds something else than conn fields"))?;
        let default = scheme.connect_fields.iter().find(|f| f.name == name);
        let value = state.text(name).or_else(|| default.and_then(|f| f.default.as_deref()));
        let value = value.unwrap_or_default();
        let safe = !value.is_empty()
            && !value.starts_with('.')
            && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !safe {
            return Err(Error::invalid(
                "The connection cannot be started with these fields",
                vec![format!("{name}: must be letters, digits, dots, dashes and underscores")],
            ));
        }
        out.push_str(before);
        out.push_str(value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_cannot_move_an_endpoint() {
        let scheme: AuthScheme = serde_json::from_value(json!({"scheme": "OAUTH2"})).unwrap();
        let url = "https://{{ conn.shop }}.example.com/oauth";
        let with = |value: &str| {
            let state = SecretMap(json!({"shop": value}).as_object().unwrap().clone());
            fill(url, &scheme, &state)
        };
        assert_eq!(with("a-b").unwrap(), "https://a-b.example.com/oauth");
        for evil in ["", "evil.com/", "evil.com#", "a@evil.com", "a?b", "..", "a\r\nb", "é"] {
            assert!(with(evil).is_err(), "{evil}");
        }
    }
}
