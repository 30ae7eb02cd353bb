//! How credentials are obtained and kept: authorize URLs, code exchange, logins, refresh,
//! revocation. One folder or file per protocol; what is common to all stands beside them.

mod jwt;
pub mod login;
pub mod oauth1;
pub mod oauth2;
mod refresh;
mod renew;

pub use oauth2::{
    Authorization, CALLBACK_PATH, Provider, TokenFailure, TokenSet, default_redirect_uri,
    managed_unavailable,
};
pub use refresh::{EXPIRED, Running, begin, fresh, refresh_now, round};
pub use renew::{TOKEN_FIELDS, inherited};
