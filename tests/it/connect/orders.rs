//! Tokens that nobody holds any more are revoked at the provider, whatever happens in between.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::provider::Style;
use super::{World, location, param};
use crate::boot::process::{Home, Server};
use crate::support::app::ENCRYPTION_KEY;
use crate::support::client::TestClient;
use crate::support::db::TestDatabase;

impl World {
    /// As the worker does when the time of every order has come, until none is left.
    pub async fn carry_out(&self) {
        for _ in 0..200 {
            self.sql(
                "update revocation set next_at = now() where claim is null and next_at > now()",
            )
            .await;
            patchbay::worker::revoke::all_due(&self.app.app).await.unwrap();
            let left = "select count(*) from revocation where outcome is null";
            if self.value::<i64>(left).await == 0 {
                return;
            }
            // Somebody else is at it.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("an order is not carried out");
    }

    async fn sql(&self, statement: &str) {
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&self.app.app.db).await.unwrap();
    }

    async fn value<T>(&self, query: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        query.fetch_one(&self.app.app.db).await.unwrap()
    }

    /// How every order ended.
    async fn outcomes(&self) -> Vec<String> {
        let rows: Vec<(Option<String>, Option<Vec<u8>>)> =
            sqlx::query_as("select outcome, tokens from revocation order by created_at")
                .fetch_all(&self.app.app.db)
                .await
                .unwrap();
        rows.into_iter()
            .map(|(outcome, tokens)| {
                assert!(tokens.is_none(), "what is over holds no tokens");
                outcome.unwrap()
            })
            .collect()
    }

    /// Waits until whoever gave orders has tried to carry them out.
    async fn tried(&self) {
        for _ in 0..500 {
            let claimed = "select count(*) from revocation where claim is not null";
            if self.value::<i64>(claimed).await == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("an order stays claimed");
    }

    async fn delete(&self, id: &str, query: &str) {
        let path = format!("/api/v3.1/connected_accounts/{id}{query}");
        self.client().delete(&path).await.expect(200);
    }

    /// Another server over the same database.
    async fn beside(&self) -> (patchbay::app::AppState, TestClient) {
        let file = self.providers_file();
        let (app, address) = self.app.replica(&[("PATCHBAY_PROVIDERS_FILE", &file)]).await;
        (app, TestClient::new(address).header("x-api-key", &self.app.project.key))
    }

    fn assert_revoked(&self, tokens: usize) {
        let told = self.provider.revoked();
        let different: std::collections::HashSet<&String> = told.iter().collect();
        assert_eq!((told.len(), different.len()), (tokens, tokens), "{told:?}");
    }
}

#[tokio::test]
async fn tokens_are_revoked_after_their_account_and_auth_config_are_gone() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    let config = world.account(&id).await["auth_config"]["id"].as_str().unwrap().to_owned();
    world.provider.style(Style::Down);
    world.delete(&id, "").await;
    world.client().delete(&format!("/api/v3.1/auth_configs/{config}")).await.expect(200);
    world.tried().await;
    world.assert_revoked(0);
    let attempts: i32 = world.value("select attempts from revocation").await;
    let waits: bool = world.value("select next_at > now() from revocation").await;
    assert!(attempts == 1 && waits);
    // Nothing in the row says what the tokens are.
    let row: String = world.value("select row_to_json(r)::text from revocation r").await;
    assert!(!row.contains("my-secret") && !row.contains("rt-"), "{row}");
    world.provider.style(Style::Standard);
    world.carry_out().await;
    world.assert_revoked(2);
    assert_eq!(world.outcomes().await, ["done"]);
}

#[tokio::test]
async fn what_one_deletion_takes_away_is_carried_out_once_by_all_servers_together() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    for n in 0..12 {
        let (_, url) = world.begin(&config, json!({"user_id": format!("u{n}")})).await;
        let code = world.provider.consent(&url);
        world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    }
    let (replica, _) = world.beside().await;
    world.client().delete(&format!("/api/v3.1/auth_configs/{config}")).await.expect(200);
    let there = async { patchbay::worker::revoke::all_due(&replica).await.unwrap() };
    tokio::join!(world.carry_out(), there);
    world.carry_out().await;
    world.assert_revoked(24);
    assert_eq!(world.outcomes().await, vec!["done"; 12]);
    replica.stop.cancel();
}

#[tokio::test]
async fn a_callback_that_is_late_leaves_no_token_behind() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    let (id, url) = world.begin(&config, json!({"user_id": "u1"})).await;
    let code = world.provider.consent(&url);
    let state = param(&url, "state");
    world.provider.hold(true);
    let delete = async {
        world.provider.held(1).await;
        world.delete(&id, "").await;
        world.provider.hold(false);
    };
    let pairs = [("state", state.as_str()), ("code", code.as_str())];
    let (page, ()) = tokio::join!(world.callback(&pairs), delete);
    assert_eq!(page.status, 404, "{}", page.text);
    world.carry_out().await;
    world.assert_revoked(2);
    assert_eq!(world.value::<String>("select cause from revocation").await, "late");
}

#[tokio::test]
async fn a_second_consent_that_is_late_for_a_revocation_leaves_no_token_behind() {
    let world = World::new().await;
    // Without a refresh token only the person can connect again.
    world.provider.style(Style::Form);
    let id = world.connected("linear").await;
    world.provider.style(Style::Standard);
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let again = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(again["status"], "ACTIVE");
    let url: url::Url = again["redirect_url"].as_str().unwrap().parse().unwrap();
    let code = world.provider.consent(&url);
    let state = param(&url, "state");
    world.provider.hold(true);
    let revoke = async {
        world.provider.held(1).await;
        let path = format!("/api/v3.1/connected_accounts/{id}/revoke");
        let client = world.client();
        let (_, ()) = tokio::join!(client.post(&path, json!({})), async {
            world.provider.held(2).await;
            world.provider.hold(false);
        });
    };
    let pairs = [("state", state.as_str()), ("code", code.as_str())];
    let (page, ()) = tokio::join!(world.callback(&pairs), revoke);
    assert_eq!(page.status, 400);
    assert_eq!(world.account(&id).await["status"], "REVOKED");
    world.carry_out().await;
    world.assert_revoked(3);
}

#[tokio::test]
async fn a_verifier_that_is_late_leaves_no_token_behind() {
    let world = World::new().await;
    let body = json!({"oauth_callback_verifier_url": "https://app.example.com/verify"});
    world.client().patch("/api/v3/org/project/config", body).await.expect(200);
    let config = world.oauth_config("linear").await;
    let (id, url) = world.begin(&config, json!({"user_id": "u1"})).await;
    let code = world.provider.consent(&url);
    let back = world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    let session = param(&location(&back), "session_uri");
    world.provider.hold(true);
    let delete = async {
        world.provider.held(1).await;
        world.delete(&id, "?revoke_on_delete=true").await;
        world.provider.hold(false);
    };
    let body = json!({"session_uri": session, "user_id": "u1"});
    let client = world.client();
    let (answer, ()) =
        tokio::join!(client.post("/api/v3.1/connected_accounts/complete_auth", body), delete);
    assert_eq!(answer.status, 404, "{}", answer.text);
    world.carry_out().await;
    world.assert_revoked(2);
}

#[tokio::test]
async fn tokens_that_prove_useless_are_not_left_behind() {
    let world = World::new().await;
    world.provider.answer("/user", 401, json!({"message": "Bad credentials"}));
    let config = world.oauth_config("github").await;
    let (id, url) = world.begin(&config, json!({"user_id": "u1"})).await;
    let code = world.provider.consent(&url);
    world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    assert_eq!(world.account(&id).await["status"], "FAILED");
    world.carry_out().await;
    assert!(!world.provider.revoked().is_empty());
}

/// A refresh on one server, during which the account is taken away on another.
async fn late_refresh(world: &World, take_away: &str) -> String {
    let id = world.connected("linear").await;
    let (replica, other) = world.beside().await;
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let before = world.provider.refreshes();
    let client = world.client();
    let refresh = client.post(&path, json!({}));
    let taken = async {
        // The provider takes its time to refresh.
        while world.provider.refreshes() == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        match take_away {
            "revoke" => {
                let path = format!("/api/v3.1/connected_accounts/{id}/revoke");
                other.post(&path, json!({})).await.expect(200);
            }
            query => {
                let path = format!("/api/v3.1/connected_accounts/{id}{query}");
                other.delete(&path).await.expect(200);
            }
        }
    };
    let (answer, ()) = tokio::join!(refresh, taken);
    assert!(answer.status >= 400, "{}", answer.text);
    world.carry_out().await;
    // What the other server gave orders for, it carries out.
    for _ in 0..500 {
        if world.value::<i64>("select count(*) from revocation where outcome is null").await == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    replica.stop.cancel();
    id
}

#[tokio::test]
async fn a_refresh_that_loses_against_a_revocation_leaves_no_token_behind() {
    let world = World::new().await;
    let id = late_refresh(&world, "revoke").await;
    assert_eq!(world.account(&id).await["status"], "REVOKED");
    // Those that the account had, and those that the refresh brought.
    world.assert_revoked(4);
    late_refresh(&world, "").await;
    world.assert_revoked(8);
    assert_eq!(world.outcomes().await, vec!["done"; 4]);
}

#[tokio::test]
async fn tokens_of_an_account_that_is_deleted_without_a_revocation_stay_also_late_ones() {
    let world = World::new().await;
    late_refresh(&world, "?revoke_on_delete=false").await;
    world.assert_revoked(0);
    assert_eq!(world.value::<i64>("select count(*) from revocation").await, 0);
}

#[tokio::test]
async fn nothing_is_kept_where_the_provider_cannot_be_told() {
    let world = World::new().await;
    let made = |config: String| {
        let world = &world;
        async move {
            let state = json!({"authScheme": "OAUTH2", "val": {"access_token": "at-1",
                "refresh_token": "rt-1"}});
            let made = world.initiate(&config, json!({"user_id": "u", "state": state})).await;
            made.expect(201)["id"].as_str().unwrap().to_owned()
        }
    };
    let id = made(world.oauth_config("anilist").await).await;
    world.delete(&id, "?revoke_on_delete=true").await;
    let body = json!({"type": "use_custom_auth", "authScheme": "API_KEY"});
    let config = world.auth_config("exa", body).await;
    let state = json!({"authScheme": "API_KEY", "val": {"api_key": "key-1"}});
    let id = world.initiate(&config, json!({"user_id": "u", "state": state})).await.expect(201);
    world.delete(id["id"].as_str().unwrap(), "").await;
    // One that was never finished has nothing.
    let (id, _) = world.begin(&world.oauth_config("linear").await, json!({"user_id": "u"})).await;
    world.delete(&id, "").await;
    assert_eq!(world.value::<i64>("select count(*) from revocation").await, 0);
}

#[tokio::test]
async fn a_provider_that_stays_away_is_given_up_and_the_tokens_are_wiped() {
    let world = World::with(&[("PATCHBAY_REVOCATION_TTL_S", "1")]).await;
    let id = world.connected("linear").await;
    world.provider.style(Style::Down);
    world.delete(&id, "").await;
    world.tried().await;
    assert_eq!(world.outcomes().await, ["given_up"]);
    let said: String = world.value("select last_error from revocation").await;
    assert!(said.contains("503"), "{said}");
    world.provider.style(Style::Standard);
    patchbay::worker::revoke::all_due(&world.app.app).await.unwrap();
    world.assert_revoked(0);
    // It is forgotten after a week.
    world.sql("update revocation set ended_at = now() - interval '8 days'").await;
    assert_eq!(patchbay::db::revocation::delete_ended(&world.app.app.db).await.unwrap(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_know_a_token_any_more_is_not_asked_again() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    world.provider.style(Style::Revoked);
    let path = format!("/api/v3.1/connected_accounts/{id}/revoke");
    let answer = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(answer["revoked_tokens"], json!([]));
    assert_eq!(world.outcomes().await, ["done"]);
}

#[tokio::test]
async fn who_has_connected_again_is_not_cut_off_by_a_late_revocation() {
    let world = World::new().await;
    for by_revoking in [false, true] {
        let id = world.connected("linear").await;
        let config = world.account(&id).await["auth_config"]["id"].as_str().unwrap().to_owned();
        world.provider.style(Style::Down);
        if by_revoking {
            let path = format!("/api/v3.1/connected_accounts/{id}/revoke");
            world.client().post(&path, json!({})).await.expect(200);
        } else {
            world.delete(&id, "").await;
            world.tried().await;
        }
        world.provider.style(Style::Standard);
        let url = if by_revoking {
            let path = format!("/api/v3/connected_accounts/{id}/refresh");
            let again = world.client().post(&path, json!({})).await.expect(200);
            again["redirect_url"].as_str().unwrap().parse().unwrap()
        } else {
            world.begin(&config, json!({"user_id": "u1"})).await.1
        };
        let code = world.provider.consent(&url);
        world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
        world.carry_out().await;
    }
    world.assert_revoked(0);
    assert_eq!(world.outcomes().await, ["left", "left"]);
}

#[tokio::test]
async fn an_order_that_does_not_open_keeps_no_other_waiting() {
    let world = World::new().await;
    let ids = [world.connected("linear").await, world.connected("linear").await];
    world.provider.style(Style::Down);
    for id in ids {
        world.delete(&id, "").await;
    }
    world.tried().await;
    world
        .sql(
            "update revocation set tokens = set_byte(tokens, length(tokens) - 1,
            255 - get_byte(tokens, length(tokens) - 1))
         where id = (select id from revocation order by created_at limit 1)",
        )
        .await;
    world.provider.style(Style::Standard);
    world.sql("update revocation set next_at = now()").await;
    patchbay::worker::revoke::all_due(&world.app.app).await.unwrap();
    world.assert_revoked(2);
    let left: i64 =
        world.value("select count(*) from revocation where outcome is null and attempts = 2").await;
    assert_eq!(left, 1, "it is looked at again later");
}

#[tokio::test]
async fn keys_are_exchanged_under_an_order_that_waits() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    world.provider.style(Style::Down);
    world.delete(&id, "").await;
    world.tried().await;
    let vault = crate::vault::fresh_vault(&world.app);
    let before: Vec<u8> = world.value("select tokens_key_id from revocation").await;
    let status = crate::vault::status(&vault, &world.app).await;
    let counts: Vec<_> =
        status.data_keys.iter().filter_map(|k| k.columns.get("revocation.tokens")).collect();
    assert_eq!(counts, [&1]);
    let report = crate::vault::rotate(&vault, &world.app).await;
    assert!(report.is_complete(), "{report:?}");
    let after: Vec<u8> = world.value("select tokens_key_id from revocation").await;
    assert_ne!(before, after);
    crate::vault::sweep(&vault, &world.app, std::time::Duration::ZERO).await;
    let fresh = crate::vault::fresh_vault(&world.app);
    crate::vault::assert_every_value_opens(&fresh, &world.app).await;
    crate::vault::assert_only_current_keys_seal(&crate::vault::status(&fresh, &world.app).await);
    world.provider.style(Style::Standard);
    world.carry_out().await;
    world.assert_revoked(2);
}

const PROJECT_KEY: &str = "ak_for_tests_of_revocation_only";

/// A server in a process of its own, with the worker.
fn start(home: &Home, url: &str, providers: &str) -> Server {
    home.start(&[
        ("PATCHBAY_DATABASE_URL", url),
        ("PATCHBAY_ENCRYPTION_KEY", ENCRYPTION_KEY),
        ("PATCHBAY_PROJECT_API_KEY", PROJECT_KEY),
        ("PATCHBAY_ORG_API_KEY", "oak_for_tests_of_revocation_only"),
        ("PATCHBAY_EGRESS_ALLOW", "127.0.0.0/8"),
        ("PATCHBAY_PROVIDERS_FILE", providers),
        // Claims that end soon, so that those of a killed server are waited for quickly.
        ("PATCHBAY_OUTBOUND_TIMEOUT_S", "2"),
        ("PATCHBAY_OUTBOUND_READ_TIMEOUT_S", "2"),
        ("PATCHBAY_REFRESH_CLAIM_S", "3"),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_before_the_provider_was_told_leaves_that_to_the_next_one() {
    let provider = super::provider::Provider::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let at = &provider.url;
    let text = format!(
        "linear: {{base_url: '{at}', authorize_url: '{at}/authorize', token_url: '{at}/token', \
         revoke_url: '{at}/revoke'}}\n"
    );
    std::fs::write(file.path(), text).unwrap();
    let file = file.path().to_str().unwrap();
    let database = TestDatabase::create().await;
    let url = database.url();
    let home = Home::new();
    let server = tokio::task::block_in_place(|| start(&home, &url, file));
    let client = server.client(PROJECT_KEY);
    let body = json!({"toolkit": {"slug": "linear"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "OAUTH2", "credentials": {"client_id": "a", "client_secret": "b"}}});
    let config = client.post("/api/v3/auth_configs", body).await.expect(201);
    let mut accounts = Vec::new();
    for n in 0..2 {
        let body = json!({"auth_config": {"id": config["auth_config"]["id"]}, "connection":
            {"user_id": "u", "state": {"authScheme": "OAUTH2", "val": {
                "access_token": format!("at-{n}"), "refresh_token": format!("rt-{n}")}}}});
        let made: Value = client.post("/api/v3/connected_accounts", body).await.expect(201);
        accounts.push(made["id"].as_str().unwrap().to_owned());
    }
    provider.hold(true);
    let path = format!("/api/v3.1/connected_accounts/{}", accounts[0]);
    client.delete(&path).await.expect(200);
    // The other one is revoked: its caller gets no answer any more.
    let path = format!("/api/v3.1/connected_accounts/{}/revoke", accounts[1]);
    let request = client.request(axum::http::Method::POST, &path).json(&json!({}));
    let asked = tokio::spawn(request.send());
    provider.held(2).await;
    tokio::task::block_in_place(|| server.kill());
    assert!(asked.await.unwrap().is_err());
    assert!(provider.revoked().is_empty());
    // What the dead server asked is never answered; the next one is.
    provider.forget_held();
    let server = tokio::task::block_in_place(|| start(&home, &url, file));
    for _ in 0..1500 {
        if provider.revoked().len() >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut told = provider.revoked();
    told.sort();
    assert_eq!(told, ["at-0", "at-1", "rt-0", "rt-1"]);
    tokio::task::block_in_place(|| server.stop());
    assert_eq!(provider.revoked().len(), 4, "each once");
}
