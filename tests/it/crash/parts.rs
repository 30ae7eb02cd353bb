//! The provider, the receiver, the servers and the database of the test.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use patchbay::domain::id::random_text;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::boot::process::{Home, Server};
use crate::support::app::ENCRYPTION_KEY;
use crate::support::client::TestClient;
use crate::support::gate::Gate;

const PROJECT_KEY: &str = "ak_for_tests_of_lost_events";
const ORG_KEY: &str = "oak_for_tests_of_lost_events";

/// Longest wait for what must come; only a bug makes the test wait that long.
const PATIENCE: Duration = Duration::from_secs(180);

fn mac(key: &str, message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The signature of the provider.
pub fn sign(secret: &str, body: &str) -> String {
    hex::encode(mac(secret, body.as_bytes()))
}

#[expect(clippy::disallowed_methods, reason = "the provider's own client")]
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap()
}

async fn serve(router: axum::Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A PostgreSQL of the test's own, which can crash.
pub struct Cluster {
    dir: String,
}

fn cluster(dir: &str, functions: &str) {
    let status = std::process::Command::new("bash")
        .arg("-c")
        .arg(format!("source scripts/test-postgres.sh; {functions}"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TEST_POSTGRES_DIR", dir)
        .env("TEST_POSTGRES_COMMIT", "on")
        .env("TEST_DATABASE_URL", "none")
        .stdin(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{functions}");
}

impl Cluster {
    pub fn start() -> Self {
        let dir = format!("/tmp/patchbay-crash-{}", random_text(8));
        cluster(&dir, "test_postgres_start");
        Self { dir }
    }

    pub fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=postgres", self.dir)
    }

    /// Ends it without a chance to write anything, and starts it again.
    pub async fn crash(&self) {
        let dir = self.dir.clone();
        let crash = move || cluster(&dir, "test_postgres_restart");
        tokio::task::spawn_blocking(crash).await.unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        cluster(&self.dir, "test_postgres_stop");
        for file in [".log", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{file}", self.dir));
        }
    }
}

/// A hook that was registered at the provider.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Path and query of its URL, which is the same at every server.
    pub path: String,
    pub secret: String,
}

/// A provider that has hooks.
pub struct Provider {
    pub url: String,
    pub hooks: Arc<Mutex<Vec<Hook>>>,
    /// Closed, it takes a hook and does not answer yet.
    pub gate: Arc<Gate>,
}

impl Provider {
    pub async fn start() -> Self {
        let (hooks, gate): (Arc<Mutex<Vec<Hook>>>, Arc<Gate>) = Default::default();
        let (made, held) = (hooks.clone(), gate.clone());
        let register = move |Json(body): Json<Value>| async move {
            let url = url::Url::parse(body["url"].as_str().unwrap()).unwrap();
            let secret = body["secret"].as_str().unwrap().to_owned();
            made.lock().unwrap().push(Hook { path: url.path().to_owned(), secret });
            held.pass().await;
            (StatusCode::CREATED, Json(json!({"id": 1})))
        };
        let router = axum::Router::new().route("/hooks", post(register));
        Self { url: format!("http://{}", serve(router).await), hooks, gate }
    }

    /// The toolkit of this provider.
    fn toolkit(&self, folder: &std::path::Path) {
        let folder = folder.join("told");
        std::fs::create_dir_all(folder.join("triggers")).unwrap();
        let toolkit = format!(
            "spec: 1\nslug: told\nname: Told\ndescription: A provider of this test.\n\
             versions: ['20261101_00']\nbase_url: {}\n\
             auth: [{{scheme: API_KEY, connect_fields: [{{name: generic_api_key, label: Key, secret: true}}], inject: {{headers: {{x-key: '{{{{ cred.api_key }}}}'}}}}}}]\n",
            self.url
        );
        std::fs::write(folder.join("toolkit.yaml"), toolkit).unwrap();
        let triggers = "triggers:\n  - slug: TOLD_SOMETHING\n    name: Something\n    \
            description: Tells of something.\n    payload: {n: {type: integer, description: Number.}, \
            text: {type: string, description: Text.}}\n    webhook:\n      register:\n        \
            request: {method: POST, path: /hooks, json: {url: '{{ hook.url }}', secret: '{{ hook.secret }}'}}\n        \
            keep: {id: '{{ answer.id }}'}\n      verify: {kind: hmac, header: x-signature}\n      \
            dedupe: \"{{ headers['x-delivery'] }}\"\n      data: {n: '{{ body.n }}', text: '{{ body.text }}'}\n";
        std::fs::write(folder.join("triggers/triggers.yaml"), triggers).unwrap();
    }
}

/// Servers over one database.
pub struct Fleet {
    folder: tempfile::TempDir,
    url: String,
    servers: Vec<Mutex<Option<(Server, Home)>>>,
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Fleet {
    pub async fn start(cluster: &Cluster, provider: &Provider, count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        provider.toolkit(folder.path());
        let mut fleet =
            Self { folder, url: cluster.url(), servers: Vec::new(), addresses: Mutex::default() };
        for _ in 0..count {
            let (server, home) = fleet.spawn();
            fleet.addresses.lock().unwrap().push(server.address);
            fleet.servers.push(Mutex::new(Some((server, home))));
        }
        fleet
    }

    fn spawn(&self) -> (Server, Home) {
        let home = Home::new();
        let server = home.start(&[
            ("PATCHBAY_DATABASE_URL", self.url.as_str()),
            ("PATCHBAY_ENCRYPTION_KEY", ENCRYPTION_KEY),
            ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
            ("PATCHBAY_ORG_API_KEY", ORG_KEY),
            ("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8"),
            ("PATCHBAY_RATE_LIMIT", "0"),
            ("PATCHBAY_TOOLKITS_DIR", self.folder.path().to_str().unwrap()),
            ("PATCHBAY_WEBHOOK_RETRY_S", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"),
            // A claim of a server that died ends soon after this.
            ("PATCHBAY_WEBHOOK_TIMEOUT_S", "5"),
        ]);
        (server, home)
    }

    pub fn address(&self, i: usize) -> SocketAddr {
        self.addresses.lock().unwrap()[i]
    }

    pub fn client(&self, i: usize) -> TestClient {
        TestClient::new(self.address(i)).header("x-api-key", PROJECT_KEY)
    }

    /// Ends a server as the kernel does when memory is short, and starts another in its place as
    /// soon as the database lets it.
    pub async fn kill_and_start(self: &Arc<Self>, i: usize) {
        let fleet = self.clone();
        let work = move || {
            let (server, _home) = fleet.servers[i].lock().unwrap().take().unwrap();
            server.signal(Signal::KILL);
            drop(server);
            let (server, home) = fleet.spawn();
            fleet.addresses.lock().unwrap()[i] = server.address;
            *fleet.servers[i].lock().unwrap() = Some((server, home));
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }
}

/// How an event arrived.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    pub arrivals: usize,
    pub webhook_ids: HashSet<String>,
}

/// What a receiver saw.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub requests: usize,
    pub refused: usize,
    pub badly_signed: usize,
    /// Events that it took, by number.
    pub events: HashMap<i64, Arrived>,
}

struct Desk {
    fails: f64,
    secret: Mutex<String>,
    told: Mutex<Told>,
    events: AtomicUsize,
}

/// A project's own server, which fails now and then.
pub struct Receiver {
    pub url: String,
    desk: Arc<Desk>,
}

impl Receiver {
    /// `fails` is the share of requests that it fails.
    pub async fn start(fails: f64) -> Self {
        let desk = Arc::new(Desk {
            fails,
            secret: Mutex::default(),
            told: Mutex::default(),
            events: AtomicUsize::new(0),
        });
        let router = axum::Router::new().route("/", post(take)).with_state(desk.clone());
        Self { url: format!("http://{}/", serve(router).await), desk }
    }

    /// Has the project's events sent here.
    pub async fn subscribe(&self, client: &TestClient) {
        let wish = json!({
            "webhook_url": self.url, "enabled_events": ["composio.trigger.message"]});
        let subscription = client.post("/api/v3/webhook_subscriptions", wish).await.expect(201);
        *self.desk.secret.lock().unwrap() = subscription["secret"].as_str().unwrap().to_owned();
    }

    pub fn told(&self) -> Told {
        self.desk.told.lock().unwrap().clone()
    }

    /// Waits until that many events arrived, and a moment longer for those that must not come.
    pub async fn wait_for(&self, count: usize) {
        let arrived = async {
            while self.desk.events.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, arrived).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let message = [format!("{id}.{at}.").as_bytes(), &body].concat();
    let expected = STANDARD.encode(mac(&desk.secret.lock().unwrap(), &message));
    let mut told = desk.told.lock().unwrap();
    told.requests += 1;
    if header("webhook-signature") != format!("v1,{expected}") {
        told.badly_signed += 1;
        return StatusCode::UNAUTHORIZED;
    }
    let fails = rand::random_bool(desk.fails);
    // Half of the failures come after it took the event, as when its answer is lost.
    if fails && rand::random() {
        told.refused += 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let payload: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(payload["id"], id.as_str());
    let event = told.events.entry(payload["data"]["n"].as_i64().unwrap()).or_default();
    event.arrivals += 1;
    event.webhook_ids.insert(id);
    desk.events.store(told.events.len(), Ordering::Relaxed);
    if fails {
        told.refused += 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

/// An account of the provider; gives its id.
pub async fn connect(client: &TestClient) -> Value {
    let config = client
        .post(
            "/api/v3/auth_configs",
            json!({"toolkit": {"slug": "told"}, "auth_config": {
            "type": "use_custom_auth", "authScheme": "API_KEY", "credentials": {}}}),
        )
        .await
        .expect(201);
    let account = client
        .post(
            "/api/v3/connected_accounts",
            json!({
                "auth_config": {"id": config["auth_config"]["id"]},
                "connection": {"user_id": "ann", "state": {"authScheme": "API_KEY",
                    "val": {"generic_api_key": "k"}}},
            }),
        )
        .await
        .expect(201);
    account["id"].clone()
}

/// An account, a subscription and a trigger; gives the hook that the provider was given.
pub async fn set_up(client: &TestClient, provider: &Provider, receiver: &Receiver) -> Hook {
    let account = connect(client).await;
    receiver.subscribe(client).await;
    client
        .post(
            "/api/v3/trigger_instances/TOLD_SOMETHING/upsert",
            json!({
            "connected_account_id": account, "trigger_config": {}}),
        )
        .await
        .expect(200);
    let hooks = provider.hooks.lock().unwrap();
    assert_eq!(hooks.len(), 1);
    hooks[0].clone()
}
