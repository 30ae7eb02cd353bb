//! Table `session_config`: configurations under a name.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::id::{ProjectId, SessionConfigId};
use crate::domain::session::SessionConfig;

/// A row of `session_config`.
#[derive(Debug, Clone, FromRow)]
pub struct SessionConfigRow {
    /// Its id.
    pub id: SessionConfigId,
    /// Name, once in a project.
    pub name: String,
    /// When to use it.
    pub description: String,
    /// The configuration; only its toolkits, tools and tags are used.
    pub config: Json<SessionConfig>,
    /// When it was put aside.
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

const COLUMNS: &str = "id, name, description, config, archived_at, created_at, updated_at";

/// Makes sure that no other transaction of the project takes a name meanwhile.
async fn lock(db: &mut PgConnection, project: &ProjectId) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('session_config ' || $1, 0))")
        .bind(project)
        .execute(db)
        .await?;
    Ok(())
}

async fn is_taken(
    db: &mut PgConnection,
    project: &ProjectId,
    name: &str,
    but: &SessionConfigId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from session_config
            where project_id = $1 and lower(name) = lower($2) and id <> $3)",
    )
    .bind(project)
    .bind(name)
    .bind(but)
    .fetch_one(db)
    .await
}

/// Makes one; none when another has the name. To be called in a transaction.
pub async fn insert(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionConfigId,
    name: &str,
    description: &str,
    config: &SessionConfig,
) -> sqlx::Result<Option<SessionConfigRow>> {
    lock(db, project).await?;
    if is_taken(db, project, name, id).await? {
        return Ok(None);
    }
    let text = format!(
        "insert into session_config (project_id, id, name, description, config)
         values ($1, $2, $3, $4, $5) returning {COLUMNS}"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(text))
        .bind(project)
        .bind(id)
        .bind(name)
        .bind(description)
        .bind(Json(config))
        .fetch_optional(db)
        .await
}

/// One of the project.
pub async fn get(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &SessionConfigId,
) -> sqlx::Result<Option<SessionConfigRow>> {
    let text = format!("select {COLUMNS} from session_config where project_id = $1 and id = $2");
    sqlx::query_as(sqlx::AssertSqlSafe(text)).bind(project).bind(id).fetch_optional(db).await
}

/// What [`update`] changes; none leaves a part as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Name.
    pub name: Option<String>,
    /// When to use it.
    pub description: Option<String>,
    /// The configuration.
    pub config: Option<SessionConfig>,
    /// Whether it is put aside.
    pub archived: Option<bool>,
}

/// Why [`update`] changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// There is none of this id.
    Gone,
    /// Another has the name.
    NameTaken,
}

/// Changes one. To be called in a transaction.
pub async fn update(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionConfigId,
    change: &Change,
) -> sqlx::Result<Result<SessionConfigRow, Unchanged>> {
    lock(db, project).await?;
    if let Some(name) = &change.name
        && is_taken(db, project, name, id).await?
    {
        return Ok(Err(Unchanged::NameTaken));
    }
    let text = format!(
        "update session_config set name = coalesce($3, name),
            description = coalesce($4, description), config = coalesce($5, config),
            archived_at = case when $6 is null then archived_at
                when $6 then coalesce(archived_at, now()) end,
            updated_at = now()
         where project_id = $1 and id = $2 returning {COLUMNS}"
    );
    let row = sqlx::query_as(sqlx::AssertSqlSafe(text))
        .bind(project)
        .bind(id)
        .bind(&change.name)
        .bind(&change.description)
        .bind(change.config.as_ref().map(Json))
        .bind(change.archived)
        .fetch_optional(db)
        .await?;
    Ok(row.ok_or(Unchanged::Gone))
}

/// Deletes one; false when it was not there.
pub async fn delete(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &SessionConfigId,
) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from session_config where project_id = $1 and id = $2")
        .bind(project)
        .bind(id)
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn filtered(
    head: &str,
    project: &ProjectId,
    archived: bool,
    search: Option<&str>,
) -> QueryBuilder<Postgres> {
    let mut query =
        QueryBuilder::new(format!("select {head} from session_config where project_id = "));
    query.push_bind(project.clone());
    query.push(if archived { " and archived_at is not null" } else { " and archived_at is null" });
    if let Some(search) = search {
        query
            .push(" and position(lower(")
            .push_bind(search.to_owned())
            .push(") in lower(name)) > 0");
    }
    query
}

/// Those of a project by name, and their number.
pub async fn list(
    db: &PgPool,
    project: &ProjectId,
    archived: bool,
    search: Option<&str>,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<SessionConfigRow>, i64)> {
    let mut query = filtered(COLUMNS, project, archived, search);
    query.push(" order by lower(name), id limit ").push_bind(limit);
    query.push(" offset ").push_bind(offset);
    let rows = query.build_query_as().fetch_all(db).await?;
    let total =
        filtered("count(*)", project, archived, search).build_query_scalar().fetch_one(db).await?;
    Ok((rows, total))
}
