//! Under which user the database processes run: PostgreSQL refuses to run as root.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

/// Folder of the private database in the data directory.
const HOME: &str = "postgresql";

/// The user; none when it is the server's own.
#[derive(Debug, Clone, Copy)]
pub struct Account(Option<(u32, u32)>);

impl Account {
    /// The server's own user, or for root the owner of what is there, else `postgres`, else
    /// `nobody`.
    pub async fn choose(data_dir: &Path) -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        if let Ok(found) = std::fs::metadata(data_dir.join(HOME))
            && found.uid() != 0
        {
            return Ok(Self(Some((found.uid(), found.gid()))));
        }
        for name in ["postgres", "_postgres", "nobody"] {
            if let (Some(uid), Some(gid)) = (id("-u", name).await, id("-g", name).await)
                && uid != 0
            {
                return Ok(Self(Some((uid, gid))));
            }
        }
        bail!(
            "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to \
             run it as; start the server as another user, or set PATCHBAY_DATABASE_URL"
        )
    }

    /// Whether it is another user than the server's.
    pub fn is_other(self) -> bool {
        self.0.is_some()
    }

    fn uid(self) -> u32 {
        self.0.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid)
    }

    /// A command of this user, in a process group of its own (a Ctrl-C in the terminal reaches
    /// only the server), that sees nothing of the server's environment: it holds keys.
    pub fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").process_group(0);
        for name in ["PATH", "LD_LIBRARY_PATH", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some((uid, gid)) = self.0 {
            // Also drops the supplementary groups.
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes a file or folder this user's.
    pub fn own(self, path: &Path) -> anyhow::Result<()> {
        if let Some((uid, gid)) = self.0 {
            std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} to the database user", path.display()))?;
        }
        Ok(())
    }

    /// A folder that is this user's alone. One that is there already is taken only if it is.
    pub fn private_dir(self, path: &Path) -> anyhow::Result<()> {
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => return self.own(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => bail!("cannot create {}: {e}", path.display()),
        }
        // Not followed: in a shared folder somebody else may have put a link there.
        let found = std::fs::symlink_metadata(path)?;
        if !found.is_dir() || found.uid() != self.uid() {
            bail!("{} belongs to somebody else", path.display());
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        Ok(())
    }

    /// Whether this user can enter a folder: all its parents must let it through.
    pub async fn can_enter(self, path: &Path) -> bool {
        let entered = self
            .command(Path::new("/bin/sh"))
            .args(["-c", "cd -- \"$0\""])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        entered.is_ok_and(|status| status.success())
    }
}

async fn id(which: &str, name: &str) -> Option<u32> {
    let output =
        Command::new("id").args([which, name]).stderr(Stdio::null()).output().await.ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// The folder of the private database: `<data dir>/postgresql`. When the database's user cannot
/// get there (a data directory of root below a closed folder), that is a link to a folder of its
/// own under `/var/lib`.
pub async fn home(account: Account, data_dir: &Path) -> anyhow::Result<PathBuf> {
    let home = data_dir.join(HOME);
    if !account.is_other() {
        account.private_dir(&home)?;
        return Ok(home);
    }
    if let Ok(target) = std::fs::read_link(&home) {
        if !target.is_dir() {
            bail!(
                "{} leads to {}, which is gone; restore it, or delete the link to start with an \
                 empty database",
                home.display(),
                target.display()
            );
        }
        return Ok(target);
    }
    // Others may pass through, not look; the keys in it are readable by root alone.
    std::fs::set_permissions(data_dir, std::fs::Permissions::from_mode(0o711))?;
    account.private_dir(&home)?;
    if account.can_enter(&home).await {
        return Ok(home);
    }
    if home.join("cluster").exists() {
        bail!(
            "the database user cannot enter {}: let others pass through the folders above it \
             (chmod o+x)",
            home.display()
        );
    }
    let name = format!("patchbay-{}", crate::domain::id::random_text(12));
    let elsewhere = Path::new("/var/lib").join(name);
    account.private_dir(&elsewhere)?;
    std::fs::remove_dir(&home)?;
    std::os::unix::fs::symlink(&elsewhere, &home)?;
    tracing::warn!(
        folder = %elsewhere.display(),
        "the database user cannot enter the data directory; the database is kept elsewhere"
    );
    Ok(elsewhere)
}
