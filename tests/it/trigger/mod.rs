//! Trigger instances: the calls of providers, and asking them.

mod hooks;
mod ingress;
mod instances;
mod poll;
mod provider;
