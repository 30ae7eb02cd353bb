//! What a trigger instance may be in.

use serde::{Deserialize, Serialize};

/// How the registration of a trigger instance at its provider stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum HookState {
    /// There is nothing to register.
    None,
    /// The provider is being asked.
    Registering,
    /// The provider calls.
    Registered,
    /// The provider refused, or did not answer.
    Failed,
    /// The provider is being told to stop.
    Removing,
    /// The provider was told to stop.
    Removed,
}

impl HookState {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Registering => "registering",
            Self::Registered => "registered",
            Self::Failed => "failed",
            Self::Removing => "removing",
            Self::Removed => "removed",
        }
    }
}

/// Who disabled a trigger instance.
pub mod disabled_by {
    /// Whoever holds the project's key.
    pub const USER: &str = "user";
    /// This server.
    pub const SERVER: &str = "server";
}
