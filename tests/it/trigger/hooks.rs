//! Registering webhooks at the provider, renewing and removing them.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::provider::World;

#[tokio::test]
async fn a_webhook_is_registered_renewed_before_its_end_and_removed() {
    let world = World::new().await;
    world.provider.mood(|mood| mood.lasts_s = Some(3600));
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    let hooks = world.provider.hooks();
    assert_eq!(hooks.len(), 1);
    let url = &hooks[0].url;
    let start =
        format!("{}/hooks/t/{}/{id}/", world.app.app.config.public_url, world.app.project.id);
    assert!(url.starts_with(&start) && url.len() == start.len() + 32, "{url}");
    assert!(hooks[0].secret.len() >= 32);
    let state = world.get(&id).await["state"].clone();
    assert!(state["registration_expires_at"].is_string());
    let (due, end) = (&state["registration_due_at"], &state["registration_expires_at"]);
    assert!(due.as_str().unwrap() < end.as_str().unwrap(), "{state}");
    world.all_due().await;
    assert_eq!(world.provider.hooks()[0].renewed, 1);
    // One that the provider forgot is registered anew.
    world.provider.shared.hooks.lock().unwrap().clear();
    world.all_due().await;
    let hooks = world.provider.hooks();
    assert_eq!((hooks.len(), hooks[0].id.as_str()), (1, "h2"));
    assert_eq!(world.get(&id).await["state"]["registration_data"], json!({"hook_id": "h2"}));
    world.delete(&id).await.expect(200);
    world.hooks(0).await;
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_in_its_words_and_can_be_tried_again() {
    let world = World::new().await;
    for (refuses, status) in [(403, 422), (503, 503), (429, 503)] {
        world.provider.mood(|mood| mood.refuses = Some(refuses));
        let body = json!({"user_id": "ann", "trigger_config": {"box": "b"}});
        let error = world.upsert("HOOKMOCK_THING", body).await.expect_error(status);
        assert!(error["message"].as_str().unwrap().contains("the box is shut"), "{error}");
        assert_eq!(world.ids("").await, [""; 0]);
    }
    let id = world.ids("?show_disabled=true").await.pop().unwrap();
    let state = world.get(&id).await["state"].clone();
    assert_eq!(
        (&state["registration"], &state["disabled_by"]),
        (&json!("failed"), &json!("server"))
    );
    assert!(state["disabled_reason"].as_str().unwrap().contains("the box is shut"));
    // Nobody tries behind the caller's back.
    let calls = world.provider.calls();
    world.all_due().await;
    assert_eq!(world.provider.calls(), calls);
    world.provider.mood(|mood| mood.refuses = None);
    assert_eq!(world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await, id);
    assert_eq!(world.ids("").await, [id.as_str()]);
    let state = world.get(&id).await["state"].clone();
    assert!(state["registration_error"].is_null() && state["disabled_reason"].is_null(), "{state}");
}

#[tokio::test]
async fn a_provider_that_was_not_told_to_stop_is_told_again() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    world.provider.mood(|mood| mood.refuses = Some(500));
    world.manage(&id, "disable").await.expect(200);
    let shown = world.until(&id, |shown| !shown["state"]["registration_error"].is_null()).await;
    assert_eq!(shown["state"]["registration"], "removing");
    world.delete(&id).await.expect(200);
    world.provider.mood(|mood| mood.refuses = None);
    assert_eq!(world.provider.hooks().len(), 1);
    world.all_due().await;
    world.hooks(0).await;
    // Its secrets are not kept any longer; whoever told the provider may be writing that down.
    let done =
        "select count(*) = 0 from trigger_instance where secrets <> '' or hook_due is not null";
    for _ in 0..400 {
        if sqlx::query_scalar::<_, bool>(done).fetch_one(&world.app.app.db).await.unwrap() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the secrets are still there: {}", world.known().await);
}

#[tokio::test]
async fn a_renewal_that_never_works_disables_the_instance_with_an_event() {
    let world = World::new().await;
    world.provider.mood(|mood| mood.lasts_s = Some(3600));
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    world.provider.mood(|mood| mood.refuses = Some(500));
    world.all_due().await;
    let state = world.get(&id).await["state"].clone();
    assert_eq!((&state["status"], &state["consecutive_failures"]), (&json!("active"), &json!(1)));
    for _ in 0..12 {
        world.all_due().await;
    }
    let state = world.get(&id).await["state"].clone();
    assert_eq!((&state["status"], &state["disabled_by"]), (&json!("disabled"), &json!("server")));
    let events = world.events(&id).await;
    assert_eq!(events.len(), 1);
    let payload = &events[0].payload;
    assert_eq!(payload["type"], "composio.trigger.disabled");
    assert_eq!(payload["metadata"]["trigger_id"], id.as_str());
    assert!(payload["data"]["reason"].as_str().unwrap().contains("the box is shut"), "{payload}");
    world.provider.mood(|mood| mood.refuses = None);
    world.manage(&id, "enable").await.expect(200);
    assert_eq!(world.get(&id).await["state"]["status"], "active");
}

#[tokio::test]
async fn whoever_disables_while_the_provider_is_asked_wins() {
    let world = World::new().await;
    let waits = Arc::new(Notify::new());
    world.provider.mood(|mood| mood.waits = Some(waits.clone()));
    let asked = world.provider.shared.asked.clone();
    let meddle = async {
        asked.notified().await;
        let id = world.ids("?show_disabled=true").await.pop().unwrap();
        assert_eq!(world.ids("").await, [""; 0]);
        world.delete(&id).await.expect(200);
        waits.notify_one();
    };
    let body = json!({"user_id": "ann", "trigger_config": {"box": "b"}});
    let (_, ()) = tokio::join!(world.upsert("HOOKMOCK_THING", body), meddle);
    world.all_due().await;
    world.hooks(0).await;
}

#[tokio::test]
async fn a_registration_that_was_interrupted_is_done_anew_under_another_url() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    let old = world.provider.hooks()[0].clone();
    // As a server leaves it that dies before it notes the provider's answer.
    world
        .sql(
            "update trigger_instance set hook_state = 'registering', registration = '{}',
                registered_at = null, disabled_at = now(), disabled_by = 'server',
                hook_claim = 'dead', hook_due = now() - interval '1 second'",
        )
        .await;
    world.app.app.cache.clear();
    patchbay::worker::hooks::all_due(&world.app.app).await.unwrap();
    let state = world.get(&id).await["state"].clone();
    assert_eq!(
        (&state["status"], &state["registration"]),
        (&json!("active"), &json!("registered"))
    );
    let hooks = world.provider.hooks();
    assert_eq!(hooks.len(), 2);
    assert_ne!(hooks[1].url, old.url);
}

#[tokio::test]
async fn a_url_of_this_machine_is_not_registered_elsewhere() {
    let world = World::with(&[("PATCHBAY_PUBLIC_URL", "http://localhost:9900")]).await;
    // The provider is on this machine too.
    world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    let project = world.app.project.id.clone();
    let kind = patchbay::domain::scheme::AuthSchemeKind::BearerToken;
    let config =
        crate::execute::provider::auth_config(&world.app, &project, "github", kind, |_| {}).await;
    let github = crate::execute::provider::account(
        &world.app,
        &config,
        "ann",
        json!({"token": "t"}),
        |_| {},
    )
    .await;
    let body = json!({"connected_account_id": github.id,
        "trigger_config": {"owner": "o", "repo": "r"}});
    let error = world.upsert("GITHUB_COMMIT_EVENT", body).await.expect_error(422);
    assert!(error["message"].as_str().unwrap().contains("http://localhost:9900"), "{error}");
    assert!(error["suggested_fix"].as_str().unwrap().contains("PATCHBAY_PUBLIC_URL"), "{error}");
}
