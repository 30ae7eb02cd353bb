//! What could not be delivered.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ListQuery;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path, Query, page};
use crate::app::AppState;
use crate::db::webhook_delivery::{self, DeadLetter, MAX_AGAIN};
use crate::domain::id::SubscriptionId;
use crate::domain::page::Page;
use crate::domain::time::iso;
use crate::error::wire::ErrorBody;
use crate::error::{Error, Result, codes};
use crate::webhook::subscription;

/// Routes.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(redrive))
}

/// An event that could not be delivered.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetterView {
    /// Id of the event: the `webhook-id` of its requests.
    event_id: String,
    /// Type of the event.
    event_type: String,
    /// What it is about: a trigger instance, an account, …
    subject_id: String,
    /// Attempts.
    attempts: i32,
    /// Status of the last one's answer; null when there was no answer.
    last_status: Option<i64>,
    /// Why the last one failed; null when there was none.
    last_error: Option<String>,
    /// Beginning of the answer to it, or null.
    last_response: Option<String>,
    /// When the event happened.
    created_at: String,
    /// When it was given up.
    failed_at: String,
}

fn view(row: DeadLetter) -> DeadLetterView {
    let last = row.last.unwrap_or_default();
    let text = |name: &str| last[name].as_str().map(str::to_owned);
    DeadLetterView {
        event_id: row.event_id.to_string(),
        event_type: row.kind,
        subject_id: row.subject_id,
        attempts: row.attempts,
        last_status: last["status"].as_i64(),
        last_error: text("error"),
        last_response: text("response"),
        created_at: iso(row.created_at),
        failed_at: iso(row.ended_at),
    }
}

/// List what could not be delivered, newest first.
#[utoipa::path(get, path = "/webhook_subscriptions/{id}/dead_letters", tag = "webhooks",
    operation_id = "listWebhookDeadLetters",
    params(("id" = String, Path, description = "Subscription id"), ListQuery),
    responses((status = 200, body = Page<DeadLetterView>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<DeadLetterView>>> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let project = &key.project.id;
    let id = subscription::find(&app, project, &SubscriptionId::from(id)).await?.id;
    let span = (request.limit, request.offset());
    let (rows, total) = webhook_delivery::dead(&app.db, project, &id, span).await?;
    Ok(Json(Page::new(rows.into_iter().map(view).collect(), total, request)))
}

/// Which dead letters are sent again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct RedriveBody {
    /// Ids of events; all when absent, the oldest first, 10,000 with one call.
    event_ids: Option<Vec<String>>,
}

/// Dead letters on their way again.
#[derive(Debug, Serialize, ToSchema)]
struct Redriven {
    /// How many.
    redriven: u64,
    /// Whether there may be more, for another call.
    has_more: bool,
}

/// Send dead letters again, under the ids they had and with a whole schedule before them.
#[utoipa::path(post, path = "/webhook_subscriptions/{id}/dead_letters/redrive", tag = "webhooks",
    operation_id = "redriveWebhookDeadLetters", request_body = RedriveBody,
    params(("id" = String, Path, description = "Subscription id")),
    responses((status = 200, body = Redriven), CommonErrors,
        (status = 409, description = "The subscription is disabled", body = ErrorBody)))]
async fn redrive(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<RedriveBody>,
) -> Result<Json<Redriven>> {
    let project = &key.project.id;
    let row = subscription::find(&app, project, &SubscriptionId::from(id)).await?;
    if row.disabled_at.is_some() {
        let message = "The webhook subscription is disabled";
        return Err(Error::new(codes::WEBHOOK_SUBSCRIPTION_DISABLED, message).fix(format!(
            "Enable it first: PATCH /api/v3.1/webhook_subscriptions/{} with {{}}",
            row.id
        )));
    }
    let events = body.event_ids.as_deref();
    if events.is_some_and(|events| events.len() > 1000) {
        let problem = "event_ids: at most 1000".to_owned();
        return Err(Error::invalid("Too many events", vec![problem]));
    }
    let redriven = webhook_delivery::redrive(&app.db, project, &row.id, events).await?;
    let has_more = i64::try_from(redriven).is_ok_and(|count| count >= MAX_AGAIN);
    Ok(Json(Redriven { redriven, has_more }))
}
