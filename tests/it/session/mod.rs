//! Sessions of agents.

mod lifecycle;
mod memory;
