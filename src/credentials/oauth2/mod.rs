//! OAuth 2.0: the authorization request, the token endpoint, and what its answers mean.

mod answer;
mod assertion;
mod provider;
mod request;
mod standard;
mod token;

pub use provider::{
    Authorization, CALLBACK_PATH, OauthClient, Provider, REDIRECT_URI_FIELD, client_id,
    default_redirect_uri, managed_unavailable,
};
pub(super) use token::clean;
pub use token::{TokenFailure, TokenSet};
