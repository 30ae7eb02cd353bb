//! The whole server on a loopback port.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use patchbay::app::{App, AppState};
use patchbay::config::Config;
use patchbay::db;
use patchbay::domain::id::{ApiKeyId, OrgId, ProjectId, random_text};
use patchbay::vault::{Key, Masters, Vault, hash_token};
use serde_json::json;

use super::client::TestClient;
use super::db::TestDatabase;

/// A project and its key.
#[derive(Clone, Debug)]
pub struct TestProject {
    pub id: ProjectId,
    pub key: String,
}

/// A running server. Dropping it ends the server and drops its database.
pub struct TestApp {
    pub app: AppState,
    pub address: SocketAddr,
    pub org_id: OrgId,
    pub org_key: String,
    pub project: TestProject,
    settings: Vec<(String, String)>,
    pub database: TestDatabase,
}

/// Sealing key of every test server, so that two over one database agree.
pub const ENCRYPTION_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// Settings for tests: loopback may be reached, nothing is read from the environment.
pub fn test_config(settings: &[(&str, &str)]) -> Config {
    let mut env: BTreeMap<String, String> = [
        ("PATCHBAY_LISTEN", "127.0.0.1:0"),
        ("PATCHBAY_EGRESS_ALLOW", "localhost,127.0.0.0/8"),
        ("PATCHBAY_DATABASE_MAX_CONNECTIONS", "5"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    env.extend(settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    patchbay::config::load_from(&env).unwrap()
}

/// Serves `config` over a database; `public_url` becomes the real address.
pub async fn serve(mut config: Config, database: &TestDatabase) -> (AppState, SocketAddr) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind(config.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    if config.public_url.ends_with(":0") {
        config.public_url = format!("http://{address}");
    }
    let pool =
        db::connect(database.options.clone(), config.database_max_connections).await.unwrap();
    let masters = Masters::one(Key::parse(ENCRYPTION_KEY).unwrap(), ENCRYPTION_KEY.into());
    let vault = Vault::new(masters, &pool);
    let app = App::new(config, pool, vault).unwrap();
    let router = patchbay::api::router(app.clone());
    let stop = app.stop.clone();
    tokio::spawn(async move {
        let service = router.into_make_service();
        axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
    });
    (app, address)
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With further settings, by their environment names.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::over(TestDatabase::create().await, settings).await
    }

    /// Over the database at `url`.
    pub async fn on(url: &str, settings: &[(&str, &str)]) -> Self {
        Self::over(TestDatabase::at(url).await, settings).await
    }

    async fn over(database: TestDatabase, settings: &[(&str, &str)]) -> Self {
        let (app, address) = serve(test_config(settings), &database).await;
        let org_id = OrgId::generate();
        db::project::insert_org(&app.db, &org_id, "Test organization").await.unwrap();
        let org_key = insert_key(&app, &org_id, None).await;
        let project = insert_project(&app, &org_id, "Test project").await;
        let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Self { app, address, org_id, org_key, project, settings, database }
    }

    /// Another server over the same database.
    pub async fn replica(&self, settings: &[(&str, &str)]) -> (AppState, SocketAddr) {
        serve(test_config(settings), &self.database).await
    }

    /// Another server over the same database with the same settings, and a client of it with the
    /// project's key.
    pub async fn another_server(&self) -> (AppState, TestClient) {
        let settings: Vec<(&str, &str)> =
            self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let (app, address) = self.replica(&settings).await;
        (app, TestClient::new(address).header("x-api-key", &self.project.key))
    }

    /// Another project of the same organization.
    pub async fn another_project(&self) -> TestProject {
        insert_project(&self.app, &self.org_id, &random_text(8)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A client with the project's key.
    pub fn client(&self) -> TestClient {
        self.client_of(&self.project)
    }

    pub fn client_of(&self, project: &TestProject) -> TestClient {
        TestClient::new(self.address).header("x-api-key", &project.key)
    }

    /// A client with the organization's key.
    pub fn org_client(&self) -> TestClient {
        TestClient::new(self.address).header("x-org-api-key", &self.org_key)
    }

    /// A client without a key.
    pub fn anonymous(&self) -> TestClient {
        TestClient::new(self.address)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.app.stop.cancel();
    }
}

async fn insert_key(app: &App, org_id: &OrgId, project_id: Option<&ProjectId>) -> String {
    let prefix = if project_id.is_some() { "ak_" } else { "oak_" };
    let key = format!("{prefix}{}", random_text(32));
    let row = db::api_key::ApiKeyRow {
        hash: hash_token(&key),
        id: ApiKeyId::generate(),
        org_id: org_id.clone(),
        project_id: project_id.cloned(),
        name: "test".to_owned(),
        hint: key[..7].to_owned(),
        created_at: patchbay::domain::time::now(),
    };
    assert!(db::api_key::insert(&app.db, &row).await.unwrap());
    key
}

async fn insert_project(app: &App, org_id: &OrgId, name: &str) -> TestProject {
    let id = ProjectId::generate();
    let secret = app.vault.seal_webhook_secret(&id, &random_text(40)).await.unwrap();
    db::project::insert(&app.db, &id, org_id, name, &json!({}), &secret).await.unwrap();
    TestProject { key: insert_key(app, org_id, Some(&id)).await, id }
}
