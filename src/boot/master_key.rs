//! Where this server's master key is.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::data_dir::DataDir;
use crate::config::Config;
use crate::vault::{Key, KeySource};

/// The generated key, in the data directory.
pub const FILE: &str = "encryption.key";

/// What the settings say; none: the generated file.
pub fn given(config: &Config) -> Option<KeySource> {
    if let Some(key) = &config.encryption_key {
        return Some(KeySource::Setting(key.clone()));
    }
    if let Some(path) = &config.encryption_key_file {
        return Some(KeySource::File(path.clone()));
    }
    config.encryption_key_command.clone().map(KeySource::Command)
}

/// The same, or the generated file.
pub fn source(config: &Config, data_dir: &DataDir) -> KeySource {
    given(config).unwrap_or_else(|| KeySource::File(data_dir.join(FILE)))
}

/// Writes a new key in front of those in a key file, which is replaced in one step.
///
/// # Errors
/// When the file cannot be replaced, or somebody else is about to.
pub fn put_in_front(path: &Path) -> anyhow::Result<()> {
    // What a link leads to is replaced, not the link.
    let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    let folder = path.parent().context("a key file is in a folder")?;
    let folder = std::fs::File::open(folder)?;
    // Of two that do this at once, one would lose its key, and perhaps what it sealed.
    if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("somebody else is replacing {}", path.display());
    }
    replace(&path).with_context(|| format!("cannot replace {}", path.display()))?;
    folder.sync_all()?;
    Ok(())
}

fn replace(path: &Path) -> std::io::Result<()> {
    let old = Zeroizing::new(std::fs::read_to_string(path)?);
    let owner = std::fs::metadata(path)?;
    let mut draft = path.to_owned().into_os_string();
    draft.push(".new");
    // Of an attempt that was killed.
    match std::fs::remove_file(&draft) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    file.set_permissions(owner.permissions())?;
    writeln!(file, "{}", Key::generate_text().as_str())?;
    write!(file, "{}", old.as_str())?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_key_goes_in_front_and_the_file_stays_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "old\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        put_in_front(&link).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[1]), (2, "old"));
        assert!(Key::parse(lines[0]).is_some());
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = std::fs::File::open(dir.path()).unwrap();
        flock(&other, FlockOperation::LockExclusive).unwrap();
        assert!(put_in_front(&path).is_err(), "somebody else is at it");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        drop(other);
        std::fs::write(dir.path().join("key.new"), "half").unwrap();
        put_in_front(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }
}
