//! Tokens that are made of stored secrets: an assertion that is signed, requests before the token.

mod answer;

use serde_json::{Map, Value};

use self::answer::Read;
use super::jwt;
use super::oauth2::{TokenFailure, TokenSet, clean};
use crate::catalog::fields::{config_fields, connect_fields};
use crate::catalog::model::AuthScheme;
use crate::catalog::{LoginScope, Toolkit};
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::id::random_text;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::time::now;
use crate::net::Client;

/// Longest time for one request of a login.
const CALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// Fewest characters of a value that is taken out of a provider's text.
const SHORTEST_SECRET: usize = 4;

/// A login for one connection.
pub struct Login<'a> {
    toolkit: &'a Toolkit,
    plan: &'a crate::catalog::Login,
    kind: AuthSchemeKind,
    cred: Map<String, Value>,
    conn: Map<String, Value>,
    scopes: String,
}

impl<'a> Login<'a> {
    /// The login of a connection with these fields; none when its scheme has none, or when a field
    /// that it needs is not there (a connection that was imported with its token).
    pub fn of(
        toolkit: &'a Toolkit,
        kind: AuthSchemeKind,
        config: Option<&AuthConfig>,
        state: &SecretMap,
    ) -> Option<Self> {
        let scheme = toolkit.scheme(kind)?;
        let plan = toolkit.login(kind)?;
        let mut cred = Map::new();
        if let Some(config) = config {
            cred.extend(config.credentials.0.clone());
            cred.extend(config.shared_credentials.0.clone());
        }
        cred.extend(state.0.clone());
        let fields = connect_fields(scheme).into_iter().chain(config_fields(scheme));
        let mut conn = Map::new();
        for field in fields {
            let held = cred.get(&field.name).is_some_and(|v| !v.is_null() && v != "");
            match (held, field.default) {
                (false, Some(default)) => {
                    cred.insert(field.name.clone(), default.into());
                }
                (false, None) if field.required => return None,
                _ => {}
            }
            if let (false, Some(value)) = (field.secret, cred.get(&field.name)) {
                conn.insert(field.name, value.clone());
            }
        }
        let scopes = scopes(scheme, &cred);
        Some(Self { toolkit, plan, kind, cred, conn, scopes })
    }

    /// Logs in, once.
    ///
    /// # Errors
    /// See [`TokenFailure`]; the text holds no secret.
    pub async fn run(&self, net: &Client) -> Result<TokenSet, TokenFailure> {
        if self.kind == AuthSchemeKind::GoogleServiceAccount {
            self.check_google().map_err(TokenFailure::Over)?;
        }
        let mut scope = LoginScope {
            cred: self.cred.clone(),
            conn: self.conn.clone(),
            values: Map::from_iter([
                ("scopes".to_owned(), self.scopes.clone().into()),
                ("now".to_owned(), now().timestamp().into()),
                ("uuid".to_owned(), uuid().into()),
                ("headers".to_owned(), Value::Object(Map::new())),
            ]),
        };
        // What cannot be made of these fields cannot be made of them later.
        let refused = |problem: String| TokenFailure::Over(self.clean(&problem, &[]));
        let mut signed_until = None;
        let mut own = Vec::new();
        if let Some(unsigned) = self.plan.assertion(&scope, now().timestamp()).map_err(refused)? {
            let signed = jwt::sign(&unsigned).map_err(refused)?;
            signed_until = Some(unsigned.exp);
            own.push(signed.clone());
            scope.values.insert("assertion".into(), signed.into());
        }
        for step in 0..self.plan.steps() {
            self.step(net, step, &mut scope, &own).await?;
        }
        let done = self.plan.logged_in(&scope).map_err(|problem| {
            TokenFailure::unavailable(format!("{problem} where it should be"), None)
        })?;
        let stated = answer::lifetime(done.expires_in.as_ref(), done.expires_at.as_ref());
        let minted = signed_until.filter(|_| self.plan.steps() == 0);
        let seconds = stated
            .or_else(|| minted.map(|exp| exp - now().timestamp()))
            .or(done.expires_default_s.map(i64::from));
        Ok(TokenSet::made(done.token, seconds.and_then(|s| u64::try_from(s).ok()), done.kept))
    }

    async fn step(
        &self,
        net: &Client,
        step: usize,
        scope: &mut LoginScope,
        own: &[String],
    ) -> Result<(), TokenFailure> {
        let Some((id, rule)) = self.plan.step(step) else { return Ok(()) };
        let mut request = self
            .plan
            .request(step, self.toolkit, scope)
            .map_err(|problem| TokenFailure::Over(self.clean(&problem, own)))?;
        request.timeout = Some(net.at_most(CALL_TIMEOUT));
        request.headers.insert(0, ("Accept".to_owned(), "application/json".to_owned()));
        // A redirect would take the secrets along to a place that the definition does not name.
        let response = net
            .send_once(request)
            .await
            .map_err(|e| TokenFailure::unavailable(e.to_string(), None))?;
        let headers = answer::headers(&response);
        match answer::read(rule, &response) {
            Read::Good(value) => {
                scope.values.insert(id.to_owned(), value);
                if let Some(Value::Object(all)) = scope.values.get_mut("headers") {
                    all.insert(id.to_owned(), headers);
                }
                Ok(())
            }
            Read::Refused(why) => Err(TokenFailure::Over(self.clean(&why, own))),
            Read::Unavailable(why) => {
                Err(TokenFailure::unavailable(why, response.retry_after(now())))
            }
        }
    }

    /// A provider's text without what was sent to it.
    fn clean(&self, text: &str, own: &[String]) -> String {
        let mut secrets: Vec<&str> = self
            .cred
            .iter()
            .filter(|(name, _)| !self.conn.contains_key(*name))
            .filter_map(|(_, value)| value.as_str())
            .chain(own.iter().map(String::as_str))
            .filter(|value| value.len() >= SHORTEST_SECRET)
            .collect();
        // A secret inside another one must not leave the rest of that one behind.
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        let secrets: Vec<Option<&str>> = secrets.into_iter().map(Some).collect();
        clean(text, &secrets)
    }

    /// Whether the key is one of a service account. Other kinds of Google's credential files name
    /// addresses and commands to be used; of this one only the account and its key are.
    fn check_google(&self) -> Result<(), String> {
        let text = self.cred.get("credentials_json").and_then(Value::as_str).unwrap_or_default();
        let Ok(key) = serde_json::from_str::<Map<String, Value>>(text) else {
            return Err("credentials_json is not JSON; paste the whole key file".into());
        };
        if key.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "service_account") {
            return Err("credentials_json is not the key of a service account".into());
        }
        for name in ["client_email", "private_key"] {
            if key.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(format!("credentials_json has no {name}"));
            }
        }
        Ok(())
    }
}

/// Whether `state` has a token of the scheme's already, so that no login is needed for it.
pub fn has_token(toolkit: &Toolkit, kind: AuthSchemeKind, state: &Map<String, Value>) -> bool {
    toolkit.login(kind).is_some_and(|login| {
        let text = |name: &str| {
            state.get(name).and_then(Value::as_str).is_some_and(|token| !token.is_empty())
        };
        text(login.token_name().unwrap_or("access_token"))
    })
}

/// Scopes of the auth config, or of the definition, joined by blanks.
fn scopes(scheme: &AuthScheme, cred: &Map<String, Value>) -> String {
    let own = cred.get("scopes").and_then(Value::as_array).filter(|list| !list.is_empty());
    match own {
        Some(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        None => scheme.login.as_ref().map(|l| l.scopes.join(" ")).unwrap_or_default(),
    }
}

fn uuid() -> String {
    crate::domain::id::uuid_of(&random_text(32))
}
