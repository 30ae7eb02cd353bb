//! The accounts of a session's user, as lists of toolkits show them.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{AccountId, AuthConfigId, ProjectId};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::status::AccountStatus;

/// An account without its credentials, and what its auth config is.
#[derive(Debug, Clone, FromRow)]
pub struct SessionAccountRow {
    /// Its id.
    pub id: AccountId,
    /// Toolkit.
    pub toolkit_slug: String,
    /// The developer's own id of its owner.
    pub user_id: String,
    /// State.
    pub status: AccountStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Auth config it was made with.
    pub auth_config_id: AuthConfigId,
    /// Scheme.
    pub scheme: AuthSchemeKind,
    /// Whether the auth config uses the operator's client.
    pub is_managed: bool,
    /// Whether tools can be executed with it: ACTIVE, and neither it nor its auth config is
    /// switched off.
    pub is_usable: bool,
}

const COLUMNS: &str = "a.id, a.toolkit_slug, a.user_id, a.status, a.created_at, a.auth_config_id,
    a.scheme, c.is_managed, (a.status = 'ACTIVE' and not a.is_disabled and c.is_enabled) as is_usable";

const TABLES: &str = "connected_account a
    join auth_config c on c.project_id = a.project_id and c.id = a.auth_config_id
        and c.deleted_at is null";

/// Of the user's own accounts the newest usable and the newest other one of each auth config, and
/// the accounts of `named` that exist: all that decides which account a toolkit is shown with, in
/// one query, however many accounts a user has.
pub async fn candidates(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    user_id: &str,
    named: &[String],
) -> sqlx::Result<Vec<SessionAccountRow>> {
    let text = format!(
        "(select distinct on (a.toolkit_slug, a.auth_config_id, is_usable) {COLUMNS} from {TABLES}
          where a.project_id = $1 and a.user_id = $2 and a.deleted_at is null
             and a.account_type = 'PRIVATE'
          order by a.toolkit_slug, a.auth_config_id, is_usable, a.created_at desc, a.id)
         union
         (select {COLUMNS} from {TABLES}
          where a.project_id = $1 and a.id = any($3) and a.deleted_at is null)"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(text))
        .bind(project)
        .bind(user_id)
        .bind(named)
        .fetch_all(db)
        .await
}
