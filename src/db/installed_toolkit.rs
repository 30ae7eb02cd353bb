//! Table `installed_toolkit`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};

/// Stands where a project's id would for what the whole server sees.
pub const SERVER: &str = "*";

/// What is installed, without the definition.
#[derive(Debug, Clone, FromRow)]
pub struct VersionRow {
    /// Project, or [`SERVER`].
    pub project_id: String,
    /// Slug of the toolkit.
    pub slug: String,
    /// Version.
    pub version: String,
    /// SHA-256 of the definition.
    pub digest: Vec<u8>,
    /// Number of tools.
    pub tools: i32,
    /// What became of the description.
    pub report: Value,
    /// Whether its tools are further ones of the built-in toolkit.
    pub completes: bool,
    /// What is different from the version before.
    pub changelog: String,
    /// Where the description came from.
    pub source: Option<String>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
}

/// A definition.
#[derive(Debug, Clone, FromRow)]
pub struct DefinitionRow {
    /// What lists need, compressed.
    pub heads: Vec<u8>,
    /// The tools, compressed.
    pub bodies: Vec<u8>,
    /// Whether they are further ones of the built-in toolkit.
    pub completes: bool,
}

/// The versions of one toolkit.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct VersionsRow {
    /// Project, or [`SERVER`].
    pub project_id: String,
    /// Slug of the toolkit.
    pub slug: String,
    /// Newest first.
    pub versions: Vec<String>,
}

/// Waits until nobody else installs a toolkit there, and keeps others from it until the transaction ends.
pub async fn lock(db: impl PgExecutor<'_>, project: &str) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("installed_toolkit/{project}"))
        .execute(db)
        .await?;
    Ok(())
}

/// How many other toolkits a project has, and how many tools their newest versions have together.
pub async fn others(
    db: impl PgExecutor<'_>,
    project: &str,
    slug: &str,
) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "select count(*), coalesce(sum(tools), 0)::bigint from (
            select distinct on (slug) tools from installed_toolkit
            where project_id = $1 and slug <> $2 order by slug, version desc
         ) newest",
    )
    .bind(project)
    .bind(slug)
    .fetch_one(db)
    .await
}

/// Forgets all but the newest `keep` versions of a toolkit.
pub async fn forget_old(
    db: impl PgExecutor<'_>,
    project: &str,
    slug: &str,
    keep: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "delete from installed_toolkit where project_id = $1 and slug = $2 and version in (
            select version from installed_toolkit where project_id = $1 and slug = $2
            order by version desc offset $3)",
    )
    .bind(project)
    .bind(slug)
    .bind(keep)
    .execute(db)
    .await?;
    Ok(())
}

/// Stores a version.
pub async fn insert(
    db: impl PgExecutor<'_>,
    row: &VersionRow,
    definition: &DefinitionRow,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into installed_toolkit
            (project_id, slug, version, heads, bodies, completes, digest, tools, report, changelog,
             source)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&row.project_id)
    .bind(&row.slug)
    .bind(&row.version)
    .bind(&definition.heads)
    .bind(&definition.bodies)
    .bind(row.completes)
    .bind(&row.digest)
    .bind(row.tools)
    .bind(&row.report)
    .bind(&row.changelog)
    .bind(&row.source)
    .execute(db)
    .await?;
    Ok(())
}

/// All toolkits of all projects with their versions: what a replica compares with what it has.
pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<VersionsRow>> {
    sqlx::query_as(
        "select project_id, slug, array_agg(version order by version desc) as versions
         from installed_toolkit group by project_id, slug",
    )
    .fetch_all(db)
    .await
}

/// The versions of a toolkit, newest first, without their definitions.
pub async fn versions(
    db: impl PgExecutor<'_>,
    project: &str,
    slug: &str,
) -> sqlx::Result<Vec<VersionRow>> {
    sqlx::query_as(
        "select project_id, slug, version, digest, tools, report, completes, changelog,
            source, created_at
         from installed_toolkit where project_id = $1 and slug = $2 order by version desc",
    )
    .bind(project)
    .bind(slug)
    .fetch_all(db)
    .await
}

/// The newest version of each toolkit, by slug, without reports.
pub async fn newest(db: impl PgExecutor<'_>, project: &str) -> sqlx::Result<Vec<VersionRow>> {
    sqlx::query_as(
        "select distinct on (slug) project_id, slug, version, digest, tools, 'null'::jsonb as report,
            completes, changelog, source, created_at
         from installed_toolkit where project_id = $1 order by slug, version desc",
    )
    .bind(project)
    .fetch_all(db)
    .await
}

/// What changed in each version of what a project sees: slug, version, words.
pub async fn changelogs(
    db: impl PgExecutor<'_>,
    project: &str,
) -> sqlx::Result<Vec<(String, String, String)>> {
    sqlx::query_as(
        "select slug, version, changelog from installed_toolkit
         where project_id = any($1) order by slug, version desc, project_id desc",
    )
    .bind([project, SERVER])
    .fetch_all(db)
    .await
}

/// The definition of a version.
pub async fn definition(
    db: impl PgExecutor<'_>,
    project: &str,
    slug: &str,
    version: &str,
) -> sqlx::Result<Option<DefinitionRow>> {
    sqlx::query_as(
        "select heads, bodies, completes from installed_toolkit
         where project_id = $1 and slug = $2 and version = $3",
    )
    .bind(project)
    .bind(slug)
    .bind(version)
    .fetch_optional(db)
    .await
}

/// Forgets a toolkit with all of its versions; whether there was one.
pub async fn delete(db: impl PgExecutor<'_>, project: &str, slug: &str) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from installed_toolkit where project_id = $1 and slug = $2")
        .bind(project)
        .bind(slug)
        .execute(db)
        .await?;
    Ok(done.rows_affected() > 0)
}
