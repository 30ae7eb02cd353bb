//! Connected accounts as they stand: reading, switching, renaming, deleting.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::activate::{Denied, activate};
use super::{fields, revoke, scheme, start, toolkit};
use crate::app::{App, AppState};
use crate::catalog::fields::connect_fields;
use crate::credentials::TOKEN_FIELDS;
use crate::credentials::revocation::{self, Cause, Clerk};
use crate::db;
use crate::db::account::Filter;
use crate::db::notify::Changed;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::{AccountId, ProjectId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::sharing::{AccountType, Sharing};
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
        tokens_only: false,
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
    db::trigger_poll::resume(&mut *tx, &account.project_id, &account.id).await?;
    app.changed(&mut *tx, &what).await?;
    tx.commit().await?;
    app.cache.invalidate(&what);
    Ok(())
}

/// Deletes an account. Unless `revoke` says no, its tokens are then revoked at the provider; when
/// it says nothing, not those of a grant that another account of the user still lives on. Returns the name of the job when a revocation was asked for.
///
/// # Errors
/// 404 as [`get`].
pub async fn delete(
    app: &AppState,
    project: &ProjectId,
    id: &AccountId,
    revoke: Option<bool>,
) -> Result<Option<String>> {
    let account = app.cache.read_account(project, id).await?.ok_or_else(|| unknown(id))?;
    let config = app.cache.auth_config(project, &account.auth_config_id).await?;
    let revokes = match revoke {
        Some(revoke) => revoke,
        None => !revoke::is_shared_grant(app, &account).await?,
    };
    let job = revocation::new_job();
    let mut tx = app.db.begin().await?;
    // A refresh may have brought other tokens meanwhile; from here on none does.
    let row = db::account::lock(&mut *tx, project, id).await?.ok_or_else(|| unknown(id))?;
    let order = match config.filter(|_| revokes) {
        Some(config) => {
            let account = app.vault.open_account(row).await?;
            Clerk::from(&**app).order(&config, &account, Cause::Delete, &job).await?
        }
        None => None,
    };
    if db::account::delete(&mut *tx, project, id, !revokes).await?.is_none() {
        return Err(unknown(id));
    }
    db::connect_token::consume_all(&mut *tx, project, id).await?;
    db::trigger_instance::delete_orphans(&mut *tx, project, std::slice::from_ref(id)).await?;
    let given = revocation::give(app, &mut tx, order).await?;
    commit(app, tx, &account).await?;
    let worker = app.clone();
    app.tasks.spawn(async move { given.run(&worker).await });
    Ok((revoke == Some(true)).then_some(job))
}

/// What is to change about an account. An absent part stays as it is.
#[derive(Default)]
pub struct Patch {
    /// The developer's own name; empty clears it.
    pub alias: Option<String>,
    /// Credentials and fields to replace; null removes one.
    pub val: Option<Map<String, Value>>,
    /// Parts of the access list.
    pub acl: Option<AclPatch>,
}

/// Parts of an access list; what is absent stays.
#[derive(Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct AclPatch {
    /// Whether every user of the project may use the account.
    pub allow_all_users: Option<bool>,
    /// Users who may use it.
    #[schema(max_items = 1000)]
    pub allowed_user_ids: Option<Vec<String>>,
    /// Users who may not, whatever else is said.
    #[schema(max_items = 1000)]
    pub not_allowed_user_ids: Option<Vec<String>>,
}

impl AclPatch {
    /// Puts the parts into a list of an account of this type.
    ///
    /// # Errors
    /// 400 for a PRIVATE account and for texts that cannot be user ids.
    pub fn apply(self, sharing: &mut Sharing) -> Result<()> {
        if sharing.account_type != AccountType::Shared {
            // SDKs look for the beginning of this text.
            let text = "acl_config_for_shared is only valid on SHARED connected accounts";
            return Err(Error::invalid(text, vec![format!("experimental: {text}")])
                .fix("Create the account with experimental.account_type SHARED"));
        }
        let mut problems = Vec::new();
        let mut users = |name: &str, list: Option<Vec<String>>, into: &mut Vec<String>| {
            let Some(mut list) = list else { return };
            let mut seen = HashSet::new();
            list.retain(|user| seen.insert(user.clone()));
            if list.len() > 1000 {
                problems.push(format!("{name}: at most 1000 users"));
            }
            if list.iter().any(|user| start::user_problem(user).is_some()) {
                problems.push(format!("{name}: every user id must be 1 to 512 characters"));
            }
            *into = list;
        };
        let acl = &mut sharing.acl;
        users("allowed_user_ids", self.allowed_user_ids, &mut acl.allowed_user_ids);
        users("not_allowed_user_ids", self.not_allowed_user_ids, &mut acl.not_allowed_user_ids);
        if !problems.is_empty() {
            return Err(Error::invalid("Invalid acl_config_for_shared", problems));
        }
        acl.allow_all_users = self.allow_all_users.unwrap_or(acl.allow_all_users);
        Ok(())
    }
}

/// An alias without blanks around it; none when it is empty.
///
/// # Errors
/// 400 for one that is too long or no line of text.
pub(super) fn alias_of(text: &str) -> Result<Option<String>> {
    let text = text.trim();
    if text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(bad_alias("must be at most 100 characters on one line"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn bad_alias(problem: &str) -> Error {
    Error::invalid("Invalid alias", vec![format!("alias: {problem}")])
}

/// What a failed statement means when it may have taken somebody else's alias.
pub(super) fn alias_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(d) if d.constraint() == Some(db::account::ALIAS_KEY) => {
            bad_alias("is taken by another account of this user and toolkit")
                .fix("Choose another alias, or clear that of the other account")
        }
        _ => error.into(),
    }
}

/// Lets `alias` be given to an account of this user and toolkit, if only a dead attempt has it.
pub(super) async fn free_alias(
    tx: &mut sqlx::PgConnection,
    account: &Account,
    alias: Option<&str>,
) -> Result<()> {
    let Some(alias) = alias else { return Ok(()) };
    let (project, user) = (&account.project_id, &account.user_id);
    Ok(db::account::free_alias(tx, project, user, &account.toolkit_slug, alias).await?)
}

/// Changes an account: all of the change, or nothing.
///
/// # Errors
/// 400 for a wrong part, and for credentials that the provider does not accept.
pub async fn patch(app: &App, account: &Account, config: &AuthConfig, patch: Patch) -> Result<()> {
    let mut next = account.clone();
    let alias = match &patch.alias {
        Some(text) => Some(alias_of(text)?),
        None => None,
    };
    let shares = patch.acl.is_some();
    if let Some(acl) = patch.acl {
        acl.apply(&mut next.sharing)?;
    }
    let row = match &patch.val {
        Some(val) => {
            next = with_credentials(app, next, config, val).await?;
            Some(app.vault.seal_account(&next).await?)
        }
        None => None,
    };
    let (project, id) = (&account.project_id, &account.id);
    let mut tx = app.db.begin().await?;
    if let Some(row) = &row
        && !db::account::update_state(&mut *tx, row, account.state_version).await?
    {
        return Err(Error::bad_request("The connected account changed while it was updated")
            .fix("Read it again and repeat the change"));
    }
    if let Some(alias) = &alias {
        free_alias(&mut tx, account, alias.as_deref()).await?;
        if !db::account::update_alias(&mut *tx, project, id, alias.as_deref())
            .await
            .map_err(alias_error)?
        {
            return Err(unknown(id));
        }
    }
    if shares && !db::account::update_sharing(&mut *tx, project, id, &next.sharing).await? {
        return Err(unknown(id));
    }
    commit(app, tx, &next).await
}

/// The account with credentials replaced by those of `val`, accepted by the provider.
async fn with_credentials(
    app: &App,
    account: Account,
    config: &AuthConfig,
    val: &Map<String, Value>,
) -> Result<Account> {
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let scheme = scheme(&toolkit, account.scheme)?;
    let mut given = account.state.0.clone();
    given.remove("revoked_at");
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
    let mut next = account;
    start::fill(&mut next, scheme, config, &given)?;
    activate(app, config, next).await?.map_err(Denied::into_error)
}
