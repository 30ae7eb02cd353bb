//! Sessions of agents.

mod lifecycle;
mod memory;
mod meta;
mod search;
