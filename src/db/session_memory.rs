//! Table `session_memory`.

use std::collections::BTreeMap;

use sqlx::PgExecutor;
use sqlx::types::Json;

use crate::domain::id::{ProjectId, SessionId};

/// Adds entries behind those that are there, by toolkit. What is there already becomes the newest
/// again; beyond `most` entries of a toolkit the oldest go. Nothing happens when the session is gone.
pub async fn add(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    entries: &BTreeMap<String, Vec<String>>,
    most: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into session_memory (project_id, session_id, toolkit_slug, entries)
         select $1, $2, given.key, array(select jsonb_array_elements_text(given.value))
         from jsonb_each($3) as given
         where exists (select from session
             where project_id = $1 and id = $2 and deleted_at is null)
         order by given.key
         on conflict (project_id, session_id, toolkit_slug) do update set updated_at = now(),
             entries = array(
                 select entry from (
                     select entry, max(place) as place
                     from unnest(session_memory.entries || excluded.entries)
                         with ordinality as every(entry, place)
                     group by entry order by max(place) desc limit $4
                 ) as kept order by place)",
    )
    .bind(project)
    .bind(session)
    .bind(Json(entries))
    .bind(most)
    .execute(db)
    .await?;
    Ok(())
}

/// What a session remembers, by toolkit, oldest first.
pub async fn all(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
) -> sqlx::Result<BTreeMap<String, Vec<String>>> {
    let rows: Vec<(String, Vec<String>)> = sqlx::query_as(
        "select toolkit_slug, entries from session_memory
         where project_id = $1 and session_id = $2",
    )
    .bind(project)
    .bind(session)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().collect())
}
