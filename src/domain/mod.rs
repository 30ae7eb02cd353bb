//! Plain types that every layer shares: identifiers, enumerations, secrets,
//! pages. Nothing here does I/O or knows who uses it.

pub mod connection;
pub mod id;
pub mod identity;
pub mod mcp_server;
pub mod mcp_token;
pub mod outbound;
pub mod page;
pub mod project;
pub mod scheme;
pub mod secret;
pub mod session;
pub mod sharing;
pub mod status;
pub mod time;
pub mod trigger;
pub mod webhook;
