//! Several tools in one call.

use patchbay::db::execution_log;
use serde_json::{Value, json};

use super::world::{Agent, World};

const MULTI: &str = "COMPOSIO_MULTI_EXECUTE_TOOL";

async fn world() -> (World, Agent) {
    let world = World::new().await;
    world.account("ann", "key-ann", 1, |_| {}).await;
    let agent = world.agent("ann", json!({})).await;
    (world, agent)
}

fn results(answer: &Value) -> &Vec<Value> {
    answer["data"]["results"].as_array().unwrap()
}

#[tokio::test]
async fn twenty_tools_run_at_once_and_their_results_keep_the_order() {
    let (_world, agent) = world().await;
    // The provider answers nobody before all twenty are there.
    let tool = |_| json!({"tool_slug": "MOCS_TOGETHER", "arguments": {"count": 20}});
    let tools: Vec<Value> = (0..20).map(tool).collect();
    let data = agent.run(MULTI, json!({"tools": tools})).await;
    assert_eq!(data["total_count"], 20);
    assert_eq!((&data["success_count"], &data["error_count"]), (&json!(20), &json!(0)));
    let rows = |count| json!({"tool_slug": "MOCS_ROWS", "arguments": {"count": count}});
    let tools: Vec<Value> = (0..8).map(rows).collect();
    let data = agent.run(MULTI, json!({"tools": tools})).await;
    for (index, result) in data["results"].as_array().unwrap().iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["tool_slug"], "MOCS_ROWS");
        assert_eq!(result["response"]["successful"], true);
        assert_eq!(result["response"]["data"]["rows"].as_array().unwrap().len(), index);
        assert!(result.get("error").is_none(), "{result}");
    }
}

#[tokio::test]
async fn one_that_fails_or_never_answers_takes_nothing_from_the_others() {
    let world =
        World::with(&[("PATCHBAY_OUTBOUND_TIMEOUT_S", "2"), ("PATCHBAY_REFRESH_CLAIM_S", "30")])
            .await;
    world.account("ann", "key-ann", 1, |_| {}).await;
    let agent = world.agent("ann", json!({"tools": {"mocs": {"disable": ["MOCS_WRITE"]}}})).await;
    let tools = json!([
        {"tool_slug": "MOCS_NEVER", "arguments": {}},
        {"tool_slug": "MOCS_ROWS", "arguments": "{\"count\": 2}"},
        {"tool_slug": "MOCS_WRITE", "arguments": {}},
        {"tool_slug": "NO_SUCH_TOOL", "arguments": {}},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": "many"}},
        {"tool_slug": "MOCS_ROWS", "arguments": "no json"},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": 1}, "account": "ca_never"},
        {"tool_slug": MULTI, "arguments": {"tools": []}},
        {"tool_slug": "COMPOSIO_MANAGE_CONNECTIONS", "arguments": {}},
        {"tool_slug": "LOCAL_MY_TOOL", "arguments": {}},
        {"arguments": {}},
        "MOCS_ROWS",
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": 2}},
    ]);
    for route in ["execute", "execute_meta"] {
        let body = json!({"slug": MULTI, "arguments": {"tools": tools}});
        let answer = agent.post(route, body).await.expect(200);
        let results = results(&answer);
        assert_eq!(results.len(), 13);
        for (index, result) in results.iter().enumerate() {
            let fine = index == 1 || index == 12;
            assert_eq!(result["response"]["successful"], fine, "{result}");
            assert_eq!(result["error"].is_string(), !fine, "{result}");
            assert_eq!(result["error"], result["response"]["error"]);
        }
        assert_eq!(results[1]["response"]["data"], results[12]["response"]["data"]);
        assert!(results[9]["error"].as_str().unwrap().contains("LOCAL_MY_TOOL"));
        assert_eq!(answer["error"], "11 out of 13 tools failed");
        assert_eq!(answer["data"]["error_count"], 11);
    }
}

#[tokio::test]
async fn arguments_come_as_text_where_a_framework_leaves_no_room_for_them() {
    let (_world, agent) = world().await;
    let tools = json!([
        {"tool_slug": "MOCS_ROWS", "arguments": {}, "arguments_json": "{\"count\": 2}"},
        {"tool_slug": "MOCS_ROWS", "arguments_json": "{\"count\": 2}"},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": 2}, "arguments_json": ""},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": 2}, "arguments_json": "{\"count\": 3}"},
        {"tool_slug": "MOCS_ROWS", "arguments": {}, "arguments_json": "[2]"},
    ]);
    let answer = agent.execute(MULTI, json!({"tools": tools})).await.expect(200);
    let results = results(&answer);
    for result in &results[..4] {
        assert_eq!(result["response"]["successful"], true, "{result}");
        assert_eq!(result["response"]["data"], results[0]["response"]["data"]);
    }
    assert_eq!(results[4]["response"]["successful"], false);
}

#[tokio::test]
async fn a_call_has_one_to_twenty_tools() {
    let (world, agent) = world().await;
    let tool = json!({"tool_slug": "MOCS_ROWS", "arguments": {"count": 1}});
    for tools in [json!([]), json!(vec![tool.clone(); 21]), json!("MOCS_ROWS"), json!(null)] {
        let error = agent.execute(MULTI, json!({"tools": tools})).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().starts_with("tools"), "{error}");
    }
    agent.execute(MULTI, json!({})).await.expect_error(400);
    assert!(world.provider.seen().is_empty());
    // Everything that models send along, also in a form that nobody asked for.
    let body = json!({"tools": [tool], "thought": "t", "current_step": "S", "session_id": "x",
        "memory": {"mocs": ["Row 1 is the first", 5], "slack": "one", "x": {}}, "sync_response_to_workbench": true, "current_step_metric": "0/1"});
    agent.run(MULTI, body).await;
    let id = agent.path.rsplit('/').next().unwrap();
    let app = &world.app.app;
    let session = patchbay::session::find(app, &world.app.project.id, &id.into()).await.unwrap();
    let noted = patchbay::session::memory::all(app, &session).await.unwrap();
    assert_eq!(noted["mocs"], ["Row 1 is the first"]);
    let agent = world.agent("ann", json!({"execute": {"enable_multi_execute": false}})).await;
    agent.execute(MULTI, json!({"tools": [tool]})).await.expect_error(403);
}

#[tokio::test]
async fn every_tool_has_its_own_log_row() {
    let (world, agent) = world().await;
    let tools = json!([
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": 1}},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": "x"}},
    ]);
    agent.execute(MULTI, json!({"tools": tools})).await.expect(200);
    let filter = execution_log::Filter::default();
    let rows =
        execution_log::list(&world.app.app.db, &world.app.project.id, &filter, 10).await.unwrap();
    let mut found: Vec<(&str, bool)> =
        rows.iter().map(|row| (row.tool_slug.as_str(), row.successful)).collect();
    found.sort_unstable();
    assert_eq!(found, [(MULTI, false), ("MOCS_ROWS", false), ("MOCS_ROWS", true)]);
}

#[tokio::test]
async fn large_results_become_files_and_small_ones_stay() {
    let (world, agent) = world().await;
    let rows = |count| json!({"tool_slug": "MOCS_ROWS", "arguments": {"count": count}});
    let tools = json!([rows(1), rows(2000), rows(500), rows(3)]);
    let answer = agent.execute(MULTI, json!({"tools": tools})).await;
    assert!(answer.text.len() < 22_000, "{}", answer.text.len());
    let answer = answer.expect(200);
    let results = results(&answer);
    for (index, count) in [(0, 1), (3, 3)] {
        let response = &results[index]["response"];
        assert_eq!(response["data"]["rows"].as_array().unwrap().len(), count);
        assert!(response.get("full_result").is_none());
    }
    for (index, count) in [(1, 2000), (2, 500)] {
        let response = &results[index]["response"];
        assert_eq!(response["data"]["rows"][0]["id"], 0);
        let last = response["data"]["rows"].as_array().unwrap().last().unwrap().as_str().unwrap();
        assert!(last.ends_with(&format!("more of {count} items")), "{last}");
        let url = response["full_result"]["url"].as_str().unwrap();
        let whole = world.app.anonymous().get(url).await.expect(200);
        assert_eq!(whole["rows"].as_array().unwrap().len(), count);
        // The link opens this project's file and no other's.
        let other = world.app.another_project().await;
        let forged = url.replace(world.app.project.id.as_str(), other.id.as_str());
        world.app.anonymous().get(&forged).await.expect_error(404);
    }
    // The session's own threshold.
    let config = json!({"workbench": {"auto_offload_threshold": 1_000_000}});
    let agent = world.agent("ann", config).await;
    let data = agent.run(MULTI, json!({"tools": [rows(1000)]})).await;
    assert_eq!(data["results"][0]["response"]["data"]["rows"].as_array().unwrap().len(), 1000);
    let agent = world.agent("ann", json!({"workbench": {"auto_offload_threshold": 1}})).await;
    let data = agent.run(MULTI, json!({"tools": [rows(100)]})).await;
    assert!(data["results"][0]["response"]["full_result"]["url"].is_string());
}

#[tokio::test]
async fn twenty_large_results_fit_together() {
    let (_world, agent) = world().await;
    let rows = json!({"tool_slug": "MOCS_ROWS", "arguments": {"count": 500}});
    let answer = agent.execute(MULTI, json!({"tools": vec![rows; 20]})).await;
    assert!(answer.text.len() < 22_500, "{}", answer.text.len());
    for result in results(&answer.expect(200)) {
        assert!(result["response"]["full_result"]["url"].is_string(), "{result}");
        assert!(result["response"]["data"].is_object(), "{result}");
    }
}

#[tokio::test]
async fn one_large_result_is_cut_only_where_that_is_asked_for() {
    let (world, agent) = world().await;
    let call = |offload: Value| {
        json!({"tool_slug": "MOCS_ROWS", "arguments": {"count": 500},
            "enable_auto_workbench_offload": offload})
    };
    for off in [json!(null), json!(false)] {
        let answer = agent.post("execute", call(off)).await.expect(200);
        assert_eq!(answer["data"]["rows"].as_array().unwrap().len(), 500);
    }
    let answer = agent.post("execute", call(json!(true))).await;
    assert!(answer.text.len() < 21_000, "{}", answer.text.len());
    let data = answer.expect(200)["data"].clone();
    let url = data["full_result"]["url"].as_str().unwrap();
    let whole = world.app.anonymous().get(url).await.expect(200);
    assert_eq!(whole["rows"].as_array().unwrap().len(), 500);
    assert_eq!(data["rows"][0], whole["rows"][0]);
    let agent = world.agent("ann", json!({"workbench": {"enable": false}})).await;
    let answer = agent.post("execute", call(json!(true))).await.expect(200);
    assert_eq!(answer["data"]["rows"].as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn a_call_that_is_abandoned_leaves_a_log_row_of_every_tool() {
    let (world, agent) = world().await;
    let app = &world.app.app;
    let id = agent.path.rsplit('/').next().unwrap();
    let project = &world.app.project.id;
    let session = patchbay::session::find(app, project, &id.into()).await.unwrap();
    let row = patchbay::db::project::get(&app.db, project).await.unwrap().unwrap();
    let tools = json!([{"tool_slug": "MOCS_NEVER", "arguments": {}}, {"tool_slug": "MOCS_ROWS",
        "arguments": {"count": 1}}, {"tool_slug": "MOCS_NEVER", "arguments": {}}]);
    let call = patchbay::session::execute::Call {
        slug: MULTI.to_owned(),
        arguments: patchbay::session::execute::arguments(json!({"tools": tools})).unwrap(),
        ..Default::default()
    };
    let whole = std::sync::Arc::new(patchbay::cache::project_of(row));
    let work = Box::pin(patchbay::session::execute::execute(app, &whole, &session, call));
    // As an MCP client that cancels: the three are under way, and one of them is done.
    let three = async {
        while world.provider.seen().len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    tokio::select! {
        _ = work => panic!("one of them never ends"),
        () = three => {}
    }
    let filter = execution_log::Filter::default();
    let mut rows = Vec::new();
    for _ in 0..100 {
        rows = execution_log::list(&app.db, project, &filter, 10).await.unwrap();
        if rows.len() == 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut found: Vec<(&str, bool)> =
        rows.iter().map(|row| (row.tool_slug.as_str(), row.successful)).collect();
    found.sort_unstable();
    let never = ("MOCS_NEVER", false);
    assert_eq!(found, [(MULTI, false), never, never, ("MOCS_ROWS", true)]);
    let gone = rows.iter().filter(|row| !row.successful);
    for row in gone {
        assert!(row.error.as_deref().unwrap().contains("went away"), "{:?}", row.error);
    }
}
