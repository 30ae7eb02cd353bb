//! Bodies of the auth config operations.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::connect::auth_config::{Change, Client, New, scope_list};
use crate::domain::scheme::AuthSchemeKind;
use crate::error::{Error, Result};

/// Which toolkit.
#[derive(Deserialize, ToSchema)]
pub struct ToolkitRef {
    /// Toolkit, in any case.
    pub slug: String,
}

/// A new auth config.
#[derive(Deserialize, ToSchema)]
#[schema(as = AuthConfigCreateBody)]
pub struct CreateBody {
    /// Toolkit to configure.
    pub toolkit: ToolkitRef,
    /// How it connects. Absent: managed auth where the operator has a client, else the
    /// toolkit's simplest scheme.
    #[serde(default)]
    pub auth_config: Option<NewBody>,
}

/// Who gives the OAuth client.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewKind {
    /// The operator of this server.
    UseComposioManagedAuth,
    /// You.
    UseCustomAuth,
}

/// How accounts of an auth config connect.
#[derive(Deserialize, ToSchema)]
pub struct NewBody {
    /// Who gives the OAuth client.
    #[serde(rename = "type", default)]
    pub kind: Option<NewKind>,
    /// Scheme; required for `use_custom_auth`.
    #[serde(rename = "authScheme", alias = "auth_scheme", default)]
    pub auth_scheme: Option<AuthSchemeKind>,
    /// Display name.
    #[serde(default)]
    pub name: Option<String>,
    /// Parts that can be changed later.
    #[serde(flatten)]
    pub rest: Rest,
}

/// Which tools an auth config is for.
#[derive(Default, Deserialize, ToSchema)]
pub struct ToolAccess {
    /// Tools whose scopes are asked for.
    pub tools_for_connected_account_creation: Option<Vec<String>>,
    /// Tools that may be executed.
    pub tools_available_for_execution: Option<Vec<String>>,
}

/// Parts that creation and change have in common.
#[derive(Default, Deserialize, ToSchema)]
pub struct Rest {
    /// Client id and secret, scopes (text or list), further fields of the scheme.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<Map<String, Value>>,
    /// Fields that every connected account inherits.
    #[schema(value_type = Option<Object>)]
    pub shared_credentials: Option<Map<String, Value>>,
    /// Tools that may be executed; the older spelling.
    pub restrict_to_following_tools: Option<Vec<String>>,
    /// Which tools this is for.
    pub tool_access_config: Option<ToolAccess>,
    /// Not supported by this server.
    #[schema(value_type = Option<Object>)]
    pub proxy_config: Option<Value>,
}

impl Rest {
    fn change(self) -> Result<Change> {
        if self.proxy_config.is_some_and(|p| !p.is_null()) {
            let problem =
                "proxy_config: is not supported by this server, because what an auth proxy \
                           is sent is not specified"
                    .to_owned();
            return Err(Error::invalid("Unsupported field", vec![problem]));
        }
        let access = self.tool_access_config.unwrap_or_default();
        Ok(Change {
            name: None,
            credentials: self.credentials,
            shared_credentials: self.shared_credentials,
            restrict_to_tools: access
                .tools_available_for_execution
                .or(self.restrict_to_following_tools),
            scope_tools: access.tools_for_connected_account_creation,
        })
    }
}

impl CreateBody {
    /// What the use case needs.
    pub fn checked(self) -> Result<New> {
        let toolkit_slug = self.toolkit.slug;
        let Some(body) = self.auth_config else {
            return Ok(New { toolkit_slug, ..New::default() });
        };
        Ok(New {
            toolkit_slug,
            client: match (body.kind, body.auth_scheme) {
                (Some(NewKind::UseComposioManagedAuth), _) => Some(Client::Managed),
                (Some(NewKind::UseCustomAuth), _) | (None, Some(_)) => Some(Client::Custom),
                (None, None) => None,
            },
            scheme: body.auth_scheme,
            name: body.name,
            change: body.rest.change()?,
        })
    }
}

/// Which kind of auth config a change is for.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateKind {
    /// One with your own client or fields.
    Custom,
    /// One with the operator's client.
    Default,
}

/// A change of an auth config.
#[derive(Deserialize, ToSchema)]
pub struct UpdateBody {
    /// Which kind of auth config this is.
    #[serde(rename = "type", default)]
    pub kind: Option<UpdateKind>,
    /// Display name.
    #[serde(default)]
    pub name: Option<String>,
    /// Scopes, for the kind `default`: text or list.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub scopes: Option<Value>,
    /// Parts to change.
    #[serde(flatten)]
    pub rest: Rest,
}

impl UpdateBody {
    /// What the use case needs.
    pub fn checked(self, is_managed: bool) -> Result<Change> {
        let wrong = match self.kind {
            Some(UpdateKind::Custom) if is_managed => Some("default"),
            Some(UpdateKind::Default) if !is_managed => Some("custom"),
            _ => None,
        };
        if let Some(expected) = wrong {
            let problem = format!("type: this auth config is of type {expected}");
            return Err(Error::invalid("Wrong type of change", vec![problem]));
        }
        let mut change = self.rest.change()?;
        change.name = self.name;
        if let Some(scopes) = self.scopes.filter(|s| !s.is_null()) {
            if scope_list(&scopes).is_none() {
                let problem = "scopes: must be a text or a list of texts".to_owned();
                return Err(Error::invalid("Invalid scopes", vec![problem]));
            }
            change.credentials.get_or_insert_default().insert("scopes".to_owned(), scopes);
        }
        Ok(change)
    }
}
