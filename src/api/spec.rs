//! The server's own OpenAPI description, and the page to browse it.

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::AppState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Patchbay",
        description = "Tools, connections and credentials for AI agents, self-hosted.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    security(("ProjectKey" = [])),
    modifiers(&Schemes)
)]
struct Head;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        for (name, header, text) in [
            ("ProjectKey", "x-api-key", "Key of a project"),
            ("OrgKey", "x-org-api-key", "Key of the organization"),
        ] {
            let value = ApiKeyValue::with_description(header, text);
            components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)));
        }
    }
}

/// The part of the description that is not an operation.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut api = super::routes().into_openapi();
    // The same handlers stand under both versions; operation ids must differ all the same.
    for (path, item) in &mut api.paths.paths {
        if path.starts_with("/api/v3.1/") {
            for operation in
                [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
                    .into_iter()
                    .flatten()
            {
                if let Some(id) = &mut operation.operation_id {
                    id.push_str("_v31");
                }
            }
        }
    }
    api.to_pretty_json().unwrap_or_default()
});

/// The OpenAPI description as JSON text.
pub fn openapi() -> String {
    TEXT.clone() + "\n"
}

/// `/openapi.json` and `/docs`.
pub(super) fn router() -> Router<AppState> {
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    Router::new()
        .route(
            "/openapi.json",
            get(|| async {
                ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
            }),
        )
        .merge(Router::<AppState>::from(page))
}
