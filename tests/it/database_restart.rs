//! The database crashes and comes back while the server is under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::routing::get;
use patchbay::domain::id::random_text;
use serde_json::json;

use crate::support::TestApp;

/// Runs functions of scripts/test-postgres.sh on a cluster of this test's own.
fn cluster(dir: &str, functions: &str) {
    let status = std::process::Command::new("bash")
        .arg("-c")
        .arg(format!("source scripts/test-postgres.sh; {functions}"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TEST_POSTGRES_DIR", dir)
        .env("TEST_POSTGRES_COMMIT", "on")
        // Set, so that sourcing alone starts nothing.
        .env("TEST_DATABASE_URL", "none")
        .stdin(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{functions}");
}

struct Cluster(String);

impl Drop for Cluster {
    fn drop(&mut self) {
        cluster(&self.0, "test_postgres_stop");
        for file in [".log", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{file}", self.0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_restart_under_load_loses_no_log_and_needs_no_help() {
    let dir = format!("/tmp/patchbay-restart-{}", random_text(8));
    let own = Cluster(dir.clone());
    cluster(&dir, "test_postgres_start");
    let url = format!("postgres:///postgres?host={dir}&user=postgres");

    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = upstream.local_addr().unwrap().port();
    let router = axum::Router::new().route("/ping", get(|| async { Json(json!({"pong": true})) }));
    tokio::spawn(async move { axum::serve(upstream, router).await });
    let toolkits = tempfile::tempdir().unwrap();
    write_toolkit(toolkits.path(), port);
    let folder = toolkits.path().to_str().unwrap();
    let test = TestApp::on(&url, &[("PATCHBAY_TOOLKITS_DIR", folder)]).await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (client, org) = (test.client(), test.org_client());
        let stop = stop.clone();
        callers.push(tokio::spawn(async move {
            let mut logged = Vec::new();
            let mut refused = 0;
            while !stop.load(Ordering::Relaxed) {
                let ran = client.post("/api/v3/tools/execute/RESTART_PING", json!({})).await;
                if ran.status == 200 {
                    logged.push(ran.json()["log_id"].as_str().unwrap().to_owned());
                } else {
                    ran.expect_error(503);
                }
                // This one reads the database every time.
                let list = org.get("/api/v3/org/owner/project/list").await;
                if list.status != 200 {
                    list.expect_error(503);
                    refused += 1;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            (logged, refused)
        }));
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let crash = dir.clone();
    tokio::task::spawn_blocking(move || cluster(&crash, "test_postgres_restart")).await.unwrap();
    // The next request works, without anybody's help.
    let mut recovered = false;
    for _ in 0..200 {
        recovered = test.org_client().get("/api/v3/org/owner/project/list").await.status == 200;
        if recovered {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(recovered, "the server never found its database again");
    stop.store(true, Ordering::Relaxed);
    let mut logged = Vec::new();
    for caller in callers {
        logged.extend(caller.await.unwrap().0);
    }
    assert!(!logged.is_empty());
    // Stopping the parts writes what is queued.
    test.app.shut_down().await;
    for id in &logged {
        let row = patchbay::db::execution_log::get(&test.app.db, &test.project.id, id).await;
        assert!(row.unwrap().is_some(), "{id} of {} calls is lost", logged.len());
    }
    test.app.db.close().await;
    drop(own);
}

fn write_toolkit(folder: &std::path::Path, port: u16) {
    let folder = folder.join("restart");
    std::fs::create_dir_all(folder.join("tools")).unwrap();
    let toolkit = format!(
        "spec: 1\nslug: restart\nname: Restart\ndescription: A provider of this test.\n\
         versions: ['20261101_00']\nbase_url: http://127.0.0.1:{port}\nauth: [{{scheme: NO_AUTH}}]\n"
    );
    std::fs::write(folder.join("toolkit.yaml"), toolkit).unwrap();
    let tools = "tools:\n  - slug: RESTART_PING\n    name: Ping\n    \
                 description: Answers that it is there.\n    hints: {read_only: true}\n    \
                 request: {method: GET, path: /ping}\n";
    std::fs::write(folder.join("tools/tools.yaml"), tools).unwrap();
}
