//! Making, reading and deleting sessions; what they let through.

use serde_json::json;

use crate::support::TestApp;

const SESSIONS: &str = "/api/v3.1/tool_router/session";

#[tokio::test]
async fn a_session_lives_until_it_is_deleted_and_only_in_its_project() {
    let app = TestApp::new().await;
    let client = app.client();
    let made = client.post(SESSIONS, json!({"user_id": "ann"})).await.expect(201);
    let id = made["session_id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("trs_"));
    assert_eq!(made["mcp"]["url"], app.url(&format!("/tool_router/{id}/mcp")));
    assert_eq!(made["config"]["user_id"], "ann");
    assert_eq!(made["config_version"], 1);
    for version in ["v3", "v3.1"] {
        let path = format!("/api/{version}/tool_router/session/{id}");
        assert_eq!(client.get(&path).await.expect(200)["session_id"], *id);
    }
    let path = format!("{SESSIONS}/{id}");
    let stranger = app.client_of(&app.another_project().await);
    stranger.get(&path).await.expect_error(404);
    stranger.delete(&path).await.expect_error(404);
    app.anonymous().get(&path).await.expect_error(401);
    let gone = client.delete(&path).await.expect(200);
    assert_eq!(gone, json!({"session_id": id, "deleted": true}));
    client.get(&path).await.expect_error(404);
    client.delete(&path).await.expect_error(404);
    client.post(&format!("{path}/execute"), json!({"tool_slug": "X"})).await.expect_error(404);
}

#[tokio::test]
async fn a_tool_that_the_session_excludes_cannot_be_executed() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann", "toolkits": {"enable": ["text_to_pdf"]}});
    let made = client.post(SESSIONS, body).await.expect(201);
    let path = format!("{SESSIONS}/{}", made["session_id"].as_str().unwrap());
    for route in ["execute", "execute_meta"] {
        let call = json!({"slug": "HACKERNEWS_GET_USER", "arguments": {"username": "pg"}});
        let error = client.post(&format!("{path}/{route}"), call).await.expect_error(403);
        assert_eq!(error["slug"], "ToolRouter_ToolNotAllowed");
        let call = json!({"slug": "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF",
            "arguments": "{\"text\": \"Hello\", \"file_type\": \"txt\"}"});
        let done = client.post(&format!("{path}/{route}"), call).await.expect(200);
        assert_eq!(done["error"], json!(null), "{done}");
        assert_eq!(done["result_type"], "completed");
        assert!(done["log_id"].as_str().unwrap().starts_with("log_"));
    }
}

#[tokio::test]
async fn a_configuration_is_checked_as_a_whole() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann",
        "toolkits": {"disable": ["nope"]},
        "tools": {"github": {"enable": ["GITHUB_NOPE"]}},
        "tags": ["nopeHint"],
        "auth_configs": {"github": "ac_nope"},
        "connected_accounts": {"github": "ca_nope"}});
    let error = client.post(SESSIONS, body).await.expect_error(400);
    assert_eq!(error["errors"].as_array().unwrap().len(), 5, "{error}");
    let body = json!({"user_id": "ann", "tags": {"require_approval": ["destructiveHint"]}});
    client.post(SESSIONS, body).await.expect_error(501);
    client.post(SESSIONS, json!({"user_id": " "})).await.expect_error(400);
}

#[tokio::test]
async fn a_meta_tool_answers_and_is_logged() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann", "tools": {"github": {"tags": ["readOnlyHint"]}}});
    let made = client.post(SESSIONS, body).await.expect(201);
    let path = format!("{SESSIONS}/{}", made["session_id"].as_str().unwrap());
    let call = json!({"slug": "COMPOSIO_GET_TOOL_SCHEMAS", "arguments":
        {"tool_slugs": ["GITHUB_GET_A_REPOSITORY", "GITHUB_CREATE_AN_ISSUE"]}});
    let done = client.post(&format!("{path}/execute"), call).await.expect(200);
    assert!(done["data"]["tool_schemas"]["GITHUB_GET_A_REPOSITORY"]["input_schema"].is_object());
    assert_eq!(done["data"]["not_found"], json!(["GITHUB_CREATE_AN_ISSUE"]));
    let listed = client.get(&format!("{path}/tools")).await.expect(200);
    let slugs: Vec<_> = listed["items"].as_array().unwrap().iter().map(|t| &t["slug"]).collect();
    assert!(slugs.contains(&&json!("COMPOSIO_GET_TOOL_SCHEMAS")), "{listed}");
}
