//! Tables `mcp_server`, `mcp_server_address` and `mcp_server_instance`.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::id::ProjectId;
use crate::domain::mcp_server::McpServerId;

/// The index that keeps names apart.
pub const NAME_KEY: &str = "mcp_server_project_id_name_key";

const COLUMNS: &str = "s.project_id, s.id::text as id, s.name, s.toolkits, s.auth_config_ids,
    s.allowed_tools, s.managed_auth, s.created_at, s.updated_at,
    (select count(*) from mcp_server_instance i
     where i.project_id = s.project_id and i.server_id = s.id) as instances";

/// A row of `mcp_server`, and the number of its instances.
#[derive(Debug, Clone, FromRow)]
pub struct McpServerRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: McpServerId,
    /// Display name.
    pub name: String,
    /// Toolkits.
    pub toolkits: Vec<String>,
    /// Auth configs.
    pub auth_config_ids: Vec<String>,
    /// Tools; empty: all of the toolkits.
    pub allowed_tools: Vec<String>,
    /// Whether it offers tools to connect accounts.
    pub managed_auth: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Number of instances.
    pub instances: i64,
}

/// What a server is, as a developer says it.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Display name.
    pub name: String,
    /// Toolkits.
    pub toolkits: Vec<String>,
    /// Auth configs.
    pub auth_config_ids: Vec<String>,
    /// Tools; empty: all of the toolkits.
    pub allowed_tools: Vec<String>,
    /// Whether it offers tools to connect accounts.
    pub managed_auth: bool,
}

/// Stores a new server and its address.
pub async fn insert(
    db: &mut PgConnection,
    project: &ProjectId,
    parts: &Parts,
) -> sqlx::Result<McpServerRow> {
    let row: McpServerRow = sqlx::query_as(
        "insert into mcp_server (project_id, id, name, toolkits, auth_config_ids, allowed_tools,
            managed_auth)
         values ($1, gen_random_uuid(), $2, $3, $4, $5, $6)
         returning project_id, id::text as id, name, toolkits, auth_config_ids, allowed_tools,
            managed_auth, created_at, updated_at, 0::bigint as instances",
    )
    .bind(project)
    .bind(&parts.name)
    .bind(&parts.toolkits)
    .bind(&parts.auth_config_ids)
    .bind(&parts.allowed_tools)
    .bind(parts.managed_auth)
    .fetch_one(&mut *db)
    .await?;
    sqlx::query("insert into mcp_server_address (id, project_id) values ($1::uuid, $2)")
        .bind(row.id.as_str())
        .bind(project)
        .execute(db)
        .await?;
    Ok(row)
}

/// The project that an address belongs to, of servers that are deleted too.
pub async fn project_of(
    db: impl PgExecutor<'_>,
    id: &McpServerId,
) -> sqlx::Result<Option<ProjectId>> {
    sqlx::query_scalar("select project_id from mcp_server_address where id = $1::uuid")
        .bind(id.as_str())
        .fetch_optional(db)
        .await
}

/// A server that is not deleted.
pub async fn get(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &McpServerId,
) -> sqlx::Result<Option<McpServerRow>> {
    let mut query = QueryBuilder::<Postgres>::new("select ");
    query.push(COLUMNS).push(" from mcp_server s where s.deleted_at is null and s.project_id = ");
    query.push_bind(project.clone()).push(" and s.id = ").push_bind(id.as_str().to_owned());
    query.push("::uuid");
    query.build_query_as().fetch_optional(db).await
}

/// Which servers a list has, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the name, in any case.
    pub name: Option<String>,
    /// Any of these toolkits.
    pub toolkits: Vec<String>,
    /// This toolkit as well.
    pub toolkit: Option<String>,
    /// Any of these auth configs.
    pub auth_config_ids: Vec<String>,
    /// By the time of the last change rather than that of creation.
    pub by_updated: bool,
    /// Oldest first.
    pub ascending: bool,
}

/// The pattern of texts that have `part` in them.
fn containing(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

fn filtered(head: &str, project: &ProjectId, filter: &Filter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("select ");
    query.push(head).push(" from mcp_server s where s.deleted_at is null and s.project_id = ");
    query.push_bind(project.clone());
    if let Some(name) = &filter.name {
        query.push(" and s.name ilike ").push_bind(containing(name));
    }
    if !filter.toolkits.is_empty() {
        query.push(" and s.toolkits && ").push_bind(filter.toolkits.clone());
    }
    if let Some(toolkit) = &filter.toolkit {
        query.push(" and s.toolkits && ").push_bind(vec![toolkit.clone()]);
    }
    if !filter.auth_config_ids.is_empty() {
        query.push(" and s.auth_config_ids && ").push_bind(filter.auth_config_ids.clone());
    }
    query
}

/// Servers of a project, and their number.
pub async fn list(
    db: &PgPool,
    project: &ProjectId,
    filter: &Filter,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<McpServerRow>, i64)> {
    let mut query = filtered(COLUMNS, project, filter);
    query.push(match (filter.by_updated, filter.ascending) {
        (false, false) => " order by s.created_at desc, s.id limit ",
        (false, true) => " order by s.created_at, s.id limit ",
        (true, false) => " order by s.updated_at desc, s.id limit ",
        (true, true) => " order by s.updated_at, s.id limit ",
    });
    query.push_bind(limit).push(" offset ").push_bind(offset);
    let rows = query.build_query_as().fetch_all(db).await?;
    let total = filtered("count(*)", project, filter).build_query_scalar().fetch_one(db).await?;
    Ok((rows, total))
}

/// Changes a server; false when there is none.
pub async fn update(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &McpServerId,
    parts: &Parts,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update mcp_server set name = $3, toolkits = $4, auth_config_ids = $5, allowed_tools = $6,
            managed_auth = $7, updated_at = now()
         where project_id = $1 and id = $2::uuid and deleted_at is null",
    )
    .bind(project)
    .bind(id.as_str())
    .bind(&parts.name)
    .bind(&parts.toolkits)
    .bind(&parts.auth_config_ids)
    .bind(&parts.allowed_tools)
    .bind(parts.managed_auth)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Marks a server as deleted and forgets its instances; false when there is none.
pub async fn delete(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &McpServerId,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update mcp_server set deleted_at = now(), updated_at = now()
         where project_id = $1 and id = $2::uuid and deleted_at is null",
    )
    .bind(project)
    .bind(id.as_str())
    .execute(&mut *db)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("delete from mcp_server_instance where project_id = $1 and server_id = $2::uuid")
        .bind(project)
        .bind(id.as_str())
        .execute(db)
        .await?;
    Ok(true)
}

/// A user that a server was set up for.
#[derive(Debug, Clone, FromRow)]
pub struct InstanceRow {
    /// The developer's own id of the user.
    pub user_id: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Sets a server up for a user; none when it was already.
pub async fn insert_instance(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &McpServerId,
    user_id: &str,
) -> sqlx::Result<Option<InstanceRow>> {
    sqlx::query_as(
        "insert into mcp_server_instance (project_id, server_id, user_id)
         values ($1, $2::uuid, $3) on conflict do nothing
         returning user_id, created_at, updated_at",
    )
    .bind(project)
    .bind(id.as_str())
    .bind(user_id)
    .fetch_optional(db)
    .await
}

/// Which instances a list has, and in which order.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Part of the user's id.
    pub search: Option<String>,
    /// By the time of the last change rather than that of creation.
    pub by_updated: bool,
    /// Oldest first.
    pub ascending: bool,
}

/// Users that a server was set up for, and their number.
pub async fn list_instances(
    db: &PgPool,
    project: &ProjectId,
    id: &McpServerId,
    filter: &InstanceFilter,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<InstanceRow>, i64)> {
    let filtered = |head: &str| {
        let mut query = QueryBuilder::<Postgres>::new("select ");
        query.push(head).push(" from mcp_server_instance where project_id = ");
        query.push_bind(project.clone()).push(" and server_id = ");
        query.push_bind(id.as_str().to_owned()).push("::uuid");
        if let Some(part) = &filter.search {
            query.push(" and user_id ilike ").push_bind(containing(part));
        }
        query
    };
    let mut query = filtered("user_id, created_at, updated_at");
    query.push(match (filter.by_updated, filter.ascending) {
        (false, false) => " order by created_at desc, user_id limit ",
        (false, true) => " order by created_at, user_id limit ",
        (true, false) => " order by updated_at desc, user_id limit ",
        (true, true) => " order by updated_at, user_id limit ",
    });
    query.push_bind(limit).push(" offset ").push_bind(offset);
    let rows = query.build_query_as().fetch_all(db).await?;
    let total = filtered("count(*)").build_query_scalar().fetch_one(db).await?;
    Ok((rows, total))
}

/// Takes a user away from a server; false when it was not set up for that user.
pub async fn delete_instance(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &McpServerId,
    user_id: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "delete from mcp_server_instance
         where project_id = $1 and server_id = $2::uuid and user_id = $3",
    )
    .bind(project)
    .bind(id.as_str())
    .bind(user_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
