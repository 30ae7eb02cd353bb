//! Where this server's master key is.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::Context;
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
pub fn put_in_front(path: &Path) -> anyhow::Result<()> {
    // What a link leads to is replaced, not the link.
    let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    let place = path.display();
    let old = std::fs::read_to_string(&path).with_context(|| format!("cannot read {place}"))?;
    let old = Zeroizing::new(old);
    let owner = std::fs::metadata(&path)?;
    // One name only: of two that do this at once, one is refused.
    let mut draft = path.clone().into_os_string();
    draft.push(".new");
    let written = (|| {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let kept = (|| {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            file.set_permissions(owner.permissions())?;
            writeln!(file, "{}", Key::generate_text().as_str())?;
            write!(file, "{}", old.as_str())?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)
        })();
        if kept.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        kept
    })();
    written.with_context(|| format!("cannot write {}", Path::new(&draft).display()))?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
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
        std::fs::write(dir.path().join("key.new"), "").unwrap();
        assert!(put_in_front(&path).is_err(), "somebody else is at it");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
