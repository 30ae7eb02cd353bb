//! Connected accounts as they stand: reading, switching, renaming, deleting.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::activate::{Denied, activate};
use super::{fields, scheme, toolkit};
use crate::app::{App, AppState};
use crate::catalog::fields::connect_fields;
use crate::credentials::{Provider, TOKEN_FIELDS};
use crate::db;
use crate::db::account::Filter;
use crate::db::notify::Changed;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::{AccountId, ProjectId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// Why attempts end that were not finished, in the documented words.
pub fn timed_out(ttl: std::time::Duration) -> String {
    let time = match ttl.as_secs() {
        s if s >= 120 && s % 60 == 0 => format!("{} minutes", s / 60),
        s => format!("{s} seconds"),
    };
    format!("Connection initiation did not complete within {time}")
}

/// 404 for an account.
pub fn unknown(id: &AccountId) -> Error {
    Error::not_found(codes::ACCOUNT_NOT_FOUND, "Connected account", id.as_str())
        .fix("List the project's connected accounts with GET /api/v3/connected_accounts")
}

/// What changed, when this account did.
pub fn changed(account: &Account) -> Changed {
    Changed::Account {
        project: account.project_id.clone(),
        id: account.id.clone(),
        user: account.user_id.clone(),
    }
}

/// Whether the account is an attempt that ran out of time.
pub fn has_run_out(account: &Account) -> bool {
    matches!(account.status, AccountStatus::Initializing | AccountStatus::Initiated)
        && account.attempt_expires_at.is_some_and(|end| end <= now())
}

/// The account as it is at this moment: an attempt that ran out is EXPIRED even before the
/// worker wrote that down.
pub fn as_of_now(app: &App, mut account: Account) -> Account {
    if has_run_out(&account) {
        account.status = AccountStatus::Expired;
        account.status_reason = Some(timed_out(app.config.connect_ttl));
        account.state.0.remove("redirectUrl");
    }
    account
}

/// One account.
///
/// # Errors
/// 404 when the project has none of this id.
pub async fn get(app: &App, project: &ProjectId, id: &AccountId) -> Result<Account> {
    let account = app.cache.read_account(project, id).await?.ok_or_else(|| unknown(id))?;
    Ok(as_of_now(app, Account::clone(&account)))
}

/// A page of accounts, each with its auth config.
///
/// # Errors
/// When the database is away.
pub async fn list(
    app: &App,
    project: &ProjectId,
    filter: &Filter,
    request: PageRequest,
) -> Result<Page<(Account, Option<Arc<AuthConfig>>)>> {
    let (rows, total) =
        db::account::list(&app.db, project, filter, request.limit, request.offset()).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let account = as_of_now(app, app.vault.open_account(row).await?);
        let config = app.cache.auth_config(project, &account.auth_config_id).await?;
        items.push((account, config));
    }
    Ok(Page::new(items, total, request))
}

/// Switches an account on or off.
///
/// # Errors
/// 404 as [`get`].
pub async fn set_enabled(
    app: &App,
    project: &ProjectId,
    id: &AccountId,
    enabled: bool,
) -> Result<()> {
    let account = get(app, project, id).await?;
    let mut tx = app.db.begin().await?;
    if !db::account::update_disabled(&mut *tx, project, id, !enabled).await? {
        return Err(unknown(id));
    }
    commit(app, tx, &account).await
}

/// Notifies, commits, and forgets the account here too.
pub(super) async fn commit(
    app: &App,
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    account: &Account,
) -> Result<()> {
    let what = changed(account);
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// Deletes an account. Its tokens are revoked at the provider afterwards, as well as possible.
///
/// # Errors
/// 404 as [`get`].
pub async fn delete(app: &AppState, project: &ProjectId, id: &AccountId) -> Result<()> {
    let account = app.cache.read_account(project, id).await?.ok_or_else(|| unknown(id))?;
    let config = app.cache.auth_config(project, &account.auth_config_id).await?;
    let mut tx = app.db.begin().await?;
    if db::account::delete(&mut *tx, project, id).await?.is_none() {
        return Err(unknown(id));
    }
    db::connect_token::consume_all(&mut *tx, project, id).await?;
    commit(app, tx, &account).await?;
    if let Some(config) = config {
        revoke_later(app, config, vec![Account::clone(&account)]);
    }
    Ok(())
}

/// Tells the provider to forget the tokens of accounts, in the background.
pub(super) fn revoke_later(app: &AppState, config: Arc<AuthConfig>, accounts: Vec<Account>) {
    let worth: Vec<Account> =
        accounts.into_iter().filter(|a| a.state.text("access_token").is_some()).collect();
    if worth.is_empty() {
        return;
    }
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        for account in worth {
            let Ok(toolkit) = toolkit(&app, &account.toolkit_slug) else { continue };
            let Ok(provider) = Provider::of(&app.config, toolkit, &config, &account.state) else {
                continue;
            };
            if !provider.can_revoke() {
                continue;
            }
            if let Err(error) = provider.revoke(&app.net, &account.state).await {
                tracing::info!(account = %account.id, %error, "tokens not revoked");
            }
        }
    });
}

/// Sets or clears (empty) the developer's own name of an account.
///
/// # Errors
/// 400 when another account of the user and toolkit has it.
pub async fn set_alias(app: &App, account: &Account, alias: &str) -> Result<()> {
    let alias = alias.trim();
    let wrong = if alias.chars().count() > 100 || alias.chars().any(char::is_control) {
        Some("must be at most 100 characters on one line")
    } else if !alias.is_empty() {
        let (row, user, slug) =
            ((&account.project_id, &account.id), &account.user_id, &account.toolkit_slug);
        db::account::alias_taken(&app.db, row, user, slug, alias)
            .await?
            .then_some("is taken by another account of this user and toolkit")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return Err(Error::invalid("Invalid alias", vec![format!("alias: {wrong}")]));
    }
    let mut tx = app.db.begin().await?;
    let alias = (!alias.is_empty()).then_some(alias);
    let (project, id) = (&account.project_id, &account.id);
    if !db::account::update_alias(&mut *tx, project, id, alias).await? {
        return Err(unknown(id));
    }
    commit(app, tx, account).await
}

/// Replaces credentials of an account by those of `val`; what is not given stays.
///
/// # Errors
/// 400 when a field is wrong.
pub async fn set_credentials(
    app: &App,
    account: &Account,
    config: &AuthConfig,
    val: &Map<String, Value>,
) -> Result<()> {
    let toolkit = toolkit(app, &account.toolkit_slug)?;
    let scheme = scheme(toolkit, account.scheme)?;
    let mut given = account.state.0.clone();
    given.extend(val.iter().map(|(k, v)| (k.clone(), v.clone())));
    // A new value under another of its names must win over the old one.
    for field in connect_fields(scheme) {
        let stored = fields::stored_name(account.scheme, &field.name);
        if !val.contains_key(stored) && fields::given(scheme, &field, val) {
            given.remove(stored);
        }
    }
    // The old token is not one of the new credentials.
    for name in fields::token_name(scheme).into_iter().chain(TOKEN_FIELDS) {
        if scheme.login.is_some() && !val.contains_key(name) {
            given.remove(name);
        }
    }
    let mut next = account.clone();
    super::start::fill(&mut next, scheme, config, &given)?;
    let next = activate(app, config, next).await?.map_err(Denied::into_error)?;
    let row = app.vault.seal_account(&next).await?;
    let mut tx = app.db.begin().await?;
    if !db::account::update_state(&mut *tx, &row, account.state_version).await? {
        return Err(Error::bad_request("The connected account changed while it was updated")
            .fix("Read it again and repeat the change"));
    }
    commit(app, tx, &next).await
}
