//! MCP clients that sign a person in, played over plain HTTP: the client, and the person's browser.

mod hostile;
mod metadata;
mod tokens;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patchbay::domain::id::random_text;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

pub const REDIRECT: &str = "https://client.example/back?keep=1";

/// A client that has registered itself.
pub struct Client {
    pub http: TestClient,
    pub id: String,
    pub verifier: String,
}

pub fn query_of(url: &str) -> BTreeMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

pub fn location(response: &TestResponse) -> String {
    assert_eq!(response.status, 303, "{}", response.text);
    response.headers["location"].to_str().unwrap().to_owned()
}

impl Client {
    pub async fn register(app: &TestApp) -> Self {
        let http = app.anonymous();
        let body = json!({"client_name": "Tester", "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "client_secret_post"});
        let made = http.post("/oauth/register", body).await.expect(201);
        assert_eq!(made["token_endpoint_auth_method"], "none");
        assert!(made.get("client_secret").is_none());
        let id = made["client_id"].as_str().unwrap().to_owned();
        Self { http, id, verifier: random_text(43) }
    }

    /// The parameters of a good request.
    pub fn parameters(&self, resource: &str) -> Vec<(String, String)> {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier));
        [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "the state & more"),
            ("scope", "mcp"),
            ("resource", resource),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    pub fn page_of(parameters: &[(String, String)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        format!("/oauth/authorize?{}", query.finish())
    }

    /// The person opens the page, fills the form in and sends it.
    pub async fn person(&self, page: &str, fields: &[(&str, &str)]) -> TestResponse {
        let shown = self.http.get(page).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        let cookie = shown.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        let proof = shown.text.split("name=\"proof\" value=\"").nth(1).unwrap();
        let proof = proof.split('"').next().unwrap();
        let mut form = vec![("proof", proof)];
        form.extend_from_slice(fields);
        let request = self.http.request(Method::POST, page).header("cookie", cookie).form(&form);
        self.http.send(request).await
    }

    /// A code for an endpoint, with a key.
    pub async fn code(&self, resource: &str, key: &str) -> String {
        let page = Self::page_of(&self.parameters(resource));
        let back = location(&self.person(&page, &[("api_key", key), ("action", "allow")]).await);
        assert!(back.starts_with("https://client.example/back?keep=1&code=mco_"), "{back}");
        let query = query_of(&back);
        assert_eq!(query["state"], "the state & more");
        query["code"].clone()
    }

    pub async fn token(&self, form: &[(&str, &str)]) -> TestResponse {
        let request = self.http.request(Method::POST, "/oauth/token").form(form);
        self.http.send(request).await
    }

    pub async fn exchange(&self, code: &str) -> TestResponse {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("code", code),
            ("code_verifier", &self.verifier),
            ("redirect_uri", REDIRECT),
        ])
        .await
    }

    pub async fn renew(&self, token: &str) -> TestResponse {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("client_id", &self.id),
            ("refresh_token", token),
        ])
        .await
    }

    /// Signs in from beginning to end.
    pub async fn tokens(&self, resource: &str, key: &str) -> Value {
        let code = self.code(resource, key).await;
        self.exchange(&code).await.expect(200)
    }
}

/// A session of the project, and the URL of its endpoint.
pub async fn session(app: &TestApp) -> (String, String) {
    let body = json!({"user_id": "ann"});
    let made = app.client().post("/api/v3/tool_router/session", body).await.expect(201);
    let url = made["mcp"]["url"].as_str().unwrap();
    (Url::parse(url).unwrap().path().to_owned(), url.to_owned())
}

/// Whether a token opens an endpoint, and for which project.
pub async fn opens(app: &TestApp, token: &str, path: &str) -> Option<String> {
    opens_at(&app.app, token, path).await
}

pub async fn opens_at(app: &patchbay::app::App, token: &str, path: &str) -> Option<String> {
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    let found = patchbay::mcp_oauth::authenticate(app, &headers, path).await;
    found.ok().flatten().map(|project| project.id.to_string())
}

#[track_caller]
pub fn refused(response: &TestResponse, error: &str) {
    assert_eq!(response.status, 400, "{}", response.text);
    assert_eq!(response.json()["error"], error, "{}", response.text);
    assert_eq!(response.headers["cache-control"], "no-store");
}
