//! Events per second from the outbox to a receiver, and how long one takes at half of that.
//!
//! One process has the server's parts and, on a thread of its own, the receiver; PostgreSQL is
//! beside it. Every event is committed before its producer goes on, is sent as a signed request,
//! and its delivery is noted. `bench/README.md` says how to run it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod delivery;

use std::collections::BTreeMap;
use std::str::FromStr;

use patchbay::app::{App, AppState};
use patchbay::db;
use patchbay::domain::id::{OrgId, ProjectId, random_text};
use patchbay::vault::{Key, Masters, Vault};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// The parts of a server over a database of their own, and a project.
pub struct Bench {
    pub app: AppState,
    pub project: ProjectId,
    admin: PgConnectOptions,
    database: String,
}

impl Bench {
    async fn start(url: &str) -> Self {
        let admin = PgConnectOptions::from_str(url).unwrap();
        let database = format!("bench_{}", random_text(12).to_lowercase());
        let mut connection = PgConnection::connect_with(&admin).await.unwrap();
        let create = AssertSqlSafe(format!("create database {database}"));
        sqlx::query(create).execute(&mut connection).await.unwrap();
        let env: BTreeMap<String, String> = [
            ("PATCHBAY_LISTEN", "127.0.0.1:0"),
            ("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8"),
            ("PATCHBAY_DATABASE_URL", "postgres://unused/"),
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
        let (org, project) = (OrgId::generate(), ProjectId::generate());
        db::project::insert_org(&app.db, &org, "Bench").await.unwrap();
        let secret = app.vault.seal_webhook_secret(&project, "unused").await.unwrap();
        db::project::insert(&app.db, &project, &org, "Bench", &json!({}), &secret).await.unwrap();
        Self { app, project, admin, database }
    }

    async fn end(self) {
        self.app.shut_down().await;
        self.app.db.close().await;
        let mut connection = PgConnection::connect_with(&self.admin).await.unwrap();
        let drop = AssertSqlSafe(format!("drop database {} with (force)", self.database));
        sqlx::query(drop).execute(&mut connection).await.unwrap();
    }
}

fn main() {
    let short = std::env::args().any(|argument| argument == "--short");
    let url = std::env::var("TEST_DATABASE_URL").expect("source scripts/test-postgres.sh first");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::start(&url).await;
        delivery::run(&bench, if short { 3 } else { 20 }).await;
        bench.end().await;
    });
}
