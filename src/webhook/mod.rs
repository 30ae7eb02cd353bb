//! Webhooks: where a project's events go, and bringing them there.
//!
//! [`subscription`] has what a project says; [`Sender`] brings what [`crate::outbox`] stored, at
//! least once. docs/TRIGGERS.md has the whole way of an event.

mod notes;
mod pace;
pub mod payload;
mod plan;
mod send;
mod sender;
pub mod sign;
pub mod subscription;

pub use sender::Sender;
