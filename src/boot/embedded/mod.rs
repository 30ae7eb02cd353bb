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
mod download;
mod find;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::data_dir::DataDir;
use super::signals::Signals;
use crate::config::Config;
use account::Account;
use find::Binaries;
use process::Server;

/// The role that the server connects as; there is no other.
const ROLE: &str = "patchbay";
/// Before another attempt to start.
const PAUSE: Duration = Duration::from_millis(500);
/// Names the socket file; nothing listens on the port.
const PORT: u16 = 5432;

/// A running private database. No `Debug`: the options hold the password.
pub struct Embedded {
    options: PgConnectOptions,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

/// What it takes to start the server, again if need be.
struct Plan {
    layout: Layout,
    binaries: Binaries,
    connections: u32,
    options: PgConnectOptions,
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
        let plan = tokio::select! {
            plan = Self::prepare(config, data_dir) => plan?,
            () = signals.stop.cancelled() => return Ok(None),
        };
        let mut attempts = 0;
        let server = loop {
            let mut server = plan.start()?;
            let answered = tokio::select! {
                answered = server.answer(&plan.options) => answered,
                () = signals.stop.cancelled() => {
                    server.stop().await;
                    return Ok(None);
                }
            };
            let Err(error) = answered else { break server };
            let ended = server.has_ended();
            server.stop().await;
            attempts += 1;
            // Processes of a server that was killed may live on for a moment.
            if !ended || attempts == 5 {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        };
        let (stop, options) = (CancellationToken::new(), plan.options.clone());
        let keeper = tokio::spawn(plan.keep(server, stop.clone()));
        Ok(Some(Self { options, stop, keeper }))
    }

    /// Everything up to the running process.
    async fn prepare(config: &Config, data_dir: &DataDir) -> anyhow::Result<Plan> {
        // Without links, so that the same place always has the same name.
        let place = data_dir.path().canonicalize()?;
        let account = Account::choose(&place).await?;
        let home = account::home(account, &place).await?;
        let layout = Layout {
            account,
            cluster: home.join("cluster"),
            socket_dir: socket_dir(account, &home)?,
            home,
        };
        let binaries = binaries(config, &layout).await?;
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
        let options = options(&layout.socket_dir, &password);
        let connections = config.database_max_connections.saturating_add(10).max(20);
        Ok(Plan { layout, binaries, connections, options })
    }

    /// How to connect to the database of a server that runs on this data directory.
    ///
    /// # Errors
    /// When this user is not the server's.
    pub async fn of_running(data_dir: &DataDir) -> anyhow::Result<PgConnectOptions> {
        let place = data_dir.path().canonicalize()?;
        let account = Account::choose(&place).await?;
        let home = account::home(account, &place).await?;
        let Some(password) = data_dir.read_secret("database.password")? else {
            bail!("{} is missing", data_dir.join("database.password").display());
        };
        Ok(options(&socket_dir(account, &home)?, &password))
    }

    /// How to connect.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Stops it in order: what was committed is on disk.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.keeper.await;
    }
}

fn options(socket_dir: &Path, password: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(PORT)
        .username(ROLE)
        .password(password)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable)
        .application_name("patchbay")
}

impl Plan {
    fn start(&self) -> anyhow::Result<Server> {
        Server::start(&self.layout, &self.binaries, self.connections)
    }

    /// Starts the server again whenever it ends, until told to stop it.
    async fn keep(self, mut server: Server, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return server.stop().await,
                () = server.ended() => tracing::error!("the database ended; starting it again"),
            }
            server.stop().await;
            server = loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
                match self.start() {
                    Ok(server) => break server,
                    Err(error) => tracing::error!("{error:#}"),
                }
            };
        }
    }
}

/// The programs to use: those of the cluster's version, or the first that are found, or
/// downloaded ones.
async fn binaries(config: &Config, layout: &Layout) -> anyhow::Result<Binaries> {
    let wanted = cluster::major(&layout.cluster)?;
    let mut places = match &config.postgres_bin_dirs {
        Some(dirs) => std::env::split_paths(dirs).collect(),
        None => find::places(std::env::var_os("PATH").as_deref()),
    };
    places.push(download::bin_dir(&layout.home));
    if let Some(found) = find::find(&places, wanted).await {
        return Ok(found);
    }
    match wanted {
        None | Some(download::MAJOR) => {
            download::fetch(&layout.home, config.postgres_mirror_url.as_deref()).await
        }
        Some(major) => bail!(
            "the database in {} was made by PostgreSQL {major}, which is not installed here any \
             more; install it, or set PATCHBAY_DATABASE_URL",
            layout.cluster.display()
        ),
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
