//! States of stored things, in the API's own words.

use serde::{Deserialize, Serialize};

/// State of a connected account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[sqlx(type_name = "text", rename_all = "UPPERCASE")]
pub enum AccountStatus {
    /// Created; the flow has not begun.
    Initializing,
    /// The person has been sent to connect.
    Initiated,
    /// Usable.
    Active,
    /// The attempt to connect failed.
    Failed,
    /// The credentials, or the attempt, lapsed.
    Expired,
    /// Switched off by the developer.
    Inactive,
    /// Revoked (v3.1).
    Revoked,
}

impl AccountStatus {
    /// The API's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Initiated => "INITIATED",
            Self::Active => "ACTIVE",
            Self::Failed => "FAILED",
            Self::Expired => "EXPIRED",
            Self::Inactive => "INACTIVE",
            Self::Revoked => "REVOKED",
        }
    }
}
