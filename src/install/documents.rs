//! The documents that a description refers to: sent along with it, or fetched from where it was fetched.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::fetch;
use super::make::Source;
use crate::app::App;
use crate::error::{Error, Result};
use crate::import::external::{MOST_BYTES, MOST_DEPTH, MOST_DOCUMENTS, is_mentioned};
use crate::import::{Documents, Format, document};

/// Imports that get documents at the same time; what they have got is in memory meanwhile.
static GETTING: Semaphore = Semaphore::const_new(8);
/// How long all documents of one description may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests at the same time.
const AT_ONCE: usize = 4;
/// Largest of the documents.
const LARGEST: usize = 8 * 1024 * 1024;
/// Bytes in memory of all of them together.
const UNFOLDED: usize = 128 * 1024 * 1024;

/// What a description comes with.
pub(super) struct Given {
    /// Where it is, after redirects.
    pub base: Option<String>,
    /// Name of its file.
    pub file: Option<String>,
    /// Documents by name.
    pub documents: BTreeMap<String, Vec<u8>>,
    /// Hosts that documents may be fetched from besides its own.
    pub allow: Vec<String>,
}

/// Gets what a description refers to. What cannot be had is left to the report.
///
/// # Errors
/// A document has a name that none can have.
pub(super) async fn gather(app: &App, text: Vec<u8>, given: Given) -> Result<Source> {
    let mut documents = Documents::of(given.base.as_deref(), given.file.as_deref());
    let mut sent = Vec::with_capacity(given.documents.len());
    for (name, text) in given.documents {
        let Some(url) = documents.address(&name) else {
            let problem = format!("documents.{name}: is no relative reference and no URL");
            return Err(Error::invalid("Invalid import", vec![problem]));
        };
        sent.push((url, Ok(text)));
    }
    if !is_mentioned(&text) {
        return Ok(Source::Text(text));
    }
    let _one_of_few = GETTING.acquire().await.map_err(Error::internal)?;
    let parsed = blocking(move || {
        let is_one = |value: &Value| {
            let is_definition = value.get("toolkit").is_some() && value.get("tools").is_some();
            !is_definition && matches!(Format::of(value), Ok(Format::OpenApi | Format::Swagger))
        };
        document::read(&text).ok().filter(is_one).ok_or(text)
    });
    // What is wrong with it is told by the importer.
    let root = match parsed.await? {
        Ok(root) => Arc::new(root),
        Err(text) => return Ok(Source::Text(text)),
    };
    let mut room = Room { bytes: MOST_BYTES, unfolded: UNFOLDED };
    documents = room.add(documents, sent).await?;
    let deadline = Instant::now() + PATIENCE;
    for depth in 0.. {
        let (document, known) = (root.clone(), documents);
        let (known, wanted) = blocking(move || {
            let wanted = known.wanted(&document);
            (known, wanted)
        })
        .await?;
        documents = known;
        if wanted.is_empty() {
            break;
        }
        let too_many = |what| Err(format!("at most {what} are fetched for one description"));
        let left = MOST_DOCUMENTS.saturating_sub(documents.count());
        let (documents_of_base, allow) = (documents.base().clone(), &given.allow);
        let share = room.bytes.min(LARGEST);
        let got = stream::iter(wanted.into_iter().enumerate().map(|(number, url)| {
            let base = &documents_of_base;
            async move {
                let text = if depth >= MOST_DEPTH {
                    too_many(format!("{MOST_DEPTH} documents in a row"))
                } else if number >= left {
                    too_many(format!("{MOST_DOCUMENTS} documents"))
                } else {
                    get(app, base, &url, allow, share, deadline).await
                };
                (url, text)
            }
        }));
        let got: Vec<(Url, std::result::Result<Vec<u8>, String>)> =
            got.buffered(AT_ONCE).collect().await;
        documents = room.add(documents, got).await?;
    }
    let root = Arc::try_unwrap(root).unwrap_or_else(|shared| (*shared).clone());
    Ok(Source::Read(Box::new((root, documents))))
}

/// What there is room for.
struct Room {
    bytes: usize,
    unfolded: usize,
}

impl Room {
    /// Reads texts as documents, as long as there is room.
    async fn add(
        &mut self,
        mut documents: Documents,
        texts: Vec<(Url, std::result::Result<Vec<u8>, String>)>,
    ) -> Result<Documents> {
        let (mut bytes, unfolded) = (self.bytes, self.unfolded);
        let (documents, bytes, unfolded) = blocking(move || {
            let left = Cell::new(unfolded);
            for (url, text) in texts {
                let read = text.and_then(|text| {
                    let room = bytes.checked_sub(text.len());
                    bytes = room.ok_or_else(|| {
                        let most = MOST_BYTES / (1024 * 1024);
                        format!("documents of more than {most} MB together are not read")
                    })?;
                    document::read_within(&text, &left).map_err(|e| e.problem)
                });
                documents.add(&url, read);
            }
            (documents, bytes, left.get())
        })
        .await?;
        (self.bytes, self.unfolded) = (bytes, unfolded);
        Ok(documents)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

/// Whether a document may be fetched: from the description's own origin, and from hosts that were named.
fn permitted(base: &Url, url: &Url, allow: &[String]) -> std::result::Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        let sent = url.scheme() == base.scheme();
        let why = if sent { "it was not sent along" } else { "only http and https are fetched" };
        return Err(why.to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    let named = allow.iter().any(|name| name.trim().eq_ignore_ascii_case(host));
    if named || url.origin() == base.origin() {
        return Ok(());
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = url.scheme();
    Err(format!(
        "it is at {scheme}://{host}{port}, not where the description is; `allow` can name the host"
    ))
}

async fn get(
    app: &App,
    base: &Url,
    url: &Url,
    allow: &[String],
    most: usize,
    deadline: Instant,
) -> std::result::Result<Vec<u8>, String> {
    let patience = deadline.saturating_duration_since(Instant::now());
    if patience.is_zero() {
        return Err("its documents took too long".to_owned());
    }
    let may = |url: &Url| permitted(base, url, allow);
    let (_, answer) = fetch::get(app, url, most, Some(patience), may).await?;
    if !(200..300).contains(&answer.status) {
        return Err(format!("its host answered {}", answer.status));
    }
    Ok(answer.body.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_from_the_description_s_origin_and_from_named_hosts() {
        let url = |text: &str| Url::parse(text).unwrap();
        let base = url("https://shop.example/api.yaml");
        let allow = ["Schemas.example".to_owned()];
        for good in ["https://shop.example:443/x", "https://schemas.example/x"] {
            assert_eq!(permitted(&base, &url(good), &allow), Ok(()), "{good}");
        }
        for bad in [
            "http://shop.example/x",
            "https://shop.example:8443/x",
            "https://shop.example.evil.example/x",
            "https://sub.schemas.example/x",
            "file:///etc/passwd",
            "data:,x",
        ] {
            assert!(permitted(&base, &url(bad), &allow).is_err(), "{bad}");
        }
        let nowhere = Documents::of(None, None);
        let near = nowhere.address("a.yaml").unwrap();
        let why = permitted(nowhere.base(), &near, &[]).unwrap_err();
        assert!(why.contains("not sent"), "{why}");
    }
}
