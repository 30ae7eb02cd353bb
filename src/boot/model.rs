//! The model that finds tools by meaning, for who wants it: pinned by the SHA-256 of its files.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ring::digest::{SHA256, digest};

use super::progress::Progress;
use crate::net::download::download;
use crate::search::embed::VOCABULARY_SHA256;

/// What it is called.
pub const NAME: &str = "all-MiniLM-L6-v2";

/// Where its files are.
pub const URL: &str = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main";

const WEIGHTS: &str = "model.safetensors";
const VOCABULARY: &str = "vocab.txt";

/// SHA-256 of the weights.
const WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// No file of it is as large.
const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// Downloads what is not there yet. Returns where the weights are.
///
/// # Errors
/// When a file cannot be had, or is another one than it should be.
pub async fn fetch(dir: &Path, from: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (name, sha256) in [(VOCABULARY, VOCABULARY_SHA256), (WEIGHTS, WEIGHTS_SHA256)] {
        let path = dir.join(name);
        let known = std::fs::read(&path).is_ok_and(|content| hash(&content) == sha256);
        if known {
            tracing::info!(file = %path.display(), "is there already");
            continue;
        }
        let url = format!("{}/{name}", from.trim_end_matches('/'));
        let mut progress = Progress::new(NAME);
        let content = download(&url, MAX_BYTES, |done, of| progress.at(done, of)).await?;
        progress.done();
        let found = hash(&content);
        if found != sha256 {
            bail!("{url} is not the file that it should be: its SHA-256 is {found}, not {sha256}");
        }
        put(&path, &content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(std::path::absolute(dir.join(WEIGHTS))?)
}

fn hash(content: &[u8]) -> String {
    hex::encode(digest(&SHA256, content))
}

/// Writes a file whole or not at all.
fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension(format!("part{}", std::process::id()));
    let written = std::fs::write(&part, content).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}
