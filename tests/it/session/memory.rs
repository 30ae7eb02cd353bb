//! What a session remembers, and that no other one ever sees it.

use std::collections::BTreeMap;

use patchbay::domain::id::{ProjectId, SessionId};
use patchbay::domain::session::Session;
use patchbay::session::{self, memory};
use serde_json::json;

use crate::support::TestApp;

const SESSIONS: &str = "/api/v3.1/tool_router/session";

async fn session_of(app: &TestApp, user: &str) -> std::sync::Arc<Session> {
    let made = app.client().post(SESSIONS, json!({"user_id": user})).await.expect(201);
    let id = SessionId::from(made["session_id"].as_str().unwrap());
    session::find(&app.app, &app.project.id, &id).await.unwrap()
}

async fn note(app: &TestApp, session: &Session, toolkit: &str, texts: &[String]) {
    let entries = BTreeMap::from([(toolkit.to_owned(), texts.to_vec())]);
    memory::add(&app.app, session, entries).await.unwrap();
}

#[tokio::test]
async fn entries_pile_up_each_once_until_the_oldest_go() {
    let app = TestApp::new().await;
    let ann = session_of(&app, "ann").await;
    let texts: Vec<String> = (0..30).map(|n| format!("entry {n}")).collect();
    note(&app, &ann, "slack", &texts).await;
    note(&app, &ann, "SLACK", &["entry 0".into(), "new".into()]).await;
    note(&app, &ann, "no_such_toolkit", &["a thing".into()]).await;
    let all = memory::all(&app.app, &ann).await.unwrap();
    assert_eq!(all[memory::GENERAL], ["a thing"]);
    let slack = &all["slack"];
    assert_eq!(slack.len(), memory::MAX_ENTRIES);
    assert_eq!(slack[0], "entry 2");
    assert_eq!(slack[28..], ["entry 0", "new"]);
}

#[tokio::test]
async fn notes_taken_at_the_same_time_are_all_kept() {
    let app = TestApp::new().await;
    let ann = session_of(&app, "ann").await;
    let texts: Vec<[String; 1]> = (0..20).map(|n| [format!("entry {n}")]).collect();
    let all = texts.iter().map(|text| note(&app, &ann, "slack", text));
    futures_util::future::join_all(all).await;
    assert_eq!(memory::all(&app.app, &ann).await.unwrap()["slack"].len(), 20);
}

#[tokio::test]
async fn no_other_session_user_or_project_sees_them_and_they_end_with_the_session() {
    let app = TestApp::new().await;
    let (ann, again, bob) =
        tokio::join!(session_of(&app, "ann"), session_of(&app, "ann"), session_of(&app, "bob"));
    note(&app, &ann, "slack", &["Channel general has the id C1".into()]).await;
    for other in [&again, &bob] {
        assert!(memory::all(&app.app, other).await.unwrap().is_empty());
    }
    let stranger: ProjectId = app.another_project().await.id;
    let forged = Session { project_id: stranger, ..(*ann).clone() };
    assert!(memory::all(&app.app, &forged).await.unwrap().is_empty());
    note(&app, &forged, "slack", &["forged".into()]).await;
    assert!(memory::all(&app.app, &forged).await.unwrap().is_empty());
    assert_eq!(memory::all(&app.app, &ann).await.unwrap()["slack"].len(), 1);
    app.client().delete(&format!("{SESSIONS}/{}", ann.id)).await.expect(200);
    note(&app, &ann, "slack", &["late".into()]).await;
    assert!(memory::all(&app.app, &ann).await.unwrap().is_empty());
}
