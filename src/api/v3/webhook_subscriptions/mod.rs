//! Where a project's events go.

mod dead_letters;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::{App, AppState};
use crate::db;
use crate::db::webhook_subscription::SubscriptionRow;
use crate::domain::id::SubscriptionId;
use crate::domain::page::Page;
use crate::domain::secret::ExposeSecret;
use crate::domain::time::iso;
use crate::domain::webhook::{EVENT_TYPES, Version};
use crate::error::Result;
use crate::error::wire::ErrorBody;
use crate::webhook::subscription::{self, Wish};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(event_types))
        .routes(routes!(get, patch, delete))
        .routes(routes!(rotate_secret))
        .merge(dead_letters::router())
}

/// A webhook subscription.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookSubscriptionView {
    /// Id.
    id: String,
    /// Who is called.
    webhook_url: String,
    /// Shape of the bodies: `V1`, `V2` or `V3`.
    version: String,
    /// Types of events that are sent.
    enabled_events: Vec<String>,
    /// What signs the requests: whole when it was just made, else its first characters.
    secret: String,
    /// Whether anything is sent; false after a 410 or too long without a success. A change of the
    /// subscription enables it again.
    is_enabled: bool,
    /// Why not, or null.
    disabled_reason: Option<String>,
    /// When it was disabled, or null.
    disabled_at: Option<String>,
    /// Since when no delivery succeeded, or null.
    failing_since: Option<String>,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    updated_at: String,
}

fn view(row: SubscriptionRow, secret: String) -> WebhookSubscriptionView {
    WebhookSubscriptionView {
        id: row.id.to_string(),
        webhook_url: row.webhook_url,
        version: row.version,
        enabled_events: row.enabled_events,
        secret,
        is_enabled: row.disabled_at.is_none(),
        disabled_reason: row.disabled_reason,
        disabled_at: row.disabled_at.map(iso),
        failing_since: row.failing_since.map(iso),
        created_at: iso(row.created_at),
        updated_at: iso(row.updated_at),
    }
}

async fn masked(app: &App, row: SubscriptionRow) -> Result<WebhookSubscriptionView> {
    let secret = subscription::masked(app, &row).await?;
    Ok(view(row, secret))
}

/// A new webhook subscription.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateWebhookSubscriptionBody {
    /// Who is called: an https URL. Private networks, and http to them, only where the server's
    /// operator allows them.
    webhook_url: String,
    /// Types of events: see `GET /webhook_subscriptions/event_types`.
    enabled_events: Vec<String>,
    /// Shape of the bodies; V3 when absent.
    #[schema(value_type = Option<VersionName>)]
    version: Option<String>,
}

/// A change of a webhook subscription; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct PatchWebhookSubscriptionBody {
    /// Who is called.
    webhook_url: Option<String>,
    /// Types of events.
    enabled_events: Option<Vec<String>>,
    /// Shape of the bodies.
    #[schema(value_type = Option<VersionName>)]
    version: Option<String>,
}

/// Shape of the bodies.
#[derive(ToSchema)]
#[allow(dead_code)] // names the values for the description of the API
enum VersionName {
    /// The oldest.
    V1,
    /// Ids among the data.
    V2,
    /// Metadata and data apart.
    V3,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Subscriptions per page; 20 when absent.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// List the project's webhook subscriptions: one or none.
#[utoipa::path(get, path = "/webhook_subscriptions", tag = "webhooks",
    operation_id = "listWebhookSubscriptions", params(ListQuery),
    responses((status = 200, body = Page<WebhookSubscriptionView>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<WebhookSubscriptionView>>> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let rows = db::webhook_subscription::list(&app.db, &key.project.id).await?;
    let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (skip, take) = (request.offset(), request.limit);
    let mut items = Vec::new();
    for row in rows
        .into_iter()
        .skip(usize::try_from(skip).unwrap_or(usize::MAX))
        .take(usize::try_from(take).unwrap_or(0))
    {
        items.push(masked(&app, row).await?);
    }
    Ok(Json(Page::new(items, total, request)))
}

/// Create the project's webhook subscription. The secret is shown here, and never again.
#[utoipa::path(post, path = "/webhook_subscriptions", tag = "webhooks",
    operation_id = "createWebhookSubscription", request_body = CreateWebhookSubscriptionBody,
    responses((status = 201, body = WebhookSubscriptionView), CommonErrors,
        (status = 409, description = "The project has one", body = ErrorBody)))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CreateWebhookSubscriptionBody>,
) -> Result<(StatusCode, Json<WebhookSubscriptionView>)> {
    let wish = Wish {
        webhook_url: Some(body.webhook_url),
        version: body.version,
        enabled_events: Some(body.enabled_events),
    };
    let (row, secret) = subscription::create(&app, &key.project.id, wish).await?;
    Ok((StatusCode::CREATED, Json(view(row, secret.expose_secret().to_owned()))))
}

/// Get a webhook subscription.
#[utoipa::path(get, path = "/webhook_subscriptions/{id}", tag = "webhooks",
    operation_id = "getWebhookSubscription",
    params(("id" = String, Path, description = "Subscription id")),
    responses((status = 200, body = WebhookSubscriptionView), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<WebhookSubscriptionView>> {
    let row = subscription::find(&app, &key.project.id, &SubscriptionId::from(id)).await?;
    Ok(Json(masked(&app, row).await?))
}

/// Change a webhook subscription. A disabled one is enabled by that.
#[utoipa::path(patch, path = "/webhook_subscriptions/{id}", tag = "webhooks",
    operation_id = "patchWebhookSubscription", request_body = PatchWebhookSubscriptionBody,
    params(("id" = String, Path, description = "Subscription id")),
    responses((status = 200, body = WebhookSubscriptionView), CommonErrors))]
async fn patch(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<PatchWebhookSubscriptionBody>,
) -> Result<Json<WebhookSubscriptionView>> {
    let wish = Wish {
        webhook_url: body.webhook_url,
        version: body.version,
        enabled_events: body.enabled_events,
    };
    let id = SubscriptionId::from(id);
    let row = subscription::change(&app, &key.project.id, &id, wish).await?;
    Ok(Json(masked(&app, row).await?))
}

/// A deletion.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedWebhookSubscription {
    /// Id.
    id: String,
    /// Always true.
    success: bool,
}

/// Delete a webhook subscription. What was on its way to it is dropped.
#[utoipa::path(delete, path = "/webhook_subscriptions/{id}", tag = "webhooks",
    operation_id = "deleteWebhookSubscription",
    params(("id" = String, Path, description = "Subscription id")),
    responses((status = 200, body = DeletedWebhookSubscription), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedWebhookSubscription>> {
    let id = SubscriptionId::from(id);
    subscription::delete(&app, &key.project.id, &id).await?;
    Ok(Json(DeletedWebhookSubscription { id: id.to_string(), success: true }))
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
struct RotatedWebhookSecret {
    /// Id of the subscription.
    id: String,
    /// The secret; shown only here.
    secret: String,
}

/// Replace the secret of a webhook subscription. The next request is signed with the new one.
#[utoipa::path(post, path = "/webhook_subscriptions/{id}/rotate_secret", tag = "webhooks",
    operation_id = "rotateWebhookSecret",
    params(("id" = String, Path, description = "Subscription id")),
    responses((status = 200, body = RotatedWebhookSecret), CommonErrors))]
async fn rotate_secret(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<RotatedWebhookSecret>> {
    let id = SubscriptionId::from(id);
    let secret = subscription::rotate(&app, &key.project.id, &id).await?;
    let secret = secret.expose_secret().to_owned();
    Ok(Json(RotatedWebhookSecret { id: id.to_string(), secret }))
}

/// A type of events.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEventTypeView {
    /// Name.
    event_type: &'static str,
    /// What it says.
    description: &'static str,
    /// Versions of bodies that can carry it.
    supported_versions: Vec<&'static str>,
}

/// Types of events.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookEventTypes {
    /// All of them.
    items: Vec<WebhookEventTypeView>,
}

/// List the types of events that a subscription can have.
#[utoipa::path(get, path = "/webhook_subscriptions/event_types", tag = "webhooks",
    operation_id = "listWebhookEventTypes",
    responses((status = 200, body = WebhookEventTypes), CommonErrors))]
async fn event_types(_: ProjectKey) -> Json<WebhookEventTypes> {
    let items = EVENT_TYPES.iter().map(|known| WebhookEventTypeView {
        event_type: known.name,
        description: known.description,
        supported_versions: known
            .versions
            .iter()
            .map(|version| Version::as_str(*version))
            .collect(),
    });
    Json(WebhookEventTypes { items: items.collect() })
}
