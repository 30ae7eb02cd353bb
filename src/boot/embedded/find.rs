//! The PostgreSQL that is installed on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Oldest major version that the server runs on.
pub const OLDEST: u32 = 14;

/// Programs of one installed version.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// Folder with `initdb`, `postgres` and `pg_ctl`.
    pub dir: PathBuf,
    /// Major version.
    pub major: u32,
}

impl Binaries {
    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The programs in a folder, when all are there and new enough.
    pub async fn at(dir: &Path) -> Option<Self> {
        // `postgres` may be a link out of a folder of links; its siblings are then there.
        let postgres = dir.join("postgres").canonicalize().ok()?;
        let real = postgres.parent()?;
        let complete =
            |d: &Path| ["initdb", "postgres", "pg_ctl"].iter().all(|p| d.join(p).is_file());
        let dir = if complete(real) {
            real
        } else if complete(dir) {
            dir
        } else {
            return None;
        };
        let output = Command::new(dir.join("postgres"))
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .await
            .ok()?;
        let major = major(&String::from_utf8_lossy(&output.stdout))?;
        (major >= OLDEST).then(|| Self { dir: dir.to_owned(), major })
    }
}

/// Major version in `postgres (PostgreSQL) 17.2 (Debian 17.2-1)`.
fn major(version: &str) -> Option<u32> {
    let number =
        version.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Folders that may hold the programs: PATH first, then the usual places, newest version first.
pub fn places(path: Option<&std::ffi::OsStr>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        path.map(|p| std::env::split_paths(p).collect()).unwrap_or_default();
    places.retain(|p| p.is_absolute());
    let mut usual = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/usr", "pgsql-"),
        ("/Library/PostgreSQL", ""),
        ("/Applications/Postgres.app/Contents/Versions", ""),
    ] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            let number = rest.trim_start_matches(['@', '-']).parse::<u32>().unwrap_or(0);
            usual.push((number, entry.path().join("bin")));
        }
    }
    usual.sort_by(|a, b| b.cmp(a));
    places.extend(usual.into_iter().map(|(_, dir)| dir));
    places
}

/// The first folder with the wanted version, or with any.
pub async fn find(places: &[PathBuf], wanted: Option<u32>) -> Option<Binaries> {
    for dir in places {
        if let Some(found) = Binaries::at(dir).await
            && wanted.is_none_or(|major| major == found.major)
        {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version_of_every_vendor() {
        assert_eq!(major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (Homebrew) 17.2"), Some(17));
        assert_eq!(major("nonsense"), None);
    }

    #[test]
    fn looks_on_the_path_first_and_skips_relative_folders() {
        let path = std::env::join_paths(["/a/bin", ".", "/b/bin"]).unwrap();
        let places = places(Some(&path));
        assert_eq!(places[..2], [PathBuf::from("/a/bin"), PathBuf::from("/b/bin")]);
    }
}
