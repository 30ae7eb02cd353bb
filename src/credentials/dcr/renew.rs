//! New tokens of an account by its refresh token. The client is the one that the account was
//! connected with; where its server's endpoints are is looked up again after a while.

use std::time::Duration;

use chrono::TimeDelta;

use super::discover::discover;
use super::{Failure, Registered, SERVER_FIELD, Target, definition, is_forgotten};
use crate::catalog::Toolkit;
use crate::catalog::model::Dcr;
use crate::config::Config;
use crate::credentials::fields::{inherited, plain};
use crate::credentials::oauth2::{Provider, TokenFailure, TokenSet};
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::time::now;
use crate::error::Result;
use crate::net::Client;

/// How long endpoints are believed.
const FRESH: TimeDelta = TimeDelta::hours(24);

/// Longest time for looking them up again.
const LOOK_AGAIN: Duration = Duration::from_secs(8);

/// A refresh of one account.
pub struct Renewal<'a> {
    config: Config,
    toolkit: &'a Toolkit,
    auth_config: AuthConfig,
    state: SecretMap,
    dcr: &'a Dcr,
    target: Target,
    known: Registered,
    refresh_token: String,
}

impl<'a> Renewal<'a> {
    /// None when the account has no refresh token, or does not know its client.
    ///
    /// # Errors
    /// When the toolkit has no such scheme, or the address cannot be made of the fields.
    pub fn of(
        config: &Config,
        toolkit: &'a Toolkit,
        auth_config: &AuthConfig,
        state: &SecretMap,
    ) -> Result<Option<Self>> {
        let Some(token) = state.text("refresh_token").filter(|t| !t.is_empty()) else {
            return Ok(None);
        };
        let Some(known) = Registered::of_state(state) else { return Ok(None) };
        let (scheme, dcr) = definition(toolkit)?;
        let conn = plain(scheme, &inherited(auth_config, state).0);
        Ok(Some(Self {
            config: config.clone(),
            target: Target::of(toolkit, dcr, &conn)?,
            toolkit,
            auth_config: auth_config.clone(),
            state: state.clone(),
            dcr,
            known,
            refresh_token: token.to_owned(),
        }))
    }

    fn provider(&self, known: &Registered) -> std::result::Result<Provider<'a>, TokenFailure> {
        known
            .provider(&self.config, self.toolkit, &self.auth_config, &self.state)
            .map_err(|e| TokenFailure::Refused(e.message.into_owned()))
    }

    /// Asks for new tokens, once.
    ///
    /// # Errors
    /// See [`TokenFailure`]; the text holds no secret.
    pub async fn run(&self, net: &Client) -> std::result::Result<TokenSet, TokenFailure> {
        let mut known = self.known.clone();
        if known.server.found_at + FRESH < now() {
            self.look_again(net, &mut known).await;
        }
        let moved = known.server != self.known.server;
        let answer = self.provider(&known)?.refresh(net, &self.refresh_token).await;
        let mut tokens = answer.map_err(|failure| match failure {
            // A registered client does not come back, and the refresh token is that client's.
            TokenFailure::Refused(why) if is_forgotten(&TokenFailure::Refused(why.clone())) => {
                TokenFailure::Over(why)
            }
            other => other,
        })?;
        if moved {
            let mut state = SecretMap::default();
            known.write(&mut state);
            if let Some(server) = state.0.remove(SERVER_FIELD) {
                tokens.kept.insert(SERVER_FIELD.to_owned(), server);
            }
        }
        Ok(tokens)
    }

    /// Takes new endpoints of the same server over. Any trouble leaves the known ones: they may well
    /// work.
    async fn look_again(&self, net: &Client, known: &mut Registered) {
        let found = discover(net, self.dcr, &self.target, false);
        // Whoever waits for the token waits for this too.
        let Ok(found) = tokio::time::timeout(LOOK_AGAIN, found).await else { return };
        match found {
            // The secret and the refresh token are for this issuer alone.
            Ok(server) if server.issuer.is_some() && server.issuer == known.server.issuer => {
                let scopes = std::mem::take(&mut known.server.scopes);
                known.server = super::Server { scopes, ..server };
            }
            Ok(_) => tracing::warn!("a resource has another authorization server now"),
            Err(Failure::Unsuitable(why) | Failure::Unreachable(why)) => {
                tracing::info!(%why, "an authorization server could not be looked up again");
            }
        }
    }
}
