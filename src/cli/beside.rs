//! Files that a description on this machine refers to.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use crate::import::external::{MOST_BYTES, MOST_DEPTH, MOST_DOCUMENTS, is_mentioned};
use crate::import::{Documents, document};

/// Bytes in memory of all of them together.
const UNFOLDED: usize = 512 * 1024 * 1024;

/// What goes along with a description.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Texts by the names that the description has for them.
    pub documents: Map<String, Value>,
    /// Files that stay here, with the reason.
    pub refused: Vec<String>,
}

/// Reads the files that a description refers to, as far as they are below its folder or one of `folders`.
///
/// # Errors
/// A folder that is none; more than an import may have.
pub(super) fn read(path: &Path, text: &[u8], folders: &[PathBuf]) -> anyhow::Result<Beside> {
    let mut beside = Beside::default();
    // What is wrong with the description is the server's to explain.
    let Some(root) = is_mentioned(text).then(|| document::read(text).ok()).flatten() else {
        return Ok(beside);
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut allowed = Vec::new();
    for folder in folders.iter().map(PathBuf::as_path).chain([folder]) {
        let real = folder.canonicalize().with_context(|| folder.display().to_string())?;
        if !real.is_dir() {
            bail!("{}: is no folder", folder.display());
        }
        allowed.push(real);
    }
    let file = path.file_name().map(|name| name.to_string_lossy());
    let mut documents = Documents::of(None, file.as_deref());
    let (mut bytes, left) = (0, Cell::new(UNFOLDED));
    for _ in 0..MOST_DEPTH {
        let wanted = documents.wanted(&root);
        if wanted.is_empty() {
            break;
        }
        for url in wanted {
            // What is on the network is the server's to fetch.
            if url.scheme() != "file" {
                documents.add(&url, Err(String::new()));
                continue;
            }
            let name = documents.name(&url);
            match contents(folder, &name, &url, &allowed) {
                Ok(text) => {
                    bytes += text.len();
                    if bytes > MOST_BYTES || beside.documents.len() >= MOST_DOCUMENTS {
                        bail!(
                            "the description refers to more than {MOST_DOCUMENTS} files or {} MB",
                            MOST_BYTES / (1024 * 1024)
                        );
                    }
                    let read = document::read_within(text.as_bytes(), &left);
                    beside.documents.insert(name, text.into());
                    documents.add(&url, read.map_err(|e| e.problem));
                }
                Err(why) => {
                    beside.refused.push(format!("{name}: {why}"));
                    documents.add(&url, Err(why));
                }
            }
        }
    }
    Ok(beside)
}

/// The text of a file, if it really lies in one of the folders: what `..` and symbolic links lead to counts.
fn contents(folder: &Path, name: &str, url: &Url, allowed: &[PathBuf]) -> Result<String, String> {
    if url.query().is_some() {
        return Err("a file has no query".to_owned());
    }
    let name = percent_decode_str(name).decode_utf8().map_err(|_| "is not UTF-8".to_owned())?;
    if name.contains('\0') {
        return Err("is no name of a file".to_owned());
    }
    let real = folder.join(&*name).canonicalize().map_err(|e| e.to_string())?;
    if !allowed.iter().any(|folder| real.starts_with(folder)) {
        return Err("is outside of the description's folder; --allow FOLDER lets it in".to_owned());
    }
    let about = std::fs::metadata(&real).map_err(|e| e.to_string())?;
    if !about.is_file() || about.len() > MOST_BYTES as u64 {
        return Err("is no file that could be a document".to_owned());
    }
    let bytes = std::fs::read(&real).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("secret.yaml", "a: 1");
        put("shared/b.yaml", "x: {$ref: '../api/my pet.yaml#/y'}");
        put("api/my pet.yaml", "y: {type: string}");
        put("api/parts/a.yaml", "z: {$ref: '../../shared/b.yaml#/x'}");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("api/link")).unwrap();
        folder
    }

    fn description(references: &[&str]) -> String {
        let parameters: Vec<Value> =
            references.iter().map(|r| serde_json::json!({"$ref": r})).collect();
        serde_json::json!({"paths": {"/a": {"parameters": parameters}}}).to_string()
    }

    #[test]
    fn files_below_the_folder_are_read_and_others_when_they_are_allowed() {
        let folder = folder();
        let main = folder.path().join("api/main.json");
        let text = description(&["parts/a.yaml#/z", "main.json#/x", "https://a.example/x.json"]);
        let beside = read(&main, text.as_bytes(), &[]).unwrap();
        assert_eq!(beside.documents.keys().collect::<Vec<_>>(), ["parts/a.yaml"]);
        assert!(beside.refused[0].starts_with("../shared/b.yaml: is outside"), "{beside:?}");
        let shared = [folder.path().join("shared")];
        let beside = read(&main, text.as_bytes(), &shared).unwrap();
        let names: Vec<_> = beside.documents.keys().collect();
        assert_eq!(names, ["parts/a.yaml", "../shared/b.yaml", "../api/my%20pet.yaml"]);
        assert!(beside.refused.is_empty(), "{beside:?}");
        assert!(read(&main, text.as_bytes(), &[folder.path().join("secret.yaml")]).is_err());
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let folder = folder();
        let main = folder.path().join("api/main.json");
        let absolute = folder.path().join("secret.yaml").display().to_string();
        let escapes = [
            "../secret.yaml",
            "link/secret.yaml",
            "%2e%2e/secret.yaml",
            "parts/../../secret.yaml",
            "..%2fsecret.yaml",
            "..\\secret.yaml",
            &absolute,
            "file:///etc/passwd",
            "/etc/passwd",
            "../../../../../../../../../../../../../../../../etc/passwd",
            "/dev/zero",
            "a%00.yaml",
            "missing.yaml",
            "parts",
            "my%20pet.yaml?x",
        ];
        for escape in escapes {
            let beside = read(&main, description(&[escape]).as_bytes(), &[]).unwrap();
            assert!(beside.documents.is_empty(), "{escape}: {beside:?}");
            assert_eq!(beside.refused.len(), 1, "{escape}: {beside:?}");
        }
    }
}
