//! What an agent noted while it worked: ids and relations that its next search brings back.
//!
//! The agent itself notes them, in words that it will understand later ("Channel general has the
//! id C012AB3CD"). Results of tools are not noted by themselves: most ids in them never matter
//! again, and a memory full of them hides those that do.

use std::collections::BTreeMap;

use crate::app::App;
use crate::db;
use crate::domain::session::Session;
use crate::error::Result;

/// Most entries of one toolkit; the oldest go.
pub const MAX_ENTRIES: usize = 30;

/// Longest entry, in characters; the rest is cut off.
pub const MAX_LENGTH: usize = 500;

/// Where entries go whose toolkit this server does not know.
pub const GENERAL: &str = "general";

/// Notes entries by toolkit. It never refuses any: what was noted is a help and nothing more, so
/// too long entries are cut, and those of unknown toolkits are kept as general ones.
///
/// # Errors
/// When the database is away.
pub async fn add(
    app: &App,
    session: &Session,
    entries: BTreeMap<String, Vec<String>>,
) -> Result<()> {
    let catalog = app.catalog(&session.project_id);
    let kept = kept(entries, |slug| catalog.toolkit(slug).map(|t| t.file.slug.clone()));
    if kept.is_empty() {
        return Ok(());
    }
    let most = i64::try_from(MAX_ENTRIES).unwrap_or(i64::MAX);
    db::session_memory::add(&app.db, &session.project_id, &session.id, &kept, most).await?;
    Ok(())
}

/// Everything that a session noted, by toolkit, oldest first.
///
/// # Errors
/// When the database is away.
pub async fn all(app: &App, session: &Session) -> Result<BTreeMap<String, Vec<String>>> {
    Ok(db::session_memory::all(&app.db, &session.project_id, &session.id).await?)
}

/// The entries as they are stored: on one line, cut, each once, the newest of too many.
fn kept(
    entries: BTreeMap<String, Vec<String>>,
    known: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, Vec<String>> {
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (toolkit, texts) in entries {
        let toolkit = known(toolkit.trim()).unwrap_or_else(|| GENERAL.to_owned());
        for text in texts {
            let plain: String = text
                .split_whitespace()
                .flat_map(|word| [" ", word])
                .skip(1)
                .flat_map(str::chars)
                .filter(|c| !c.is_control())
                .take(MAX_LENGTH)
                .collect();
            if !plain.is_empty() {
                let list = kept.entry(toolkit.clone()).or_default();
                list.retain(|other| *other != plain);
                list.push(plain);
            }
        }
    }
    for list in kept.values_mut() {
        list.drain(..list.len().saturating_sub(MAX_ENTRIES));
    }
    kept.retain(|_, list| !list.is_empty());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_cut_each_once_and_the_newest() {
        let mut given = BTreeMap::from([
            ("SLACK".to_owned(), vec!["a\n b\0".to_owned(), "  ".to_owned(), "a b".to_owned()]),
            ("nope".to_owned(), vec!["x".repeat(600)]),
            ("empty".to_owned(), vec![]),
        ]);
        given.insert("slack".to_owned(), (0..40).map(|n| format!("entry {n}")).collect());
        let known = |slug: &str| (slug.to_lowercase() == "slack").then(|| "slack".to_owned());
        let kept = kept(given, known);
        assert_eq!(kept.keys().collect::<Vec<_>>(), [GENERAL, "slack"]);
        assert_eq!(kept[GENERAL][0].len(), MAX_LENGTH);
        assert_eq!(kept["slack"].len(), MAX_ENTRIES);
        assert_eq!(kept["slack"].last().map(String::as_str), Some("entry 39"));
    }
}
