//! Whose account at the provider a connection is.

use serde::{Deserialize, Serialize};

/// What the provider says about the account behind a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Identity {
    /// The provider's own id of the account.
    pub id: Option<String>,
    /// How a person knows it: login, email or name.
    pub label: Option<String>,
    /// Email address, when the provider gives one.
    pub email: Option<String>,
}

impl Identity {
    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.label.is_none() && self.email.is_none()
    }

    /// The best name for a person.
    pub fn name(&self) -> Option<&str> {
        self.label.as_deref().or(self.email.as_deref()).or(self.id.as_deref())
    }

    /// Whether both are certainly the same account at the provider.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.name().is_some() && self.name() == other.name(),
        }
    }
}
