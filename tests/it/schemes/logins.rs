use serde_json::{Value, json};

use super::{KEY, World};
use crate::support::crowd::Crowd;

fn google_key(more: Value) -> String {
    let mut key = json!({"type": "service_account", "client_email": "robot@example.com",
        "private_key_id": "kid-1", "private_key": KEY,
        "token_uri": "http://attacker.example/token"});
    key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    key.to_string()
}

#[tokio::test]
async fn a_user_name_and_a_password_become_a_token() {
    let world = World::new().await;
    let val = json!({"username": "me", "password": "right"});
    let id = world.connected("basicjwt", "BASIC_WITH_JWT", val).await;
    let account = world.account(&id).await;
    let val = &account["state"]["val"];
    assert_eq!(val["username"], "me");
    assert!(!account.to_string().contains("tok-1-secret"), "masked: {account}");
    assert!(!account.to_string().contains("right"), "masked: {account}");
    let done = world.execute("BASICJWT_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    let seen = world.provider.last();
    assert_eq!(seen.header("authorization"), "JWT tok-1-secret");
    assert_eq!(seen.header("x-account"), "acc-1");
    assert_eq!(world.provider.logins(), [json!({"user": "me"})]);
}

#[tokio::test]
async fn a_wrong_password_is_refused_before_anything_is_stored() {
    let world = World::new().await;
    let config = world.config("basicjwt", "BASIC_WITH_JWT", json!({})).await;
    let val = json!({"username": "me", "password": "wr0ng-one"});
    let refused = world.connect(&config, "BASIC_WITH_JWT", val.clone()).await.expect_error(400);
    assert_eq!(refused["slug"], "ConnectedAccount_CredentialsRefused");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("Basic JWT did not accept the credentials"), "{message}");
    assert!(!message.contains("wr0ng-one"), "{message}");
    let list = world.client().get("/api/v3/connected_accounts").await.expect(200);
    assert_eq!(list["items"], json!([]), "nothing was stored");

    // Nobody knows whether the password is right while the provider is away.
    world.provider.password("wr0ng-one");
    world.provider.down(Some(503));
    let response = world.connect(&config, "BASIC_WITH_JWT", val.clone()).await;
    assert_eq!(response.headers["retry-after"], "7", "as the provider says");
    let away = response.expect_error(503);
    assert_eq!(away["slug"], "ConnectedAccount_ProviderUnavailable");
    world.provider.down(None);
    world.connect(&config, "BASIC_WITH_JWT", val).await.expect(201);
}

#[tokio::test]
async fn the_hosted_page_says_that_a_password_is_wrong_and_takes_the_right_one() {
    let world = World::new().await;
    let config = world.config("basicjwt", "BASIC_WITH_JWT", json!({})).await;
    let body = json!({"auth_config_id": config, "user_id": "u"});
    let made = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    let url = made["redirect_url"].as_str().unwrap();
    let id = made["connected_account_id"].as_str().unwrap();
    let client = world.app.anonymous();
    let send = |password: &'static str| {
        let form = [("username", "me"), ("password", password)];
        let request = client.request(reqwest::Method::POST, url).form(&form);
        let client = client.clone();
        async move { client.send(request).await }
    };
    let page = send("wrong").await;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("did not accept the credentials"), "{}", page.text);
    assert!(page.text.contains("value=\"me\""), "what was typed stays");
    assert_eq!(world.account(id).await["status"], "INITIATED");
    world.provider.down(Some(500));
    let page = send("right").await;
    assert!(page.text.contains("Try again"), "{}", page.text);
    world.provider.down(None);
    assert_eq!(send("right").await.status, 200);
    assert_eq!(world.account(id).await["status"], "ACTIVE");
    assert_eq!(send("right").await.status, 410, "a link works once");
}

#[tokio::test]
async fn a_token_that_ends_or_is_refused_is_made_anew_once() {
    let world = World::new().await;
    let val = json!({"username": "me", "password": "right"});
    let id = world.connected("basicjwt", "BASIC_WITH_JWT", val).await;
    // The provider forgot it.
    world.provider.forget();
    let done = world.execute("BASICJWT_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    assert_eq!(world.provider.logins().len(), 2);
    // It ends: many calls at once make one login.
    world.end_token(&id).await;
    let calls = (0..20).map(|_| world.execute("BASICJWT_ME", &id, json!({})));
    for done in futures_util::future::join_all(calls).await {
        assert_eq!(done["successful"], true, "{done}");
    }
    assert_eq!(world.provider.logins().len(), 3);
    assert_eq!(world.provider.last().header("authorization"), "JWT tok-3-secret");
    // On demand.
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let refreshed = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(refreshed["status"], "ACTIVE");
    assert_eq!(world.provider.logins().len(), 4);
}

#[tokio::test]
async fn a_password_that_was_changed_expires_the_account_until_the_new_one_is_there() {
    let world = World::new().await;
    let val = json!({"username": "me", "password": "right"});
    let id = world.connected("basicjwt", "BASIC_WITH_JWT", val).await;
    world.provider.password("another");
    world.end_token(&id).await;
    let body = json!({"connected_account_id": id, "arguments": {}});
    let refused = world.client().post("/api/v3/tools/execute/BASICJWT_ME", body).await;
    refused.expect_error(400);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "EXPIRED");
    let why = account["status_reason"].as_str().unwrap();
    assert!(why.contains("wrong password") && !why.contains("right"), "{why}");
    // The same again does not help.
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let refused = world.client().post(&path, json!({})).await.expect_error(400);
    assert_eq!(refused["slug"], "ConnectedAccount_CredentialsRefused");
    let patch = |password: &str| {
        json!({"connection": {"state": {"authScheme": "BASIC_WITH_JWT",
        "val": {"password": password}}}})
    };
    let path = format!("/api/v3/connected_accounts/{id}");
    world.client().patch(&path, patch("third")).await.expect_error(400);
    assert_eq!(world.account(&id).await["status"], "EXPIRED");
    world.client().patch(&path, patch("another")).await.expect(200);
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    let done = world.execute("BASICJWT_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
}

#[tokio::test]
async fn a_service_account_signs_and_exchanges_its_assertion() {
    let world = World::new().await;
    let val = json!({"application_id": "app-7", "installation_id": "99", "private_key": KEY});
    let id = world.connected("robot", "SERVICE_ACCOUNT", val).await;
    let login = &world.provider.logins()[0];
    assert_eq!(login["installation"], "99");
    assert_eq!(login["claims"]["iss"], "app-7");
    let lifetime =
        login["claims"]["exp"].as_i64().unwrap() - login["claims"]["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 600);
    let done = world.execute("ROBOT_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    assert!(!world.account(&id).await.to_string().contains("PRIVATE KEY"));
    // An id that would lead elsewhere stays one segment.
    let config = world.config("robot", "SERVICE_ACCOUNT", json!({})).await;
    for evil in ["..", "../google", "a/b", "?x"] {
        let val = json!({"application_id": "a", "installation_id": evil, "private_key": KEY});
        let response = world.connect(&config, "SERVICE_ACCOUNT", val).await;
        let logins = world.provider.logins();
        match response.status {
            201 => assert_eq!(logins.last().unwrap()["installation"], evil),
            _ => drop(response.expect_error(400)),
        }
    }
    for (key, word) in [
        ("not a key", "PEM"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----", "RSA"),
    ] {
        let val = json!({"application_id": "a", "installation_id": "1", "private_key": key});
        let refused = world.connect(&config, "SERVICE_ACCOUNT", val).await.expect_error(400);
        assert!(refused["message"].as_str().unwrap().contains(word), "{refused}");
    }
}

#[tokio::test]
async fn an_assertion_can_be_the_token_itself() {
    let world = World::new().await;
    let val = json!({"application_id": "app-7", "installation_id": "99", "private_key": KEY});
    let id = world.connected("minted", "SERVICE_ACCOUNT", val).await;
    world.execute("MINTED_ME", &id, json!({})).await;
    let seen = world.provider.last();
    let jwt = seen.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
    assert_eq!(jwt.split('.').count(), 3, "{jwt}");
}

#[tokio::test]
async fn a_google_key_is_read_and_its_token_uri_is_not_followed() {
    let world = World::new().await;
    let config = world.config("robot", "GOOGLE_SERVICE_ACCOUNT", json!({"scopes": "a, b"})).await;
    let kind = "GOOGLE_SERVICE_ACCOUNT";
    let val = json!({"credentials_json": google_key(json!({})), "subject": "boss@example.com"});
    let made = world.connect(&config, kind, val).await.expect(201);
    let login = &world.provider.logins()[0];
    assert_eq!(login["header"], json!({"typ": "JWT", "alg": "RS256", "kid": "kid-1"}));
    let claims = &login["claims"];
    assert_eq!(claims["iss"], "robot@example.com");
    assert_eq!(claims["sub"], "boss@example.com");
    assert_eq!(claims["scope"], "a b");
    assert_eq!(claims["aud"], "https://provider.example/token");
    let done = world.execute("ROBOT_ME", made["id"].as_str().unwrap(), json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    let account = world.account(made["id"].as_str().unwrap()).await;
    assert!(!account.to_string().contains("PRIVATE KEY"), "{account}");

    // The definition's scopes, no subject, and the file as the object that it is.
    let config = world.config("robot", kind, json!({})).await;
    let object: Value = serde_json::from_str(&google_key(json!({}))).unwrap();
    world.connect(&config, kind, json!({"credentials_json": object})).await.expect(201);
    let claims = world.provider.logins()[1]["claims"].clone();
    assert_eq!(claims["scope"], "read");
    assert!(claims.get("sub").is_none(), "{claims}");

    for (key, word) in [
        ("{}".to_owned(), "no client_email"),
        ("nonsense".to_owned(), "not JSON"),
        (google_key(json!({"type": "external_account"})), "not the key of a service account"),
        (google_key(json!({"private_key": "x"})), "PEM"),
    ] {
        let val = json!({"credentials_json": key});
        let refused = world.connect(&config, kind, val).await.expect_error(400);
        assert!(refused["message"].as_str().unwrap().contains(word), "{refused}");
    }
    assert_eq!(world.provider.logins().len(), 2);
}

#[tokio::test]
async fn bill_sessions_are_made_renewed_and_imported() {
    let world = World::new().await;
    let kind = "BILLCOM_AUTH";
    let val = json!({"devKey": "dev-key-1", "username": "u@example.com", "password": "right",
        "organizationId": "008"});
    let id = world.connected("books", kind, val).await;
    let login = &world.provider.logins()[0];
    assert_eq!(login["organizationId"], "008");
    let done = world.execute("BOOKS_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    let seen = world.provider.last();
    assert_eq!(seen.header("devkey"), "dev-key-1");
    assert_eq!(seen.header("sessionid"), "tok-1-secret");
    world.provider.forget();
    let done = world.execute("BOOKS_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    assert_eq!(world.provider.last().header("sessionid"), "tok-2-secret");
    let account = world.account(&id).await;
    assert!(!account.to_string().contains("tok-2"), "{account}");

    // A session that the developer has already, as the SDK's types have it.
    let val = json!({"status": "ACTIVE", "devKey": "dev-key-1", "sessionId": "tok-2-secret"});
    let imported = world.connected("books", kind, val).await;
    assert_eq!(world.provider.logins().len(), 2, "no login");
    let done = world.execute("BOOKS_ME", &imported, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    // There is nothing to log in with again.
    world.provider.forget();
    let done = world.execute("BOOKS_ME", &imported, json!({})).await;
    assert_eq!(done["successful"], false, "{done}");

    let config = world.config("books", kind, json!({})).await;
    let refused = world.connect(&config, kind, json!({"devKey": "d"})).await.expect_error(400);
    assert!(refused["errors"].to_string().contains("organizationId: is required"), "{refused}");
}

#[tokio::test]
async fn a_login_of_two_steps_uses_the_first_answer_in_the_second_request() {
    let world = World::new().await;
    let val = json!({"client_id": "client-1", "client_secret": "right", "email": "a@example.com"});
    let id = world.connected("dates", "CALCOM_AUTH", val).await;
    assert_eq!(world.provider.logins(), [json!({"client": "client-1", "user": "42"})]);
    let done = world.execute("DATES_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    let config = world.config("dates", "CALCOM_AUTH", json!({})).await;
    for (secret, email) in [("wrong", "a@example.com"), ("right", "b@example.com")] {
        let val = json!({"client_id": "client-1", "client_secret": secret, "email": email});
        world.connect(&config, "CALCOM_AUTH", val).await.expect_error(400);
    }
}

#[tokio::test]
async fn credentials_of_the_callers_own_are_logged_in_with() {
    let world = World::new().await;
    let body = |password: &str| {
        json!({"arguments": {}, "custom_connection_data": {
        "authScheme": "BASIC_WITH_JWT", "toolkitSlug": "basicjwt",
        "val": {"username": "me", "password": password}}})
    };
    let path = "/api/v3/tools/execute/BASICJWT_ME";
    let done = world.client().post(path, body("right")).await.expect(200);
    assert_eq!(done["successful"], true, "{done}");
    assert!(!done.to_string().contains("tok-1"));
    let refused = world.client().post(path, body("wrong")).await.expect_error(400);
    assert_eq!(refused["slug"], "ConnectedAccount_CredentialsRefused");
}

#[tokio::test]
async fn saml_is_answered_with_501() {
    let world = World::new().await;
    let body = json!({"toolkit": {"slug": "places"}, "auth_config": {
        "type": "use_custom_auth", "authScheme": "SAML", "credentials": {}}});
    let refused = world.client().post("/api/v3/auth_configs", body).await.expect_error(501);
    assert!(refused["message"].as_str().unwrap().contains("SAML"), "{refused}");
    let config = world.config("places", "BEARER_TOKEN", json!({})).await;
    world.connect(&config, "SAML", json!({"status": "ACTIVE"})).await.expect_error(501);
    let body = json!({"arguments": {}, "custom_connection_data": {"authScheme": "SAML",
        "toolkitSlug": "places", "val": {}}});
    world.client().post("/api/v3/tools/execute/PLACES_ME", body).await.expect_error(501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_executions_on_two_servers_make_one_login() {
    let world = World::new().await;
    let servers = [world.client(), world.app.another_server().await.1];
    let bill = json!({"devKey": "dev-key-1", "username": "u@example.com", "password": "right",
        "organizationId": "008"});
    let cal = json!({"client_id": "client-1", "client_secret": "right", "email": "a@example.com"});
    let user = json!({"username": "me", "password": "right"});
    let robot = json!({"application_id": "app-7", "installation_id": "99", "private_key": KEY});
    let google = json!({"credentials_json": google_key(json!({}))});
    for (toolkit, scheme, val) in [
        ("books", "BILLCOM_AUTH", bill),
        ("dates", "CALCOM_AUTH", cal),
        ("basicjwt", "BASIC_WITH_JWT", user),
        ("robot", "SERVICE_ACCOUNT", robot),
        ("robot", "GOOGLE_SERVICE_ACCOUNT", google),
    ] {
        let id = world.connected(toolkit, scheme, val).await;
        let tool = format!("{}_ME", toolkit.to_uppercase());
        let logins = world.provider.logins().len();

        // It ended, or the server believes so, and everybody comes while the provider thinks.
        world.end_token(&id).await;
        world.provider.gate().close();
        let crowd = Crowd::of(&servers, &tool, &id);
        world.provider.gate().holds(1).await;
        crowd.gathers().await;
        world.provider.gate().open();
        crowd.served().await;
        assert_eq!(world.provider.logins().len(), logins + 1, "{scheme}");

        // The provider forgot it.
        world.provider.forget();
        Crowd::of(&servers, &tool, &id).served().await;
        assert_eq!(world.provider.logins().len(), logins + 2, "{scheme}");
    }
}
