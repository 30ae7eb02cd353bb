//! Whom we call to authenticate: authorize URLs, code exchange, refresh, revocation.

use std::sync::Arc;

use crate::app::App;
use crate::domain::connection::Account;
use crate::error::{Error, Result, codes};

/// An account whose access token is good for the next seconds: the same one, or refreshed.
/// `rejected` is the state version whose token the provider has just answered 401 to.
///
/// # Errors
/// `REFRESH_FAILED` when the provider refuses for good (the account is then EXPIRED).
pub async fn fresh(
    _app: &App,
    account: Arc<Account>,
    rejected: Option<i64>,
) -> Result<Arc<Account>> {
    match rejected {
        None => Ok(account),
        Some(_) => Err(Error::new(codes::REFRESH_FAILED, "no refresh")),
    }
}
