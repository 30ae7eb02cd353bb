//! What webhooks are about: types of events, versions of bodies, and where a project wants them.

use url::Url;

use super::id::{ProjectId, SubscriptionId};
use super::secret::SecretString;

/// A trigger found something.
pub const TRIGGER_MESSAGE: &str = "composio.trigger.message";
/// An account that worked does not any more.
pub const ACCOUNT_EXPIRED: &str = "composio.connected_account.expired";
/// The server switched a trigger instance off.
pub const TRIGGER_DISABLED: &str = "composio.trigger.disabled";
/// The server switched a webhook subscription off.
pub const WEBHOOK_DISABLED: &str = "composio.webhook.disabled";

/// Shape of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// The oldest: the trigger's data beside ids.
    V1,
    /// The trigger's data with ids in it.
    V2,
    /// Metadata and data apart, and the only one that has other events than those of triggers.
    #[default]
    V3,
}

impl Version {
    /// As requests, answers and the database have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::V3 => "V3",
        }
    }

    /// From its text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::V3].into_iter().find(|version| version.as_str() == text)
    }
}

/// A type of events that can be subscribed to.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub description: &'static str,
    /// Versions of bodies that can carry it.
    pub versions: &'static [Version],
}

/// All of them.
pub const EVENT_TYPES: &[EventType] = &[
    EventType {
        name: TRIGGER_MESSAGE,
        description: "A trigger instance received or found something at its provider",
        versions: &[Version::V1, Version::V2, Version::V3],
    },
    EventType {
        name: ACCOUNT_EXPIRED,
        description: "A connected account expired; its user has to connect again",
        versions: &[Version::V3],
    },
    EventType {
        name: TRIGGER_DISABLED,
        description: "The server disabled a trigger instance, and says why",
        versions: &[Version::V3],
    },
    EventType {
        name: WEBHOOK_DISABLED,
        description: "The server disabled a webhook subscription, and says why; realtime sockets \
                      hear of it at once, the subscription itself when it is enabled again and \
                      its dead letters are sent anew",
        versions: &[Version::V3],
    },
];

/// A type by its name.
pub fn event_type(name: &str) -> Option<&'static EventType> {
    EVENT_TYPES.iter().find(|known| known.name == name)
}

/// Where events go, opened.
pub struct Subscription {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: SubscriptionId,
    /// Who is called; it may hold a token of the receiver's.
    pub url: Url,
    /// Shape of the bodies.
    pub version: Version,
    /// Signs what is sent.
    pub secret: SecretString,
    /// Whether anything is sent.
    pub is_enabled: bool,
}

// No derived Debug on purpose: the URL may hold a token.
