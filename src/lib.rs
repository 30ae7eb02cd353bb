//! Patchbay: tools, connections and credentials for AI agents, self-hosted.
//!
//! Layers; a module imports only from layers below its own, or as
//! `docs/ARCHITECTURE.md` says (`tests/it/architecture.rs` checks):
//! 0 `domain error config telemetry`, 1 `db vault net catalog`,
//! 2 `cache storage logbook outbox limits search mcp_client`, 3 `app`,
//! 4 `caller credentials execute connect session trigger webhook realtime mcp_server mcp_oauth`,
//! 5 `api web mcp socket worker`, 6 `boot cli`.

pub mod api;
pub mod app;
pub mod boot;
pub mod cache;
pub mod caller;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod connect;
pub mod credentials;
pub mod db;
pub mod domain;
pub mod error;
pub mod execute;
pub mod import;
pub mod ingress;
pub mod limits;
pub mod logbook;
pub mod mcp;
pub mod mcp_client;
pub mod mcp_oauth;
pub mod mcp_server;
pub mod net;
pub mod outbox;
pub mod realtime;
pub mod search;
pub mod session;
pub mod socket;
pub mod storage;
pub mod telemetry;
pub mod trigger;
pub mod vault;
pub mod web;
pub mod webhook;
pub mod worker;
