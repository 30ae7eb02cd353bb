//! Meta tools that are executed with a user id and no session, as the loops of provider packages do
//! it (`handle_tool_calls(user_id=…)`): which session such a call belongs to.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::check_user;
use super::custom::Custom;
use super::execute::Call;
use super::meta::Meta;
use crate::app::{App, AppState};
use crate::cache::session_of;
use crate::db;
use crate::domain::connection::Project;
use crate::domain::id::SessionId;
use crate::domain::session::{Session, SessionConfig};
use crate::error::Result;
use crate::execute::ExecuteOutcome;

/// Longest text that can be a session's id.
const MAX_ID: usize = 64;

/// Executes a meta tool for a user, in the session that the call belongs to.
///
/// # Errors
/// As [`super::execute::execute`].
pub async fn execute(
    app: &AppState,
    project: &Arc<Project>,
    user_id: &str,
    meta: Meta,
    arguments: Map<String, Value>,
) -> Result<ExecuteOutcome> {
    let session = session(app, project, user_id, &arguments).await?;
    let custom = Custom::of_request(app, &session, None)?;
    let call = Call { slug: meta.slug().to_owned(), arguments, account: None, custom };
    super::execute::execute(app, project, &session, call).await
}

/// The session that the arguments name, when it is the user's own; else the user's newest, so that
/// what the developer just restricted stays restricted; else a new one without restrictions, which
/// is then the newest.
async fn session(
    app: &App,
    project: &Project,
    user_id: &str,
    arguments: &Map<String, Value>,
) -> Result<Arc<Session>> {
    check_user(user_id)?;
    if let Some(id) = named(arguments) {
        let found = app.cache.session(&project.id, &id).await?;
        // Any other name is as one that was never given: it tells nothing about what exists.
        if let Some(session) = found.filter(|session| session.user_id == user_id) {
            return Ok(session);
        }
    }
    if let Some(row) = db::session::newest(&app.db, &project.id, user_id).await? {
        return Ok(Arc::new(session_of(row)));
    }
    let config = SessionConfig::default();
    let mut tx = app.db.begin().await?;
    // Of calls at the same time, on whatever replica, one makes it.
    db::session::lock_user(&mut *tx, &project.id, user_id).await?;
    if let Some(row) = db::session::newest(&mut *tx, &project.id, user_id).await? {
        return Ok(Arc::new(session_of(row)));
    }
    let id = SessionId::generate();
    let row = db::session::insert(&mut tx, &project.id, &id, user_id, &config, None).await?;
    tx.commit().await?;
    Ok(Arc::new(session_of(row)))
}

/// The session that the arguments name. What a search calls the session of a task is none.
fn named(arguments: &Map<String, Value>) -> Option<SessionId> {
    let direct = arguments.get("session_id");
    let nested = arguments.get("session").and_then(|session| session.get("id"));
    let texts = [direct, nested].into_iter().flatten().filter_map(Value::as_str);
    let mut ids = texts.filter(|id| id.starts_with(SessionId::PREFIX) && id.len() <= MAX_ID);
    ids.next().map(SessionId::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_looks_like_a_session_is_one() {
        let named = |arguments: Value| {
            super::named(arguments.as_object().unwrap()).map(|id| id.as_str().to_owned())
        };
        assert_eq!(named(json!({"session_id": "trs_a"})).as_deref(), Some("trs_a"));
        assert_eq!(named(json!({"session": {"id": "trs_b"}})).as_deref(), Some("trs_b"));
        let both = json!({"session_id": "abcd2345", "session": {"id": "trs_b"}});
        assert_eq!(named(both).as_deref(), Some("trs_b"));
        for none in [
            json!({}),
            json!({"session_id": 7, "session": "trs_a"}),
            json!({"session": {"id": ["trs_a"], "generate_id": true}}),
            json!({"session_id": format!("trs_{}", "a".repeat(61))}),
        ] {
            assert_eq!(named(none.clone()), None, "{none}");
        }
    }
}
