//! What the server does with an instance by itself, and how the project hears of it.

use serde_json::{Value, json};

use crate::app::App;
use crate::db;
use crate::db::event::EventRow;
use crate::db::trigger_instance::TriggerRow;
use crate::domain::id::EventId;
use crate::domain::time::{iso, now};
use crate::domain::trigger::disabled_by;
use crate::error::Result;

/// Type of the event that tells of an instance that the server disabled.
pub const DISABLED: &str = "composio.trigger.disabled";

/// Type of the event that tells of news.
pub const MESSAGE: &str = "composio.trigger.message";

/// An event about an instance.
pub fn event(row: &TriggerRow, kind: &str, id: EventId, data: Value) -> EventRow {
    let at = now();
    EventRow {
        project_id: row.project_id.clone(),
        kind: kind.to_owned(),
        subject_id: row.id.as_str().to_owned(),
        dedupe_key: None,
        payload: json!({
            "id": id,
            "type": kind,
            "metadata": {
                "log_id": id.log(),
                "trigger_slug": row.slug,
                "trigger_id": row.id,
                "connected_account_id": row.account_id,
                "auth_config_id": row.auth_config_id,
                "user_id": row.user_id,
            },
            "data": data,
            "timestamp": iso(at),
        }),
        original: None,
        created_at: at,
        id,
    }
}

/// Marks a locked instance as disabled by the server, and tells the project. The caller stores the
/// row in the same transaction, and notifies with [`super::changed`].
///
/// # Errors
/// When the database is away.
pub async fn disable(
    app: &App,
    tx: &mut sqlx::PgConnection,
    row: &mut TriggerRow,
    reason: &str,
) -> Result<()> {
    if row.disabled_at.is_none() {
        let data = json!({
            "reason": reason,
            "toolkit": row.toolkit_slug,
            "last_error": row.hook_error.as_ref().or(row.last_error.as_ref()),
        });
        let event = event(row, DISABLED, EventId::generate(), data);
        db::event::insert_all(&mut *tx, &[event], None).await?;
        tracing::warn!(
            trigger = %row.id, project = %row.project_id, slug = %row.slug, reason,
            "trigger disabled"
        );
        row.disabled_at = Some(now());
    }
    row.disabled_by = Some(disabled_by::SERVER.to_owned());
    row.disabled_reason = Some(reason.to_owned());
    if row.kind == "poll" {
        db::trigger_instance::stop_polling(
            &mut *tx,
            &row.project_id,
            std::slice::from_ref(&row.id),
        )
        .await?;
    }
    app.changed(&mut *tx, &super::changed(row)).await
}
