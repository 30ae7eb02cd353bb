//! The data directory: generated keys, the lock, and the private database.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

/// See the module. Nothing is created before it is needed: with an external database and
/// all keys given, a server needs no data directory.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
}

/// Held by the one server that uses the directory; the system lets go of it when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl DataDir {
    /// A directory that perhaps does not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates it for this user alone, unless it is there.
    pub fn create(&self) -> anyhow::Result<()> {
        let hint = "set PATCHBAY_DATA_DIR to a folder that this user may write to";
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {} ({hint})", parent.display()))?;
        }
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                bail!("cannot create the data directory {}: {e} ({hint})", self.path.display())
            }
            _ => Ok(()),
        }
    }

    /// Takes the directory for this process.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        self.create()?;
        let path = self.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let who = if holder.is_empty() { "another server" } else { holder };
            bail!(
                "the data directory {} is in use by {who}; stop that one, or give this server \
                 another directory with PATCHBAY_DATA_DIR",
                self.path.display()
            );
        }
        file.set_len(0)?;
        writeln!(file, "process {}", std::process::id())?;
        Ok(Lock(file))
    }

    /// Text of a secret file; none when there is no such file.
    pub fn read_secret(&self, name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
        let path = self.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => bail!("cannot read {}: {e}", path.display()),
        };
        if fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o077 != 0) {
            tracing::warn!(file = %path.display(), "other users may read this secret; chmod 600 it");
        }
        let text = Zeroizing::new(text.trim().to_owned());
        if text.is_empty() {
            bail!("{} is empty; restore it or delete it", path.display());
        }
        Ok(Some(text))
    }

    /// Stores a secret for this user alone, unless the file is there, and returns what is stored:
    /// of two servers that start at once, both get the same.
    pub fn store_secret(&self, name: &str, text: &str) -> anyhow::Result<Zeroizing<String>> {
        self.create()?;
        let path = self.join(name);
        let draft = self.join(&format!(".{name}.{}", crate::domain::id::random_text(8)));
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            writeln!(file, "{text}")?;
            file.sync_all()?;
            // Unlike a rename, a link never replaces what is there.
            match fs::hard_link(&draft, &path) {
                Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
                _ => File::open(&self.path)?.sync_all(),
            }
        })();
        let _ = fs::remove_file(&draft);
        written.with_context(|| format!("cannot write {}", path.display()))?;
        self.read_secret(name)?.with_context(|| format!("{} vanished", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_private_and_the_first_one_stays() {
        let home = tempfile::tempdir().unwrap();
        let dir = DataDir::new(&home.path().join("a/b"));
        assert!(dir.read_secret("x.key").unwrap().is_none());
        assert_eq!(dir.store_secret("x.key", "one").unwrap().as_str(), "one");
        assert_eq!(dir.store_secret("x.key", "two").unwrap().as_str(), "one");
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&dir.join("x.key"))), (0o700, 0o600));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let home = tempfile::tempdir().unwrap();
        let dir = DataDir::new(home.path());
        let held = dir.lock().unwrap();
        let refused = dir.lock().unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        assert!(dir.lock().is_ok());
    }
}
