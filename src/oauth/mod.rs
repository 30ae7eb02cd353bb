//! Whom we call to authenticate: authorize URLs, code exchange, refresh, revocation.

mod answer;
mod provider;
mod refresh;
mod token;

pub use provider::{
    Authorization, CALLBACK_PATH, Provider, default_redirect_uri, managed_unavailable,
};
pub use refresh::{fresh, refresh_now};
pub use token::{TokenFailure, TokenSet};
