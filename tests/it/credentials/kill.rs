//! Two servers on one database, one of them killed again and again while tokens are refreshed:
//! at random moments, and at the worst ones, when the provider has taken the old refresh token and
//! the new one is not stored yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;
use sqlx::Connection;

use super::provider::{Point, Provider, Verdict};
use super::replica::{Fleet, Replica};
use super::seed::{seed, source};
use super::{connect, oauth_config};
use crate::support::client::{TestClient, TestResponse};

const ACCOUNTS: usize = 100;
/// At least so many refreshes, with at least so many kills in between.
const REFRESHES: usize = 500;
const KILLS: usize = 15;
const WORKERS: u64 = 12;

/// Provider calls and claims that end soon, so that a killed server's are waited for quickly.
const SETTINGS: [(&str, &str); 3] = [
    ("PATCHBAY_OUTBOUND_TIMEOUT_S", "4"),
    ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "4"),
    ("PATCHBAY_REFRESH_CLAIM_S", "5"),
];

/// A request that survives that its server is killed.
async fn post(client: &TestClient, path: &str, body: Value) -> Option<TestResponse> {
    let request = client.request(axum::http::Method::POST, path).json(&body);
    let answer = request.timeout(Duration::from_secs(30)).send().await.ok()?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Some(TestResponse { status, headers, text: answer.text().await.ok()? })
}

async fn execute(client: &TestClient, id: &str) -> Option<TestResponse> {
    let body = serde_json::json!({"connected_account_id": id, "arguments": {}});
    post(client, "/api/v3/tools/execute/FAULTY_ME", body).await
}

/// A kill that waits for a refresh to reach a point.
struct Armed {
    point: Point,
    delay: Duration,
    victim: Arc<Replica>,
    done: tokio::sync::oneshot::Sender<()>,
}

struct Run {
    fleet: Fleet,
    provider: Provider,
    replicas: RwLock<[Arc<Replica>; 2]>,
    /// When which server was killed.
    killed: Mutex<HashMap<String, Instant>>,
    armed: Mutex<Option<Armed>>,
    over: AtomicBool,
    /// No account may be lost.
    keeps_all: bool,
}

impl Run {
    async fn start(reuse_window: Duration) -> Arc<Self> {
        let provider = Provider::start().await;
        {
            let mut book = provider.book();
            book.rules.reuse_window = reuse_window;
            // Always about to end, so that every use asks for a refresh.
            book.rules.expires_in = Some(1.into());
        }
        let fleet = Fleet::new(&SETTINGS).await;
        let first = tokio::task::block_in_place(|| fleet.start("a0", &provider));
        let second = tokio::task::block_in_place(|| fleet.start("b0", &provider));
        let run = Arc::new(Self {
            fleet,
            provider: provider.clone(),
            replicas: RwLock::new([Arc::new(first), Arc::new(second)]),
            killed: Mutex::default(),
            armed: Mutex::default(),
            over: AtomicBool::new(false),
            keeps_all: !reuse_window.is_zero(),
        });
        let weak = Arc::downgrade(&run);
        provider.watch(move |point, client| {
            if let Some(run) = weak.upgrade() {
                run.reached(point, client);
            }
        });
        run
    }

    fn replica(&self, number: usize) -> Arc<Replica> {
        self.replicas.read().unwrap()[number].clone()
    }

    fn kill(&self, victim: &Replica) {
        // Noted before it happens: whatever the victim did was before its end.
        self.killed.lock().unwrap().insert(victim.name.clone(), Instant::now());
        victim.kill();
    }

    fn reached(self: &Arc<Self>, point: Point, client: &str) {
        let mut armed = self.armed.lock().unwrap();
        let fits = armed.as_ref().is_some_and(|a| a.point == point && a.victim.name == client);
        let Some(kill) = fits.then(|| armed.take()).flatten() else { return };
        drop(armed);
        if kill.delay.is_zero() {
            self.kill(&kill.victim);
            let _ = kill.done.send(());
            return;
        }
        let run = self.clone();
        std::thread::spawn(move || {
            std::thread::sleep(kill.delay);
            run.kill(&kill.victim);
            let _ = kill.done.send(());
        });
    }

    /// Kills one server after the other and starts a new one in its place.
    async fn killer(self: Arc<Self>, mut rng: StdRng) -> usize {
        for round in 1.. {
            tokio::time::sleep(Duration::from_millis(rng.random_range(10..200))).await;
            let side = rng.random_range(0..2);
            let victim = self.replica(side);
            let point = match rng.random_range(0..4) {
                0 => Point::Asked,
                1 => Point::Issued,
                _ => Point::Answered,
            };
            let delay = match rng.random_range(0..3) {
                0 => Duration::ZERO,
                _ => Duration::from_micros(rng.random_range(0..8000)),
            };
            if rng.random_range(0..4) == 0 {
                self.kill(&victim);
            } else {
                let (done, killed) = tokio::sync::oneshot::channel();
                let armed = Armed { point, delay, victim: victim.clone(), done };
                *self.armed.lock().unwrap() = Some(armed);
                // Nobody refreshes there: then at this moment.
                if tokio::time::timeout(Duration::from_secs(3), killed).await.is_err() {
                    self.armed.lock().unwrap().take();
                    self.kill(&victim);
                }
            }
            if round == KILLS {
                // The other one has to finish alone.
                return round;
            }
            let name = format!("{}{round}", ["a", "b"][side]);
            let run = self.clone();
            let next = tokio::task::spawn_blocking(move || run.fleet.start(&name, &run.provider));
            self.replicas.write().unwrap()[side] = Arc::new(next.await.unwrap());
        }
        unreachable!()
    }

    /// Uses accounts until there were enough refreshes.
    async fn worker(self: Arc<Self>, accounts: Arc<Vec<String>>, mut rng: StdRng) {
        while !self.over.load(Ordering::SeqCst) {
            let id = &accounts[rng.random_range(0..accounts.len())];
            let client = self.replica(rng.random_range(0..2)).client.clone();
            // An account that is EXPIRED would begin to connect again, so only where there is none.
            let by_hand = rng.random_range(0..8) == 0 && self.keeps_all;
            let answer = if by_hand {
                let path = format!("/api/v3/connected_accounts/{id}/refresh");
                post(&client, &path, serde_json::json!({})).await
            } else {
                execute(&client, id).await
            };
            match answer {
                Some(answer) => assert!(
                    matches!(answer.status, 200 | 400 | 503),
                    "{id}: {} {}",
                    answer.status,
                    answer.text
                ),
                // Killed: another one will do.
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            let kills = self.killed.lock().unwrap().len();
            if self.provider.refreshes() >= REFRESHES && kills >= KILLS {
                self.over.store(true, Ordering::SeqCst);
            }
        }
    }
}

/// Events that tell of an account's end.
async fn events(run: &Run, id: &str) -> i64 {
    let found = sqlx::query_scalar(
        "select count(*) from event
         where subject_id = $1 and type = 'composio.connected_account.expired'",
    );
    let mut db = sqlx::PgConnection::connect_with(&run.fleet.database.options).await.unwrap();
    found.bind(id).fetch_one(&mut db).await.unwrap()
}

async fn account(client: &TestClient, id: &str) -> Option<Value> {
    let path = format!("/api/v3/connected_accounts/{id}");
    let answer = client.request(axum::http::Method::GET, &path).send().await.ok()?;
    answer.json().await.ok()
}

/// Runs everything; gives the run, and each account with its last state.
async fn survive(reuse_window: Duration) -> (Arc<Run>, Vec<(usize, Value)>) {
    let seed = seed();
    let run = Run::start(reuse_window).await;
    let client = run.replica(0).client.clone();
    let config = oauth_config(&client).await;
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(connect(&client, &run.provider, &config, &format!("user-{number}")).await);
    }
    let accounts = Arc::new(accounts);
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| tokio::spawn(run.clone().worker(accounts.clone(), source(seed, n + 1))))
        .collect();
    let kills = tokio::spawn(run.clone().killer(source(seed, 0)));
    let everything = async {
        for worker in workers {
            worker.await.unwrap();
        }
        kills.await.unwrap()
    };
    // Only a bug makes it wait that long.
    let kills = match tokio::time::timeout(Duration::from_secs(180), everything).await {
        Ok(kills) => kills,
        Err(_) => panic!(
            "it does not end: {} refreshes, killed {:?}",
            run.provider.refreshes(),
            run.killed.lock().unwrap()
        ),
    };
    println!("{kills} kills, {} refreshes", run.provider.refreshes());
    let dead = run.killed.lock().unwrap().clone();
    let survivor = (0..2).map(|n| run.replica(n)).find(|r| !dead.contains_key(&r.name)).unwrap();
    let mut ends = Vec::new();
    for (number, id) in accounts.iter().enumerate() {
        ends.push((number, settle(&run, &survivor.client, number, id).await));
    }
    (run, ends)
}

/// Uses an account until it is clear what became of it: it works, also with a new token, or it is
/// EXPIRED. Anything else is an account that is broken without saying so.
async fn settle(run: &Run, client: &TestClient, grant: usize, id: &str) -> Value {
    let mut worked = 0;
    let mut last = String::new();
    for _ in 0..40 {
        let answer = execute(client, id).await.expect("the survivor answers");
        let account = account(client, id).await.unwrap();
        if account["status"] == "EXPIRED" {
            return account;
        }
        last = format!("{} {}", answer.status, answer.text);
        if super::usable(&answer) {
            worked += 1;
            if worked == 3 {
                return account;
            }
            run.provider.book().end_access(grant);
        } else {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
    panic!("account {id} is neither usable nor EXPIRED: {last}");
}

/// Every further use of a refresh token has one excuse: the server that used it before was killed
/// in between. Gives the number of such uses.
fn excused(run: &Run) -> usize {
    let killed = run.killed.lock().unwrap().clone();
    let book = run.provider.book();
    let repeated = book.repeated();
    let mut before: HashMap<String, String> = HashMap::new();
    for used in book.uses() {
        if let Some(client) = before.insert(used.token.clone(), used.client.clone()) {
            let end = killed.get(&client);
            assert!(
                end.is_some_and(|end| *end <= used.at),
                "{} used again what {client} had used, and that one was alive: {used:?}",
                used.client
            );
        }
    }
    repeated.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_reuse_window_every_account_survives_servers_that_are_killed() {
    let (run, ends) = survive(Duration::from_secs(3600)).await;
    for (_, account) in &ends {
        assert_eq!(account["status"], "ACTIVE", "{account}");
    }
    println!("{} answers were fetched again", excused(&run));
    assert!(run.provider.book().reused().is_empty(), "a token was used after its window");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_reuse_window_every_account_survives_kills_or_says_that_it_did_not() {
    let (run, ends) = survive(Duration::ZERO).await;
    excused(&run);
    for (_, account) in &ends {
        let told = events(&run, account["id"].as_str().unwrap()).await;
        assert_eq!(told, i64::from(account["status"] == "EXPIRED"), "{account}");
    }
    let book = run.provider.book();
    let mut expired = 0;
    for (grant, account) in &ends {
        let over = book.why_over(*grant);
        if account["status"] == "ACTIVE" {
            assert_eq!(over, None, "{account}");
            continue;
        }
        expired += 1;
        assert_eq!(account["status"], "EXPIRED", "{account}");
        assert!(account["status_reason"].as_str().is_some_and(|r| !r.is_empty()), "{account}");
        // Only a kill can have cost an account.
        assert!(over.is_some(), "{account}: the provider would have refreshed it");
        let reuses = book.uses().iter().filter(|u| u.grant == *grant);
        assert_eq!(reuses.filter(|u| u.verdict == Verdict::Reuse).count(), 1);
    }
    println!("{expired} accounts are EXPIRED");
    assert!(expired < ACCOUNTS, "not all of them");
}
