//! Table `auth_config`.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::id::{AuthConfigId, ProjectId};
use crate::domain::scheme::AuthSchemeKind;

/// A row of `auth_config`.
#[derive(Debug, Clone, FromRow)]
pub struct AuthConfigRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: AuthConfigId,
    /// Toolkit it configures.
    pub toolkit_slug: String,
    /// Display name.
    pub name: String,
    /// Scheme.
    pub scheme: AuthSchemeKind,
    /// Uses the operator's OAuth client.
    pub is_managed: bool,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// Sealed JSON object.
    pub credentials: Vec<u8>,
    /// Sealed JSON object.
    pub shared_credentials: Option<Vec<u8>>,
    /// Tools that may be executed; none: all.
    pub restrict_to_tools: Option<Vec<String>>,
    /// Tools whose scopes are asked for.
    pub scope_tools: Option<Vec<String>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Filters of [`list`].
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Toolkits, lower case; empty: all.
    pub toolkit_slugs: Vec<String>,
    /// Managed or not.
    pub is_managed: Option<bool>,
    /// Also those that are switched off.
    pub show_disabled: bool,
    /// Part of the name.
    pub search: Option<String>,
}

/// Makes an auth config.
pub async fn insert(db: impl PgExecutor<'_>, row: &AuthConfigRow) -> sqlx::Result<()> {
    sqlx::query(
        "insert into auth_config (project_id, id, toolkit_slug, name, scheme, is_managed,
            is_enabled, credentials, shared_credentials, restrict_to_tools, scope_tools,
            created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.toolkit_slug)
    .bind(&row.name)
    .bind(row.scheme.as_str())
    .bind(row.is_managed)
    .bind(row.is_enabled)
    .bind(&row.credentials)
    .bind(&row.shared_credentials)
    .bind(&row.restrict_to_tools)
    .bind(&row.scope_tools)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(db)
    .await?;
    Ok(())
}

/// One auth config.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AuthConfigId,
) -> sqlx::Result<Option<AuthConfigRow>> {
    sqlx::query_as(
        "select * from auth_config where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// The newest auth config of a toolkit that is switched on and has something to connect.
pub async fn newest(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    toolkit_slug: &str,
) -> sqlx::Result<Option<AuthConfigId>> {
    sqlx::query_scalar(
        "select id from auth_config
         where project_id = $1 and toolkit_slug = $2 and is_enabled and deleted_at is null
            and scheme <> 'NO_AUTH'
         order by created_at desc, id limit 1",
    )
    .bind(project_id)
    .bind(toolkit_slug)
    .fetch_optional(db)
    .await
}

/// Waits until no other transaction holds the project's lock of a toolkit, and holds it until
/// this one ends.
pub async fn lock_toolkit(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    toolkit_slug: &str,
) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("auth_config/{project_id}/{toolkit_slug}"))
        .execute(db)
        .await?;
    Ok(())
}

fn filtered<'a>(
    head: &'static str,
    project_id: &'a ProjectId,
    filter: &'a Filter,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(head);
    query.push(" from auth_config where deleted_at is null and project_id = ");
    query.push_bind(project_id.clone());
    if !filter.toolkit_slugs.is_empty() {
        query.push(" and toolkit_slug = any(").push_bind(filter.toolkit_slugs.clone()).push(")");
    }
    if let Some(managed) = filter.is_managed {
        query.push(" and is_managed = ").push_bind(managed);
    }
    if !filter.show_disabled {
        query.push(" and is_enabled");
    }
    if let Some(search) = &filter.search {
        query.push(" and strpos(lower(name), lower(").push_bind(search.clone()).push(")) > 0");
    }
    query
}

/// Auth configs of a project, newest first, and their number.
pub async fn list(
    db: &PgPool,
    project_id: &ProjectId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<AuthConfigRow>, i64)> {
    let mut query = filtered("select *", project_id, filter);
    query.push(" order by created_at desc, id limit ").push_bind(limit);
    query.push(" offset ").push_bind(offset);
    let rows = query.build_query_as().fetch_all(db).await?;
    let total =
        filtered("select count(*)", project_id, filter).build_query_scalar().fetch_one(db).await?;
    Ok((rows, total))
}

/// Writes everything of an auth config that can change; false when it is gone.
pub async fn update(db: impl PgExecutor<'_>, row: &AuthConfigRow) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update auth_config set name = $3, is_enabled = $4, credentials = $5,
            shared_credentials = $6, restrict_to_tools = $7, scope_tools = $8, updated_at = now()
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.name)
    .bind(row.is_enabled)
    .bind(&row.credentials)
    .bind(&row.shared_credentials)
    .bind(&row.restrict_to_tools)
    .bind(&row.scope_tools)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes an auth config and wipes its secrets; false when it was not there.
pub async fn delete(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &AuthConfigId,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update auth_config set deleted_at = now(), updated_at = now(), credentials = '',
            shared_credentials = null
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project_id)
    .bind(id)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
