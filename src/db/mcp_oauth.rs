//! Tables `mcp_oauth_grant` and `mcp_oauth_token`: sign-ins of MCP clients.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::domain::id::ProjectId;

/// A new sign-in.
#[derive(Debug)]
pub struct NewGrant<'a> {
    /// Its project.
    pub project: &'a ProjectId,
    /// Its id.
    pub id: &'a str,
    /// The API key that the person signed in with.
    pub key_id: &'a str,
    /// SHA-256 of the client's id.
    pub client_hash: &'a [u8],
    /// What the client calls itself.
    pub client_name: &'a str,
    /// Path of the endpoint; empty: all of the project.
    pub resource: &'a str,
}

/// Stores a sign-in.
pub async fn insert_grant(db: impl PgExecutor<'_>, grant: &NewGrant<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into mcp_oauth_grant (project_id, id, key_id, client_hash, client_name, resource)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(grant.project)
    .bind(grant.id)
    .bind(grant.key_id)
    .bind(grant.client_hash)
    .bind(grant.client_name)
    .bind(grant.resource)
    .execute(db)
    .await?;
    Ok(())
}

/// A sign-in, locked: everything that happens to its tokens happens one after the other.
#[derive(Debug, Clone, FromRow)]
pub struct GrantRow {
    /// SHA-256 of the client's id.
    pub client_hash: Vec<u8>,
    /// Path of the endpoint; empty: all of the project.
    pub resource: String,
    /// Whether it still holds: not revoked, and its API key and project exist.
    pub holds: bool,
}

/// Locks a sign-in until the transaction ends.
pub async fn lock_grant(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &str,
) -> sqlx::Result<Option<GrantRow>> {
    sqlx::query_as(
        "select g.client_hash, g.resource,
            g.revoked_at is null and exists (select from api_key k
                join project p on p.id = k.project_id
                where k.id = g.key_id and k.project_id = g.project_id
                    and k.deleted_at is null and p.deleted_at is null) as holds
         from mcp_oauth_grant g where g.project_id = $1 and g.id = $2 for update of g",
    )
    .bind(project)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Ends a sign-in and forgets its tokens.
pub async fn revoke_grant(
    db: &mut PgConnection,
    project: &ProjectId,
    id: &str,
) -> sqlx::Result<()> {
    for statement in [
        "update mcp_oauth_grant set revoked_at = coalesce(revoked_at, now())
         where project_id = $1 and id = $2",
        "delete from mcp_oauth_token where project_id = $1 and grant_id = $2",
    ] {
        sqlx::query(statement).bind(project).bind(id).execute(&mut *db).await?;
    }
    Ok(())
}

/// A token to store.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// Its project.
    pub project: &'a ProjectId,
    /// SHA-256 of the token.
    pub hash: &'a [u8],
    /// The sign-in that it belongs to.
    pub grant_id: &'a str,
    /// `code`, `access` or `refresh`.
    pub kind: &'a str,
    /// Of a code: the PKCE challenge.
    pub code_challenge: Option<&'a str>,
    /// Of a code: where it was sent.
    pub redirect_uri: Option<&'a str>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Stores a token.
pub async fn insert_token(db: impl PgExecutor<'_>, token: &NewToken<'_>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into mcp_oauth_token (project_id, hash, grant_id, kind, code_challenge,
            redirect_uri, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(token.project)
    .bind(token.hash)
    .bind(token.grant_id)
    .bind(token.kind)
    .bind(token.code_challenge)
    .bind(token.redirect_uri)
    .bind(token.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// A row of `mcp_oauth_token`.
#[derive(Debug, Clone, FromRow)]
pub struct TokenRow {
    /// The sign-in that it belongs to.
    pub grant_id: String,
    /// `code`, `access` or `refresh`.
    pub kind: String,
    /// Of a code: the PKCE challenge.
    pub code_challenge: Option<String>,
    /// Of a code: where it was sent.
    pub redirect_uri: Option<String>,
    /// Whether its time is over.
    pub is_over: bool,
    /// For how many seconds it has been used up.
    pub used_for: Option<f64>,
}

/// A token, used and ended ones too.
pub async fn token(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    hash: &[u8],
) -> sqlx::Result<Option<TokenRow>> {
    sqlx::query_as(
        "select grant_id, kind, code_challenge, redirect_uri, expires_at <= now() as is_over,
            extract(epoch from now() - consumed_at)::float8 as used_for
         from mcp_oauth_token where project_id = $1 and hash = $2",
    )
    .bind(project)
    .bind(hash)
    .fetch_optional(db)
    .await
}

/// Uses a token up.
pub async fn consume_token(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    hash: &[u8],
) -> sqlx::Result<()> {
    sqlx::query(
        "update mcp_oauth_token set consumed_at = now()
         where project_id = $1 and hash = $2 and consumed_at is null",
    )
    .bind(project)
    .bind(hash)
    .execute(db)
    .await?;
    Ok(())
}

/// What an access token opens.
#[derive(Debug, Clone, FromRow)]
pub struct AccessRow {
    /// Path of the endpoint; empty: all of the project.
    pub resource: String,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
}

/// What a valid access token opens: not over, not revoked, its API key and project there.
pub async fn access(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    hash: &[u8],
) -> sqlx::Result<Option<AccessRow>> {
    sqlx::query_as(
        "select g.resource, t.expires_at from mcp_oauth_token t
         join mcp_oauth_grant g on g.project_id = t.project_id and g.id = t.grant_id
         join api_key k on k.id = g.key_id and k.project_id = g.project_id
         join project p on p.id = g.project_id
         where t.project_id = $1 and t.hash = $2 and t.kind = 'access' and t.expires_at > now()
            and g.revoked_at is null and k.deleted_at is null and p.deleted_at is null",
    )
    .bind(project)
    .bind(hash)
    .fetch_optional(db)
    .await
}

/// Forgets tokens that are over, and sign-ins without any.
pub async fn delete_ended(db: &mut PgConnection) -> sqlx::Result<()> {
    for statement in [
        "delete from mcp_oauth_token where expires_at < now() - interval '1 day'",
        "delete from mcp_oauth_grant g where created_at < now() - interval '1 day' and not exists
            (select from mcp_oauth_token t
             where t.project_id = g.project_id and t.grant_id = g.id)",
    ] {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    Ok(())
}
