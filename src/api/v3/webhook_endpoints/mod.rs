//! Webhook endpoints: the URL that a provider's app calls for all of its users.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, query};
use crate::app::{App, AppState};
use crate::cache::Endpoint;
use crate::domain::id::EndpointId;
use crate::domain::time::iso;
use crate::error::Result;
use crate::trigger::endpoint;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, replace))
}

/// The URL of a provider's app.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEndpoint {
    /// Webhook endpoint id.
    id: String,
    /// Toolkit that it is for.
    toolkit_slug: String,
    /// Id of the app at the provider.
    client_id: String,
    /// The URL to enter at the provider. Whoever has it can call it.
    webhook_url: String,
    /// What was entered, masked.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// Names of what has to be entered.
    setup_fields: Vec<String>,
    /// When a call of the provider was last verified; null when none was.
    verified_at: Option<String>,
    /// When it was made.
    created_at: String,
}

fn view(app: &App, endpoint: &Endpoint) -> WebhookEndpoint {
    let row = &endpoint.row;
    let toolkit = app.toolkit(&row.project_id, &row.toolkit_slug);
    WebhookEndpoint {
        id: row.id.to_string(),
        toolkit_slug: row.toolkit_slug.clone(),
        client_id: row.client_id.clone(),
        webhook_url: endpoint::url(app, endpoint).unwrap_or_default(),
        data: endpoint::masked(endpoint),
        setup_fields: toolkit.map(|t| endpoint::setup_fields(&t)).unwrap_or_default(),
        verified_at: row.verified_at.map(iso),
        created_at: iso(row.created_at),
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only those of this toolkit.
    #[serde(deserialize_with = "query::text")]
    toolkit_slug: Option<String>,
}

/// The webhook endpoints of a project.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEndpoints {
    /// Newest first.
    items: Vec<WebhookEndpoint>,
}

/// List webhook endpoints.
#[utoipa::path(get, path = "/webhook_endpoints", tag = "webhook_endpoints",
    operation_id = "getWebhookEndpoints", params(ListQuery),
    responses((status = 200, body = WebhookEndpoints), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<WebhookEndpoints>> {
    let all = endpoint::list(&app, &key.project.id, query.toolkit_slug.as_deref()).await?;
    Ok(Json(WebhookEndpoints { items: all.iter().map(|one| view(&app, one)).collect() }))
}

/// Which app an endpoint is for.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateWebhookEndpoint {
    /// Toolkit.
    toolkit_slug: String,
    /// Id of the app at the provider.
    client_id: String,
}

/// Make the webhook endpoint of an app, or get the one that it has.
#[utoipa::path(post, path = "/webhook_endpoints", tag = "webhook_endpoints",
    operation_id = "postWebhookEndpoints", request_body = CreateWebhookEndpoint,
    responses((status = 201, body = WebhookEndpoint),
        (status = 200, body = WebhookEndpoint, description = "The one that the app has"),
        CommonErrors))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CreateWebhookEndpoint>,
) -> Result<(StatusCode, Json<WebhookEndpoint>)> {
    let (slug, client) = (&body.toolkit_slug, &body.client_id);
    let (made, is_new) = endpoint::create(&app, &key.project.id, slug, client).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view(&app, &made))))
}

/// One webhook endpoint.
#[utoipa::path(get, path = "/webhook_endpoints/{nano_id}", tag = "webhook_endpoints",
    operation_id = "getWebhookEndpointsByNanoId",
    params(("nano_id" = String, Path, description = "Webhook endpoint id")),
    responses((status = 200, body = WebhookEndpoint), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<WebhookEndpoint>> {
    let found = endpoint::get(&app, &key.project.id, &EndpointId::from(id)).await?;
    Ok(Json(view(&app, &found)))
}

/// What was copied from the provider.
#[derive(Debug, Deserialize, ToSchema)]
struct WebhookEndpointData {
    /// Values by the names in `setup_fields`.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// Enter some of what was copied from the provider; the rest stays.
#[utoipa::path(patch, path = "/webhook_endpoints/{nano_id}", tag = "webhook_endpoints",
    operation_id = "patchWebhookEndpointsByNanoId", request_body = WebhookEndpointData,
    params(("nano_id" = String, Path, description = "Webhook endpoint id")),
    responses((status = 200, body = WebhookEndpoint), CommonErrors))]
async fn update(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<WebhookEndpointData>,
) -> Result<Json<WebhookEndpoint>> {
    let (project, id) = (&key.project.id, EndpointId::from(id));
    Ok(Json(view(&app, &endpoint::enter(&app, project, &id, body.data, false).await?)))
}

/// Enter all of what was copied from the provider.
#[utoipa::path(post, path = "/webhook_endpoints/{nano_id}", tag = "webhook_endpoints",
    operation_id = "postWebhookEndpointsByNanoId", request_body = WebhookEndpointData,
    params(("nano_id" = String, Path, description = "Webhook endpoint id")),
    responses((status = 200, body = WebhookEndpoint), CommonErrors))]
async fn replace(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<WebhookEndpointData>,
) -> Result<Json<WebhookEndpoint>> {
    let (project, id) = (&key.project.id, EndpointId::from(id));
    Ok(Json(view(&app, &endpoint::enter(&app, project, &id, body.data, true).await?)))
}
