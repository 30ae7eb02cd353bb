//! The integration tests: one binary, so that it links once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod api;
mod architecture;
mod boot;
mod cache;
mod catalog;
mod command_line;
mod connect;
mod crash;
mod credentials;
mod database_restart;
mod dcr;
mod execute;
mod hard;
mod import;
mod install;
mod limits;
mod logbook;
mod mcp;
mod mcp_oauth;
mod mcp_server;
mod net;
mod oauth2;
mod outbox;
mod realtime;
mod remote_mcp;
mod schemes;
mod search;
mod session;
mod storage;
#[allow(dead_code)] // a shared toolbox: not every helper has a user at all times
mod support;
mod trigger;
mod vault;
mod webhook;
mod worker;
