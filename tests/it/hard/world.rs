//! A server with connected accounts, and the provider behind it.

use serde_json::{Value, json};

use super::provider::Provider;
use crate::support::app::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// The account's key. No answer, log row or log line may hold it.
pub const SECRET: &str = "sk-very-secret-0123456789abcdef";

/// Toolkits that the provider stands in for.
const TOOLKITS: [&str; 5] = ["serpapi", "exa", "github", "hackernews", "stripe"];

pub struct World {
    pub app: TestApp,
    pub provider: Provider,
    pub client: TestClient,
}

/// Ids of an auth config and an account of it.
#[derive(Clone, Debug)]
pub struct Connected {
    pub config: String,
    pub account: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let url = provider.url();
        let lines: Vec<String> = TOOLKITS
            .iter()
            .map(|slug| {
                format!(
                    "{slug}: {{base_url: \"{url}\", authorize_url: \"{url}/authorize\", \
                     token_url: \"{url}/token\", revoke_url: \"{url}/revoke\"}}\n"
                )
            })
            .collect();
        std::fs::write(file.path(), lines.concat()).unwrap();
        let mut all = vec![
            ("PATCHBAY_PROVIDERS_FILE", file.path().to_str().unwrap()),
            ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "1"),
            ("PATCHBAY_OUTBOUND_TIMEOUT_S", "2"),
            ("PATCHBAY_OUTBOUND_MAX_RESPONSE_BYTES", "100000"),
            ("PATCHBAY_LOG_WAIT_FOR_COMMIT", "true"),
        ];
        all.extend(settings);
        let app = TestApp::with(&all).await;
        let client = app.client();
        Self { app, provider, client }
    }

    /// An account of a toolkit that takes an API key.
    pub async fn connect(&self, toolkit: &str) -> Connected {
        connect(&self.client, toolkit, SECRET).await
    }

    /// Executes a tool with an account.
    pub async fn execute(&self, tool: &str, account: &str, arguments: Value) -> TestResponse {
        let body = json!({"connected_account_id": account, "arguments": arguments});
        self.client.post(&format!("/api/v3/tools/execute/{tool}"), body).await
    }

    /// A GET by the proxy.
    pub async fn proxy(&self, account: &str, endpoint: &str) -> TestResponse {
        let body = json!({"connected_account_id": account, "endpoint": endpoint, "method": "GET"});
        self.client.post("/api/v3/tools/execute/proxy", body).await
    }

    /// All log rows, as text.
    pub async fn log_rows(&self) -> Vec<String> {
        sqlx::query_scalar("select row_to_json(l)::text from execution_log l order by created_at")
            .fetch_all(&self.app.app.db)
            .await
            .unwrap()
    }
}

/// Connects by an API key over the API.
pub async fn connect(client: &TestClient, toolkit: &str, key: &str) -> Connected {
    let config = config(client, toolkit, "API_KEY", json!({})).await;
    let body = json!({
        "auth_config": {"id": config},
        "connection": {"user_id": "u1", "state": {"authScheme": "API_KEY", "val": {"generic_api_key": key}}},
    });
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    assert_eq!(made["status"], "ACTIVE", "{made}");
    Connected { config, account: made["id"].as_str().unwrap().to_owned() }
}

/// Makes an auth config over the API.
pub async fn config(client: &TestClient, toolkit: &str, scheme: &str, cred: Value) -> String {
    let body = json!({
        "toolkit": {"slug": toolkit},
        "auth_config": {"type": "use_custom_auth", "authScheme": scheme, "credentials": cred},
    });
    let made = client.post("/api/v3/auth_configs", body).await.expect(201);
    made["auth_config"]["id"].as_str().unwrap().to_owned()
}

/// An auth config that connects by OAuth2.
pub async fn oauth_config(client: &TestClient) -> String {
    let cred = json!({"client_id": "client-1", "client_secret": SECRET});
    config(client, "github", "OAUTH2", cred).await
}

/// An OAuth2 account that is ACTIVE with the given tokens.
pub async fn oauth_account(client: &TestClient, access: &str, refresh: &str) -> Connected {
    let config = oauth_config(client).await;
    let val = json!({"access_token": access, "refresh_token": refresh, "expires_in": 3600});
    let body = json!({
        "auth_config": {"id": config},
        "connection": {"user_id": "u1", "state": {"authScheme": "OAUTH2", "val": val}},
    });
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    assert_eq!(made["status"], "ACTIVE", "{made}");
    Connected { config, account: made["id"].as_str().unwrap().to_owned() }
}

/// Whether an operation takes the organization's key.
pub fn wants_org(path: &str) -> bool {
    path.contains("/org/owner/") || path.ends_with("/org/projects")
}
