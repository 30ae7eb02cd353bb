//! What a project may do with its trigger instances.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sqlx::types::Json;

use super::hook::{self, UNCONFIRMED, Work};
use super::{chosen, hash_of, type_of, unknown, unknown_type, webhook};
use crate::app::{App, AppState};
use crate::catalog::Trigger;
use crate::catalog::trigger::How;
use crate::db;
use crate::db::trigger_instance::{Due, Filter, Listed, TriggerRow};
use crate::domain::connection::{Account, AuthConfig, Project};
use crate::domain::id::{ProjectId, TriggerId, random_text};
use crate::domain::page::{Page, PageRequest};
use crate::domain::time::now;
use crate::domain::trigger::{HookState, disabled_by};
use crate::error::{Error, Result, codes};
use crate::vault::hash_token;

/// How long a caller waits for somebody else who registers or removes the same webhook.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be set up.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Trigger type.
    pub slug: String,
    /// Account; the user's newest one of the toolkit when absent.
    pub account_id: Option<String>,
    /// User; checked against the account when both are there.
    pub user_id: Option<String>,
    /// Config as the caller gave it.
    pub config: Map<String, Value>,
    /// Version of the toolkit.
    pub version: Option<String>,
}

/// Sets an instance up, or lets the one that there is go on.
///
/// # Errors
/// 404 for an unknown type or account; 400 for an account that cannot be used and for a wrong
/// config; 422 or 503 when the provider does not take the webhook.
pub async fn upsert(app: &AppState, project: &Project, wanted: Wanted) -> Result<TriggerId> {
    let Some((toolkit, trigger)) = app.trigger(&project.id, &wanted.slug) else {
        return Err(unknown_type(&wanted.slug));
    };
    let version = toolkit.version(wanted.version.as_deref())?.to_owned();
    let (account, config) = chosen::account(
        app,
        project,
        &toolkit,
        wanted.account_id.as_deref(),
        wanted.user_id.as_deref(),
    )
    .await?;
    let args = trigger.check_config(wanted.config).map_err(|problems| {
        Error::invalid(format!("Invalid trigger_config for {}", trigger.slug()), problems)
            .fix("Correct it as the trigger type's config schema says and call again")
    })?;
    if webhook(&trigger).is_some_and(|w| w.register.is_some()) {
        hook::check_public_url(app, &toolkit, &account)?;
    }
    let new = prepared(app, &trigger, &account, &config, args, version).await?;
    for _ in 0..10 {
        let mut tx = app.db.begin().await?;
        if db::trigger_instance::insert(&mut *tx, &new, Due::Never).await? {
            if let Some(seconds) = interval(&new) {
                let (wait, at) = (first_poll(), (&new.project_id, &new.id));
                db::trigger_instance::start_polling(&mut *tx, at, seconds, wait, true).await?;
            }
            finish(app, tx, &new).await?;
        } else {
            tx.rollback().await?;
        }
        let (slug, hash) = (&new.slug, &new.config_hash);
        let same =
            db::trigger_instance::same(&app.db, &project.id, &account.id, slug, hash).await?;
        // Deleted just now otherwise.
        if let Some(id) = same {
            let usable = Some(account);
            enable(app, &project.id, &id, Some(&new.toolkit_version), usable).await?;
            return Ok(id);
        }
    }
    Err(busy(&new.id))
}

async fn prepared(
    app: &App,
    trigger: &Trigger,
    account: &Account,
    config: &AuthConfig,
    args: Map<String, Value>,
    version: String,
) -> Result<TriggerRow> {
    let id = TriggerId::generate();
    let ingress = random_text(32);
    let secrets = json!({"ingress": ingress, "keys": {"secret": random_text(40)}});
    let secrets = secrets.as_object().cloned().unwrap_or_default();
    let registers = webhook(trigger).is_some_and(|w| w.register.is_some());
    let at = now();
    let server = || disabled_by::SERVER.to_owned();
    Ok(TriggerRow {
        project_id: account.project_id.clone(),
        slug: trigger.slug().to_owned(),
        toolkit_slug: account.toolkit_slug.clone(),
        toolkit_version: version,
        account_id: account.id.clone(),
        auth_config_id: config.id.clone(),
        user_id: account.user_id.clone(),
        kind: trigger.kind().to_owned(),
        config_hash: hash_of(&args),
        config: Json(args),
        ingress_hash: hash_token(&ingress),
        secrets: app.vault.seal_trigger(&account.project_id, &id, &secrets).await?,
        id,
        registration: Json(Map::new()),
        hook_state: if registers { HookState::Removed } else { HookState::None },
        hook_error: None,
        hook_due: None,
        hook_claim: None,
        hook_attempts: 0,
        registered_at: None,
        disabled_at: registers.then_some(at),
        disabled_by: registers.then(server),
        disabled_reason: registers.then(|| UNCONFIRMED.to_owned()),
        last_error: None,
        last_error_at: None,
        created_at: at,
        updated_at: at,
        deleted_at: None,
    })
}

/// Seconds between two polls; none for a webhook.
fn interval(row: &TriggerRow) -> Option<i32> {
    if row.kind != "poll" {
        return None;
    }
    let minutes = row.config.get("interval").and_then(Value::as_f64).unwrap_or(1.0);
    Some((minutes.clamp(1.0, 10_080.0) * 60.0) as i32)
}

/// Instances that are made together do not ask together.
fn first_poll() -> Duration {
    Duration::from_secs_f64(2.0 * rand::random::<f64>())
}

fn busy(id: &TriggerId) -> Error {
    Error::new(
        codes::TRIGGER_BUSY,
        format!("The webhook of trigger instance {id} is just being registered or removed"),
    )
    .fix("Retry in a few seconds")
    .retry_after(Duration::from_secs(5))
}

/// A locked instance of a project that is not deleted.
async fn locked(
    tx: &mut sqlx::PgConnection,
    project: &ProjectId,
    id: &TriggerId,
) -> Result<TriggerRow> {
    let row =
        db::trigger_instance::lock(&mut *tx, project, id).await?.ok_or_else(|| unknown(id))?;
    match row.deleted_at {
        None => Ok(row),
        Some(_) => {
            let message = format!("Trigger instance {id} was deleted");
            Err(Error::new(codes::TRIGGER_DELETED, message).fix("Set a new one up"))
        }
    }
}

/// Notifies and commits.
async fn finish(
    app: &App,
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    row: &TriggerRow,
) -> Result<()> {
    let what = super::changed(row);
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// Lets an instance go on, registered at its provider.
async fn enable(
    app: &AppState,
    project: &ProjectId,
    id: &TriggerId,
    version: Option<&str>,
    mut account: Option<Arc<Account>>,
) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let mut tx = app.db.begin().await?;
        let mut row = locked(&mut tx, project, id).await?;
        if db::trigger_instance::is_claimed(&mut *tx, project, id).await? {
            tx.rollback().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let (toolkit, trigger) = type_of(app, &row)?;
        let registers = webhook(&trigger).is_some_and(|w| w.register.is_some());
        if let Some(version) = version {
            version.clone_into(&mut row.toolkit_version);
        }
        let was_off = row.disabled_at.is_some();
        let work = match row.hook_state {
            HookState::Removing => Some(Work::Remove),
            HookState::Registered => None,
            _ if registers => Some(Work::Register),
            _ => None,
        };
        let Some(work) = work else {
            let by_user = row.disabled_by.as_deref() == Some(disabled_by::USER);
            (row.disabled_at, row.disabled_by, row.disabled_reason) = (None, None, None);
            db::trigger_instance::save_beside_hook(&mut *tx, &row).await?;
            if let Some(seconds) = interval(&row).filter(|_| was_off) {
                let at = (project, id);
                // What came while somebody did not want to hear of it is not told.
                db::trigger_instance::start_polling(&mut *tx, at, seconds, first_poll(), by_user)
                    .await?;
            }
            return finish(app, tx, &row).await;
        };
        // Read without a transaction, because that takes another connection.
        let Some(usable) = &account else {
            tx.rollback().await?;
            account = Some(chosen::usable(app, project, &row.account_id).await?.0);
            continue;
        };
        if work == Work::Register {
            hook::check_public_url(app, &toolkit, usable)?;
        }
        let claim = random_text(16);
        hook::begin(app, &mut tx, &mut row, work, &claim).await?;
        finish(app, tx, &row).await?;
        hook::spawned(app, row, claim).await?;
        if work == Work::Register {
            return Ok(());
        }
    }
    Err(busy(id))
}

/// Enables or disables an instance.
///
/// # Errors
/// 404 for an unknown one, 410 for a deleted one; as [`upsert`] when it is enabled.
pub async fn set_enabled(
    app: &AppState,
    project: &ProjectId,
    id: &TriggerId,
    enabled: bool,
) -> Result<()> {
    if !enabled {
        return stop(app, project, id, false).await;
    }
    let row = db::trigger_instance::get_any(&app.db, project, id).await?;
    let account = match row.filter(|row| row.deleted_at.is_none() && row.disabled_at.is_some()) {
        Some(row) => Some(chosen::usable(app, project, &row.account_id).await?.0),
        None => None,
    };
    enable(app, project, id, None, account).await
}

/// Deletes an instance; its provider is told to stop.
///
/// # Errors
/// 404 for an unknown one, 410 for a deleted one.
pub async fn delete(app: &AppState, project: &ProjectId, id: &TriggerId) -> Result<()> {
    stop(app, project, id, true).await
}

/// Disables an instance, or deletes it. The provider is told behind the answer, and again until it
/// has heard.
async fn stop(app: &AppState, project: &ProjectId, id: &TriggerId, for_good: bool) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let mut row = locked(&mut tx, project, id).await?;
    let claim = random_text(16);
    let begun = stop_locked(app, &mut tx, &mut row, for_good, None, &claim).await?;
    finish(app, tx, &row).await?;
    if begun {
        let worker = app.clone();
        // What does not work out is left to the workers.
        app.tasks.spawn(async move { hook::run(&worker, row, &claim).await });
    }
    Ok(())
}

/// Marks a locked instance as disabled by its user, or as deleted; whether its removal at the
/// provider is now the caller's to carry out.
pub(super) async fn stop_locked(
    app: &App,
    tx: &mut sqlx::PgConnection,
    row: &mut TriggerRow,
    for_good: bool,
    reason: Option<&str>,
    claim: &str,
) -> Result<bool> {
    let at = now();
    if for_good {
        row.deleted_at = Some(at);
    }
    if row.disabled_at.is_none() || row.disabled_by.as_deref() == Some(disabled_by::SERVER) {
        row.disabled_at = Some(row.disabled_at.unwrap_or(at));
        row.disabled_by = Some(disabled_by::USER.to_owned());
        row.disabled_reason = reason.map(str::to_owned);
    }
    if row.kind == "poll" {
        let (project, id) = (&row.project_id, &row.id);
        if for_good {
            db::trigger_instance::end_polling(&mut *tx, project, id).await?;
        } else {
            let ids = std::slice::from_ref(id);
            db::trigger_instance::stop_polling(&mut *tx, project, ids).await?;
        }
    }
    // Whoever registers or removes it now sees, when that is done, that it is to stop.
    let held = db::trigger_instance::is_claimed(&mut *tx, &row.project_id, &row.id).await?;
    let stops = matches!(
        row.hook_state,
        HookState::Registered | HookState::Registering | HookState::Removing
    ) || row.registered_at.is_some();
    if held || !stops {
        if for_good && !held {
            row.secrets = Vec::new();
        }
        db::trigger_instance::save_beside_hook(&mut *tx, row).await?;
        return Ok(false);
    }
    hook::begin(app, tx, row, Work::Remove, claim).await?;
    Ok(true)
}

/// A page of instances, newest first.
///
/// # Errors
/// When the database is away.
pub async fn list(
    app: &App,
    project: &ProjectId,
    filter: &Filter,
    request: PageRequest,
) -> Result<Page<Listed>> {
    let (rows, total) =
        db::trigger_instance::list(&app.db, project, filter, request.limit, request.offset())
            .await?;
    Ok(Page::new(rows, total, request))
}

/// Sends the events of an instance again that happened from one moment on and before another, under
/// the ids they had, to every subscription that wants them now; returns how many deliveries that
/// are.
///
/// # Errors
/// 404 for an unknown instance; 400 for a span that is none.
pub async fn replay(
    app: &App,
    project: &ProjectId,
    id: &TriggerId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<u64> {
    // The events of a deleted one are there as long as others.
    db::trigger_instance::get_any(&app.db, project, id).await?.ok_or_else(|| unknown(id))?;
    if from >= to {
        let problem = "to: must be after from".to_owned();
        return Err(Error::invalid("Invalid span of time", vec![problem]));
    }
    Ok(db::webhook_delivery::replay(&app.db, project, id.as_str(), from, to).await?)
}

/// Whether an instance's type listens at a URL of its own that a person has to enter at the
/// provider.
pub fn by_hand(app: &App, row: &TriggerRow) -> bool {
    let Ok((_, trigger)) = type_of(app, row) else { return false };
    match &trigger.how {
        How::Webhook(webhook) => {
            webhook.register.is_none()
                && webhook.def.ingress == crate::catalog::model::Ingress::Instance
        }
        How::Poll(_) => false,
    }
}
