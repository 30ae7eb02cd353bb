//! The JSON API over HTTP.

mod edges;
mod orgs;
