//! Nothing secret in log lines, Debug prints, answers and rows.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::provider::Mode;
use super::world::{SECRET, World, oauth_account, oauth_config};

/// Keeps every log line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_log_line_at_any_level_holds_a_secret() {
    let lines = Lines::default();
    // The thread's own, so that tests in other threads of the process are left alone.
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_writer(lines.clone())
            .with_max_level(tracing::Level::TRACE)
            .finish(),
    );
    let world = World::new().await;
    let key = world.app.project.key.clone();
    let account = world.connect("exa").await.account;
    let by_query = world.connect("serpapi").await.account;
    let oauth = oauth_account(&world.client, "at-secret-0123456789", "rt-secret-0123456789").await;
    for mode in [Mode::Good, Mode::Echo, Mode::Reset, Mode::Hang] {
        let hangs = matches!(mode, Mode::Hang);
        world.provider.set(mode);
        world.execute("EXA_SEARCH", &account, json!({"query": "x"})).await.expect(200);
        world.execute("SERPAPI_SEARCH", &by_query, json!({"query": "x"})).await.expect(200);
        world.proxy(&by_query, "/x").await;
        if !hangs {
            // The time limit of a token endpoint is longer than a test should take.
            let path = format!("/api/v3/connected_accounts/{}/refresh", oauth.account);
            world.client.post(&path, json!({})).await;
        }
    }
    let params = json!({"arguments": {"query": "x"}, "custom_auth_params": {"parameters":
        [{"name": "x-api-key", "in": "header", "value": "custom-secret-0123456789"}]}});
    world.client.post("/api/v3/tools/execute/EXA_SEARCH", params).await;
    let config = oauth_config(&world.client).await;
    let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u1"}});
    let begun = world.client.post("/api/v3/connected_accounts", body).await.expect(201);
    let url = url::Url::parse(begun["redirect_url"].as_str().unwrap()).unwrap();
    let state = url.query_pairs().find(|(n, _)| n == "state").unwrap().1.into_owned();
    let path = format!("/api/v3/toolkits/auth/callback?code=code-secret-0123456789&state={state}");
    world.app.anonymous().get(&path).await;
    let link = json!({"auth_config_id": config, "user_id": "u1"});
    let link = world.client.post("/api/v3/connected_accounts/link", link).await.expect(201);
    let token = link["link_token"].as_str().unwrap();
    world.app.anonymous().get(&format!("/link/{token}")).await;
    world.client.delete(&format!("/api/v3/connected_accounts/{account}")).await.expect(200);

    let text = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    assert!(text.lines().count() > 50 && text.contains("request"), "something was logged");
    for secret in [
        SECRET,
        key.as_str(),
        world.app.org_key.as_str(),
        "at-secret-0123456789",
        "rt-secret-0123456789",
        "custom-secret-0123456789",
        "code-secret-0123456789",
        state.as_str(),
        token,
    ] {
        // The client of the test logs what it sends; the server's own lines are looked at.
        let ours = text.lines().filter(|line| line.contains("patchbay") || line.contains("sqlx"));
        let found: Vec<&str> = ours.filter(|line| line.contains(secret)).collect();
        assert!(found.is_empty(), "{secret}: {found:#?}");
    }
    let rows = world.log_rows().await.concat();
    for secret in [SECRET, "at-secret-0123456789", "custom-secret-0123456789"] {
        assert!(!rows.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn no_debug_print_holds_a_secret() {
    let world = World::with(&[
        ("PATCHBAY_ORG_API_KEY", "oak_debug-secret-0123456789abcdef"),
        ("PATCHBAY_PROJECT_API_KEY", "ak_debug-secret-0123456789abcdefg"),
        ("PATCHBAY_LLM_API_KEY", "llm-debug-secret-0123456789"),
        ("PATCHBAY_LLM_MODEL", "m"),
        ("PATCHBAY_LLM_BASE_URL", "http://127.0.0.1:1/v1"),
        ("PATCHBAY_DATABASE_URL", "postgres://user:pw-debug-secret@localhost/x"),
        ("PATCHBAY_ENCRYPTION_KEY", crate::support::app::ENCRYPTION_KEY),
    ])
    .await;
    let app = &world.app.app;
    let connected = oauth_account(&world.client, SECRET, SECRET).await;
    let project = &world.app.project.id;
    let account = app.cache.account(project, &connected.account.as_str().into()).await.unwrap();
    let config = app.cache.auth_config(project, &connected.config.as_str().into()).await.unwrap();
    let principal = app.cache.principal(&world.app.project.key).await.unwrap();
    let (account, config) = (account.unwrap(), config.unwrap());
    assert_eq!(account.state.text("access_token"), Some(SECRET));
    assert_eq!(config.credentials.text("client_secret"), Some(SECRET));
    let printed = format!(
        "{account:?} {config:?} {principal:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        app.config, app.vault, app.cache, app.net, app.files, app.logbook
    );
    for secret in
        [SECRET, "debug-secret", crate::support::app::ENCRYPTION_KEY, &world.app.project.key]
    {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

#[tokio::test]
async fn secrets_are_masked_in_answers_and_sealed_in_rows() {
    let world = World::new().await;
    let key = world.connect("exa").await;
    let oauth = oauth_account(&world.client, SECRET, SECRET).await;
    for connected in [&key, &oauth] {
        for path in [
            format!("/api/v3/connected_accounts/{}", connected.account),
            "/api/v3/connected_accounts".to_owned(),
            format!("/api/v3/auth_configs/{}", connected.config),
            "/api/v3/auth_configs".to_owned(),
        ] {
            let answer = world.client.get(&path).await;
            answer.expect(200);
            assert!(!answer.text.contains(SECRET), "{path}: {}", answer.text);
        }
    }
    for table in ["connected_account", "auth_config", "connect_token", "execution_log", "api_key"] {
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select row_to_json(t)::text from {table} t"
        )))
        .fetch_all(&world.app.app.db)
        .await
        .unwrap();
        let rows = rows.concat();
        assert!(!rows.contains(SECRET) && !rows.contains(&world.app.project.key), "{table}");
        assert!(!rows.contains(&hex::encode(SECRET)), "{table}");
    }
}
