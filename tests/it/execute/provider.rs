//! A provider in the test process, toolkits that call it, and accounts for them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use patchbay::db;
use patchbay::domain::connection::{Account, AuthConfig, SecretMap};
use patchbay::domain::id::{AccountId, AuthConfigId, ProjectId};
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::domain::status::AccountStatus;
use patchbay::domain::time::now;
use serde_json::{Map, Value, json};

use crate::support::TestApp;

/// A request as the provider saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

/// The provider, and the folder with the toolkits that call it.
pub struct Provider {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    toolkits: tempfile::TempDir,
}

const TOOLKITS: &[(&str, &str, &str)] = &[
    ("mock", include_str!("toolkits/mock.yaml"), include_str!("toolkits/mock_tools.yaml")),
    ("mocq", include_str!("toolkits/mocq.yaml"), include_str!("toolkits/mocq_tools.yaml")),
    ("mocs", include_str!("toolkits/mocs.yaml"), include_str!("toolkits/mocs_tools.yaml")),
    ("mofile", include_str!("toolkits/mofile.yaml"), include_str!("toolkits/mofile_tools.yaml")),
    ("mopen", include_str!("toolkits/mopen.yaml"), include_str!("toolkits/mopen_tools.yaml")),
];

impl Provider {
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(answer).with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let toolkits = tempfile::tempdir().unwrap();
        for (slug, toolkit, tools) in TOOLKITS {
            let folder = toolkits.path().join(slug);
            std::fs::create_dir_all(folder.join("tools")).unwrap();
            let toolkit = toolkit.replace("PROVIDER", &format!("http://{address}"));
            std::fs::write(folder.join("toolkit.yaml"), toolkit).unwrap();
            std::fs::write(folder.join("tools/all.yaml"), tools).unwrap();
        }
        Self { address, seen, toolkits }
    }

    /// A server that knows the toolkits and writes logs before it answers.
    pub async fn app(&self, settings: &[(&str, &str)]) -> TestApp {
        let folder = self.toolkits.path().to_str().unwrap();
        let mut all =
            vec![("PATCHBAY_TOOLKITS_DIR", folder), ("PATCHBAY_LOG_WAIT_FOR_COMMIT", "true")];
        all.extend(settings);
        TestApp::with(&all).await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the provider was called")
    }
}

async fn answer(
    State(seen): State<Arc<Mutex<Vec<Seen>>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    let authorization =
        headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let body = String::from_utf8_lossy(&body).into_owned();
    seen.lock().unwrap().push(Seen {
        method: method.to_string(),
        path: path.clone(),
        query: query.clone(),
        headers,
        body: body.clone(),
    });
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    match path.as_str() {
        "/token" => token(&body),
        "/api/list" => axum::Json(json!([{"id": 1}, {"id": 2}])).into_response(),
        "/api/ids" => {
            let ids: Vec<u32> = (0..last_number(&body, 12)).collect();
            axum::Json(json!({"ids": ids})).into_response()
        }
        "/api/empty" => StatusCode::NO_CONTENT.into_response(),
        "/api/text" => "plain words".into_response(),
        "/api/html" => {
            let kind = [(header::CONTENT_TYPE, "text/html")];
            (StatusCode::INTERNAL_SERVER_ERROR, kind, "<h1>Oops</h1>").into_response()
        }
        "/api/binary" => {
            let kind = [(header::CONTENT_TYPE, "image/png")];
            (kind, b"\x89PNG\r\n\x1a\n\0\0".to_vec()).into_response()
        }
        "/api/named" => {
            let name =
                "attachment; filename=\"../../etc/pass wd\"; filename*=UTF-8''r%C3%A4port%3B.bin";
            let head = [
                (header::CONTENT_TYPE, "application/x-thing"),
                (header::CONTENT_DISPOSITION, name),
            ];
            (head, b"\0\xff\xfe".to_vec()).into_response()
        }
        "/api/paged" => {
            let links = "<https://other.example.com/>; rel=prev, </api/paged?page=2&key=sk-secret-12345678>; rel=\"next\"";
            ([(header::LINK, links)], axum::Json(json!([1, 2]))).into_response()
        }
        "/api/notok" => axum::Json(json!({"ok": false, "error": "no_channel"})).into_response(),
        "/api/echo_secret" => {
            let error = json!({"error": {"message": format!("bad credentials {authorization}")}});
            (StatusCode::FORBIDDEN, axum::Json(error)).into_response()
        }
        "/api/mirror" => axum::Json(json!({"you_sent": authorization})).into_response(),
        "/api/guarded" if authorization == "Bearer token-2" => {
            axum::Json(json!({"good": true})).into_response()
        }
        "/api/guarded" => {
            let error = json!({"error": {"message": "token is not valid"}});
            (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response()
        }
        "/api/away" => {
            let to = [(header::LOCATION, "http://169.254.169.254/latest")];
            (StatusCode::FOUND, to).into_response()
        }
        // Answers when as many requests are here at once as `query` says.
        "/api/together" => {
            let wanted: usize = query.trim_start_matches("count=").parse().unwrap_or(1);
            let barrier = {
                let mut barriers = together().lock().unwrap();
                let barrier = barriers.entry((Arc::as_ptr(&seen) as usize, wanted));
                barrier.or_insert_with(|| Arc::new(tokio::sync::Barrier::new(wanted))).clone()
            };
            barrier.wait().await;
            axum::Json(json!({"together": wanted})).into_response()
        }
        "/api/rows" => {
            let count: usize = query.trim_start_matches("count=").parse().unwrap_or(1);
            let row = |id| json!({"id": id, "title": format!("Row {id} {}", "x".repeat(80))});
            axum::Json(json!({"rows": (0..count).map(row).collect::<Vec<_>>()})).into_response()
        }
        "/api/never" => std::future::pending().await,
        path if path.starts_with("/api/item/") => {
            // Later items are answered sooner, so that their order is not the order of answers.
            let number: u64 = last.parse().unwrap_or(0);
            tokio::time::sleep(std::time::Duration::from_millis(40u64.saturating_sub(number * 3)))
                .await;
            if last == "13" {
                return (StatusCode::NOT_FOUND, axum::Json(json!({"message": "unlucky"})))
                    .into_response();
            }
            axum::Json(json!({"id": number})).into_response()
        }
        _ => axum::Json(json!({"path": path, "body": body})).into_response(),
    }
}

type Barriers = Mutex<std::collections::HashMap<(usize, usize), Arc<tokio::sync::Barrier>>>;

fn together() -> &'static Barriers {
    static BARRIERS: std::sync::OnceLock<Barriers> = std::sync::OnceLock::new();
    BARRIERS.get_or_init(Barriers::default)
}

fn last_number(body: &str, default: u32) -> u32 {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    parsed["count"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(default)
}

fn token(body: &str) -> Response {
    if body.contains("refresh_token=refresh-1") {
        let answer = json!({"access_token": "token-2", "refresh_token": "refresh-2",
            "token_type": "Bearer", "expires_in": 3600});
        axum::Json(answer).into_response()
    } else {
        (StatusCode::BAD_REQUEST, axum::Json(json!({"error": "invalid_grant"}))).into_response()
    }
}

/// An auth config of a project, with what a test wants to change.
pub async fn auth_config(
    app: &TestApp,
    project: &ProjectId,
    toolkit: &str,
    scheme: AuthSchemeKind,
    change: impl FnOnce(&mut AuthConfig),
) -> AuthConfig {
    let mut config = AuthConfig {
        project_id: project.clone(),
        id: AuthConfigId::generate(),
        toolkit_slug: toolkit.into(),
        name: "test".into(),
        scheme,
        is_managed: false,
        is_enabled: true,
        credentials: SecretMap(map(json!({"client_id": "cid", "client_secret": "csecret-1"}))),
        shared_credentials: SecretMap::default(),
        restrict_to_tools: None,
        scope_tools: None,
        created_at: now(),
        updated_at: now(),
    };
    change(&mut config);
    let row = app.app.vault.seal_auth_config(&config).await.unwrap();
    db::auth_config::insert(&app.app.db, &row).await.unwrap();
    config
}

/// An account of a config, with what a test wants to change.
pub async fn account(
    app: &TestApp,
    config: &AuthConfig,
    user: &str,
    state: Value,
    change: impl FnOnce(&mut Account),
) -> Account {
    let mut account = Account {
        project_id: config.project_id.clone(),
        id: AccountId::generate(),
        auth_config_id: config.id.clone(),
        toolkit_slug: config.toolkit_slug.clone(),
        user_id: user.into(),
        scheme: config.scheme,
        status: AccountStatus::Active,
        status_reason: None,
        is_disabled: false,
        alias: None,
        sharing: Default::default(),
        identity: None,
        state: SecretMap(map(state)),
        state_version: 1,
        token_expires_at: None,
        attempt_expires_at: None,
        callback_url: None,
        flow: "initiate".into(),
        refresh: Default::default(),
        created_at: now(),
        updated_at: now(),
    };
    change(&mut account);
    db::account::insert(&app.app.db, &app.app.vault.seal_account(&account).await.unwrap())
        .await
        .unwrap();
    account
}

pub fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A server, its provider, and one API-key account of user `ann`.
pub struct World {
    pub provider: Provider,
    pub app: TestApp,
    pub config: AuthConfig,
    pub account: Account,
}

/// The key of [`World`]'s account.
pub const KEY: &str = "sk-secret-12345678";

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let provider = Provider::start().await;
        let app = provider.app(settings).await;
        let project = app.project.id.clone();
        let config = auth_config(&app, &project, "mock", AuthSchemeKind::ApiKey, |_| {}).await;
        let account = account(&app, &config, "ann", json!({"generic_api_key": KEY}), |_| {}).await;
        Self { provider, app, config, account }
    }

    /// Executes a tool for `ann`.
    pub async fn run(&self, tool: &str, arguments: Value) -> Value {
        self.post(tool, json!({"arguments": arguments, "user_id": "ann"})).await.expect(200)
    }

    pub async fn post(&self, tool: &str, body: Value) -> crate::support::client::TestResponse {
        self.app.client().post(&format!("/api/v3/tools/execute/{tool}"), body).await
    }

    pub async fn proxy(&self, mut body: Value) -> crate::support::client::TestResponse {
        if body.get("connected_account_id").is_none()
            && body.get("custom_connection_data").is_none()
        {
            body["connected_account_id"] = self.account.id.as_str().into();
        }
        self.app.client().post("/api/v3/tools/execute/proxy", body).await
    }

    pub async fn log(&self, id: &Value) -> db::execution_log::ExecutionLogRow {
        let id = id.as_str().expect("a log id");
        let found = db::execution_log::get(&self.app.app.db, &self.app.project.id, id).await;
        found.unwrap().expect("a log row")
    }
}
