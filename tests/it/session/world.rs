//! A provider, accounts of its toolkits, and sessions over them.

use chrono::TimeDelta;
use patchbay::domain::connection::{Account, AuthConfig};
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::domain::time::now;
use serde_json::{Value, json};

use crate::execute::provider::{Provider, account, auth_config};
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

pub const SESSIONS: &str = "/api/v3.1/tool_router/session";

/// A server, its provider, and an auth config of the toolkit `mocs`.
pub struct World {
    pub provider: Provider,
    pub app: TestApp,
    pub config: AuthConfig,
}

/// A session as its user's agent sees it.
pub struct Agent {
    pub client: TestClient,
    pub path: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let app = provider.app(settings).await;
        let id = app.project.id.clone();
        let config = auth_config(&app, &id, "mocs", AuthSchemeKind::ApiKey, |_| {}).await;
        Self { provider, app, config }
    }

    /// Another auth config of `mocs`.
    pub async fn another_config(&self) -> AuthConfig {
        let id = self.app.project.id.clone();
        auth_config(&self.app, &id, "mocs", AuthSchemeKind::ApiKey, |_| {}).await
    }

    /// An account of `mocs` with a key; `age` seconds old.
    pub async fn account(
        &self,
        user: &str,
        key: &str,
        age: i64,
        change: impl FnOnce(&mut Account),
    ) -> Account {
        let state = json!({"generic_api_key": key});
        let change = |account: &mut Account| {
            account.created_at = now() - TimeDelta::seconds(age);
            change(account);
        };
        account(&self.app, &self.config, user, state, change).await
    }

    /// A session of `user` with a configuration.
    pub async fn agent(&self, user: &str, config: Value) -> Agent {
        self.agent_at(self.app.client(), user, config).await
    }

    pub async fn agent_at(&self, client: TestClient, user: &str, mut config: Value) -> Agent {
        config["user_id"] = user.into();
        let made = client.post(SESSIONS, config).await.expect(201);
        let path = format!("{SESSIONS}/{}", made["session_id"].as_str().unwrap());
        Agent { client, path }
    }

    /// The key that the provider saw last.
    pub fn last_key(&self) -> String {
        let last = self.provider.last();
        last.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned()
    }
}

impl Agent {
    pub async fn post(&self, part: &str, body: Value) -> TestResponse {
        self.client.post(&format!("{}/{part}", self.path), body).await
    }

    pub async fn execute(&self, slug: &str, arguments: Value) -> TestResponse {
        self.post("execute", json!({"tool_slug": slug, "arguments": arguments})).await
    }

    /// The data of a call that succeeds.
    #[track_caller]
    pub fn run(&self, slug: &str, arguments: Value) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        let call = self.execute(slug, arguments);
        async move {
            let answer = call.await.expect(200);
            assert_eq!(answer["error"], Value::Null, "{caller}: {answer}");
            answer["data"].clone()
        }
    }

    /// A call with an account.
    pub async fn with_account(&self, slug: &str, account: &str) -> TestResponse {
        self.post("execute", json!({"tool_slug": slug, "arguments": {}, "account": account})).await
    }
}
