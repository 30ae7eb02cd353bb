//! Several changes at once, on several replicas, and the history that they leave.

use serde_json::{Value, json};

use super::{column, session};
use crate::support::TestApp;

#[tokio::test]
async fn a_stale_version_is_a_conflict_and_changes_nothing() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, "ann", json!({})).await;
    let body = json!({"expected_config_version": 1, "toolkits": ["gmail"]});
    assert_eq!(client.patch(&path, body.clone()).await.expect(200)["config_version"], 2);
    let error = client.patch(&path, body).await.expect_error(409);
    assert_eq!(error["slug"], "ToolRouter_SessionConfigConflict");
    assert!(error["message"].as_str().unwrap().ends_with("its version is 2"), "{error}");
    let body = json!({"expected_config_version": "2", "toolkits": null});
    client.patch(&path, body).await.expect_error(400);
    assert_eq!(client.get(&path).await.expect(200)["config_version"], 2);
}

#[tokio::test]
async fn of_two_changes_at_once_on_two_replicas_none_is_lost() {
    let app = TestApp::new().await;
    let (_state, there) = app.another_server().await;
    let replicas = [app.client(), there];
    let path = session(&replicas[0], "ann", json!({})).await;
    for round in 0..5 {
        let changes = [json!({"toolkits": ["gmail"]}), json!({"tags": ["readOnlyHint"]})];
        let [first, second] = changes;
        let (one, other) =
            tokio::join!(replicas[0].patch(&path, first), replicas[1].patch(&path, second));
        one.expect(200);
        other.expect(200);
        let now = replicas[round % 2].get(&path).await.expect(200);
        assert_eq!(now["config"]["toolkits"], json!({"enabled": ["gmail"]}));
        assert_eq!(now["config"]["tags"], json!({"enabled": ["readOnlyHint"]}));
        let back = json!({"toolkits": null, "tags": null});
        replicas[0].patch(&path, back).await.expect(200);
    }
    // Of two that expect the same version, one is made.
    let version = replicas[0].get(&path).await.expect(200)["config_version"].clone();
    let body = json!({"expected_config_version": version, "toolkits": ["gmail"]});
    let (one, other) =
        tokio::join!(replicas[0].patch(&path, body.clone()), replicas[1].patch(&path, body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn other_replicas_see_a_change_and_a_deletion() {
    let app = TestApp::new().await;
    let (_state, there) = app.another_server().await;
    let here = app.client();
    let path = session(&here, "ann", json!({})).await;
    let shown = async || there.get(&path).await;
    assert_eq!(shown().await.expect(200)["config_version"], 1);
    here.patch(&path, json!({"toolkits": {"enable": ["text_to_pdf"]}})).await.expect(200);
    until(async || shown().await.expect(200)["config_version"] == 2).await;
    let call = json!({"slug": "HACKERNEWS_GET_USER", "arguments": {"username": "pg"}});
    there.post(&format!("{path}/execute"), call).await.expect_error(403);
    here.delete(&path).await.expect(200);
    until(async || shown().await.status == 404).await;
    there.patch(&path, json!({"toolkits": null})).await.expect_error(404);
}

/// A notification takes milliseconds, and an entry of a cache lives for 30 seconds.
async fn until(done: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if done().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("never seen");
}

#[tokio::test]
async fn the_history_has_every_version_newest_first() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, "ann", json!({"toolkits": ["gmail"]})).await;
    for toolkit in ["github", "slack", "linear"] {
        client.patch(&path, json!({"toolkits": [toolkit]})).await.expect(200);
    }
    let history = async |query: &str| -> Value {
        client.get(&format!("{path}/config_history{query}")).await.expect(200)
    };
    let all = history("").await;
    let versions: Vec<i64> =
        all["items"].as_array().unwrap().iter().map(|v| v["version"].as_i64().unwrap()).collect();
    assert_eq!(versions, [4, 3, 2, 1]);
    assert_eq!(all["items"][0]["is_current"], true);
    assert_eq!(all["items"][1]["is_current"], false);
    assert_eq!(all["items"][3]["config"]["toolkits"], json!({"enabled": ["gmail"]}));
    assert_eq!(all["items"][3]["config"]["user_id"], "ann");
    // A version of the past is dated by its end: when the next one began.
    let dates = column(&all, "created_at");
    assert_eq!(dates[0], dates[1]);
    assert!(dates[3] <= dates[2] && dates[2] <= dates[1]);
    let first = history("?limit=3").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = history(&format!("?cursor={cursor}")).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["items"][0]["is_current"], false);
    assert_eq!(second["items"][0]["created_at"], all["items"][3]["created_at"]);
    assert_eq!(second["next_cursor"], json!(null));
    assert_eq!(second["total_items"], 4);
    client.get(&format!("{path}/config_history?cursor=x")).await.expect_error(400);
    let stranger = app.client_of(&app.another_project().await);
    stranger.get(&format!("{path}/config_history")).await.expect_error(404);
}
