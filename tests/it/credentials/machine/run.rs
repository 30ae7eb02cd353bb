//! One sequence, against the servers and the model.

use axum::http::Method;
use serde_json::json;

use super::super::provider::Fault;
use super::super::{state_of, usable};
use super::lab::{Lab, VERIFIER};
use super::model::{Attempt, Link, Model, Session, Status, Tokens};
use super::{Back, Luck, Op, Step};
use crate::support::client::TestResponse;

pub struct Case<'a> {
    pub lab: &'a Lab,
    config: String,
    pub window: bool,
    /// Whether the project has a verifier.
    pub verifies: bool,
    pub accounts: Vec<Model>,
}

/// Runs a sequence.
pub async fn case(lab: &Lab, window: bool, steps: &[Step]) {
    lab.provider().calm();
    let reuse =
        if window { std::time::Duration::from_secs(3600) } else { std::time::Duration::ZERO };
    lab.provider().book().rules.reuse_window = reuse;
    lab.verify(false).await;
    let config = lab.config().await;
    let mut case = Case { lab, config, window, verifies: false, accounts: Vec::new() };
    case.initiate(0).await;
    case.check(&"the beginning").await;
    for step in steps {
        case.step(step).await;
        lab.provider().calm();
        lab.time_passes().await;
        case.check(&step).await;
    }
    case.end().await;
}

fn fault(luck: Luck) -> Option<Fault> {
    match luck {
        Luck::Good => None,
        Luck::Refused => Some(Fault::json(400, &json!({"error": "invalid_grant"}))),
        Luck::Down => Some(Fault::text(503, "down")),
        Luck::Lost => Some(Fault::DropAfter),
    }
}

/// What a call may answer: nothing of it is ever the server's own failure.
#[track_caller]
pub fn decent(answer: &TestResponse) {
    let fine = answer.status < 500 || answer.status == 503;
    assert!(fine, "{} {}", answer.status, answer.text);
}

impl<'a> Case<'a> {
    fn patch_path(&self, at: usize) -> String {
        format!("/api/v3/connected_accounts/{}", self.accounts[at].id)
    }

    async fn initiate(&mut self, via: usize) {
        let body = json!({"auth_config": {"id": self.config}, "connection": {"user_id": "u"}});
        let made = self.lab.post(via, "/api/v3/connected_accounts", body).await.expect(201);
        let mut model = Model::new(made["id"].as_str().unwrap().to_owned());
        let url = made["redirect_url"].as_str().unwrap().parse().unwrap();
        model.attempts.push(Attempt { url, alive: true });
        self.accounts.push(model);
    }

    async fn link(&mut self, via: usize) {
        let body = json!({"auth_config_id": self.config, "user_id": "u"});
        let made = self.lab.post(via, "/api/v3/connected_accounts/link", body).await.expect(201);
        let mut model = Model::new(made["connected_account_id"].as_str().unwrap().to_owned());
        let token = made["link_token"].as_str().unwrap().to_owned();
        model.links.push(Link { token, alive: true });
        self.accounts.push(model);
    }

    async fn step(&mut self, step: &Step) {
        let at = step.account % self.accounts.len();
        match &step.op {
            Op::Race(slow, luck, then) => self.race(at, step.via, *slow, *luck, then).await,
            Op::Crash(slow, point) => self.crash(at, step.via, *slow, *point).await,
            op => self.quick(at, step.via, op).await,
        }
    }

    pub async fn quick(&mut self, at: usize, via: usize, op: &Op) {
        let lab = self.lab;
        match *op {
            Op::Initiate if self.accounts.len() < 2 => self.initiate(via).await,
            Op::Link if self.accounts.len() < 2 => self.link(via).await,
            Op::Initiate | Op::Link => {}
            Op::Submit(n) => self.submit(at, via, n).await,
            Op::Callback(n, back, luck) => self.callback(at, via, n, back, luck).await,
            Op::Verify(on) => {
                lab.verify(on).await;
                self.verifies = on;
            }
            Op::Complete { session, is_user, luck } => {
                self.complete(at, via, session, is_user, luck).await;
            }
            Op::Forged => {
                let forged = format!("st_{}_{}", "A".repeat(12), "b".repeat(32));
                let pairs = [("state", forged.as_str()), ("code", "code-1")];
                let answer = lab.callback(via, &pairs).await.unwrap();
                assert!((400..500).contains(&answer.status), "{}", answer.text);
            }
            Op::Disable => self.switch(at, via, false).await,
            Op::Enable => self.switch(at, via, true).await,
            Op::Refresh(luck) => self.refresh(at, via, luck).await,
            Op::Execute(luck) => self.execute(at, via, luck).await,
            Op::Patch { refreshes } => self.patch(at, via, refreshes).await,
            Op::Alias => {
                let path = self.patch_path(at);
                let body = json!({"alias": self.accounts[at].id});
                let answer = lab.send(via, Method::PATCH, &path, Some(body)).await;
                self.found(at, &answer);
            }
            Op::Delete => {
                let answer = lab.send(via, Method::DELETE, &self.patch_path(at), None).await;
                self.found(at, &answer);
                self.accounts[at].go(Status::Deleted);
            }
            Op::Revoke => {
                let answer =
                    lab.post(via, &format!("{}/revoke", self.patch_path(at)), json!({})).await;
                let model = &mut self.accounts[at];
                let expected = match model.status {
                    Status::Active | Status::Inactive | Status::Expired | Status::Revoked => 200,
                    // Nothing was granted yet.
                    Status::Initiated | Status::Failed => 409,
                    Status::Deleted => 404,
                };
                assert_eq!(answer.status, expected, "{}", answer.text);
                if expected == 200 {
                    model.go(Status::Revoked);
                    model.tokens = None;
                }
            }
            Op::AttemptEnds(noticed) => {
                let id = self.accounts[at].id.clone();
                lab.sql(
                    "update connected_account set attempt_expires_at = now() - interval '1 second'
                     where id = $1 and attempt_expires_at is not null",
                    &id,
                )
                .await;
                lab.sql(
                    "update connect_token set expires_at = now() - interval '1 second'
                     where account_id = $1",
                    &id,
                )
                .await;
                if noticed {
                    lab.worker_expires().await;
                }
                let model = &mut self.accounts[at];
                if model.status == Status::Initiated {
                    model.go(Status::Expired);
                }
                model.attempts_end();
            }
            Op::TokenEnds => {
                lab.sql(
                    "update connected_account set token_expires_at = now() - interval '1 second'
                     where id = $1 and token_expires_at is not null",
                    &self.accounts[at].id,
                )
                .await;
                if let Some(tokens) = &mut self.accounts[at].tokens {
                    tokens.ended = true;
                }
            }
            Op::AccessDies => {
                if let Some(tokens) = &mut self.accounts[at].tokens {
                    lab.provider().book().end_access(tokens.grant);
                    tokens.refused = true;
                }
            }
            Op::GrantDies => {
                if let Some(tokens) = &mut self.accounts[at].tokens {
                    lab.provider().book().end(tokens.grant, "the person took it back");
                    tokens.dead = true;
                }
            }
            Op::Race(..) | Op::Crash(..) => unreachable!("these hold quick ones"),
        }
    }

    /// 200 for an account that is there, 404 for one that was deleted.
    #[track_caller]
    fn found(&self, at: usize, answer: &TestResponse) {
        let status = if self.accounts[at].status == Status::Deleted { 404 } else { 200 };
        assert_eq!(answer.status, status, "{}", answer.text);
    }

    async fn submit(&mut self, at: usize, via: usize, n: usize) {
        let model = &mut self.accounts[at];
        if model.links.is_empty() {
            return;
        }
        let link = &model.links[n % model.links.len()];
        let answer = self.lab.submit(via, &link.token).await;
        if link.alive && model.status == Status::Initiated {
            assert_eq!(answer.status, 303, "{}", answer.text);
            let url = answer.headers["location"].to_str().unwrap().parse().unwrap();
            model.attempts.push(Attempt { url, alive: true });
        } else {
            assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text);
        }
    }

    /// The parameters of a browser that comes back.
    pub fn pairs(&self, at: usize, which: usize, back: Back) -> Vec<(&'static str, String)> {
        let url = &self.accounts[at].attempts[which].url;
        let mut pairs = vec![("state", state_of(url))];
        match back {
            Back::Code => pairs.push(("code", self.lab.provider().consent(url))),
            Back::WrongCode => pairs.push(("code", "code-wrong".into())),
            Back::Denied => pairs.push(("error", "access_denied".into())),
            Back::Nothing => {}
        }
        pairs
    }

    async fn callback(&mut self, at: usize, via: usize, n: usize, back: Back, luck: Luck) {
        if self.accounts[at].attempts.is_empty() {
            return;
        }
        let which = n % self.accounts[at].attempts.len();
        let pairs = self.pairs(at, which, back);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let defers = self.verifies && matches!(back, Back::Code | Back::WrongCode);
        if let Some(fault) = fault(luck).filter(|_| !defers) {
            self.lab.provider().next_exchange(fault);
        }
        let answer = self.lab.callback(via, &pairs).await.unwrap();
        let model = &mut self.accounts[at];
        if !model.attempts[which].alive {
            assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text);
            return;
        }
        model.attempts[which].alive = false;
        if defers {
            // The project's own page decides: nothing else happens.
            assert_eq!(answer.status, 303, "{}", answer.text);
            let to: url::Url = answer.headers["location"].to_str().unwrap().parse().unwrap();
            assert!(to.as_str().starts_with(VERIFIER) && !to.as_str().contains("code-"), "{to}");
            let uri = to.query_pairs().find(|(n, _)| n == "session_uri").unwrap().1.into_owned();
            model.sessions.push(Session { uri, is_good: back == Back::Code, alive: true });
        } else if back == Back::Code && luck == Luck::Good {
            model.works(Tokens::new(self.lab.provider().book().grants() - 1, true));
            model.attempts_end();
        } else {
            model.attempt_fails();
        }
    }

    /// The project's verifier says whose browser it was.
    async fn complete(&mut self, at: usize, via: usize, n: usize, is_user: bool, luck: Luck) {
        if self.accounts[at].sessions.is_empty() {
            return;
        }
        let which = n % self.accounts[at].sessions.len();
        let session = self.accounts[at].sessions[which].clone();
        let asks = session.alive && is_user;
        if let Some(fault) = fault(luck).filter(|_| asks) {
            self.lab.provider().next_exchange(fault);
        }
        let user = if is_user { "u" } else { "somebody else" };
        let answer = self.lab.complete(via, &session.uri, user).await.unwrap();
        let model = &mut self.accounts[at];
        if !asks {
            // Somebody else does not even use it up.
            assert_eq!(answer.status, 404, "{}", answer.text);
            return;
        }
        model.sessions[which].alive = false;
        if session.is_good && luck == Luck::Good {
            assert_eq!(answer.expect(200)["connected_account_id"], model.id);
            model.works(Tokens::new(self.lab.provider().book().grants() - 1, true));
            model.attempts_end();
        } else {
            assert_eq!(answer.status, 400, "{}", answer.text);
            model.attempt_fails();
        }
    }

    async fn switch(&mut self, at: usize, via: usize, enabled: bool) {
        let path = format!("{}/status", self.patch_path(at));
        let body = json!({"enabled": enabled});
        let answer = self.lab.send(via, Method::PATCH, &path, Some(body)).await;
        self.found(at, &answer);
        let model = &mut self.accounts[at];
        model.disabled = !enabled;
        match (enabled, model.status) {
            (false, Status::Active) => model.go(Status::Inactive),
            (true, Status::Inactive) => model.go(Status::Active),
            _ => {}
        }
    }

    async fn patch(&mut self, at: usize, via: usize, refreshes: bool) {
        let issued = self.lab.provider().book().grant("https://elsewhere.example");
        let mut val = json!({"access_token": issued.access, "expires_in": 3600});
        if refreshes {
            val["refresh_token"] = issued.refresh.unwrap().into();
        } else {
            val["refresh_token"] = "".into();
        }
        let body = json!({"connection": {"state": {"authScheme": "OAUTH2", "val": val}}});
        let answer = self.lab.send(via, Method::PATCH, &self.patch_path(at), Some(body)).await;
        self.found(at, &answer);
        if self.accounts[at].status != Status::Deleted {
            self.accounts[at].works(Tokens::new(issued.grant, refreshes));
        }
    }

    /// The provider is asked for new tokens: what becomes of the account.
    fn asked(&mut self, at: usize, luck: Luck) {
        let window = self.window;
        let model = &mut self.accounts[at];
        let tokens = model.tokens.as_mut().expect("there is something to refresh with");
        match luck {
            Luck::Refused => model.go(Status::Expired),
            Luck::Down => {}
            // A spent token that is used again ends the grant.
            _ if tokens.dead || tokens.spent => {
                tokens.dead = true;
                model.go(Status::Expired);
            }
            Luck::Good => (tokens.ended, tokens.refused) = (false, false),
            Luck::Lost => tokens.spent = !window,
        }
    }

    async fn refresh(&mut self, at: usize, via: usize, luck: Luck) {
        let model = self.accounts[at].clone();
        if let Some(fault) = fault(luck).filter(|_| model.refreshable()) {
            self.lab.provider().next([fault]);
        }
        let dead = model.tokens.as_ref().is_some_and(|t| t.dead || t.spent);
        let answer = self.lab.refresh(via, &model.id).await.unwrap();
        decent(&answer);
        if model.status == Status::Deleted {
            assert_eq!(answer.status, 404);
        } else if model.refreshable() {
            self.asked(at, luck);
            let expected = match luck {
                Luck::Refused => 400,
                Luck::Down => 503,
                // A grant that is over is refused before its answer can get lost.
                _ if dead => 400,
                Luck::Lost => 503,
                Luck::Good => 200,
            };
            assert_eq!(answer.status, expected, "{}", answer.text);
        } else if model.may_begin_again() {
            let url = answer.expect(200)["redirect_url"].as_str().unwrap().parse().unwrap();
            let model = &mut self.accounts[at];
            model.attempts.push(Attempt { url, alive: true });
            if model.status != Status::Active {
                model.go(Status::Initiated);
            }
        } else {
            assert_eq!(answer.status, 400, "{}", answer.text);
        }
    }

    async fn execute(&mut self, at: usize, via: usize, luck: Luck) {
        let model = self.accounts[at].clone();
        if let Some(fault) = fault(luck).filter(|_| model.asks()) {
            self.lab.provider().next([fault]);
        }
        self.lab.look_again();
        let answer = self.lab.execute(via, &model.id).await.unwrap();
        decent(&answer);
        if model.asks() {
            self.asked(at, luck);
        } else if let (Status::Active, Some(tokens)) = (model.status, &model.tokens)
            && tokens.ended
        {
            // It ended, and there is nothing to refresh it with.
            self.accounts[at].go(Status::Expired);
        }
        let now = &self.accounts[at];
        let tokens = now.tokens.as_ref();
        let works = now.status == Status::Active
            && tokens.is_some_and(|t| !t.ended && !t.refused && !t.dead);
        assert_eq!(usable(&answer), works, "{} {}", answer.status, answer.text);
    }

    /// Every account is what the model says, and whole in itself.
    async fn check(&self, after: &dyn std::fmt::Debug) {
        for model in &self.accounts {
            let answer = self.lab.get(&model.id).await;
            if model.status == Status::Deleted {
                assert_eq!(answer.status, 404, "after {after:?}: deleted stays deleted");
                assert!(self.lab.is_wiped(&model.id).await, "after {after:?}: not wiped");
                continue;
            }
            let account = answer.expect(200);
            let reason = account["status_reason"].as_str().unwrap_or_default();
            assert_eq!(
                account["status"],
                model.status.wire(),
                "after {after:?}: {reason:?} {model:?}"
            );
            assert_eq!(account["is_disabled"], model.disabled, "after {after:?}");
            let needs_reason = matches!(model.status, Status::Expired | Status::Failed);
            if needs_reason {
                assert!(
                    !reason.is_empty(),
                    "after {after:?}: {} without a reason",
                    model.status.wire()
                );
            }
            if matches!(model.status, Status::Active | Status::Initiated) {
                assert_eq!(reason, "", "after {after:?}: a reason of the past");
            }
            let events = self.lab.events(&model.id).await;
            assert_eq!(events.len(), model.lapses, "after {after:?}: {events:?}");
            for event in &events {
                assert_eq!(event["type"], "composio.connected_account.expired");
                assert_eq!(event["data"]["id"], model.id);
                assert!(event["data"]["status_reason"].as_str().is_some_and(|r| !r.is_empty()));
                let text = event.to_string();
                assert!(!text.contains("at-") && !text.contains("rt-"), "a token: {event}");
            }
        }
    }

    /// What is ACTIVE works, or says that it does not when it is used.
    async fn end(&mut self) {
        for at in 0..self.accounts.len() {
            self.execute(at, 0, Luck::Good).await;
            self.quick(at, 0, &Op::TokenEnds).await;
            self.execute(at, 1, Luck::Good).await;
        }
        self.lab.time_passes().await;
        self.check(&"the end").await;
    }
}
