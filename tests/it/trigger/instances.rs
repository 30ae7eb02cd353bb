//! Setting triggers up, listing and switching them.

use patchbay::domain::id::uuid_of;
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::domain::status::AccountStatus;
use serde_json::{Value, json};

use super::provider::World;
use crate::execute::provider::{account, auth_config};

#[tokio::test]
async fn the_same_config_is_the_same_instance_in_every_spelling() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_NEW_ROW", json!({"sheet": "a"})).await;
    assert!(id.starts_with("ti_"), "{id}");
    let account = world.account.id.as_str();
    for body in [
        json!({"connected_account_id": account, "trigger_config": {"sheet": "a", "interval": 1}}),
        json!({"connectedAuthId": account, "triggerConfig": {"interval": 1, "sheet": "a"}}),
        json!({"user_id": "ann", "triggerConfig": {"sheet": "a"}, "toolkit_versions": "latest"}),
        json!({"user_id": "ann", "connected_account_id": account,
            "trigger_config": {"sheet": "a"}, "toolkit_versions": {"hookmock": "latest"}}),
    ] {
        let again = world.upsert("HOOKMOCK_NEW_ROW", body).await.expect(200);
        assert_eq!(again["trigger_id"], id.as_str());
        assert_eq!(again["deprecated"]["uuid"], uuid_of(&id));
    }
    let other = world.set_up("HOOKMOCK_NEW_ROW", json!({"sheet": "a", "interval": 5})).await;
    assert_ne!(other, id);
    assert_eq!(world.ids("").await, [other, id]);
}

#[tokio::test]
async fn callers_at_once_set_one_instance_up() {
    let world = World::new().await;
    let config = || json!({"box": "b"});
    let ids =
        futures_util::future::join_all((0..8).map(|_| world.set_up("HOOKMOCK_THING", config())))
            .await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(world.provider.hooks().len(), 1);
    assert_eq!(world.ids("").await.len(), 1);
}

#[tokio::test]
async fn an_instance_is_shown_in_both_spellings_with_its_health() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING_TRIGGER", json!({"box": "b"})).await;
    let page = world.list("").await;
    let item = &page["items"][0];
    let account = world.account.id.as_str();
    for (name, expected) in [
        ("id", json!(id)),
        ("uuid", json!(uuid_of(&id))),
        ("connected_account_id", json!(account)),
        ("connectedAccountId", json!(account)),
        ("connected_account_uuid", json!(uuid_of(account))),
        ("auth_config_id", json!(world.config.id)),
        ("user_id", json!("ann")),
        ("trigger_name", json!("HOOKMOCK_THING")),
        ("triggerName", json!("HOOKMOCK_THING")),
        ("trigger_config", json!({"box": "b", "size": 3})),
        ("triggerConfig", json!({"box": "b", "size": 3})),
        ("version", json!("20260101_00")),
        ("disabled_at", Value::Null),
        ("disabledAt", Value::Null),
        ("egress_url", Value::Null),
        ("trigger_data", json!("")),
    ] {
        assert_eq!(item[name], expected, "{name}");
    }
    assert_eq!(item["updated_at"], item["updatedAt"]);
    assert!(item["deprecated"]["createdAt"].is_string());
    let state = &item["state"];
    assert_eq!(state["status"], "active");
    assert_eq!(state["registration"], "registered");
    assert_eq!(state["registration_data"], json!({"hook_id": "h1"}));
    assert_eq!(state["account_status"], "ACTIVE");
    assert!(state["registered_at"].is_string() && state["last_event_at"].is_null());
    assert!(!page.to_string().contains(&world.provider.hooks()[0].secret));
    assert_eq!((page["total_items"].as_i64(), page["current_page"].as_i64()), (Some(1), Some(1)));
    assert!(page["next_cursor"].is_null());
}

#[tokio::test]
async fn a_poll_instance_is_asked_soon_and_pauses_when_it_is_disabled() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_NEW_ROW", json!({"sheet": "a", "interval": 7})).await;
    let shown = world.get(&id).await;
    assert_eq!(shown["type"], "poll");
    assert_eq!(shown["state"]["registration"], "none");
    assert_eq!(shown["state"]["poll_interval_s"], 420);
    assert!(shown["state"]["next_poll_at"].is_string());
    let active = || async {
        let sql = "select is_active from trigger_poll where cursor is null";
        sqlx::query_scalar::<_, bool>(sql).fetch_optional(&world.app.app.db).await.unwrap()
    };
    assert_eq!(active().await, Some(true));
    world.sql("update trigger_poll set cursor = '{}', claim = 'x'").await;
    world.manage(&id, "disable").await.expect(200);
    assert!(world.get(&id).await["state"]["next_poll_at"].is_null());
    let claimed: i64 = sqlx::query_scalar(
        "select count(*) from trigger_poll where claim is not null or is_active",
    )
    .fetch_one(&world.app.app.db)
    .await
    .unwrap();
    assert_eq!(claimed, 0);
    // What came meanwhile is not told.
    world.manage(&id, "enable").await.expect(200);
    assert_eq!(active().await, Some(true));
    world.delete(&id).await.expect(200);
    assert_eq!(active().await, None);
}

#[tokio::test]
async fn a_disabled_instance_is_hidden_unless_it_is_asked_for() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    assert_eq!(world.manage(&id, "disable").await.expect(200), json!({"status": "success"}));
    assert_eq!(world.ids("").await, [""; 0]);
    for query in ["?show_disabled=true", "?showDisabled=true"] {
        assert_eq!(world.ids(query).await, [id.as_str()]);
    }
    let shown = world.until(&id, |shown| shown["state"]["registration"] == "removed").await;
    assert!(shown["disabled_at"].is_string() && shown["disabledAt"].is_string());
    assert_eq!(shown["state"]["disabled_by"], "user");
    world.manage(&id, "disable").await.expect(200);
    world.manage(&id, "enable").await.expect(200);
    world.manage(&id, "enable").await.expect(200);
    assert_eq!(world.ids("").await, [id.as_str()]);
    assert_eq!(world.get(&id).await["state"]["registration"], "registered");
}

#[tokio::test]
async fn a_deleted_instance_is_gone_and_can_be_made_anew() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    assert_eq!(world.delete(&id).await.expect(200), json!({"trigger_id": id}));
    world.delete(&id).await.expect_error(410);
    world.manage(&id, "enable").await.expect_error(410);
    world.manage(&id, "disable").await.expect_error(410);
    assert_eq!(world.ids("?show_disabled=true").await, [""; 0]);
    world.hooks(0).await;
    let again = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    assert_ne!(again, id);
    world.delete("ti_unknown").await.expect_error(404);
    world.manage("ti_unknown", "enable").await.expect_error(404);
}

#[tokio::test]
async fn lists_take_every_filter_and_give_pages() {
    let world = World::new().await;
    let bob = world.account_of("bob").await;
    let mine = world.set_up("HOOKMOCK_NEW_ROW", json!({"sheet": "a"})).await;
    let bell = world.set_up("HOOKMOCK_BELL", json!({})).await;
    let body = json!({"connected_account_id": bob.id, "trigger_config": {"sheet": "a"}});
    let made = world.upsert("HOOKMOCK_NEW_ROW", body).await.expect(200);
    let his = made["trigger_id"].as_str().unwrap().to_owned();
    let (ann, config) = (world.account.id.as_str(), world.config.id.as_str());
    for (query, expected) in [
        (format!("connected_account_ids={ann}"), vec![&bell, &mine]),
        (format!("connectedAccountIds={},{ann}", bob.id), vec![&his, &bell, &mine]),
        (format!("deprecatedConnectedAccountUuids={}", uuid_of(bob.id.as_str())), vec![&his]),
        (format!("deprecatedAuthConfigUuids={}", uuid_of(config)), vec![&his, &bell, &mine]),
        (format!("auth_config_ids={config}"), vec![&his, &bell, &mine]),
        ("authConfigIds=ac_other".to_owned(), vec![]),
        (format!("trigger_ids={mine},{his}"), vec![&his, &mine]),
        (format!("triggerIds={bell}"), vec![&bell]),
        ("trigger_names=hookmock_bell".to_owned(), vec![&bell]),
        ("triggerNames=HOOKMOCK_NEW_ROW&user_ids=ann".to_owned(), vec![&mine]),
        ("user_ids=bob".to_owned(), vec![&his]),
        ("limit=1&page=3".to_owned(), vec![&mine]),
        ("limit=2&page=2".to_owned(), vec![&mine]),
    ] {
        let ids = world.ids(&format!("?{query}")).await;
        assert_eq!(ids.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let first = world.list("?limit=2").await;
    assert_eq!((first["total_items"].as_i64(), first["total_pages"].as_i64()), (Some(3), Some(2)));
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(world.ids(&format!("?cursor={cursor}")).await, [mine.as_str()]);
    let client = world.app.client();
    client.get("/api/v3/trigger_instances/active?cursor=forged").await.expect_error(400);
    client.get("/api/v3.1/trigger_instances/active?limit=9999").await.expect(200);
}

#[tokio::test]
async fn what_cannot_be_set_up_is_refused_with_the_reason() {
    let world = World::new().await;
    let expired = account(&world.app, &world.config, "eve", json!({}), |account| {
        account.status = AccountStatus::Expired;
    })
    .await;
    let off = account(&world.app, &world.config, "off", json!({}), |account| {
        account.is_disabled = true;
    })
    .await;
    let project = world.app.project.id.clone();
    let other = auth_config(&world.app, &project, "github", AuthSchemeKind::BearerToken, |_| {});
    let other = account(&world.app, &other.await, "ann", json!({"token": "t"}), |_| {}).await;
    let good = json!({"box": "b"});
    for (slug, body, status, word) in [
        ("HOOKMOCK_NOTHING", json!({"user_id": "ann"}), 404, "HOOKMOCK_NOTHING"),
        ("HOOKMOCK_THING", json!({"user_id": "ann"}), 400, "box"),
        (
            "HOOKMOCK_THING",
            json!({"user_id": "ann", "trigger_config": {"box": {"a": 1}}}),
            400,
            "box",
        ),
        ("HOOKMOCK_THING", json!({"trigger_config": good}), 400, "connected account"),
        ("HOOKMOCK_THING", json!({"user_id": "zoe", "trigger_config": good}), 400, "zoe"),
        (
            "HOOKMOCK_THING",
            json!({"connected_account_id": "ca_x", "trigger_config": good}),
            404,
            "ca_x",
        ),
        (
            "HOOKMOCK_THING",
            json!({"connected_account_id": expired.id, "trigger_config": good}),
            400,
            "EXPIRED",
        ),
        (
            "HOOKMOCK_THING",
            json!({"connected_account_id": off.id, "trigger_config": good}),
            400,
            "disabled",
        ),
        (
            "HOOKMOCK_THING",
            json!({"connected_account_id": other.id, "trigger_config": good}),
            400,
            "github",
        ),
        (
            "HOOKMOCK_THING",
            json!({"connected_account_id": world.account.id, "user_id": "bob", "trigger_config": good}),
            400,
            "user",
        ),
        (
            "HOOKMOCK_THING",
            json!({"user_id": "ann", "trigger_config": good, "toolkit_versions": "20190101_00"}),
            404,
            "20190101_00",
        ),
        (
            "HOOKMOCK_THING",
            json!({"user_id": "ann", "trigger_config": good, "egress_url": "https://x.example"}),
            501,
            "egress",
        ),
    ] {
        let answer = world.upsert(slug, body.clone()).await;
        let error = answer.expect_error(status);
        assert!(error.to_string().contains(word), "{body} {error}");
    }
    assert_eq!(world.ids("?show_disabled=true").await, [""; 0]);
    assert_eq!(world.provider.calls(), 0);
    let id = world.set_up("hookmock_thing", json!({"box": "b", "size": "4"})).await;
    assert_eq!(world.get(&id).await["trigger_config"], json!({"box": "b", "size": 4}));
    for body in [json!({}), json!({"status": "pause"}), json!({"status": 1})] {
        let path = format!("/api/v3/trigger_instances/manage/{id}");
        world.app.client().patch(&path, body).await.expect_error(400);
    }
}

#[tokio::test]
async fn an_instance_is_of_its_project_alone() {
    let world = World::new().await;
    let id = world.set_up("HOOKMOCK_THING", json!({"box": "b"})).await;
    let stranger = world.app.another_project().await;
    let client = world.app.client_of(&stranger);
    let path = format!("/api/v3/trigger_instances/manage/{id}");
    client.delete(&path).await.expect_error(404);
    client.patch(&path, json!({"status": "disable"})).await.expect_error(404);
    client.get(&path).await.expect_error(404);
    let list = client.get("/api/v3/trigger_instances/active?show_disabled=true").await.expect(200);
    assert_eq!(list["items"], json!([]));
    let body = json!({"connected_account_id": world.account.id, "trigger_config": {"box": "b"}});
    let upsert = "/api/v3/trigger_instances/HOOKMOCK_THING/upsert";
    client.post(upsert, body).await.expect_error(404);
    world.app.anonymous().delete(&path).await.expect_error(401);
    assert_eq!(world.ids("").await, [id]);
}
