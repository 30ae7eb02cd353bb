//! A provider in the test process that takes webhooks, and a server with accounts of it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use patchbay::db::event::EventRow;
use patchbay::domain::connection::{Account, AuthConfig};
use patchbay::domain::scheme::AuthSchemeKind;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::execute::provider::{account, auth_config};
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

/// A webhook that the provider was asked for.
#[derive(Clone, Debug)]
pub struct Hook {
    pub id: String,
    pub url: String,
    pub secret: String,
    pub renewed: usize,
}

/// What the provider does next.
pub struct Mood {
    /// Status of its next answers; none: as it should be.
    pub refuses: Option<u16>,
    /// When registrations end, in seconds from now.
    pub lasts_s: Option<i64>,
    /// Answers to registrations wait for this.
    pub waits: Option<Arc<Notify>>,
    pub made: usize,
    pub calls: usize,
    /// The secret of its next handshake.
    pub shakes: &'static str,
}

impl Default for Mood {
    fn default() -> Self {
        Self {
            refuses: None,
            lasts_s: None,
            waits: None,
            made: 0,
            calls: 0,
            shakes: "secret-of-the-handshake",
        }
    }
}

#[derive(Clone, Default)]
pub struct Shared {
    pub hooks: Arc<Mutex<Vec<Hook>>>,
    pub mood: Arc<Mutex<Mood>>,
    /// Rings when a registration arrives.
    pub asked: Arc<Notify>,
}

pub struct Provider {
    pub shared: Shared,
    toolkits: tempfile::TempDir,
}

fn now() -> i64 {
    patchbay::domain::time::now().timestamp()
}

impl Provider {
    pub async fn start() -> Self {
        let shared = Shared::default();
        let router = Router::new()
            .route("/api/boxes/{name}/hooks", post(register))
            .route("/api/boxes/{name}/shaken", post(shaken))
            .route("/api/hooks/{id}", patch(renew).delete(remove))
            .route("/revoke", post(|| async { StatusCode::OK }))
            .route("/api/sheets/{name}", get(|| async { axum::Json(json!({"rows": []})) }))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let toolkits = tempfile::tempdir().unwrap();
        let folder = toolkits.path().join("hookmock");
        std::fs::create_dir_all(folder.join("triggers")).unwrap();
        let toolkit =
            include_str!("toolkit.yaml").replace("PROVIDER", &format!("http://{address}"));
        std::fs::write(folder.join("toolkit.yaml"), toolkit).unwrap();
        std::fs::write(folder.join("triggers/all.yaml"), include_str!("triggers.yaml")).unwrap();
        Self { shared, toolkits }
    }

    pub fn hooks(&self) -> Vec<Hook> {
        self.shared.hooks.lock().unwrap().clone()
    }

    pub fn mood(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.shared.mood.lock().unwrap());
    }

    pub fn calls(&self) -> usize {
        self.shared.mood.lock().unwrap().calls
    }
}

fn refused(shared: &Shared) -> Option<Response> {
    let mut mood = shared.mood.lock().unwrap();
    mood.calls += 1;
    let status = StatusCode::from_u16(mood.refuses?).unwrap();
    let error = json!({"error": {"message": "the box is shut"}});
    Some((status, axum::Json(error)).into_response())
}

fn expires(shared: &Shared) -> Value {
    shared.mood.lock().unwrap().lasts_s.map(|s| now() + s).into()
}

async fn register(
    State(shared): State<Shared>,
    _: Path<String>,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    shared.asked.notify_one();
    let waits = shared.mood.lock().unwrap().waits.clone();
    if let Some(waits) = waits {
        waits.notified().await;
    }
    if let Some(no) = refused(&shared) {
        return no;
    }
    let id = {
        let mut mood = shared.mood.lock().unwrap();
        mood.made += 1;
        format!("h{}", mood.made)
    };
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let signing = format!("signing-{id}");
    let secret = if body["secret"].is_null() { signing.clone() } else { text("secret") };
    let hook = Hook { id: id.clone(), url: text("url"), secret, renewed: 0 };
    shared.hooks.lock().unwrap().push(hook);
    let expires = expires(&shared);
    axum::Json(json!({"id": id, "signing": signing, "expires": expires})).into_response()
}

/// Shakes hands before it answers.
async fn shaken(
    State(shared): State<Shared>,
    _: Path<String>,
    axum::Json(body): axum::Json<Value>,
) -> Response {
    let url = body["url"].as_str().unwrap().to_owned();
    let secret = shared.mood.lock().unwrap().shakes;
    let client = TestClient::new(([127, 0, 0, 1], 1).into()).header("x-hook-secret", secret);
    let answer = client.post(&url, json!({})).await;
    if answer.headers.get("x-hook-secret").and_then(|h| h.to_str().ok()) != Some(secret) {
        return (StatusCode::BAD_REQUEST, answer.text).into_response();
    }
    let hook = Hook { id: "s1".into(), url, secret: secret.into(), renewed: 0 };
    shared.hooks.lock().unwrap().push(hook);
    axum::Json(json!({"id": "s1"})).into_response()
}

async fn renew(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    if let Some(no) = refused(&shared) {
        return no;
    }
    let mut hooks = shared.hooks.lock().unwrap();
    match hooks.iter_mut().find(|hook| hook.id == id) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(hook) => {
            hook.renewed += 1;
            axum::Json(json!({"expires": expires(&shared)})).into_response()
        }
    }
}

async fn remove(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(no) = refused(&shared) {
        return no;
    }
    assert!(headers.contains_key("authorization"));
    let mut hooks = shared.hooks.lock().unwrap();
    let before = hooks.len();
    hooks.retain(|hook| hook.id != id);
    let status = if hooks.len() < before { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
    status.into_response()
}

/// A server, its provider, and an account of user `ann`.
pub struct World {
    pub provider: Provider,
    pub app: TestApp,
    pub config: AuthConfig,
    pub account: Account,
}

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let folder = provider.toolkits.path().to_str().unwrap().to_owned();
        let mut all = vec![("PATCHBAY_TOOLKITS_DIR", folder.as_str())];
        all.extend(settings);
        let app = TestApp::with(&all).await;
        let project = app.project.id.clone();
        let config = auth_config(&app, &project, "hookmock", AuthSchemeKind::ApiKey, |_| {}).await;
        let state = json!({"generic_api_key": "key-1"});
        let account = account(&app, &config, "ann", state, |_| {}).await;
        Self { provider, app, config, account }
    }

    pub async fn account_of(&self, user: &str) -> Account {
        account(&self.app, &self.config, user, json!({"generic_api_key": "key-2"}), |_| {}).await
    }

    /// With tokens, which can be revoked.
    pub async fn granted(&self, user: &str) -> Account {
        let (app, project) = (&self.app, &self.app.project.id);
        let config = auth_config(app, project, "hookmock", AuthSchemeKind::Oauth2, |_| {}).await;
        account(app, &config, user, json!({"access_token": "token-1"}), |_| {}).await
    }

    pub async fn upsert(&self, slug: &str, body: Value) -> TestResponse {
        self.app.client().post(&format!("/api/v3/trigger_instances/{slug}/upsert"), body).await
    }

    /// Sets a trigger up for `ann`; its id.
    pub async fn set_up(&self, slug: &str, config: Value) -> String {
        let body = json!({"user_id": "ann", "trigger_config": config});
        let made = self.upsert(slug, body).await.expect(200);
        made["trigger_id"].as_str().unwrap().to_owned()
    }

    pub async fn list(&self, query: &str) -> Value {
        self.app.client().get(&format!("/api/v3/trigger_instances/active{query}")).await.expect(200)
    }

    pub async fn ids(&self, query: &str) -> Vec<String> {
        let page = self.list(query).await;
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// One instance as the API shows it.
    pub async fn get(&self, id: &str) -> Value {
        self.app.client().get(&format!("/api/v3/trigger_instances/manage/{id}")).await.expect(200)
    }

    pub async fn manage(&self, id: &str, status: &str) -> TestResponse {
        let path = format!("/api/v3/trigger_instances/manage/{id}");
        self.app.client().patch(&path, json!({"status": status})).await
    }

    pub async fn delete(&self, id: &str) -> TestResponse {
        self.app.client().delete(&format!("/api/v3/trigger_instances/manage/{id}")).await
    }

    /// All registrations that wait for a worker are due now.
    pub async fn all_due(&self) {
        self.sql("update trigger_instance set hook_due = now() - interval '1 second', hook_claim = null where hook_due is not null").await;
        let due = "select exists (select from trigger_instance where hook_due <= now())";
        for _ in 0..400 {
            patchbay::worker::hooks::all_due(&self.app.app).await.unwrap();
            // A row that somebody has locked at the moment is passed over; a server comes again soon.
            if !sqlx::query_scalar::<_, bool>(due).fetch_one(&self.app.app.db).await.unwrap() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{}", self.known().await);
    }

    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.app.app.db).await.unwrap();
    }

    /// Waits until what an instance shows passes a test.
    pub async fn until(&self, id: &str, good: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..400 {
            let shown = self.get(id).await;
            if good(&shown) {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{}", self.get(id).await);
    }

    /// Waits until the provider has this many webhooks.
    pub async fn hooks(&self, count: usize) -> Vec<Hook> {
        for _ in 0..400 {
            let hooks = self.provider.hooks();
            if hooks.len() == count {
                return hooks;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{:?}, {}", self.provider.hooks(), self.known().await);
    }

    /// What the server has written down about all registrations, for the messages of tests.
    pub async fn known(&self) -> String {
        sqlx::query_scalar(
            "select coalesce(string_agg(concat_ws(', ', hook_state, hook_attempts || ' attempts',
                'due in ' || (hook_due - now()), 'claim ' || hook_claim, hook_error), '; '), 'none')
             from trigger_instance",
        )
        .fetch_one(&self.app.app.db)
        .await
        .unwrap()
    }

    /// Events about something, oldest first.
    pub async fn events(&self, subject: &str) -> Vec<EventRow> {
        let (db, project) = (&self.app.app.db, &self.app.project.id);
        let mut rows = patchbay::db::event::of_subject(db, project, subject, 1000).await.unwrap();
        rows.reverse();
        rows
    }
}
