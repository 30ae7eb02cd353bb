//! Auth configs, connected accounts, OAuth and the Connect Link, against the whole server.

mod accounts;
mod auth_configs;
mod checking;
mod link;
mod oauth;
mod orders;
mod provider;
mod refresh;
mod revoking;
mod sharing;
mod tries;
mod verifying;

use serde_json::{Value, json};

use self::provider::Provider;
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// A server whose OAuth toolkits talk to a provider in the test process.
pub struct World {
    pub app: TestApp,
    pub provider: Provider,
    providers_file: tempfile::NamedTempFile,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let url = &provider.url;
        let endpoints = format!(
            "{{base_url: '{url}', authorize_url: '{url}/authorize', token_url: '{url}/token', \
             revoke_url: '{url}/revoke', managed: {{client_id: operator-id, \
             client_secret: operator-secret}}}}"
        );
        let text: String = ["linear", "slack", "notion", "jira", "github"]
            .iter()
            .map(|slug| format!("{slug}: {endpoints}\n"))
            .chain(
                ["exa", "firecrawl", "posthog", "googlecalendar", "stripe", "gmail", "cal"]
                    .iter()
                    .map(|slug| format!("{slug}: {{base_url: '{url}'}}\n")),
            )
            .chain(["serpapi: {base_url: 'http://127.0.0.1:1'}\n".to_owned()])
            .collect();
        let providers_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(providers_file.path(), text).unwrap();
        let path = providers_file.path().to_str().unwrap().to_owned();
        let mut all = vec![("PATCHBAY_PROVIDERS_FILE", path.as_str())];
        all.extend_from_slice(settings);
        let app = TestApp::with(&all).await;
        Self { app, provider, providers_file }
    }

    pub fn providers_file(&self) -> String {
        self.providers_file.path().to_str().unwrap().to_owned()
    }

    pub fn client(&self) -> TestClient {
        self.app.client()
    }

    /// Makes an auth config and returns its id.
    pub async fn auth_config(&self, toolkit: &str, auth_config: Value) -> String {
        let body = json!({"toolkit": {"slug": toolkit}, "auth_config": auth_config});
        let made = self.client().post("/api/v3/auth_configs", body).await.expect(201);
        made["auth_config"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn oauth_config(&self, toolkit: &str) -> String {
        let body = json!({"type": "use_custom_auth", "authScheme": "OAUTH2",
            "credentials": {"client_id": "my-id", "client_secret": "my-secret"}});
        self.auth_config(toolkit, body).await
    }

    pub async fn initiate(&self, config: &str, connection: Value) -> TestResponse {
        let body = json!({"auth_config": {"id": config}, "connection": connection});
        self.client().post("/api/v3/connected_accounts", body).await
    }

    pub async fn account(&self, id: &str) -> Value {
        self.client().get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200)
    }

    /// Begins an OAuth attempt; returns the account's id and the authorize URL.
    pub async fn begin(&self, config: &str, connection: Value) -> (String, url::Url) {
        let made = self.initiate(config, connection).await.expect(201);
        assert_eq!(made["status"], "INITIATED");
        let url = made["redirect_url"].as_str().unwrap().parse().unwrap();
        (made["id"].as_str().unwrap().to_owned(), url)
    }

    /// The browser comes back with these parameters.
    pub async fn callback(&self, pairs: &[(&str, &str)]) -> TestResponse {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let client = self.app.anonymous().header("accept", "text/html");
        client.get(&format!("/api/v3/toolkits/auth/callback?{query}")).await
    }

    /// An account that is connected by OAuth.
    pub async fn connected(&self, toolkit: &str) -> String {
        let config = self.oauth_config(toolkit).await;
        let (id, url) = self.begin(&config, json!({"user_id": "u1"})).await;
        let code = self.provider.consent(&url);
        assert_eq!(
            self.callback(&[("state", &param(&url, "state")), ("code", &code)]).await.status,
            200
        );
        assert_eq!(self.account(&id).await["status"], "ACTIVE");
        id
    }

    /// Turns the masking of secrets off.
    pub async fn unmask(&self) {
        let body = json!({"mask_secret_keys_in_connected_account": false});
        self.client().patch("/api/v3/org/project/config", body).await.expect(200);
    }
}

/// A query parameter.
#[track_caller]
pub fn param(url: &url::Url, name: &str) -> String {
    maybe(url, name).unwrap_or_else(|| panic!("no {name} in {url}"))
}

pub fn maybe(url: &url::Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
}

/// Where a redirect goes.
#[track_caller]
pub fn location(response: &TestResponse) -> url::Url {
    assert_eq!(response.status, 303, "{}", response.text);
    response.headers["location"].to_str().unwrap().parse().unwrap()
}
