//! What definitions can say about OAuth 2.0 providers, end to end.

mod client_credentials;
mod custom_apps;
mod fields;
mod provider;
mod shapes;

use serde_json::{Value, json};

use self::provider::Provider;
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// A server with one toolkit, `odd`.
pub struct World {
    pub app: TestApp,
    pub provider: Provider,
    _files: tempfile::TempDir,
}

impl World {
    /// `scheme` is the entry of `auth`, without `scheme`, in YAML; `{url}` is the provider's.
    pub async fn with(scheme: &str) -> Self {
        Self::operated(scheme, "").await
    }

    /// With lines for the operator's providers file, under `odd`.
    pub async fn operated(scheme: &str, operator: &str) -> Self {
        let provider = Provider::start().await;
        let files = tempfile::tempdir().unwrap();
        let to = files.path().join("odd");
        std::fs::create_dir_all(to.join("tools")).unwrap();
        let scheme: String = scheme.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "spec: 1\nslug: odd\nname: Odd\ndescription: A provider with ways of its own.\n\
             versions: [\"20260101_00\"]\nsources: [https://odd.example/docs]\n\
             base_url: \"{{url}}/api\"\nhosts: [odd.example]\nauth:\n  - scheme: OAUTH2\n{scheme}"
        );
        std::fs::write(to.join("toolkit.yaml"), text.replace("{url}", &provider.url)).unwrap();
        let tools = "tools:\n  - {slug: ODD_ME, name: Me, description: Says who one is., hints: {read_only: true}, \
                     request: {method: GET, path: /me}}\n";
        std::fs::write(to.join("tools/all.yaml"), tools).unwrap();
        let operator_file = files.path().join("providers.yaml");
        let operator = operator.replace("{url}", &provider.url);
        let text = if operator.is_empty() { String::new() } else { format!("odd: {operator}\n") };
        std::fs::write(&operator_file, text).unwrap();
        let app = TestApp::with(&[
            ("PATCHBAY_TOOLKITS_DIR", files.path().to_str().unwrap()),
            ("PATCHBAY_PROVIDERS_FILE", operator_file.to_str().unwrap()),
        ])
        .await;
        Self { app, provider, _files: files }
    }

    pub fn client(&self) -> TestClient {
        self.app.client()
    }

    pub async fn try_config(&self, credentials: Value) -> TestResponse {
        let body = json!({"toolkit": {"slug": "odd"}, "auth_config": {"type": "use_custom_auth",
            "authScheme": "OAUTH2", "credentials": credentials}});
        self.client().post("/api/v3/auth_configs", body).await
    }

    /// An auth config with a client and these fields.
    pub async fn config(&self, more: Value) -> String {
        let mut credentials = json!({"client_id": "cid", "client_secret": "c+secret/"});
        credentials.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.try_config(credentials).await.expect(201);
        made["auth_config"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn initiate(&self, config: &str, val: Value) -> TestResponse {
        let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u",
            "state": {"authScheme": "OAUTH2", "val": val}}});
        self.client().post("/api/v3/connected_accounts", body).await
    }

    /// Begins an attempt in the browser: the account's id and the authorize URL.
    pub async fn begin(&self, config: &str, val: Value) -> (String, url::Url) {
        let made = self.initiate(config, val).await.expect(201);
        assert_eq!(made["status"], "INITIATED", "{made}");
        let url = made["redirect_url"].as_str().unwrap().parse().unwrap();
        (made["id"].as_str().unwrap().to_owned(), url)
    }

    pub async fn callback(&self, pairs: &[(&str, &str)]) -> TestResponse {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.app.anonymous().get(&format!("/api/v3/toolkits/auth/callback?{query}")).await
    }

    /// An account that a person connected in the browser.
    pub async fn connected(&self, config: &str, val: Value) -> String {
        let (id, url) = self.begin(config, val).await;
        let back = self.callback(&[("code", "the-code"), ("state", &param(&url, "state"))]).await;
        assert_eq!(back.status, 200, "{}", back.text);
        let account = self.account(&id).await;
        assert_eq!(account["status"], "ACTIVE", "{account}");
        id
    }

    pub async fn account(&self, id: &str) -> Value {
        self.client().get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200)
    }

    pub async fn refresh(&self, id: &str) -> TestResponse {
        let path = format!("/api/v3/connected_accounts/{id}/refresh");
        self.client().post(&path, json!({})).await
    }

    /// Executes a tool; gives the `Authorization` that the provider's API got.
    pub async fn execute(&self, id: &str) -> String {
        let body = json!({"connected_account_id": id, "arguments": {}});
        let done = self.client().post("/api/v3/tools/execute/ODD_ME", body).await.expect(200);
        assert_eq!(done["successful"], true, "{done}");
        self.provider.api().header("authorization").unwrap().to_owned()
    }

    /// The account's state, opened.
    pub async fn state(&self, id: &str) -> Value {
        let id = patchbay::domain::id::AccountId::from(id);
        let found = self.app.app.cache.read_account(&self.app.project.id, &id).await;
        Value::Object(found.unwrap().unwrap().state.0.clone())
    }

    /// The access tokens of all accounts end now, and the server knows.
    pub async fn tokens_end(&self) {
        sqlx::query("update connected_account set token_expires_at = now() - interval '1 second'")
            .execute(&self.app.app.db)
            .await
            .unwrap();
        self.app.app.cache.clear();
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
