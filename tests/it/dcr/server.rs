//! A remote MCP server and its authorization server, for what no real one does: documents that
//! lie, lack things, are huge or lead elsewhere, and clients that are forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use patchbay::domain::id::random_text;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Status, headers, body.
pub type Page = (u16, Vec<(&'static str, String)>, String);

/// What the server does differently from a good one.
#[derive(Default)]
pub struct Ways {
    /// Replaces keys of the authorization server's metadata; null removes one.
    pub metadata: Map<String, Value>,
    /// Replaces keys of the resource's metadata; null removes one.
    pub resource: Map<String, Value>,
    /// Replaces keys of the registration's answer; null removes one.
    pub registration: Map<String, Value>,
    /// Answers of whole paths.
    pub pages: HashMap<String, Page>,
    /// The challenge of the resource; none: no such header.
    pub challenge: Option<String>,
    /// How long a registration takes.
    pub slow_ms: u64,
    /// Client ids that are not known any more.
    pub forgotten: Vec<String>,
}

#[derive(Default)]
pub struct Seen {
    /// Metadata of every registration, with the client id that it got.
    pub registrations: Vec<(String, Value)>,
    /// Token requests: headers and form.
    pub tokens: Vec<(HeaderMap, HashMap<String, String>)>,
    /// Every path that was asked for.
    pub paths: Vec<String>,
    /// `Authorization` headers of calls of the resource.
    pub calls: Vec<String>,
    codes: HashMap<String, HashMap<String, String>>,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    pub ways: Arc<Mutex<Ways>>,
    pub seen: Arc<Mutex<Seen>>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, ways: Arc::default(), seen: Arc::default() };
        let place = format!("{}/.well-known/oauth-protected-resource/mcp", server.url);
        server.change(|w| w.challenge = Some(format!("Bearer resource_metadata=\"{place}\"")));
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn change(&self, apply: impl FnOnce(&mut Ways)) {
        apply(&mut self.ways.lock().unwrap());
    }

    /// Sets keys of the metadata.
    pub fn metadata(&self, keys: Value) {
        self.change(|w| w.metadata = keys.as_object().unwrap().clone());
    }

    pub fn registrations(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().registrations.clone()
    }

    pub fn last_token_request(&self) -> (HeaderMap, HashMap<String, String>) {
        self.seen.lock().unwrap().tokens.last().unwrap().clone()
    }

    pub fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().paths.clone()
    }

    /// The person agrees: a code for an authorize URL.
    pub fn consent(&self, url: &url::Url) -> String {
        let code = random_text(12);
        let asked = url.query_pairs().into_owned().collect();
        self.seen.lock().unwrap().codes.insert(code.clone(), asked);
        code
    }

    fn document(&self, base: Value, changes: &Map<String, Value>) -> Response {
        let mut document = base.as_object().unwrap().clone();
        for (name, value) in changes {
            match value {
                Value::Null => document.remove(name),
                other => document.insert(name.clone(), other.clone()),
            };
        }
        axum::Json(Value::Object(document)).into_response()
    }
}

fn refused(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(json!({"error": code, "error_description": "no"}))).into_response()
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    server.seen.lock().unwrap().paths.push(format!("{method} {path}"));
    if let Some((status, extra, text)) = server.ways.lock().unwrap().pages.get(&path) {
        let mut response = (StatusCode::from_u16(*status).unwrap(), text.clone()).into_response();
        for (name, value) in extra {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        return response;
    }
    let url = server.url.clone();
    match path.as_str() {
        "/mcp" => resource(&server, &headers),
        "/.well-known/oauth-protected-resource/mcp" => {
            let base = json!({"resource": format!("{url}/mcp"), "authorization_servers": [url],
                "scopes_supported": ["tools:read", "tools:call"]});
            server.document(base, &server.ways.lock().unwrap().resource.clone())
        }
        "/.well-known/oauth-authorization-server" => {
            let base = json!({
                "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"),
                "registration_endpoint": format!("{url}/register"),
                "revocation_endpoint": format!("{url}/revoke"),
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            });
            server.document(base, &server.ways.lock().unwrap().metadata.clone())
        }
        "/register" => register(&server, &body).await,
        "/token" => token(&server, &headers, &body),
        "/revoke" => StatusCode::OK.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn resource(server: &Server, headers: &HeaderMap) -> Response {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        if let Some(challenge) = &server.ways.lock().unwrap().challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
        }
        return response;
    };
    let given = given.to_str().unwrap().to_owned();
    server.seen.lock().unwrap().calls.push(given);
    axum::Json(json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}})).into_response()
}

async fn register(server: &Server, body: &Bytes) -> Response {
    let wait = server.ways.lock().unwrap().slow_ms;
    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    let asked: Value = serde_json::from_slice(body).unwrap();
    let id = format!("client-{}", random_text(8));
    let mut answer = asked.as_object().unwrap().clone();
    answer.insert("client_id".into(), id.clone().into());
    if asked["token_endpoint_auth_method"] != "none" {
        answer.insert("client_secret".into(), format!("secret-of-{id}").into());
        answer.insert("client_secret_expires_at".into(), 0.into());
    }
    server.seen.lock().unwrap().registrations.push((id, asked));
    let changes = server.ways.lock().unwrap().registration.clone();
    let mut response = server.document(Value::Object(answer), &changes);
    *response.status_mut() = StatusCode::CREATED;
    response
}

fn token(server: &Server, headers: &HeaderMap, body: &Bytes) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let mut seen = server.seen.lock().unwrap();
    seen.tokens.push((headers.clone(), form.clone()));
    let client = match headers.get(header::AUTHORIZATION) {
        Some(basic) => {
            let text = basic.to_str().unwrap().strip_prefix("Basic ").unwrap();
            let text = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let (id, secret) = text.split_once(':').unwrap();
            assert_eq!(secret, format!("secret-of-{id}"), "a secret of another client");
            id.to_owned()
        }
        None => form["client_id"].clone(),
    };
    if server.ways.lock().unwrap().forgotten.contains(&client) {
        return refused(401, "invalid_client");
    }
    if form.get("resource").map(String::as_str) != Some(&format!("{}/mcp", server.url)) {
        return refused(400, "invalid_target");
    }
    match form["grant_type"].as_str() {
        "authorization_code" => {
            let Some(asked) = seen.codes.remove(&form["code"]) else {
                return refused(400, "invalid_grant");
            };
            let verifier = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .encode(Sha256::digest(&form["code_verifier"]));
            if asked["code_challenge"] != verifier
                || asked["client_id"] != client
                || asked["redirect_uri"] != form["redirect_uri"]
            {
                return refused(400, "invalid_grant");
            }
        }
        "refresh_token" if form["refresh_token"] == format!("rt-{client}") => {}
        _ => return refused(400, "invalid_grant"),
    }
    axum::Json(json!({"access_token": format!("at-{}", random_text(8)), "token_type": "Bearer",
        "expires_in": 3600, "refresh_token": format!("rt-{client}"), "scope": "tools:read"}))
    .into_response()
}
