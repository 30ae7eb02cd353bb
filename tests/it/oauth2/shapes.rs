//! Requests and answers that differ from RFC 6749.

use serde_json::json;

use super::{World, maybe, param};

#[tokio::test]
async fn a_token_is_asked_for_by_get_under_other_names_with_a_lifetime_in_milliseconds() {
    let world = World::with(
        r#"
oauth2:
  authorize: {url: "{url}/auth?app=1&state=x", client_id_param: client_key, pkce: false, scope_separator: ","}
  token: {url: "{url}/token", method: GET, client_id_param: client_key, client_secret_param: sign}
  response: {access_token: /data/token, expires_in: /data/until, expires_unit: ms, expires_absolute: true,
             error: /code, capture: {open_id: /data/open_id}}
  scopes: [a, b]"#,
    )
    .await;
    let config = world.config(json!({})).await;
    let (id, url) = world.begin(&config, json!({})).await;
    assert_eq!((param(&url, "client_key"), param(&url, "app")), ("cid".into(), "1".into()));
    assert_eq!(param(&url, "scope"), "a,b");
    assert!(maybe(&url, "client_id").is_none() && maybe(&url, "code_challenge").is_none());
    assert!(param(&url, "state").starts_with("st_"), "the endpoint's own state is replaced");
    let end = chrono::Utc::now().timestamp_millis() + 3_600_000;
    world
        .provider
        .answer(200, json!({"code": 0, "data": {"token": "t-1", "until": end, "open_id": "o"}}));
    let back = world.callback(&[("code", "the code"), ("state", &param(&url, "state"))]).await;
    assert_eq!(back.status, 200);
    let seen = world.provider.last();
    assert_eq!((seen.method.as_str(), seen.body.as_str()), ("GET", ""));
    assert_eq!(seen.query["client_key"], "cid");
    assert_eq!(seen.query["sign"], "c+secret/");
    assert_eq!(seen.query["code"], "the code");
    let state = world.state(&id).await;
    assert_eq!((&state["access_token"], &state["open_id"]), (&json!("t-1"), &json!("o")));
    let seconds = state["expires_in"].as_u64().unwrap();
    assert!((3590..=3600).contains(&seconds), "{seconds}");
    // RFC 6749: no scope in the answer means the one that was asked for.
    assert_eq!(state["scope"], "a b");
    assert_eq!(world.execute(&id).await, "Bearer t-1");
}

#[tokio::test]
async fn parameters_and_headers_are_made_of_fields_and_replace_the_standard_ones() {
    let world = World::with(
        r#"
config_fields: [{name: developer_token, secret: true}, {name: region, enum: [eu, us]}]
connect_fields: [{name: tenant}]
inject: {headers: {Authorization: "Bearer {{ cred.access_token }}", X-Developer: "{{ cred.developer_token }}"}}
oauth2:
  authorize:
    url: "{url}/{{ conn.tenant }}/auth"
    params: {audience: "{{ conn.region }}:{{ conn.tenant }}", redirect_url: "{{ oauth.redirect_uri }}", redirect_uri: "", empty: "{{ conn.nothing or '' }}"}
    skip_scopes: true
  token:
    url: "{url}/{{ conn.tenant }}/token"
    client_auth: basic
    body: json
    params: {region: "{{ conn.region }}", grant_type: code}
    headers: {X-Developer: "{{ cred.developer_token }}"}
  response: {capture: {nothing: /nothing}}"#,
    )
    .await;
    let refused = world.try_config(json!({"client_id": "a", "client_secret": "b"})).await;
    let errors = refused.expect_error(400)["errors"].to_string();
    assert!(errors.contains("developer_token") && errors.contains("region"), "{errors}");
    let wrong =
        json!({"client_id": "a", "client_secret": "b", "developer_token": "d", "region": "mars"});
    let errors = world.try_config(wrong).await.expect_error(400)["errors"].to_string();
    assert!(errors.contains("region: must be one of"), "{errors}");

    let config = world.config(json!({"developer_token": "dev-token", "region": "eu"})).await;
    let (id, url) = world.begin(&config, json!({"tenant": "acme & co"})).await;
    assert_eq!(url.path(), "/acme%20%26%20co/auth");
    assert_eq!(param(&url, "audience"), "eu:acme & co");
    assert!(param(&url, "redirect_url").ends_with("/toolkits/auth/callback"));
    for left_out in ["redirect_uri", "scope", "empty"] {
        assert!(maybe(&url, left_out).is_none(), "{left_out}");
    }
    assert!(!url.as_str().contains("dev-token"));
    world.callback(&[("code", "c"), ("state", &param(&url, "state"))]).await;
    let seen = world.provider.last();
    assert_eq!(seen.path, "/acme%20%26%20co/token");
    assert_eq!(seen.header("x-developer"), Some("dev-token"));
    // `cid:c%2Bsecret%2F`
    assert_eq!(seen.header("authorization"), Some("Basic Y2lkOmMlMkJzZWNyZXQlMkY="));
    let body = seen.json();
    assert_eq!((&body["region"], &body["grant_type"]), (&json!("eu"), &json!("code")));
    assert!(body["code_verifier"].is_string() && body.get("client_secret").is_none(), "{body}");
    world.execute(&id).await;
    assert_eq!(world.provider.api().header("x-developer"), Some("dev-token"));
    let shown = world.client().get(&format!("/api/v3/connected_accounts/{id}")).await.text;
    assert!(!shown.contains("dev-token"), "{shown}");

    for evil in ["..", ".", ""] {
        let answer = world.initiate(&config, json!({"tenant": evil})).await;
        assert!(
            answer.status == 400 || answer.json()["redirect_url"].to_string().contains("/link/")
        );
    }
}

#[tokio::test]
async fn what_the_browser_brings_is_kept_and_leads_nowhere_else() {
    let world = World::operated(
        r#"
oauth2:
  authorize: {url: "{url}/auth"}
  token: {url: "{{ conn.server or '{url}' }}/token"}
  callback: {code_param: auth_code, capture: {realm: realmId, server: location}}"#,
        "{hosts: [127.0.0.1]}",
    )
    .await;
    let config = world.config(json!({})).await;
    let (id, url) = world.begin(&config, json!({})).await;
    let state = param(&url, "state");
    let server = format!("{}/eu", world.provider.url);
    let pairs =
        [("auth_code", "the-code"), ("state", &state), ("realmId", "42"), ("location", &server)];
    assert_eq!(world.callback(&pairs).await.status, 200);
    assert_eq!(world.provider.last().path, "/eu/token");
    assert_eq!(world.provider.last().form()["code"], "the-code");
    let account = world.account(&id).await;
    assert_eq!(
        (&account["status"], &account["state"]["val"]["realm"]),
        (&json!("ACTIVE"), &json!("42"))
    );

    for evil in
        ["https://evil.example", "http://127.0.0.1@evil.example", "file:///x", "//evil.example"]
    {
        let (id, url) = world.begin(&config, json!({})).await;
        let asked = world.provider.seen().len();
        let state = param(&url, "state");
        world.callback(&[("auth_code", "c"), ("state", &state), ("location", evil)]).await;
        let account = world.account(&id).await;
        assert_eq!(account["status"], "FAILED", "{evil}");
        assert_eq!(world.provider.seen().len(), asked, "{evil}");
    }
    // A code under the usual name is none here, and one that comes twice is none either.
    for pairs in [vec![("code", "c")], vec![("auth_code", "a"), ("auth_code", "b")]] {
        let (id, url) = world.begin(&config, json!({})).await;
        let state = param(&url, "state");
        world.callback(&[&pairs[..], &[("state", &state)]].concat()).await;
        assert_eq!(world.account(&id).await["status"], "FAILED", "{pairs:?}");
    }
}

#[tokio::test]
async fn a_short_lived_token_is_exchanged_and_the_long_lived_one_refreshed_by_itself() {
    let world = World::with(
        r#"
oauth2:
  authorize: {url: "{url}/auth"}
  token: {url: "{url}/token"}
  upgrade: {url: "{url}/long", method: GET, params: {grant_type: exchange, access_token: "{{ oauth.access_token }}"}}
  refresh:
    url: "{url}/again"
    method: GET
    with: access_token
    client_auth: none
    params: {grant_type: extend, access_token: "{{ oauth.access_token }}", client_id: ""}"#,
    )
    .await;
    let config = world.config(json!({})).await;
    world.provider.answer(200, json!({"access_token": "short", "expires_in": 60, "user_id": 7}));
    world.provider.answer(200, json!({"access_token": "long", "expires_in": 5_184_000}));
    let id = world.connected(&config, json!({})).await;
    let seen = world.provider.last();
    assert_eq!(seen.path, "/long");
    assert_eq!(
        (seen.query["access_token"].as_str(), seen.query["client_secret"].as_str()),
        ("short", "c+secret/")
    );
    assert_eq!(world.state(&id).await["access_token"], "long");
    world.provider.answer(200, json!({"access_token": "longer", "expires_in": 5_184_000}));
    let refreshed = world.refresh(&id).await.expect(200);
    assert_eq!(
        (&refreshed["status"], &refreshed["redirect_url"]),
        (&json!("ACTIVE"), &json!(null))
    );
    let seen = world.provider.last();
    assert_eq!(seen.query.keys().collect::<Vec<_>>(), ["access_token", "grant_type"]);
    assert_eq!(seen.query["access_token"], "long");
    assert_eq!(world.execute(&id).await, "Bearer longer");
}

#[tokio::test]
async fn a_refresh_differs_from_the_exchange_as_the_definition_says() {
    let world = World::with(
        r#"
oauth2:
  authorize: {url: "{url}/auth"}
  token: {url: "{url}/token", params: {a: "1", b: "1"}, headers: {X-A: "1"}}
  refresh:
    url: "{url}/refresh"
    method: PUT
    client_auth: basic
    body: json
    params: {b: "", c: "{{ oauth.access_token }}"}
    headers: {X-B: "{{ oauth.refresh_token }}"}
    send_redirect_uri: true
    send_scope: true
  response: {permanent: [grant_is_gone]}
  scopes: [read, write]"#,
    )
    .await;
    let config = world.config(json!({})).await;
    let answer =
        json!({"access_token": "a-1", "refresh_token": "r-1", "expires_in": 60, "scope": ["read"]});
    world.provider.answer(200, answer);
    let id = world.connected(&config, json!({})).await;
    assert_eq!(world.account(&id).await["state"]["val"]["scope"], "read", "what was granted");
    world.refresh(&id).await.expect(200);
    let seen = world.provider.last();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("PUT", "/refresh"));
    assert_eq!((seen.header("x-a"), seen.header("x-b")), (Some("1"), Some("r-1")));
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));
    let redirect = world.app.url("/api/v3/toolkits/auth/callback");
    let expected = json!({"grant_type": "refresh_token", "refresh_token": "r-1", "redirect_uri": redirect,
        "scope": "read", "a": "1", "c": "a-1"});
    assert_eq!(seen.json(), expected);
    assert_eq!(world.account(&id).await["state"]["val"]["scope"], "read", "and it stays");

    world.provider.answer(400, json!({"error": "grant_is_gone", "error_description": "refresh-1"}));
    let refused = world.refresh(&id).await;
    assert!((400..500).contains(&refused.status), "{}", refused.text);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "EXPIRED");
    let reason = account["status_reason"].as_str().unwrap();
    assert!(reason.contains("grant_is_gone") && !reason.contains("refresh-1"), "{reason}");
}

#[tokio::test]
async fn tokens_are_revoked_in_the_providers_own_way() {
    let usual = "revoke: {url: \"{url}/revoke\", body: query, token: refresh, client_auth: none, \
                 headers: {Authorization: \"Bearer {{ oauth.access_token }}\"}}";
    let github = "revoke: {url: \"{url}/applications/{{ oauth.client_id }}/token\", method: DELETE, \
                  client_auth: basic, body: json, token: access, \
                  params: {token: \"\", access_token: \"{{ oauth.token }}\"}}";
    let short = "revoke_url: \"{url}/revoke\"";
    for (n, rule) in [usual, github, short].iter().enumerate() {
        let world = World::with(&format!(
            "oauth2:\n  authorize: {{url: \"{{url}}/auth\"}}\n  token: {{url: \"{{url}}/token\"}}\n  {rule}"
        ))
        .await;
        let config = world.config(json!({})).await;
        let id = world.connected(&config, json!({})).await;
        let before = world.provider.seen().len();
        world.client().delete(&format!("/api/v3/connected_accounts/{id}")).await.expect(200);
        let expected = if n == 2 { 2 } else { 1 };
        for _ in 0..500 {
            if world.provider.seen().len() >= before + expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let seen = world.provider.seen().split_off(before);
        assert_eq!(seen.len(), expected, "{seen:?}");
        let last = seen.last().unwrap();
        match n {
            0 => {
                assert_eq!((last.query["token"].as_str(), last.body.as_str()), ("refresh-1", ""));
                assert_eq!(last.header("authorization"), Some("Bearer access-1"));
            }
            1 => {
                assert_eq!(
                    (last.method.as_str(), last.path.as_str()),
                    ("DELETE", "/applications/cid/token")
                );
                assert_eq!(last.json(), json!({"access_token": "access-1"}));
            }
            _ => {
                assert_eq!(seen[0].form()["token"], "refresh-1");
                assert_eq!(last.form()["token"], "access-1");
                assert_eq!(last.form()["client_secret"], "c+secret/");
            }
        }
    }
}

#[tokio::test]
async fn bots_and_users_have_scopes_of_their_own() {
    let world = World::with(
        r#"
oauth2:
  authorize: {url: "{url}/auth", scope_separator: ",", user_scope_param: user_scope, pkce: false}
  token: {url: "{url}/token"}
  response: {ok: /ok, user_access_token: /authed_user/access_token,
             capture: {team: /team/id, user_token: /authed_user/access_token}}
  scopes: [chat, files]
  user_scopes: [search]"#,
    )
    .await;
    let config = world.config(json!({"user_scopes": ["search", "stars"]})).await;
    let (id, url) = world.begin(&config, json!({})).await;
    assert_eq!(
        (param(&url, "scope"), param(&url, "user_scope")),
        ("chat,files".into(), "search,stars".into())
    );
    world.provider.answer(
        200,
        json!({"ok": true, "access_token": "xoxb-bot", "scope": "chat",
        "team": {"id": "T1"}, "authed_user": {"access_token": "xoxp-user", "scope": "search"}}),
    );
    world.callback(&[("code", "c"), ("state", &param(&url, "state"))]).await;
    assert_eq!(world.execute(&id).await, "Bearer xoxb-bot");
    let val = world.account(&id).await["state"]["val"].clone();
    assert_eq!((&val["team"], &val["scope"]), (&json!("T1"), &json!("chat")));
    assert_eq!(val["user_token"], "xoxp...", "another token is as secret as the first");

    let plain = world.config(json!({})).await;
    let (id, url) = world.begin(&plain, json!({})).await;
    assert_eq!(param(&url, "user_scope"), "search");
    world.provider.answer(
        200,
        json!({"ok": true, "authed_user": {"access_token": "xoxp-2", "scope": "search"}}),
    );
    world.callback(&[("code", "c"), ("state", &param(&url, "state"))]).await;
    assert_eq!(world.execute(&id).await, "Bearer xoxp-2");
}

#[tokio::test]
async fn a_field_cannot_bring_a_header_or_a_parameter_of_its_own() {
    let world = World::with(
        r#"
connect_fields: [{name: account}]
oauth2:
  authorize: {url: "{url}/auth", params: {account: "{{ conn.account }}"}}
  token: {url: "{url}/token", params: {account: "{{ conn.account }}"}, headers: {X-Account: "{{ conn.account }}"}}"#,
    )
    .await;
    let config = world.config(json!({})).await;
    let odd = "a&client_id=evil#x";
    let id = world.connected(&config, json!({"account": odd})).await;
    let seen = world.provider.last();
    assert_eq!((seen.form()["account"].as_str(), seen.form()["client_id"].as_str()), (odd, "cid"));
    assert_eq!(seen.header("x-account"), Some(odd));
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    for evil in ["a\r\nX-Evil: 1", "a\nb", "a\u{0}b"] {
        world.initiate(&config, json!({"account": evil})).await.expect_error(400);
    }
}
