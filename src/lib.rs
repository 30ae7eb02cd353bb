//! Patchbay: tools, connections and credentials for AI agents, self-hosted.
//!
//! Layers, lower may never import higher (`tests/it/architecture.rs` checks):
//! 0 `domain error config telemetry`, 1 `db vault net catalog storage cache`,
//! 2 `oauth execute connect`, 3 `api web worker`, 4 `boot cli`.

pub mod cache;
pub mod catalog;
pub mod config;
pub mod db;
pub mod domain;
pub mod error;
pub mod vault;
