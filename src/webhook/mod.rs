//! Webhooks: where a project's events go, and bringing them there.
//!
//! [`subscription`] has what a project says; [`Sender`] brings what [`crate::outbox`] stored, at
//! least once. docs/TRIGGERS.md has the whole way of an event.

pub mod payload;
pub mod sign;
pub mod subscription;
