//! A package of the npm registry: one pinned version, checked by the digest that we know, read without
//! being unpacked.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha512};

use super::plan::Package;
use crate::net::download::download;

/// The registry that is asked unless the operator names a mirror.
pub const REGISTRY: &str = "https://registry.npmjs.org";
/// No package that is taken is nearly as large.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Larger files of a package are not read.
const MAX_FILE: u64 = crate::import::document::MOST_BYTES as u64;

/// A package that was fetched and checked.
#[derive(Debug)]
pub struct Archive {
    bytes: Vec<u8>,
}

/// Whether a file of a package is to be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next file.
    Go,
    /// No more of it.
    Stop,
}

impl Archive {
    /// Fetches a package, or takes it from `cache`, where it is put otherwise. `progress` hears of bytes
    /// as they come.
    ///
    /// # Errors
    /// A registry that is away; a package whose digest is another one.
    pub async fn fetch(
        package: &Package,
        registry: &str,
        cache: &Path,
        progress: impl FnMut(u64, Option<u64>),
    ) -> anyhow::Result<Self> {
        let kept = cached(package, cache);
        if let Ok(bytes) = std::fs::read(&kept)
            && check(package, &bytes).is_ok()
        {
            return Ok(Self { bytes });
        }
        let bare = package.name.rsplit('/').next().unwrap_or_default();
        let registry = registry.trim_end_matches('/');
        let url = format!("{registry}/{}/-/{bare}-{}.tgz", package.name, package.version);
        let bytes = download(&url, MAX_BYTES, progress).await?;
        check(package, &bytes).with_context(|| url.clone())?;
        // Written beside its place first: a file that is there is whole.
        std::fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
        let part = kept.with_extension(format!("part-{}", std::process::id()));
        std::fs::write(&part, &bytes)
            .and_then(|()| std::fs::rename(&part, &kept))
            .with_context(|| kept.display().to_string())?;
        Ok(Self { bytes })
    }

    /// Calls `each` with path (without the leading `package/`) and contents of every file that `wanted`
    /// lets through.
    ///
    /// # Errors
    /// A damaged archive, which the digest excludes; what `each` gives.
    pub fn files(
        &self,
        mut wanted: impl FnMut(&str) -> bool,
        mut each: impl FnMut(&str, Vec<u8>) -> anyhow::Result<Next>,
    ) -> anyhow::Result<()> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(self.bytes.as_slice()));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let path = path.strip_prefix("package/").unwrap_or(&path).to_owned();
            if !entry.header().entry_type().is_file() || !wanted(&path) {
                continue;
            }
            let mut contents = Vec::new();
            entry.by_ref().take(MAX_FILE + 1).read_to_end(&mut contents)?;
            if each(&path, contents)? == Next::Stop {
                break;
            }
        }
        Ok(())
    }
}

fn cached(package: &Package, cache: &Path) -> PathBuf {
    let name: String = package
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .collect();
    cache.join(format!("{name}-{}.tgz", package.version))
}

fn check(package: &Package, bytes: &[u8]) -> anyhow::Result<()> {
    let found = format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)));
    if found != package.integrity {
        bail!(
            "the package is not the one that is known: its digest is {found}, not {}",
            package.integrity
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn tgz(files: &[(&str, &str)]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(encoder);
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    fn package(bytes: &[u8]) -> Package {
        Package {
            name: "@scope/some.thing".into(),
            version: "1.2.3".into(),
            integrity: format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes))),
            specs: Vec::new(),
            folder: None,
            slugs: BTreeMap::new(),
            providers: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn a_cached_package_is_read_without_the_registry_and_checked() {
        let bytes =
            tgz(&[("package/a.json", "{}"), ("package/b.txt", "b"), ("package/c.json", "[]")]);
        let package = package(&bytes);
        let cache = tempfile::tempdir().unwrap();
        let kept = cached(&package, cache.path());
        assert_eq!(kept.file_name().unwrap(), "_scope_some_thing-1.2.3.tgz");
        std::fs::write(&kept, &bytes).unwrap();
        let nowhere = "http://127.0.0.1:9";
        let archive = Archive::fetch(&package, nowhere, cache.path(), |_, _| ()).await.unwrap();
        let mut seen = Vec::new();
        let each = |path: &str, contents: Vec<u8>| {
            seen.push((path.to_owned(), String::from_utf8(contents).unwrap()));
            Ok(Next::Go)
        };
        archive.files(|path| path.ends_with(".json"), each).unwrap();
        assert_eq!(seen, [("a.json".into(), "{}".into()), ("c.json".into(), "[]".to_owned())]);
        // A damaged one is fetched anew, and nothing is taken of it.
        std::fs::write(&kept, b"damaged").unwrap();
        let error = Archive::fetch(&package, nowhere, cache.path(), |_, _| ()).await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:9"), "{error:#}");
    }

    #[test]
    fn another_package_than_the_known_one_is_refused() {
        let package = package(b"one");
        assert!(check(&package, b"one").is_ok());
        let error = check(&package, b"another").unwrap_err().to_string();
        assert!(error.contains("sha512-"), "{error}");
    }
}
