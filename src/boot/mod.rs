//! Starting and stopping the server.

mod accept;
mod banner;
mod bootstrap;
mod data_dir;
mod embedded;
pub mod health;
pub mod keys;
mod master_key;
pub mod model;
mod progress;
mod signals;

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;

use crate::app::App;
use crate::config::{self, Config};
use crate::{api, db};
use data_dir::DataDir;
use embedded::Embedded;
use signals::Signals;

/// How long background work may take at the end: queued log rows to be written, a token refresh
/// under way to be answered and stored.
const QUEUES_END: Duration = Duration::from_secs(25);

/// Runs the server until it is told to stop.
///
/// # Errors
/// Everything that keeps it from starting, in words for the operator.
pub async fn serve(mut config: Config) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    raise_open_files();
    // Fails only when there is one already, which is then this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data_dir = DataDir::new(&config.data_dir);
    let embeds = config.database_url.is_none();
    // Held until the end: one server for one private database.
    let _lock = if embeds { Some(data_dir.lock()?) } else { None };
    // Before the database starts: a taken port is noticed at once.
    let listener = bind(&mut config).await?;
    if !embeds {
        let options = external(&config)?;
        return run(config, &data_dir, options, listener, &signals).await;
    }
    let Some(embedded) = Embedded::start(&config, &data_dir, &signals).await? else {
        return Ok(());
    };
    let outcome = run(config, &data_dir, embedded.options(), listener, &signals).await;
    embedded.stop().await;
    outcome
}

/// Every connection is an open file, and the usual soft limit allows for a thousand.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // macOS refuses more than this, whatever its hard limit says.
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(if cfg!(target_os = "macos") {
        10_240
    } else {
        1 << 20
    });
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files stays");
        }
    }
}

async fn bind(config: &mut Config) -> anyhow::Result<TcpListener> {
    let wanted = config.listen;
    let listener = TcpListener::bind(wanted).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {} of {} is in use by another program; stop it or choose another address \
             with PATCHBAY_LISTEN",
            wanted.port(),
            wanted.ip()
        ),
        _ => anyhow::anyhow!("cannot listen on {wanted} (PATCHBAY_LISTEN): {e}"),
    })?;
    config.listen = listener.local_addr()?;
    if config.public_url == config::default_public_url(wanted) {
        config.public_url = config::default_public_url(config.listen);
    }
    Ok(listener)
}

fn external(config: &Config) -> anyhow::Result<PgConnectOptions> {
    let url = config.database_url.as_ref().map_or("", |u| u.expose_secret());
    // The error of the parser might repeat the URL, which holds a password.
    PgConnectOptions::from_str(url)
        .map(|o| o.application_name("patchbay"))
        .map_err(|_| anyhow::anyhow!("PATCHBAY_DATABASE_URL: not a PostgreSQL URL"))
}

async fn run(
    config: Config,
    data_dir: &DataDir,
    options: PgConnectOptions,
    listener: TcpListener,
    signals: &Signals,
) -> anyhow::Result<()> {
    let prepared = tokio::select! {
        prepared = prepare(config, data_dir, options) => prepared?,
        () = signals.stop.cancelled() => return Ok(()),
    };
    let (config, pool, first) = prepared;
    let app = match App::new(config, pool.clone(), first.vault) {
        Ok(app) => app,
        Err(error) => {
            close(&pool).await;
            return Err(error);
        }
    };
    crate::worker::start(&app);
    let searched = app.clone();
    tokio::task::spawn_blocking(move || searched.search.warm());
    warn_about_plain_http(&app.config);
    banner::print(&app.config, &first.keys);
    let (stop, draining) = (signals.stop.clone(), app.draining.clone());
    app.tasks.spawn(async move {
        stop.cancelled().await;
        draining.cancel();
    });
    accept::serve(api::router(app.clone()), listener, &signals.stop).await;
    if tokio::time::timeout(QUEUES_END, app.shut_down()).await.is_err() {
        tracing::error!("gave up on background work that did not end in time");
    }
    close(&pool).await;
    tracing::info!("stopped");
    Ok(())
}

/// Closes the connections. Not for ever: a task that did not end holds its own.
async fn close(pool: &PgPool) {
    let _ = tokio::time::timeout(Duration::from_secs(2), pool.close()).await;
}

/// Newer clients send a key over plain HTTP to this machine only.
fn warn_about_plain_http(config: &Config) {
    let url = url::Url::parse(&config.public_url).ok();
    let Some((url, host)) = url.as_ref().and_then(|u| Some((u, u.host()?))) else { return };
    let local = match host {
        url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    if url.scheme() == "http" && !local {
        tracing::warn!(
            public_url = %config.public_url,
            "newer SDKs refuse to send a key over plain HTTP to another machine; put TLS in front"
        );
    }
}

/// A migrated database with the first organization, project and keys.
async fn prepare(
    config: Config,
    data_dir: &DataDir,
    options: PgConnectOptions,
) -> anyhow::Result<(Config, PgPool, bootstrap::First)> {
    let pool = db::connect(options, config.database_max_connections)
        .await
        .map_err(|e| anyhow::anyhow!("cannot connect to the database: {e}"))?;
    db::migrate(&pool).await.context("cannot bring the database schema up to date")?;
    let first = bootstrap::run(&config, data_dir, &pool).await?;
    Ok((config, pool, first))
}
