//! What every handler, worker and use case is given.

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::Cache;
use crate::catalog::{Catalog, Catalogs, Entry, Origin, Toolkit, Trigger};
use crate::config::Config;
use crate::db;
use crate::db::notify::Changed;
use crate::domain::id::ProjectId;
use crate::error::Result;
use crate::limits::{RateLimiter, TriesByAddress};
use crate::logbook::Logbook;
use crate::mcp_client::{News, Sessions};
use crate::net::Client;
use crate::outbox::Outbox;
use crate::search::{Embeddings, Search};
use crate::shelf::Shelf;
use crate::storage::Files;
use crate::vault::Vault;

/// The parts of a running server. Cheap to clone by `Arc`.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// Database.
    pub db: PgPool,
    /// Sealing.
    pub vault: Arc<Vault>,
    /// Memory of the hot path.
    pub cache: Arc<Cache>,
    /// Toolkits, as each project sees them; see [`App::catalog`].
    pub catalogs: Arc<Catalogs>,
    /// Finds tools.
    pub search: Arc<Search>,
    /// Installed toolkits, on their way into the catalogue.
    pub shelf: Arc<Shelf>,
    /// Outbound HTTP.
    pub net: Client,
    /// Sessions with remote MCP servers.
    pub mcp_sessions: Sessions,
    /// Those of them that said that they have other tools now.
    pub mcp_news: News,
    /// Files that tools gave.
    pub files: Files,
    /// Events on their way in.
    pub outbox: Outbox,
    /// Execution logs.
    pub logbook: Logbook,
    /// Rate limit.
    pub limits: Arc<RateLimiter>,
    /// Tries of those who have no key yet.
    pub tries: TriesByAddress,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    /// Cancelled when no more requests are accepted: answers without an end must end.
    pub draining: CancellationToken,
    /// Background tasks that the shutdown waits for.
    pub tasks: TaskTracker,
}

/// Shared handle; the axum state.
pub type AppState = Arc<App>;

impl App {
    /// Puts the parts together over a migrated database and starts the background tasks that
    /// belong to them (change listener, log writer, rate counter).
    ///
    /// # Errors
    /// Anything of the definitions or the outbound client that is wrong.
    pub fn new(config: Config, db: PgPool, vault: Vault) -> anyhow::Result<AppState> {
        let catalogs = Catalogs::load(config.toolkits_dir.as_deref(), &config.providers)
            .map_err(|e| anyhow::anyhow!("{}", e.0.join("\n")))?;
        let catalogs = Arc::new(catalogs);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let vault = Arc::new(vault);
        let cache = Arc::new(Cache::new(db.clone(), vault.clone()));
        tasks.spawn(crate::cache::listen(db.clone(), cache.clone(), stop.clone()));
        let net = Client::new(&config)?;
        let embeddings = Embeddings::new(config.embeddings.as_ref(), &net);
        if let Some(embeddings) = embeddings.clone() {
            tasks.spawn(embeddings.fill(db.clone(), stop.clone()));
        }
        let search = Arc::new(Search::new(catalogs.clone()).with(embeddings));
        let providers = config.providers.clone();
        let shelf = Shelf::new(db.clone(), catalogs.clone(), search.clone(), providers);
        let shelf = Arc::new(shelf);
        tasks.spawn(crate::shelf::follow(shelf.clone(), cache.clone(), stop.clone()));
        let logbook = Logbook::start(&config, db.clone(), &tasks, &stop);
        let limits = RateLimiter::start(&config, db.clone(), &tasks, &stop);
        let files = Files::new(&config, db.clone(), &vault);
        let outbox = Outbox::start(db.clone(), &tasks, &stop);
        Ok(Arc::new(Self {
            config,
            outbox,
            db,
            vault,
            cache,
            search,
            shelf,
            catalogs,
            net,
            mcp_sessions: Sessions::default(),
            mcp_news: News::default(),
            files,
            logbook,
            limits,
            draining: stop.child_token(),
            tries: TriesByAddress::default(),
            stop,
            tasks,
        }))
    }

    /// The toolkits that a project sees at this moment. Whoever answers a request takes it once.
    pub fn catalog(&self, project: &ProjectId) -> Arc<Catalog> {
        self.catalogs.of(project)
    }

    /// A toolkit as a project sees it, by slug in any case.
    pub fn toolkit(&self, project: &ProjectId, slug: &str) -> Option<Arc<Toolkit>> {
        self.catalog(project).toolkit(slug).cloned()
    }

    /// A tool as a project sees it, by slug or alias, with its toolkit.
    pub fn tool(&self, project: &ProjectId, slug: &str) -> Option<(Arc<Toolkit>, Arc<Entry>)> {
        self.catalog(project).tool(slug).map(|(toolkit, tool)| (toolkit.clone(), tool.clone()))
    }

    /// A tool as it was in a version of its toolkit, with the toolkit of that version. It need not
    /// be there any more in the newest.
    ///
    /// # Errors
    /// 404 when the toolkit has no such version, and when the database is away.
    pub async fn tool_at(
        &self,
        project: &ProjectId,
        slug: &str,
        version: Option<&str>,
    ) -> Result<Option<(Arc<Toolkit>, Arc<Entry>)>> {
        if let Some((toolkit, tool)) = self.tool(project, slug) {
            let at = self.shelf.at(&toolkit, toolkit.version(version)?).await?;
            if Arc::ptr_eq(&at, &toolkit) {
                return Ok(Some((toolkit, tool)));
            }
            // It may have been called otherwise then.
            let names = tool.def.aliases.iter().map(String::as_str);
            let tool = std::iter::once(slug).chain(names).find_map(|name| at.tool(name)).cloned();
            return Ok(tool.map(|tool| (at, tool)));
        }
        let Some(version) = version else { return Ok(None) };
        for toolkit in self.catalog(project).toolkits() {
            let prefix = format!("{}_", toolkit.slug().to_uppercase());
            if toolkit.origin == Origin::BuiltIn
                || !slug.starts_with(&prefix)
                || !toolkit.file.versions.iter().any(|known| known == version)
            {
                continue;
            }
            let at = self.shelf.at(toolkit, version).await?;
            if let Some(tool) = at.tool(slug).cloned() {
                return Ok(Some((at, tool)));
            }
        }
        Ok(None)
    }

    /// A trigger type as a project sees it, by slug or alias, with its toolkit.
    pub fn trigger(&self, project: &ProjectId, slug: &str) -> Option<(Arc<Toolkit>, Arc<Trigger>)> {
        let catalog = self.catalog(project);
        catalog.trigger(slug).map(|(toolkit, trigger)| (toolkit.clone(), trigger.clone()))
    }

    /// Tells every replica, this one at once, that something changed. Call it inside the
    /// transaction that changed it, and [`crate::cache::Cache::invalidate`] again after the commit
    /// when the transaction goes on after this.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn changed(&self, db: impl sqlx::PgExecutor<'_>, what: &Changed) -> Result<()> {
        db::notify::changed(db, what).await?;
        self.cache.invalidate(what);
        Ok(())
    }

    /// Stops the background tasks and waits for them: what is queued gets written.
    pub async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.vault.close().await;
    }
}
