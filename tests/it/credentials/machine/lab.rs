//! Two servers that can crash, one that watches, and a provider.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::Method;
use patchbay::app::AppState;
use patchbay::domain::connection::Account;
use patchbay::domain::id::AccountId;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::super::provider::{Point, Provider};
use super::super::{World, oauth_config};
use crate::support::app::{serve, test_config};
use crate::support::client::{TestClient, TestResponse};

/// The page of the project that browsers are sent to, when it wants to verify who came back.
pub const VERIFIER: &str = "https://app.example.com/verify?tenant=7";

/// A server in a runtime of its own: when that is dropped, every task ends where it happens to
/// wait, and nothing is cleaned up.
struct Node {
    runtime: Option<Runtime>,
    app: AppState,
    client: TestClient,
}

impl Node {
    fn crash(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub struct Lab {
    pub world: World,
    nodes: [Arc<Mutex<Node>>; 2],
}

impl Drop for Lab {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.lock().unwrap().crash();
        }
    }
}

fn start(world: &World) -> Node {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let settings = world.settings();
    let config = test_config(&settings);
    let started = std::thread::scope(|scope| {
        let run = || runtime.block_on(serve(config, &world.app.database));
        scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let client = TestClient::new(started.1).header("x-api-key", &world.app.project.key);
    Node { runtime: Some(runtime), app: started.0, client }
}

impl Lab {
    pub async fn new() -> Self {
        let world = World::new().await;
        let nodes = [0, 1].map(|_| Arc::new(Mutex::new(start(&world))));
        Self { world, nodes }
    }

    pub fn provider(&self) -> &Provider {
        &self.world.provider
    }

    /// An auth config of its own for a case.
    pub async fn config(&self) -> String {
        oauth_config(&self.world.client()).await
    }

    fn node(&self, via: usize) -> MutexGuard<'_, Node> {
        self.nodes[via % 2].lock().unwrap()
    }

    fn client(&self, via: usize) -> TestClient {
        self.node(via).client.clone()
    }

    /// After a case that failed: nothing of it is left.
    pub async fn recover(&self) {
        self.provider().calm();
        self.provider().open_gate();
        for via in 0..2 {
            if self.node(via).runtime.is_none() {
                self.replace(via).await;
            }
        }
    }

    /// A request to one of the servers; none when it crashed meanwhile.
    pub async fn try_send(
        &self,
        via: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<TestResponse> {
        let mut request = self.client(via).request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some(TestResponse { status, headers, text: answer.text().await.ok()? })
    }

    pub async fn send(
        &self,
        via: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> TestResponse {
        self.try_send(via, method, path, body).await.expect("the server answers")
    }

    pub async fn post(&self, via: usize, path: &str, body: Value) -> TestResponse {
        self.send(via, Method::POST, path, Some(body)).await
    }

    /// The form of a Connect Link, sent without any field.
    pub async fn submit(&self, via: usize, token: &str) -> TestResponse {
        self.send(via, Method::POST, &format!("/link/{token}"), None).await
    }

    /// Crashes a server when a token request reaches a point.
    pub fn crash_at(&self, via: usize, point: Point) {
        let node = self.nodes[via % 2].clone();
        self.provider().watch(move |at, _| {
            if at == point {
                node.lock().unwrap().crash();
            }
        });
    }

    /// Puts a new server in the place of one that crashed, or crashes now. What a dead server
    /// claimed is waited for.
    pub async fn replace(&self, via: usize) {
        self.node(via).crash();
        // Not under the lock: a start that fails tells why, and leaves the lock usable.
        let fresh = start(&self.world);
        *self.node(via) = fresh;
    }

    /// Time passes: claims and waits are over.
    pub async fn time_passes(&self) {
        self.sql(
            "update connected_account set refresh_claimed_until = null, refresh_after = null
             where refresh_claimed_until is not null or refresh_after is not null",
            "",
        )
        .await;
    }

    /// Changes rows behind the servers' backs, and makes them look.
    pub async fn sql(&self, statement: &'static str, id: &str) {
        let mut query = sqlx::query(statement);
        if !id.is_empty() {
            query = query.bind(id);
        }
        query.execute(&self.world.app.app.db).await.unwrap();
        self.look_again();
    }

    /// What notifications do within milliseconds.
    pub fn look_again(&self) {
        self.world.app.app.cache.clear();
        for node in &self.nodes {
            node.lock().unwrap().app.cache.clear();
        }
    }

    /// Ends attempts that ran out of time, as the worker does.
    pub async fn worker_expires(&self) {
        patchbay::worker::expire(&self.world.app.app).await.unwrap();
        self.look_again();
    }

    pub async fn get(&self, id: &str) -> TestResponse {
        self.world.client().get(&format!("/api/v3/connected_accounts/{id}")).await
    }

    /// The account with its secrets; none when it was deleted.
    pub async fn opened(&self, id: &str) -> Option<Arc<Account>> {
        let world = &self.world.app;
        let id = AccountId::from(id);
        world.app.cache.read_account(&world.project.id, &id).await.unwrap()
    }

    /// Whether the row of a deleted account has no secrets left, and no token that could finish it.
    pub async fn is_wiped(&self, id: &str) -> bool {
        sqlx::query_scalar(
            "select deleted_at is not null and length(state) = 0 and not exists (
                 select from connect_token t where t.account_id = a.id and consumed_at is null)
             from connected_account a where id = $1",
        )
        .bind(id)
        .fetch_one(&self.world.app.app.db)
        .await
        .unwrap()
    }

    /// Events of an account.
    pub async fn events(&self, id: &str) -> Vec<Value> {
        sqlx::query_scalar("select payload from event where subject_id = $1 order by created_at")
            .bind(id)
            .fetch_all(&self.world.app.app.db)
            .await
            .unwrap()
    }

    pub async fn execute(&self, via: usize, id: &str) -> Option<TestResponse> {
        let body = json!({"connected_account_id": id, "arguments": {}});
        self.try_send(via, Method::POST, "/api/v3/tools/execute/FAULTY_ME", Some(body)).await
    }

    pub async fn refresh(&self, via: usize, id: &str) -> Option<TestResponse> {
        let path = format!("/api/v3/connected_accounts/{id}/refresh");
        self.try_send(via, Method::POST, &path, Some(json!({}))).await
    }

    /// Gives the project a verifier, or none.
    pub async fn verify(&self, on: bool) {
        let body = json!({"oauth_callback_verifier_url": on.then_some(VERIFIER)});
        let path = "/api/v3/org/project/config";
        self.world.client().patch(path, body).await.expect(200);
    }

    /// The project's verifier says whose browser it was; none when the server crashed meanwhile.
    pub async fn complete(&self, via: usize, session: &str, user: &str) -> Option<TestResponse> {
        let body = json!({"session_uri": session, "user_id": user});
        let path = "/api/v3.1/connected_accounts/complete_auth";
        self.try_send(via, Method::POST, path, Some(body)).await
    }

    /// The browser comes back to one of the servers.
    pub async fn callback(&self, via: usize, pairs: &[(&str, &str)]) -> Option<TestResponse> {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let path = format!("/api/v3/toolkits/auth/callback?{query}");
        self.try_send(via, Method::GET, &path, None).await
    }
}
