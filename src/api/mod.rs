//! HTTP: parse, authorise, call, shape.
//!
//! Every resource is one file under [`v3`] with a `router()`; [`v3::router`] merges them and is
//! mounted under `/api/v3` and `/api/v3.1`.

pub mod auth;
pub mod errors;
pub mod extract;
mod health;
mod llm;
pub mod middleware;
mod spec;
pub mod v3;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::app::AppState;

pub use spec::openapi;

/// The documented routes, without middleware.
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(spec::head())
        .merge(health::router())
        .nest("/api/v3", v3::router())
        .nest("/api/v3.1", v3::router())
}

/// Every route of the server.
pub fn router(app: AppState) -> Router {
    let (routes, _) = routes().split_for_parts();
    let limits = middleware::Limits {
        max_body_bytes: app.config.max_body_bytes,
        max_file_bytes: app.config.session_file_max_bytes,
        plain: app.config.request_timeout,
        outbound: app.config.request_timeout + app.config.outbound_timeout + Duration::from_secs(1),
    };
    routes
        .route_layer(axum::middleware::from_fn_with_state(app.clone(), auth::identify))
        .merge(crate::web::router())
        .merge(crate::ingress::router())
        .merge(crate::mcp::router(&app))
        .merge(crate::socket::router(&app))
        .merge(spec::router())
        .fallback(middleware::not_found)
        .method_not_allowed_fallback(middleware::method_not_allowed)
        .layer(
            ServiceBuilder::new()
                .layer(axum::middleware::from_fn(middleware::request_id))
                .layer(axum::middleware::from_fn(middleware::trace))
                .layer(CatchPanicLayer::custom(middleware::panicked))
                .layer(axum::middleware::from_fn_with_state(limits, middleware::limits))
                .layer(DefaultBodyLimit::max(limits.max_body_bytes)),
        )
        .with_state(app)
}
