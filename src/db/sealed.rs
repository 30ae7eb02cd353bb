//! The columns that hold sealed values, whatever the table: what a rotation of keys walks over.
//!
//! The column names of the SQL below are constants of this file.

use sqlx::{AssertSqlSafe, FromRow, PgExecutor};

use crate::domain::id::ProjectId;

/// A column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// `table.column`, as the sealed value is bound to it.
    pub name: &'static str,
    table: &'static str,
    column: &'static str,
    /// Shows the data key.
    key: &'static str,
    project: &'static str,
    id: &'static str,
    /// Whether `id` is bytes, which the sealed value is bound to in hex.
    is_hash: bool,
}

/// All of them.
pub const COLUMNS: &[Column] = &[
    Column {
        name: "project.webhook_secret",
        table: "project",
        column: "webhook_secret",
        key: "webhook_secret_key_id",
        project: "id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "auth_config.credentials",
        table: "auth_config",
        column: "credentials",
        key: "credentials_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "auth_config.shared_credentials",
        table: "auth_config",
        column: "shared_credentials",
        key: "shared_credentials_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "connected_account.state",
        table: "connected_account",
        column: "state",
        key: "state_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "connect_token.data",
        table: "connect_token",
        column: "data",
        key: "data_key_id",
        project: "project_id",
        id: "hash",
        is_hash: true,
    },
    Column {
        name: "oauth_client.client",
        table: "oauth_client",
        column: "client",
        key: "client_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "revocation.tokens",
        table: "revocation",
        column: "tokens",
        key: "tokens_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "trigger_instance.secrets",
        table: "trigger_instance",
        column: "secrets",
        key: "secrets_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "webhook_endpoint.data",
        table: "webhook_endpoint",
        column: "data",
        key: "data_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
    Column {
        name: "webhook_subscription.secret",
        table: "webhook_subscription",
        column: "secret",
        key: "secret_key_id",
        project: "project_id",
        id: "id",
        is_hash: false,
    },
];

/// A sealed value and its row.
#[derive(Debug, Clone, FromRow)]
pub struct SealedRow {
    /// Row id, as the value is bound to it.
    pub id: String,
    /// The value.
    pub sealed: Vec<u8>,
}

impl Column {
    /// Text of the row id.
    fn id_text(&self) -> String {
        if self.is_hash { format!("encode({}, 'hex')", self.id) } else { self.id.to_owned() }
    }

    /// The row id of a text.
    fn id_of(&self, text: &str) -> String {
        if self.is_hash { format!("decode({text}, 'hex')") } else { text.to_owned() }
    }

    /// Sealed with the data key `$2`, or with a master key when that is null.
    fn with_key(&self, key: Option<&[u8]>) -> String {
        let Self { key: id, column, .. } = self;
        match key {
            Some(_) => format!("{id} = $2"),
            None => format!("{id} is null and {column} <> '' and $2::bytea is null"),
        }
    }

    /// Up to `limit` values of a project that are sealed with a data key, or with a master key
    /// when that is none, locked, in the order of their ids. Rows that somebody else has locked are
    /// left out: this waits for nobody, so it is never part of a deadlock.
    pub async fn lock(
        &self,
        db: impl PgExecutor<'_>,
        project_id: &ProjectId,
        key: Option<&[u8]>,
        after: &str,
        limit: i64,
    ) -> sqlx::Result<Vec<SealedRow>> {
        let Self { table, column, project, id, .. } = self;
        let sql = format!(
            "select {} as id, {column} as sealed from {table}
             where {project} = $1 and {} and {id} > {}
             order by {id} limit $4 for no key update skip locked",
            self.id_text(),
            self.with_key(key),
            self.id_of("$3"),
        );
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(project_id)
            .bind(key)
            .bind(after)
            .bind(limit)
            .fetch_all(db)
            .await
    }

    /// Stores other sealed forms of the same values; the rows are locked. Changes nothing else:
    /// neither versions nor times.
    pub async fn store(
        &self,
        db: impl PgExecutor<'_>,
        project_id: &ProjectId,
        rows: &[SealedRow],
    ) -> sqlx::Result<u64> {
        let Self { table, column, project, id, .. } = self;
        let sql = format!(
            "update {table} t set {column} = n.sealed
             from unnest($2::text[], $3::bytea[]) n (id, sealed)
             where t.{project} = $1 and t.{id} = {}",
            self.id_of("n.id"),
        );
        let ids: Vec<&str> = rows.iter().map(|r| r.id.as_str()).collect();
        let sealed: Vec<&[u8]> = rows.iter().map(|r| r.sealed.as_slice()).collect();
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(project_id)
            .bind(ids)
            .bind(sealed)
            .execute(db)
            .await?;
        Ok(done.rows_affected())
    }

    /// Number of values of a project that are sealed with a data key, or with a master key.
    pub async fn count(
        &self,
        db: impl PgExecutor<'_>,
        project_id: &ProjectId,
        key: Option<&[u8]>,
    ) -> sqlx::Result<i64> {
        let Self { table, project, .. } = self;
        let sql =
            format!("select count(*) from {table} where {project} = $1 and {}", self.with_key(key));
        sqlx::query_scalar(AssertSqlSafe(sql)).bind(project_id).bind(key).fetch_one(db).await
    }

    /// Number of values per project and data key, over all projects.
    pub async fn count_by_data_key(
        &self,
        db: impl PgExecutor<'_>,
    ) -> sqlx::Result<Vec<(String, Vec<u8>, i64)>> {
        let Self { table, project, key, .. } = self;
        let sql = format!(
            "select {project}, {key}, count(*) from {table} where {key} is not null group by 1, 2"
        );
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db).await
    }

    /// Number of values per master key, over all projects: values from before data keys.
    pub async fn count_by_master(
        &self,
        db: impl PgExecutor<'_>,
    ) -> sqlx::Result<Vec<(Vec<u8>, i64)>> {
        let Self { table, column, key, .. } = self;
        let sql = format!(
            "select substring({column} from 2 for 4), count(*) from {table}
             where {key} is null and {column} <> '' group by 1"
        );
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(db).await
    }

    /// Projects with values that a master key sealed.
    pub async fn projects_under_master(
        &self,
        db: impl PgExecutor<'_>,
    ) -> sqlx::Result<Vec<ProjectId>> {
        let Self { table, column, key, project, .. } = self;
        let sql = format!(
            "select distinct {project} from {table} where {key} is null and {column} <> '' order by 1"
        );
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(db).await
    }
}
