//! Table `oauth_client`: clients that this server registered at authorization servers.

use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{AuthConfigId, ProjectId};

/// A row of `oauth_client`.
#[derive(Debug, Clone, FromRow)]
pub struct OauthClientRow {
    /// Sealed JSON object; none when there is no client.
    pub client: Option<Vec<u8>>,
    /// Number of the present client.
    pub version: i64,
}

/// A client.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &str,
) -> sqlx::Result<Option<OauthClientRow>> {
    sqlx::query_as("select client, version from oauth_client where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Claims the right to register a client, or to renew what is known of one, for some seconds.
/// False when another one has it, or when there is another client by now than `version`.
pub async fn claim(
    db: impl PgExecutor<'_>,
    (project_id, auth_config_id): (&ProjectId, &AuthConfigId),
    id: &str,
    version: i64,
    claim: &str,
    seconds: i32,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into oauth_client as known
           (project_id, id, auth_config_id, claim, claimed_until)
         values ($1, $2, $3, $5, now() + make_interval(secs => $6))
         on conflict (project_id, id) do update
         set claim = excluded.claim, claimed_until = excluded.claimed_until
         where known.version = $4
           and (known.claimed_until is null or known.claimed_until <= now())",
    )
    .bind(project_id)
    .bind(id)
    .bind(auth_config_id)
    .bind(version)
    .bind(claim)
    .bind(f64::from(seconds))
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores a client and ends the claim; false when the claim was lost.
pub async fn update(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &str,
    claim: &str,
    client: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update oauth_client set client = $4, version = version + 1, claim = null,
           claimed_until = null, updated_at = now()
         where project_id = $1 and id = $2 and claim = $3",
    )
    .bind(project_id)
    .bind(id)
    .bind(claim)
    .bind(client)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a claim without a client.
pub async fn release(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &str,
    claim: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update oauth_client set claim = null, claimed_until = null
         where project_id = $1 and id = $2 and claim = $3",
    )
    .bind(project_id)
    .bind(id)
    .bind(claim)
    .execute(db)
    .await?;
    Ok(())
}

/// Gives a client up that its server no longer knows.
pub async fn clear(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &str,
    version: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "update oauth_client set client = null, version = version + 1, updated_at = now()
         where project_id = $1 and id = $2 and version = $3",
    )
    .bind(project_id)
    .bind(id)
    .bind(version)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes the clients of an auth config.
pub async fn delete_by_config(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    auth_config_id: &AuthConfigId,
) -> sqlx::Result<()> {
    sqlx::query("delete from oauth_client where project_id = $1 and auth_config_id = $2")
        .bind(project_id)
        .bind(auth_config_id)
        .execute(db)
        .await?;
    Ok(())
}
