//! What a project says about where its events go.

use serde_json::json;
use url::Url;

use crate::app::App;
use crate::db;
use crate::db::event::EventRow;
use crate::db::notify::Changed;
use crate::db::webhook_delivery::Verdict;
use crate::db::webhook_subscription::{Patch, SubscriptionRow};
use crate::domain::id::{EventId, ProjectId, SubscriptionId, random_text};
use crate::domain::secret::{ExposeSecret, SecretString};
use crate::domain::time::{iso, now};
use crate::domain::webhook::{EVENT_TYPES, Version, WEBHOOK_DISABLED, event_type};
use crate::error::{Error, Result, codes};

/// Deliveries that one statement ends.
const BATCH: i64 = 5000;

/// Longest URL.
const MAX_URL: usize = 2048;

/// What a caller wants; what is none stays, or takes its default.
#[derive(Debug, Default)]
pub struct Wish {
    /// Who is called.
    pub webhook_url: Option<String>,
    /// Shape of the bodies.
    pub version: Option<String>,
    /// Types of events.
    pub enabled_events: Option<Vec<String>>,
}

/// 404.
pub fn unknown(id: &str) -> Error {
    Error::not_found(codes::WEBHOOK_SUBSCRIPTION_NOT_FOUND, "Webhook subscription", id)
        .fix("List them with GET /api/v3.1/webhook_subscriptions")
}

/// Makes a project's subscription; the secret is known here and never again.
///
/// # Errors
/// What is wrong with it; a project that has one.
pub async fn create(
    app: &App,
    project: &ProjectId,
    wish: Wish,
) -> Result<(SubscriptionRow, SecretString)> {
    let mut problems = Vec::new();
    let url = wish.webhook_url.unwrap_or_default();
    check_url(app, &url, &mut problems);
    let version = check_version(wish.version.as_deref(), &mut problems).unwrap_or_default();
    let events = unique(wish.enabled_events.unwrap_or_default());
    check_events(&events, version, &mut problems);
    refuse(problems)?;
    let (id, secret, at) = (SubscriptionId::generate(), new_secret(), now());
    let row = SubscriptionRow {
        secret: app.vault.seal_subscription(project, &id, &secret).await?,
        project_id: project.clone(),
        id,
        webhook_url: url,
        version: version.as_str().to_owned(),
        enabled_events: events,
        failing_since: None,
        disabled_at: None,
        disabled_reason: None,
        created_at: at,
        updated_at: at,
    };
    let mut tx = app.db.begin().await?;
    if !db::webhook_subscription::insert(&mut tx, &row).await? {
        // Nobody waits for a second connection while holding one.
        tx.rollback().await?;
        return Err(exists(app, project).await);
    }
    tx.commit().await?;
    Ok((row, secret))
}

/// The project has one: which.
async fn exists(app: &App, project: &ProjectId) -> Error {
    let rows = db::webhook_subscription::list(&app.db, project).await.unwrap_or_default();
    let id = rows.first().map_or("{id}", |row| row.id.as_str());
    Error::new(
        codes::WEBHOOK_SUBSCRIPTION_EXISTS,
        "The project has a webhook subscription, and there is one per project",
    )
    .fix(format!("Change it with PATCH /api/v3.1/webhook_subscriptions/{id}, or delete it first"))
}

/// Changes a subscription, and enables it when it was disabled.
///
/// # Errors
/// 404; what is wrong with it.
pub async fn change(
    app: &App,
    project: &ProjectId,
    id: &SubscriptionId,
    wish: Wish,
) -> Result<SubscriptionRow> {
    let mut problems = Vec::new();
    if let Some(url) = &wish.webhook_url {
        check_url(app, url, &mut problems);
    }
    let version = check_version(wish.version.as_deref(), &mut problems);
    let mut tx = app.db.begin().await?;
    let before = db::webhook_subscription::lock(&mut *tx, project, id).await?;
    let before = before.ok_or_else(|| unknown(id.as_str()))?;
    let events = wish.enabled_events.map(unique);
    let stays = || Version::parse(&before.version).unwrap_or_default();
    let wanted = events.as_ref().unwrap_or(&before.enabled_events);
    check_events(wanted, version.unwrap_or_else(stays), &mut problems);
    refuse(problems)?;
    let patch = Patch {
        webhook_url: wish.webhook_url.as_deref(),
        version: version.map(Version::as_str),
        enabled_events: events.as_deref(),
    };
    let row = db::webhook_subscription::update(&mut *tx, project, id, &patch).await?;
    let row = row.ok_or_else(|| unknown(id.as_str()))?;
    announce(app, tx, project, id).await?;
    Ok(row)
}

/// Gives a subscription another secret, which signs from now on.
///
/// # Errors
/// 404.
pub async fn rotate(app: &App, project: &ProjectId, id: &SubscriptionId) -> Result<SecretString> {
    let secret = new_secret();
    let sealed = app.vault.seal_subscription(project, id, &secret).await?;
    let mut tx = app.db.begin().await?;
    if !db::webhook_subscription::set_secret(&mut *tx, project, id, &sealed).await? {
        return Err(unknown(id.as_str()));
    }
    announce(app, tx, project, id).await?;
    Ok(secret)
}

/// Deletes a subscription, and drops what was on its way to it.
///
/// # Errors
/// 404.
pub async fn delete(app: &App, project: &ProjectId, id: &SubscriptionId) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if !db::webhook_subscription::delete(&mut *tx, project, id).await? {
        return Err(unknown(id.as_str()));
    }
    announce(app, tx, project, id).await?;
    end_waiting(app, project, id, Verdict::Dropped).await
}

/// Ends what is on its way to a subscription. What is overlooked here is ended by whoever claims
/// it.
async fn end_waiting(
    app: &App,
    project: &ProjectId,
    id: &SubscriptionId,
    verdict: Verdict,
) -> Result<()> {
    while db::webhook_delivery::end_waiting(&app.db, project, id, verdict, BATCH).await? > 0 {}
    Ok(())
}

/// Switches a subscription off, with an event that says why; what is on its way to it becomes dead
/// letters. Nothing happens when it is off already.
pub(super) async fn disable(
    app: &App,
    project: &ProjectId,
    id: &SubscriptionId,
    why: &str,
) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if !db::webhook_subscription::disable(&mut *tx, project, id, why).await? {
        return Ok(());
    }
    db::event::insert_all(&mut *tx, &[disabled_event(project, id, why)], None).await?;
    announce(app, tx, project, id).await?;
    tracing::warn!(%project, subscription = %id, reason = %why, "webhook subscription disabled");
    end_waiting(app, project, id, Verdict::Dead).await
}

fn disabled_event(project: &ProjectId, id: &SubscriptionId, why: &str) -> EventRow {
    let (event, at) = (EventId::generate(), now());
    let payload = json!({
        "id": event,
        "type": WEBHOOK_DISABLED,
        "metadata": {"project_id": project, "org_id": null},
        "data": {"id": id, "reason": why, "disabled_at": iso(at)},
        "timestamp": iso(at),
    });
    EventRow {
        project_id: project.clone(),
        id: event,
        kind: WEBHOOK_DISABLED.to_owned(),
        subject_id: id.to_string(),
        dedupe_key: None,
        payload,
        original: None,
        created_at: at,
    }
}

/// A subscription.
///
/// # Errors
/// 404.
pub async fn find(app: &App, project: &ProjectId, id: &SubscriptionId) -> Result<SubscriptionRow> {
    let row = db::webhook_subscription::get(&app.db, project, id).await?;
    row.ok_or_else(|| unknown(id.as_str()))
}

/// The secret as answers show it after the first time.
///
/// # Errors
/// When it does not open.
pub async fn masked(app: &App, row: &SubscriptionRow) -> Result<String> {
    let secret = app.vault.open_subscription(&row.project_id, &row.id, &row.secret).await?;
    let head: String = secret.expose_secret().chars().take(PREFIX.len() + 4).collect();
    Ok(format!("{head}..."))
}

pub(super) async fn announce(
    app: &App,
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    project: &ProjectId,
    id: &SubscriptionId,
) -> Result<()> {
    let what = Changed::Subscription { project: project.clone(), id: id.clone() };
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// What secrets begin with, so that a leaked one can be told from others.
const PREFIX: &str = "wsk_";

/// 238 bits.
fn new_secret() -> SecretString {
    format!("{PREFIX}{}", random_text(40)).into()
}

fn refuse(problems: Vec<String>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("Invalid webhook subscription", problems))
}

fn check_url(app: &App, text: &str, problems: &mut Vec<String>) {
    let Some(url) = Url::parse(text).ok().filter(|url| text.len() <= MAX_URL && url.has_host())
    else {
        return problems.push(format!(
            "webhook_url: must be an absolute http or https URL of at most {MAX_URL} characters"
        ));
    };
    if url.fragment().is_some() {
        problems.push("webhook_url: must not have a fragment".to_owned());
    }
    if let Err(error) = app.net.check_url(&url) {
        problems.push(format!("webhook_url: {error}"));
    } else if !app.net.is_safe_way(&url) {
        problems.push(
            "webhook_url: must be an https URL; http is for hosts that the operator allows with \
             PATCHBAY_EGRESS_ALLOW"
                .to_owned(),
        );
    }
}

fn check_version(text: Option<&str>, problems: &mut Vec<String>) -> Option<Version> {
    let version = Version::parse(text?);
    if version.is_none() {
        problems.push("version: must be V1, V2 or V3".to_owned());
    }
    version
}

/// Each once, in the order they were given.
fn unique(events: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    events.into_iter().filter(|event| seen.insert(event.clone())).collect()
}

fn check_events(events: &[String], version: Version, problems: &mut Vec<String>) {
    if events.is_empty() {
        problems.push("enabled_events: at least one".to_owned());
    }
    for (number, name) in events.iter().enumerate() {
        match event_type(name) {
            None => {
                let known: Vec<_> = EVENT_TYPES.iter().map(|known| known.name).collect();
                problems
                    .push(format!("enabled_events[{number}]: must be one of {}", known.join(", ")));
            }
            Some(known) if !known.versions.contains(&version) => problems.push(format!(
                "enabled_events[{number}]: {name} has no body of version {}; use V3",
                version.as_str()
            )),
            Some(_) => {}
        }
    }
}
