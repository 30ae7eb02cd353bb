//! HTTP: parse, authorise, call, shape.

use axum::Router;

use crate::app::AppState;

/// Every route of the server.
pub fn router(_app: AppState) -> Router {
    Router::new()
}
