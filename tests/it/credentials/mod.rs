//! That credentials never lapse silently, whatever providers answer.

mod crowd;
mod faults;
mod kill;
mod machine;
#[allow(dead_code)] // a shared toolbox: not every fault has a test at all times
pub mod provider;
mod replica;
mod rules;
pub mod seed;

use serde_json::{Value, json};

use self::provider::Provider;
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// The toolkit that calls the provider; `{url}` and `{oauth2}` are filled in.
const TOOLKIT: &str = include_str!("toolkit.yaml");

/// A folder with the toolkit `faulty` for a provider, with further lines for its `oauth2`.
pub fn toolkits(provider: &Provider, oauth2: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("faulty");
    std::fs::create_dir_all(to.join("tools")).unwrap();
    let lines: String = oauth2.iter().map(|line| format!("      {line}\n")).collect();
    let text = TOOLKIT.replace("      {oauth2}\n", &lines).replace("{url}", &provider.url);
    std::fs::write(to.join("toolkit.yaml"), text).unwrap();
    std::fs::write(to.join("tools/all.yaml"), include_str!("tools.yaml")).unwrap();
    folder
}

/// A server with accounts at the provider.
pub struct World {
    pub app: TestApp,
    pub provider: Provider,
    pub config: String,
    settings: Vec<(String, String)>,
    _toolkits: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[], &[]).await
    }

    /// With settings, and lines for the definition's `oauth2`.
    pub async fn with(settings: &[(&str, &str)], oauth2: &[&str]) -> Self {
        let provider = Provider::start().await;
        let folder = toolkits(&provider, oauth2);
        let path = folder.path().to_str().unwrap();
        let mut all = vec![("PATCHBAY_TOOLKITS_DIR", path)];
        all.extend_from_slice(settings);
        let app = TestApp::with(&all).await;
        let config = oauth_config(&app.client()).await;
        let settings = all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self { app, provider, config, settings, _toolkits: folder }
    }

    /// The settings that a replica needs.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
    }

    pub fn client(&self) -> TestClient {
        self.app.client()
    }

    /// An account that the person has connected.
    pub async fn connected(&self, user: &str) -> String {
        connect(&self.client(), &self.provider, &self.config, user).await
    }

    pub async fn account(&self, id: &str) -> Value {
        self.client().get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200)
    }

    /// Status and reason.
    pub async fn status(&self, id: &str) -> (String, String) {
        let account = self.account(id).await;
        let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("status_reason"))
    }

    pub async fn execute(&self, id: &str) -> TestResponse {
        execute(&self.client(), id).await
    }

    /// Executes a tool, which must work; gives the provider's answer.
    #[track_caller]
    pub fn works<'a>(&'a self, id: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let answer = self.execute(id).await;
            assert!(usable(&answer), "at {caller}: {} {}", answer.status, answer.text);
            answer.json()["data"].clone()
        }
    }

    /// Changes rows behind the server's back, and makes it look.
    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.app.app.db).await.unwrap();
        self.app.app.cache.clear();
    }

    /// A value of the account's row.
    pub async fn value<T>(&self, expression: &'static str, id: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let text = format!("select {expression} from connected_account where id = $1");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(id);
        query.fetch_one(&self.app.app.db).await.unwrap()
    }

    /// The access tokens of all accounts end now, and the server knows.
    pub async fn tokens_end(&self) {
        self.sql(
            "update connected_account set token_expires_at = now() - interval '1 second'
             where token_expires_at is not null",
        )
        .await;
    }

    /// As if the time to wait after a failure were over.
    pub async fn retry_now(&self) {
        self.sql("update connected_account set refresh_after = null").await;
    }

    /// The grant behind an account's present access token.
    pub async fn grant(&self, id: &str) -> usize {
        let id = patchbay::domain::id::AccountId::from(id);
        let found = self.app.app.cache.read_account(&self.app.project.id, &id).await;
        let account = found.unwrap().unwrap();
        self.provider.book().grant_of(account.state.text("access_token").unwrap()).unwrap()
    }
}

/// Whether an execution did its work.
pub fn usable(answer: &TestResponse) -> bool {
    answer.status == 200 && answer.json()["successful"] == true
}

pub async fn execute(client: &TestClient, id: &str) -> TestResponse {
    let body = json!({"connected_account_id": id, "arguments": {}});
    client.post("/api/v3/tools/execute/FAULTY_ME", body).await
}

/// An auth config for the toolkit.
pub async fn oauth_config(client: &TestClient) -> String {
    let body = json!({"toolkit": {"slug": "faulty"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "OAUTH2", "credentials": {"client_id": "cid", "client_secret": "csecret"}}});
    let made = client.post("/api/v3/auth_configs", body).await.expect(201);
    made["auth_config"]["id"].as_str().unwrap().to_owned()
}

/// Begins an attempt: the account's id and the authorize URL.
pub async fn begin(client: &TestClient, config: &str, user: &str) -> (String, url::Url) {
    let body = json!({"auth_config": {"id": config}, "connection": {"user_id": user}});
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    assert_eq!(made["status"], "INITIATED");
    let url = made["redirect_url"].as_str().unwrap().parse().unwrap();
    (made["id"].as_str().unwrap().to_owned(), url)
}

/// The browser comes back.
pub async fn callback(client: &TestClient, pairs: &[(&str, &str)]) -> TestResponse {
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    client.get(&format!("/api/v3/toolkits/auth/callback?{query}")).await
}

pub fn state_of(url: &url::Url) -> String {
    url.query_pairs().find(|(n, _)| n == "state").unwrap().1.into_owned()
}

/// Connects an account by the browser.
pub async fn connect(client: &TestClient, provider: &Provider, config: &str, user: &str) -> String {
    let (id, url) = begin(client, config, user).await;
    let code = provider.consent(&url);
    let back = callback(client, &[("state", &state_of(&url)), ("code", &code)]).await;
    assert_eq!(back.status, 200, "{}", back.text);
    id
}
