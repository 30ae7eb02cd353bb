//! What calls of providers need: trigger instances and webhook endpoints, with their secrets
//! opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use quick_cache::sync::Cache as Lru;
use serde_json::{Map, Value};

use super::{Cache, Entry, MAX_AGE, MAX_NAME, UNKNOWN_KEY_AGE};
use crate::db;
use crate::db::trigger_instance::TriggerRow;
use crate::db::webhook_endpoint::EndpointRow;
use crate::domain::connection::SecretMap;
use crate::domain::id::{EndpointId, ProjectId, TriggerId};
use crate::domain::time::now;
use crate::error::Result;

/// Shortest time between two errors of one URL that are written down.
const NOTE_EVERY_S: i64 = 60;

/// When something was last written down.
#[derive(Debug, Default)]
struct Noted(AtomicI64);

impl Noted {
    fn may(&self) -> bool {
        let (now, last) = (now().timestamp(), self.0.load(Ordering::Relaxed));
        let order = Ordering::Relaxed;
        now - last >= NOTE_EVERY_S && self.0.compare_exchange(last, now, order, order).is_ok()
    }
}

/// A trigger instance with its secrets opened.
#[derive(Debug)]
pub struct Instance {
    /// As it is stored.
    pub row: TriggerRow,
    /// `ingress`: the secret part of its URL; `keys`: what the provider signs with, by name.
    pub secrets: SecretMap,
    noted: Noted,
}

impl Instance {
    /// Of a row and its opened secrets.
    pub fn new(row: TriggerRow, secrets: Map<String, Value>) -> Self {
        Self { row, secrets: SecretMap(secrets), noted: Noted::default() }
    }

    /// What the provider signs with, by name.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.secrets.0.get("keys")?.get(name)?.as_str()
    }

    /// Whether an error may be written down; at most one a minute may.
    pub fn may_note(&self) -> bool {
        self.noted.may()
    }
}

/// The URL of a provider's app, with its secrets opened.
#[derive(Debug)]
pub struct Endpoint {
    /// As it is stored.
    pub row: EndpointRow,
    /// As of an instance; `keys` is what the developer entered.
    pub secrets: SecretMap,
    noted: Noted,
}

impl Endpoint {
    /// Of a row and its opened secrets.
    pub fn new(row: EndpointRow, secrets: Map<String, Value>) -> Self {
        Self { row, secrets: SecretMap(secrets), noted: Noted::default() }
    }

    /// What the provider signs with, by name.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.secrets.0.get("keys")?.get(name)?.as_str()
    }

    /// Whether something may be written down; at most once a minute.
    pub fn may_note(&self) -> bool {
        self.noted.may()
    }
}

type Toolkit = (ProjectId, String);

/// The entries.
pub(super) struct Triggers {
    instances: Lru<(ProjectId, TriggerId), Entry<Instance>>,
    endpoints: Lru<(ProjectId, EndpointId), Entry<Endpoint>>,
    by_toolkit: Lru<Toolkit, Entry<Vec<Arc<Instance>>>>,
}

impl Triggers {
    pub fn new() -> Self {
        Self {
            instances: Lru::new(50_000),
            endpoints: Lru::new(1_000),
            by_toolkit: Lru::new(1_000),
        }
    }

    pub fn drop_instance(&self, project: &ProjectId, id: &TriggerId, toolkit: &str) {
        self.instances.remove(&(project.clone(), id.clone()));
        self.by_toolkit.remove(&(project.clone(), toolkit.to_owned()));
    }

    pub fn drop_endpoint(&self, project: &ProjectId, id: &EndpointId) {
        self.endpoints.remove(&(project.clone(), id.clone()));
    }

    pub fn clear(&self) {
        self.instances.clear();
        self.endpoints.clear();
        self.by_toolkit.clear();
    }
}

fn known<T>(entry: Option<Entry<T>>) -> Option<Option<Arc<T>>> {
    let entry = entry?;
    let max_age = if entry.value.is_some() { MAX_AGE } else { UNKNOWN_KEY_AGE };
    Cache::fresh(Some(entry), max_age)
}

impl Cache {
    /// A trigger instance, deleted or not; none when there never was one.
    ///
    /// # Errors
    /// When the database is away, or its secrets do not open.
    pub async fn trigger(
        &self,
        project: &ProjectId,
        id: &TriggerId,
    ) -> Result<Option<Arc<Instance>>> {
        if project.as_str().len() + id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        let key = (project.clone(), id.clone());
        if let Some(known) = known(self.triggers.instances.get(&key)) {
            return Ok(known);
        }
        let began = self.generation();
        let instance = match db::trigger_instance::get_any(&self.db, project, id).await? {
            Some(row) => Some(Arc::new(self.open_instance(row).await?)),
            None => None,
        };
        self.store(&self.triggers.instances, key, instance.clone(), began);
        Ok(instance)
    }

    /// Opens the secrets of a row.
    ///
    /// # Errors
    /// As [`crate::vault::Vault::open`].
    pub async fn open_instance(&self, row: TriggerRow) -> Result<Instance> {
        let secrets = if row.secrets.is_empty() {
            Map::new()
        } else {
            self.vault.open_trigger(&row.project_id, &row.id, &row.secrets).await?
        };
        Ok(Instance::new(row, secrets))
    }

    /// The webhook instances of a toolkit that are not disabled, oldest first.
    ///
    /// # Errors
    /// As [`Cache::trigger`].
    pub async fn triggers_of(
        &self,
        project: &ProjectId,
        toolkit_slug: &str,
    ) -> Result<Arc<Vec<Arc<Instance>>>> {
        let key = (project.clone(), toolkit_slug.to_owned());
        if let Some(known) = Self::fresh(self.triggers.by_toolkit.get(&key), MAX_AGE) {
            return Ok(known.unwrap_or_default());
        }
        let began = self.generation();
        let mut found = Vec::new();
        for row in db::trigger_instance::of_toolkit(&self.db, project, toolkit_slug).await? {
            found.push(Arc::new(self.open_instance(row).await?));
        }
        let found = Arc::new(found);
        self.store(&self.triggers.by_toolkit, key, Some(found.clone()), began);
        Ok(found)
    }

    /// The URL of a provider's app; none when there is none.
    ///
    /// # Errors
    /// As [`Cache::trigger`].
    pub async fn endpoint(
        &self,
        project: &ProjectId,
        id: &EndpointId,
    ) -> Result<Option<Arc<Endpoint>>> {
        if project.as_str().len() + id.as_str().len() > MAX_NAME {
            return Ok(None);
        }
        let key = (project.clone(), id.clone());
        if let Some(known) = known(self.triggers.endpoints.get(&key)) {
            return Ok(known);
        }
        let began = self.generation();
        let endpoint = match db::webhook_endpoint::get(&self.db, project, id).await? {
            Some(row) => {
                let secrets = self.vault.open_endpoint(project, id, &row.data).await?;
                Some(Arc::new(Endpoint::new(row, secrets)))
            }
            None => None,
        };
        self.store(&self.triggers.endpoints, key, endpoint.clone(), began);
        Ok(endpoint)
    }
}
