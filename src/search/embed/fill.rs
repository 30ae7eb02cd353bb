//! How the vectors of tools come to be: from the database, where some server has made them before,
//! otherwise from the model, in the background.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::shelf::Packed;
use super::{BATCH, Embeddings, Key, normal};
use crate::db::tool_vector;

/// How many vectors are asked of the database at a time.
const ASKED: usize = 1_000;

/// How often the log says how far it is.
const REPORT: Duration = Duration::from_secs(30);

/// Until it is tried again when the model or the database failed; doubled each time, up to the
/// second one.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Texts that have no vector yet.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    texts: Mutex<BTreeMap<Key, String>>,
    more: Notify,
}

impl Wanted {
    /// Adds texts.
    pub fn add(&self, texts: impl Iterator<Item = (Key, String)>) {
        let mut known = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(texts);
        if !known.is_empty() {
            self.more.notify_one();
        }
    }

    /// Takes some, the first of which are behind `from`.
    fn take(&self, from: &Key, most: usize) -> Vec<(Key, String)> {
        let mut known = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = known.range(*from..).chain(known.range(..*from));
        let keys: Vec<Key> = behind.take(most).map(|(key, _)| *key).collect();
        keys.into_iter().filter_map(|key| known.remove_entry(&key)).collect()
    }

    fn len(&self) -> usize {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Embeddings {
    /// Makes the vectors that are asked for, until the server stops.
    pub async fn fill(self: Arc<Self>, db: PgPool, stop: CancellationToken) {
        let mut wait = AGAIN.0;
        // Whether it works should be known now, not with the first search.
        if let Err(error) = self.embedder.embed(&["ready".to_owned()]).await {
            tracing::warn!(%error, "the model for searches does not work yet");
        }
        // Replicas begin at different places, so that none makes what another one makes.
        let mut from: Key = rand::rng().random();
        let mut progress = Progress::default();
        loop {
            let texts = self.wanted.take(&from, ASKED);
            if let Some((last, _)) = texts.last() {
                from = *last;
            } else {
                progress.done();
                tokio::select! {
                    () = self.wanted.more.notified() => continue,
                    () = stop.cancelled() => return,
                }
            }
            let work = self.make(&db, texts, &mut progress);
            let failed = tokio::select! {
                left = work => left,
                () = stop.cancelled() => return,
            };
            let Some((error, left)) = failed else {
                wait = AGAIN.0;
                continue;
            };
            tracing::warn!(%error, again_in = ?wait, "cannot make vectors of tools; they are found by their words");
            self.wanted.add(left.into_iter());
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(AGAIN.1),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Loads or makes the vectors of texts. Returns what went wrong, and the texts left.
    async fn make(
        &self,
        db: &PgPool,
        mut texts: Vec<(Key, String)>,
        progress: &mut Progress,
    ) -> Option<(String, Vec<(Key, String)>)> {
        if let Err(error) = self.load(db, &mut texts).await {
            return Some((error.to_string(), texts));
        }
        while !texts.is_empty() {
            let rest = texts.split_off(BATCH.min(texts.len()));
            let batch = std::mem::replace(&mut texts, rest);
            let (keys, batch): (Vec<Key>, Vec<String>) = batch.into_iter().unzip();
            let made = match self.embedder.embed(&batch).await {
                Ok(made) if made.len() == batch.len() => made,
                Ok(_) => return Some(("the model gave too few vectors".to_owned(), texts)),
                Err(error) => {
                    texts.extend(keys.into_iter().zip(batch));
                    return Some((error, texts));
                }
            };
            let made = keys.iter().zip(made);
            let made: Vec<(Key, Packed)> = made
                .filter_map(|(key, vector)| Some((*key, Packed::new(&normal(vector)?)?)))
                .collect();
            let keys: Vec<Vec<u8>> = made.iter().map(|(key, _)| key.to_vec()).collect();
            let vectors: Vec<Vec<u8>> = made.iter().map(|(_, packed)| packed.bytes()).collect();
            progress.made(made.len(), texts.len() + self.wanted.len());
            self.shelf.put(made);
            // Without the database they are made again at the next start; nothing else is lost.
            if let Err(error) = tool_vector::add(db, &keys, &vectors).await {
                tracing::warn!(%error, "cannot store vectors of tools");
            }
            // Another replica may have made the next ones.
            if let Err(error) = self.load(db, &mut texts).await {
                return Some((error.to_string(), texts));
            }
        }
        None
    }

    /// Puts those on the shelf that the database has.
    async fn load(&self, db: &PgPool, texts: &mut Vec<(Key, String)>) -> sqlx::Result<()> {
        let next = texts.iter().take(ASKED).map(|(key, _)| key.to_vec());
        let keys: Vec<Vec<u8>> = next.collect();
        if keys.is_empty() {
            return Ok(());
        }
        let stored = tool_vector::find(db, &keys).await?;
        let stored = stored.iter().filter_map(|(key, vector)| {
            Some((Key::try_from(key.as_slice()).ok()?, Packed::from_bytes(vector)?))
        });
        self.shelf.put(stored);
        texts.retain(|(key, _)| !self.shelf.has(key));
        Ok(())
    }
}

/// How far it is, for the log.
#[derive(Default)]
struct Progress {
    made: usize,
    began: Option<Instant>,
    said: Option<Instant>,
}

impl Progress {
    fn made(&mut self, count: usize, left: usize) {
        let began = *self.began.get_or_insert_with(Instant::now);
        self.made += count;
        if self.said.unwrap_or(began).elapsed() >= REPORT {
            self.said = Some(Instant::now());
            let (made, took) = (self.made, began.elapsed());
            let minutes = took.as_secs_f64() / 60.0 * left as f64 / made.max(1) as f64;
            tracing::info!(made, left, minutes_left = minutes.ceil(), "making vectors of tools");
        }
    }

    fn done(&mut self) {
        if self.made > 0 {
            let took = self.began.map(|began| began.elapsed()).unwrap_or_default();
            tracing::info!(made = self.made, ?took, "made vectors of tools");
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_taken_once_from_where_it_goes_on() {
        let wanted = Wanted::default();
        let text = |key: u8| ([key; 16], key.to_string());
        wanted.add([text(1), text(2), text(3), text(2)].into_iter());
        let taken = wanted.take(&[2; 16], 2);
        assert_eq!(taken, [text(2), text(3)]);
        assert_eq!(wanted.take(&[9; 16], 9), [text(1)]);
        assert!(wanted.take(&[0; 16], 9).is_empty() && wanted.len() == 0);
    }
}
