//! What providers send: verified, mapped to events, stored, and only then answered.
//!
//! A hot path: with warm caches nothing is read from the database.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::call::Call;
use super::health::{MESSAGE, event};
use super::hook::{self, EXPIRES};
use super::poll::event::{key as short, storable};
use super::verify::verify;
use super::{changed, endpoint, type_of, webhook};
use crate::app::App;
use crate::cache::{Endpoint, Instance};
use crate::catalog::Trigger;
use crate::catalog::model::Ingress;
use crate::catalog::trigger::{Found, Greeting, Webhook};
use crate::credentials::fields;
use crate::credentials::oauth2::client_id;
use crate::db;
use crate::db::event::EventRow;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::{EndpointId, EventId, ProjectId, TriggerId};
use crate::domain::secret::ExposeSecret;
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::domain::trigger::HookState;
use crate::error::{Error, Result, codes};
use crate::vault::hash_token;

/// Most bytes of bodies that the events of one call keep; beyond it only the first one keeps its.
const MAX_ORIGINALS: usize = 1024 * 1024;

/// What is answered to a call that was taken.
#[derive(Debug)]
pub enum Answer {
    /// Nothing to say.
    Taken,
    /// As the definition says.
    Greeting(Greeting),
}

/// 404 for a URL: nobody learns whether the rest of it is right.
fn nobody() -> Error {
    Error::new(codes::TRIGGER_NOT_FOUND, "There is no webhook at this URL")
}

fn refused() -> Error {
    Error::new(codes::HOOK_CALL_REFUSED, "The call is not known to be the provider's")
        .fix("Check that the provider signs with the secret that the trigger was set up with")
}

fn is_secret(hash: &[u8], secret: &str) -> bool {
    hash.ct_eq(&hash_token(secret)).into()
}

/// Takes a call to the URL of an instance.
///
/// # Errors
/// 404 for a URL that is none; 410 for a deleted instance; 401 for a call that does not verify;
/// 503 when the database is away, so that the provider calls again.
pub async fn instance(
    app: &App,
    project: &ProjectId,
    id: &TriggerId,
    secret: &str,
    call: std::result::Result<Call, String>,
) -> Result<Answer> {
    let Some(instance) = app.cache.trigger(project, id).await? else { return Err(nobody()) };
    let row = &instance.row;
    if !is_secret(&row.ingress_hash, secret) {
        return Err(nobody());
    }
    let gone = || Error::new(codes::TRIGGER_DELETED, "The trigger of this webhook was deleted");
    if row.deleted_at.is_some() {
        return Err(gone());
    }
    let registering = row.hook_state == HookState::Registering;
    if row.disabled_at.is_some() && !registering {
        // It may be enabled again: a provider that is told that it is gone may never call again.
        return Ok(Answer::Taken);
    }
    let Ok((_, trigger)) = type_of(app, row) else { return Err(gone()) };
    let Some(rule) = webhook(&trigger).filter(|w| w.def.ingress == Ingress::Instance) else {
        return Err(nobody());
    };
    let call = match call {
        Ok(call) => call,
        Err(problem) => {
            note(app, &instance, &problem).await;
            return Err(Error::bad_request(problem));
        }
    };
    let url = hook::url(app, &instance).unwrap_or_default();
    let mut seen = row.registration.0.clone();
    seen.remove(EXPIRES);
    seen.insert("url".to_owned(), url.clone().into());
    let roots = call.roots(seen);
    let greeting = rule
        .greeting(&trigger, &call.method, &row.config, &roots)
        .map_err(|problem| unmapped(row.id.as_str(), &problem))?;
    if let Some(greeting) = greeting.as_ref().filter(|greeting| !greeting.verified) {
        keep(app, &instance, &greeting.secrets).await?;
        return Ok(greeting_of(greeting));
    }
    if call.method != "POST" {
        return Err(Error::new(codes::METHOD_NOT_ALLOWED, "This webhook takes POST"));
    }
    let config = app.cache.auth_config(project, &row.auth_config_id).await?;
    let key = |name: &str| {
        let own = instance.key(name).map(str::to_owned);
        own.or_else(|| config.as_deref().and_then(|config| of_client(app, config, name)))
    };
    if let Err(problem) = verify(&rule.def.verify, &call, &url, key, now().timestamp()) {
        note(app, &instance, &format!("A call was refused: {problem}")).await;
        return Err(refused());
    }
    if let Some(greeting) = &greeting {
        keep(app, &instance, &greeting.secrets).await?;
        return Ok(greeting_of(greeting));
    }
    if !hears(app, &instance).await? {
        return Ok(Answer::Taken);
    }
    let found = match rule.events(&trigger, &row.config, roots) {
        Ok(found) => found,
        Err(problem) => {
            note(app, &instance, &format!("A call could not be read: {problem}")).await;
            return Err(unmapped(row.id.as_str(), &problem));
        }
    };
    let rows = rows_of(&instance, found, &call);
    if !rows.is_empty() {
        app.outbox.put(rows).await?;
    }
    Ok(Answer::Taken)
}

fn greeting_of(greeting: &Greeting) -> Answer {
    Answer::Greeting(Greeting {
        verified: greeting.verified,
        status: greeting.status,
        headers: greeting.headers.clone(),
        json: greeting.json.clone(),
        text: greeting.text.clone(),
        // They go nowhere.
        secrets: Map::new(),
    })
}

/// A definition that cannot read what its provider sends. The provider may call again, when it is
/// corrected.
fn unmapped(id: &str, problem: &str) -> Error {
    Error::internal(format!("webhook {id}: {problem}"))
}

/// The client secret of an auth config, which some providers sign with.
fn of_client(app: &App, config: &AuthConfig, name: &str) -> Option<String> {
    if name != "client_secret" {
        return None;
    }
    if !config.is_managed {
        // OAuth 1 has another name for it.
        let own =
            config.credentials.text(name).or_else(|| config.credentials.text("consumer_secret"));
        return own.map(str::to_owned);
    }
    let managed = app.config.providers.get(&config.toolkit_slug)?.managed.as_ref()?;
    Some(managed.client_secret.expose_secret().to_owned())
}

/// Whether an instance's account still wants to hear of anything. One whose token has lapsed does:
/// the provider needs none to call.
async fn hears(app: &App, instance: &Instance) -> Result<bool> {
    let row = &instance.row;
    let account = app.cache.account(&row.project_id, &row.account_id).await?;
    Ok(account.is_some_and(|account| is_open(&account)))
}

fn is_open(account: &Account) -> bool {
    let shut = matches!(account.status, AccountStatus::Inactive | AccountStatus::Revoked);
    !account.is_disabled && !shut
}

/// Events of an instance that a call told of.
fn rows_of(instance: &Instance, found: Vec<Found>, call: &Call) -> Vec<EventRow> {
    let all_keep = found.len() * call.raw.len() <= MAX_ORIGINALS;
    // NUL comes as itself or escaped.
    let nul = call.raw.contains(&0) || call.raw.windows(6).any(|w| w == b"\\u0000");
    let mut body_hash = None;
    let mut rows = Vec::with_capacity(found.len());
    for (index, found) in found.into_iter().enumerate() {
        let key = match found.key {
            Some(key) => short(&key.replace('\0', "\u{fffd}")),
            None => {
                let hash = body_hash.get_or_insert_with(|| hex::encode(Sha256::digest(&call.raw)));
                format!("{hash}:{index}")
            }
        };
        let mut data = found.data;
        if nul {
            storable(&mut data);
        }
        let mut row = event(&instance.row, MESSAGE, EventId::message(), data);
        row.dedupe_key = Some(key);
        row.original = (all_keep || index == 0).then(|| call.text());
        rows.push(row);
    }
    rows
}

/// Writes down what went wrong, at most once a minute.
async fn note(app: &App, instance: &Instance, problem: &str) {
    let row = &instance.row;
    tracing::info!(trigger = %row.id, project = %row.project_id, problem, "call of a provider");
    if !instance.may_note() {
        return;
    }
    let problem: String = problem.chars().filter(|c| *c != '\0').take(500).collect();
    let noted = db::trigger_instance::note_error(&app.db, &row.project_id, &row.id, &problem);
    if let Err(error) = noted.await {
        tracing::warn!(%error, "what went wrong with a call could not be written down");
    }
}

/// Keeps secrets that a handshake brought, of which the instance has none yet.
async fn keep(app: &App, instance: &Instance, brought: &Map<String, Value>) -> Result<()> {
    let new = |name: &String| instance.key(name).is_none();
    if !brought.keys().any(new) {
        return Ok(());
    }
    let (project, id) = (&instance.row.project_id, &instance.row.id);
    let mut tx = app.db.begin().await?;
    let row = db::trigger_instance::lock(&mut *tx, project, id).await?;
    let Some(mut row) = row.filter(|row| row.deleted_at.is_none()) else { return Ok(()) };
    let mut secrets = app.vault.open_trigger(project, id, &row.secrets).await?;
    if let Value::Object(keys) = secrets.entry("keys").or_insert_with(|| json!({})) {
        for (name, value) in brought {
            keys.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    row.secrets = app.vault.seal_trigger(project, id, &secrets).await?;
    db::trigger_instance::save_beside_hook(&mut *tx, &row).await?;
    let what = changed(&row);
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// Takes a call to the URL of a provider's app, for all instances that it concerns.
///
/// # Errors
/// As [`instance`].
pub async fn app_endpoint(
    app: &App,
    project: &ProjectId,
    id: &EndpointId,
    secret: &str,
    call: std::result::Result<Call, String>,
) -> Result<Answer> {
    let Some(endpoint) = app.cache.endpoint(project, id).await? else { return Err(nobody()) };
    if !is_secret(&endpoint.row.ingress_hash, secret) {
        return Err(nobody());
    }
    let Some(toolkit) = app.toolkit(project, &endpoint.row.toolkit_slug) else {
        return Err(nobody());
    };
    let call = call.map_err(Error::bad_request)?;
    let url = endpoint::url(app, &endpoint).unwrap_or_default();
    let mut seen = Map::new();
    seen.insert("url".to_owned(), url.clone().into());
    let roots = call.roots(seen);
    let types: Vec<(&Trigger, &Webhook)> = toolkit
        .triggers
        .iter()
        .filter_map(|trigger| Some((&**trigger, webhook(trigger)?)))
        .filter(|(_, rule)| rule.def.ingress == Ingress::App)
        .collect();
    let mut verified =
        Verified { app, endpoint: &endpoint, call: &call, url: &url, by: Vec::new() };
    for (trigger, rule) in &types {
        let greeting = rule
            .greeting(trigger, &call.method, &Map::new(), &roots)
            .map_err(|problem| unmapped(id.as_str(), &problem))?;
        if let Some(greeting) = greeting {
            if greeting.verified {
                verified.check(rule, None)?;
                verified.note().await;
            }
            return Ok(greeting_of(&greeting));
        }
    }
    if call.method != "POST" {
        return Err(Error::new(codes::METHOD_NOT_ALLOWED, "This webhook takes POST"));
    }
    let mut rows = Vec::new();
    let mut one_verified = false;
    let instances = app.cache.triggers_of(project, &endpoint.row.toolkit_slug).await?;
    let mut accounts: HashMap<&str, Option<Value>> = HashMap::new();
    for instance in instances.iter() {
        let row = &instance.row;
        let Some((trigger, rule)) = types.iter().find(|(t, _)| t.slug() == row.slug) else {
            continue;
        };
        let config = app.cache.auth_config(project, &row.auth_config_id).await?;
        let Some(config) = config else { continue };
        // The same workspace may have installed another app of the project.
        if client_id(&app.config, &config).is_some_and(|own| own != endpoint.row.client_id) {
            continue;
        }
        verified.check(rule, Some(&config))?;
        one_verified = true;
        let account = match accounts.get(row.account_id.as_str()) {
            Some(known) => known.clone(),
            None => {
                let account = app.cache.account(project, &row.account_id).await?;
                let shown = account.filter(|a| is_open(a)).map(|account| shown(app, &account));
                accounts.insert(row.account_id.as_str(), shown.clone());
                shown
            }
        };
        let Some(account) = account else { continue };
        let mut roots = roots.clone();
        roots.insert("account".to_owned(), account);
        match rule.events(trigger, &row.config, roots) {
            Ok(found) => rows.extend(rows_of(instance, found, &call)),
            // One that cannot be read must not keep the others from hearing of it.
            Err(problem) => {
                note(app, instance, &format!("A call could not be read: {problem}")).await;
            }
        }
    }
    if !one_verified && let Some((_, rule)) = types.first() {
        verified.check(rule, None)?;
    }
    verified.note().await;
    if !rows.is_empty() {
        app.outbox.put(rows).await?;
    }
    Ok(Answer::Taken)
}

/// What templates see of an account.
fn shown(app: &App, account: &Account) -> Value {
    let toolkit = app.toolkit(&account.project_id, &account.toolkit_slug);
    let scheme = toolkit.as_ref().and_then(|toolkit| toolkit.scheme(account.scheme));
    let mut shown = scheme.map(|s| fields::plain(s, &account.state.0)).unwrap_or_default();
    let identity = account.identity.clone().unwrap_or_default();
    shown.insert("id".to_owned(), identity.id.into());
    shown.insert("label".to_owned(), identity.label.into());
    shown.insert("email".to_owned(), identity.email.into());
    Value::Object(shown)
}

/// Which rules a call has passed.
struct Verified<'a> {
    app: &'a App,
    endpoint: &'a Endpoint,
    call: &'a Call,
    url: &'a str,
    by: Vec<&'a Webhook>,
}

impl<'a> Verified<'a> {
    fn check(&mut self, rule: &'a Webhook, config: Option<&AuthConfig>) -> Result<()> {
        if self.by.iter().any(|known| std::ptr::eq(*known, rule)) {
            return Ok(());
        }
        let key = |name: &str| {
            let own = self.endpoint.key(name).map(str::to_owned);
            own.or_else(|| config.and_then(|config| of_client(self.app, config, name)))
        };
        let at = now().timestamp();
        if let Err(problem) = verify(&rule.def.verify, self.call, self.url, key, at) {
            let row = &self.endpoint.row;
            tracing::info!(endpoint = %row.id, project = %row.project_id, problem, "call of a provider");
            return Err(refused());
        }
        self.by.push(rule);
        Ok(())
    }

    async fn note(&self) {
        if self.by.is_empty() || !self.endpoint.may_note() {
            return;
        }
        let row = &self.endpoint.row;
        let noted = db::webhook_endpoint::verified(&self.app.db, &row.project_id, &row.id).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a verified call could not be written down");
        }
    }
}
