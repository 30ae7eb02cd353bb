//! Sessions of agents.

mod account;
mod connections;
mod lifecycle;
mod multi;
mod proxy;
mod world;
