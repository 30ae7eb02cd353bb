//! Many callers at once.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::client::{TestClient, TestResponse};

/// Executions of one tool with one account that are under way.
pub struct Crowd {
    calls: JoinSet<TestResponse>,
}

impl Crowd {
    /// Two hundred, through each of the servers in turn.
    pub fn of(servers: &[TestClient], tool: &str, account: &str) -> Self {
        let mut calls = JoinSet::new();
        for number in 0..200 {
            let client = servers[number % servers.len()].clone();
            let path = format!("/api/v3/tools/execute/{tool}");
            let body = json!({"connected_account_id": account, "arguments": {}});
            calls.spawn(async move { client.post(&path, body).await });
        }
        Self { calls }
    }

    /// Gives all of them the time to get stuck behind the one that waits for the provider.
    pub async fn gathers(&self) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    /// Everybody gets what they came for.
    pub async fn served(mut self) {
        while let Some(answer) = self.calls.join_next().await {
            let answer = answer.unwrap();
            let fine = answer.status == 200 && answer.json()["successful"] == true;
            assert!(fine, "{} {}", answer.status, answer.text);
        }
    }
}
