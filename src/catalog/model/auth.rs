//! `auth` of `toolkit.yaml`: schemes, the fields of their forms, and where credentials go.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Dcr, IdentityCall, Login, OAuth1, OAuth2, VerifyCall};
use crate::domain::scheme::AuthSchemeKind;

/// One entry of `auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthScheme {
    /// Which scheme this is.
    pub scheme: AuthSchemeKind,
    /// Display name in `auth_config_details`; derived when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Page that says how to get the credentials.
    #[serde(default)]
    pub setup_guide: Option<String>,
    /// Fields the developer fills in when creating an auth config, besides the
    /// ones the scheme itself implies (client id, scopes, …).
    #[serde(default)]
    pub config_fields: Vec<Field>,
    /// Fields the end user fills in when connecting, besides the ones that the
    /// scheme itself implies. For API_KEY, BEARER_TOKEN and BASIC an entry
    /// named like an implied field (`generic_api_key`, `token`, `username`,
    /// `password`) refines its label and help.
    #[serde(default)]
    pub connect_fields: Vec<Field>,
    /// Where the credential goes in each request. Absent: the scheme's usual
    /// place (see the format reference).
    #[serde(default)]
    pub inject: Option<Inject>,
    /// OAuth 2.0 parameters; required for OAUTH2, refused elsewhere.
    #[serde(default)]
    pub oauth2: Option<OAuth2>,
    /// Whose account it is; the toolkit's own when absent.
    #[serde(default)]
    pub identity: Option<IdentityCall>,
    /// Whether the credentials are good; the toolkit's own when absent.
    #[serde(default)]
    pub verify: Option<VerifyCall>,
    /// OAuth 1.0a parameters; required for OAUTH1, refused elsewhere.
    #[serde(default)]
    pub oauth1: Option<OAuth1>,
    /// How a token is made of the fields, for the schemes that do so; some imply one.
    #[serde(default)]
    pub login: Option<Login>,
    /// Discovery and registration; goes with DCR_OAUTH, which needs none of it.
    #[serde(default)]
    pub dcr: Option<Dcr>,
}

impl AuthScheme {
    /// Names that captured values go by in templates.
    pub fn captured(&self) -> impl Iterator<Item = &String> {
        let oauth1 = self.oauth1.iter().flat_map(|o| o.capture.keys());
        let login = self.login.iter().flat_map(|l| l.token.capture.keys());
        self.oauth2.iter().flat_map(OAuth2::captured).chain(oauth1).chain(login)
    }

    /// Whether connecting sends the person's browser to the provider.
    pub fn by_browser(&self) -> bool {
        self.scheme.redirects() && self.oauth2.as_ref().is_none_or(OAuth2::by_browser)
    }
}

/// A field of a form: creation of an auth config, or of a connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name on the wire and in templates (`conn.<name>` or `cred.<name>`).
    pub name: String,
    /// Label shown to a person.
    #[serde(default)]
    pub label: Option<String>,
    /// Help text shown under the field.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether the form refuses an empty value.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether the value is a secret: sealed, masked, a password input.
    #[serde(default)]
    pub secret: bool,
    /// Whether the value may have several lines (a PEM key).
    #[serde(default)]
    pub multiline: bool,
    /// Value used when the field is left empty.
    #[serde(default)]
    pub default: Option<String>,
    /// Regular expression (anchored) that a value must match.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Text that follows the value in the form, such as `.example.com`.
    #[serde(default)]
    pub suffix: Option<String>,
    /// Other names under which the value is accepted.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Closed list of values.
    #[serde(default, rename = "enum")]
    pub choices: Vec<String>,
    /// Whether the value is the host name (with its port, if it has one) of somebody's own
    /// server: `base_url` may lie there.
    #[serde(default)]
    pub host: bool,
}

/// Where credentials go. All values are templates over `cred` and `conn`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inject {
    /// Header name to template.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameter to template.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Top-level key of a JSON or form body to template.
    #[serde(default)]
    pub body: BTreeMap<String, String>,
    /// Path segments between the root of the API and the path of the request, such as
    /// `/bot{{ cred.token }}`; a value is one segment, or a part of one.
    #[serde(default)]
    pub path: Option<String>,
    /// HTTP basic authentication.
    #[serde(default)]
    pub basic: Option<Basic>,
}

/// Templates for HTTP basic authentication.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// User name template.
    pub username: String,
    /// Password template.
    #[serde(default)]
    pub password: String,
}

fn yes() -> bool {
    true
}
