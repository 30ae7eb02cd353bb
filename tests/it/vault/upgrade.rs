//! A database that was last used by a version without data keys.

use hmac::{Hmac, KeyInit, Mac};
use patchbay::db::MIGRATOR;
use patchbay::vault::seal::seal_with_master;
use patchbay::vault::{Context, Key, hash_token};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use crate::boot::process::Home;
use crate::support::app::ENCRYPTION_KEY;
use crate::support::client::TestClient;
use crate::support::db::TestDatabase;

/// The migration that brings data keys.
const DATA_KEYS: i64 = 7;
const PROJECT: &str = "pr_aaaaaaaaaaaa";
const PROJECT_KEY: &str = "ak_for_tests_of_upgrades_only";
const ORG_KEY: &str = "oak_for_tests_of_upgrades_only";

/// What the old version stored: everything sealed by the one key.
async fn old_database(db: &mut PgConnection) {
    let before = MIGRATOR.iter().filter(|m| m.version < DATA_KEYS).cloned().collect();
    Migrator::with_migrations(before).run(&mut *db).await.unwrap();
    let key = Key::parse(ENCRYPTION_KEY).unwrap();
    let seal = |column: &str, project: &str, row: &str, text: &str| {
        seal_with_master(&key, Context { column, project, row }, text.as_bytes())
    };
    sqlx::query("insert into server_check (sealed) values ($1)")
        .bind(seal("server_check.sealed", "", "", "patchbay"))
        .execute(&mut *db)
        .await
        .unwrap();
    sqlx::query("insert into organization (id, name) values ('ok_1', 'o')")
        .execute(&mut *db)
        .await
        .unwrap();
    sqlx::query(
        "insert into project (id, org_id, name, webhook_secret) values ($1, 'ok_1', 'p', $2)",
    )
    .bind(PROJECT)
    .bind(seal("project.webhook_secret", PROJECT, PROJECT, "webhook-secret-of-old"))
    .execute(&mut *db)
    .await
    .unwrap();
    for (id, hash, project) in
        [("k1", hash_token(ORG_KEY), None), ("k2", hash_token(PROJECT_KEY), Some(PROJECT))]
    {
        sqlx::query(
            "insert into api_key (hash, id, org_id, project_id, name, hint)
             values ($1, $2, 'ok_1', $3, 'k', 'k')",
        )
        .bind(hash)
        .bind(id)
        .bind(project)
        .execute(&mut *db)
        .await
        .unwrap();
    }
    sqlx::query(
        "insert into auth_config (project_id, id, toolkit_slug, name, scheme, is_managed,
            credentials, shared_credentials)
         values ($1, 'ac_1', 'exa', 'n', 'API_KEY', false, $2, $3)",
    )
    .bind(PROJECT)
    .bind(seal("auth_config.credentials", PROJECT, "ac_1", "{}"))
    .bind(seal("auth_config.shared_credentials", PROJECT, "ac_1", r#"{"a": "b"}"#))
    .execute(&mut *db)
    .await
    .unwrap();
    for id in ["ca_1", "ca_2"] {
        sqlx::query(
            "insert into connected_account (project_id, id, auth_config_id, toolkit_slug, user_id,
                scheme, status, state)
             values ($1, $2, 'ac_1', 'exa', 'u1', 'API_KEY', 'ACTIVE', $3)",
        )
        .bind(PROJECT)
        .bind(id)
        .bind(seal("connected_account.state", PROJECT, id, r#"{"generic_api_key": "sk-of-old"}"#))
        .execute(&mut *db)
        .await
        .unwrap();
    }
    // A deleted one has no secrets.
    sqlx::query("update connected_account set state = '', deleted_at = now() where id = 'ca_2'")
        .execute(&mut *db)
        .await
        .unwrap();
    sqlx::query(
        "insert into file_object (project_id, id, name, mimetype, content, expires_at)
         values ($1, 'file_1', 'a.txt', 'text/plain', 'hello', to_timestamp(4000000000))",
    )
    .bind(PROJECT)
    .execute(&mut *db)
    .await
    .unwrap();
}

/// A link that the old version signed.
fn old_link() -> String {
    let key = hex::decode(ENCRYPTION_KEY).unwrap();
    let key = Sha256::new().chain_update(b"patchbay link signing").chain_update(key).finalize();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("file\n{PROJECT}\nfile_1\n4000000000").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!("/api/v3/files/content/{PROJECT}/file_1?expires=4000000000&signature={signature}")
}

async fn everything_works(client: &TestClient) {
    let account = client.get("/api/v3/connected_accounts/ca_1").await.expect(200);
    assert_eq!(account["status"], "ACTIVE", "{account}");
    assert!(account.to_string().contains("sk-of-old"), "{account}");
    // The project's own secret of old signs nothing any more, and is not shown.
    let session = client.get("/api/v3/auth/session/info").await.expect(200);
    assert!(!session.to_string().contains("webhook-secret-of-old"), "{session}");
    let file = client.get(&old_link()).await;
    assert_eq!((file.status, file.text.as_str()), (200, "hello"));
}

#[tokio::test]
async fn a_server_goes_on_with_what_an_old_version_left() {
    let database = TestDatabase::create_empty().await;
    let mut db = PgConnection::connect_with(&database.options).await.unwrap();
    old_database(&mut db).await;
    let url = database.url();
    let settings = [
        ("PATCHBAY_DATABASE_URL", url.as_str()),
        ("PATCHBAY_ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
        ("PATCHBAY_ORG_API_KEY", ORG_KEY),
    ];
    let home = Home::new();
    let keys =
        |arguments: &[&str]| home.command(&settings).arg("keys").args(arguments).output().unwrap();
    let refused = keys(&["rotate"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("start a server"), "{refused:?}");
    let server = home.start(&settings);
    let client = server.client(PROJECT_KEY);
    let unmask = json!({"mask_secret_keys_in_connected_account": false});
    client.patch("/api/v3/org/project/config", unmask).await.expect(200);
    everything_works(&client).await;
    let done = keys(&["rotate"]);
    assert!(done.status.success(), "{done:?}");
    everything_works(&client).await;
    let found: serde_json::Value =
        serde_json::from_slice(&keys(&["status", "--json"]).stdout).unwrap();
    for master in found["master_keys"].as_array().unwrap() {
        assert_eq!(master["rows"], 0, "{found}");
    }
    let rows: i64 = found["data_keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|key| key["retired_at"].is_null())
        .map(|key| key["rows"].as_i64().unwrap())
        .sum();
    assert_eq!(rows, 4, "webhook secret, two of the auth config, one account: {found}");
    server.stop();
    let server = home.start(&settings);
    everything_works(&server.client(PROJECT_KEY)).await;
    server.stop();
}
