//! Trigger instances and the calls of providers.

mod hooks;
mod ingress;
mod instances;
mod provider;
