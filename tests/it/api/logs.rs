//! Execution logs and files.

use chrono::{DateTime, Utc};
use patchbay::db::execution_log::{self, ExecutionLogRow};
use patchbay::domain::id::LogId;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::app::TestProject;

const LOGS: &str = "/api/v3.1/logs/tool_execution";
const OLD_LOGS: &str = "/api/v3/internal/action_execution/logs";

fn row(app: &TestApp, project: &TestProject, i: i64) -> ExecutionLogRow {
    let _ = app;
    ExecutionLogRow {
        project_id: project.id.clone(),
        id: LogId::generate(),
        kind: "tool".into(),
        tool_slug: if i % 2 == 0 { "GITHUB_GET_A_REPOSITORY" } else { "SLACK_SEND_MESSAGE" }.into(),
        toolkit_slug: if i % 2 == 0 { "github" } else { "slack" }.into(),
        toolkit_version: "20261101_00".into(),
        user_id: Some(format!("user-{i}")),
        account_id: Some("ca_1".into()),
        auth_config_id: None,
        successful: i != 3,
        provider_status: Some(200),
        error: (i == 3).then(|| "Not Found".into()),
        request: Some(r#"{"owner":"o"}"#.into()),
        response: Some(r#"{"data":{"x":1}}"#.into()),
        duration_us: 1500,
        provider_us: 1000,
        request_id: "req_1".into(),
        created_at: DateTime::<Utc>::from_timestamp(1_800_000_000 + i / 2, 0).unwrap(),
    }
}

/// Eight rows, two of each second, oldest first.
async fn filled(app: &TestApp) -> Vec<ExecutionLogRow> {
    let rows: Vec<_> = (0..8).map(|i| row(app, &app.project, i)).collect();
    execution_log::insert_batch(&app.app.db, &rows).await.unwrap();
    rows
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|l| l["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn logs_page_newest_first_in_both_shapes() {
    let app = TestApp::new().await;
    let rows = filled(&app).await;
    let mut expected: Vec<_> = rows.iter().map(|r| (r.created_at, r.id.to_string())).collect();
    expected.sort_by(|a, b| b.cmp(a));
    let expected: Vec<String> = expected.into_iter().map(|(_, id)| id).collect();
    for limit in [1, 3, 100] {
        let mut seen = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let body = json!({"limit": limit, "cursor": cursor});
            let page = app.client().post(LOGS, body).await.expect(200);
            seen.extend(ids(&page["logs"]));
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen, expected, "{limit}");
    }
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let body = json!({"limit": 3, "cursor": cursor});
        let page = app.client().post(OLD_LOGS, body).await.expect(200);
        seen.extend(ids(&page["data"]));
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn logs_can_be_filtered() {
    let app = TestApp::new().await;
    let rows = filled(&app).await;
    let count = |field: &'static str, operator: &'static str, value: String| {
        let client = app.client();
        async move {
            let filter = json!({"field": field, "operator": operator, "value": value});
            let page = client.post(LOGS, json!({"filters": [filter]})).await.expect(200);
            page["logs"].as_array().unwrap().len()
        }
    };
    assert_eq!(count("toolkit_slug", "==", "github".into()).await, 4);
    assert_eq!(count("toolkit_slug", "!=", "github".into()).await, 4);
    assert_eq!(count("tool_slug", "contains", "SEND".into()).await, 4);
    assert_eq!(count("tool_slug", "contains", "S%_".into()).await, 0);
    assert_eq!(count("tool_slug", "not_contains", "SEND".into()).await, 4);
    assert_eq!(count("status", "==", "failed".into()).await, 1);
    assert_eq!(count("status", "!=", "failed".into()).await, 7);
    assert_eq!(count("log_id", "==", rows[0].id.to_string()).await, 1);
    assert_eq!(count("auth_config_id", "!=", "ac_x".into()).await, 8);
    assert_eq!(count("session_id", "==", "s".into()).await, 0);
    assert_eq!(count("user_id", "==", "'; drop table execution_log; --".into()).await, 0);
    let range = json!({"time_range": {"from": 1_800_000_001_000_i64, "to": 1_800_000_002_000_i64}});
    let page = app.client().post(LOGS, range).await.expect(200);
    assert_eq!(page["logs"].as_array().unwrap().len(), 2);
    let body = json!({"cursor": null, "case_sensitive": false, "search_params": [
        {"field": "actionKey", "operation": "contains", "value": "send"}]});
    let page = app.client().post(OLD_LOGS, body).await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 4);
    for bad in [
        json!({"cursor": "forged"}),
        json!({"limit": "many"}),
        json!({"filters": [{"field": "colour", "operator": "==", "value": "red"}]}),
        json!({"filters": [{"field": "status", "operator": "==", "value": "odd"}]}),
    ] {
        app.client().post(LOGS, bad).await.expect_error(400);
    }
    for absurd in [
        json!({"limit": 1e300}),
        json!({"limit": -5}),
        json!({"time_range": {"from": -1e300, "to": 1e300}}),
    ] {
        app.client().post(LOGS, absurd).await.expect(200);
    }
    app.client().post(OLD_LOGS, json!({"cursor": 1e300})).await.expect_error(400);
}

#[tokio::test]
async fn a_log_shows_request_and_answer_to_its_project_only() {
    let app = TestApp::new().await;
    let rows = filled(&app).await;
    let other = app.another_project().await;
    let id = &rows[3].id;
    let log = app.client().get(&format!("{LOGS}/{id}")).await.expect(200);
    assert_eq!(log["data"]["request"], json!({"owner": "o"}));
    assert_eq!((&log["status"], &log["message"]), (&json!("failed"), &json!("Not Found")));
    assert_eq!(log["context"]["request_id"], "req_1");
    let old = format!("/api/v3/internal/action_execution/log/{id}");
    let log = app.client().get(&old).await.expect(200);
    assert_eq!(log["payloadReceived"], json!({"owner": "o"}));
    assert_eq!((&log["status"], &log["error"]["message"]), (&json!("error"), &json!("Not Found")));
    let stranger = app.client_of(&other);
    stranger.get(&format!("{LOGS}/{id}")).await.expect_error(404);
    stranger.get(&old).await.expect_error(404);
    assert_eq!(stranger.post(LOGS, json!({})).await.expect(200)["logs"], json!([]));
    let fields = app.client().get("/api/v3.1/internal/action_execution/fields").await.expect(200);
    assert!(fields["fields"]["tool"][0]["id"].is_string());
}

#[tokio::test]
async fn a_file_is_served_only_by_its_signed_link_and_never_inline() {
    let app = TestApp::new().await;
    let html = b"<script>alert(1)</script>".to_vec();
    let name = "r\u{e9}port\".html";
    let file = app.app.files.put(&app.project.id, name, "text/html", html).await.unwrap();
    let response = app.anonymous().get(&file.url).await;
    assert_eq!((response.status, response.text.as_str()), (200, "<script>alert(1)</script>"));
    let disposition = response.headers["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename*=UTF-8''r%C3%A9port%22.html");
    assert_eq!(response.headers["x-content-type-options"], "nosniff");
    let (path, query) = file.url.split_once('?').unwrap();
    let (other, _) = path.rsplit_once('/').unwrap();
    for forged in [
        path.to_owned(),
        format!("{path}?{}", query.replace("expires=", "expires=9")),
        format!("{path}?{}00", &query[..query.len() - 2]),
        format!("{path}?{query}zz"),
        format!("{other}/file_other?{query}"),
    ] {
        app.anonymous().get(&forged).await.expect_error(404);
    }
}
