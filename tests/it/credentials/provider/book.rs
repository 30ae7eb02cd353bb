//! What the provider knows: grants, tokens, and every use of a refresh token.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use patchbay::domain::id::random_text;

/// How the provider treats refresh tokens.
#[derive(Clone, Debug)]
pub struct Rules {
    /// A refresh gives a new refresh token, and the old one is over.
    pub rotate: bool,
    /// How long after its first use a rotated token still works; afterwards its use revokes the
    /// whole grant, as RFC 9700 wants it.
    pub reuse_window: Duration,
    /// Lifetime of access tokens, as the answer says it.
    pub expires_in: Option<serde_json::Value>,
    /// Lifetime of access tokens at the API.
    pub lifetime: Duration,
    /// Whether a refresh has to carry the `redirect_uri` of the grant, or must not.
    pub redirect_uri: Redirect,
    /// Scopes that refreshed tokens have.
    pub refreshed_scope: Option<&'static str>,
}

/// Whether a refresh carries a `redirect_uri`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    Ignored,
    Required,
    Forbidden,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rotate: true,
            reuse_window: Duration::ZERO,
            expires_in: Some(3600.into()),
            lifetime: Duration::from_secs(3600),
            redirect_uri: Redirect::Ignored,
            refreshed_scope: None,
        }
    }
}

/// How the use of a refresh token went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first use.
    First,
    /// A further use of a token that does not rotate, or within the window.
    Again,
    /// A further use after the window: the grant is revoked.
    Reuse,
    /// Nobody knows the token, or its grant is over.
    Dead,
    /// The request was wrong in another way.
    Wrong,
}

/// One use of a refresh token.
#[derive(Clone, Debug)]
pub struct Use {
    /// Position among all uses.
    pub order: usize,
    pub at: Instant,
    /// Who asked: the first segment of the token endpoint's path.
    pub client: String,
    pub token: String,
    pub grant: usize,
    pub verdict: Verdict,
}

pub struct Code {
    pub redirect_uri: String,
    pub challenge: Option<String>,
    pub client_id: String,
}

struct Grant {
    redirect_uri: String,
    /// Why it is over.
    over: Option<&'static str>,
}

struct Refresh {
    grant: usize,
    used: Option<Instant>,
}

struct Access {
    grant: usize,
    ends: Instant,
}

/// Tokens of an answer.
pub struct Issued {
    pub grant: usize,
    pub access: String,
    pub refresh: Option<String>,
}

#[derive(Default)]
pub struct Book {
    pub rules: Rules,
    pub codes: HashMap<String, Code>,
    grants: Vec<Grant>,
    refresh: HashMap<String, Refresh>,
    access: HashMap<String, Access>,
    uses: Vec<Use>,
}

impl Book {
    /// The person said yes.
    pub fn grant(&mut self, redirect_uri: &str) -> Issued {
        self.grants.push(Grant { redirect_uri: redirect_uri.to_owned(), over: None });
        self.issue(self.grants.len() - 1, true)
    }

    fn issue(&mut self, grant: usize, with_refresh: bool) -> Issued {
        let access = format!("at-{grant}-{}", random_text(16));
        let ends = Instant::now() + self.rules.lifetime;
        self.access.insert(access.clone(), Access { grant, ends });
        let refresh = with_refresh.then(|| {
            let token = format!("rt-{grant}-{}", random_text(16));
            self.refresh.insert(token.clone(), Refresh { grant, used: None });
            token
        });
        Issued { grant, access, refresh }
    }

    /// A refresh token is presented.
    pub fn refresh(
        &mut self,
        client: &str,
        token: &str,
        redirect_uri: Option<&str>,
    ) -> Result<Issued, Verdict> {
        let at = Instant::now();
        let (grant, verdict) = self.judge(token, redirect_uri, at);
        let order = self.uses.len();
        let (client, token) = (client.to_owned(), token.to_owned());
        self.uses.push(Use { order, at, client, token, grant, verdict });
        match verdict {
            Verdict::First | Verdict::Again => Ok(self.issue(grant, self.rules.rotate)),
            Verdict::Reuse => {
                self.end(grant, "a refresh token was used twice");
                Err(verdict)
            }
            Verdict::Dead | Verdict::Wrong => Err(verdict),
        }
    }

    fn judge(&mut self, token: &str, redirect: Option<&str>, at: Instant) -> (usize, Verdict) {
        let Some(known) = self.refresh.get_mut(token) else { return (usize::MAX, Verdict::Dead) };
        let grant = &self.grants[known.grant];
        let wrong = match self.rules.redirect_uri {
            Redirect::Ignored => false,
            Redirect::Required => redirect != Some(grant.redirect_uri.as_str()),
            Redirect::Forbidden => redirect.is_some(),
        };
        let verdict = match known.used {
            _ if wrong => Verdict::Wrong,
            _ if grant.over.is_some() => Verdict::Dead,
            None => {
                known.used = Some(at);
                Verdict::First
            }
            Some(_) if !self.rules.rotate => Verdict::Again,
            Some(first) if at - first <= self.rules.reuse_window => Verdict::Again,
            Some(_) => Verdict::Reuse,
        };
        (known.grant, verdict)
    }

    /// Ends a grant with all its tokens.
    pub fn end(&mut self, grant: usize, why: &'static str) {
        self.grants[grant].over.get_or_insert(why);
    }

    /// Ends the access tokens of a grant, long before their time.
    pub fn end_access(&mut self, grant: usize) {
        self.access.retain(|_, known| known.grant != grant);
    }

    /// The grant of a token, access or refresh.
    pub fn grant_of(&self, token: &str) -> Option<usize> {
        let refresh = self.refresh.get(token).map(|known| known.grant);
        refresh.or_else(|| self.access.get(token).map(|known| known.grant))
    }

    /// The grant that an access token opens now.
    pub fn opens(&self, token: &str) -> Option<usize> {
        let known = self.access.get(token).filter(|known| known.ends > Instant::now())?;
        self.grants[known.grant].over.is_none().then_some(known.grant)
    }

    /// Whether a refresh token was used and is over.
    pub fn was_used(&self, token: &str) -> bool {
        self.rules.rotate && self.refresh.get(token).is_some_and(|known| known.used.is_some())
    }

    pub fn why_over(&self, grant: usize) -> Option<&'static str> {
        self.grants[grant].over
    }

    /// Number of grants.
    pub fn grants(&self) -> usize {
        self.grants.len()
    }

    /// Every use of a refresh token, in order.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Uses of a token that was used before, each with that first use.
    pub fn repeated(&self) -> Vec<(Use, Use)> {
        let mut first: HashMap<&str, &Use> = HashMap::new();
        let mut found = Vec::new();
        for use_ in &self.uses {
            match first.get(use_.token.as_str()) {
                Some(earlier) => found.push(((*earlier).clone(), use_.clone())),
                None => {
                    first.insert(&use_.token, use_);
                }
            }
        }
        found
    }

    /// Was a refresh token used twice outside of the reuse window? These uses were.
    pub fn reused(&self) -> Vec<Use> {
        let window = self.rules.reuse_window;
        let repeated = self.repeated().into_iter();
        repeated.filter(|(first, again)| again.at - first.at > window).map(|(_, u)| u).collect()
    }
}

#[test]
fn a_token_works_again_within_the_window_and_ends_the_grant_after_it() {
    let mut book = Book::default();
    book.rules.reuse_window = Duration::from_secs(3600);
    let first = book.grant("https://here.example").refresh.unwrap();
    let second = book.refresh("a", &first, None).ok().unwrap();
    assert!(book.refresh("b", &first, None).is_ok());
    assert_eq!((book.repeated().len(), book.reused().len()), (1, 0));
    book.rules.reuse_window = Duration::ZERO;
    assert_eq!(book.refresh("c", &first, None).err(), Some(Verdict::Reuse));
    assert_eq!(book.reused().last().unwrap().client, "c");
    let token = second.refresh.unwrap();
    assert_eq!(book.refresh("d", &token, None).err(), Some(Verdict::Dead));
    assert_eq!(book.opens(&second.access), None);
}
