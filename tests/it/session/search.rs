//! Searching the tools of a session, by the API and by the agent.

use std::collections::BTreeMap;

use patchbay::domain::id::SessionId;
use patchbay::session::{self, memory};
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

const SESSIONS: &str = "/api/v3.1/tool_router/session";

/// Path of a new session.
async fn session(client: &TestClient, body: Value) -> String {
    let made = client.post(SESSIONS, body).await.expect(201);
    format!("{SESSIONS}/{}", made["session_id"].as_str().unwrap())
}

async fn search(client: &TestClient, path: &str, use_cases: &[&str]) -> Value {
    let queries: Vec<Value> = use_cases.iter().map(|text| json!({"use_case": text})).collect();
    client.post(&format!("{path}/search"), json!({"queries": queries})).await.expect(200)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

/// Connects an API key; nobody is asked whether it is good.
async fn connect(client: &TestClient, toolkit: &str, user: &str, alias: &str) -> String {
    let body = json!({"toolkit": {"slug": toolkit},
        "auth_config": {"type": "use_custom_auth", "authScheme": "API_KEY"}});
    let config = client.post("/api/v3/auth_configs", body).await.expect(201);
    let body = json!({"auth_config": {"id": config["auth_config"]["id"]},
        "connection": {"user_id": user, "alias": alias,
            "state": {"authScheme": "API_KEY", "val": {"generic_api_key": "key-123456"}}}});
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    assert_eq!(made["status"], "ACTIVE", "{made}");
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn several_use_cases_get_tools_plan_connections_and_the_time() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann", "experimental":
        {"assistive_prompt_config": {"user_timezone": "Europe/Berlin"}}});
    let path = session(&client, body).await;
    let asked = ["add a comment to a github issue", "send an email with gmail"];
    let answer = search(&client, &path, &asked).await;
    assert_eq!((&answer["success"], &answer["error"]), (&json!(true), &json!(null)));
    let results = answer["results"].as_array().unwrap();
    for (at, (result, asked)) in results.iter().zip(asked).enumerate() {
        assert_eq!(result["index"], at + 1);
        assert_eq!(result["use_case"], asked);
        assert_eq!(result["error"], json!(null));
        assert!(result["difficulty"].is_string() && result["execution_guidance"].is_string());
    }
    let comment = &results[0];
    assert_eq!(texts(&comment["primary_tool_slugs"])[0], "GITHUB_CREATE_AN_ISSUE_COMMENT");
    assert_eq!(texts(&comment["toolkits"]), ["github"]);
    let steps = texts(&comment["recommended_plan_steps"]).join("\n");
    for part in ["COMPOSIO_MANAGE_CONNECTIONS", "`issue_number`", "GITHUB_LIST_REPOSITORY_ISSUES"] {
        assert!(steps.contains(part), "{part}: {steps}");
    }
    let connects = steps.find("COMPOSIO_MANAGE").unwrap();
    let (finds, does) = (steps.find("LIST_REPO").unwrap(), steps.find("Execute GITHUB").unwrap());
    assert!(connects < finds && finds < does, "{steps}");
    assert!(!texts(&comment["known_pitfalls"]).is_empty());
    assert!(texts(&comment["related_tool_slugs"]).contains(&"GITHUB_LIST_REPOSITORY_ISSUES"));
    let schemas = answer["tool_schemas"].as_object().unwrap();
    for result in results {
        for slug in texts(&result["primary_tool_slugs"]) {
            assert!(schemas[slug]["input_schema"].is_object(), "{slug}");
            assert_eq!(schemas[slug]["hasFullSchema"], true);
        }
        for slug in texts(&result["related_tool_slugs"]) {
            if schemas[slug]["hasFullSchema"] == false {
                assert_eq!(schemas[slug]["schemaRef"]["tool"], "COMPOSIO_GET_TOOL_SCHEMAS");
                assert_eq!(texts(&schemas[slug]["schemaRef"]["args"]["tool_slugs"]), [slug]);
            }
        }
    }
    let statuses = answer["toolkit_connection_statuses"].as_array().unwrap();
    assert!(statuses.iter().all(|status| status["has_active_connection"] == false));
    assert!(statuses[0]["status_message"].as_str().unwrap().contains("COMPOSIO_MANAGE"));
    let time = &answer["time_info"];
    assert!(time["current_time_utc_epoch_seconds"].as_i64().unwrap() > 1_700_000_000);
    assert!(time["message"].as_str().unwrap().contains("Europe/Berlin"));
    let task = &answer["session"];
    assert_eq!(task["generate_id"], true);
    let again = json!({"queries": [{"use_case": "send mail"}], "session": {"id": task["id"]}});
    let again = client.post(&format!("{path}/search"), again).await.expect(200);
    assert_eq!(again["session"]["id"], task["id"]);
    assert_eq!(again["session"]["generate_id"], false);
}

#[tokio::test]
async fn the_agent_gets_the_same_by_its_meta_tool() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    let body = json!({"queries": [{"use_case": "create a github issue"}], "session": {"id": "t1"},
        "model": "some-model", "search_strategy": "auto"});
    let by_api = client.post(&format!("{path}/search"), body).await.expect(200);
    for arguments in [
        json!({"queries": [{"use_case": "create a github issue"}], "session": {"id": "t1"}}),
        json!({"use_case": "create a github issue", "session": {"id": "t1"}}),
        json!("{\"queries\": [\"create a github issue\"], \"session\": {\"id\": \"t1\"}}"),
    ] {
        let call = json!({"slug": "COMPOSIO_SEARCH_TOOLS", "arguments": arguments});
        let done = client.post(&format!("{path}/execute_meta"), call).await.expect(200);
        assert_eq!(done["error"], json!(null));
        for key in ["results", "tool_schemas", "toolkit_connection_statuses", "session", "success"]
        {
            assert_eq!(done["data"][key], by_api[key], "{key}");
        }
    }
}

#[tokio::test]
async fn the_agent_finds_what_it_misspells_and_the_app_that_it_names() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    for (wish, slug, toolkit) in [
        ("crate an isue in githb", "GITHUB_CREATE_AN_ISSUE", "github"),
        ("make a ticket in linear", "LINEAR_CREATE_LINEAR_ISSUE", "linear"),
        ("make a ticket in jira", "JIRA_CREATE_ISSUE", "jira"),
        ("send a mesage to a slack channel", "SLACK_SEND_MESSAGE", "slack"),
    ] {
        let call = json!({"slug": "COMPOSIO_SEARCH_TOOLS",
            "arguments": {"queries": [{"use_case": wish}]}});
        let done = client.post(&format!("{path}/execute_meta"), call).await.expect(200);
        let result = &done["data"]["results"][0];
        let found = texts(&result["primary_tool_slugs"]);
        assert!(found.contains(&slug), "{wish}: {found:?}");
        assert_eq!(texts(&result["toolkits"]), [toolkit], "{wish}: {found:?}");
    }
}

#[tokio::test]
async fn only_what_the_session_allows_is_found_or_mentioned() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann", "toolkits": {"enable": ["github", "linear"]},
        "tools": {"github": {"disable": ["GITHUB_CREATE_AN_ISSUE", "GITHUB_LIST_REPOSITORY_ISSUES"]}},
        "tags": {"disable": ["destructiveHint"]}});
    let path = session(&client, body).await;
    let asked = [
        "create an issue in jira",
        "comment on an issue",
        "create a github issue",
        "delete an issue in linear",
        "send a slack message",
    ];
    let answer = search(&client, &path, &asked).await;
    let text = answer.to_string();
    for hidden in ["JIRA_", "SLACK_", "GMAIL_", "LINEAR_DELETE_LINEAR_ISSUE"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    for result in answer["results"].as_array().unwrap() {
        for list in ["primary_tool_slugs", "related_tool_slugs", "recommended_plan_steps"] {
            for item in result.get(list).and_then(Value::as_array).into_iter().flatten() {
                let item = item.as_str().unwrap();
                for slug in ["GITHUB_CREATE_AN_ISSUE", "GITHUB_LIST_REPOSITORY_ISSUES"] {
                    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    assert!(item.split(|c| !word(c)).all(|w| w != slug), "{list}: {item}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_says_what_to_do() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    let answer = search(&client, &path, &["zzzzqqqq wwwwxxxx"]).await;
    assert_eq!(answer["success"], false);
    assert!(answer["error"].is_string() && answer["results"][0]["error"].is_string());
    assert_eq!(answer["tool_schemas"], json!({}));
    assert!(texts(&answer["next_steps_guidance"])[0].contains("COMPOSIO_LIST_TOOLKITS"));
    let answer = search(&client, &path, &["zzzzqqqq", "create a github issue"]).await;
    assert_eq!(answer["success"], true);
    assert!(answer["results"][0]["error"].is_string());
}

#[tokio::test]
async fn a_search_that_cannot_be_is_refused_by_both_doors() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    let one = |text: String| json!([{"use_case": text}]);
    for queries in [
        json!([]),
        one(" ".into()),
        one("x".repeat(1025)),
        json!([{"use_case": "x", "known_fields": "y".repeat(501)}]),
        Value::Array(vec![json!({"use_case": "x"}); 11]),
        json!([{"known_fields": "x"}]),
        json!([7]),
    ] {
        let body = json!({"queries": queries});
        client.post(&format!("{path}/search"), body.clone()).await.expect_error(400);
        let call = json!({"slug": "COMPOSIO_SEARCH_TOOLS", "arguments": body});
        let error = client.post(&format!("{path}/execute"), call).await.expect_error(400);
        assert!(!error["errors"].as_array().unwrap().is_empty(), "{error}");
    }
    for body in
        [json!({}), json!([]), json!({"queries": [{"use_case": "x"}], "search_strategy": "magic"})]
    {
        client.post(&format!("{path}/search"), body).await.expect_error(400);
    }
    let off = session(&client, json!({"user_id": "ann", "search": {"enable": false}})).await;
    let body = json!({"queries": [{"use_case": "x"}]});
    client.post(&format!("{off}/search"), body.clone()).await.expect_error(403);
    app.client_of(&app.another_project().await)
        .post(&format!("{path}/search"), body.clone())
        .await
        .expect_error(404);
    app.anonymous().post(&format!("{path}/search"), body).await.expect_error(401);
}

#[tokio::test]
async fn connections_are_those_of_the_sessions_user_in_its_project() {
    let app = TestApp::new().await;
    let client = app.client();
    let (own, bobs) = (
        connect(&client, "perplexityai", "ann", "work").await,
        connect(&client, "perplexityai", "bob", "home").await,
    );
    let stranger = app.client_of(&app.another_project().await);
    let strangers = connect(&stranger, "perplexityai", "ann", "theirs").await;
    let path = session(&client, json!({"user_id": "ann"})).await;
    let answer = search(&client, &path, &["ask perplexity a question"]).await;
    let status = &answer["toolkit_connection_statuses"][0];
    assert_eq!(status["toolkit"], "perplexityai");
    assert_eq!(status["has_active_connection"], true);
    let accounts = status["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!((&accounts[0]["id"], &accounts[0]["alias"]), (&json!(own), &json!("work")));
    assert_eq!(accounts[0]["is_default"], true);
    assert!(!answer.to_string().contains(&bobs) && !answer.to_string().contains(&strangers));
    assert!(!answer.to_string().contains("key-123456"));
    let steps = texts(&answer["results"][0]["recommended_plan_steps"]).join("\n");
    assert!(!steps.contains("COMPOSIO_MANAGE_CONNECTIONS"), "{steps}");
    let second = connect(&client, "perplexityai", "ann", "second").await;
    let body = json!({"user_id": "ann", "connected_accounts": {"perplexityai": own}});
    let pinned = session(&client, body).await;
    for (path, default) in [(&path, &second), (&pinned, &own)] {
        let answer = search(&client, path, &["ask perplexity a question"]).await;
        let status = &answer["toolkit_connection_statuses"][0];
        let accounts = status["accounts"].as_array().unwrap();
        assert_eq!(accounts.len(), 2, "{status}");
        assert_eq!(accounts[0]["id"], **default, "{status}");
        assert_eq!(
            (&accounts[0]["is_default"], &accounts[1]["is_default"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(status["connection_details"]["connected_account_id"], **default);
    }
}

#[tokio::test]
async fn what_was_noted_comes_back_in_the_same_session_alone() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    let other = session(&client, json!({"user_id": "ann"})).await;
    let id = SessionId::from(path.rsplit('/').next().unwrap());
    let own = session::find(&app.app, &app.project.id, &id).await.unwrap();
    let entries = BTreeMap::from([
        ("slack".to_owned(), vec!["Channel general has the id C1".to_owned()]),
        ("github".to_owned(), vec!["The repository is octocat/hello".to_owned()]),
    ]);
    memory::add(&app.app, &own, entries).await.unwrap();
    let answer = search(&client, &path, &["post a message to a slack channel"]).await;
    let memory = &answer["results"][0]["memory"];
    assert_eq!(memory, &json!({"slack": ["Channel general has the id C1"]}));
    let answer = search(&client, &other, &["post a message to a slack channel"]).await;
    assert!(!answer.to_string().contains("C1"), "{answer}");
    assert!(answer["results"][0].get("memory").is_none());
}

#[tokio::test]
async fn schemas_beyond_the_budget_are_left_to_another_call() {
    let app = TestApp::with(&[("PATCHBAY_SEARCH_SCHEMA_CHARS", "2000")]).await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    let answer =
        search(&client, &path, &["create a github pull request", "send a slack message"]).await;
    let schemas = answer["tool_schemas"].as_object().unwrap();
    let full: usize = schemas
        .values()
        .filter_map(|shown| shown.get("input_schema"))
        .map(|schema| schema.to_string().len())
        .sum();
    assert!(full <= 2000);
    assert!(schemas.values().any(|shown| shown["schemaRef"].is_object()));
    let guidance = texts(&answer["next_steps_guidance"]).join("\n");
    assert!(guidance.contains("COMPOSIO_GET_TOOL_SCHEMAS"), "{guidance}");
}

#[tokio::test]
async fn tools_of_the_callers_own_take_part() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    let experimental = json!({
        "custom_tools": [
            {"slug": "LOOKUP_ORDER", "name": "Look up an order", "description": "Finds an order of the shop by its number.",
             "input_schema": {"type": "object", "properties": {"order_number": {"type": "string", "description": "Number of the order."}}, "required": ["order_number"]}},
            {"slug": "STAR_CHART", "name": "Star chart", "description": "Draws a chart of the stars of a github repository.",
             "extends_toolkit": "github", "input_schema": {"type": "object", "properties": {}}}],
        "custom_toolkits": [{"slug": "WAREHOUSE", "name": "Warehouse", "description": "What is in stock.", "tools": [
            {"slug": "COUNT_STOCK", "name": "Count the stock", "description": "Counts the articles in the warehouse.",
             "input_schema": {"type": "object", "properties": {}}}]}]});
    let body = json!({"experimental": experimental, "queries": [
        {"use_case": "look up the order of a customer"}, {"use_case": "chart of the stars of a github repository"},
        {"use_case": "count the articles in stock in the warehouse"}]});
    let answer = client.post(&format!("{path}/search"), body).await.expect(200);
    let first = |at: usize| texts(&answer["results"][at]["primary_tool_slugs"])[0];
    assert_eq!(first(0), "LOCAL_LOOKUP_ORDER");
    assert_eq!(first(1), "LOCAL_GITHUB_STAR_CHART");
    assert_eq!(first(2), "LOCAL_WAREHOUSE_COUNT_STOCK");
    let schema = &answer["tool_schemas"]["LOCAL_LOOKUP_ORDER"];
    assert_eq!(schema["input_schema"]["required"], json!(["order_number"]));
    let statuses = answer["toolkit_connection_statuses"].as_array().unwrap();
    let status = |toolkit: &str| statuses.iter().find(|s| s["toolkit"] == toolkit).unwrap();
    assert_eq!(status("WAREHOUSE")["has_active_connection"], true);
    assert_eq!(status("github")["has_active_connection"], false);
    let without = search(&client, &path, &["look up the order of a customer"]).await;
    assert!(!without.to_string().contains("LOCAL_"));
}

#[tokio::test]
async fn a_use_case_about_several_apps_gets_tools_and_steps_for_each() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, json!({"user_id": "ann"})).await;
    for (asked, wanted) in [
        (
            "file a bug on GitHub and tell the team on Slack",
            ["GITHUB_CREATE_AN_ISSUE", "SLACK_SEND_MESSAGE"].as_slice(),
        ),
        (
            "post in the #dev channel of slack, then create a linear issue",
            &["SLACK_SEND_MESSAGE", "LINEAR_CREATE_LINEAR_ISSUE"],
        ),
        (
            "find the newest mail in Gmail, add an event to Google Calendar and write it on a Notion page",
            &["GMAIL_FETCH_EMAILS", "GOOGLECALENDAR_CREATE_EVENT", "NOTION_"],
        ),
    ] {
        let answer = search(&client, &path, &[asked]).await;
        let result = &answer["results"][0];
        let main = texts(&result["primary_tool_slugs"]);
        let toolkits = texts(&result["toolkits"]);
        assert_eq!(toolkits.len(), wanted.len(), "{asked}: {main:?}");
        let steps = texts(&result["recommended_plan_steps"]).join("\n");
        let mut last = 0;
        for (slug, toolkit) in wanted.iter().zip(&toolkits) {
            assert!(main.iter().any(|main| main.starts_with(slug)), "{asked}: {main:?}");
            let connect = format!("with toolkits [\"{toolkit}\"]");
            let connects = steps.find(&connect).unwrap_or_else(|| panic!("{connect}: {steps}"));
            let does = steps.find(&format!("Execute {slug}")).unwrap_or_else(|| panic!("{steps}"));
            assert!(last < connects + 1 && connects < does, "{steps}");
            last = does;
        }
        let statuses = answer["toolkit_connection_statuses"].as_array().unwrap();
        assert_eq!(statuses.len(), wanted.len(), "{statuses:?}");
        for slug in &main {
            assert!(answer["tool_schemas"][slug].is_object(), "{slug}");
        }
        assert_ne!(result["difficulty"], "easy");
    }
    // What is only mentioned is not meant, and what the session lacks is left out.
    let answer = search(&client, &path, &["send a slack message about the github outage"]).await;
    let main = texts(&answer["results"][0]["primary_tool_slugs"]);
    assert_eq!(main[0], "SLACK_SEND_MESSAGE", "{main:?}");
    let only = session(&client, json!({"user_id": "ann", "toolkits": ["slack"]})).await;
    let answer = search(&client, &only, &["file a bug on GitHub and tell the team on Slack"]).await;
    assert_eq!(texts(&answer["results"][0]["toolkits"]), ["slack"]);
    assert!(!answer.to_string().contains("GITHUB_"), "{answer}");
}
