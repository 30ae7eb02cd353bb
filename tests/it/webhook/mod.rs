//! Webhooks: where events go, and how they get there.

mod subscriptions;
