//! What the server does without being asked, and what becomes of accounts that it looks after.

mod ahead;
mod once;
mod outcomes;

use serde_json::Value;

use crate::credentials::World;
use crate::support::client::TestClient;

/// Another server over the same database.
async fn replica(world: &World) -> (patchbay::app::AppState, TestClient) {
    world.app.another_server().await
}

async fn sql(world: &World, statement: &'static str) {
    world.sql(statement).await;
}

/// A value of the account's row.
async fn value<T>(world: &World, expression: &'static str, id: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    world.value(expression, id).await
}

/// All tokens are due to be refreshed, and good for a while.
async fn all_are_due(world: &World) {
    sql(world, "update connected_account set refresh_due = now() - interval '1 second'").await;
}

/// The events about an account.
async fn events(world: &World, id: &str) -> Vec<Value> {
    let (db, project) = (&world.app.app.db, &world.app.project.id);
    let rows = patchbay::db::event::of_subject(db, project, id, 100).await.unwrap();
    rows.into_iter()
        .map(|row| {
            assert_eq!(row.payload["id"], row.id.as_str());
            assert_eq!(row.payload["type"], row.kind.as_str());
            row.payload
        })
        .collect()
}
