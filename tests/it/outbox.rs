//! Events on their way in.

use chrono::Utc;
use patchbay::db::event::{self, EventRow};
use patchbay::domain::id::EventId;
use serde_json::json;

use crate::support::TestApp;

fn row(app: &TestApp, key: Option<&str>) -> EventRow {
    let id = EventId::message();
    EventRow {
        project_id: app.project.id.clone(),
        kind: "composio.trigger.message".to_owned(),
        subject_id: "ti_1".to_owned(),
        dedupe_key: key.map(str::to_owned),
        payload: json!({"id": id, "metadata": {"trigger_id": "ti_1"}, "data": {"a": 1}}),
        original: Some("{\"raw\": true}".to_owned()),
        #[expect(clippy::disallowed_methods, reason = "a test's own clock")]
        created_at: Utc::now(),
        id,
    }
}

#[tokio::test]
async fn the_same_thing_is_stored_once_and_other_things_beside_it() {
    let app = TestApp::new().await;
    let outbox = &app.app.outbox;
    let rows =
        [row(&app, Some("k1")), row(&app, Some("k2")), row(&app, Some("k1")), row(&app, None)];
    assert_eq!(outbox.put(rows.clone()).await.unwrap(), 3);
    assert_eq!(outbox.put([row(&app, Some("k2")), row(&app, None)]).await.unwrap(), 1);
    let stored =
        event::get(&app.app.db, &app.project.id.clone(), &rows[0].id).await.unwrap().unwrap();
    assert_eq!(stored.payload, rows[0].payload);
    assert_eq!(stored.original.as_deref(), Some("{\"raw\": true}"));
}
