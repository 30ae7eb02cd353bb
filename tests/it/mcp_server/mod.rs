//! MCP servers: their REST API, and what a server lists and executes.

mod instances;
mod rest;
mod serving;
