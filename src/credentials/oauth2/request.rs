//! Requests to a provider's token and revocation endpoints.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use axum::http::Method;
use base64::Engine;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::answer::{self, Answer};
use super::assertion;
use super::provider::{Provider, REDIRECT_URI_FIELD};
use super::standard::{self, Carrier, Grant, Pairs};
use super::token::{TokenFailure, TokenSet, clean};
use crate::catalog::model::{
    ClientAuth, RefreshWith, Revoke, RevokedToken, TokenBody, TokenMethod, TokenResponse,
};
use crate::domain::connection::SecretMap;
use crate::domain::outbound::{OutboundBody, OutboundRequest, OutboundResponse};
use crate::domain::secret::ExposeSecret;
use crate::domain::time::now;
use crate::net::{Client, CredentialNames};

/// Longest time for one call of a provider's OAuth endpoint.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// What is escaped in the halves of basic credentials: all but the unreserved characters, so that
/// providers that forget to decode them understand most.
const HALF: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'*');

type Texts = BTreeMap<String, String>;

/// How one request looks.
#[derive(Clone)]
struct Ask<'d> {
    url: &'d str,
    method: TokenMethod,
    auth: ClientAuth,
    body: TokenBody,
    /// Standard parameters.
    pairs: Vec<(String, String)>,
    /// The definition's, in order.
    params: Vec<&'d Texts>,
    headers: Vec<&'d Texts>,
    /// What templates see as `oauth`.
    oauth: Map<String, Value>,
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

impl Provider<'_> {
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
        let token = &self.def.token;
        let ask = Ask {
            url: &token.url,
            method: token.method,
            auth: token.client_auth,
            body: token.body,
            pairs: Vec::new(),
            params: vec![&token.params],
            headers: vec![&token.headers],
            oauth: self.flow(&[("code", code), ("redirect_uri", redirect_uri)]),
        };
        let grant = Grant::Code { code, redirect_uri, verifier };
        let mut known = vec![code.to_owned()];
        known.extend(verifier.map(str::to_owned));
        let mut set = self.granted(net, ask, grant, &known).await?;
        if let Some(upgrade) = &self.def.upgrade {
            let short = set.access_token.clone();
            let ask = Ask {
                url: &upgrade.url,
                method: upgrade.method,
                auth: upgrade.client_auth,
                body: upgrade.body,
                pairs: Vec::new(),
                params: vec![&upgrade.params],
                headers: vec![&upgrade.headers],
                oauth: self.flow(&[("access_token", &short)]),
            };
            let long = self.tokens(net, ask, std::slice::from_ref(&short)).await?;
            set = long.over(set);
        }
        // RFC 6749: without a scope in the answer it is the one that was asked for.
        set.scope = set.scope.or_else(|| self.asked());
        Ok(set)
    }

    /// Asks for a token for the client itself.
    ///
    /// # Errors
    /// See [`TokenFailure`]; the text holds no secret.
    pub async fn client_credentials(&self, net: &Client) -> Result<TokenSet, TokenFailure> {
        let token = &self.def.token;
        let mut more = Vec::new();
        let scope = self.scope();
        if !scope.is_empty() {
            more.push((self.def.authorize.scope_param.clone(), scope));
        }
        let ask = Ask {
            url: &token.url,
            method: token.method,
            auth: token.client_auth,
            body: token.body,
            pairs: more,
            params: vec![&token.params],
            headers: vec![&token.headers],
            oauth: self.flow(&[]),
        };
        let mut set = self.granted(net, ask, Grant::Client, &[]).await?;
        set.scope = set.scope.or_else(|| self.asked());
        Ok(set)
    }

    /// Refreshes with a refresh token, or with the access token where the definition says so.
    ///
    /// # Errors
    /// As [`Provider::exchange`].
    pub async fn refresh(&self, net: &Client, token: &str) -> Result<TokenSet, TokenFailure> {
        let (usual, rule) = (&self.def.token, &self.def.refresh);
        let mut more = Vec::new();
        let mut flow = Vec::new();
        match rule.with {
            RefreshWith::RefreshToken => {
                flow.push(("refresh_token", token));
                flow.extend(self.field("access_token").map(|t| ("access_token", t)));
            }
            RefreshWith::AccessToken => flow.push(("access_token", token)),
        }
        if rule.send_redirect_uri {
            // The one that the person consented at: the auth config may have another by now.
            let uri = self.field(REDIRECT_URI_FIELD).unwrap_or(&self.redirect_uri);
            more.push(("redirect_uri".to_owned(), uri.to_owned()));
            flow.push(("redirect_uri", uri));
        }
        let asked = self.asked();
        if let (true, Some(scope)) = (rule.send_scope, self.field("scope").or(asked.as_deref())) {
            more.push((self.def.authorize.scope_param.clone(), scope.to_owned()));
        }
        let ask = Ask {
            url: rule.url.as_deref().unwrap_or(&usual.url),
            method: rule.method.unwrap_or(usual.method),
            auth: rule.client_auth.unwrap_or(usual.client_auth),
            body: rule.body.unwrap_or(usual.body),
            pairs: more,
            params: match rule.with {
                RefreshWith::RefreshToken => vec![&usual.params, &rule.params],
                RefreshWith::AccessToken => vec![&rule.params],
            },
            headers: vec![&usual.headers, &rule.headers],
            oauth: self.flow(&flow),
        };
        let known = [token.to_owned()];
        match rule.with {
            RefreshWith::RefreshToken => {
                self.granted(net, ask, Grant::RefreshToken(token), &known).await
            }
            RefreshWith::AccessToken => self.tokens(net, ask, &known).await,
        }
    }

    /// What a connection's tokens are renewed with: the token that the definition names.
    pub(in crate::credentials) fn renewal<'s>(&self, state: &'s SecretMap) -> Option<&'s str> {
        if !self.can_refresh() {
            return None;
        }
        let name = match self.def.refresh.with {
            RefreshWith::RefreshToken => "refresh_token",
            RefreshWith::AccessToken => "access_token",
        };
        state.text(name).filter(|t| !t.is_empty())
    }

    /// Tells the provider to forget a connection's tokens, when it can be told. Every token is
    /// tried. Gives the names of those that are forgotten, and the first failure.
    pub async fn revoke(
        &self,
        net: &Client,
        state: &SecretMap,
    ) -> (Vec<&'static str>, Result<(), TokenFailure>) {
        let mut told = Vec::new();
        let Some(rule) = self.def.revocation() else { return (told, Ok(())) };
        let of = |name: &str| state.text(name).filter(|t| !t.is_empty());
        let (access, refresh) = (of("access_token"), of("refresh_token"));
        let which = match rule.token {
            RevokedToken::Access => vec![("access_token", access)],
            RevokedToken::Refresh if refresh.is_none() => vec![("access_token", access)],
            RevokedToken::Refresh => vec![("refresh_token", refresh)],
            RevokedToken::Both => vec![("refresh_token", refresh), ("access_token", access)],
        };
        let mut outcome = Ok(());
        for (name, token) in which {
            let Some(token) = token else { continue };
            let mut flow = vec![("token", token)];
            flow.extend(access.map(|t| ("access_token", t)));
            flow.extend(refresh.map(|t| ("refresh_token", t)));
            match self.revoke_one(net, &rule, token, &flow).await {
                Ok(()) => told.push(name),
                // One that the provider does not know any more needs no revocation.
                Err(TokenFailure::Over(_)) => {}
                Err(failure) => outcome = outcome.and(Err(failure)),
            }
        }
        (told, outcome)
    }

    async fn revoke_one(
        &self,
        net: &Client,
        rule: &Revoke,
        token: &str,
        flow: &[(&str, &str)],
    ) -> Result<(), TokenFailure> {
        let ask = Ask {
            url: &rule.url,
            method: rule.method,
            auth: rule.client_auth.unwrap_or(self.def.token.client_auth),
            body: rule.body,
            pairs: pairs(&[("token", token)]),
            params: vec![&rule.params],
            headers: vec![&rule.headers],
            oauth: self.flow(flow),
        };
        let (response, secrets) = self.send(net, ask).await?;
        if (200..300).contains(&response.status) {
            return Ok(());
        }
        let rule = &self.def.response;
        let answer = answer::read(rule, response.status, &response.body, now());
        Err(failure(rule, answer, &response, &secrets))
    }

    /// Asks for tokens by a grant of the standard; `ask.pairs` come besides its parameters.
    async fn granted(
        &self,
        net: &Client,
        ask: Ask<'_>,
        grant: Grant<'_>,
        known: &[String],
    ) -> Result<TokenSet, TokenFailure> {
        let endpoint = self.endpoint(ask.url, &ask.oauth).map_err(TokenFailure::Refused)?;
        let carried = Carried { provider: self, net, ask: &ask, known };
        standard::tokens(endpoint, &self.client.id, grant, &ask.pairs, &carried).await
    }

    /// Sends a request and reads tokens from its answer.
    async fn tokens(
        &self,
        net: &Client,
        ask: Ask<'_>,
        known: &[String],
    ) -> Result<TokenSet, TokenFailure> {
        let (response, mut secrets) = self.send(net, ask).await?;
        secrets.extend_from_slice(known);
        let rule = &self.def.response;
        match answer::read(rule, response.status, &response.body, now()) {
            Answer::Tokens(set) => Ok(*set),
            other => Err(failure(rule, other, &response, &secrets)),
        }
    }

    /// Sends a request; also gives what must not be shown of it.
    async fn send(
        &self,
        net: &Client,
        ask: Ask<'_>,
    ) -> Result<(OutboundResponse, Vec<String>), TokenFailure> {
        let mut secrets = self.secrets();
        let request = self.request(ask, &mut secrets).map_err(TokenFailure::Refused)?;
        let timeout = Some(net.at_most(CALL_TIMEOUT));
        // All of it is credentials: nothing goes along when a redirect leads to another host.
        let names = CredentialNames {
            headers: request.headers.iter().map(|(name, _)| name.clone()).collect(),
            query: request.url.query_pairs().map(|(name, _)| name.into_owned()).collect(),
        };
        let response = net.send_with(OutboundRequest { timeout, ..request }, &names).await?;
        Ok((response, secrets))
    }

    fn request(&self, ask: Ask<'_>, secrets: &mut Vec<String>) -> Result<OutboundRequest, String> {
        let Ask { method, body, mut pairs, mut oauth, .. } = ask;
        let mut url = self.endpoint(ask.url, &oauth)?;
        let secret = self.client.secret.as_ref().map(ExposeSecret::expose_secret);
        let secret = secret.filter(|s| !s.is_empty());
        if let Some(secret) = secret {
            oauth.insert("client_secret".into(), secret.into());
        }
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        let token = &self.def.token;
        match ask.auth {
            ClientAuth::Basic => {
                let half = |text: &str| utf8_percent_encode(text, HALF).to_string();
                let pair =
                    format!("{}:{}", half(&self.client.id), half(secret.unwrap_or_default()));
                let text = base64::engine::general_purpose::STANDARD.encode(pair);
                secrets.push(text.clone());
                headers.push(("authorization".to_owned(), format!("Basic {text}")));
            }
            ClientAuth::Post | ClientAuth::None => {
                pairs.push((token.client_id_param.clone(), self.client.id.clone()));
                if let (ClientAuth::Post, Some(secret)) = (ask.auth, secret) {
                    pairs.push((token.client_secret_param.clone(), secret.to_owned()));
                }
            }
            ClientAuth::PrivateKeyJwt => {
                let audience = self.endpoint(&token.url, &oauth)?;
                let assertion = assertion::make(&self.client, &token.assertion, audience.as_str())?;
                secrets.push(assertion.clone());
                pairs.push((token.client_id_param.clone(), self.client.id.clone()));
                pairs.push(("client_assertion_type".to_owned(), assertion::KIND.to_owned()));
                pairs.push(("client_assertion".to_owned(), assertion));
            }
        }
        for params in ask.params {
            self.over(&mut pairs, params, &oauth, true)?;
        }
        let mut given: Vec<(String, String)> = Vec::new();
        for texts in ask.headers {
            self.over(&mut given, texts, &oauth, true)?;
        }
        for (name, value) in given {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            headers.push((name, value));
        }
        let in_query = body == TokenBody::Query || method == TokenMethod::Get;
        let body = if in_query {
            if !pairs.is_empty() {
                url.query_pairs_mut().extend_pairs(pairs);
            }
            OutboundBody::Empty
        } else if body == TokenBody::Json {
            let object: Map<String, Value> =
                pairs.into_iter().map(|(k, v)| (k, Value::from(v))).collect();
            OutboundBody::Json(object.into())
        } else {
            OutboundBody::Form(pairs)
        };
        let method = match method {
            TokenMethod::Get => Method::GET,
            TokenMethod::Post => Method::POST,
            TokenMethod::Put => Method::PUT,
            TokenMethod::Patch => Method::PATCH,
            TokenMethod::Delete => Method::DELETE,
        };
        Ok(OutboundRequest { method, url, headers, body, timeout: None })
    }
}

/// A grant on its way to the provider.
struct Carried<'c> {
    provider: &'c Provider<'c>,
    net: &'c Client,
    ask: &'c Ask<'c>,
    known: &'c [String],
}

impl Carrier for Carried<'_> {
    fn carry<'c>(
        &'c self,
        mut pairs: Pairs,
    ) -> Pin<Box<dyn Future<Output = Result<TokenSet, TokenFailure>> + Send + 'c>> {
        // The client says who it is in the provider's way.
        pairs.retain(|(name, _)| name != "client_id");
        let ask = Ask { pairs, ..self.ask.clone() };
        Box::pin(self.provider.tokens(self.net, ask, self.known))
    }
}

/// What an answer without tokens means.
fn failure(
    rule: &TokenResponse,
    answer: Answer,
    response: &OutboundResponse,
    secrets: &[String],
) -> TokenFailure {
    match answer {
        Answer::Refused { code, text } => {
            let whole = text.map_or_else(|| code.clone(), |text| format!("{code}: {text}"));
            let known: Vec<Option<&str>> = secrets.iter().map(|s| Some(s.as_str())).collect();
            let why = clean(&whole, &known);
            if answer::is_over(rule, &code) {
                TokenFailure::Over(why)
            } else {
                TokenFailure::Refused(why)
            }
        }
        Answer::Unusable(why) => TokenFailure::lost(why),
        Answer::Unavailable | Answer::Tokens(_) => TokenFailure::unavailable(
            format!("the provider answered HTTP {}", response.status),
            response.retry_after(now()),
        ),
    }
}
