//! A small OAuth 2.0 provider in the test process. It checks what RFC 6749 and RFC 7636 make it
//! check, and can be told to answer the way odd providers do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use patchbay::domain::id::random_text;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{maybe, param};

/// Headers and parameters of a token request.
type TokenRequest = (HeaderMap, Vec<(String, String)>);

struct Code {
    redirect_uri: String,
    challenge: Option<String>,
    client_id: String,
}

/// How token answers look.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    #[default]
    Standard,
    Form,
    /// `ok`, nested user token, no lifetime.
    Slack,
    /// HTTP 503.
    Down,
    /// `invalid_grant` for every refresh, with the token in its text.
    Revoked,
    /// HTML with HTTP 200.
    Html,
}

#[derive(Default)]
struct Inner {
    style: Mutex<Style>,
    codes: Mutex<HashMap<String, Code>>,
    refresh_tokens: Mutex<Vec<String>>,
    revoked: Mutex<Vec<String>>,
    requests: Mutex<Vec<TokenRequest>>,
    refreshes: AtomicUsize,
    answers: Mutex<HashMap<String, (u16, Value)>>,
    calls: Mutex<Vec<(String, HeaderMap)>>,
    /// Token and revocation requests get no answer for now.
    is_held: AtomicBool,
    held: AtomicUsize,
    /// Those that came before never get one.
    generation: AtomicUsize,
}

impl Inner {
    async fn pass(&self) {
        let generation = self.generation.load(Ordering::SeqCst);
        self.held.fetch_add(1, Ordering::SeqCst);
        while self.is_held.load(Ordering::SeqCst)
            || self.generation.load(Ordering::SeqCst) != generation
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

#[derive(Clone)]
pub struct Provider {
    pub url: String,
    inner: Arc<Inner>,
}

impl Provider {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let router = Router::new()
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .fallback(api)
            .with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// The person consents to an authorization request: gives the code.
    pub fn consent(&self, url: &url::Url) -> String {
        assert!(url.as_str().starts_with(&format!("{}/authorize?", self.url)), "{url}");
        assert_eq!(param(url, "response_type"), "code");
        let challenge = maybe(url, "code_challenge");
        if challenge.is_some() {
            assert_eq!(param(url, "code_challenge_method"), "S256");
        }
        let code = format!("code-{}", random_text(12));
        let known = Code {
            redirect_uri: param(url, "redirect_uri"),
            challenge,
            client_id: param(url, "client_id"),
        };
        self.inner.codes.lock().unwrap().insert(code.clone(), known);
        code
    }

    pub fn style(&self, style: Style) {
        *self.inner.style.lock().unwrap() = style;
    }

    /// Lets no token or revocation request through from here on, or all of them.
    pub fn hold(&self, is_held: bool) {
        self.inner.held.store(0, Ordering::SeqCst);
        self.inner.is_held.store(is_held, Ordering::SeqCst);
    }

    /// Lets requests through again, but none of those that are held.
    pub fn forget_held(&self) {
        self.inner.generation.fetch_add(1, Ordering::SeqCst);
        self.hold(false);
    }

    /// Waits until so many requests have come since [`Provider::hold`].
    pub async fn held(&self, requests: usize) {
        for _ in 0..1500 {
            if self.inner.held.load(Ordering::SeqCst) >= requests {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("nobody asked the provider");
    }

    /// What the API answers below a path; 404 elsewhere.
    pub fn answer(&self, path: &str, status: u16, body: Value) {
        self.inner.answers.lock().unwrap().insert(path.to_owned(), (status, body));
    }

    /// Paths and headers of the calls of the API.
    pub fn calls(&self) -> Vec<(String, HeaderMap)> {
        self.inner.calls.lock().unwrap().clone()
    }

    pub fn refreshes(&self) -> usize {
        self.inner.refreshes.load(Ordering::SeqCst)
    }

    pub fn revoked(&self) -> Vec<String> {
        self.inner.revoked.lock().unwrap().clone()
    }

    /// Parameters of the last token request.
    pub fn last_request(&self) -> (HeaderMap, HashMap<String, String>) {
        let requests = self.inner.requests.lock().unwrap();
        let (headers, pairs) = requests.last().unwrap();
        (headers.clone(), pairs.iter().cloned().collect())
    }
}

fn refused(code: &str, description: &str) -> Response {
    let body = json!({"error": code, "error_description": description});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

async fn token(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_json = headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/json");
    let pairs: Vec<(String, String)> = if is_json {
        let object: serde_json::Map<String, Value> = serde_json::from_slice(&body).unwrap();
        object.into_iter().map(|(k, v)| (k, v.as_str().unwrap().to_owned())).collect()
    } else {
        url::form_urlencoded::parse(&body).into_owned().collect()
    };
    inner.requests.lock().unwrap().push((headers.clone(), pairs.clone()));
    inner.pass().await;
    let form: HashMap<String, String> = pairs.into_iter().collect();
    let style = *inner.style.lock().unwrap();
    if style == Style::Down {
        return (StatusCode::SERVICE_UNAVAILABLE, "down").into_response();
    }
    if style == Style::Html {
        return ([(header::CONTENT_TYPE, "text/html")], "<html>hello</html>").into_response();
    }
    match form["grant_type"].as_str() {
        "authorization_code" => {
            // A code works once.
            let Some(code) = inner.codes.lock().unwrap().remove(&form["code"]) else {
                return refused("invalid_grant", "unknown code");
            };
            if form["redirect_uri"] != code.redirect_uri {
                return refused("invalid_grant", "redirect_uri differs");
            }
            let basic = headers.get(header::AUTHORIZATION).map(|h| h.to_str().unwrap().to_owned());
            let client_id = match &basic {
                Some(basic) => {
                    let text = basic.strip_prefix("Basic ").unwrap();
                    let text = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
                    String::from_utf8(text).unwrap().split(':').next().unwrap().to_owned()
                }
                None => form["client_id"].clone(),
            };
            if client_id != code.client_id {
                return refused("invalid_client", "another client");
            }
            let verifier = form.get("code_verifier").map(|v| {
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(v))
            });
            if verifier != code.challenge {
                return refused("invalid_grant", "PKCE verification failed");
            }
        }
        "refresh_token" => {
            inner.refreshes.fetch_add(1, Ordering::SeqCst);
            if style == Style::Revoked {
                let text = format!("token {} is revoked", form["refresh_token"]);
                return refused("invalid_grant", &text);
            }
            // Long enough for everybody to come meanwhile.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let mut known = inner.refresh_tokens.lock().unwrap();
            // Rotation: a refresh token works once.
            let Some(at) = known.iter().position(|t| *t == form["refresh_token"]) else {
                return refused("invalid_grant", "unknown refresh token");
            };
            known.remove(at);
        }
        other => return refused("unsupported_grant_type", other),
    }
    let access = format!("at-{}", random_text(16));
    let refresh = format!("rt-{}", random_text(16));
    inner.refresh_tokens.lock().unwrap().push(refresh.clone());
    match style {
        Style::Form => {
            let text = format!("access_token={access}&scope=a%2Cb&token_type=bearer");
            ([(header::CONTENT_TYPE, "application/x-www-form-urlencoded")], text).into_response()
        }
        Style::Slack => axum::Json(json!({"ok": true, "team": {"id": "T1", "name": "Team"},
            "app_id": "A1", "authed_user": {"id": "U1", "access_token": access}}))
        .into_response(),
        _ => axum::Json(json!({"access_token": access, "token_type": "Bearer",
            "expires_in": 3600, "refresh_token": refresh, "scope": "read write"}))
        .into_response(),
    }
}

async fn api(State(inner): State<Arc<Inner>>, uri: Uri, headers: HeaderMap) -> Response {
    inner.calls.lock().unwrap().push((uri.to_string(), headers));
    let known = inner.answers.lock().unwrap().get(uri.path()).cloned();
    let (status, body) = known.unwrap_or((404, json!({"message": "no such thing"})));
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

async fn revoke(State(inner): State<Arc<Inner>>, body: Bytes) -> Response {
    inner.pass().await;
    let style = *inner.style.lock().unwrap();
    match style {
        Style::Down => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Style::Revoked => return refused("invalid_grant", "unknown token"),
        _ => {}
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    inner.revoked.lock().unwrap().push(form["token"].clone());
    StatusCode::OK.into_response()
}
