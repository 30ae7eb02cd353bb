//! A database per test, copied from a template that is migrated once.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A database of its own; dropped with the value.
pub struct TestDatabase {
    pub options: PgConnectOptions,
    /// None: not ours to drop.
    name: Option<String>,
}

fn maintenance() -> PgConnectOptions {
    let url = std::env::var("TEST_DATABASE_URL")
        .expect("run the tests with scripts/test, or `source scripts/test-postgres.sh` first");
    PgConnectOptions::from_str(&url).unwrap()
}

/// The name follows from the migrations, so that a changed one makes a new template.
fn template_name() -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for migration in patchbay::db::MIGRATOR.iter() {
        hash.update(&migration.checksum);
    }
    format!("patchbay_template_{}", &hex::encode(hash.finalize())[..12])
}

impl TestDatabase {
    /// The database at `url`, migrated.
    pub async fn at(url: &str) -> Self {
        let options = PgConnectOptions::from_str(url).unwrap();
        let mut db = PgConnection::connect_with(&options).await.unwrap();
        patchbay::db::MIGRATOR.run(&mut db).await.unwrap();
        db.close().await.unwrap();
        Self { options, name: None }
    }

    pub async fn create() -> Self {
        let mut admin = PgConnection::connect_with(&maintenance()).await.unwrap();
        let template = template_name();
        // Test processes start together: the first one makes the template, and CREATE
        // DATABASE itself wants its template unused, so all of them queue here.
        sqlx::query("select pg_advisory_lock(7114)").execute(&mut admin).await.unwrap();
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(&template)
                .fetch_one(&mut admin)
                .await
                .unwrap();
        if !exists {
            let draft = format!("{template}_draft");
            for statement in [
                format!("drop database if exists {draft} with (force)"),
                format!("create database {draft}"),
            ] {
                sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
            }
            let mut db = PgConnection::connect_with(&maintenance().database(&draft)).await.unwrap();
            patchbay::db::MIGRATOR.run(&mut db).await.unwrap();
            db.close().await.unwrap();
            let rename = format!("alter database {draft} rename to {template}");
            sqlx::query(AssertSqlSafe(rename)).execute(&mut admin).await.unwrap();
        }
        let name = format!("t_{}", patchbay::domain::id::random_text(16).to_lowercase());
        let create = format!("create database {name} template {template}");
        sqlx::query(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        sqlx::query("select pg_advisory_unlock(7114)").execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { options: maintenance().database(&name), name: Some(name) }
    }
}

impl TestDatabase {
    /// A database without any table.
    pub async fn create_empty() -> Self {
        let mut admin = PgConnection::connect_with(&maintenance()).await.unwrap();
        let name = format!("t_{}", patchbay::domain::id::random_text(16).to_lowercase());
        let create = format!("create database {name} template template0");
        sqlx::query(AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { options: maintenance().database(&name), name: Some(name) }
    }

    /// Its URL, as an operator would write it.
    pub fn url(&self) -> String {
        use sqlx::ConnectOptions;
        self.options.to_url_lossy().to_string()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        // A runtime of its own: the test's is perhaps shutting down already.
        let dropper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect_with(&maintenance()).await?;
                let drop = format!("drop database if exists {name} with (force)");
                sqlx::query(AssertSqlSafe(drop)).execute(&mut admin).await?;
                admin.close().await
            })?;
            anyhow::Ok(())
        });
        let _ = dropper.join();
    }
}
