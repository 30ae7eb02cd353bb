//! Execution logs behind the answer.

use patchbay::db::execution_log::{self, ExecutionLogRow};
use patchbay::domain::id::{LogId, ProjectId};

use crate::support::TestApp;

fn row(project: &ProjectId) -> ExecutionLogRow {
    ExecutionLogRow {
        project_id: project.clone(),
        id: LogId::generate(),
        kind: "tool".into(),
        tool_slug: "T_A".into(),
        toolkit_slug: "t".into(),
        toolkit_version: "20260101_00".into(),
        user_id: Some("u".into()),
        account_id: None,
        auth_config_id: None,
        successful: true,
        provider_status: Some(200),
        error: None,
        request: Some("{\"a\":\"\0b\"}".into()),
        response: None,
        duration_us: 1,
        provider_us: 1,
        request_id: "req_\0x".into(),
        created_at: patchbay::domain::time::now(),
    }
}

async fn count(app: &TestApp) -> usize {
    let filter = execution_log::Filter::default();
    execution_log::list(&app.app.db, &app.project.id, &filter, 10_000).await.unwrap().len()
}

#[tokio::test]
async fn stopping_the_server_writes_what_is_queued() {
    let app = TestApp::new().await;
    for _ in 0..1200 {
        app.app.logbook.write(row(&app.project.id)).await.unwrap();
    }
    app.app.shut_down().await;
    assert_eq!(count(&app).await, 1200);
}

#[tokio::test]
async fn stopping_waits_for_the_rows_of_calls_that_still_run() {
    let app = TestApp::new().await;
    let call = app.app.logbook.enter();
    let (state, project) = (app.app.clone(), app.project.id.clone());
    let late = tokio::spawn(async move {
        state.stop.cancelled().await;
        tokio::task::yield_now().await;
        state.logbook.write(row(&project)).await.unwrap();
        drop(call);
    });
    app.app.shut_down().await;
    late.await.unwrap();
    assert_eq!(count(&app).await, 1);
}

#[tokio::test]
async fn waiting_for_the_commit_makes_a_row_visible_at_once() {
    let app = TestApp::with(&[("PATCHBAY_LOG_WAIT_FOR_COMMIT", "true")]).await;
    let row = row(&app.project.id);
    app.app.logbook.write(row.clone()).await.unwrap();
    let found = execution_log::get(&app.app.db, &app.project.id, row.id.as_str()).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.request.as_deref(), Some("{\"a\":\"b\"}"));
    assert_eq!(found.request_id, "req_x");
    let other = ProjectId::generate();
    assert!(execution_log::get(&app.app.db, &other, row.id.as_str()).await.unwrap().is_none());
}

#[tokio::test]
async fn rows_survive_a_broken_database_connection() {
    let app = TestApp::new().await;
    app.app.logbook.write(row(&app.project.id)).await.unwrap();
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&app.app.db)
    .await
    .unwrap();
    app.app.logbook.write(row(&app.project.id)).await.unwrap();
    app.app.shut_down().await;
    assert_eq!(count(&app).await, 2);
}

#[tokio::test]
async fn a_row_that_is_refused_does_not_take_others_with_it() {
    let app = TestApp::new().await;
    sqlx::query("alter table execution_log add check (user_id <> 'bad')")
        .execute(&app.app.db)
        .await
        .unwrap();
    let bad = ExecutionLogRow { user_id: Some("bad".into()), ..row(&app.project.id) };
    for row in [row(&app.project.id), bad, row(&app.project.id)] {
        app.app.logbook.write(row).await.unwrap();
    }
    app.app.shut_down().await;
    assert_eq!(count(&app).await, 2);
}
