//! What the hot path needs, in memory: keys, auth configs and accounts with their
//! credentials opened.
//!
//! Bounded, and fresh by three means: the writer drops its own entries before it
//! answers; a PostgreSQL notification drops them on every other replica within
//! milliseconds of the commit; and an entry older than [`MAX_AGE`] is read anew, which
//! heals a lost notification. A listener that had to reconnect drops everything.
//!
//! A fill that began before an invalidation must not store what it read: every fill
//! carries the generation at which it began and is dropped when that has moved on.

mod bell;
mod flight;
mod listen;
mod trigger;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache as Lru;
use sqlx::PgPool;

use crate::db;
use crate::db::notify::Changed;
use crate::domain::connection::{Account, AuthConfig, Principal, Project};
use crate::domain::id::{AccountId, AuthConfigId, ProjectId, SessionId, SubscriptionId};
use crate::domain::mcp_server::{McpServer, McpServerId};
use crate::domain::mcp_token::McpToken;
use crate::domain::project::ProjectConfig;
use crate::domain::session::Session;
use crate::domain::time::now;
use crate::domain::webhook::Subscription;
use crate::error::Result;
use crate::vault::{Vault, hash_token};

pub use bell::Bell;
pub use flight::{Flight, Flights};
pub use listen::listen;
pub use trigger::{Endpoint, Instance};
pub use watch::{Topic, Watch, Watches};

/// Longest time that an entry is believed without a look at the database.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// How long a key that does not exist is remembered as such.
const UNKNOWN_KEY_AGE: Duration = Duration::from_secs(5);

/// Longest text of a caller's that can name anything that exists. What is longer is unknown without
/// a look, and is not remembered: the caches count entries, not bytes.
const MAX_NAME: usize = 512;

struct Entry<T> {
    value: Option<Arc<T>>,
    read_at: Instant,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), read_at: self.read_at }
    }
}

/// Most accounts of one user and toolkit that are remembered; more than anybody has.
const MAX_USABLE: usize = 100;

/// An account that executions may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// Its id.
    pub id: AccountId,
    /// The developer's own name of it.
    pub alias: Option<String>,
    /// Auth config that it was made with.
    pub auth_config_id: AuthConfigId,
}

type UserKey = (ProjectId, String, String);

/// See the module.
pub struct Cache {
    db: PgPool,
    vault: Arc<Vault>,
    generation: AtomicU64,
    principals: Lru<[u8; 32], Entry<Principal>>,
    auth_configs: Lru<(ProjectId, AuthConfigId), Entry<AuthConfig>>,
    accounts: Lru<(ProjectId, AccountId), Entry<Account>>,
    usable: Lru<UserKey, Entry<Vec<Usable>>>,
    sessions: Lru<(ProjectId, SessionId), Entry<Session>>,
    /// Rings when accounts change, here or on another replica.
    pub bell: Bell,
    projects: Lru<ProjectId, Entry<Project>>,
    mcp_servers: Lru<McpServerId, Entry<McpServer>>,
    mcp_tokens: Lru<(ProjectId, [u8; 32]), Entry<McpToken>>,
    triggers: trigger::Triggers,
    subscriptions: Lru<(ProjectId, SubscriptionId), Entry<Subscription>>,
    /// Refreshes in progress on this replica.
    pub flights: Flights,
    /// Who wants to hear of changes.
    pub watches: Arc<Watches>,
    /// Wakes whoever keeps the catalogue up to what is installed.
    pub toolkits: tokio::sync::Notify,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("accounts", &self.accounts.len())
            .field("usable", &self.usable.len())
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// An empty cache over the database.
    pub fn new(db: PgPool, vault: Arc<Vault>) -> Self {
        Self {
            db,
            vault,
            generation: AtomicU64::new(0),
            principals: Lru::new(10_000),
            auth_configs: Lru::new(10_000),
            accounts: Lru::new(50_000),
            usable: Lru::new(50_000),
            sessions: Lru::new(20_000),
            bell: Bell::default(),
            projects: Lru::new(10_000),
            mcp_servers: Lru::new(10_000),
            mcp_tokens: Lru::new(10_000),
            triggers: trigger::Triggers::new(),
            subscriptions: Lru::new(10_000),
            flights: Flights::default(),
            watches: Arc::default(),
            toolkits: tokio::sync::Notify::new(),
        }
    }

    fn fresh<T>(entry: Option<Entry<T>>, max_age: Duration) -> Option<Option<Arc<T>>> {
        entry.filter(|e| e.read_at.elapsed() < max_age).map(|e| e.value)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Stores what a fill read, unless something was invalidated meanwhile. The second check
    /// covers an invalidation between the first one and the insertion.
    fn store<K: std::hash::Hash + Eq + Clone, T>(
        &self,
        map: &Lru<K, Entry<T>>,
        key: K,
        value: Option<Arc<T>>,
        began: u64,
    ) {
        if self.generation() != began {
            return;
        }
        map.insert(key.clone(), Entry { value, read_at: Instant::now() });
        if self.generation() != began {
            map.remove(&key);
        }
    }

    /// Whom a key belongs to; none when there is no such key.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn principal(&self, key: &str) -> Result<Option<Arc<Principal>>> {
        let hash = hash_token(key);
        let mut id = [0u8; 32];
        id.copy_from_slice(&hash);
        if let Some(entry) = self.principals.get(&id) {
            let max_age = if entry.value.is_some() { MAX_AGE } else { UNKNOWN_KEY_AGE };
            if let Some(known) = Self::fresh(Some(entry), max_age) {
                return Ok(known);
            }
        }
        let began = self.generation();
        let principal = self.read_principal(&hash).await?.map(Arc::new);
        self.store(&self.principals, id, principal.clone(), began);
        Ok(principal)
    }

    async fn read_principal(&self, hash: &[u8]) -> Result<Option<Principal>> {
        let Some(key) = db::api_key::get(&self.db, hash).await? else { return Ok(None) };
        let project = match &key.project_id {
            None => None,
            Some(id) => match db::project::get(&self.db, id).await? {
                None => return Ok(None),
                Some(row) => Some(Arc::new(project_of(row))),
            },
        };
        Ok(Some(Principal {
            org_id: key.org_id,
            project,
            key_id: key.id,
            key_name: key.name,
            key_hint: key.hint,
            key_created_at: key.created_at,
        }))
    }

    /// An auth config; none when there is none.
    ///
    /// # Errors
    /// When the database is away, or its secrets do not open.
    pub async fn auth_config(
        &self,
        project: &ProjectId,
        id: &AuthConfigId,
    ) -> Result<Option<Arc<AuthConfig>>> {
        if id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        let key = (project.clone(), id.clone());
        if let Some(known) = Self::fresh(self.auth_configs.get(&key), MAX_AGE) {
            return Ok(known);
        }
        let began = self.generation();
        let row = db::auth_config::get(&self.db, project, id).await?;
        let config = match row {
            Some(row) => Some(Arc::new(self.vault.open_auth_config(row).await?)),
            None => None,
        };
        self.store(&self.auth_configs, key, config.clone(), began);
        Ok(config)
    }

    /// A connected account; none when there is none.
    ///
    /// # Errors
    /// As [`Cache::auth_config`].
    pub async fn account(
        &self,
        project: &ProjectId,
        id: &AccountId,
    ) -> Result<Option<Arc<Account>>> {
        if id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        let key = (project.clone(), id.clone());
        if let Some(known) = Self::fresh(self.accounts.get(&key), MAX_AGE) {
            return Ok(known);
        }
        self.read_account(project, id).await
    }

    /// The account as the database has it now; the cache learns it.
    ///
    /// # Errors
    /// As [`Cache::auth_config`].
    pub async fn read_account(
        &self,
        project: &ProjectId,
        id: &AccountId,
    ) -> Result<Option<Arc<Account>>> {
        if id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        let began = self.generation();
        let row = db::account::get(&self.db, project, id).await?;
        let account = match row {
            Some(row) => Some(Arc::new(self.vault.open_account(row).await?)),
            None => None,
        };
        self.store(&self.accounts, (project.clone(), id.clone()), account.clone(), began);
        Ok(account)
    }

    /// The accounts of a user and toolkit that executions may use when none is named, newest
    /// first; see [`db::account::usable_for`].
    ///
    /// # Errors
    /// As [`Cache::auth_config`].
    pub async fn usable_accounts(
        &self,
        project: &ProjectId,
        user_id: &str,
        toolkit_slug: &str,
    ) -> Result<Arc<Vec<Usable>>> {
        if user_id.len() > MAX_NAME {
            return Ok(Arc::default());
        }
        let key = (project.clone(), user_id.to_owned(), toolkit_slug.to_owned());
        if let Some(known) = Self::fresh(self.usable.get(&key), MAX_AGE) {
            return Ok(known.unwrap_or_default());
        }
        let began = self.generation();
        let limit = i64::try_from(MAX_USABLE).unwrap_or(i64::MAX);
        let rows = db::account::usable_for(&self.db, project, user_id, toolkit_slug, limit).await?;
        let found = rows.iter().map(|row| Usable {
            id: row.id.clone(),
            alias: row.alias.clone(),
            auth_config_id: row.auth_config_id.clone(),
        });
        let found = Arc::new(found.collect::<Vec<_>>());
        // The newest one is about to be used.
        if let Some(row) = rows.into_iter().next() {
            let account = Arc::new(self.vault.open_account(row).await?);
            let key = (project.clone(), account.id.clone());
            self.store(&self.accounts, key, Some(account), began);
        }
        let known = (!found.is_empty()).then(|| found.clone());
        self.store(&self.usable, key, known, began);
        Ok(found)
    }

    /// The newest usable account of a user for a toolkit, and whether there are others.
    ///
    /// # Errors
    /// As [`Cache::auth_config`].
    pub async fn default_account(
        &self,
        project: &ProjectId,
        user_id: &str,
        toolkit_slug: &str,
    ) -> Result<Option<(Arc<Account>, bool)>> {
        let usable = self.usable_accounts(project, user_id, toolkit_slug).await?;
        let Some(newest) = usable.first() else { return Ok(None) };
        let account = self.account(project, &newest.id).await?;
        Ok(account.map(|account| (account, usable.len() > 1)))
    }

    /// A session that is not deleted; none when there is none.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn session(
        &self,
        project: &ProjectId,
        id: &SessionId,
    ) -> Result<Option<Arc<Session>>> {
        if id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        let key = (project.clone(), id.clone());
        if let Some(known) = Self::fresh(self.sessions.get(&key), MAX_AGE) {
            return Ok(known);
        }
        let began = self.generation();
        let row = db::session::get(&self.db, project, id).await?;
        let session = row.map(|row| Arc::new(session_of(row)));
        self.store(&self.sessions, key, session.clone(), began);
        Ok(session)
    }

    /// A project that is not deleted; none when there is none.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn project(&self, id: &ProjectId) -> Result<Option<Arc<Project>>> {
        if id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        if let Some(known) = Self::fresh(self.projects.get(id), MAX_AGE) {
            return Ok(known);
        }
        let began = self.generation();
        let project = db::project::get(&self.db, id).await?.map(|row| Arc::new(project_of(row)));
        self.store(&self.projects, id.clone(), project.clone(), began);
        Ok(project)
    }

    /// The MCP server under an address; none when there is none, or it is deleted.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn mcp_server(&self, id: &McpServerId) -> Result<Option<Arc<McpServer>>> {
        if let Some(known) = Self::fresh(self.mcp_servers.get(id), MAX_AGE) {
            return Ok(known);
        }
        let began = self.generation();
        let row = match db::mcp_server::project_of(&self.db, id).await? {
            Some(project) => db::mcp_server::get(&self.db, &project, id).await?,
            None => None,
        };
        let server = row.map(|row| Arc::new(mcp_server_of(row)));
        self.store(&self.mcp_servers, id.clone(), server.clone(), began);
        Ok(server)
    }

    /// What an MCP client's access token of a project opens; none when it is not valid.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn mcp_token(
        &self,
        project: &ProjectId,
        token: &str,
    ) -> Result<Option<Arc<McpToken>>> {
        let hash = hash_token(token);
        let mut id = [0u8; 32];
        id.copy_from_slice(&hash);
        let key = (project.clone(), id);
        if let Some(entry) = self.mcp_tokens.get(&key) {
            let max_age = if entry.value.is_some() { MAX_AGE } else { UNKNOWN_KEY_AGE };
            if let Some(known) = Self::fresh(Some(entry), max_age) {
                return Ok(known.filter(|token| token.expires_at > now()));
            }
        }
        let began = self.generation();
        let row = db::mcp_oauth::access(&self.db, project, &hash).await?;
        let token = row
            .map(|row| Arc::new(McpToken { resource: row.resource, expires_at: row.expires_at }));
        self.store(&self.mcp_tokens, key, token.clone(), began);
        Ok(token)
    }

    /// A webhook subscription; none when there is none.
    ///
    /// # Errors
    /// As [`Cache::auth_config`].
    pub async fn subscription(
        &self,
        project: &ProjectId,
        id: &SubscriptionId,
    ) -> Result<Option<Arc<Subscription>>> {
        let key = (project.clone(), id.clone());
        if let Some(known) = Self::fresh(self.subscriptions.get(&key), MAX_AGE) {
            return Ok(known);
        }
        let began = self.generation();
        let row = db::webhook_subscription::get(&self.db, project, id).await?;
        let subscription = match row {
            Some(row) => Some(Arc::new(self.vault.open_webhook_subscription(row).await?)),
            None => None,
        };
        self.store(&self.subscriptions, key, subscription.clone(), began);
        Ok(subscription)
    }

    /// Drops what a change made stale, on this replica.
    pub fn invalidate(&self, what: &Changed) {
        if let Changed::McpCancelled { project, call } = what {
            self.watches.tell(&Topic::Call(project.clone(), call.clone()));
            return;
        }
        self.drop_stale(what);
        // Afterwards, so that whoever looks again sees what is new.
        match what {
            Changed::Account { project, user, tokens_only: false, .. } => {
                self.watches.tell(&Topic::Accounts(project.clone(), user.clone()));
            }
            Changed::Toolkits => self.toolkits.notify_one(),
            Changed::Session { project, id } => {
                self.watches.tell(&Topic::Session(project.clone(), id.clone()));
            }
            Changed::McpServer { id } => {
                if let Some(id) = McpServerId::parse(id) {
                    self.watches.tell(&Topic::Server(id));
                }
            }
            _ => {}
        }
    }

    fn drop_stale(&self, what: &Changed) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        match what {
            Changed::Keys => {
                self.principals.clear();
                self.projects.clear();
                // They end with the key that signed in.
                self.mcp_tokens.clear();
            }
            Changed::AuthConfig { project, id } => {
                self.auth_configs.remove(&(project.clone(), id.clone()));
                // Which accounts can be used depends on the config being enabled.
                self.usable.clear();
            }
            Changed::Account { project, id, user, .. } => {
                self.forget_account(project, id, user);
                self.bell.ring(project, user);
            }
            Changed::Session { project, id } => {
                self.sessions.remove(&(project.clone(), id.clone()));
            }
            Changed::McpServer { id } => {
                if let Some(id) = McpServerId::parse(id) {
                    self.mcp_servers.remove(&id);
                }
            }
            Changed::McpTokens { project } => {
                self.mcp_tokens.retain(|(owner, _), _| owner != project);
            }
            Changed::Trigger { project, id, toolkit } => {
                self.triggers.drop_instance(project, id, toolkit);
            }
            Changed::Endpoint { project, id } => self.triggers.drop_endpoint(project, id),
            Changed::Subscription { project, id } => {
                self.subscriptions.remove(&(project.clone(), id.clone()));
            }
            Changed::DataKeys { .. } | Changed::ServerKeys => self.vault.forget(what),
            Changed::McpCancelled { .. } | Changed::Toolkits => {}
        }
    }

    /// Drops what is remembered of a user's account, for those who read in the database that there
    /// is something newer before the notification of it came.
    pub fn forget_account(&self, project: &ProjectId, id: &AccountId, user: &str) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.accounts.remove(&(project.clone(), id.clone()));
        self.usable.retain(|(p, u, _), _| p != project || u != user);
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.principals.clear();
        self.auth_configs.clear();
        self.accounts.clear();
        self.usable.clear();
        self.bell.ring_all();
        self.sessions.clear();
        self.projects.clear();
        self.mcp_servers.clear();
        self.mcp_tokens.clear();
        self.triggers.clear();
        self.subscriptions.clear();
        self.vault.forget_all();
        self.toolkits.notify_one();
    }
}

/// The domain form of a row. Settings that do not parse take their defaults.
pub fn project_of(row: db::project::ProjectRow) -> Project {
    let config = serde_json::from_value::<ProjectConfig>(row.config).unwrap_or_default();
    Project {
        id: row.id,
        org_id: row.org_id,
        name: row.name,
        config,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The domain form of a row.
pub fn session_of(row: db::session::SessionRow) -> Session {
    Session {
        project_id: row.project_id,
        id: row.id,
        user_id: row.user_id,
        config: row.config.0,
        config_version: row.config_version,
        custom_tools: row.custom_tools.unwrap_or_default(),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The domain form of a row.
pub fn mcp_server_of(row: db::mcp_server::McpServerRow) -> McpServer {
    McpServer {
        project_id: row.project_id,
        id: row.id,
        name: row.name,
        toolkits: row.toolkits,
        auth_config_ids: row.auth_config_ids,
        allowed_tools: row.allowed_tools,
        managed_auth: row.managed_auth,
        created_at: row.created_at,
        updated_at: row.updated_at,
        instances: row.instances,
    }
}
