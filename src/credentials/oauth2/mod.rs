//! OAuth 2.0: the authorization request, the token endpoint, and what its answers mean.

mod answer;
mod provider;
mod token;

pub(super) use provider::fill;
pub use provider::{
    Authorization, CALLBACK_PATH, Provider, default_redirect_uri, managed_unavailable,
};
pub(super) use token::clean;
pub use token::{TokenFailure, TokenSet};
