//! Polling: every item once, whatever providers and servers do.

mod baseline;
mod cursors;
mod faults;
mod feed;
mod replicas;
mod turns;

use std::collections::BTreeMap;

use patchbay::app::AppState;
use patchbay::domain::connection::Account;
use patchbay::domain::id::{ProjectId, TriggerId};
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::worker::poll::all_due;
use serde_json::{Value, json};

use self::feed::Feed;
use crate::execute::provider::{account, auth_config};
use crate::support::TestApp;
use crate::support::app::TestProject;

/// A folder with the toolkit `feed` of a provider.
pub fn toolkits(feed: &Feed) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("feed");
    std::fs::create_dir_all(to.join("triggers")).unwrap();
    std::fs::create_dir_all(to.join("tools")).unwrap();
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/trigger/poll");
    let text = std::fs::read_to_string(here.join("toolkit.yaml")).unwrap();
    std::fs::write(to.join("toolkit.yaml"), text.replace("PROVIDER", &feed.url)).unwrap();
    std::fs::copy(here.join("triggers.yaml"), to.join("triggers/all.yaml")).unwrap();
    folder
}

/// A server, a feed, and an account of it.
pub struct World {
    pub app: TestApp,
    pub feed: Feed,
    pub account: Account,
    folder: tempfile::TempDir,
}

/// An event, as a test looks at it: id of the item, and the data.
pub type Told = (String, Value);

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let feed = Feed::start().await;
        let folder = toolkits(&feed);
        let mut all = vec![("PATCHBAY_TOOLKITS_DIR", folder.path().to_str().unwrap())];
        all.extend_from_slice(settings);
        let app = TestApp::with(&all).await;
        let account = feed_account(&app, &app.project).await;
        Self { app, feed, account, folder }
    }

    /// Another server over the same database.
    pub async fn replica(&self, settings: &[(&str, &str)]) -> AppState {
        let mut all = vec![("PATCHBAY_TOOLKITS_DIR", self.folder.path().to_str().unwrap())];
        all.extend_from_slice(settings);
        self.app.replica(&all).await.0
    }

    /// An instance that was made an hour ago and never polled.
    pub async fn instance(&self, slug: &str) -> TriggerId {
        instance(&self.app.app, &self.account, slug, json!({"interval": 1})).await
    }

    /// An instance whose baseline is there.
    pub async fn watching(&self, slug: &str) -> TriggerId {
        let id = self.instance(slug).await;
        self.poll().await;
        while self.cursor(&id).await["ready"] != true {
            self.poll().await;
        }
        assert_eq!(self.told(&id).await, Vec::<Told>::new(), "the baseline tells nothing");
        id
    }

    /// All instances are polled once, now.
    pub async fn poll(&self) {
        due(&self.app.app).await;
        all_due(&self.app.app).await.unwrap();
    }

    /// Polls until there is no more to do at once.
    pub async fn poll_to_the_end(&self) {
        for _ in 0..200 {
            self.poll().await;
            let more: bool = sqlx::query_scalar(
                "select exists (select from trigger_poll where next_at < now() + interval '5 s')",
            )
            .fetch_one(&self.app.app.db)
            .await
            .unwrap();
            if !more {
                return;
            }
        }
        panic!("it does not end");
    }

    /// The events of an instance, oldest first.
    pub async fn told(&self, id: &TriggerId) -> Vec<Told> {
        let (db, project) = (&self.app.app.db, &self.app.project.id);
        let rows = patchbay::db::event::of_subject(db, project, id.as_str(), 100_000).await;
        let mut told: Vec<Told> = rows
            .unwrap()
            .into_iter()
            .filter(|row| row.kind == patchbay::trigger::health::MESSAGE)
            .map(|row| (row.dedupe_key.unwrap(), row.payload["data"].clone()))
            .collect();
        told.reverse();
        told
    }

    /// The ids of the items that were told, in order.
    pub async fn ids(&self, id: &TriggerId) -> Vec<String> {
        self.told(id).await.into_iter().map(|(id, _)| id).collect()
    }

    pub async fn cursor(&self, id: &TriggerId) -> Value {
        self.value::<Option<Value>>("cursor", id).await.unwrap_or_default()
    }

    /// A value of the instance's row.
    pub async fn value<T>(&self, expression: &str, id: &TriggerId) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let text = format!("select {expression} from trigger_poll where trigger_id = $1");
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(text)).bind(id);
        query.fetch_one(&self.app.app.db).await.unwrap()
    }

    /// Seconds until the next poll.
    pub async fn wait(&self, id: &TriggerId) -> f64 {
        self.value("extract(epoch from next_at - now())::float8", id).await
    }

    /// Items that wait to be asked about again have waited long enough.
    pub async fn later_is_now(&self) {
        self.sql(
            "update trigger_poll set cursor = jsonb_set(cursor, '{later}',
                (select jsonb_agg(jsonb_set(l, '{next}', '0'))
                 from jsonb_array_elements(cursor -> 'later') l))
             where cursor ? 'later'",
        )
        .await;
    }

    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.app.app.db).await.unwrap();
        self.app.app.cache.clear();
    }
}

/// All instances are due.
pub async fn due(app: &AppState) {
    let now = "update trigger_poll set next_at = now() where claim is null";
    sqlx::query(now).execute(&app.db).await.unwrap();
}

pub async fn feed_account(app: &TestApp, project: &TestProject) -> Account {
    let config = auth_config(app, &project.id, "feed", AuthSchemeKind::ApiKey, |_| {}).await;
    account(app, &config, "ann", json!({"generic_api_key": "key-123456"}), |_| {}).await
}

/// An instance that was made an hour ago and never polled.
pub async fn instance(app: &AppState, account: &Account, slug: &str, config: Value) -> TriggerId {
    let id = TriggerId::generate();
    let (_, trigger) = app.trigger(&account.project_id, slug).unwrap();
    let config = trigger.check_config(config.as_object().cloned().unwrap()).unwrap();
    insert(app, &account.project_id, account, &id, slug, &config.into()).await;
    id
}

async fn insert(
    app: &AppState,
    project: &ProjectId,
    account: &Account,
    id: &TriggerId,
    slug: &str,
    config: &Value,
) {
    sqlx::query(
        "insert into trigger_instance (project_id, id, slug, toolkit_slug, toolkit_version,
            account_id, auth_config_id, user_id, kind, config, config_hash, ingress_hash, secrets,
            created_at, updated_at)
         values ($1, $2, $3, 'feed', 'v', $4, $5, $6, 'poll', $7, $8, '', '',
            now() - interval '1 hour', now() - interval '1 hour')",
    )
    .bind(project)
    .bind(id)
    .bind(slug)
    .bind(&account.id)
    .bind(&account.auth_config_id)
    .bind(&account.user_id)
    .bind(config)
    .bind(id.as_str().as_bytes())
    .execute(&app.db)
    .await
    .unwrap();
    sqlx::query(
        "insert into trigger_poll (project_id, trigger_id, interval_s, next_at)
         values ($1, $2, 60, now())",
    )
    .bind(project)
    .bind(id)
    .execute(&app.db)
    .await
    .unwrap();
}

/// Every id of the feed that was told, with how often.
pub fn counted(ids: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id.as_str()).or_default() += 1;
    }
    counts
}

/// Each of the items once, and nothing else.
#[track_caller]
pub fn assert_each_once(told: &[String], items: &[String]) {
    let counts = counted(told);
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "told twice: {doubled:?}");
    let missed: Vec<_> = items.iter().filter(|id| !counts.contains_key(id.as_str())).collect();
    assert!(missed.is_empty(), "missed: {missed:?}");
    assert_eq!(told.len(), items.len(), "told what is not news");
}
