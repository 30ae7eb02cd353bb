//! The schemes besides OAUTH2, from the auth config to the request that the provider sees.

mod logins;
mod oauth1;
mod old;
mod placements;
mod provider;

use std::sync::Arc;

use serde_json::{Value, json};

use self::old::Old;
use self::provider::Provider;
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

const TOOLKITS: &[(&str, &str)] = &[
    ("basicjwt", include_str!("toolkits/basicjwt.yaml")),
    ("robot", include_str!("toolkits/robot.yaml")),
    ("minted", include_str!("toolkits/minted.yaml")),
    ("books", include_str!("toolkits/books.yaml")),
    ("dates", include_str!("toolkits/dates.yaml")),
    ("vinyl", include_str!("toolkits/vinyl.yaml")),
    ("places", include_str!("toolkits/places.yaml")),
];

/// A key that signs nothing but what these tests send to themselves.
const KEY: &str = include_str!("throwaway-rsa-key.pem");

/// A server with toolkits that call a provider in the test process.
struct World {
    app: TestApp,
    provider: Provider,
    old: Arc<Old>,
    _toolkits: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self::with_providers("").await
    }

    /// With a providers file of the operator's.
    async fn with_providers(providers: &str) -> Self {
        let old = Arc::new(Old::default());
        let provider = Provider::start(old::router(old.clone())).await;
        let toolkits = tempfile::tempdir().unwrap();
        for (slug, text) in TOOLKITS {
            let folder = toolkits.path().join(slug);
            std::fs::create_dir_all(folder.join("tools")).unwrap();
            std::fs::write(folder.join("toolkit.yaml"), text.replace("PROVIDER", &provider.url))
                .unwrap();
            let upper = slug.to_uppercase();
            let tools = format!(
                "tools:\n  - slug: {upper}_ME\n    name: Me\n    description: Who I am.\n    hints: {{read_only: true}}\n    \
                 request: {{method: GET, path: /me}}\n  - slug: {upper}_SAVE\n    name: Save\n    \
                 description: Saves a name.\n    hints: {{create: true}}\n    params:\n      \
                 name: {{type: string, required: true, description: A name.}}\n    \
                 request: {{method: POST, path: /save}}\n"
            );
            std::fs::write(folder.join("tools/all.yaml"), tools).unwrap();
        }
        let folder = toolkits.path().to_str().unwrap().to_owned();
        let file = format!("{folder}/providers");
        std::fs::write(&file, providers).unwrap();
        let settings = [
            ("PATCHBAY_TOOLKITS_DIR", folder.as_str()),
            ("PATCHBAY_PROVIDERS_FILE", file.as_str()),
            ("PATCHBAY_LOG_WAIT_FOR_COMMIT", "true"),
        ];
        let app = TestApp::with(&settings).await;
        Self { app, provider, old, _toolkits: toolkits }
    }

    fn client(&self) -> TestClient {
        self.app.client()
    }

    async fn config(&self, toolkit: &str, scheme: &str, credentials: Value) -> String {
        let body = json!({"toolkit": {"slug": toolkit}, "auth_config": {
            "type": "use_custom_auth", "authScheme": scheme, "credentials": credentials}});
        let made = self.client().post("/api/v3/auth_configs", body).await.expect(201);
        made["auth_config"]["id"].as_str().unwrap().to_owned()
    }

    async fn connect(&self, config: &str, scheme: &str, val: Value) -> TestResponse {
        let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u",
            "state": {"authScheme": scheme, "val": val}}});
        self.client().post("/api/v3/connected_accounts", body).await
    }

    /// An ACTIVE account.
    async fn connected(&self, toolkit: &str, scheme: &str, val: Value) -> String {
        let config = self.config(toolkit, scheme, json!({})).await;
        let made = self.connect(&config, scheme, val).await.expect(201);
        assert_eq!(made["status"], "ACTIVE", "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn account(&self, id: &str) -> Value {
        self.client().get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200)
    }

    async fn execute(&self, tool: &str, account: &str, arguments: Value) -> Value {
        let body = json!({"connected_account_id": account, "arguments": arguments});
        self.client().post(&format!("/api/v3/tools/execute/{tool}"), body).await.expect(200)
    }

    async fn proxy(&self, account: &str, endpoint: &str) -> Value {
        let body = json!({"connected_account_id": account, "endpoint": endpoint, "method": "GET"});
        self.client().post("/api/v3/tools/execute/proxy", body).await.expect(200)
    }

    /// The access token of an account ends now, and the server knows.
    async fn end_token(&self, id: &str) {
        sqlx::query("update connected_account set token_expires_at = now() where id = $1")
            .bind(id)
            .execute(&self.app.app.db)
            .await
            .unwrap();
        self.app.app.cache.clear();
    }
}
