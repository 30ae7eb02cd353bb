//! Executing tools and proxy requests against a provider in the test process.

mod accounts;
mod answers;
mod faults;
pub mod provider;
mod proxying;
mod requests;
