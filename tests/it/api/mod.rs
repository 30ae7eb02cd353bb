//! The JSON API over HTTP.

mod edges;
mod logs;
mod openapi;
mod orgs;
mod toolkits;
mod tools;
