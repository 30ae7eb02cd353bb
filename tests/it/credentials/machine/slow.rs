//! What happens while the provider thinks, and when a server dies meanwhile.

use serde_json::json;

use super::super::provider::{Fault, Point};
use super::model::{Model, Status, Tokens};
use super::run::{Case, decent};
use super::{Back, Luck, Op, Slow};
use crate::support::client::TestResponse;

impl<'a> Case<'a> {
    /// The attempt or the session that something slow would finish.
    fn finishes(&self, at: usize, slow: Slow) -> Option<usize> {
        let model = &self.accounts[at];
        match slow {
            Slow::Callback if self.verifies => None,
            Slow::Callback => model.attempts.iter().position(|a| a.alive),
            Slow::Complete => model.sessions.iter().position(|s| s.alive && s.is_good),
            Slow::Refresh | Slow::Execute => None,
        }
    }

    /// Whether something slow would ask the provider.
    fn would_ask(&self, at: usize, slow: Slow) -> bool {
        let model = &self.accounts[at];
        match slow {
            Slow::Refresh => model.refreshable(),
            Slow::Execute => model.asks() && model.tokens.as_ref().is_some_and(|t| t.ended),
            Slow::Callback | Slow::Complete => self.finishes(at, slow).is_some(),
        }
    }

    /// Begins something slow in the background.
    fn begin(
        &self,
        at: usize,
        via: usize,
        slow: Slow,
    ) -> impl Future<Output = Option<TestResponse>> + use<'a> {
        let model = &self.accounts[at];
        let (mut pairs, mut session) = (Vec::new(), String::new());
        match (slow, self.finishes(at, slow)) {
            (Slow::Callback, Some(which)) => pairs = self.pairs(at, which, Back::Code),
            (Slow::Complete, Some(which)) => session.clone_from(&model.sessions[which].uri),
            _ => {}
        }
        let (lab, id) = (self.lab, model.id.clone());
        lab.look_again();
        async move {
            match slow {
                Slow::Refresh => lab.refresh(via, &id).await,
                Slow::Execute => lab.execute(via, &id).await,
                Slow::Callback => {
                    let pairs: Vec<_> = pairs.iter().map(|(k, v)| (*k, v.as_str())).collect();
                    lab.callback(via, &pairs).await
                }
                Slow::Complete => lab.complete(via, &session, "u").await,
            }
        }
    }

    pub async fn race(&mut self, at: usize, via: usize, slow: Slow, luck: Luck, then: &Op) {
        // What would ask the provider too, or wait for the first, is not a race of two.
        let waits = match then {
            Op::Refresh(_) => self.accounts[at].refreshable(),
            Op::Execute(_) => self.accounts[at].asks(),
            Op::Callback(..) | Op::Complete { .. } => slow.connects(),
            _ => false,
        };
        if waits || !self.would_ask(at, slow) {
            return self.quick(at, via, then).await;
        }
        let provider = self.lab.provider().clone();
        provider.close_gate();
        let held = match luck {
            Luck::Refused => {
                Fault::HeldThen(Box::new(Fault::json(400, &json!({"error": "invalid_grant"}))))
            }
            _ => Fault::Held,
        };
        if slow.connects() {
            provider.next_exchange(held)
        } else {
            provider.next([held])
        }
        let before = self.accounts[at].clone();
        let which = self.finishes(at, slow);
        let first = self.begin(at, via, slow);
        let lab = self.lab;
        let second = async {
            provider.holds(1).await;
            // What it finishes is used up, and so out of the race.
            self.accounts[at].used_up(slow, which);
            self.quick(at, via + 1, then).await;
            lab.look_again();
            provider.open_gate();
        };
        let (answer, ()) = tokio::join!(first, second);
        decent(&answer.expect("no server crashed"));
        lab.look_again();
        let refused = luck == Luck::Refused;
        match slow {
            Slow::Callback | Slow::Complete => self.attempt_lands(at, refused),
            _ => self.refresh_lands(at, &before, refused),
        }
    }

    /// A refresh that was held comes to its end.
    fn refresh_lands(&mut self, at: usize, before: &Model, refused: bool) {
        let model = &mut self.accounts[at];
        let (Some(was), Some(tokens)) = (&before.tokens, &mut model.tokens) else { return };
        // Whoever brought other tokens meanwhile wins, and so does whoever deleted.
        if tokens.grant != was.grant || model.status == Status::Deleted {
            return;
        }
        if refused || tokens.dead || tokens.spent {
            tokens.dead |= !refused;
            if model.status == Status::Active {
                model.go(Status::Expired);
            }
            return;
        }
        if matches!(model.status, Status::Active | Status::Inactive) {
            (tokens.ended, tokens.refused) = (false, false);
        }
    }

    /// An exchange of a code that was held comes to its end.
    fn attempt_lands(&mut self, at: usize, refused: bool) {
        let grant = self.lab.provider().book().grants() - 1;
        let model = &mut self.accounts[at];
        match (model.status, refused) {
            (Status::Deleted | Status::Revoked, _) => {}
            (_, true) => model.attempt_fails(),
            (_, false) => {
                model.works(Tokens::new(grant, true));
                model.attempts_end();
            }
        }
    }

    pub async fn crash(&mut self, at: usize, via: usize, slow: Slow, point: Point) {
        let lab = self.lab;
        if !self.would_ask(at, slow) {
            return lab.replace(via).await;
        }
        let which = self.finishes(at, slow);
        let before = lab.opened(&self.accounts[at].id).await.expect("it is there");
        lab.crash_at(via, point);
        let answer = self.begin(at, via, slow).await;
        lab.provider().calm();
        lab.replace(via).await;
        lab.time_passes().await;
        // A commit that was on its way arrives.
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        lab.look_again();
        drop(answer);
        let now = lab.opened(&self.accounts[at].id).await.expect("a crash deletes nothing");
        let book = lab.provider().book();
        let model = &mut self.accounts[at];
        if slow.connects() {
            model.used_up(slow, which);
            // Everything was stored, or nothing.
            if now.state.text("access_token") != before.state.text("access_token") {
                let token = now.state.text("refresh_token").expect("one comes with each code");
                let grant = book.grant_of(token).expect("the provider's token");
                model.works(Tokens::new(grant, true));
                model.attempts_end();
            }
            return;
        }
        let tokens = model.tokens.as_mut().unwrap();
        // Not by the access token: the provider may have forgotten it before.
        let refresh = now.state.text("refresh_token").unwrap();
        assert_eq!(book.grant_of(refresh), Some(tokens.grant));
        if book.why_over(tokens.grant).is_some() {
            // Refused; whether that was stored before the end, is up to the moment.
            assert!(tokens.dead || tokens.spent, "{now:?}");
            tokens.dead = true;
            if now.status.as_str() == "EXPIRED" {
                model.go(Status::Expired);
            }
        } else if book.was_used(refresh) {
            // The answer died with the server.
            tokens.spent |= !self.window;
        } else {
            (tokens.ended, tokens.refused) = (false, false);
        }
    }
}
