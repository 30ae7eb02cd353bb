//! What the caller gets back, and what the log keeps.

use patchbay::domain::scheme::AuthSchemeKind;
use serde_json::{Value, json};

use super::provider::{KEY, World, account, auth_config};

#[tokio::test]
async fn data_is_always_an_object() {
    let world = World::new().await;
    let things = json!([{"id": 1}, {"id": 2}]);
    assert_eq!(world.run("MOCK_LIST", json!({})).await["data"], json!({"things": things}));
    assert_eq!(world.run("MOCK_EMPTY", json!({})).await["data"], json!({}));
    assert_eq!(world.run("MOCK_TEXT", json!({})).await["data"], json!({"text": "plain words"}));
}

#[tokio::test]
async fn an_error_page_is_a_readable_failure() {
    let world = World::new().await;
    let answer = world.run("MOCK_HTML", json!({})).await;
    assert_eq!(answer["successful"], false);
    assert_eq!(answer["error"], "Mock answered 500 Internal Server Error: (an HTML page)");
    assert!(answer["data"].is_object());
}

#[tokio::test]
async fn an_error_inside_a_200_is_a_failure() {
    let world = World::new().await;
    let answer = world.run("MOCK_NOT_OK", json!({})).await;
    assert_eq!(answer["successful"], false);
    assert_eq!(answer["error"], "Mock reported an error: no_channel");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_a_failure() {
    let world = World::new().await;
    let answer = world.run("MOCK_AWAY", json!({})).await;
    assert_eq!(answer["successful"], false);
    assert!(answer["error"].as_str().unwrap().contains("169.254.169.254"), "{answer}");
}

#[tokio::test]
async fn bytes_become_a_file_behind_a_signed_link() {
    let world = World::new().await;
    let answer = world.run("MOCK_BINARY", json!({})).await;
    let file = &answer["data"]["file"];
    assert_eq!(file["mimetype"], "image/png");
    assert_eq!(file["name"], "file.png");
    let url = file["s3url"].as_str().unwrap();
    let fetched = reqwest::get(url).await.unwrap();
    assert_eq!(fetched.status(), 200);
    assert_eq!(fetched.bytes().await.unwrap().as_ref(), b"\x89PNG\r\n\x1a\n\0\0");
}

#[tokio::test]
async fn text_becomes_a_pdf() {
    let world = World::new().await;
    let body = json!({"arguments": {"text": "# Report\n\nAll goals were met."}});
    let answer = world.post("TEXT_TO_PDF_CONVERT_TEXT_TO_PDF", body).await.expect(200);
    let url = answer["data"]["file"]["s3url"].as_str().unwrap();
    let pdf = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn several_requests_make_one_result_in_order() {
    let world = World::new().await;
    let answer = world.run("MOCK_MANY", json!({})).await;
    let ids: Vec<u32> = (0..12).collect();
    let items: Vec<Value> = (0..12).map(|id| json!({"id": id})).collect();
    assert_eq!(answer["data"], json!({"ids": ids, "items": items}));
    let answer = world.run("MOCK_MANY", json!({"ids_only": true})).await;
    assert_eq!(answer["data"], json!({"ids": ids, "items": null}));
}

#[tokio::test]
async fn a_failing_step_ends_the_tool_with_its_error() {
    let world = World::new().await;
    let answer = world.run("MOCK_MANY", json!({"count": 15})).await;
    assert_eq!(answer["successful"], false);
    assert_eq!(answer["error"], "Mock answered 404 Not Found: unlucky");
}

#[tokio::test]
async fn a_tool_does_not_send_more_than_a_hundred_requests_for_a_list() {
    let world = World::new().await;
    let answer = world.run("MOCK_MANY", json!({"count": 101})).await;
    assert_eq!(answer["successful"], false);
    assert!(answer["error"].as_str().unwrap().contains("100"), "{answer}");
    assert_eq!(world.provider.seen().len(), 1);
}

#[tokio::test]
async fn a_provider_that_repeats_the_credential_does_not_give_it_away() {
    let world = World::new().await;
    for tool in ["MOCK_ECHO_SECRET", "MOCK_MIRROR"] {
        let answer = world.run(tool, json!({})).await;
        assert!(!answer.to_string().contains(KEY), "{answer}");
        assert!(answer.to_string().contains("[REDACTED]"), "{answer}");
        let log = world.log(&answer["log_id"]).await;
        assert!(!format!("{log:?}").contains(KEY));
    }
    let project = &world.app.project.id;
    let config = auth_config(&world.app, project, "mock", AuthSchemeKind::Basic, |_| {}).await;
    let state = json!({"username": "u", "password": "hunter22"});
    let account = account(&world.app, &config, "bob", state, |_| {}).await;
    let body = json!({"arguments": {}, "connected_account_id": account.id});
    let answer = world.post("MOCK_ECHO_SECRET", body).await.expect(200);
    assert!(!answer.to_string().contains("dTpodW50ZXIyMg"), "{answer}");
}

#[tokio::test]
async fn every_call_of_a_tool_leaves_a_log_row() {
    let world = World::new().await;
    let answer = world.run("MOCK_GET_THING", json!({"name": "a"})).await;
    let log = world.log(&answer["log_id"]).await;
    assert_eq!((log.tool_slug.as_str(), log.toolkit_slug.as_str()), ("MOCK_GET_THING", "mock"));
    assert_eq!(log.toolkit_version, "20260101_00");
    assert_eq!(log.account_id.as_deref(), Some(world.account.id.as_str()));
    assert_eq!(log.auth_config_id.as_deref(), Some(world.config.id.as_str()));
    assert_eq!((log.successful, log.provider_status), (true, Some(200)));
    assert_eq!(log.user_id.as_deref(), Some("ann"));
    assert!(log.request.unwrap().contains(r#""name":"a""#));
    assert!(log.response.unwrap().contains("/api/things/a"));
    assert!(log.provider_us > 0 && log.duration_us >= log.provider_us);
    assert!(log.request_id.starts_with("req_"));

    let body = json!({"arguments": {}, "user_id": "ann"});
    world.post("MOCK_GET_THING", body).await.expect_error(400);
    let body = json!({"arguments": {"name": "a"}, "user_id": "nobody"});
    world.post("MOCK_GET_THING", body).await.expect_error(400);
    let filter = patchbay::db::execution_log::Filter::default();
    let project = &world.app.project.id;
    let rows =
        patchbay::db::execution_log::list(&world.app.app.db, project, &filter, 10).await.unwrap();
    assert_eq!(rows.iter().filter(|row| !row.successful).count(), 2);
}

#[tokio::test]
async fn a_log_row_is_cut_and_a_project_may_keep_no_data() {
    let world = World::with(&[("PATCHBAY_LOG_MAX_PAYLOAD_BYTES", "100")]).await;
    let answer = world.run("MOCK_GET_THING", json!({"name": "ä".repeat(500)})).await;
    let log = world.log(&answer["log_id"]).await;
    assert!((90..=100).contains(&log.request.unwrap().len()));

    let client = world.app.client();
    let settings = json!({"log_visibility_setting": "dont_store_data"});
    client.patch("/api/v3/org/project/config", settings).await.expect(200);
    let answer = world.run("MOCK_HTML", json!({})).await;
    let log = world.log(&answer["log_id"]).await;
    assert_eq!((log.request, log.response), (None, None));
    assert_eq!(log.error.as_deref(), Some("The provider answered 500"));
}

#[tokio::test]
async fn an_unknown_tool_is_a_404_with_advice() {
    let world = World::new().await;
    let error = world.post("mock_get_thing", json!({})).await.expect_error(404);
    assert!(error["suggested_fix"].as_str().unwrap().contains("MOCK_GET_THING"), "{error}");
    world.post("MOCK_NOPE", json!({})).await.expect_error(404);
}
