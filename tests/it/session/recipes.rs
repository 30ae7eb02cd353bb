//! Tasks that an agent writes down to do them again.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::world::World;

const UPSERT: &str = "COMPOSIO_UPSERT_RECIPE";
const GET: &str = "COMPOSIO_GET_RECIPE";

fn recipe() -> Value {
    json!({
        "name": "Count rows",
        "description": "Counts and shows what came back.",
        "input_schema": {"type": "object", "properties": {"count": {"type": "integer"}}},
        "steps": [
            {"tool_slug": "MOCS_ROWS", "arguments": {"count": "{{input.count}}"}},
            {"tool_slug": "MOCS_ROWS", "arguments": {"count": "{{ steps.1.data.rows.0.id }}"}},
        ],
        "guidance": "Stop when there are no rows.",
    })
}

#[tokio::test]
async fn a_recipe_is_written_once_and_repeated_in_another_session_of_the_user() {
    let world = World::new().await;
    let agent = world.agent("ann", json!({})).await;
    let made = agent.run(UPSERT, recipe()).await;
    assert_eq!((&made["version"], &made["created"]), (&json!(1), &json!(true)));
    let id = made["recipe_id"].as_str().unwrap();
    assert!(id.starts_with("rcp_"));
    // The names that it had in between.
    for (slug, version) in [("COMPOSIO_CREATE_RECIPE", 2), ("COMPOSIO_UPDATE_RECIPE", 3)] {
        let again = agent.run(slug, recipe()).await;
        assert_eq!((&again["recipe_id"], &again["version"]), (&json!(id), &json!(version)));
    }
    let mut renamed = recipe();
    renamed["name"] = "Rows".into();
    renamed["recipe_id"] = id.into();
    renamed["expected_version"] = 3.into();
    assert_eq!(agent.run(UPSERT, renamed.clone()).await["version"], 4);
    let error = agent.execute(UPSERT, renamed).await.expect_error(409);
    assert!(error["message"].as_str().unwrap().contains("version 4"), "{error}");

    let later = world.agent("ann", json!({"tools": {"mocs": {"disable": ["MOCS_ROWS"]}}})).await;
    for wanted in [json!({"recipe_id": id}), json!({"name": "Rows"})] {
        let found = agent.run(GET, wanted.clone()).await;
        let found = &found["recipe"];
        assert_eq!(found["steps"][1]["arguments"]["count"], "{{ steps.1.data.rows.0.id }}");
        assert_eq!(found["guidance"], "Stop when there are no rows.");
        assert!(found.get("unavailable_tools").is_none());
        let found = later.run(GET, wanted).await;
        assert_eq!(found["recipe"]["unavailable_tools"], json!(["MOCS_ROWS", "MOCS_ROWS"]));
    }
    let listed = later.run(GET, json!({})).await;
    assert_eq!(listed["recipes"][0]["name"], "Rows");
    assert_eq!(listed["recipes"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_recipe_belongs_to_its_user_and_project() {
    let world = World::new().await;
    let made = world.agent("ann", json!({})).await.run(UPSERT, recipe()).await;
    let other = world.app.client_of(&world.app.another_project().await);
    let bob = world.agent("bob", json!({})).await;
    let stranger = world.agent_at(other, "ann", json!({})).await;
    for agent in [bob, stranger] {
        for wanted in [json!({"recipe_id": made["recipe_id"]}), json!({"name": "Count rows"})] {
            agent.execute(GET, wanted).await.expect_error(404);
        }
        assert_eq!(agent.run(GET, json!({})).await["recipes"], json!([]));
        let mut replacing = recipe();
        replacing["recipe_id"] = made["recipe_id"].clone();
        agent.execute(UPSERT, replacing).await.expect_error(404);
        assert_eq!(agent.run(UPSERT, recipe()).await["created"], true);
    }
}

#[tokio::test]
async fn what_could_not_be_repeated_is_refused_with_everything_that_is_wrong() {
    let world = World::new().await;
    let config = json!({"tools": {"mocs": {"disable": ["MOCS_WRITE"]}}});
    let agent = world.agent("ann", config).await;
    let steps = json!([
        {"tool_slug": "MOCS_WRITE", "arguments": {}},
        {"tool_slug": "NOPE", "arguments": {}},
        {"tool_slug": "COMPOSIO_MULTI_EXECUTE_TOOL", "arguments": {}},
        {"tool_slug": "LOCAL_X", "arguments": {}},
        {"tool_slug": "MOCS_ROWS", "arguments": {}},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": 1, "colour": "red"}},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": "{{input.nope}}"}},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": "{{steps.8.data}}"}},
        {"tool_slug": "MOCS_ROWS", "arguments": {"count": {"a": ["{{env.HOME}}"]}}},
    ]);
    let body = json!({"name": "x", "description": "y", "steps": steps});
    let error = agent.execute(UPSERT, body).await.expect_error(400);
    let problems = error["errors"].as_array().unwrap();
    assert_eq!(problems.len(), 9, "{error}");
    for (index, problem) in problems.iter().enumerate() {
        assert!(problem.as_str().unwrap().starts_with(&format!("steps[{index}]")), "{problem}");
    }
    for wrong in [
        json!({}),
        json!({"name": "x", "description": "y"}),
        json!({"name": " ", "description": "y", "guidance": "z"}),
        json!({"name": "x", "description": "y", "guidance": "z".repeat(20_001)}),
        json!({"name": "x", "description": "y", "guidance": "z", "input_schema": {"type": "array"}}),
        json!({"name": "x", "description": "y", "steps": "do it"}),
    ] {
        agent.execute(UPSERT, wrong).await.expect_error(400);
    }
    agent.execute(GET, json!({"name": "never"})).await.expect_error(404);
}

#[tokio::test]
async fn the_same_name_at_the_same_time_makes_one_recipe() {
    let world = World::new().await;
    let agent = world.agent("ann", json!({})).await;
    let writes = join_all((0..8).map(|_| agent.execute(UPSERT, recipe()))).await;
    let mut versions: Vec<i64> =
        writes.iter().map(|w| w.expect(200)["data"]["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=8).collect::<Vec<i64>>());
}
