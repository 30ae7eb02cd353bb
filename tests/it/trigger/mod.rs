//! Trigger instances and the calls of providers.

mod hooks;
mod instances;
mod provider;
