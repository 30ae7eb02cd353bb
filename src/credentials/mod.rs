//! How credentials are obtained and kept: authorize URLs, code exchange, logins, refresh,
//! revocation. One folder or file per protocol; what is common to all stands beside them.

pub mod dcr;
pub mod fields;
mod jwt;
pub mod login;
pub mod oauth1;
pub mod oauth2;
mod refresh;
mod renew;
pub mod revocation;
mod running;

pub use fields::inherited;
pub use oauth2::{
    Authorization, CALLBACK_PATH, OauthClient, Provider, REDIRECT_URI_FIELD, TokenFailure,
    TokenSet, default_redirect_uri, managed_unavailable,
};
pub use refresh::{EXPIRED, begin, fresh, refresh_now, rejected_again, round};
pub use renew::{TOKEN_FIELDS, renews};
pub use running::Running;
