//! Table `recipe`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{ProjectId, RecipeId};

/// A row of `recipe`.
#[derive(Debug, Clone, FromRow)]
pub struct RecipeRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: RecipeId,
    /// The user whose sessions see it.
    pub user_id: String,
    /// Name, one of the user's own each.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it takes, what it gives, and its steps.
    pub body: Value,
    /// Number of the present version, from 1.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Waits until no other transaction writes recipes of the user, and keeps others from it until this
/// one ends.
pub async fn lock_user(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("recipe/{project}/{user_id}"))
        .execute(db)
        .await?;
    Ok(())
}

/// A recipe of the user, by id or by name.
pub async fn find(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
    id: Option<&str>,
    name: Option<&str>,
) -> sqlx::Result<Option<RecipeRow>> {
    sqlx::query_as(
        "select * from recipe
         where project_id = $1 and user_id = $2 and ($3::text is null or id = $3)
            and ($4::text is null or name = $4)
         order by updated_at desc limit 1",
    )
    .bind(project)
    .bind(user_id)
    .bind(id)
    .bind(name)
    .fetch_optional(db)
    .await
}

/// The recipes of a user, the latest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<RecipeRow>> {
    sqlx::query_as(
        "select * from recipe where project_id = $1 and user_id = $2
         order by updated_at desc, id limit $3",
    )
    .bind(project)
    .bind(user_id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Number of recipes of a user.
pub async fn count(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from recipe where project_id = $1 and user_id = $2")
        .bind(project)
        .bind(user_id)
        .fetch_one(db)
        .await
}

/// Stores a recipe, in the place of the one of its id when there is one, whose version then grows.
/// Only a recipe of the same user is replaced.
pub async fn put(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
    id: &RecipeId,
    name: &str,
    description: &str,
    body: &Value,
) -> sqlx::Result<RecipeRow> {
    sqlx::query_as(
        "insert into recipe (project_id, id, user_id, name, description, body)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (project_id, id) do update set name = $4, description = $5, body = $6,
            version = recipe.version + 1, updated_at = now()
         where recipe.user_id = $3
         returning *",
    )
    .bind(project)
    .bind(id)
    .bind(user_id)
    .bind(name)
    .bind(description)
    .bind(body)
    .fetch_one(db)
    .await
}
