//! The JSON API over HTTP.

mod edges;
mod limits;
mod orgs;
