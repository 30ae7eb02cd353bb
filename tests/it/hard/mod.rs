//! Bad input and bad providers, end to end over HTTP: a clear error each time, nothing lost, no
//! secret shown, and the next request works.

mod bodies;
mod connect;
mod edges;
mod faults;
mod injection;
mod provider;
mod proxy;
mod secrets;
mod tenants;
mod world;
