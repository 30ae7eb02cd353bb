//! What texts mean, as vectors: those of texts that mean about the same lie near one another.
//!
//! | module | knows |
//! |---|---|
//! | `minilm` | a small model, run in this process |
//! | `dense`, `safetensors`, `wordpiece` | what it is made of |
//! | `remote` | a model behind an OpenAI-compatible URL |
//! | `shelf` | the vectors of tools, and which are near a query's |
//! | `fill` | how they come there |
//!
//! Search needs none of it: where there is no model, or it does not answer in time, tools are found
//! by their words.

mod dense;
mod fill;
mod minilm;
mod remote;
mod safetensors;
mod shelf;
mod wordpiece;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use super::Doc;
use crate::config::{Embeddings as Settings, LocalModel};
use crate::net::Client;
pub use minilm::MiniLm;
pub use shelf::{Packed, Rows, Shelf};

/// Queries whose vectors are remembered.
const REMEMBERED: usize = 10_000;

/// Longest text of a query that a vector is made of, in bytes.
const MAX_QUERY: usize = 2_000;

/// How long a search waits for the vector of its query before it goes on without.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long no query is sent to a model that has just failed: otherwise every search would wait for
/// it in vain.
const REST: Duration = Duration::from_secs(5);

/// How much of a tool's description its vector is made of, in bytes: the first sentences say what it
/// does, and every word costs.
const MAX_DESCRIPTION: usize = 240;

/// Most texts that are sent to a model at a time.
const BATCH: usize = 32;

/// Makes vectors of texts.
pub trait Embedder: fmt::Debug + Send + Sync {
    /// What tells its vectors from those of other models.
    fn id(&self) -> &str;

    /// Vectors of texts, in their order. They need not be of length 1.
    fn embed<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>>;
}

/// Hash of a text and of what made its vector.
pub type Key = [u8; 16];

/// The vectors of a server, and what makes them.
#[derive(Debug)]
pub struct Embeddings {
    embedder: Arc<dyn Embedder>,
    shelf: Shelf,
    queries: Cache<String, Arc<[f32]>>,
    /// When a query failed last.
    failed: Mutex<Option<Instant>>,
    wanted: fill::Wanted,
}

impl Embeddings {
    /// What the settings ask for; none when they ask for nothing.
    pub fn new(settings: Option<&Settings>, net: &Client) -> Option<Arc<Self>> {
        let embedder: Arc<dyn Embedder> = match settings? {
            Settings::Local(model) => Arc::new(Local::new(model.clone())),
            Settings::Remote(url) => Arc::new(remote::Remote::new(url.clone(), net.clone())),
        };
        Some(Arc::new(Self::of(embedder)))
    }

    /// Of a given embedder.
    pub fn of(embedder: Arc<dyn Embedder>) -> Self {
        Self {
            embedder,
            shelf: Shelf::default(),
            queries: Cache::new(REMEMBERED),
            failed: Mutex::new(None),
            wanted: fill::Wanted::default(),
        }
    }

    /// What makes them.
    pub fn embedder(&self) -> Arc<dyn Embedder> {
        self.embedder.clone()
    }

    /// The vectors that are there.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    fn key(&self, text: &str) -> Key {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        hash.update(self.embedder.id().as_bytes());
        hash.update(&[0]);
        hash.update(text.as_bytes());
        let mut key = [0; 16];
        key.iter_mut().zip(hash.finish().as_ref()).for_each(|(key, byte)| *key = *byte);
        key
    }

    /// What the vector of a tool is made of, and its key.
    pub fn wish(&self, doc: &Doc<'_>) -> (Key, String) {
        let text = text(doc);
        (self.key(&text), text)
    }

    /// Asks for vectors of tools that have none yet.
    pub fn want(&self, wishes: impl IntoIterator<Item = (Key, String)>) {
        self.wanted.add(wishes.into_iter().filter(|(key, _)| !self.shelf.has(key)));
    }

    /// The vector of a query. None when the model does not make one in time: a search without it is
    /// better than none.
    pub async fn query(&self, text: &str) -> Option<Arc<[f32]>> {
        let mut end = text.len().min(MAX_QUERY);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end)?.trim();
        // Nothing to compare it with.
        if text.is_empty() || self.shelf.is_empty() {
            return None;
        }
        if let Some(known) = self.queries.get(text) {
            return Some(known);
        }
        if self.failed().is_some_and(|at| at.elapsed() < REST) {
            return None;
        }
        let texts = [text.to_owned()];
        match tokio::time::timeout(PATIENCE, self.embedder.embed(&texts)).await {
            Ok(Ok(mut vectors)) => {
                let vector: Arc<[f32]> = normal(vectors.pop()?)?.into();
                self.queries.insert(text.to_owned(), vector.clone());
                return Some(vector);
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "no vector for a query, it is searched by its words");
            }
            Err(_) => {
                tracing::warn!("no vector for a query in time, it is searched by its words");
            }
        }
        *self.failed() = Some(Instant::now());
        None
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a tool its vector is made of.
pub fn text(doc: &Doc<'_>) -> String {
    let name = if doc.name.is_empty() { doc.slug } else { doc.name };
    let mut text = format!("{}: {name}. ", doc.toolkit_name);
    let begin = text.len();
    for word in doc.description.split_whitespace() {
        if text.len() + word.len() > begin + MAX_DESCRIPTION {
            break;
        }
        text.push_str(word);
        text.push(' ');
    }
    text.truncate(text.trim_end().len());
    text
}

/// A vector of length 1. None of what has no direction.
fn normal(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    unit(&mut vector);
    let length: f32 = vector.iter().map(|v| v * v).sum();
    (length > 0.5 && length.is_finite()).then_some(vector)
}

/// Makes the length of a vector 1.
fn unit(vector: &mut [f32]) {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

/// The model in this process. Its files are read when they are first needed.
struct Local {
    files: LocalModel,
    id: String,
    model: OnceLock<Result<Arc<MiniLm>, String>>,
    /// One text at a time per processor; more would only take longer, all of them.
    turns: Semaphore,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Local {
    fn new(files: LocalModel) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            id: format!("minilm/{}", files.sha256),
            model: OnceLock::new(),
            turns: Semaphore::new(processors.max(2)),
            files,
        }
    }
}

impl Embedder for Local {
    fn id(&self) -> &str {
        &self.id
    }

    fn embed<'a>(&'a self, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        Box::pin(async move {
            let _turn = self.turns.acquire().await.map_err(|e| e.to_string())?;
            let known = self.model.get().cloned();
            let (files, texts) = (self.files.clone(), texts.to_vec());
            let made = tokio::task::spawn_blocking(move || {
                let model = known.unwrap_or_else(|| open(&files).map(Arc::new));
                let vectors = model.clone().map(|model| {
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    model.vectors(&texts)
                });
                (model, vectors)
            });
            let (model, vectors) = made.await.map_err(|e| e.to_string())?;
            let _ = self.model.set(model);
            vectors
        })
    }
}

/// Opens the model, if its files are the right ones.
///
/// # Errors
/// In words, with the file that is wrong.
pub fn open(files: &LocalModel) -> Result<MiniLm, String> {
    let weights = read(&files.weights, &files.sha256)?;
    let vocabulary = read(&files.vocabulary(), VOCABULARY_SHA256)?;
    let vocabulary = String::from_utf8(vocabulary).map_err(|_| "the vocabulary is no text")?;
    MiniLm::new(&weights, &vocabulary)
        .map_err(|unfit| format!("{}: {unfit}", files.weights.display()))
}

/// SHA-256 of the list of word pieces that belongs to the model.
pub const VOCABULARY_SHA256: &str =
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3";

fn read(path: &Path, sha256: &str) -> Result<Vec<u8>, String> {
    let content = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    // Ninety megabytes: ring hashes them fast, however this program was built.
    if hex::encode(ring::digest::digest(&ring::digest::SHA256, &content)) == sha256 {
        Ok(content)
    } else {
        Err(format!("{}: its SHA-256 is not {sha256}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_tool_has_its_beginning() {
        let doc = Doc {
            slug: "GITHUB_STAR",
            name: "Star a repository",
            toolkit_name: "GitHub",
            description: "Stars it.\n  For you.",
            ..Doc::default()
        };
        assert_eq!(text(&doc), "GitHub: Star a repository. Stars it. For you.");
        let long = "wörter ".repeat(1000);
        let doc = Doc { slug: "A_B", toolkit_name: "A", description: &long, ..Doc::default() };
        let text = text(&doc);
        assert!(text.starts_with("A: A_B. wörter") && text.len() < 260 && text.ends_with('r'));
    }

    #[derive(Debug, Default)]
    struct Away(std::sync::atomic::AtomicUsize);

    impl Embedder for Away {
        fn id(&self) -> &str {
            "away"
        }

        fn embed<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async { Err("it is away".to_owned()) })
        }
    }

    #[tokio::test]
    async fn a_model_that_has_failed_is_left_alone_for_a_while() {
        let away = Arc::new(Away::default());
        let embeddings = Embeddings::of(away.clone());
        embeddings.shelf.put(Packed::new(&[1.0, 0.0]).map(|packed| ([1; 16], packed)));
        let asked = || away.0.load(std::sync::atomic::Ordering::Relaxed);
        assert!(embeddings.query("one").await.is_none());
        assert!(embeddings.query("other").await.is_none());
        assert_eq!(asked(), 1);
        *embeddings.failed() = Instant::now().checked_sub(REST);
        assert!(embeddings.query("other").await.is_none());
        assert_eq!(asked(), 2);
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        assert_eq!(normal(vec![3.0, 4.0]).unwrap(), [0.6, 0.8]);
        assert!(normal(vec![0.0, 0.0]).is_none());
        assert!(normal(vec![]).is_none());
        assert!(normal(vec![f32::NAN, 1.0]).is_none());
        assert!(normal(vec![f32::INFINITY, 1.0]).is_none());
    }
}
