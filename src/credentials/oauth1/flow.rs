//! The three legs.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Map, Value};
use url::Url;

use super::moment;
use super::sign::Signer;
use crate::catalog::Toolkit;
use crate::catalog::model::{OAuth1, OAuth1Endpoint};
use crate::config::Config;
use crate::credentials::fields;
use crate::credentials::oauth2::{TokenFailure, clean, default_redirect_uri, managed_unavailable};
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::secret::{ExposeSecret, SecretString};
use crate::error::{Error, Result, codes};
use crate::net::Client;

/// Longest time for one call of a provider's endpoint.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest token that is taken from an answer.
const MAX_TOKEN: usize = 4096;

/// Names of an answer that are not captured.
const TOKENS: [&str; 2] = ["oauth_token", "oauth_token_secret"];

/// A provider for one auth config and one connection's fields.
pub struct Provider<'a> {
    def: &'a OAuth1,
    consumer: (String, SecretString),
    request_url: Url,
    authorize_url: Url,
    access_url: Url,
    redirect_uri: String,
    /// Whether the consumer is the operator's.
    managed: bool,
}

/// Temporary credentials: good for one consent.
pub struct Temporary {
    /// `oauth_token`; the browser brings it back.
    pub token: String,
    /// `oauth_token_secret`; stays here.
    pub secret: SecretString,
    /// Where the browser goes.
    pub url: String,
}

/// What a provider granted.
pub struct Granted(Map<String, Value>);

impl Granted {
    /// Writes the token into a connection's state.
    pub fn write(&self, state: &mut SecretMap) {
        state.0.extend(self.0.clone());
    }
}

impl<'a> Provider<'a> {
    /// The provider of an auth config; `state` holds the connection's fields for templates of
    /// URLs.
    ///
    /// # Errors
    /// When the scheme is not OAUTH1, or there is no consumer.
    pub fn of(
        config: &Config,
        toolkit: &'a Toolkit,
        auth_config: &AuthConfig,
        state: &SecretMap,
    ) -> Result<Self> {
        let scheme = toolkit.scheme(AuthSchemeKind::Oauth1);
        let Some((scheme, def)) = scheme.and_then(|s| Some((s, s.oauth1.as_ref()?))) else {
            return Err(Error::new(
                codes::AUTH_SCHEME_UNSUPPORTED,
                format!("{} does not connect by OAUTH1", toolkit.file.name),
            ));
        };
        let conn = fields::plain(scheme, &fields::inherited(auth_config, state).0);
        let endpoint = |endpoint: &OAuth1Endpoint| -> Result<Url> {
            toolkit.endpoint(&endpoint.url, &[("conn", &conn)], &[]).map_err(|problem| {
                Error::invalid("The connection cannot be started with these fields", vec![problem])
            })
        };
        let own = auth_config.credentials.text("oauth_redirect_uri");
        Ok(Self {
            def,
            consumer: consumer(config, toolkit, auth_config)?,
            request_url: endpoint(&def.request)?,
            authorize_url: endpoint(&def.authorize)?,
            access_url: endpoint(&def.access)?,
            redirect_uri: own.map_or_else(|| default_redirect_uri(config), str::to_owned),
            managed: auth_config.is_managed,
        })
    }

    /// First leg. `state` comes back in the query of the callback.
    ///
    /// # Errors
    /// See [`TokenFailure`]; the text holds no secret.
    pub async fn begin(&self, net: &Client, state: &str) -> Result<Temporary, TokenFailure> {
        let not_a_url = |_| TokenFailure::Refused("oauth_redirect_uri is not a URL".into());
        let mut callback = Url::parse(&self.redirect_uri).map_err(not_a_url)?;
        callback.query_pairs_mut().append_pair("state", state);
        let extra = [("oauth_callback", callback.as_str())];
        let answer = self.call(net, &self.request_url, &self.def.request, None, &extra).await?;
        let (token, secret) = pair(&answer)?;
        let mut url = self.authorize_url.clone();
        url.query_pairs_mut()
            .extend_pairs(&self.def.authorize.params)
            .append_pair("oauth_token", &token);
        Ok(Temporary { token, secret, url: url.into() })
    }

    /// Third leg, with what the browser brought back.
    ///
    /// # Errors
    /// As [`Provider::begin`].
    pub async fn finish(
        &self,
        net: &Client,
        token: &str,
        secret: &str,
        verifier: &str,
    ) -> Result<Granted, TokenFailure> {
        let temporary = Some((token.to_owned(), secret.to_owned().into()));
        let extra = [("oauth_verifier", verifier)];
        let answer = self.call(net, &self.access_url, &self.def.access, temporary, &extra).await?;
        let (token, secret) = pair(&answer)?;
        let mut kept = Map::new();
        for (name, from) in &self.def.capture {
            if let (Some(value), false) = (answer.get(from), TOKENS.contains(&name.as_str())) {
                kept.insert(name.clone(), value.clone().into());
            }
        }
        // The operator's client is not for the project.
        if !self.managed {
            kept.insert("consumer_key".into(), self.consumer.0.clone().into());
        }
        kept.insert("oauth_token".into(), token.into());
        kept.insert("oauth_token_secret".into(), secret.expose_secret().into());
        Ok(Granted(kept))
    }

    async fn call(
        &self,
        net: &Client,
        url: &Url,
        endpoint: &OAuth1Endpoint,
        token: Option<(String, SecretString)>,
        extra: &[(&str, &str)],
    ) -> Result<HashMap<String, String>, TokenFailure> {
        let secrets: Vec<String> = std::iter::once(&self.consumer)
            .chain(&token)
            .map(|(_, secret)| secret.expose_secret().to_owned())
            .collect();
        let mut request = OutboundRequest {
            method: Method::POST,
            url: url.clone(),
            headers: Vec::new(),
            body: match pairs(&endpoint.params) {
                none if none.is_empty() => OutboundBody::Empty,
                some => OutboundBody::Form(some),
            },
            timeout: Some(net.at_most(CALL_TIMEOUT)),
        };
        let signer = Signer {
            method: self.def.signature,
            realm: self.def.realm.clone(),
            consumer: self.consumer.clone(),
            token,
        };
        signer.sign(&mut request, extra, &moment());
        let response = net.send_once(request).await?;
        match response.status {
            200..=299 => {
                Ok(url::form_urlencoded::parse(&response.body).into_owned().take(50).collect())
            }
            status if status == 429 || status >= 500 => Err(TokenFailure::unavailable(
                format!("the provider answered HTTP {status}"),
                response.retry_after(crate::domain::time::now()),
            )),
            status => {
                let secrets: Vec<Option<&str>> = secrets.iter().map(|s| Some(s.as_str())).collect();
                let why = format!("HTTP {status} {}", clean(&reason(&response.body), &secrets));
                Err(TokenFailure::Refused(why.trim().to_owned()))
            }
        }
    }
}

/// The signer of requests with an account's token. `state` is the account's, `auth_config` its
/// config's; without one the consumer must be among the fields.
///
/// # Errors
/// When something that the signature needs is missing.
pub fn signer(
    config: &Config,
    toolkit: &Toolkit,
    auth_config: Option<&AuthConfig>,
    state: &Map<String, Value>,
) -> Result<Signer> {
    let missing = |name: &str| {
        Error::bad_request(format!("The connection cannot be used: it has no `{name}`"))
            .fix("Connect the account again")
    };
    let scheme = toolkit.scheme(AuthSchemeKind::Oauth1);
    let def = scheme.and_then(|s| s.oauth1.as_ref()).ok_or_else(|| missing("oauth1"))?;
    let text = |name: &str| -> Result<String> {
        let value = state.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        value.map(str::to_owned).ok_or_else(|| missing(name))
    };
    let consumer = match auth_config {
        Some(auth_config) => consumer(config, toolkit, auth_config)?,
        None => (text("consumer_key")?, text("consumer_secret")?.into()),
    };
    Ok(Signer {
        method: def.signature,
        realm: def.realm.clone(),
        consumer,
        token: Some((text("oauth_token")?, text("oauth_token_secret")?.into())),
    })
}

fn consumer(
    config: &Config,
    toolkit: &Toolkit,
    auth_config: &AuthConfig,
) -> Result<(String, SecretString)> {
    if auth_config.is_managed {
        let slug = &toolkit.file.slug;
        let managed = config.providers.get(slug).and_then(|p| p.managed.as_ref());
        let managed = managed.ok_or_else(|| managed_unavailable(slug))?;
        return Ok((managed.client_id.clone(), managed.client_secret.clone()));
    }
    let text = |name: &str| auth_config.credentials.text(name).filter(|text| !text.is_empty());
    match (text("consumer_key"), text("consumer_secret")) {
        (Some(key), Some(secret)) => Ok((key.to_owned(), secret.to_owned().into())),
        _ => Err(Error::bad_request("The auth config has no consumer key and secret")
            .fix("Set consumer_key and consumer_secret in the auth config's credentials")),
    }
}

/// What a refusal says: in one of the forms that providers use, or as a text that is no page.
fn reason(body: &[u8]) -> String {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let said = ["oauth_problem_advice", "error_description", "oauth_problem", "error"];
    if let Some(text) = said.iter().find_map(|name| form.get(*name)) {
        return text.clone();
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with('<') { String::new() } else { text.chars().take(200).collect() }
}

fn pair(answer: &HashMap<String, String>) -> Result<(String, SecretString), TokenFailure> {
    let text = |name: &str| {
        answer
            .get(name)
            .filter(|t| t.len() <= MAX_TOKEN && !t.chars().any(char::is_control))
            .cloned()
            .ok_or_else(|| TokenFailure::Refused(format!("the provider's answer has no {name}")))
    };
    let token = text("oauth_token")?;
    if token.is_empty() {
        return Err(TokenFailure::Refused("the provider's answer has no oauth_token".into()));
    }
    Ok((token, text("oauth_token_secret")?.into()))
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}
