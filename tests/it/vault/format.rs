//! What opens and what does not; databases of the old format.

use std::time::Duration;

use patchbay::db::sealed::COLUMNS;
use patchbay::domain::id::{ProjectId, random_text};
use patchbay::error::codes;
use patchbay::vault::seal::seal_with_master;
use patchbay::vault::{Context, Key, Masters, Sealer, Vault};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{
    Secrets, assert_all_open, assert_every_value_opens, assert_only_current_keys_seal, connect,
    fresh_vault, rotate, status, sweep,
};
use crate::support::TestApp;
use crate::support::app::ENCRYPTION_KEY;

async fn run(app: &TestApp, sql: String) {
    sqlx::query(AssertSqlSafe(sql)).execute(&app.app.db).await.unwrap();
}

#[tokio::test]
async fn a_value_opens_in_its_row_only() {
    let app = TestApp::new().await;
    let other = app.another_project().await;
    let (a, _) = connect(&app, &app.project).await;
    let (b, _) = connect(&app, &app.project).await;
    let (c, _) = connect(&app, &other).await;
    let vault = fresh_vault(&app);
    let p = &app.project.id;
    for moved in [
        // To another account, by its owner or anybody else who can write.
        format!(
            "update connected_account set state = (select state from connected_account where id = '{a}') where id = '{b}'"
        ),
        // To another column.
        format!(
            "update auth_config set credentials = (select state from connected_account where id = '{a}') where project_id = '{p}'"
        ),
    ] {
        run(&app, moved).await;
    }
    let row = patchbay::db::account::get(&app.app.db, p, &b).await.unwrap().unwrap();
    assert_eq!(vault.open_account(row).await.unwrap_err().code, codes::INTERNAL);
    // To another project: the foreign key refuses a key that the project does not have.
    let steal = format!(
        "update connected_account set state = (select state from connected_account where id = '{a}') where id = '{c}'"
    );
    let refused = sqlx::query(AssertSqlSafe(steal.clone())).execute(&app.app.db).await;
    assert!(refused.is_err());
    // With the key's row copied along, and its name.
    run(&app, format!("insert into data_key (project_id, id, sealed, retired_at) select '{}', id, sealed, now() from data_key where project_id = '{p}'", other.id)).await;
    run(&app, steal).await;
    for vault in [fresh_vault(&app), vault] {
        let row = patchbay::db::account::get(&app.app.db, &other.id, &c).await.unwrap().unwrap();
        assert_eq!(vault.open_account(row).await.unwrap_err().code, codes::INTERNAL);
    }
}

#[tokio::test]
async fn damage_at_any_byte_of_a_value_or_a_data_key_is_noticed() {
    let app = TestApp::new().await;
    let vault = fresh_vault(&app);
    let project = app.project.id.as_str();
    let context = Context { column: "connected_account.state", project, row: "ca_1" };
    let sealed = vault.seal(context, b"secret").await.unwrap();
    for i in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[i] ^= 1;
        assert!(vault.open(context, &bad).await.is_err(), "byte {i}");
    }
    let (id, good): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("select id, sealed from data_key where project_id = $1")
            .bind(project)
            .fetch_one(&app.app.db)
            .await
            .unwrap();
    for i in 0..good.len() {
        let mut bad = good.clone();
        bad[i] ^= 1;
        sqlx::query("update data_key set sealed = $2 where id = $1")
            .bind(&id)
            .bind(&bad)
            .execute(&app.app.db)
            .await
            .unwrap();
        assert!(fresh_vault(&app).open(context, &sealed).await.is_err(), "byte {i}");
    }
}

#[tokio::test]
async fn a_server_without_the_master_key_says_which_one_it_lacks() {
    let app = TestApp::new().await;
    let (id, _) = connect(&app, &app.project).await;
    let other = hex::encode([9; 32]);
    let masters = Masters::one(Key::parse(&other).unwrap(), other.into());
    let stranger = Vault::new(masters, &app.app.db);
    let row = patchbay::db::account::get(&app.app.db, &app.project.id, &id).await.unwrap().unwrap();
    let error = stranger.open_account(row).await.unwrap_err();
    let needed = hex::encode(Key::parse(ENCRYPTION_KEY).unwrap().id());
    assert_eq!(error.code, codes::ENCRYPTION_KEY_UNKNOWN);
    assert!(error.message.contains(&needed), "{error}");
    let refused = stranger.prove().await.unwrap_err().to_string();
    assert!(refused.contains(&needed), "{refused}");
}

#[tokio::test]
async fn cold_servers_with_few_connections_do_not_wait_for_each_other() {
    let app = TestApp::with(&[("PATCHBAY_DATABASE_MAX_CONNECTIONS", "2")]).await;
    let (id, _) = connect(&app, &app.project).await;
    let project = app.another_project().await;
    let config = connect(&app, &project).await;
    let row = patchbay::db::account::get(&app.app.db, &project.id, &config.0).await.unwrap();
    let config = row.unwrap().auth_config_id;
    // A server that has no key in memory; every request seals within a transaction.
    let (replica, address) = app.replica(&[("PATCHBAY_DATABASE_MAX_CONNECTIONS", "2")]).await;
    let client = crate::support::client::TestClient::new(address).header("x-api-key", &project.key);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (client, config) = (client.clone(), config.clone());
        calls.spawn(async move {
            let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u2",
                "state": {"authScheme": "API_KEY", "val": {"generic_api_key": random_text(9)}}}});
            client.post("/api/v3/connected_accounts", body).await.status
        });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), 201);
    }
    let _ = id;
    replica.stop.cancel();
}

#[tokio::test]
async fn replicas_that_need_a_first_data_key_at_once_make_one() {
    let app = TestApp::new().await;
    let project = ProjectId::generate();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let vault = fresh_vault(&app);
        let project = project.clone();
        calls.spawn(async move {
            let context = Context { column: "t.c", project: project.as_str(), row: "r" };
            vault.seal(context, b"x").await.unwrap()
        });
    }
    let mut sealers = std::collections::HashSet::new();
    while let Some(sealed) = calls.join_next().await {
        let Ok(Sealer::Data(id)) = Sealer::of(&sealed.unwrap()) else { panic!("no data key") };
        sealers.insert(id);
    }
    assert_eq!(sealers.len(), 1);
}

/// Puts every value into the form that it had before there were data keys.
async fn make_old(app: &TestApp) -> i64 {
    let master = Key::parse(ENCRYPTION_KEY).unwrap();
    let vault = fresh_vault(app);
    let mut n = 0;
    for column in COLUMNS {
        let (table, name) = column.name.split_once('.').unwrap();
        let (project, id) = match table {
            "project" => ("id", "id"),
            "connect_token" => ("project_id", "encode(hash, 'hex')"),
            _ => ("project_id", "id"),
        };
        let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(format!(
            "select {project}, {id}, {name} from {table} where {name} <> ''"
        )))
        .fetch_all(&app.app.db)
        .await
        .unwrap();
        for (project_id, row, sealed) in rows {
            let context = Context { column: column.name, project: &project_id, row: &row };
            let plain = vault.open(context, &sealed).await.unwrap();
            let old = seal_with_master(&master, context, &plain);
            assert_eq!(old[0], 1);
            sqlx::query(AssertSqlSafe(format!(
                "update {table} set {name} = $3 where {project} = $1 and {id} = $2"
            )))
            .bind(&project_id)
            .bind(&row)
            .bind(&old)
            .execute(&app.app.db)
            .await
            .unwrap();
            n += 1;
        }
    }
    for table in ["data_key", "link_key"] {
        run(app, format!("delete from {table}")).await;
    }
    n
}

#[tokio::test]
async fn a_database_of_the_old_format_is_sealed_anew() {
    let app = TestApp::new().await;
    let other = app.another_project().await;
    let mut secrets = Secrets::new();
    for project in [&app.project, &other, &other] {
        let (id, secret) = connect(&app, project).await;
        secrets.insert((project.id.clone(), id), secret);
    }
    let body = json!({"toolkit": {"slug": "linear"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "OAUTH2", "credentials": {"client_id": "a", "client_secret": "b"}}});
    let config = app.client().post("/api/v3/auth_configs", body).await.expect(201);
    let link = json!({"auth_config_id": config["auth_config"]["id"], "user_id": "u"});
    app.client().post("/api/v3/connected_accounts/link", link).await.expect(201);
    let values = make_old(&app).await;

    // A server of this version starts on it.
    let vault = fresh_vault(&app);
    vault.prove().await.unwrap();
    assert_all_open(&vault, &app, &secrets).await;
    let before = status(&vault, &app).await;
    assert_eq!(before.master_keys.iter().map(|m| m.rows).sum::<i64>(), values);
    // What changes meanwhile is sealed with a data key; the server of the test is as if started
    // on this database.
    app.app.vault.forget_all();
    let (id, secret) = connect(&app, &other).await;
    secrets.insert((other.id.clone(), id), secret);

    let report = rotate(&vault, &app).await;
    assert!(report.is_complete(), "{report:?}");
    assert!(report.resealed >= u64::try_from(values).unwrap(), "{report:?}");
    let after = status(&vault, &app).await;
    assert_only_current_keys_seal(&after);
    let vault = fresh_vault(&app);
    assert_all_open(&vault, &app, &secrets).await;
    assert!(assert_every_value_opens(&vault, &app).await >= usize::try_from(values).unwrap());
}

#[tokio::test]
async fn rows_that_do_not_open_stay_and_keep_their_key() {
    let app = TestApp::new().await;
    let mut secrets = Secrets::new();
    for _ in 0..3 {
        let (id, secret) = connect(&app, &app.project).await;
        secrets.insert((app.project.id.clone(), id), secret);
    }
    let broken = secrets.keys().next().unwrap().clone();
    run(
        &app,
        format!(
            "update connected_account set state = state || '\\x00'::bytea where id = '{}'",
            broken.1
        ),
    )
    .await;
    secrets.remove(&broken);
    let vault = fresh_vault(&app);
    let report = rotate(&vault, &app).await;
    assert_eq!((report.unreadable_values, report.left), (1, 0), "{report:?}");
    assert!(report.unreadable[0].contains(broken.1.as_str()), "{report:?}");
    let swept = sweep(&vault, &app, Duration::ZERO).await;
    assert_eq!(swept.data_keys_deleted, 0, "the damaged row names it");
    assert_all_open(&fresh_vault(&app), &app, &secrets).await;
}

#[tokio::test]
async fn links_outlive_the_exchange_of_their_key() {
    let app = TestApp::new().await;
    let (replica, _) = app.replica(&[]).await;
    let put = |n: u8| app.app.files.put(&app.project.id, "a.txt", "text/plain", vec![n]);
    let old = put(1).await.unwrap();
    rotate(&app.app.vault, &app).await;
    let new = put(2).await.unwrap();
    for url in [&old.url, &new.url] {
        let path = url.split_once("/api/").map(|(_, rest)| format!("/api/{rest}")).unwrap();
        assert_eq!(app.anonymous().get(&path).await.status, 200);
    }
    let keys: i64 =
        sqlx::query_scalar("select count(*) from link_key").fetch_one(&replica.db).await.unwrap();
    assert_eq!(keys, 2);
    sweep(&app.app.vault, &app, Duration::ZERO).await;
    app.app.vault.forget_all();
    let path = old.url.split_once("/api/").map(|(_, rest)| format!("/api/{rest}")).unwrap();
    assert_eq!(app.anonymous().get(&path).await.status, 404, "its key is gone");
    replica.stop.cancel();
}
