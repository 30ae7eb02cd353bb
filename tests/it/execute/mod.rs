//! Executing tools and proxy requests against a provider in the test process.

mod accounts;
mod answers;
mod faults;
mod files;
pub mod provider;
mod proxying;
mod requests;
