//! The JSON API over HTTP.

mod edges;
mod openapi;
mod orgs;
