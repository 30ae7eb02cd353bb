//! What docs/CREDENTIALS.md says about an account, as far as it can be foreseen.

use url::Url;

use super::Slow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Initiated,
    Active,
    Failed,
    Expired,
    Inactive,
    Revoked,
    Deleted,
}

use Status::{Active, Deleted, Expired, Failed, Inactive, Initiated, Revoked};

impl Status {
    pub fn wire(self) -> &'static str {
        match self {
            Initiated => "INITIATED",
            Active => "ACTIVE",
            Failed => "FAILED",
            Expired => "EXPIRED",
            Inactive => "INACTIVE",
            Revoked => "REVOKED",
            Deleted => "(deleted)",
        }
    }
}

/// Every move of "States of an account". Whatever is not here does not happen.
const MOVES: &[(Status, Status)] = &[
    (Initiated, Active),
    (Initiated, Inactive),
    (Initiated, Failed),
    (Initiated, Expired),
    (Active, Inactive),
    (Inactive, Active),
    (Active, Expired),
    (Active, Revoked),
    (Inactive, Revoked),
    (Expired, Revoked),
    (Failed, Initiated),
    (Expired, Initiated),
    (Revoked, Initiated),
    // An attempt that began before, or new credentials from the developer.
    (Expired, Active),
    (Expired, Inactive),
    (Failed, Active),
    (Failed, Inactive),
    (Revoked, Active),
    (Revoked, Inactive),
];

/// A state that the browser may bring back.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub url: Url,
    pub alive: bool,
}

#[derive(Clone, Debug)]
pub struct Link {
    pub token: String,
    pub alive: bool,
}

/// A provider's answer that waits for the project's verifier.
#[derive(Clone, Debug)]
pub struct Session {
    pub uri: String,
    /// Whether the provider will take its code.
    pub is_good: bool,
    pub alive: bool,
}

/// The tokens that an account has.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub grant: usize,
    pub refreshes: bool,
    /// The server takes the access token for ended.
    pub ended: bool,
    /// The provider's API does not take the access token.
    pub refused: bool,
    /// The refresh token was used and its answer was lost: it will not be taken again.
    pub spent: bool,
    /// The grant is over, with both tokens.
    pub dead: bool,
}

impl Tokens {
    pub fn new(grant: usize, refreshes: bool) -> Self {
        Self { grant, refreshes, ended: false, refused: false, spent: false, dead: false }
    }
}

#[derive(Clone, Debug)]
pub struct Model {
    pub id: String,
    pub status: Status,
    pub disabled: bool,
    pub attempts: Vec<Attempt>,
    pub links: Vec<Link>,
    pub sessions: Vec<Session>,
    pub tokens: Option<Tokens>,
    /// Times that a working account was lost.
    pub lapses: usize,
}

impl Model {
    pub fn new(id: String) -> Self {
        Self {
            id,
            status: Initiated,
            disabled: false,
            attempts: Vec::new(),
            links: Vec::new(),
            sessions: Vec::new(),
            tokens: None,
            lapses: 0,
        }
    }

    pub fn go(&mut self, to: Status) {
        let known = self.status == to || to == Deleted || MOVES.contains(&(self.status, to));
        assert!(
            known,
            "the model itself wants {:?} -> {to:?}, which is not documented",
            self.status
        );
        if self.status == Active && to == Expired {
            self.lapses += 1;
        }
        self.status = to;
        if to == Deleted || to == Revoked {
            self.attempts_end();
        }
    }

    /// No browser can finish anything any more, and no verifier.
    pub fn attempts_end(&mut self) {
        self.attempts.iter_mut().for_each(|a| a.alive = false);
        self.links.iter_mut().for_each(|l| l.alive = false);
        self.sessions.iter_mut().for_each(|s| s.alive = false);
    }

    /// What something slow finishes works once.
    pub fn used_up(&mut self, slow: Slow, which: Option<usize>) {
        match (slow, which) {
            (Slow::Callback, Some(which)) => self.attempts[which].alive = false,
            (Slow::Complete, Some(which)) => self.sessions[which].alive = false,
            _ => {}
        }
    }

    /// New tokens: the account works, unless it is switched off.
    pub fn works(&mut self, tokens: Tokens) {
        self.tokens = Some(tokens);
        self.go(if self.disabled { Inactive } else { Active });
    }

    /// A browser came back with an error, or its code was not taken.
    pub fn attempt_fails(&mut self) {
        if self.status == Initiated {
            self.go(Failed);
            self.attempts_end();
        }
    }

    /// Whether a use asks the provider for new tokens.
    pub fn asks(&self) -> bool {
        let tokens = self.tokens.as_ref().filter(|t| t.refreshes);
        self.status == Active && tokens.is_some_and(|t| t.ended || t.refused || t.dead)
    }

    /// Whether the manual refresh asks the provider, rather than the person.
    pub fn refreshable(&self) -> bool {
        self.status == Active && self.tokens.as_ref().is_some_and(|t| t.refreshes)
    }

    pub fn may_begin_again(&self) -> bool {
        !self.disabled && self.status != Deleted && self.status != Inactive
    }
}
