//! The webhook of an instance at its provider: registered, renewed, removed.
//!
//! Every piece of work is written down before the provider is asked, with a claim that ends: a
//! server that dies leaves it to another one. Nobody holds a connection meanwhile.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use url::Url;

use super::{chosen, health, plan, type_of, webhook};
use crate::app::{App, AppState};
use crate::cache::Instance;
use crate::catalog::trigger::{HookCall, Kept, Webhook, moment};
use crate::catalog::{Toolkit, Trigger};
use crate::credentials::Running;
use crate::credentials::fields;
use crate::db;
use crate::db::trigger_instance::{Due, TriggerRow};
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::random_text;
use crate::domain::time::{iso, now};
use crate::domain::trigger::{HookState, disabled_by};
use crate::error::{Error, Result, codes};
use crate::execute::{self, Answered};
use crate::vault::hash_token;

/// Longest text of a failure that is stored.
const MAX_REASON: usize = 800;

/// Why an instance is disabled while the provider is asked.
pub(super) const UNCONFIRMED: &str = "The provider has not confirmed the webhook yet";

/// Where the end of a registration is kept; no name of a definition's begins so.
pub const EXPIRES: &str = "$expires";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// The provider is asked to call.
    Register,
    /// The provider is told to stop.
    Remove,
}

/// Why the provider did not do it.
struct Failure {
    error: Box<Error>,
    /// Status of its answer.
    status: Option<u16>,
    retry_after: Option<std::time::Duration>,
    /// Nothing was asked, because the account cannot be used now.
    waits: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), status: None, retry_after: None, waits: false }
    }
}

/// Refuses to register a URL of this machine at a provider that is somewhere else: it would never
/// be called.
///
/// # Errors
/// 422 that says what to set.
pub(super) fn check_public_url(app: &App, toolkit: &Toolkit, account: &Account) -> Result<()> {
    let is_local = |url: &Url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    };
    let Ok(own) = Url::parse(&app.config.public_url) else { return Ok(()) };
    let conn = toolkit.scheme(account.scheme).map(|s| fields::plain(s, &account.state.0));
    let Ok(theirs) = toolkit.base_url(&conn.unwrap_or_default()) else { return Ok(()) };
    if !is_local(&own) || is_local(&theirs) {
        return Ok(());
    }
    Err(Error::new(
        codes::PUBLIC_URL_UNREACHABLE,
        format!(
            "{} cannot call this server: its public URL {} leads to this machine alone",
            toolkit.file.name, app.config.public_url
        ),
    )
    .fix("Set public_url (PATCHBAY_PUBLIC_URL) to an https address that reaches this server from the internet, such as that of a tunnel"))
}

/// The URL that the provider calls for an instance; none when its secrets are gone.
pub fn url(app: &App, instance: &Instance) -> Option<String> {
    let secret = instance.secrets.text("ingress")?;
    let row = &instance.row;
    let root = &app.config.public_url;
    Some(format!("{root}{}/{}/{}/{secret}", super::INSTANCE_PATH, row.project_id, row.id))
}

/// Writes down in a transaction that something is being done about a locked row, by the caller.
pub(super) async fn begin(
    app: &App,
    tx: &mut sqlx::PgConnection,
    row: &mut TriggerRow,
    work: Work,
    claim: &str,
) -> Result<()> {
    row.hook_claim = Some(claim.to_owned());
    row.hook_attempts = 1;
    match work {
        Work::Register => {
            // Of an attempt that was interrupted the URL may be known to the provider.
            anew(app, row, row.hook_state == HookState::Registering).await?;
            row.hook_state = HookState::Registering;
            row.hook_error = None;
            if row.disabled_by.as_deref() == Some(disabled_by::USER) {
                row.disabled_by = Some(disabled_by::SERVER.to_owned());
                row.disabled_reason = Some(UNCONFIRMED.to_owned());
            }
        }
        Work::Remove => row.hook_state = HookState::Removing,
    }
    db::trigger_instance::save(tx, row, Due::In(app.config.refresh_claim)).await?;
    Ok(())
}

/// Prepares a row for another registration: what an earlier one's provider gave is forgotten, so
/// that a handshake can bring a new secret. With another URL too after one that was interrupted: it
/// may have reached the provider without leaving its name here, and what it made then calls a URL
/// that is no more.
async fn anew(app: &App, row: &mut TriggerRow, other_url: bool) -> Result<()> {
    let mut secrets = app.vault.open_trigger(&row.project_id, &row.id, &row.secrets).await?;
    if let Some(Value::Object(keys)) = secrets.get_mut("keys") {
        keys.retain(|name, _| name == "secret");
    }
    if other_url {
        let ingress = random_text(32);
        row.ingress_hash = hash_token(&ingress);
        secrets.insert("ingress".to_owned(), ingress.into());
    }
    row.secrets = app.vault.seal_trigger(&row.project_id, &row.id, &secrets).await?;
    Ok(())
}

/// Carries work out, which goes on when the caller hangs up.
///
/// # Errors
/// What the provider said.
pub(super) async fn spawned(app: &AppState, row: TriggerRow, claim: String) -> Result<()> {
    let worker = app.clone();
    let task = app.tasks.spawn(async move { run(&worker, row, &claim).await });
    task.await.map_err(|e| Error::internal(format!("trigger: {e}")))?
}

/// Carries out what is written down in a claimed row.
///
/// # Errors
/// What the provider said.
pub(super) async fn run(app: &AppState, row: TriggerRow, claim: &str) -> Result<()> {
    // A claim that has ended is another one's to take: whoever is late must not be asking.
    let limit = app.config.refresh_claim.mul_f64(0.9);
    let state = row.hook_state;
    let asked = async {
        let instance = app.cache.open_instance(row.clone()).await?;
        match state {
            HookState::Removing => remove(app, &instance).await.map(|()| Kept::default()),
            HookState::Registered => renew(app, &instance).await,
            _ => register(app, &instance).await,
        }
    };
    let outcome = match tokio::time::timeout(limit, asked).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(
            codes::TRIGGER_PROVIDER_UNAVAILABLE,
            "The provider did not answer in time",
        )
        .into()),
    };
    match (state, outcome) {
        (HookState::Removing, outcome) => removed(app, &row, claim, outcome).await,
        (_, Ok(kept)) => registered(app, &row, claim, kept).await,
        (_, Err(failure)) => failed(app, &row, claim, failure).await,
    }
}

/// What the calls of a hook see of it.
fn given(app: &App, instance: &Instance) -> Map<String, Value> {
    let mut hook = instance.row.registration.0.clone();
    hook.remove(EXPIRES);
    hook.insert("url".to_owned(), url(app, instance).into());
    hook.insert("secret".to_owned(), instance.key("secret").into());
    [("hook".to_owned(), Value::Object(hook))].into_iter().collect()
}

async fn call(
    app: &App,
    instance: &Instance,
    hook: &HookCall,
    (account, config): (Arc<Account>, Arc<AuthConfig>),
) -> std::result::Result<Map<String, Value>, Failure> {
    let row = &instance.row;
    let (toolkit, _) = type_of(app, row)?;
    let args = &row.config.0;
    let given = given(app, instance);
    let answered = execute::call(app, &toolkit, &hook.tool, (account, config), args, given).await?;
    let Answered { outcome, status, retry_after } = answered;
    outcome.map_err(|words| {
        let mut words: String = words.chars().take(MAX_REASON).collect();
        // A provider may repeat what it was sent.
        let ingress = instance.secrets.text("ingress").into_iter();
        for secret in ingress.chain(instance.key("secret")).filter(|s| !s.is_empty()) {
            words = words.replace(secret, "[secret]");
        }
        let away = status.is_none_or(|s| s >= 500 || s == 429);
        let code = match away {
            true => codes::TRIGGER_PROVIDER_UNAVAILABLE,
            false => codes::TRIGGER_REGISTRATION_FAILED,
        };
        let name = &toolkit.file.name;
        let error = Error::new(code, format!("{name} did not do what its webhook needs: {words}"))
            .fix("Check the trigger_config and what the trigger type's instructions ask for, then set the trigger up again");
        Failure { error: Box::new(error), status, retry_after, waits: false }
    })
}

fn rule<'a>(trigger: &'a Trigger, row: &TriggerRow) -> std::result::Result<&'a Webhook, Failure> {
    let none = || Error::internal(format!("trigger {} has no webhook", row.id));
    Ok(webhook(trigger).ok_or_else(none)?)
}

async fn usable(
    app: &App,
    row: &TriggerRow,
) -> std::result::Result<(Arc<Account>, Arc<AuthConfig>), Failure> {
    let found = chosen::usable(app, &row.project_id, &row.account_id).await;
    found.map_err(|error| Failure { waits: true, ..error.into() })
}

async fn register(app: &App, instance: &Instance) -> std::result::Result<Kept, Failure> {
    let row = &instance.row;
    let (_, trigger) = type_of(app, row)?;
    let rule = rule(&trigger, row)?;
    let register = rule.register.as_ref().ok_or_else(|| {
        Failure::from(Error::internal(format!("trigger {} has nothing to register", row.id)))
    })?;
    let result = call(app, instance, register, usable(app, row).await?).await?;
    Ok(Kept::of(result))
}

/// Keeps a registration from ending: by the provider's own way, or with a new one in its place.
async fn renew(app: &App, instance: &Instance) -> std::result::Result<Kept, Failure> {
    let row = &instance.row;
    let (_, trigger) = type_of(app, row)?;
    let rule = rule(&trigger, row)?;
    let access = usable(app, row).await?;
    if let Some(renew) = &rule.renew {
        match call(app, instance, renew, access.clone()).await {
            Err(failure) if failure.status.is_some_and(|s| renew.def.gone.contains(&s)) => {}
            Err(failure) => return Err(failure),
            Ok(result) => return Ok(Kept::of(result)),
        }
    } else if let Err(failure) = remove(app, instance).await
        && failure.status.is_none_or(|status| status >= 500 || status == 429)
    {
        return Err(failure);
    }
    register(app, instance).await
}

async fn remove(app: &App, instance: &Instance) -> std::result::Result<(), Failure> {
    let row = &instance.row;
    let (_, trigger) = type_of(app, row)?;
    let rule = rule(&trigger, row)?;
    let Some(remove) = &rule.remove else { return Ok(()) };
    if row.registration.0.is_empty() && row.registered_at.is_none() {
        // It was never registered, as far as anybody knows.
        return Ok(());
    }
    let account = app.cache.read_account(&row.project_id, &row.account_id).await?;
    let config = match &account {
        Some(account) => app.cache.auth_config(&row.project_id, &account.auth_config_id).await?,
        None => None,
    };
    let (Some(account), Some(config)) = (account, config) else {
        return Err(Failure {
            error: Box::new(Error::new(codes::ACCOUNT_NOT_FOUND, "The connected account is gone")),
            status: Some(404),
            retry_after: None,
            waits: false,
        });
    };
    match call(app, instance, remove, (account, config)).await {
        Err(failure) if failure.status.is_some_and(|s| remove.def.gone.contains(&s)) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The row, locked, if it is still the caller's.
async fn ours(
    tx: &mut sqlx::PgConnection,
    row: &TriggerRow,
    claim: &str,
) -> Result<Option<TriggerRow>> {
    let row = db::trigger_instance::lock(tx, &row.project_id, &row.id).await?;
    Ok(row.filter(|row| row.hook_claim.as_deref() == Some(claim)))
}

async fn commit(
    app: &App,
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    row: &TriggerRow,
    due: Due,
) -> Result<()> {
    db::trigger_instance::save(&mut *tx, row, due).await?;
    let what = super::changed(row);
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// Notes that the provider calls from now on.
async fn registered(app: &AppState, asked: &TriggerRow, claim: &str, kept: Kept) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let Some(mut row) = ours(&mut tx, asked, claim).await? else {
        tracing::warn!(
            trigger = %asked.id, project = %asked.project_id,
            "a webhook was registered too late; the one that was registered meanwhile counts"
        );
        drop(tx);
        if asked.hook_state == HookState::Registering {
            let mut late = asked.clone();
            late.registration.0.extend(kept.plain);
            late.registered_at = Some(now());
            let instance = app.cache.open_instance(late).await?;
            return remove(app, &instance).await.map_err(|failure| *failure.error);
        }
        return Ok(());
    };
    if !kept.secret.is_empty() {
        // Handshakes may have brought secrets since the provider was asked.
        let mut secrets = app.vault.open_trigger(&row.project_id, &row.id, &row.secrets).await?;
        let keys = secrets.entry("keys").or_insert_with(|| json!({}));
        if let Value::Object(keys) = keys {
            keys.extend(kept.secret);
        }
        row.secrets = app.vault.seal_trigger(&row.project_id, &row.id, &secrets).await?;
    }
    if row.hook_state != HookState::Registered {
        row.registration.0.clear();
    }
    row.registration.0.extend(kept.plain);
    row.hook_claim = None;
    row.hook_error = None;
    row.hook_attempts = 0;
    row.registered_at = Some(now());
    let ends = kept.expires.as_ref().and_then(moment);
    row.registration.0.remove(EXPIRES);
    let mut due = Due::Never;
    if let Some(end) = ends {
        row.registration.0.insert(EXPIRES.to_owned(), iso(end).into());
        let left = (end - now()).to_std().unwrap_or_default();
        due = Due::In(plan::renewal(left, rand::random()));
    }
    let by_user = row.disabled_by.as_deref() == Some(disabled_by::USER);
    if row.deleted_at.is_some() || by_user {
        // Somebody changed their mind while the provider was asked.
        row.hook_state = HookState::Removing;
        due = Due::In(std::time::Duration::ZERO);
    } else {
        row.hook_state = HookState::Registered;
        (row.disabled_at, row.disabled_by, row.disabled_reason) = (None, None, None);
    }
    commit(app, tx, &row, due).await
}

/// Notes that the provider does not call, and why.
async fn failed(app: &AppState, asked: &TriggerRow, claim: &str, failure: Failure) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let Some(mut row) = ours(&mut tx, asked, claim).await? else { return Err(*failure.error) };
    let words: String = failure.error.message.chars().take(MAX_REASON).collect();
    row.hook_claim = None;
    row.hook_error = Some(words.clone());
    if failure.waits {
        // It is soon taken up when the account can be used again, and that is no failure of its own.
        row.hook_attempts = row.hook_attempts.min(plan::WAITING);
    }
    let wait = plan::wait(row.hook_attempts, failure.retry_after, rand::random());
    let renews = row.hook_state == HookState::Registered;
    let due = match renews {
        // The provider still calls, or did; it is asked until that is hopeless.
        true if failure.waits || row.hook_attempts < plan::RENEWALS => Due::In(wait),
        true => {
            let reason = format!("Its webhook could not be renewed: {words}");
            health::disable(app, &mut tx, &mut row, &reason).await?;
            row.hook_state = HookState::Failed;
            Due::Never
        }
        // One that was interrupted and taken up again has nobody who would be told.
        false if row.hook_attempts > 1 && row.hook_attempts < plan::REGISTRATIONS => Due::In(wait),
        false => {
            row.hook_state = HookState::Failed;
            row.disabled_at = Some(row.disabled_at.unwrap_or_else(now));
            if row.disabled_by.as_deref() != Some(disabled_by::USER) {
                row.disabled_by = Some(disabled_by::SERVER.to_owned());
                row.disabled_reason = Some(format!("Its webhook could not be registered: {words}"));
            }
            Due::Never
        }
    };
    tracing::warn!(
        trigger = %row.id, project = %row.project_id, slug = %row.slug,
        attempts = row.hook_attempts, status = failure.status, reason = %words,
        "a webhook could not be registered or renewed"
    );
    commit(app, tx, &row, due).await?;
    Err(*failure.error)
}

/// Notes that the provider was told to stop, or why it was not.
async fn removed(
    app: &AppState,
    asked: &TriggerRow,
    claim: &str,
    outcome: std::result::Result<Kept, Failure>,
) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let Some(mut row) = ours(&mut tx, asked, claim).await? else {
        return outcome.map(|_| ()).map_err(|failure| *failure.error);
    };
    row.hook_claim = None;
    let mut due = Due::Never;
    let told = match outcome {
        Ok(_) => {
            row.hook_state = HookState::Removed;
            row.hook_error = None;
            row.hook_attempts = 0;
            row.registered_at = None;
            row.registration.0.clear();
            Ok(())
        }
        Err(failure) => {
            let words: String = failure.error.message.chars().take(MAX_REASON).collect();
            let hopeless = row.hook_attempts >= plan::REMOVALS
                || failure.error.code == codes::ACCOUNT_NOT_FOUND;
            tracing::warn!(
                trigger = %row.id, project = %row.project_id, slug = %row.slug,
                attempts = row.hook_attempts, given_up = hopeless, reason = %words,
                "the provider was not told to stop calling"
            );
            row.hook_error = Some(words);
            if hopeless {
                row.hook_state = HookState::Failed;
            } else {
                let wait = plan::wait(row.hook_attempts, failure.retry_after, rand::random());
                due = Due::In(wait);
            }
            Err(*failure.error)
        }
    };
    if row.deleted_at.is_some() && matches!(due, Due::Never) {
        row.secrets = Vec::new();
    }
    commit(app, tx, &row, due).await?;
    told
}

/// Claims registrations that are due, as many as there is room for, and begins to look after them;
/// returns how many.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &AppState, running: &Running) -> Result<usize> {
    let (busy, room) = running.busy();
    let slots = running.slots(room);
    if slots.is_empty() {
        return Ok(0);
    }
    let (claim, time) = (random_text(16), app.config.refresh_claim);
    let limit = i64::try_from(slots.len()).unwrap_or(1);
    let rows = db::trigger_instance::claim_due(&app.db, &claim, time, &busy, limit).await?;
    let begun = rows.len();
    for (row, slot) in rows.into_iter().zip(slots) {
        let place = running.place(&row.toolkit_slug, slot);
        let (worker, claim) = (app.clone(), claim.clone());
        app.tasks.spawn(async move {
            if let Err(error) = taken_up(&worker, row, &claim).await {
                tracing::debug!(%error, "a webhook was not looked after");
            }
            drop(place);
        });
    }
    Ok(begun)
}

/// Carries on with a row that somebody else left.
async fn taken_up(app: &AppState, mut row: TriggerRow, claim: &str) -> Result<()> {
    if row.hook_state == HookState::Registering {
        let mut tx = app.db.begin().await?;
        let Some(mut ours) = ours(&mut tx, &row, claim).await? else { return Ok(()) };
        anew(app, &mut ours, true).await?;
        // Not the first attempt: see `failed`.
        ours.hook_attempts = ours.hook_attempts.max(2);
        commit(app, tx, &ours, Due::In(app.config.refresh_claim)).await?;
        row = ours;
    }
    run(app, row, claim).await
}
