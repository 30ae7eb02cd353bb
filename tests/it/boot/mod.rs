//! The real program: starting, stopping, and what the operator is told.

mod database;
mod download;
mod private;
pub mod process;
mod refusals;
