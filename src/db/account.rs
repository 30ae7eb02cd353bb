//! Table `connected_account`.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::connection::RefreshRecord;
use crate::domain::id::{AccountId, AuthConfigId, ProjectId};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::sharing::{AccountType, Acl, Sharing};
use crate::domain::status::AccountStatus;

/// A row of `connected_account`.
#[derive(Debug, Clone, FromRow)]
pub struct AccountRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: AccountId,
    /// Auth config it was made with.
    pub auth_config_id: AuthConfigId,
    /// Toolkit.
    pub toolkit_slug: String,
    /// The developer's own id of the user.
    pub user_id: String,
    /// Scheme.
    pub scheme: AuthSchemeKind,
    /// State.
    pub status: AccountStatus,
    /// Why it is in that state.
    pub status_reason: Option<String>,
    /// Switched off by the developer.
    pub is_disabled: bool,
    /// The developer's own name of the account.
    pub alias: Option<String>,
    /// Whether it is its owner's alone.
    pub account_type: AccountType,
    /// Who else may use it.
    pub acl: Json<Acl>,
    /// Sealed JSON object: credentials and connection fields.
    pub state: Vec<u8>,
    /// Number of the present `state`.
    pub state_version: i64,
    /// When the access token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// When an unfinished attempt to connect ends.
    pub attempt_expires_at: Option<DateTime<Utc>>,
    /// Where the person's browser goes in the end.
    pub callback_url: Option<String>,
    /// `link` or `initiate`.
    pub flow: String,
    /// How refreshing it goes.
    #[sqlx(flatten)]
    pub refresh: RefreshRecord,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Filters of [`list`]; an empty list means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Toolkits, lower case.
    pub toolkit_slugs: Vec<String>,
    /// States.
    pub statuses: Vec<String>,
    /// Users.
    pub user_ids: Vec<String>,
    /// Auth configs.
    pub auth_config_ids: Vec<String>,
    /// Accounts.
    pub ids: Vec<String>,
    /// Only those of this type.
    pub account_type: Option<AccountType>,
    /// Oldest first.
    pub ascending: bool,
    /// Order by the time of the last change instead of creation.
    pub by_updated: bool,
}

/// Makes an account.
pub async fn insert(db: impl PgExecutor<'_>, row: &AccountRow) -> sqlx::Result<()> {
    sqlx::query(
        "insert into connected_account (project_id, id, auth_config_id, toolkit_slug, user_id,
            scheme, status, status_reason, is_disabled, alias, state, state_version,
            token_expires_at, attempt_expires_at, callback_url, flow, created_at, updated_at,
            account_type, acl, refresh_due, refreshed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22)",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.auth_config_id)
    .bind(&row.toolkit_slug)
    .bind(&row.user_id)
    .bind(row.scheme.as_str())
    .bind(row.status.as_str())
    .bind(&row.status_reason)
    .bind(row.is_disabled)
    .bind(&row.alias)
    .bind(&row.state)
    .bind(row.state_version)
    .bind(row.token_expires_at)
    .bind(row.attempt_expires_at)
    .bind(&row.callback_url)
    .bind(&row.flow)
    .bind(row.created_at)
    .bind(row.updated_at)
    .bind(row.account_type.as_str())
    .bind(&row.acl)
    .bind(row.refresh.due)
    .bind(row.refresh.refreshed_at)
    .execute(db)
    .await?;
    Ok(())
}

/// One account.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
) -> sqlx::Result<Option<AccountRow>> {
    sqlx::query_as(
        "select * from connected_account
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// The accounts that executions of `toolkit_slug` for `user_id` may use when none is named, newest
/// first: ACTIVE, not switched off, the user's own and not shared.
pub async fn usable_for(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    user_id: &str,
    toolkit_slug: &str,
    limit: i64,
) -> sqlx::Result<Vec<AccountRow>> {
    sqlx::query_as(
        "select a.* from connected_account a
         join auth_config c on c.project_id = a.project_id and c.id = a.auth_config_id
         where a.project_id = $1 and a.user_id = $2 and a.toolkit_slug = $3
            and a.status = 'ACTIVE' and not a.is_disabled and a.deleted_at is null
            and a.account_type = 'PRIVATE' and c.deleted_at is null and c.is_enabled
         order by a.created_at desc, a.id limit $4",
    )
    .bind(project_id)
    .bind(user_id)
    .bind(toolkit_slug)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The account of a user and toolkit that has an alias.
pub async fn by_alias(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    user_id: &str,
    toolkit_slug: &str,
    alias: &str,
) -> sqlx::Result<Option<AccountId>> {
    sqlx::query_scalar(
        "select id from connected_account
         where project_id = $1 and user_id = $2 and toolkit_slug = $3 and alias = $4
            and deleted_at is null",
    )
    .bind(project_id)
    .bind(user_id)
    .bind(toolkit_slug)
    .bind(alias)
    .fetch_optional(db)
    .await
}

/// The newest accounts of a user and toolkit, whatever their state, newest first.
pub async fn of_user(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    user_id: &str,
    toolkit_slug: &str,
    limit: i64,
) -> sqlx::Result<Vec<AccountRow>> {
    sqlx::query_as(
        "select * from connected_account
         where project_id = $1 and user_id = $2 and toolkit_slug = $3 and deleted_at is null
         order by created_at desc, id limit $4",
    )
    .bind(project_id)
    .bind(user_id)
    .bind(toolkit_slug)
    .bind(limit)
    .fetch_all(db)
    .await
}

fn filtered(head: &'static str, project_id: &ProjectId, filter: &Filter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(head);
    query.push(" from connected_account where deleted_at is null and project_id = ");
    query.push_bind(project_id.clone());
    for (column, values) in [
        (" and toolkit_slug = any(", &filter.toolkit_slugs),
        (" and status = any(", &filter.statuses),
        (" and user_id = any(", &filter.user_ids),
        (" and auth_config_id = any(", &filter.auth_config_ids),
        (" and id = any(", &filter.ids),
    ] {
        if !values.is_empty() {
            query.push(column).push_bind(values.clone()).push(")");
        }
    }
    if let Some(kind) = filter.account_type {
        query.push(" and account_type = ").push_bind(kind.as_str());
    }
    query
}

/// Accounts of a project and their number.
pub async fn list(
    db: &PgPool,
    project_id: &ProjectId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<AccountRow>, i64)> {
    let mut query = filtered("select *", project_id, filter);
    query.push(match (filter.by_updated, filter.ascending) {
        (false, false) => " order by created_at desc, id limit ",
        (false, true) => " order by created_at, id limit ",
        (true, false) => " order by updated_at desc, id limit ",
        (true, true) => " order by updated_at, id limit ",
    });
    query.push_bind(limit).push(" offset ").push_bind(offset);
    let rows = query.build_query_as().fetch_all(db).await?;
    let total =
        filtered("select count(*)", project_id, filter).build_query_scalar().fetch_one(db).await?;
    Ok((rows, total))
}

/// Number of ACTIVE accounts per auth config, for those that have any.
pub async fn count_active_by_config(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    auth_config_ids: &[String],
) -> sqlx::Result<Vec<(AuthConfigId, i64)>> {
    sqlx::query_as(
        "select auth_config_id, count(*) from connected_account
         where project_id = $1 and auth_config_id = any($2) and status = 'ACTIVE'
            and deleted_at is null
         group by auth_config_id",
    )
    .bind(project_id)
    .bind(auth_config_ids)
    .fetch_all(db)
    .await
}

/// Replaces state, status and times, if the row still has `state_version`; then the new
/// version is one more. False when somebody else was faster, or the row is gone. A claim for a
/// refresh ends with the token, and with the account's work; anything else leaves it alone.
pub async fn update_state(
    db: impl PgExecutor<'_>,
    row: &AccountRow,
    state_version: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connected_account set status = $4, status_reason = $5, state = $6,
            state_version = state_version + 1, token_expires_at = $7, attempt_expires_at = $8,
            callback_url = $9, flow = $10, updated_at = now(), refresh_due = $11,
            refresh_after = $12, refresh_failures = $13, refresh_refusals = $14,
            refresh_error = $15, refresh_lost_at = $16, refreshed_at = $17,
            refresh_claim = case when refreshed_at is distinct from $17
                or $4 not in ('ACTIVE', 'INACTIVE') then null else refresh_claim end,
            refresh_claimed_until = case when refreshed_at is distinct from $17
                or $4 not in ('ACTIVE', 'INACTIVE') then null else refresh_claimed_until end
         where project_id = $1 and id = $2 and state_version = $3 and deleted_at is null",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(state_version)
    .bind(row.status.as_str())
    .bind(&row.status_reason)
    .bind(&row.state)
    .bind(row.token_expires_at)
    .bind(row.attempt_expires_at)
    .bind(&row.callback_url)
    .bind(&row.flow)
    .bind(row.refresh.due)
    .bind(row.refresh.after)
    .bind(row.refresh.failures)
    .bind(row.refresh.refusals)
    .bind(&row.refresh.error)
    .bind(row.refresh.lost_at)
    .bind(row.refresh.refreshed_at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the status and its reason.
pub async fn update_status(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
    status: AccountStatus,
    reason: Option<&str>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connected_account set status = $3, status_reason = $4, updated_at = now(),
            state_version = state_version + 1
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .bind(status.as_str())
    .bind(reason)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Switches an account on or off. Only ACTIVE and INACTIVE change their status with it.
pub async fn update_disabled(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
    is_disabled: bool,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connected_account set is_disabled = $3, updated_at = now(),
            status = case when $3 and status = 'ACTIVE' then 'INACTIVE'
                          when not $3 and status = 'INACTIVE' then 'ACTIVE' else status end,
            status_reason = case when $3 and status = 'ACTIVE' then 'Connection status updated by user'
                                 when not $3 and status = 'INACTIVE' then null
                                 else status_reason end,
            state_version = state_version + 1
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .bind(is_disabled)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the alias.
pub async fn update_alias(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
    alias: Option<&str>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connected_account set alias = $3, updated_at = now()
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .bind(alias)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes an account and wipes its secrets; returns its user when it was there.
pub async fn delete(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
    keeps_grant: bool,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "update connected_account set deleted_at = now(), updated_at = now(), state = '',
            state_version = state_version + 1, keeps_grant = $3
         where project_id = $1 and id = $2 and deleted_at is null returning user_id",
    )
    .bind(project_id)
    .bind(id)
    .bind(keeps_grant)
    .fetch_optional(db)
    .await
}

/// Deletes every account of an auth config and wipes its secrets; returns ids and users.
pub async fn delete_by_config(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    auth_config_id: &AuthConfigId,
    keeps_grant: bool,
) -> sqlx::Result<Vec<(AccountId, String)>> {
    sqlx::query_as(
        "update connected_account set deleted_at = now(), updated_at = now(), state = '',
            state_version = state_version + 1, keeps_grant = $3
         where project_id = $1 and auth_config_id = $2 and deleted_at is null
         returning id, user_id",
    )
    .bind(project_id)
    .bind(auth_config_id)
    .bind(keeps_grant)
    .fetch_all(db)
    .await
}

/// Whether an account was deleted so that its tokens stay valid at the provider.
pub async fn keeps_grant(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
) -> sqlx::Result<bool> {
    let kept: Option<bool> = sqlx::query_scalar(
        "select keeps_grant from connected_account where project_id = $1 and id = $2",
    )
    .bind(project_id)
    .bind(id)
    .fetch_optional(db)
    .await?;
    Ok(kept.unwrap_or(false))
}

/// One account, which nobody else changes until the transaction ends.
pub async fn lock(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
) -> sqlx::Result<Option<AccountRow>> {
    sqlx::query_as(
        "select * from connected_account
         where project_id = $1 and id = $2 and deleted_at is null for update",
    )
    .bind(project_id)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Ends attempts to connect that ran out of time, at most `limit` of them, over all projects;
/// returns project, id and user of each.
pub async fn expire_attempts(
    db: impl PgExecutor<'_>,
    reason: &str,
    limit: i64,
) -> sqlx::Result<Vec<(ProjectId, AccountId, String)>> {
    sqlx::query_as(
        "update connected_account a set status = 'EXPIRED', status_reason = $1,
            updated_at = now(), attempt_expires_at = null, state_version = state_version + 1
         from (select project_id, id from connected_account
               where status in ('INITIALIZING', 'INITIATED') and attempt_expires_at < now()
                  and deleted_at is null
               limit $2 for update skip locked) due
         where a.project_id = due.project_id and a.id = due.id
         returning a.project_id, a.id, a.user_id",
    )
    .bind(reason)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Name of the index that lets an alias name one account of a user and toolkit.
pub const ALIAS_KEY: &str = "connected_account_project_id_alias_key";

/// Takes an alias from attempts that came to nothing, so that the next one may have it.
pub async fn free_alias(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    user_id: &str,
    toolkit_slug: &str,
    alias: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update connected_account set alias = null, updated_at = now()
         where project_id = $1 and user_id = $2 and toolkit_slug = $3 and alias = $4
            and deleted_at is null and (status = 'FAILED'
                or status in ('INITIALIZING', 'INITIATED') and attempt_expires_at < now()
                or status = 'EXPIRED' and status_reason like 'Connection initiation%')",
    )
    .bind(project_id)
    .bind(user_id)
    .bind(toolkit_slug)
    .bind(alias)
    .execute(db)
    .await?;
    Ok(())
}

/// Replaces type and access list.
pub async fn update_sharing(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
    sharing: &Sharing,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connected_account set account_type = $3, acl = $4, updated_at = now()
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .bind(sharing.account_type.as_str())
    .bind(Json(&sharing.acl))
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The newest accounts of a user for each of some toolkits, those that are ACTIVE first, at most
/// `most` of each: what an agent is told about connections.
pub async fn newest_of(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    user_id: &str,
    toolkit_slugs: &[String],
    most: i64,
) -> sqlx::Result<Vec<AccountRow>> {
    sqlx::query_as(
        "select a.* from unnest($3::text[]) as wanted(slug)
         cross join lateral (
             select a.* from connected_account a
             join auth_config c on c.project_id = a.project_id and c.id = a.auth_config_id
             where a.project_id = $1 and a.user_id = $2 and a.toolkit_slug = wanted.slug
                and a.deleted_at is null and c.deleted_at is null and c.is_enabled
             order by a.status <> 'ACTIVE' or a.is_disabled, a.created_at desc, a.id limit $4
         ) a
         order by a.toolkit_slug, a.status <> 'ACTIVE' or a.is_disabled, a.created_at desc, a.id",
    )
    .bind(project_id)
    .bind(user_id)
    .bind(toolkit_slugs)
    .bind(most)
    .fetch_all(db)
    .await
}

/// Usable accounts of a user and toolkit other than `id`.
pub async fn others_of_user(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AccountId,
    user_id: &str,
    toolkit_slug: &str,
) -> sqlx::Result<Vec<AccountRow>> {
    sqlx::query_as(
        "select * from connected_account
         where project_id = $1 and user_id = $3 and toolkit_slug = $4 and id <> $2
            and status in ('ACTIVE', 'INACTIVE') and deleted_at is null
         order by created_at desc limit 100",
    )
    .bind(project_id)
    .bind(id)
    .bind(user_id)
    .bind(toolkit_slug)
    .fetch_all(db)
    .await
}

/// The accounts of an auth config, which nobody else changes until the transaction ends.
pub async fn lock_by_config(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    auth_config_id: &AuthConfigId,
) -> sqlx::Result<Vec<AccountRow>> {
    sqlx::query_as(
        "select * from connected_account
         where project_id = $1 and auth_config_id = $2 and deleted_at is null
         order by id for update",
    )
    .bind(project_id)
    .bind(auth_config_id)
    .fetch_all(db)
    .await
}
