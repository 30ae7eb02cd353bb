//! Trigger instances: what makes events of a provider's news.

pub mod poll;
