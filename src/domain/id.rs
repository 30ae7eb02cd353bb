//! Identifiers: a documented prefix and a random nanoid.
//!
//! The alphabet has letters and digits only, so that an id can be embedded in
//! tokens and URLs, selected by a double click, and never starts with a dash.

use std::fmt;

use serde::{Deserialize, Serialize};

const ALPHABET: [char; 62] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I',
    'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b',
    'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u',
    'v', 'w', 'x', 'y', 'z',
];

/// Random text of `len` letters and digits (5.95 bits each) from the
/// operating system's generator.
pub fn random_text(len: usize) -> String {
    nanoid::nanoid!(len, &ALPHABET)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(String);

        impl $name {
            /// The documented prefix, with its underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new random id (12 characters after the prefix: 71 bits).
            pub fn generate() -> Self {
                Self(format!("{}{}", $prefix, random_text(12)))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Any text is an id: one that was never issued is simply not found.
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An organization: the holder of projects and of the rate limit.
    OrgId = "ok_";
    /// A project: the tenant.
    ProjectId = "pr_";
    /// A row of `api_key`; the key itself is shown once and never stored.
    ApiKeyId = "key_";
    /// An auth config.
    AuthConfigId = "ac_";
    /// A connected account.
    AccountId = "ca_";
    /// One execution of a tool or proxy call.
    LogId = "log_";
    /// A stored file.
    FileId = "file_";
    /// Something that happened, as a project is told of it.
    EventId = "evt_";
    /// A trigger that was set up for an account.
    TriggerId = "ti_";
    /// Where a project's events go.
    SubscriptionId = "whs_";
    /// The URL that a provider's app calls.
    EndpointId = "whe_";
    /// Tokens that a provider is to be told to forget.
    RevocationId = "rv_";
    /// A session of an agent.
    SessionId = "trs_";
    /// A named configuration of sessions.
    SessionConfigId = "sc_";
    /// A task that an agent wrote down.
    RecipeId = "rcp_";
    /// One HTTP request.
    RequestId = "req_";
}

impl EventId {
    /// An id of an event that a trigger found.
    pub fn message() -> Self {
        Self(format!("msg_{}", random_text(16)))
    }

    /// Under which its trigger log is found: `log_id` of its payload.
    pub fn log(&self) -> LogId {
        let random = self.0.split_once('_').map_or(self.as_str(), |(_, random)| random);
        LogId(format!("{}{random}", LogId::PREFIX))
    }

    /// The ids that the event of a trigger log may have, given [`EventId::log`] or its own id.
    pub fn of_log(id: &str) -> Vec<String> {
        let random = id.strip_prefix(LogId::PREFIX);
        random.map_or_else(
            || vec![id.to_owned()],
            |random| vec![format!("msg_{random}"), format!("{}{random}", Self::PREFIX)],
        )
    }
}

/// A stable UUID-shaped alias of an id, for the response fields that older
/// clients declare as `uuid`: the first 128 bits of the id's SHA-256, with
/// the version and variant bits of RFC 9562 version 8.
pub fn uuid_of(id: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(id.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_their_prefix_and_differ() {
        let (a, b) = (AccountId::generate(), AccountId::generate());
        assert!(a.as_str().starts_with("ca_"));
        assert_eq!(a.as_str().len(), 15);
        assert_ne!(a, b);
    }

    #[test]
    fn an_event_and_its_log_lead_to_each_other() {
        for event in [EventId::message(), EventId::generate()] {
            let log = event.log();
            assert!(log.as_str().starts_with("log_"));
            assert!(EventId::of_log(log.as_str()).contains(&event.0));
            assert_eq!(EventId::of_log(event.as_str()), [event.0]);
        }
    }

    #[test]
    fn a_uuid_alias_is_stable_and_well_formed() {
        let text = uuid_of("ac_x");
        assert_eq!(text, uuid_of("ac_x"));
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'8');
    }
}
