//! New tokens without the person: how depends on the scheme. The refresh machinery next door
//! decides when, and that it happens once.

use std::time::Duration;

use serde_json::Map;

use super::dcr::Renewal;
use super::login::Login;
use super::oauth2::{Provider, TokenFailure, TokenSet};
use super::refresh::Timing;
use crate::app::App;
use crate::catalog::Toolkit;
use crate::config::Config;
use crate::domain::connection::{Account, AuthConfig, SecretMap};
use crate::domain::scheme::AuthSchemeKind;
use crate::error::Result;
use crate::net::Client;

/// Fields of a connection's state that new tokens replace.
pub const TOKEN_FIELDS: [&str; 6] =
    ["access_token", "refresh_token", "token_type", "expires_in", "scope", "id_token"];

/// How one account gets new tokens.
pub enum Means<'a> {
    /// By its OAuth 2.0 refresh token, or what else the provider takes in its place.
    RefreshToken(Box<Provider<'a>>, String),
    /// By its refresh token, at a server that was discovered.
    Discovered(Box<Renewal<'a>>),
    /// By asking again as the client itself.
    ClientCredentials(Box<Provider<'a>>),
    /// By logging in again with what the person gave.
    Login(Box<Login<'a>>),
    /// Not at all: only the person can connect again.
    Nothing,
}

impl<'a> Means<'a> {
    /// What the account's scheme, definition and state offer.
    ///
    /// # Errors
    /// When the auth config has no usable client, or an endpoint cannot be made of the fields.
    pub fn of(
        config: &Config,
        toolkit: &'a Toolkit,
        auth_config: &AuthConfig,
        account: &Account,
    ) -> Result<Self> {
        match account.scheme {
            AuthSchemeKind::Oauth2 => {
                let provider = Provider::of(config, toolkit, auth_config, &account.state)?;
                if !provider.definition().by_browser() {
                    return Ok(Self::ClientCredentials(Box::new(provider)));
                }
                Ok(match provider.renewal(&account.state) {
                    Some(token) => {
                        let token = token.to_owned();
                        Self::RefreshToken(Box::new(provider), token)
                    }
                    None => Self::Nothing,
                })
            }
            AuthSchemeKind::DcrOauth => {
                let renewal = Renewal::of(config, toolkit, auth_config, &account.state)?;
                Ok(renewal.map_or(Self::Nothing, |renewal| Self::Discovered(Box::new(renewal))))
            }
            kind => Ok(Login::of(toolkit, kind, Some(auth_config), &account.state)
                .map_or(Self::Nothing, |login| Self::Login(Box::new(login)))),
        }
    }

    /// Asks the provider for new tokens, once.
    ///
    /// # Errors
    /// See [`TokenFailure`]; the text holds no secret.
    pub async fn renew(&self, net: &Client) -> std::result::Result<TokenSet, TokenFailure> {
        match self {
            Self::RefreshToken(provider, token) => provider.refresh(net, token).await,
            Self::Discovered(renewal) => renewal.run(net).await,
            Self::ClientCredentials(provider) => provider.client_credentials(net).await,
            Self::Login(login) => login.run(net).await,
            Self::Nothing => {
                Err(TokenFailure::Refused("there is nothing to get new tokens with".into()))
            }
        }
    }
}

/// Whether an account can get new tokens without the person.
///
/// # Errors
/// When the auth config has no usable client.
pub fn renews(app: &App, auth_config: &AuthConfig, account: &Account) -> Result<bool> {
    let Some(toolkit) = app.toolkit(&account.project_id, &account.toolkit_slug) else {
        return Ok(false);
    };
    let means = Means::of(&app.config, &toolkit, auth_config, account)?;
    Ok(!matches!(means, Means::Nothing))
}

/// What the account's definition says about the times of its tokens.
pub fn timing(toolkit: &Toolkit, account: &Account) -> Timing {
    let scheme = toolkit.file.auth.iter().find(|s| s.scheme == account.scheme);
    let Some(refresh) = scheme.and_then(|s| s.oauth2.as_ref()).map(|o| &o.refresh) else {
        return Timing::default();
    };
    let seconds = |s: u32| Duration::from_secs(s.into());
    Timing { early: refresh.early_s.map(seconds), min_age: refresh.min_age_s.map(seconds) }
}

/// What new tokens of an account come from: its refresh token, or what the person gave. Tokens
/// may be stored only over a state with the same origin.
pub fn origin(account: &Account) -> SecretMap {
    let mut fields = Map::new();
    match account.state.0.get("refresh_token").filter(|t| t.as_str() != Some("")) {
        Some(token) => {
            fields.insert("refresh_token".to_owned(), token.clone());
        }
        None => {
            let given = account.state.0.iter();
            let given = given.filter(|(name, _)| !TOKEN_FIELDS.contains(&name.as_str()));
            fields.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    SecretMap(fields)
}
