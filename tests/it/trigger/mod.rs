//! Triggers: from the provider's news to stored events.

pub mod poll;
