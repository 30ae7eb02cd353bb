//! Table `session` and table `session_config_version`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::domain::id::{ProjectId, SessionId};
use crate::domain::session::SessionConfig;

/// A row of `session`.
#[derive(Debug, Clone, FromRow)]
pub struct SessionRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: SessionId,
    /// The developer's own id of the user.
    pub user_id: String,
    /// What it may see and do.
    pub config: Json<SessionConfig>,
    /// Number of the present configuration.
    pub config_version: i32,
    /// Tools that the caller's own process runs.
    pub custom_tools: Option<Value>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A version that a session's configuration had.
#[derive(Debug, Clone, FromRow)]
pub struct ConfigVersionRow {
    /// Its number.
    pub version: i32,
    /// The configuration.
    pub config: Json<SessionConfig>,
    /// When the next version took its place; of the present one, when it began to hold.
    pub created_at: DateTime<Utc>,
}

/// Stores a new session and its first configuration.
pub async fn insert(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionId,
    user_id: &str,
    config: &SessionConfig,
    custom_tools: Option<&Value>,
) -> sqlx::Result<SessionRow> {
    let row: SessionRow = sqlx::query_as(
        "insert into session (project_id, id, user_id, config, custom_tools)
         values ($1, $2, $3, $4, $5) returning *",
    )
    .bind(project)
    .bind(id)
    .bind(user_id)
    .bind(Json(config))
    .bind(custom_tools)
    .fetch_one(&mut *db)
    .await?;
    insert_version(db, project, id, row.config_version, config).await?;
    Ok(row)
}

async fn insert_version(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionId,
    version: i32,
    config: &SessionConfig,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into session_config_version (project_id, session_id, version, config)
         values ($1, $2, $3, $4)",
    )
    .bind(project)
    .bind(id)
    .bind(version)
    .bind(Json(config))
    .execute(db)
    .await?;
    Ok(())
}

/// A session that is not deleted.
pub async fn get(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &SessionId,
) -> sqlx::Result<Option<SessionRow>> {
    sqlx::query_as("select * from session where project_id = $1 and id = $2 and deleted_at is null")
        .bind(project)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The user's newest session that is not deleted.
pub async fn newest(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
) -> sqlx::Result<Option<SessionRow>> {
    sqlx::query_as(
        "select * from session where project_id = $1 and user_id = $2 and deleted_at is null
         order by created_at desc, id limit 1",
    )
    .bind(project)
    .bind(user_id)
    .fetch_optional(db)
    .await
}

/// Keeps others that ask the same from making a user's first session, until the transaction ends.
pub async fn lock_user(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('session ' || $1 || ' ' || $2, 0))")
        .bind(project)
        .bind(user_id)
        .execute(db)
        .await?;
    Ok(())
}

/// Puts another configuration in the place of version `read`; none when it is not that version
/// any more, or the session is gone.
pub async fn update_config(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionId,
    read: i32,
    config: &SessionConfig,
) -> sqlx::Result<Option<SessionRow>> {
    let row: Option<SessionRow> = sqlx::query_as(
        "update session set config = $4, config_version = config_version + 1, updated_at = now()
         where project_id = $1 and id = $2 and config_version = $3 and deleted_at is null
         returning *",
    )
    .bind(project)
    .bind(id)
    .bind(read)
    .bind(Json(config))
    .fetch_optional(&mut *db)
    .await?;
    if let Some(row) = &row {
        insert_version(db, project, id, row.config_version, config).await?;
    }
    Ok(row)
}

/// Versions of a session's configuration, newest first, and their number.
pub async fn versions(
    db: &sqlx::PgPool,
    project: &ProjectId,
    id: &SessionId,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<ConfigVersionRow>, i64)> {
    let rows = sqlx::query_as(
        "select version, config,
            coalesce(lead(created_at) over (order by version), created_at) as created_at
         from session_config_version
         where project_id = $1 and session_id = $2 order by version desc limit $3 offset $4",
    )
    .bind(project)
    .bind(id)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from session_config_version where project_id = $1 and session_id = $2",
    )
    .bind(project)
    .bind(id)
    .fetch_one(db)
    .await?;
    Ok((rows, total))
}

/// Marks a session as deleted and forgets what it held; false when it was not there.
pub async fn delete(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionId,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update session set deleted_at = now(), updated_at = now(), custom_tools = null
         where project_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(project)
    .bind(id)
    .execute(&mut *db)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    for statement in [
        "delete from session_memory where project_id = $1 and session_id = $2",
        "delete from session_config_version where project_id = $1 and session_id = $2",
        "delete from session_file where project_id = $1 and session_id = $2",
    ] {
        sqlx::query(statement).bind(project).bind(id).execute(&mut *db).await?;
    }
    Ok(true)
}

/// Keeps a session from being deleted or changed until the transaction ends; false when it is
/// gone.
pub async fn lock(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &SessionId,
) -> sqlx::Result<bool> {
    let row = sqlx::query(
        "select from session where project_id = $1 and id = $2 and deleted_at is null
         for no key update",
    );
    Ok(row.bind(project).bind(id).fetch_optional(db).await?.is_some())
}

/// Whether PostgreSQL knows a time zone of this name. The name must have the form of one: what
/// PostgreSQL takes besides names (abbreviations, rules) are no IANA names.
pub async fn knows_time_zone(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<bool> {
    let known = sqlx::query("select now() at time zone $1").bind(name).execute(db).await;
    match known {
        Ok(_) => Ok(true),
        // Invalid parameter value.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("22023") => Ok(false),
        Err(error) => Err(error),
    }
}
