//! Token requests: the OAuth library over the project's own HTTP client.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::answer::{self, Answer};
use super::provider::Provider;
use crate::catalog::model::{ClientAuth, TokenBody, TokenResponse};
use crate::credentials::renew::TOKEN_FIELDS;
use crate::domain::connection::SecretMap;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::secret::ExposeSecret;
use crate::domain::time::now;
use crate::net::{Client, NetError};

/// What a provider granted.
pub struct TokenSet {
    access_token: String,
    refresh_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<u64>,
    scope: Option<String>,
    id_token: Option<String>,
    kept: Map<String, Value>,
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl TokenSet {
    /// A token that was made of stored secrets, with what else the answers held.
    pub(in crate::credentials) fn made(
        access_token: String,
        expires_in: Option<u64>,
        kept: Map<String, Value>,
    ) -> Self {
        Self {
            access_token,
            refresh_token: None,
            token_type: None,
            expires_in,
            scope: None,
            id_token: None,
            kept,
        }
    }

    /// Writes the tokens into a connection's state; returns when the access token ends. A
    /// refresh token that the provider did not replace stays.
    pub fn write(&self, state: &mut SecretMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let map = &mut state.0;
        for (name, value) in &self.kept {
            if !TOKEN_FIELDS.contains(&name.as_str()) {
                map.insert(name.clone(), value.clone());
            }
        }
        map.insert("access_token".into(), self.access_token.clone().into());
        let optional = [
            ("refresh_token", &self.refresh_token),
            ("token_type", &self.token_type),
            ("scope", &self.scope),
            ("id_token", &self.id_token),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.insert(name.into(), value.clone().into());
            }
        }
        match self.expires_in {
            Some(seconds) => map.insert("expires_in".into(), seconds.into()),
            None => map.remove("expires_in"),
        };
        let seconds = i64::try_from(self.expires_in?).ok()?;
        now.checked_add_signed(TimeDelta::try_seconds(seconds)?)
    }
}

/// Why there are no tokens. The texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFailure {
    /// What was sent is dead (`invalid_grant` and its dialects): only the person can help.
    #[error("{0}")]
    Over(String),
    /// The provider said no to something else: the client, perhaps, which the developer or the
    /// operator can set right.
    #[error("{0}")]
    Refused(String),
    /// The provider could not be asked, or could not answer.
    #[error("{why}")]
    Unavailable {
        /// For a person.
        why: String,
        /// How long the provider wants to be left alone.
        retry_after: Option<Duration>,
        /// Whether it may have done what was asked, and only its answer was lost.
        lost: bool,
    },
}

impl TokenFailure {
    /// The provider answered that it cannot.
    pub fn unavailable(why: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::Unavailable { why: why.into(), retry_after, lost: false }
    }

    /// There is no answer that can be read.
    pub fn lost(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: None, lost: true }
    }
}

impl From<NetError> for TokenFailure {
    fn from(error: NetError) -> Self {
        match error {
            // Nothing was sent.
            NetError::Refused(why) | NetError::Invalid(why) => Self::unavailable(why, None),
            NetError::Timeout(why) | NetError::Connection(why) | NetError::TooLarge(why) => {
                Self::lost(why)
            }
        }
    }
}

/// Fields of an answer besides the standard ones.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Extra {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default, rename = "patchbay_kept")]
    kept: Map<String, Value>,
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extra")
    }
}

impl ExtraTokenFields for Extra {}

type Granted = StandardTokenResponse<Extra, BasicTokenType>;
type TokenClient = oauth2::Client<
    BasicErrorResponse,
    Granted,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What goes wrong between the library and the network.
#[derive(Debug, thiserror::Error)]
enum Transport {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the provider answered HTTP {0}")]
    Unavailable(u16, Option<Duration>),
    #[error("{0}")]
    Unusable(&'static str),
    #[error("the token request could not be built")]
    Request,
}

/// How requests to a token endpoint look.
#[derive(Clone)]
struct Wire {
    net: Client,
    json: bool,
    headers: BTreeMap<String, String>,
    rule: TokenResponse,
}

/// A call in flight. Boxed and owning, because the library is generic over its lifetime.
type Call = Pin<Box<dyn Future<Output = Result<HttpResponse, Transport>> + Send>>;

impl Wire {
    fn client(self) -> impl Fn(HttpRequest) -> Call {
        move |request| {
            let wire = self.clone();
            Box::pin(async move { wire.call(request).await })
        }
    }

    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, Transport> {
        let url = Url::parse(&request.uri().to_string()).map_err(|_| Transport::Request)?;
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, value) in request.headers() {
            if name != oauth2::http::header::CONTENT_TYPE {
                let value = value.to_str().map_err(|_| Transport::Request)?;
                headers.push((name.as_str().to_owned(), value.to_owned()));
            }
        }
        headers.extend(self.headers.iter().map(|(k, v)| (k.clone(), v.clone())));
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        let body = if self.json {
            let object: Map<String, Value> =
                pairs.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
            OutboundBody::Json(object.into())
        } else {
            OutboundBody::Form(pairs)
        };
        let request = OutboundRequest {
            method: axum::http::Method::POST,
            url,
            headers,
            body,
            timeout: Some(self.net.at_most(super::provider::CALL_TIMEOUT)),
        };
        let response = self.net.send(request).await?;
        let (status, value) = match answer::read(&self.rule, response.status, &response.body) {
            Answer::Tokens(value) => (200, value),
            Answer::Refused(value) => (400, value),
            Answer::Unavailable(status) => {
                return Err(Transport::Unavailable(status, response.retry_after(now())));
            }
            Answer::Unusable(why) => return Err(Transport::Unusable(why)),
        };
        oauth2::http::Response::builder()
            .status(status)
            .header(oauth2::http::header::CONTENT_TYPE, "application/json")
            .body(value.to_string().into_bytes())
            .map_err(|_| Transport::Request)
    }
}

impl Provider<'_> {
    fn token_client(&self, url: &str) -> Result<TokenClient, TokenFailure> {
        let url = TokenUrl::new(url.to_owned())
            .map_err(|_| TokenFailure::Refused("the token endpoint is not a URL".into()))?;
        let mut client = oauth2::Client::new(ClientId::new(self.client_id.clone()))
            .set_token_uri(url)
            .set_auth_type(match self.def.token.client_auth {
                ClientAuth::Basic => AuthType::BasicAuth,
                ClientAuth::Post | ClientAuth::None | ClientAuth::PrivateKeyJwt => {
                    AuthType::RequestBody
                }
            });
        if let Some(secret) = self.secret_to_send() {
            client = client.set_client_secret(ClientSecret::new(secret.to_owned()));
        }
        Ok(client)
    }

    fn wire(&self, net: &Client) -> Wire {
        Wire {
            net: net.clone(),
            json: self.def.token.body == TokenBody::Json,
            headers: self.def.token.headers.clone(),
            rule: self.def.response.clone(),
        }
    }

    /// The client's secret, unless the provider takes none.
    fn secret_to_send(&self) -> Option<&str> {
        (self.def.token.client_auth != ClientAuth::None)
            .then_some(self.client_secret.as_ref()?)
            .map(ExposeSecret::expose_secret)
            .filter(|s| !s.is_empty())
    }

    /// Exchanges a code. `redirect_uri` is the one of the authorization request.
    ///
    /// # Errors
    /// See [`TokenFailure`]; the text holds no secret.
    pub async fn exchange(
        &self,
        net: &Client,
        code: &str,
        redirect_uri: &str,
        verifier: Option<&str>,
    ) -> Result<TokenSet, TokenFailure> {
        let redirect = RedirectUrl::new(redirect_uri.to_owned())
            .map_err(|_| TokenFailure::Refused("the redirect URI is not a URL".into()))?;
        let client = self.token_client(&self.token_url)?.set_redirect_uri(redirect);
        let mut request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        if let Some(verifier) = verifier {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
        }
        for (name, value) in &self.def.token.params {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        let http = self.wire(net).client();
        let granted = request.request_async(&http).await;
        let known = [Some(code), verifier, self.secret_to_send()];
        granted.map(token_set).map_err(|e| failure(e, &self.def.response, &known))
    }

    /// Refreshes a token.
    ///
    /// # Errors
    /// As [`Provider::exchange`].
    pub async fn refresh(
        &self,
        net: &Client,
        refresh_token: &str,
    ) -> Result<TokenSet, TokenFailure> {
        let client = self.token_client(self.refresh_url.as_deref().unwrap_or(&self.token_url))?;
        let token = RefreshToken::new(refresh_token.to_owned());
        let mut request = client.exchange_refresh_token(&token);
        for (name, value) in self.def.token.params.iter().chain(&self.def.refresh.params) {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        let http = self.wire(net).client();
        let granted = request.request_async(&http).await;
        let known = [Some(refresh_token), self.secret_to_send()];
        granted.map(token_set).map_err(|e| failure(e, &self.def.response, &known))
    }

    /// Tells the provider to forget a token (RFC 7009), when it has an endpoint for that.
    pub async fn revoke(&self, net: &Client, token: &str) -> Result<(), TokenFailure> {
        let Some(url) = self.revoke_url.as_deref().and_then(|u| Url::parse(u).ok()) else {
            return Ok(());
        };
        let mut form = vec![("token".to_owned(), token.to_owned())];
        let mut headers = Vec::new();
        match (self.def.token.client_auth, self.secret_to_send()) {
            (ClientAuth::Basic, Some(secret)) => {
                use base64::Engine;
                let encode = |t: &str| -> String {
                    url::form_urlencoded::byte_serialize(t.as_bytes()).collect()
                };
                let pair = format!("{}:{}", encode(&self.client_id), encode(secret));
                let text = base64::engine::general_purpose::STANDARD.encode(pair);
                headers.push(("authorization".to_owned(), format!("Basic {text}")));
            }
            (_, secret) => {
                form.push(("client_id".to_owned(), self.client_id.clone()));
                if let Some(secret) = secret {
                    form.push(("client_secret".to_owned(), secret.to_owned()));
                }
            }
        }
        let request = OutboundRequest {
            method: axum::http::Method::POST,
            url,
            headers,
            body: OutboundBody::Form(form),
            timeout: Some(net.at_most(super::provider::CALL_TIMEOUT)),
        };
        let response = net.send(request).await?;
        match response.status {
            200..=299 => Ok(()),
            status => Err(TokenFailure::unavailable(
                format!("the provider answered HTTP {status}"),
                response.retry_after(now()),
            )),
        }
    }
}

fn token_set(granted: Granted) -> TokenSet {
    let scope = granted
        .scopes()
        .map(|s| s.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>().join(" "));
    TokenSet {
        access_token: granted.access_token().secret().clone(),
        refresh_token: granted.refresh_token().map(|t| t.secret().clone()),
        token_type: Some(granted.token_type().as_ref().to_owned()),
        expires_in: granted.expires_in().map(|d| d.as_secs()),
        scope,
        id_token: granted.extra_fields().id_token.clone(),
        kept: granted.extra_fields().kept.clone(),
    }
}

fn failure(
    error: RequestTokenError<Transport, BasicErrorResponse>,
    rule: &TokenResponse,
    secrets: &[Option<&str>],
) -> TokenFailure {
    match error {
        RequestTokenError::ServerResponse(answer) => {
            let mut text = answer.error().as_ref().to_owned();
            if let Some(description) = answer.error_description() {
                text = format!("{text}: {description}");
            }
            let text = clean(&text, secrets);
            if answer::is_over(rule, answer.error().as_ref()) {
                TokenFailure::Over(text)
            } else {
                TokenFailure::Refused(text)
            }
        }
        RequestTokenError::Request(error) => match error {
            Transport::Net(error) => error.into(),
            Transport::Unavailable(_, wait) => TokenFailure::unavailable(error.to_string(), wait),
            Transport::Unusable(why) => TokenFailure::lost(why),
            Transport::Request => TokenFailure::unavailable(error.to_string(), None),
        },
        // The library's own text may quote the answer.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            TokenFailure::lost("the provider's answer could not be read")
        }
    }
}

/// A provider's text for a person: one line, short, without any secret that was sent.
pub(in crate::credentials) fn clean(text: &str, secrets: &[Option<&str>]) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for secret in secrets.iter().flatten().filter(|s| s.len() >= 4) {
        text = text.replace(secret, "[secret]");
    }
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_of_providers_are_cleaned() {
        assert_eq!(clean("bad token tok-123\r\nx", &[Some("tok-123")]), "bad token [secret]  x");
        assert_eq!(clean(&"x".repeat(1000), &[]).len(), 300);
    }

    #[test]
    fn a_refresh_token_that_was_not_replaced_stays() {
        let mut state = SecretMap(
            json!({"access_token": "a", "refresh_token": "r", "expires_in": 1, "subdomain": "s"})
                .as_object()
                .unwrap()
                .clone(),
        );
        let set = TokenSet {
            access_token: "b".into(),
            refresh_token: None,
            token_type: None,
            expires_in: Some(60),
            scope: None,
            id_token: None,
            kept: json!({"access_token": "evil", "team": 1}).as_object().unwrap().clone(),
        };
        let now = crate::domain::time::now();
        assert_eq!(set.write(&mut state, now), Some(now + TimeDelta::seconds(60)));
        assert_eq!(state.text("access_token"), Some("b"));
        assert_eq!(state.text("refresh_token"), Some("r"));
        assert_eq!(state.text("subdomain"), Some("s"));
        assert_eq!(state.0["team"], 1);
    }
}
