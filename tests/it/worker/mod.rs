//! What the server does without being asked, and what becomes of accounts that it looks after.

mod ahead;
mod once;
mod outcomes;

use serde_json::Value;

use crate::credentials::World;
use crate::support::client::TestClient;

/// Another server over the same database.
async fn replica(world: &World) -> (patchbay::app::AppState, TestClient) {
    let folder = world.app.app.config.toolkits_dir.clone().unwrap();
    let settings = [("PATCHBAY_TOOLKITS_DIR", folder.to_str().unwrap())];
    let (app, address) = world.app.replica(&settings).await;
    (app, TestClient::new(address).header("x-api-key", &world.app.project.key))
}

async fn sql(world: &World, statement: &'static str) {
    sqlx::query(statement).execute(&world.app.app.db).await.unwrap();
    world.app.app.cache.clear();
}

/// A value of the account's row.
async fn value<T>(world: &World, expression: &'static str, id: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let text = format!("select {expression} from connected_account where id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(text))
        .bind(id)
        .fetch_one(&world.app.app.db)
        .await
        .unwrap()
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
