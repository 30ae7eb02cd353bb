//! Authentication schemes.

use serde::{Deserialize, Serialize};

/// How a toolkit authenticates; the API's own spelling.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthSchemeKind {
    /// OAuth 2.0 authorization code.
    Oauth2,
    /// OAuth 1.0a.
    Oauth1,
    /// A key in a header, the query or the body.
    ApiKey,
    /// HTTP basic.
    Basic,
    /// Two-step login.
    BillcomAuth,
    /// `Authorization: Bearer`.
    BearerToken,
    /// Google service account.
    GoogleServiceAccount,
    /// Nothing at all.
    NoAuth,
    /// Basic credentials exchanged for a token.
    BasicWithJwt,
    /// Two-step login.
    CalcomAuth,
    /// Service account.
    ServiceAccount,
    /// SAML.
    Saml,
    /// OAuth 2.0 with dynamic client registration.
    DcrOauth,
}

impl AuthSchemeKind {
    /// The API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oauth2 => "OAUTH2",
            Self::Oauth1 => "OAUTH1",
            Self::ApiKey => "API_KEY",
            Self::Basic => "BASIC",
            Self::BillcomAuth => "BILLCOM_AUTH",
            Self::BearerToken => "BEARER_TOKEN",
            Self::GoogleServiceAccount => "GOOGLE_SERVICE_ACCOUNT",
            Self::NoAuth => "NO_AUTH",
            Self::BasicWithJwt => "BASIC_WITH_JWT",
            Self::CalcomAuth => "CALCOM_AUTH",
            Self::ServiceAccount => "SERVICE_ACCOUNT",
            Self::Saml => "SAML",
            Self::DcrOauth => "DCR_OAUTH",
        }
    }

    /// Whether accounts hold an access token that the server renews.
    pub fn renews(self) -> bool {
        matches!(
            self,
            Self::Oauth2
                | Self::DcrOauth
                | Self::BasicWithJwt
                | Self::GoogleServiceAccount
                | Self::ServiceAccount
                | Self::BillcomAuth
                | Self::CalcomAuth
        )
    }

    /// Whether a token is made of the connection's fields by a login.
    pub fn logs_in(self) -> bool {
        matches!(
            self,
            Self::BasicWithJwt
                | Self::GoogleServiceAccount
                | Self::ServiceAccount
                | Self::BillcomAuth
                | Self::CalcomAuth
        )
    }

    /// Whether connecting sends the person's browser to the provider.
    pub fn redirects(self) -> bool {
        matches!(self, Self::Oauth2 | Self::Oauth1 | Self::DcrOauth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_and_as_str_agree() {
        for kind in [
            AuthSchemeKind::Oauth2,
            AuthSchemeKind::Oauth1,
            AuthSchemeKind::ApiKey,
            AuthSchemeKind::BasicWithJwt,
            AuthSchemeKind::GoogleServiceAccount,
            AuthSchemeKind::DcrOauth,
            AuthSchemeKind::NoAuth,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
