//! `patchbay toolkits`, run as a person runs it, against a running server.

mod files;
mod sync;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::TestApp;

/// What a command said.
#[derive(Debug)]
struct Said {
    good: bool,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            good: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `patchbay toolkits` with these arguments, for a server at `url`, in a folder.
fn command(app: &TestApp, url: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command
        .env_clear()
        .env("PATCHBAY_DATA_DIR", folder.join("data"))
        .env("PATCHBAY_URL", url)
        .env("PATCHBAY_PROJECT_API_KEY", &app.project.key)
        .env("PATCHBAY_ORG_API_KEY", &app.org_key)
        .current_dir(folder)
        .arg("toolkits")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end.
async fn toolkits(app: &TestApp, folder: &Path, args: &[&str]) -> Said {
    let mut command = command(app, &app.url(""), folder, args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

/// The slugs of what is installed, and how many versions each has.
async fn installed(app: &TestApp) -> Vec<(String, usize)> {
    let client = app.org_client();
    let list = client.get("/api/v3/toolkits/installed").await.expect(200);
    let mut found = Vec::new();
    for item in list["items"].as_array().unwrap() {
        let slug = item["slug"].as_str().unwrap().to_owned();
        let versions = client.get(&format!("/api/v3/toolkits/installed/{slug}")).await.expect(200);
        found.push((slug, versions["items"].as_array().map_or(0, Vec::len)));
    }
    found
}

/// A description of an API with these operations.
fn description(title: &str, operations: &[&str]) -> Value {
    let get = |summary: &&str| {
        let path = format!("/{}", summary.to_lowercase().replace(' ', "-"));
        (path, serde_json::json!({"get": {"summary": summary, "responses": {}}}))
    };
    let paths: serde_json::Map<String, Value> = operations.iter().map(get).collect();
    serde_json::json!({"openapi": "3.0.3", "info": {"title": title}, "paths": paths,
        "servers": [{"url": "https://api.acme.example"}]})
}
