//! Project settings.

use serde::{Deserialize, Serialize};

/// Whether execution logs keep requests and answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogVisibility {
    /// Keep them.
    #[default]
    ShowAll,
    /// Keep only what happened, not with which data.
    DontStoreData,
}

/// What happens to an execution that names a user with several usable accounts, and none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAmbiguous {
    /// The newest is used.
    #[default]
    Newest,
    /// It is refused.
    Refuse,
}

/// Settings of a project, in the API's own words. Absent keys of the stored
/// object take the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ProjectConfig {
    /// Whether people must use a second factor.
    #[serde(rename = "is_2FA_enabled")]
    pub is_2fa_enabled: bool,
    /// Logo on the Connect Link page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// App title on the Connect Link page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether responses mask credentials.
    pub mask_secret_keys_in_connected_account: bool,
    /// What execution logs keep.
    pub log_visibility_setting: LogVisibility,
    /// Whether MCP endpoints need an API key.
    pub require_mcp_api_key: bool,
    /// What happens when a user has several accounts and a call names none. Absent: as the
    /// server's configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_ambiguous_account: Option<OnAmbiguous>,
    /// The developer's page that makes sure who came back from a provider, before an account
    /// becomes ACTIVE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_callback_verifier_url: Option<String>,
}

impl Default for ProjectConfig {
    fn default() -> Self {
        Self {
            is_2fa_enabled: false,
            logo_url: None,
            display_name: None,
            mask_secret_keys_in_connected_account: true,
            log_visibility_setting: LogVisibility::ShowAll,
            require_mcp_api_key: true,
            on_ambiguous_account: None,
            oauth_callback_verifier_url: None,
        }
    }
}
