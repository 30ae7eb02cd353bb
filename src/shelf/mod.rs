//! Installed toolkits: from the database into the catalogue, on every replica.
//!
//! What is stored is compared with what is in memory, and what differs is read: at the start, after
//! every notification, and now and then, which heals one that was lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use quick_cache::sync::Cache as Lru;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::catalog::{self, Catalogs, Change, Origin, Packed, Toolkit};
use crate::config::Providers;
use crate::db::installed_toolkit::{self as table, SERVER};
use crate::domain::id::ProjectId;
use crate::error::{Error, Result, codes};
use crate::search::Search;

/// How often the database is looked at without being told to.
const EVERY: Duration = Duration::from_secs(30);
/// Definitions that are read at the same time.
const AT_ONCE: usize = 4;
/// Toolkits of older versions that are kept.
const OLD: usize = 64;

/// Where a toolkit is: project or [`SERVER`], and slug.
type Place = (String, String);

/// See the module.
pub struct Shelf {
    db: PgPool,
    catalogs: Arc<Catalogs>,
    search: Arc<Search>,
    providers: Providers,
    /// The versions of what is in memory, newest first.
    known: tokio::sync::Mutex<HashMap<Place, Vec<String>>>,
    old: Lru<(Place, String), Arc<Toolkit>>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("old", &self.old.len()).finish_non_exhaustive()
    }
}

/// The text that stands for a project, or for the whole server.
pub fn scope(project: Option<&ProjectId>) -> &str {
    project.map_or(SERVER, ProjectId::as_str)
}

impl Shelf {
    /// Over a database; nothing is read yet.
    pub fn new(
        db: PgPool,
        catalogs: Arc<Catalogs>,
        search: Arc<Search>,
        providers: Providers,
    ) -> Self {
        Self { db, catalogs, search, providers, known: Default::default(), old: Lru::new(OLD) }
    }

    /// Brings the catalogue to what is stored.
    ///
    /// # Errors
    /// When the database is away; the catalogue is then as it was.
    pub async fn sync(&self) -> Result<()> {
        let mut known = self.known.lock().await;
        let stored = table::all(&self.db).await?;
        let mut stored: HashMap<Place, Vec<String>> =
            stored.into_iter().map(|row| ((row.project_id, row.slug), row.versions)).collect();
        let gone: Vec<Place> =
            known.keys().filter(|place| !stored.contains_key(*place)).cloned().collect();
        stored.retain(|place, versions| known.get(place).is_none_or(|known| *known != *versions));
        if gone.is_empty() && stored.is_empty() {
            return Ok(());
        }
        let fresh: Vec<(Place, Vec<String>)> = stored.into_iter().collect();
        let read: Vec<(Place, Vec<String>, Option<Arc<Toolkit>>)> = stream::iter(fresh)
            .map(|(place, versions)| async move {
                let newest = versions.first().map(String::as_str).unwrap_or_default();
                let found = self.read(&place, newest, &versions).await?;
                Ok::<_, Error>((place, versions, found))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let change = |(project, slug): &Place, toolkit| Change {
            project: (project != SERVER).then(|| ProjectId::from(project.as_str())),
            slug: slug.clone(),
            toolkit,
        };
        let mut changes = Vec::with_capacity(read.len() + gone.len());
        for place in gone {
            changes.push(change(&place, None));
            known.remove(&place);
        }
        for (place, versions, toolkit) in read {
            changes.push(change(&place, toolkit));
            known.insert(place, versions);
        }
        self.catalogs.change(changes);
        Ok(())
    }

    /// Reads a version. One that this server cannot make sense of is none, with a line in the log.
    async fn read(
        &self,
        (project, slug): &Place,
        version: &str,
        versions: &[String],
    ) -> Result<Option<Arc<Toolkit>>> {
        let row = table::definition(&self.db, project, slug, version).await?;
        let Some(row) = row else { return Ok(None) };
        let base = match row.completes.then(|| self.catalogs.built_in(slug)) {
            Some(None) => {
                tracing::error!(%slug, "there is no built-in toolkit that this one completes");
                return Ok(None);
            }
            base => base.flatten(),
        };
        let packed = Packed { heads: row.heads.into(), bodies: row.bodies.into() };
        let (versions, providers) = (versions.to_vec(), self.providers.clone());
        let opened = self.catalogs.opened().clone();
        let origin = match project.as_str() {
            SERVER => Origin::Server,
            project => Origin::Project(ProjectId::from(project)),
        };
        let unpacked = tokio::task::spawn_blocking(move || {
            catalog::unpack(&packed, &versions, origin, base.as_deref(), &providers, &opened)
        });
        match unpacked.await {
            Ok(Ok(toolkit)) => Ok(Some(Arc::new(toolkit))),
            Ok(Err(problems)) => {
                let problem = problems.join("; ");
                tracing::error!(%slug, version, problem, "an installed toolkit cannot be used");
                Ok(None)
            }
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// A toolkit as it was in one of its versions; itself for the newest, and where it is none of
    /// the installed.
    ///
    /// # Errors
    /// When the version is not there, or the database is away.
    pub async fn at(&self, toolkit: &Arc<Toolkit>, version: &str) -> Result<Arc<Toolkit>> {
        let project = match &toolkit.origin {
            Origin::BuiltIn => return Ok(toolkit.clone()),
            Origin::Server => SERVER,
            Origin::Project(project) => project.as_str(),
        };
        if version == toolkit.newest_version() {
            return Ok(toolkit.clone());
        }
        let place = (project.to_owned(), toolkit.slug().to_owned());
        let key = (place.clone(), version.to_owned());
        if let Some(known) = self.old.get(&key) {
            return Ok(known);
        }
        let found = self.read(&place, version, &toolkit.file.versions).await?;
        // A version that is not stored is one of the toolkit that was completed.
        let found = found.or_else(|| {
            let built_in = self.catalogs.built_in(toolkit.slug());
            built_in.filter(|known| known.file.versions.iter().any(|known| known == version))
        });
        let found = found.ok_or_else(|| {
            let what = format!("Version of the toolkit {}", toolkit.slug());
            Error::not_found(codes::TOOLKIT_VERSION_NOT_FOUND, &what, version)
        })?;
        self.old.insert(key, found.clone());
        Ok(found)
    }
}

/// Keeps the catalogue and the search index up to what is stored, until `stop`.
pub async fn follow(shelf: Arc<Shelf>, cache: Arc<Cache>, stop: CancellationToken) {
    let mut indexed = shelf.catalogs.server();
    loop {
        if let Err(error) = shelf.sync().await {
            tracing::warn!(%error, "the installed toolkits could not be read");
        }
        let now = shelf.catalogs.server();
        if !Arc::ptr_eq(&now, &indexed) {
            indexed = now;
            let search = shelf.search.clone();
            let made = tokio::task::spawn_blocking(move || search.warm());
            if let Err(error) = made.await {
                tracing::error!(%error, "the search index could not be made");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = cache.toolkits.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
