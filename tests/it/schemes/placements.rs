use serde_json::json;

use super::World;

#[tokio::test]
async fn a_key_goes_to_every_place_that_the_definition_names() {
    let world = World::new().await;
    let val = json!({"generic_api_key": "123:aB c", "app_key": "app-secret"});
    let id = world.connected("places", "API_KEY", val).await;
    let done = world.execute("PLACES_SAVE", &id, json!({"name": "n"})).await;
    assert_eq!(done["successful"], true, "{done}");
    let seen = world.provider.last();
    assert_eq!(seen.uri.path(), "/api/v1/bot123:aB%20c/save");
    assert_eq!(seen.uri.query(), Some("key=123%3AaB+c"));
    assert_eq!(seen.header("x-token"), "Token 123:aB c");
    assert_eq!(seen.header("x-app"), "app-secret");
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body, json!({"name": "n", "api_key": "123:aB c"}));
    // The provider's answer has the path in it.
    assert!(!done.to_string().contains("123:aB"), "{done}");

    let answer = world.proxy(&id, "/chats?limit=2").await;
    assert_eq!(answer["status"], 200);
    let seen = world.provider.last();
    assert_eq!(seen.uri.path(), "/api/v1/bot123:aB%20c/chats");
    assert_eq!(seen.uri.query(), Some("limit=2&key=123%3AaB+c"));
}

#[tokio::test]
async fn a_key_cannot_choose_what_is_called() {
    let world = World::new().await;
    let config = world.config("places", "API_KEY", json!({})).await;
    for evil in ["../../admin", "a/b", "..", "%2e%2e", "x?y=1", "x#y", "a\\b"] {
        let val = json!({"generic_api_key": evil, "app_key": "a"});
        let made = world.connect(&config, "API_KEY", val).await.expect(201);
        let body = json!({"connected_account_id": made["id"], "arguments": {"name": "n"}});
        let path = "/api/v3/tools/execute/PLACES_SAVE";
        let response = world.client().post(path, body).await;
        let refused = response.expect_error(400);
        assert!(!refused.to_string().contains(evil), "{refused}");
    }
    for evil in ["a\r\nX-Evil: 1", "a\nb", "a\0b"] {
        let val = json!({"generic_api_key": evil, "app_key": "a"});
        world.connect(&config, "API_KEY", val).await.expect_error(400);
    }
}

#[tokio::test]
async fn basic_takes_a_key_for_the_user_name_and_bearer_a_token() {
    let world = World::new().await;
    let id = world.connected("places", "BASIC", json!({"username": "sk_key-1"})).await;
    world.execute("PLACES_ME", &id, json!({})).await;
    // base64 of "sk_key-1:"
    assert_eq!(world.provider.last().header("authorization"), "Basic c2tfa2V5LTE6");
    assert!(!world.account(&id).await.to_string().contains("sk_key-1"), "declared a secret");
    let id = world.connected("places", "BEARER_TOKEN", json!({"token": "t-1"})).await;
    world.execute("PLACES_ME", &id, json!({})).await;
    assert_eq!(world.provider.last().header("authorization"), "Bearer t-1");
}
