//! What new credentials must pass before an account is ACTIVE. Every way to connect goes through
//! here: credentials that are at hand, the hosted page, the callback, and new credentials of an
//! existing account.
//!
//! The provider is asked before anything is stored, so that no transaction and no connection is
//! held meanwhile; the caller then stores the account over the state that it was made from.

use std::time::Duration;

use super::account::commit;
use super::check::check;
use super::fields::token_name;
use super::{scheme, toolkit};
use crate::app::App;
use crate::credentials::login::{self, Login};
use crate::credentials::{self, Provider, TOKEN_FIELDS, TokenFailure};
use crate::db;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// Why an account does not become ACTIVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The provider does not accept the credentials. The text is for a person.
    Refused(String),
    /// The provider could not be asked.
    Unavailable {
        /// For a person.
        why: String,
        /// When to try again, as far as the provider says so.
        retry_after: Option<Duration>,
    },
}

impl Denied {
    /// Why a provider gave no token.
    pub fn by(provider: &str, failure: TokenFailure) -> Self {
        match failure {
            TokenFailure::Over(why) | TokenFailure::Refused(why) => {
                Self::Refused(format!("{provider} did not accept the credentials: {why}"))
            }
            TokenFailure::Unavailable { why, retry_after, .. } => {
                Self::Unavailable { why, retry_after }
            }
        }
    }

    /// For a person, on a page or as a `status_reason`.
    pub fn text(&self) -> String {
        match self {
            Self::Refused(why) => why.clone(),
            Self::Unavailable { why, .. } => {
                format!("The credentials could not be checked, because {why}. Try again")
            }
        }
    }

    /// For a program.
    pub fn into_error(self) -> Error {
        match self {
            Self::Refused(why) => Error::new(codes::CREDENTIALS_REFUSED, why)
                .fix("Correct the credentials and send them again; nothing was stored"),
            Self::Unavailable { why, retry_after } => Error::new(
                codes::PROVIDER_UNAVAILABLE,
                format!("The credentials could not be checked, because {why}"),
            )
            .fix("Retry in a few seconds; nothing was stored")
            .retry_after(retry_after.unwrap_or(Duration::from_secs(5))),
        }
    }
}

/// Makes an account with new credentials ready to be stored as ACTIVE (INACTIVE when the developer
/// switched it off): `token_expires_at` and all that the provider says about it are filled in.
///
/// # Errors
/// When the server itself cannot do it; what the provider says is the inner [`Denied`].
pub async fn activate(
    app: &App,
    config: &AuthConfig,
    mut account: Account,
) -> Result<Result<Account, Denied>> {
    if let Err(denied) = itself(app, config, &mut account).await? {
        return Ok(Err(denied));
    }
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let imported = login::has_token(&toolkit, account.scheme, &account.state.0);
    if let (false, Some(login)) =
        (imported, Login::of(&toolkit, account.scheme, Some(config), &account.state))
    {
        match login.run(&app.net).await {
            Ok(tokens) => {
                account.token_expires_at = tokens.write(&mut account.state, now());
            }
            Err(failure) => return Ok(Err(Denied::by(&toolkit.file.name, failure))),
        }
    }
    if let Some(why) = check(app, config, &mut account).await? {
        return Ok(Err(Denied::Refused(why)));
    }
    account.refresh = credentials::begin(app, &account);
    settle(&mut account);
    Ok(Ok(account))
}

/// A token for a client that acts for itself, unless one came along.
async fn itself(
    app: &App,
    config: &AuthConfig,
    account: &mut Account,
) -> Result<Result<(), Denied>> {
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let unattended = account.scheme == AuthSchemeKind::Oauth2
        && !scheme(&toolkit, account.scheme)?.by_browser()
        && account.state.text("access_token").is_none();
    if !unattended {
        return Ok(Ok(()));
    }
    let provider = Provider::of(&app.config, &toolkit, config, &account.state)?;
    match provider.client_credentials(&app.net).await {
        Ok(tokens) => {
            account.token_expires_at = tokens.write(&mut account.state, now());
            Ok(Ok(()))
        }
        Err(TokenFailure::Over(why) | TokenFailure::Refused(why)) => Ok(Err(Denied::Refused(
            format!("{} did not accept the client: {why}", toolkit.file.name),
        ))),
        Err(TokenFailure::Unavailable { why, retry_after, .. }) => {
            Ok(Err(Denied::Unavailable { why, retry_after }))
        }
    }
}

/// Logs an existing account in again with what it holds, so that one that lapsed is ACTIVE again.
///
/// # Errors
/// 400 when the provider does not accept the credentials, 503 when it could not be asked.
pub async fn again(app: &App, config: &AuthConfig, account: &Account) -> Result<Account> {
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let scheme = scheme(&toolkit, account.scheme)?;
    let mut next = account.clone();
    for name in token_name(scheme).into_iter().chain(TOKEN_FIELDS) {
        next.state.0.remove(name);
    }
    let next = activate(app, config, next).await?.map_err(Denied::into_error)?;
    let row = app.vault.seal_account(&next).await?;
    let mut tx = app.db.begin().await?;
    if !db::account::update_state(&mut *tx, &row, account.state_version).await? {
        return Err(Error::bad_request("The connected account changed meanwhile").fix("Retry"));
    }
    commit(app, tx, &next).await?;
    Ok(next)
}

/// Puts an account that [`activate`] made of `before` over the state that the row has by now:
/// what was changed meanwhile stays, the tokens are the new ones.
pub fn put_over(ready: &Account, before: &Account, next: &mut Account) {
    for name in TOKEN_FIELDS {
        next.state.0.remove(name);
    }
    for (name, value) in &ready.state.0 {
        if TOKEN_FIELDS.contains(&name.as_str()) || before.state.0.get(name) != Some(value) {
            next.state.0.insert(name.clone(), value.clone());
        }
    }
    next.token_expires_at = ready.token_expires_at;
    next.identity.clone_from(&ready.identity);
    next.refresh = ready.refresh.clone();
    settle(next);
}

/// The attempt is over, and it succeeded.
fn settle(account: &mut Account) {
    account.state.0.remove("redirectUrl");
    account.state.0.remove("revoked_at");
    let was_off = account.status == AccountStatus::Inactive;
    account.status =
        if account.is_disabled { AccountStatus::Inactive } else { AccountStatus::Active };
    if !(account.is_disabled && was_off) {
        account.status_reason = None;
    }
    account.attempt_expires_at = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_and_a_program_are_told_apart() {
        let refused = Denied::Refused("The key is not known".into());
        assert_eq!(refused.text(), "The key is not known");
        assert_eq!(refused.into_error().code.number, codes::CREDENTIALS_REFUSED.number);
        let away = Denied::Unavailable {
            why: "example.com did not answer in time".into(),
            retry_after: Some(Duration::from_secs(30)),
        };
        assert!(away.text().ends_with("in time. Try again"));
        let error = away.into_error();
        assert_eq!(error.code.should_retry, Some(true));
        assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
    }
}
