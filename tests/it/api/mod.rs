//! The JSON API over HTTP.

mod edges;
mod execute;
mod logs;
mod openapi;
mod orgs;
mod toolkits;
mod tools;
mod triggers;
