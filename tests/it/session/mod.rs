//! Sessions of agents.

mod account;
mod connections;
mod lifecycle;
mod memory;
mod multi;
mod proxy;
mod recipes;
mod world;
