//! Sessions of agents.

mod lifecycle;
