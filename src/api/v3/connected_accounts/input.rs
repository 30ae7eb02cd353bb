//! Bodies of the connected account operations.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::connect::account::{AclPatch, Patch};
use crate::connect::start::{Attempt, Given};
use crate::domain::id::AuthConfigId;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::sharing::{AccountType, Sharing};
use crate::error::{Error, Result};

/// Which auth config.
#[derive(Deserialize, ToSchema)]
pub struct ConfigRef {
    /// Auth config id.
    pub id: String,
}

/// Credentials and fields of a connection.
#[derive(Deserialize, ToSchema)]
pub struct StateBody {
    /// Scheme; `COMPOSIO_LINK` asks for the hosted page.
    #[serde(rename = "authScheme", alias = "auth_scheme", default)]
    pub auth_scheme: Option<String>,
    /// `status` and the fields of the scheme.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub val: Map<String, Value>,
}

/// Who besides the user may use a new account.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct SharingBody {
    /// PRIVATE (the default): only the user. SHARED: further users, when they name the account.
    pub account_type: Option<AccountType>,
    /// Which users, for a SHARED account; nobody when absent.
    pub acl_config_for_shared: Option<AclPatch>,
}

impl SharingBody {
    /// Type and access list.
    ///
    /// # Errors
    /// 400 for a list without SHARED, and for a wrong list.
    pub fn checked(body: Option<Self>) -> Result<Sharing> {
        let body = body.unwrap_or_default();
        let mut sharing =
            Sharing { account_type: body.account_type.unwrap_or_default(), ..Sharing::default() };
        if let Some(acl) = body.acl_config_for_shared {
            acl.apply(&mut sharing)?;
        }
        Ok(sharing)
    }
}

/// The connection to make.
#[derive(Default, Deserialize, ToSchema)]
pub struct ConnectionBody {
    /// Your own id of the user; `default` when absent.
    pub user_id: Option<String>,
    /// Where the browser goes in the end.
    pub callback_url: Option<String>,
    /// Older name of `callback_url`.
    pub redirect_uri: Option<String>,
    /// Credentials and fields.
    pub state: Option<StateBody>,
    /// Older form of `state`: the fields alone.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Map<String, Value>>,
    /// Your own name of the account, unique for the user and toolkit.
    pub alias: Option<String>,
    /// Who besides the user may use the account.
    pub experimental: Option<SharingBody>,
}

/// A new connected account.
#[derive(Deserialize, ToSchema)]
pub struct CreateBody {
    /// Auth config to connect with.
    pub auth_config: ConfigRef,
    /// The connection.
    #[serde(default)]
    pub connection: ConnectionBody,
}

/// A new Connect Link.
#[derive(Deserialize, ToSchema)]
pub struct LinkBody {
    /// Auth config to connect with.
    pub auth_config_id: String,
    /// Your own id of the user.
    pub user_id: String,
    /// Where the browser goes in the end.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// Values for fields of the page.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub connection_data: Option<Map<String, Value>>,
    /// Your own name of the account, unique for the user and toolkit.
    #[serde(default)]
    pub alias: Option<String>,
    /// Who besides the user may use the account.
    #[serde(default)]
    pub experimental: Option<SharingBody>,
}

/// Reads `COMPOSIO_LINK` and the schemes.
///
/// # Errors
/// 400 for an unknown word.
fn scheme(word: Option<&str>) -> Result<(Option<AuthSchemeKind>, bool)> {
    match word {
        None => Ok((None, false)),
        Some("COMPOSIO_LINK") => Ok((None, true)),
        Some(word) => {
            let kind = serde_json::from_value(Value::from(word.to_ascii_uppercase()));
            kind.map(|k| (Some(k), false)).map_err(|_| {
                let problem = "connection.state.authScheme: is not a scheme".to_owned();
                Error::invalid("Unknown scheme", vec![problem])
            })
        }
    }
}

impl CreateBody {
    /// What the use case needs, and whether the hosted page was asked for.
    pub fn checked(self) -> Result<(Attempt, bool)> {
        let connection = self.connection;
        let mut hosted = false;
        let given = match (connection.state, connection.data) {
            (Some(state), _) => {
                let (kind, link) = scheme(state.auth_scheme.as_deref())?;
                hosted = link;
                Some(Given { scheme: kind, val: state.val })
            }
            (None, Some(data)) if !data.is_empty() => Some(Given { scheme: None, val: data }),
            _ => None,
        };
        let attempt = Attempt {
            auth_config_id: AuthConfigId::from(self.auth_config.id),
            user_id: connection.user_id.unwrap_or_else(|| "default".to_owned()),
            callback_url: filled(connection.callback_url).or(filled(connection.redirect_uri)),
            given,
            alias: connection.alias,
            sharing: SharingBody::checked(connection.experimental)?,
        };
        Ok((attempt, hosted))
    }
}

impl LinkBody {
    /// What the use case needs.
    ///
    /// # Errors
    /// 400 for a wrong access list.
    pub fn checked(self) -> Result<Attempt> {
        Ok(Attempt {
            auth_config_id: AuthConfigId::from(self.auth_config_id),
            user_id: self.user_id,
            callback_url: filled(self.callback_url),
            given: self.connection_data.map(|val| Given { scheme: None, val }),
            alias: self.alias,
            sharing: SharingBody::checked(self.experimental)?,
        })
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

/// On or off.
#[derive(Deserialize, ToSchema)]
pub struct StatusBody {
    /// Whether the account may be used.
    pub enabled: bool,
}

/// A manual refresh.
#[derive(Default, Deserialize, ToSchema)]
pub struct RefreshBody {
    /// Where the browser goes in the end, when the person has to consent again.
    pub redirect_url: Option<String>,
}

/// A change of an account.
#[derive(Default, Deserialize, ToSchema)]
pub struct PatchBody {
    /// Your own name of the account; empty clears it.
    pub alias: Option<String>,
    /// New credentials.
    pub connection: Option<PatchConnection>,
    /// Who besides the user may use a SHARED account.
    pub experimental: Option<PatchSharing>,
}

/// A change of who may use an account.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct PatchSharing {
    /// Parts of the access list; what is absent stays.
    pub acl_config_for_shared: Option<AclPatch>,
}

impl PatchBody {
    /// What the use case needs, and the scheme when one is named.
    ///
    /// # Errors
    /// 400 for an unknown scheme.
    pub fn checked(self) -> Result<(Patch, Option<AuthSchemeKind>)> {
        let (kind, val) = match self.connection {
            Some(connection) => {
                let (kind, val) = connection.checked()?;
                (kind, Some(val))
            }
            None => (None, None),
        };
        let acl = self.experimental.and_then(|e| e.acl_config_for_shared);
        Ok((Patch { alias: self.alias, val, acl }, kind))
    }
}

/// A deferred connection to complete.
#[derive(Deserialize, ToSchema)]
pub struct CompleteBody {
    /// `session_uri` of the request that reached the project's verifier.
    #[schema(min_length = 1)]
    pub session_uri: String,
    /// The user whose browser that was, by your own knowledge.
    #[schema(min_length = 1)]
    pub user_id: String,
}

/// New credentials of an account.
#[derive(Deserialize, ToSchema)]
pub struct PatchConnection {
    /// Credentials and fields.
    #[serde(default)]
    pub state: Option<StateBody>,
    /// Credentials and fields, without `state` around them.
    #[serde(flatten)]
    pub plain: Option<StateBody>,
}

impl PatchConnection {
    fn checked(self) -> Result<(Option<AuthSchemeKind>, Map<String, Value>)> {
        let state = self.state.or(self.plain);
        let Some(state) = state else { return Ok((None, Map::new())) };
        Ok((scheme(state.auth_scheme.as_deref())?.0, state.val))
    }
}
