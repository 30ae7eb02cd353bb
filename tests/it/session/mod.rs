//! Sessions of agents.

mod account;
mod configuration;
mod connections;
mod custom;
mod doors;
mod files;
mod lifecycle;
mod memory;
mod meta;
mod multi;
mod named;
mod outside;
mod proxy;
mod recipes;
mod search;
mod toolkits;
mod versions;
mod world;

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

pub const SESSIONS: &str = "/api/v3.1/tool_router/session";

/// Makes a session of a user with a configuration, and gives its path.
pub async fn session(client: &TestClient, user: &str, config: Value) -> String {
    let mut body = config;
    body["user_id"] = json!(user);
    let made = client.post(SESSIONS, body).await.expect(201);
    format!("{SESSIONS}/{}", made["session_id"].as_str().unwrap())
}

/// The problems of a refused configuration.
pub async fn problems(app: &TestApp, mut body: Value) -> Vec<String> {
    body["user_id"] = json!("ann");
    let error = app.client().post(SESSIONS, body).await.expect_error(400);
    let list = error["errors"].as_array().unwrap_or_else(|| panic!("no list: {error}")).iter();
    list.map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

/// The values of a field of the items of a page.
pub fn column(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}
