//! What somebody has who has the database alone, or the key alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use patchbay::vault::Key;
use sqlx::AssertSqlSafe;

use super::{connect, fresh_vault, rotate};
use crate::support::TestApp;
use crate::support::app::ENCRYPTION_KEY;

/// Every row of every table, as text; bytes are in hex.
async fn dump(app: &TestApp) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(table_name) from information_schema.tables
         where table_schema = 'public' and table_type = 'BASE TABLE'",
    )
    .fetch_all(&app.app.db)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut text = String::new();
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select row_to_json(t)::text from {table} t"
        )))
        .fetch_all(&app.app.db)
        .await
        .unwrap();
        text.push_str(&rows.join("\n"));
    }
    text
}

#[tokio::test]
async fn the_database_alone_reveals_nothing() {
    let app = TestApp::new().await;
    let (_, secret) = connect(&app, &app.project).await;
    let body = serde_json::json!({"toolkit": {"slug": "linear"}, "auth_config":
        {"type": "use_custom_auth", "authScheme": "OAUTH2",
         "credentials": {"client_id": "the-client", "client_secret": "client-secret-0123456789"}}});
    let config = app.client().post("/api/v3/auth_configs", body).await.expect(201);
    let link = serde_json::json!({"auth_config_id": config["auth_config"]["id"], "user_id": "u"});
    let link = app.client().post("/api/v3/connected_accounts/link", link).await.expect(201);
    let token = link["link_token"].as_str().unwrap().to_owned();
    let subscription = serde_json::json!({"webhook_url": "https://app.example/webhook",
        "enabled_events": ["composio.trigger.message"]});
    let made = app.client().post("/api/v3/webhook_subscriptions", subscription).await.expect(201);
    let webhook = made["secret"].as_str().unwrap().to_owned();
    app.app.files.put(&app.project.id, "a", "text/plain", vec![1]).await.unwrap();
    let link_keys = app.app.vault.link_keys().await.unwrap();
    rotate(&fresh_vault(&app), &app).await;

    let text = dump(&app).await.to_lowercase();
    assert!(text.contains(app.project.id.as_str().to_lowercase().as_str()));
    let master = hex::decode(ENCRYPTION_KEY).unwrap();
    let mut secrets: Vec<Vec<u8>> =
        [secret.as_str(), "client-secret-0123456789", &token, &webhook, &app.project.key]
            .map(|s| s.as_bytes().to_vec())
            .to_vec();
    secrets.push(app.org_key.as_bytes().to_vec());
    secrets.push(master.clone());
    secrets.push(link_keys.newest().to_vec());
    for secret in secrets {
        assert!(secret.len() >= 16);
        for form in [
            String::from_utf8_lossy(&secret).to_lowercase(),
            hex::encode(&secret),
            STANDARD.encode(&secret).trim_end_matches('=').to_lowercase(),
        ] {
            assert!(!text.contains(&form), "{form}");
        }
    }
    // The key alone is 32 random bytes: what it opens is in the database, and nothing in it tells
    // anything but which key it is.
    assert_eq!(Key::parse(ENCRYPTION_KEY).unwrap().id().len(), 4);
}

/// Columns of bytes that are no sealed values, with the reason.
const NOT_SEALED: &[(&str, &str)] = &[
    ("api_key.hash", "a hash"),
    ("connect_token.hash", "a hash"),
    ("mcp_oauth_grant.client_hash", "a hash"),
    ("mcp_oauth_token.hash", "a hash"),
    ("trigger_instance.config_hash", "a hash"),
    ("trigger_instance.ingress_hash", "a hash"),
    ("webhook_endpoint.ingress_hash", "a hash"),
    ("file_object.content", "a file that a tool gave"),
    ("session_file.content", "a file of an agent"),
    ("upload.content", "a file for a tool"),
    ("installed_toolkit.heads", "a toolkit's definition, which its project may read"),
    ("installed_toolkit.bodies", "a toolkit's definition, which its project may read"),
    ("installed_toolkit.digest", "a hash"),
    ("toolkit_logo.digest", "a hash"),
    ("toolkit_logo.content", "an image that everybody may see"),
    ("tool_vector.key", "a hash"),
    ("tool_vector.vector", "what a description of a tool means"),
    ("data_key.id", "an id"),
    ("data_key.sealed", "sealed by a master key; `keys rewrap` knows it"),
    ("data_key.master_key_id", "an id"),
    ("link_key.id", "an id"),
    ("link_key.sealed", "sealed by a master key; `keys rewrap` knows it"),
    ("server_check.sealed", "sealed by a master key; `keys rewrap` knows it"),
    ("server_check.announced_key_id", "an id"),
];

#[tokio::test]
async fn every_column_of_bytes_is_exchanged_or_known_to_need_no_key() {
    let app = TestApp::new().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select table_name || '.' || column_name from information_schema.columns
         where table_schema = 'public' and data_type = 'bytea' and table_name not like '\\_sqlx%'
            and (is_generated = 'NEVER' or table_name = 'data_key')",
    )
    .fetch_all(&app.app.db)
    .await
    .unwrap();
    let unknown: Vec<&String> = columns
        .iter()
        .filter(|name| !NOT_SEALED.iter().any(|(known, _)| known == name))
        .filter(|name| !patchbay::db::sealed::COLUMNS.iter().any(|c| c.name == name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "add them to db::sealed::COLUMNS, with a migration: {unknown:?}");
    for column in patchbay::db::sealed::COLUMNS {
        assert!(columns.iter().any(|name| name == column.name), "{column:?} is gone");
    }
}
