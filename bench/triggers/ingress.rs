//! Events per second from a provider's call to the receiver of the webhook, and how long one takes
//! at half of that: the program itself, over HTTP on both sides. `bench/README.md` says how to run
//! it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use patchbay::domain::id::random_text;
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

const PROJECT_KEY: &str = "ak_for_the_benchmark";
/// Calls of the provider at a time.
const CALLERS: usize = 128;

const TOOLKIT: &str = "spec: 1
slug: told
name: Told
description: A provider of this benchmark.
versions: [\"20260101_00\"]
base_url: PROVIDER
auth:
  - scheme: API_KEY
    inject: {headers: {Authorization: \"Bearer {{ cred.api_key }}\"}}
";

const TRIGGERS: &str = "triggers:
  - slug: TOLD_SOMETHING
    name: Something
    description: Tells of something.
    payload:
      n: {type: integer, description: Number.}
      text: {type: string, description: Text.}
    webhook:
      register:
        request: {method: POST, path: /hooks, json: {url: \"{{ hook.url }}\", secret: \"{{ hook.secret }}\"}}
        keep: {id: \"{{ answer.id }}\"}
      verify: {kind: hmac, header: x-signature}
      dedupe: \"{{ headers['x-delivery'] }}\"
      data: {n: \"{{ body.n }}\", text: \"{{ body.text }}\"}
";

/// What the provider was asked, and what the receiver got.
#[derive(Default)]
struct Desk {
    /// Path and secret of the hook.
    hook: Option<(String, String)>,
    arrived: u64,
    /// Since `begin`, per number of an event.
    sent: Vec<Duration>,
    /// Time from the provider's call to the receiver.
    micros: Vec<u64>,
}

struct Both {
    begin: Instant,
    desk: RefCell<Desk>,
}

/// The provider at `/hooks`, the receiver everywhere else.
async fn answer(
    both: Rc<Both>,
    request: Request<Incoming>,
) -> hyper::Result<Response<Full<Bytes>>> {
    let registers = request.uri().path() == "/hooks";
    let body = request.into_body().collect().await?.to_bytes();
    if registers {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let url = url::Url::parse(body["url"].as_str().unwrap()).unwrap();
        let secret = body["secret"].as_str().unwrap().to_owned();
        both.desk.borrow_mut().hook = Some((url.path().to_owned(), secret));
        let response = Response::builder()
            .status(StatusCode::CREATED)
            .header("content-type", "application/json");
        return Ok(response.body(Full::from("{\"id\": 1}")).unwrap());
    }
    let now = both.begin.elapsed();
    let text = std::str::from_utf8(&body).unwrap();
    // Reading the whole document would cost more than the rest of the receiver.
    let number = text.split("\"n\":").nth(1).unwrap();
    let number: usize = number[..number.find([',', '}']).unwrap()].parse().unwrap();
    let mut desk = both.desk.borrow_mut();
    desk.arrived += 1;
    let sent = desk.sent[number];
    desk.micros.push((now - sent).as_micros() as u64);
    Ok(Response::new(Full::default()))
}

async fn listen(both: Rc<Both>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let both = both.clone();
            let service = service_fn(move |request| answer(both.clone(), request));
            spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// The program, which is killed at the end.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(database: &str, folder: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_patchbay"))
            .env_clear()
            .env("PATCHBAY_DATA_DIR", folder.join("data"))
            .env("PATCHBAY_TOOLKITS_DIR", folder.join("toolkits"))
            .env("PATCHBAY_LISTEN", "127.0.0.1:0")
            .env("PATCHBAY_DATABASE_URL", database)
            .env("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY)
            .env("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8")
            .env("PATCHBAY_RATE_LIMIT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                let line = line.unwrap();
                let at = line.find("http://127.0.0.1:")?;
                let rest = &line[at + "http://".len()..];
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
                rest[..end.unwrap_or(rest.len())].parse().ok()
            })
            .expect("the server says its address");
        // Whoever does not read makes the server wait.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Kilobytes that it holds, as Linux counts them.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn api(server: &Server, path: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(format!("http://{}/api/v3/{path}", server.address))
        .header("x-api-key", PROJECT_KEY)
        .header("content-type", "application/json")
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// A provider's connection to the server.
struct Line {
    sender: SendRequest<Full<Bytes>>,
    both: Rc<Both>,
    path: String,
    secret: String,
}

impl Line {
    async fn open(server: &Server, both: &Rc<Both>) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        spawn_local(connection);
        let (path, secret) = both.desk.borrow().hook.clone().unwrap();
        Self { sender, both: both.clone(), path, secret }
    }

    /// One event of about a kilobyte, told until the server has taken it.
    async fn tell(&mut self) {
        let number = {
            let mut desk = self.both.desk.borrow_mut();
            desk.sent.push(self.both.begin.elapsed());
            desk.sent.len() - 1
        };
        let body = json!({"n": number, "text": "x".repeat(900)}).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let request = Request::post(&self.path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("x-signature", hex::encode(mac.finalize().into_bytes()))
            .header("x-delivery", number)
            .body(Full::from(body))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.into_body().collect().await.unwrap();
    }
}

async fn all_arrived(both: &Both) {
    let count = both.desk.borrow().sent.len() as u64;
    while both.desk.borrow().arrived < count {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn saturate(server: &Server, both: &Rc<Both>, span: Duration) -> f64 {
    let begin = Instant::now();
    let callers = (0..CALLERS).map(|_| async {
        let mut line = Line::open(server, both).await;
        while begin.elapsed() < span {
            line.tell().await;
        }
    });
    let before = both.desk.borrow().arrived;
    futures_util::future::join_all(callers).await;
    let taken = both.desk.borrow().sent.len() as f64 / begin.elapsed().as_secs_f64();
    all_arrived(both).await;
    let count = both.desk.borrow().arrived - before;
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!(
        "saturation: {count} events, {taken:.0}/s taken, {rate:.0}/s delivered; the server holds {} MB",
        server.memory() / 1024
    );
    rate
}

async fn evenly(server: &Server, both: &Rc<Both>, span: Duration, rate: f64, share: f64) {
    let mut idle = Vec::new();
    for _ in 0..CALLERS {
        idle.push(Line::open(server, both).await);
    }
    let idle = Rc::new(RefCell::new(idle));
    let wanted = rate * share;
    let (begin, mut told) = (Instant::now(), 0u64);
    both.desk.borrow_mut().micros.clear();
    while begin.elapsed() < span {
        while told < (begin.elapsed().as_secs_f64() * wanted) as u64 {
            let line = idle.borrow_mut().pop();
            let Some(mut line) = line else { break };
            let idle = idle.clone();
            spawn_local(async move {
                line.tell().await;
                idle.borrow_mut().push(line);
            });
            told += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while idle.borrow().len() < CALLERS {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    all_arrived(both).await;
    let mut micros = std::mem::take(&mut both.desk.borrow_mut().micros);
    micros.sort_unstable();
    let at = |part: f64| micros[((micros.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
    println!(
        "{:.0} % of it, {:.0}/s: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, worst {:.1} ms",
        share * 100.0,
        told as f64 / span.as_secs_f64(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

async fn run(url: &str, span: Duration) {
    let both = Rc::new(Both { begin: Instant::now(), desk: RefCell::default() });
    let address = listen(both.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let toolkit = folder.path().join("toolkits/told");
    std::fs::create_dir_all(toolkit.join("triggers")).unwrap();
    let text = TOOLKIT.replace("PROVIDER", &format!("http://{address}"));
    std::fs::write(toolkit.join("toolkit.yaml"), text).unwrap();
    std::fs::write(toolkit.join("triggers/all.yaml"), TRIGGERS).unwrap();

    let admin = PgConnectOptions::from_str(url).unwrap();
    let database = format!("bench_{}", random_text(12).to_lowercase());
    let mut connection = PgConnection::connect_with(&admin).await.unwrap();
    let create = AssertSqlSafe(format!("create database {database}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let server = Server::start(&url.replace("/postgres?", &format!("/{database}?")), folder.path());

    let config = json!({"toolkit": {"slug": "told"}, "auth_config": {
        "type": "use_custom_auth", "authScheme": "API_KEY", "credentials": {}}});
    let config = api(&server, "auth_configs", config).await;
    let account = json!({"auth_config": {"id": config["auth_config"]["id"]}, "connection": {
        "user_id": "bench", "state": {"authScheme": "API_KEY", "val": {"generic_api_key": "k"}}}});
    let account = api(&server, "connected_accounts", account).await;
    let receiver = json!({"webhook_url": format!("http://{address}/webhook"),
        "enabled_events": ["composio.trigger.message"]});
    api(&server, "webhook_subscriptions", receiver).await;
    let instance = json!({"connected_account_id": account["id"], "trigger_config": {}});
    api(&server, "trigger_instances/TOLD_SOMETHING/upsert", instance).await;

    let rate = saturate(&server, &both, span).await;
    for share in [0.5, 0.1] {
        // What is under way is noted by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        evenly(&server, &both, span, rate, share).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let of_bench = admin.clone().database(&database);
    let mut its = PgConnection::connect_with(&of_bench).await.unwrap();
    let count = "select count(*) filter (where outcome is null), count(*) from webhook_delivery";
    let (open, all): (i64, i64) = sqlx::query_as(count).fetch_one(&mut its).await.unwrap();
    println!("deliveries without a note: {open} of {all}");
    drop((its, server));
    let drop = AssertSqlSafe(format!("drop database {database} with (force)"));
    sqlx::query(drop).execute(&mut connection).await.unwrap();
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let url = std::env::var("TEST_DATABASE_URL").expect("source scripts/test-postgres.sh first");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let span = Duration::from_secs(if short { 3 } else { 20 });
    LocalSet::new().block_on(&runtime, run(&url, span));
}
