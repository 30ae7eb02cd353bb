//! `triggers.subscribe`: sockets, and what comes out of them.

mod client;
mod events;
mod faults;
mod joining;
mod many;
mod protocol;
mod relay;
