//! Every SQL statement of the server, one file per table; what concerns the refresh of
//! accounts has a file of its own.
//!
//! Functions take the executor first and, for tenant data, the project id
//! second. They return `sqlx::Result`; deciding what a missing row means is
//! the caller's work.

pub mod account;
pub mod api_key;
pub mod auth_config;
pub mod connect_token;
pub mod data_key;
pub mod event;
pub mod execution_log;
pub mod file_object;
pub mod installed_toolkit;
pub mod key_rotation;
pub mod link_key;
pub mod mcp_oauth;
pub mod mcp_server;
pub mod notify;
pub mod oauth_client;
pub mod project;
pub mod rate_slice;
pub mod realtime;
pub mod recipe;
pub mod refresh;
pub mod revocation;
pub mod sealed;
pub mod server_check;
pub mod session;
pub mod session_account;
pub mod session_config;
pub mod session_file;
pub mod session_memory;
pub mod tool_vector;
pub mod toolkit_logo;
pub mod trigger_instance;
pub mod trigger_log;
pub mod trigger_poll;
pub mod upload;
pub mod webhook_delivery;
pub mod webhook_endpoint;
pub mod webhook_subscription;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

/// Migrations, embedded in the binary.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A pool of at most `max` connections. Waiting for one gives up after five
/// seconds, which the caller sees as `DATABASE_UNAVAILABLE`.
pub async fn connect(options: PgConnectOptions, max: u32) -> sqlx::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await
}

/// A pool to the same database that opens no connection before it is needed and keeps none that
/// is not. For work that must not wait for a connection of the pool whose user waits for it.
pub fn small_pool(beside: &PgPool, max: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(30))
        .connect_lazy_with(PgConnectOptions::clone(&beside.connect_options()))
}

/// Brings the schema up to date. The migrator holds an advisory lock, so that
/// replicas may start at once.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATOR.run(pool).await
}

/// Whether a server lets these options in, asked on a connection of its own.
pub async fn answers(options: &PgConnectOptions) -> sqlx::Result<()> {
    PgConnection::connect_with(options).await?.close().await
}

/// Whether the database answers.
pub async fn ping(pool: &PgPool) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    PgConnection::ping(&mut connection).await
}
