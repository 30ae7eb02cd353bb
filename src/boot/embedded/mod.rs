//! A private PostgreSQL: a cluster in the data directory, run by the PostgreSQL that is
//! installed on this machine. It listens on a unix socket only.
//!
//! ```text
//! postgresql/cluster    the cluster
//! postgresql/run        its socket
//! postgresql/server.log what PostgreSQL says
//! ```

mod account;
mod cluster;
mod find;
mod process;

use std::path::{Path, PathBuf};

use anyhow::bail;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::data_dir::DataDir;
use super::signals::Signals;
use crate::config::Config;
use account::Account;
use find::Binaries;
use process::Server;

/// The role that the server connects as; there is no other.
const ROLE: &str = "patchbay";
/// Names the socket file; nothing listens on the port.
const PORT: u16 = 5432;

/// A running private database.
#[derive(Debug)]
pub struct Embedded {
    options: PgConnectOptions,
    server: Server,
}

/// Where everything of the private database is.
#[derive(Debug, Clone)]
struct Layout {
    account: Account,
    home: PathBuf,
    cluster: PathBuf,
    socket_dir: PathBuf,
}

impl Embedded {
    /// Starts it, making the cluster when there is none, and waits until it answers. None when
    /// the server is told to stop meanwhile.
    ///
    /// # Errors
    /// Everything that keeps it from starting, in words for the operator.
    pub async fn start(
        config: &Config,
        data_dir: &DataDir,
        signals: &Signals,
    ) -> anyhow::Result<Option<Self>> {
        let mut embedded = tokio::select! {
            started = Self::prepare(config, data_dir) => started?,
            () = signals.stop.cancelled() => return Ok(None),
        };
        let answered = tokio::select! {
            answered = embedded.server.answer(&embedded.options) => answered,
            () = signals.stop.cancelled() => {
                embedded.stop().await;
                return Ok(None);
            }
        };
        match answered {
            Ok(()) => Ok(Some(embedded)),
            Err(error) => {
                embedded.stop().await;
                Err(error)
            }
        }
    }

    /// Everything up to the running process.
    async fn prepare(config: &Config, data_dir: &DataDir) -> anyhow::Result<Self> {
        let account = Account::choose().await?;
        let home = account::home(account, data_dir.path()).await?;
        let layout = Layout {
            account,
            cluster: home.join("cluster"),
            socket_dir: socket_dir(account, &home)?,
            home,
        };
        let binaries = binaries(&layout).await?;
        let password = data_dir.read_secret("database.password")?;
        let password = match password {
            Some(password) => password,
            None if layout.cluster.exists() => bail!(
                "{} is missing; without it the database in {} cannot be opened",
                data_dir.join("database.password").display(),
                layout.cluster.display()
            ),
            None => {
                data_dir.store_secret("database.password", &crate::domain::id::random_text(40))?
            }
        };
        if layout.cluster.exists() {
            cluster::stop_leftover(&layout, &binaries).await?;
        } else {
            cluster::create(&layout, &binaries, &password).await?;
        }
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&layout.socket_dir)
            .port(PORT)
            .username(ROLE)
            .password(&password)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
            .application_name("patchbay");
        let connections = config.database_max_connections.saturating_add(10).max(20);
        let server = Server::start(&layout, &binaries, connections)?;
        Ok(Self { options, server })
    }

    /// How to connect.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Stops it in order: what was committed is on disk.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// The programs to use: those of the cluster's version, or the first that are found.
async fn binaries(layout: &Layout) -> anyhow::Result<Binaries> {
    let wanted = cluster::major(&layout.cluster)?;
    let places = find::places(std::env::var_os("PATH").as_deref());
    if let Some(found) = find::find(&places, wanted).await {
        return Ok(found);
    }
    match wanted {
        Some(major) => bail!(
            "the database in {} was made by PostgreSQL {major}, which is not installed here any \
             more; install it, or set PATCHBAY_DATABASE_URL",
            layout.cluster.display()
        ),
        None => bail!("found no PostgreSQL {} or newer", find::OLDEST),
    }
}

/// Longest path of a socket that every system takes.
const SOCKET_PATH_MAX: usize = 100;

/// `<home>/run`, or a folder with a short name when that is too long for a socket.
fn socket_dir(account: Account, home: &Path) -> anyhow::Result<PathBuf> {
    let name_len = format!("/.s.PGSQL.{PORT}.lock").len();
    let run = home.join("run");
    if run.as_os_str().len() + name_len <= SOCKET_PATH_MAX {
        account.private_dir(&run)?;
        return Ok(run);
    }
    let hash = crate::vault::hash_token(&home.display().to_string());
    let short = Path::new("/tmp").join(format!("patchbay-{}", hex::encode(&hash[..8])));
    account.private_dir(&short)?;
    Ok(short)
}
