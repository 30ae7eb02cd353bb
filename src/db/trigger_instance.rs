//! Table `trigger_instance`, with the rows of `trigger_poll` that belong to it.
//!
//! Whoever works on the registration of a row has it claimed for a while: `hook_claim` is set and
//! `hook_due` lies ahead. A claim that ends without a word is of a server that died.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::id::{AccountId, AuthConfigId, ProjectId, TriggerId};
use crate::domain::status::AccountStatus;
use crate::domain::trigger::HookState;

/// A row of `trigger_instance`.
#[derive(Debug, Clone, FromRow)]
pub struct TriggerRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: TriggerId,
    /// Trigger type.
    pub slug: String,
    /// Toolkit of the type.
    pub toolkit_slug: String,
    /// Version of the toolkit.
    pub toolkit_version: String,
    /// The account.
    pub account_id: AccountId,
    /// Auth config of the account.
    pub auth_config_id: AuthConfigId,
    /// User of the account.
    pub user_id: String,
    /// `webhook` or `poll`.
    pub kind: String,
    /// Config, checked, with defaults.
    pub config: Json<Map<String, Value>>,
    /// SHA-256 of the config in one spelling.
    pub config_hash: Vec<u8>,
    /// SHA-256 of the secret part of the URL that the provider calls.
    pub ingress_hash: Vec<u8>,
    /// Sealed JSON object; empty when it is deleted and done with.
    pub secrets: Vec<u8>,
    /// What is kept of the provider's answer to the registration.
    pub registration: Json<Map<String, Value>>,
    /// How the registration stands.
    pub hook_state: HookState,
    /// Why it does not stand better.
    pub hook_error: Option<String>,
    /// When a worker takes it up; while it is worked on, when somebody else may.
    pub hook_due: Option<DateTime<Utc>>,
    /// Who works on it.
    pub hook_claim: Option<String>,
    /// Attempts in a row that came to nothing, with the present one.
    pub hook_attempts: i32,
    /// When the provider last took the registration.
    pub registered_at: Option<DateTime<Utc>>,
    /// Since when it is disabled.
    pub disabled_at: Option<DateTime<Utc>>,
    /// `user` or `server`.
    pub disabled_by: Option<String>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// The last thing that went wrong on its way in.
    pub last_error: Option<String>,
    /// When.
    pub last_error_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// An instance with what is known about how it goes.
#[derive(Debug, Clone, FromRow)]
pub struct Listed {
    /// The instance.
    #[sqlx(flatten)]
    pub row: TriggerRow,
    /// State of its account; none when that is gone.
    pub account_status: Option<AccountStatus>,
    /// Whether the account is switched off.
    pub account_disabled: Option<bool>,
    /// Its last event that is still kept.
    pub last_event_at: Option<DateTime<Utc>>,
    /// Seconds between two polls.
    pub poll_interval_s: Option<i32>,
    /// When the provider is asked next.
    pub poll_next_at: Option<DateTime<Utc>>,
    /// When it was last asked.
    pub poll_last_at: Option<DateTime<Utc>>,
    /// When that last went well.
    pub poll_last_ok_at: Option<DateTime<Utc>>,
    /// What went wrong since.
    pub poll_last_error: Option<String>,
    /// How often in a row.
    pub poll_failures: Option<i32>,
}

/// Filters of [`list`]; an empty list means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Users.
    pub user_ids: Vec<String>,
    /// Accounts.
    pub account_ids: Vec<String>,
    /// Accounts, by what is left of their UUID-shaped aliases without the version: the first and
    /// the last twelve digits.
    pub account_aliases: Vec<String>,
    /// Auth configs.
    pub auth_config_ids: Vec<String>,
    /// The same, as `account_aliases`.
    pub auth_config_aliases: Vec<String>,
    /// Instances.
    pub ids: Vec<String>,
    /// Trigger types, upper case.
    pub slugs: Vec<String>,
    /// Also those that are disabled.
    pub with_disabled: bool,
}

/// When the registration of a row is taken up next.
#[derive(Debug, Clone, Copy)]
pub enum Due {
    /// Never.
    Never,
    /// After that time.
    In(Duration),
}

impl Due {
    fn secs(self) -> Option<f64> {
        match self {
            Self::Never => None,
            Self::In(time) => Some(time.as_secs_f64()),
        }
    }
}

/// Makes an instance, unless the account has one of this type and config; whether it did.
pub async fn insert(db: impl PgExecutor<'_>, row: &TriggerRow, due: Due) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into trigger_instance (project_id, id, slug, toolkit_slug, toolkit_version,
            account_id, auth_config_id, user_id, kind, config, config_hash, ingress_hash, secrets,
            hook_state, hook_claim, hook_due, hook_attempts, disabled_at, disabled_by,
            disabled_reason, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
            now() + make_interval(secs => $16), $17, $18, $19, $20, $21, $21)
         on conflict (project_id, account_id, slug, config_hash) where deleted_at is null
         do nothing",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.slug)
    .bind(&row.toolkit_slug)
    .bind(&row.toolkit_version)
    .bind(&row.account_id)
    .bind(&row.auth_config_id)
    .bind(&row.user_id)
    .bind(&row.kind)
    .bind(&row.config)
    .bind(&row.config_hash)
    .bind(&row.ingress_hash)
    .bind(&row.secrets)
    .bind(row.hook_state.as_str())
    .bind(&row.hook_claim)
    .bind(due.secs())
    .bind(row.hook_attempts)
    .bind(row.disabled_at)
    .bind(&row.disabled_by)
    .bind(&row.disabled_reason)
    .bind(row.created_at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An instance that is not deleted.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &TriggerId,
) -> sqlx::Result<Option<TriggerRow>> {
    Ok(get_any(db, project_id, id).await?.filter(|row| row.deleted_at.is_none()))
}

/// An instance, deleted or not.
pub async fn get_any(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &TriggerId,
) -> sqlx::Result<Option<TriggerRow>> {
    sqlx::query_as("select * from trigger_instance where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// An instance, deleted or not, which nobody else changes until the transaction ends.
pub async fn lock(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &TriggerId,
) -> sqlx::Result<Option<TriggerRow>> {
    sqlx::query_as("select * from trigger_instance where project_id = $1 and id = $2 for update")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The instance of an account, a type and a config.
pub async fn same(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    account_id: &AccountId,
    slug: &str,
    config_hash: &[u8],
) -> sqlx::Result<Option<TriggerId>> {
    sqlx::query_scalar(
        "select id from trigger_instance where project_id = $1 and account_id = $2 and slug = $3
            and config_hash = $4 and deleted_at is null",
    )
    .bind(project_id)
    .bind(account_id)
    .bind(slug)
    .bind(config_hash)
    .fetch_optional(db)
    .await
}

/// Instances of an account, or of all accounts of an auth config, that are not deleted, which
/// nobody else changes until the transaction ends.
pub async fn lock_of(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    account_id: Option<&AccountId>,
    auth_config_id: Option<&AuthConfigId>,
) -> sqlx::Result<Vec<TriggerRow>> {
    sqlx::query_as(
        "select * from trigger_instance
         where project_id = $1 and (account_id = $2 or auth_config_id = $3)
            and deleted_at is null
         order by id for update",
    )
    .bind(project_id)
    .bind(account_id)
    .bind(auth_config_id)
    .fetch_all(db)
    .await
}

/// Deletes the instances of accounts that are deleted in the same transaction, whose provider
/// nobody can tell any more. Most were deleted before: see `trigger::farewell`.
pub async fn delete_orphans(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    account_ids: &[AccountId],
) -> sqlx::Result<()> {
    let ids: Vec<&str> = account_ids.iter().map(AccountId::as_str).collect();
    sqlx::query(
        "with gone as (
            update trigger_instance set deleted_at = now(), updated_at = now(), secrets = '',
                hook_claim = null, hook_due = null
            where project_id = $1 and account_id = any ($2) and deleted_at is null
            returning project_id, id)
         delete from trigger_poll p using gone
         where p.project_id = gone.project_id and p.trigger_id = gone.id",
    )
    .bind(project_id)
    .bind(ids)
    .execute(db)
    .await?;
    Ok(())
}

/// Instances of a toolkit that are not disabled, oldest first.
pub async fn of_toolkit(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    toolkit_slug: &str,
) -> sqlx::Result<Vec<TriggerRow>> {
    sqlx::query_as(
        "select * from trigger_instance where project_id = $1 and toolkit_slug = $2
            and deleted_at is null and disabled_at is null and kind = 'webhook'
         order by created_at, id",
    )
    .bind(project_id)
    .bind(toolkit_slug)
    .fetch_all(db)
    .await
}

/// Stores all of a locked row that can change.
pub async fn save(db: impl PgExecutor<'_>, row: &TriggerRow, due: Due) -> sqlx::Result<()> {
    sqlx::query(
        "update trigger_instance set toolkit_version = $3, ingress_hash = $4, secrets = $5,
            registration = $6, hook_state = $7, hook_error = $8, hook_claim = $9,
            hook_due = now() + make_interval(secs => $10), hook_attempts = $11,
            registered_at = $12, disabled_at = $13, disabled_by = $14, disabled_reason = $15,
            last_error = $16, last_error_at = $17, deleted_at = $18, updated_at = now()
         where project_id = $1 and id = $2",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.toolkit_version)
    .bind(&row.ingress_hash)
    .bind(&row.secrets)
    .bind(&row.registration)
    .bind(row.hook_state.as_str())
    .bind(&row.hook_error)
    .bind(&row.hook_claim)
    .bind(due.secs())
    .bind(row.hook_attempts)
    .bind(row.registered_at)
    .bind(row.disabled_at)
    .bind(&row.disabled_by)
    .bind(&row.disabled_reason)
    .bind(&row.last_error)
    .bind(row.last_error_at)
    .bind(row.deleted_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Stores the parts of a locked row that do not concern its registration: that it is disabled or
/// deleted, and its secrets.
pub async fn save_beside_hook(db: impl PgExecutor<'_>, row: &TriggerRow) -> sqlx::Result<()> {
    sqlx::query(
        "update trigger_instance set toolkit_version = $3, secrets = $4, disabled_at = $5,
            disabled_by = $6, disabled_reason = $7, deleted_at = $8, updated_at = now()
         where project_id = $1 and id = $2",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.toolkit_version)
    .bind(&row.secrets)
    .bind(row.disabled_at)
    .bind(&row.disabled_by)
    .bind(&row.disabled_reason)
    .bind(row.deleted_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether somebody works on the registration of a row now, by the database's clock.
pub async fn is_claimed(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &TriggerId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select coalesce((select hook_claim is not null and hook_due > now()
            from trigger_instance where project_id = $1 and id = $2), false)",
    )
    .bind(project_id)
    .bind(id)
    .fetch_one(db)
    .await
}

/// Claims registrations that are due, at most `limit`, over all projects, but none of the toolkits
/// in `busy`.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    claim: &str,
    time: Duration,
    busy: &[String],
    limit: i64,
) -> sqlx::Result<Vec<TriggerRow>> {
    sqlx::query_as(
        // Materialized: a plan that ran the inner query again would claim more than the limit.
        "with due as materialized (
            select project_id, id from trigger_instance
            where hook_due <= now() and toolkit_slug <> all($3)
            order by hook_due limit $4 for update skip locked)
         update trigger_instance t set hook_claim = $1, hook_attempts = t.hook_attempts + 1,
            hook_due = now() + make_interval(secs => $2)
         from due where t.project_id = due.project_id and t.id = due.id
         returning t.*",
    )
    .bind(claim)
    .bind(time.as_secs_f64())
    .bind(busy)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Notes what went wrong on its way in, unless something was noted less than a minute ago.
pub async fn note_error(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &TriggerId,
    error: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update trigger_instance set last_error = $3, last_error_at = now()
         where project_id = $1 and id = $2
            and (last_error_at is null or last_error_at < now() - interval '1 minute')",
    )
    .bind(project_id)
    .bind(id)
    .bind(error)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets what was deleted more than 30 days ago, and whose provider has been told.
pub async fn delete_ended(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from trigger_instance
         where deleted_at < now() - interval '30 days' and hook_due is null",
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

const LISTED: &str = "select t.*, a.status as account_status, a.is_disabled as account_disabled,
    (select max(e.created_at) from event e
     where e.project_id = t.project_id and e.subject_id = t.id
        and e.type = 'composio.trigger.message') as last_event_at,
    p.interval_s as poll_interval_s, p.next_at as poll_next_at, p.last_at as poll_last_at,
    p.last_ok_at as poll_last_ok_at, p.last_error as poll_last_error,
    p.failures as poll_failures";

const FROM: &str = " from trigger_instance t
    left join connected_account a on a.project_id = t.project_id and a.id = t.account_id
        and a.deleted_at is null
    left join trigger_poll p on p.project_id = t.project_id and p.trigger_id = t.id
    where t.deleted_at is null and t.project_id = ";

fn filtered(head: &'static str, project_id: &ProjectId, filter: &Filter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(head);
    query.push(FROM).push_bind(project_id.clone());
    if !filter.with_disabled {
        query.push(" and t.disabled_at is null");
    }
    for (column, values) in [
        (" and t.user_id = any(", &filter.user_ids),
        (" and t.auth_config_id = any(", &filter.auth_config_ids),
        (" and t.account_id = any(", &filter.account_ids),
        (" and t.id = any(", &filter.ids),
        (" and t.slug = any(", &filter.slugs),
        (
            " and overlay(left(encode(sha256(convert_to(t.account_id, 'UTF8')), 'hex'), 32)
                placing '' from 13 for 8) = any(",
            &filter.account_aliases,
        ),
        (
            " and overlay(left(encode(sha256(convert_to(t.auth_config_id, 'UTF8')), 'hex'), 32)
                placing '' from 13 for 8) = any(",
            &filter.auth_config_aliases,
        ),
    ] {
        if !values.is_empty() {
            query.push(column).push_bind(values.clone()).push(")");
        }
    }
    query
}

/// Instances of a project, newest first, and their number.
pub async fn list(
    db: &PgPool,
    project_id: &ProjectId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<Listed>, i64)> {
    let mut query = filtered(LISTED, project_id, filter);
    query.push(" order by t.created_at desc, t.id limit ");
    query.push_bind(limit).push(" offset ").push_bind(offset);
    let rows = query.build_query_as().fetch_all(db).await?;
    let total =
        filtered("select count(*)", project_id, filter).build_query_scalar().fetch_one(db).await?;
    Ok((rows, total))
}

/// Lets an instance ask the provider: from now on, first after `wait`. With `anew` it forgets how
/// far it came, so that it tells nothing of the time in between.
pub async fn start_polling(
    db: impl PgExecutor<'_>,
    (project_id, id): (&ProjectId, &TriggerId),
    interval_s: i32,
    wait: Duration,
    anew: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into trigger_poll (project_id, trigger_id, interval_s, next_at, toolkit_slug)
         select project_id, id, $3, now() + make_interval(secs => $4), toolkit_slug
         from trigger_instance where project_id = $1 and id = $2
         on conflict (project_id, trigger_id) do update set is_active = true, interval_s = $3,
            next_at = now() + make_interval(secs => $4), claim = null, failures = 0,
            last_error = null, cursor = case when $5 then null else trigger_poll.cursor end",
    )
    .bind(project_id)
    .bind(id)
    .bind(interval_s)
    .bind(wait.as_secs_f64())
    .bind(anew)
    .execute(db)
    .await?;
    Ok(())
}

/// Lets instances no longer ask the provider; a poll that is under way is void.
pub async fn stop_polling(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    ids: &[TriggerId],
) -> sqlx::Result<()> {
    let ids: Vec<&str> = ids.iter().map(TriggerId::as_str).collect();
    sqlx::query(
        "update trigger_poll set is_active = false, claim = null
         where project_id = $1 and trigger_id = any($2)",
    )
    .bind(project_id)
    .bind(ids)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets how far a deleted instance came.
pub async fn end_polling(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &TriggerId,
) -> sqlx::Result<()> {
    sqlx::query("delete from trigger_poll where project_id = $1 and trigger_id = $2")
        .bind(project_id)
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}
