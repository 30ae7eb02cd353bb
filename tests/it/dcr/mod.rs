//! DCR_OAUTH: servers that are found, clients that register themselves, and servers that are not
//! to be trusted.

mod clients;
mod connecting;
mod hostile;
mod server;

use serde_json::{Value, json};

use self::server::Server;
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// A Patchbay whose toolkit `notion_mcp` is at the server.
pub struct World {
    pub app: TestApp,
    pub server: Server,
    file: tempfile::NamedTempFile,
}

impl World {
    pub async fn new() -> Self {
        let server = Server::start().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("notion_mcp: {{base_url: '{}/mcp'}}\n", server.url);
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let app = TestApp::with(&[("PATCHBAY_PROVIDERS_FILE", &path)]).await;
        Self { app, server, file }
    }

    pub fn providers_file(&self) -> String {
        self.file.path().to_str().unwrap().to_owned()
    }

    pub fn client(&self) -> TestClient {
        self.app.client()
    }

    pub async fn config(&self, toolkit: &str, credentials: Value) -> String {
        let body = json!({"toolkit": {"slug": toolkit}, "auth_config": {
            "type": "use_custom_auth", "authScheme": "DCR_OAUTH", "credentials": credentials}});
        let made = self.client().post("/api/v3/auth_configs", body).await.expect(201);
        made["auth_config"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn initiate_with(
        &self,
        client: &TestClient,
        config: &str,
        val: Value,
    ) -> TestResponse {
        let connection = json!({"user_id": "u", "state": {"authScheme": "DCR_OAUTH", "val": val}});
        let body = json!({"auth_config": {"id": config}, "connection": connection});
        client.post("/api/v3/connected_accounts", body).await
    }

    pub async fn initiate(&self, config: &str) -> TestResponse {
        self.initiate_with(&self.client(), config, json!({"status": "INITIALIZING"})).await
    }

    /// Begins an attempt: the account's id and where the browser goes.
    pub async fn begin(&self, config: &str) -> (String, url::Url) {
        let made = self.initiate(config).await.expect(201);
        let url = made["redirect_url"].as_str().unwrap().parse().unwrap();
        (made["id"].as_str().unwrap().to_owned(), url)
    }

    pub async fn callback(&self, pairs: &[(&str, &str)]) -> TestResponse {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let client = self.app.anonymous().header("accept", "text/html");
        client.get(&format!("/api/v3/toolkits/auth/callback?{query}")).await
    }

    pub async fn account(&self, id: &str) -> Value {
        self.client().get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200)
    }

    /// An account that is connected.
    pub async fn connected(&self, config: &str) -> String {
        let (id, url) = self.begin(config).await;
        let code = self.server.consent(&url);
        self.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
        let account = self.account(&id).await;
        assert_eq!(account["status"], "ACTIVE", "{account}");
        id
    }

    pub async fn unmask(&self) {
        let body = json!({"mask_secret_keys_in_connected_account": false});
        self.client().patch("/api/v3/org/project/config", body).await.expect(200);
    }
}

#[track_caller]
pub fn param(url: &url::Url, name: &str) -> String {
    let found = url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in {url}"))
}
