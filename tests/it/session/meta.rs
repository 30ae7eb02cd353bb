//! Meta tools that describe: schemas of tools, and the toolkits of a session.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

const SESSIONS: &str = "/api/v3.1/tool_router/session";

async fn run(client: &TestClient, config: Value, slug: &str, arguments: Value) -> Value {
    let made = client.post(SESSIONS, config).await.expect(201);
    let path = format!("{SESSIONS}/{}/execute", made["session_id"].as_str().unwrap());
    client.post(&path, json!({"tool_slug": slug, "arguments": arguments})).await.expect(200)
}

#[tokio::test]
async fn schemas_are_given_whole_and_unknown_tools_get_their_nearest() {
    let app = TestApp::new().await;
    let client = app.client();
    let config = json!({"user_id": "ann", "toolkits": {"disable": ["jira"]}});
    let arguments = json!({"tool_slugs": ["github_create_an_issue", "GITHUB_MAKE_ISSUE", "JIRA_CREATE_ISSUE",
        "COMPOSIO_SEARCH_TOOLS"], "include": ["input_schema", "output_schema"]});
    let done = run(&client, config.clone(), "COMPOSIO_GET_TOOL_SCHEMAS", arguments).await;
    let data = &done["data"];
    let issue = &data["tool_schemas"]["github_create_an_issue"];
    assert_eq!(issue["tool_slug"], "GITHUB_CREATE_AN_ISSUE");
    assert!(issue["input_schema"]["properties"]["title"].is_object());
    assert!(issue["output_schema"]["properties"]["data"].is_object());
    assert!(data["tool_schemas"]["COMPOSIO_SEARCH_TOOLS"]["input_schema"].is_object());
    assert_eq!(data["not_found"], json!(["GITHUB_MAKE_ISSUE", "JIRA_CREATE_ISSUE"]));
    let near = data["did_you_mean"]["GITHUB_MAKE_ISSUE"].as_array().unwrap();
    assert!(near.contains(&json!("GITHUB_CREATE_AN_ISSUE")), "{near:?}");
    assert!(!data["did_you_mean"].to_string().contains("\"JIRA_CREATE_ISSUE\",\"JIRA"));
    for list in data["did_you_mean"].as_object().unwrap().values() {
        assert!(list.as_array().unwrap().iter().all(|s| !s.as_str().unwrap().starts_with("JIRA_")));
    }
    for lenient in [json!("GITHUB_CREATE_AN_ISSUE"), json!("[\"GITHUB_CREATE_AN_ISSUE\"]")] {
        let arguments = json!({"tool_slugs": lenient});
        let done = run(&client, config.clone(), "COMPOSIO_GET_TOOL_SCHEMAS", arguments).await;
        assert_eq!(done["error"], json!(null), "{done}");
    }
    let made = client.post(SESSIONS, config).await.expect(201);
    let path = format!("{SESSIONS}/{}/execute", made["session_id"].as_str().unwrap());
    for wrong in [
        json!({}),
        json!({"tool_slugs": []}),
        json!({"tool_slugs": [1]}),
        json!({"tool_slugs": vec!["X"; 21]}),
        json!({"tool_slugs": ["X"], "include": ["all"]}),
    ] {
        let call = json!({"tool_slug": "COMPOSIO_GET_TOOL_SCHEMAS", "arguments": wrong});
        client.post(&path, call).await.expect_error(400);
    }
}

#[tokio::test]
async fn toolkits_are_listed_by_name_category_and_connection() {
    let app = TestApp::new().await;
    let client = app.client();
    let list = async |config: Value, arguments: Value| {
        let done = run(&client, config, "COMPOSIO_LIST_TOOLKITS", arguments).await;
        assert_eq!(done["error"], json!(null), "{done}");
        let toolkits = done["data"]["toolkits"].as_array().unwrap().clone();
        assert!(toolkits.iter().all(|t| t["tools_count"].as_u64().unwrap() > 0));
        let slugs: Vec<String> =
            toolkits.iter().map(|t| t["slug"].as_str().unwrap().to_owned()).collect();
        (slugs, done["data"]["total"].as_u64().unwrap())
    };
    let config = json!({"user_id": "ann", "toolkits": {"disable": ["slack"]}});
    let (all, total) = list(config.clone(), json!({"size": 50})).await;
    // A list has at most fifty, and says how many there are.
    assert!(all.len() == 50 && total > 50, "{} of {total}", all.len());
    assert!(all.contains(&"github".to_owned()) && !all.contains(&"slack".to_owned()));
    let (some, same) = list(config.clone(), json!({"size": 2})).await;
    assert_eq!((some.len(), same), (2, total));
    let (found, _) = list(config.clone(), json!({"name_filter": "calendar"})).await;
    assert_eq!(found[0], "googlecalendar");
    let (found, _) = list(config.clone(), json!({"category": "developer tools"})).await;
    assert!(
        found.contains(&"github".to_owned()) && !found.contains(&"gmail".to_owned()),
        "{found:?}"
    );
    let (open, _) = list(config.clone(), json!({"connected_only": true})).await;
    assert!(open.contains(&"hackernews".to_owned()) && !open.contains(&"github".to_owned()));
    let made = client.post(SESSIONS, config).await.expect(201);
    let path = format!("{SESSIONS}/{}/execute", made["session_id"].as_str().unwrap());
    for wrong in [json!({"size": 0}), json!({"size": 51}), json!({"size": "many"})] {
        let call = json!({"tool_slug": "COMPOSIO_LIST_TOOLKITS", "arguments": wrong});
        client.post(&path, call).await.expect_error(400);
    }
}
