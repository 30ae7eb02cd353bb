//! What RFC 6749 and RFC 7636 say, by the `oauth2` library: authorization requests, PKCE, and the
//! requests of the grants. What a definition wants otherwise is put over them by its neighbours.

use std::fmt;
use std::pin::Pin;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, StandardRevocableToken, StandardTokenResponse,
    TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::token::{TokenFailure, TokenSet};

/// Parameters in their order.
pub(super) type Pairs = Vec<(String, String)>;

/// An authorization request: its parameters, and the PKCE verifier to keep.
pub(super) struct Request {
    /// Parameters, without those that the endpoint itself brings along.
    pub pairs: Pairs,
    /// To send with the code.
    pub verifier: Option<String>,
}

/// The parameters of an authorization request.
pub(super) fn authorization(
    endpoint: &Url,
    client_id: &str,
    redirect_uri: &str,
    state: &str,
    pkce: bool,
) -> Result<Request, String> {
    let redirect = RedirectUrl::new(redirect_uri.to_owned())
        .map_err(|_| "oauth_redirect_uri: is not a URL".to_owned())?;
    // Parameters that the endpoint has are its own business; they are kept by the caller.
    let mut bare = endpoint.clone();
    bare.set_query(None);
    let client = oauth2::basic::BasicClient::new(ClientId::new(client_id.to_owned()))
        .set_auth_uri(AuthUrl::from_url(bare))
        .set_redirect_uri(redirect);
    let state = state.to_owned();
    let mut request = client.authorize_url(move || CsrfToken::new(state));
    let mut verifier = None;
    if pkce {
        let (challenge, secret) = PkceCodeChallenge::new_random_sha256();
        request = request.set_pkce_challenge(challenge);
        verifier = Some(secret.into_secret());
    }
    let (url, _) = request.url();
    Ok(Request { pairs: url.query_pairs().into_owned().collect(), verifier })
}

/// What tokens are asked for with.
pub(super) enum Grant<'g> {
    /// A code, with the redirect URI of its authorization request and the PKCE verifier.
    Code { code: &'g str, redirect_uri: &'g str, verifier: Option<&'g str> },
    /// A refresh token.
    RefreshToken(&'g str),
    /// The client itself.
    Client,
}

/// What carries a request of the library to the provider, in the provider's own dress, and brings
/// back the tokens.
pub(super) trait Carrier: Sync {
    /// Sends a request with these parameters.
    fn carry<'c>(
        &'c self,
        pairs: Pairs,
    ) -> Pin<Box<dyn Future<Output = Result<TokenSet, TokenFailure>> + Send + 'c>>;
}

/// The library's view of a [`Carrier`].
struct Http<'p>(&'p dyn Carrier);

impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = TokenFailure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TokenFailure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let pairs = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let sent = self.0.carry(pairs);
        Box::pin(async move {
            let set = sent.await?;
            let answer =
                Answer { access_token: &set.access_token, token_type: "bearer", set: &set };
            let body = serde_json::to_vec(&answer)
                .map_err(|_| TokenFailure::lost("the provider's answer could not be read"))?;
            Ok(HttpResponse::new(body))
        })
    }
}

/// A token answer as the standard has it, with all that the provider's own said.
#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(rename = "patchbay")]
    set: &'a TokenSet,
}

#[derive(Clone, Serialize, Deserialize)]
struct Whole {
    #[serde(rename = "patchbay")]
    set: TokenSet,
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole")
    }
}

impl ExtraTokenFields for Whole {}

type Granted = StandardTokenResponse<Whole, BasicTokenType>;
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

/// Asks for tokens. `more` are parameters besides those of the grant. The client's secret is not
/// among the parameters: how a client authenticates differs too much.
///
/// # Errors
/// Those of the carrier.
pub(super) async fn tokens(
    endpoint: Url,
    client_id: &str,
    grant: Grant<'_>,
    more: &[(String, String)],
    carrier: &dyn Carrier,
) -> Result<TokenSet, TokenFailure> {
    let client: TokenClient = oauth2::Client::new(ClientId::new(client_id.to_owned()))
        .set_token_uri(TokenUrl::from_url(endpoint))
        .set_auth_type(AuthType::RequestBody);
    let http = Http(carrier);
    let granted = match grant {
        Grant::Code { code, redirect_uri, verifier } => {
            let redirect = RedirectUrl::new(redirect_uri.to_owned())
                .map_err(|_| TokenFailure::Refused("the redirect URI is not a URL".into()))?;
            let client = client.set_redirect_uri(redirect);
            let mut request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
            if let Some(verifier) = verifier {
                request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
            }
            for (name, value) in more {
                request = request.add_extra_param(name, value);
            }
            request.request_async(&http).await
        }
        Grant::RefreshToken(token) => {
            let token = RefreshToken::new(token.to_owned());
            let mut request = client.exchange_refresh_token(&token);
            for (name, value) in more {
                request = request.add_extra_param(name, value);
            }
            request.request_async(&http).await
        }
        Grant::Client => {
            let mut request = client.exchange_client_credentials();
            for (name, value) in more {
                request = request.add_extra_param(name, value);
            }
            request.request_async(&http).await
        }
    };
    granted.map(|answer| answer.extra_fields().set.clone()).map_err(|error| match error {
        RequestTokenError::Request(failure) => failure,
        // The library's own texts may quote the answer.
        RequestTokenError::ServerResponse(_)
        | RequestTokenError::Parse(..)
        | RequestTokenError::Other(_) => {
            TokenFailure::lost("the provider's answer could not be read")
        }
    })
}
