//! Health checks.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Json;
use crate::app::AppState;
use crate::db;
use crate::error::Result;
use crate::error::wire::ErrorBody;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Answer of a health check.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct Health {
    /// `ok`
    status: &'static str,
}

/// Whether the process runs.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether requests can be served: the database answers.
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses(
        (status = 200, body = Health),
        (status = 500, description = "A bug of the server", body = ErrorBody),
        (status = 503, description = "The database is away", body = ErrorBody),
    ))]
async fn ready(State(app): State<AppState>) -> Result<Json<Health>> {
    db::ping(&app.db).await?;
    Ok(Json(Health { status: "ok" }))
}
