//! What a poll costs with few and many instances, and who is polled when there is far more due than
//! can be done. `bench/README.md` says how to run it.
//!
//! One process has the server's parts and, on a thread of its own, the provider, which has nothing
//! new; PostgreSQL is beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use patchbay::app::{App, AppState};
use patchbay::db;
use patchbay::domain::connection::{Account, AuthConfig, SecretMap};
use patchbay::domain::id::{AccountId, AuthConfigId, OrgId, ProjectId, random_text};
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::domain::status::AccountStatus;
use patchbay::domain::time::now;
use patchbay::trigger::poll::{Turns, round};
use patchbay::vault::{Key, Masters, Vault};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const PROJECTS: usize = 10;
/// Polls under way at a time; half of them of one toolkit, and there is one.
const CONCURRENCY: usize = 64;
/// Instances that are due together.
const TOGETHER: i64 = 256;

const TOOLKIT: &str = "spec: 1
slug: quiet
name: Quiet
description: A provider that has nothing new.
versions: [\"20260101_00\"]
base_url: PROVIDER
auth:
  - scheme: API_KEY
    inject: {headers: {Authorization: \"Bearer {{ cred.api_key }}\"}}
";

const TRIGGERS: &str = "triggers:
  - slug: QUIET_NEW_ITEM
    name: New item
    description: Tells of every new item.
    payload:
      id: {type: string, description: Its id.}
    poll:
      request: {method: GET, path: /items, query: {since: \"{{ cursor.since }}\"}}
      items: \"{{ answer.items }}\"
      id: \"{{ item.id }}\"
      at: \"{{ item.at }}\"
      cursor: {kind: timestamp, overlap_s: 120}
      data: {id: \"{{ item.id }}\"}
";

/// A provider on a thread of its own.
fn provider() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = service_fn(|_: Request<Incoming>| async {
                    let body = Full::new(Bytes::from_static(b"{\"items\": []}"));
                    Response::builder().header(CONTENT_TYPE, "application/json").body(body)
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    });
    told.recv().unwrap()
}

/// The parts of a server over a database of their own.
struct Bench {
    app: AppState,
    accounts: Vec<Account>,
    admin: PgConnectOptions,
    database: String,
    _toolkits: tempfile::TempDir,
}

impl Bench {
    async fn start(url: &str, provider: SocketAddr) -> Self {
        let admin = PgConnectOptions::from_str(url).unwrap();
        let database = format!("bench_{}", random_text(12).to_lowercase());
        let mut connection = PgConnection::connect_with(&admin).await.unwrap();
        let create = AssertSqlSafe(format!("create database {database}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        let toolkits = tempfile::tempdir().unwrap();
        let folder = toolkits.path().join("quiet");
        std::fs::create_dir_all(folder.join("triggers")).unwrap();
        let text = TOOLKIT.replace("PROVIDER", &format!("http://{provider}"));
        std::fs::write(folder.join("toolkit.yaml"), text).unwrap();
        std::fs::write(folder.join("triggers/all.yaml"), TRIGGERS).unwrap();
        let env: BTreeMap<String, String> = [
            ("PATCHBAY_LISTEN", "127.0.0.1:0"),
            ("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8"),
            ("PATCHBAY_DATABASE_URL", "postgres://unused/"),
            ("PATCHBAY_TOOLKITS_DIR", toolkits.path().to_str().unwrap()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let config = patchbay::config::load_from(&env).unwrap();
        let options = admin.clone().database(&database);
        let pool = db::connect(options, config.database_max_connections).await.unwrap();
        db::migrate(&pool).await.unwrap();
        let masters = Masters::one(Key::parse(KEY).unwrap(), KEY.into());
        let vault = Vault::new(masters, &pool);
        let app = App::new(config, pool, vault).unwrap();
        let mut bench = Self { app, accounts: Vec::new(), admin, database, _toolkits: toolkits };
        let org = OrgId::generate();
        db::project::insert_org(&bench.app.db, &org, "Bench").await.unwrap();
        for _ in 0..PROJECTS {
            let account = bench.project(&org).await;
            bench.accounts.push(account);
        }
        bench
    }

    /// A project with an account.
    async fn project(&self, org: &OrgId) -> Account {
        let (app, project) = (&self.app, ProjectId::generate());
        let secret = app.vault.seal_webhook_secret(&project, "unused").await.unwrap();
        db::project::insert(&app.db, &project, org, project.as_str(), &json!({}), &secret)
            .await
            .unwrap();
        let config = AuthConfig {
            project_id: project.clone(),
            id: AuthConfigId::generate(),
            toolkit_slug: "quiet".into(),
            name: "bench".into(),
            scheme: AuthSchemeKind::ApiKey,
            is_managed: false,
            is_enabled: true,
            credentials: SecretMap::default(),
            shared_credentials: SecretMap::default(),
            restrict_to_tools: None,
            scope_tools: None,
            created_at: now(),
            updated_at: now(),
        };
        let row = app.vault.seal_auth_config(&config).await.unwrap();
        db::auth_config::insert(&app.db, &row).await.unwrap();
        let state = json!({"generic_api_key": "key-123456"}).as_object().cloned().unwrap();
        let account = Account {
            project_id: project,
            id: AccountId::generate(),
            auth_config_id: config.id,
            toolkit_slug: "quiet".into(),
            user_id: "bench".into(),
            scheme: AuthSchemeKind::ApiKey,
            status: AccountStatus::Active,
            status_reason: None,
            is_disabled: false,
            alias: None,
            sharing: Default::default(),
            identity: None,
            state: SecretMap(state),
            state_version: 1,
            token_expires_at: None,
            attempt_expires_at: None,
            callback_url: None,
            flow: "initiate".into(),
            refresh: Default::default(),
            created_at: now(),
            updated_at: now(),
        };
        let row = app.vault.seal_account(&account).await.unwrap();
        db::account::insert(&app.db, &row).await.unwrap();
        account
    }

    async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.app.db).await.unwrap();
    }

    /// So many instances, each due once an hour, none now; number `n` is of project `n % of`.
    async fn populate(&self, count: i64, of: usize) {
        self.sql("truncate trigger_instance, trigger_poll").await;
        for (number, account) in self.accounts.iter().take(of).enumerate() {
            let rows = "from generate_series($2::bigint, $1 - 1, $3) n";
            let instance = format!(
                "insert into trigger_instance (project_id, id, slug, toolkit_slug,
                    toolkit_version, account_id, auth_config_id, user_id, kind, config,
                    config_hash, ingress_hash, secrets)
                 select $4, 'ti_' || n, 'QUIET_NEW_ITEM', 'quiet', 'v', $5, $6, 'bench', 'poll',
                    '{{\"interval\": 60}}', convert_to(n::text, 'utf8'), '', '' {rows}"
            );
            let poll = format!(
                "insert into trigger_poll (project_id, trigger_id, interval_s, next_at,
                    toolkit_slug)
                 select $4, 'ti_' || n, 3600, now() + interval '10 minutes'
                    + random() * interval '1 hour', 'quiet' {rows}"
            );
            sqlx::query(AssertSqlSafe(instance))
                .bind(count)
                .bind(number as i64)
                .bind(of as i64)
                .bind(&account.project_id)
                .bind(&account.id)
                .bind(&account.auth_config_id)
                .execute(&self.app.db)
                .await
                .unwrap();
            sqlx::query(AssertSqlSafe(poll))
                .bind(count)
                .bind(number as i64)
                .bind(of as i64)
                .bind(&account.project_id)
                .execute(&self.app.db)
                .await
                .unwrap();
        }
        self.sql("vacuum analyze trigger_instance, trigger_poll").await;
    }

    /// Polls due instances until it were so many.
    async fn polls(&self, population: i64, wanted: usize) -> Cost {
        let turns = Turns::new(CONCURRENCY);
        let mut cost = Cost::default();
        while cost.polls < wanted {
            let due: Vec<String> = (0..TOGETHER.min(population))
                .map(|_| format!("ti_{}", rand::random_range(0..population)))
                .collect();
            sqlx::query("update trigger_poll set next_at = now() where trigger_id = any($1)")
                .bind(&due)
                .execute(&self.app.db)
                .await
                .unwrap();
            let before = Used::now(&self.app).await;
            let begin = Instant::now();
            loop {
                let claim = Instant::now();
                let begun = round(&self.app, &turns).await.unwrap();
                cost.claims += 1;
                cost.claiming += claim.elapsed();
                cost.polls += begun;
                turns.idle().await;
                if begun == 0 && turns.after().is_none() {
                    break;
                }
            }
            cost.wall += begin.elapsed();
            cost.used = cost.used.plus(&Used::now(&self.app).await.minus(&before));
        }
        cost
    }

    async fn end(self) {
        self.app.shut_down().await;
        self.app.db.close().await;
        let mut connection = PgConnection::connect_with(&self.admin).await.unwrap();
        let drop = AssertSqlSafe(format!("drop database {} with (force)", self.database));
        sqlx::query(drop).execute(&mut connection).await.unwrap();
    }
}

/// CPU time in hundredths of a second.
#[derive(Debug, Default, Clone, Copy)]
struct Used {
    server: u64,
    database: u64,
}

impl Used {
    async fn now(app: &App) -> Self {
        let pids: Vec<i32> = sqlx::query_scalar(
            "select pid from pg_stat_activity where datname = current_database()",
        )
        .fetch_all(&app.db)
        .await
        .unwrap();
        let database = pids.iter().map(|pid| ticks(&format!("/proc/{pid}/stat"))).sum();
        Self { server: ticks("/proc/self/stat"), database }
    }

    fn minus(&self, other: &Self) -> Self {
        Self {
            server: self.server.saturating_sub(other.server),
            database: self.database.saturating_sub(other.database),
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self { server: self.server + other.server, database: self.database + other.database }
    }
}

fn ticks(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> =
        text.rsplit_once(')').map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let field = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    field(12) + field(13)
}

#[derive(Debug, Default)]
struct Cost {
    polls: usize,
    claims: usize,
    claiming: Duration,
    wall: Duration,
    used: Used,
}

impl Cost {
    fn per_poll(&self, ticks: u64) -> f64 {
        ticks as f64 * 10_000.0 / self.polls as f64
    }

    fn print(&self, name: &str, first: Option<&Self>) {
        let figures = |cost: &Self| {
            [
                cost.wall.as_secs_f64() * 1e6 / cost.polls as f64,
                cost.per_poll(cost.used.server),
                cost.per_poll(cost.used.database),
                cost.claiming.as_secs_f64() * 1e6 / cost.polls as f64,
            ]
        };
        let mine = figures(self);
        let compared = first.map(figures).unwrap_or(mine);
        let cells: Vec<String> = mine
            .iter()
            .zip(compared)
            .map(|(figure, first)| format!("{figure:>8.0} ({:>4.2})", figure / first))
            .collect();
        println!("{name:>22} {:>7} {}", self.polls, cells.join(" "));
    }
}

async fn flat(bench: &Bench, wanted: usize) {
    println!("µs per due instance, and its ratio to that with 1,000; the provider has nothing new");
    println!(
        "{:>22} {:>7} {:>15} {:>15} {:>15} {:>15}",
        "instances", "polls", "wall", "server CPU", "database CPU", "claiming"
    );
    let mut costs = Vec::new();
    for population in [1, 1000, 100_000_i64] {
        bench.populate(population, PROJECTS.min(population as usize)).await;
        bench.polls(population, wanted / 10).await;
        // One instance is polled one at a time: it says what a poll costs alone.
        let wanted = if population == 1 { wanted / 10 } else { wanted };
        let cost = bench.polls(population, wanted).await;
        let (turns, begin) = (Turns::new(CONCURRENCY), Instant::now());
        for _ in 0..100 {
            assert_eq!(round(&bench.app, &turns).await.unwrap(), 0);
        }
        costs.push((population, cost, begin.elapsed() / 100));
    }
    for (population, cost, idle) in &costs {
        cost.print(&format!("{population}"), Some(&costs[1].1));
        println!("{:>22} {:.2} ms", "a look at nothing due", idle.as_secs_f64() * 1e3);
    }
}

/// One project has everything overdue for a day, the others have ten instances that just came due.
async fn fair(bench: &Bench, crowd: i64) {
    bench.populate(crowd, 1).await;
    bench.sql("update trigger_poll set next_at = now() - interval '1 day'").await;
    let big = bench.accounts[0].project_id.as_str();
    for account in &bench.accounts[1..] {
        for statement in [
            "insert into trigger_instance (project_id, id, slug, toolkit_slug, toolkit_version,
                account_id, auth_config_id, user_id, kind, config, config_hash, ingress_hash,
                secrets)
             select $2, id, slug, toolkit_slug, toolkit_version, $3, $4, user_id, kind, config,
                config_hash, '', ''
             from trigger_instance where project_id = $1 and length(id) = 4",
            "insert into trigger_poll (project_id, trigger_id, interval_s, next_at, toolkit_slug)
             select i.project_id, i.id, 3600, now(), i.toolkit_slug from trigger_instance i
             where i.project_id = $2 and i.account_id = $3 and i.auth_config_id = $4
                and i.project_id <> $1",
        ] {
            sqlx::query(statement)
                .bind(big)
                .bind(&account.project_id)
                .bind(&account.id)
                .bind(&account.auth_config_id)
                .execute(&bench.app.db)
                .await
                .unwrap();
        }
    }
    bench.sql("vacuum analyze trigger_instance, trigger_poll").await;
    let (turns, begin) = (Turns::new(CONCURRENCY), Instant::now());
    let before = Used::now(&bench.app).await;
    let mut cost = Cost::default();
    let mut done = None;
    while cost.polls < 4000 {
        let claim = Instant::now();
        cost.polls += round(&bench.app, &turns).await.unwrap();
        cost.claims += 1;
        cost.claiming += claim.elapsed();
        turns.idle().await;
        if done.is_none() {
            let left: i64 = sqlx::query_scalar(
                "select count(*) from trigger_poll where project_id <> $1 and last_at is null",
            )
            .bind(big)
            .fetch_one(&bench.app.db)
            .await
            .unwrap();
            if left == 0 {
                done = Some((cost.polls, begin.elapsed()));
            }
        }
    }
    cost.wall = begin.elapsed();
    cost.used = Used::now(&bench.app).await.minus(&before);
    cost.print(&format!("{crowd} overdue"), None);
    let (polls, time) = done.unwrap();
    println!(
        "{} due instances of {} other projects were done after {polls} polls and {} ms",
        10 * (PROJECTS - 1),
        PROJECTS - 1,
        time.as_millis()
    );
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let url = std::env::var("TEST_DATABASE_URL").expect("source scripts/test-postgres.sh first");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::start(&url, provider()).await;
        flat(&bench, if short { 500 } else { 10_000 }).await;
        fair(&bench, if short { 10_000 } else { 100_000 }).await;
        bench.end().await;
    });
}
