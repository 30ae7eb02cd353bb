//! Trigger instances.

mod input;
mod view;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::input::{ListQuery, ManageBody, ReplayBody, Status, UpsertBody};
use self::view::{TriggerInstance, TriggerInstancePage};
use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path, Query};
use crate::app::AppState;
use crate::db::trigger_instance::Filter;
use crate::domain::id::{TriggerId, uuid_of};
use crate::domain::page::{Page, PageRequest};
use crate::error::Result;
use crate::error::wire::ErrorBody;
use crate::trigger::{self, endpoint};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(upsert))
        .routes(routes!(active))
        .routes(routes!(get, manage, delete))
        .routes(routes!(replay))
}

/// Kept for older clients.
#[derive(Debug, Serialize, ToSchema)]
struct UpsertedDeprecated {
    /// A stable UUID-shaped form of the id.
    uuid: String,
}

/// A trigger instance that is set up.
#[derive(Debug, Serialize, ToSchema)]
struct Upserted {
    /// Its id; the same account, type and config have the same.
    trigger_id: String,
    deprecated: UpsertedDeprecated,
}

/// Set a trigger up for an account. The same account, type and config are the same instance.
#[utoipa::path(post, path = "/trigger_instances/{slug}/upsert", tag = "trigger_instances",
    operation_id = "postTriggerInstancesBySlugUpsert", request_body = UpsertBody,
    params(("slug" = String, Path, description = "Trigger type")),
    responses((status = 200, body = Upserted), CommonErrors, OutboundErrors,
        (status = 409, body = ErrorBody, description = "Its webhook is just being removed")))]
async fn upsert(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(slug): Path<String>,
    Json(body): Json<UpsertBody>,
) -> Result<Json<Upserted>> {
    let wanted = body.checked(&app, &key.project.id, slug)?;
    // Goes on when the caller hangs up: what the provider made must be remembered.
    let worker = app.clone();
    let work = app.tasks.spawn(async move { trigger::upsert(&worker, &key.project, wanted).await });
    let id = work.await.map_err(|e| crate::error::Error::internal(format!("upsert: {e}")))??;
    Ok(Json(Upserted {
        deprecated: UpsertedDeprecated { uuid: uuid_of(id.as_str()) },
        trigger_id: id.to_string(),
    }))
}

/// List trigger instances.
#[utoipa::path(get, path = "/trigger_instances/active", tag = "trigger_instances",
    operation_id = "getTriggerInstancesActive", params(ListQuery),
    responses((status = 200, body = TriggerInstancePage), CommonErrors))]
async fn active(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<TriggerInstance>>> {
    let request = query.page()?;
    let page = trigger::list(&app, &key.project.id, &query.filter(), request).await?;
    Ok(Json(view::instances(&app, &key.project.id, page).await?))
}

/// One trigger instance, with what a person has to enter at the provider when the server cannot
/// register its webhook itself.
#[utoipa::path(get, path = "/trigger_instances/manage/{triggerId}", tag = "trigger_instances",
    operation_id = "getTriggerInstancesManageByTriggerId",
    params(("triggerId" = String, Path, description = "Trigger instance id")),
    responses((status = 200, body = TriggerInstance), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<TriggerInstance>> {
    let (project, id) = (&key.project.id, TriggerId::from(id));
    let filter = Filter { ids: vec![id.to_string()], with_disabled: true, ..Filter::default() };
    let one = PageRequest { page: 1, limit: 1 };
    let mut found = trigger::list(&app, project, &filter, one).await?;
    let standing = endpoint::standings(&app, project, &found.items).await?.remove(&id);
    let listed = found.items.pop().ok_or_else(|| trigger::unknown(&id))?;
    let opened = match trigger::instance::by_hand(&app, &listed.row) {
        true => Some(app.cache.open_instance(listed.row.clone()).await?),
        false => None,
    };
    Ok(Json(view::instance(&app, listed, standing, opened.as_ref())))
}

/// A change that was made.
#[derive(Debug, Serialize, ToSchema)]
struct Managed {
    /// Always `success`.
    status: &'static str,
}

/// Enable or disable a trigger instance.
#[utoipa::path(patch, path = "/trigger_instances/manage/{triggerId}", tag = "trigger_instances",
    operation_id = "patchTriggerInstancesManageByTriggerId", request_body = ManageBody,
    params(("triggerId" = String, Path, description = "Trigger instance id")),
    responses((status = 200, body = Managed), CommonErrors, OutboundErrors,
        (status = 409, body = ErrorBody, description = "Its webhook is just being removed"),
        (status = 410, body = ErrorBody, description = "The instance was deleted")))]
async fn manage(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<ManageBody>,
) -> Result<Json<Managed>> {
    let enabled = body.checked()? == Status::Enable;
    let worker = app.clone();
    let work = app.tasks.spawn(async move {
        trigger::set_enabled(&worker, &key.project.id, &TriggerId::from(id), enabled).await
    });
    work.await.map_err(|e| crate::error::Error::internal(format!("manage: {e}")))??;
    Ok(Json(Managed { status: "success" }))
}

/// A deletion.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedTrigger {
    /// Trigger instance id.
    trigger_id: String,
}

/// Delete a trigger instance; the provider is told to stop calling.
#[utoipa::path(delete, path = "/trigger_instances/manage/{triggerId}", tag = "trigger_instances",
    operation_id = "deleteTriggerInstancesManageByTriggerId",
    params(("triggerId" = String, Path, description = "Trigger instance id")),
    responses((status = 200, body = DeletedTrigger), CommonErrors,
        (status = 410, body = ErrorBody, description = "The instance was deleted")))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedTrigger>> {
    trigger::delete(&app, &key.project.id, &TriggerId::from(id.as_str())).await?;
    Ok(Json(DeletedTrigger { trigger_id: id }))
}

/// Events that are sent again.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    /// How many deliveries there will be: one per event and subscription that wants it.
    deliveries: u64,
}

/// Send the events of a time span again, under the ids they had.
#[utoipa::path(post, path = "/trigger_instances/manage/{triggerId}/replay",
    tag = "trigger_instances", operation_id = "postTriggerInstancesManageByTriggerIdReplay",
    request_body = ReplayBody,
    params(("triggerId" = String, Path, description = "Trigger instance id")),
    responses((status = 200, body = Replayed), CommonErrors))]
async fn replay(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<ReplayBody>,
) -> Result<Json<Replayed>> {
    let (from, to) = body.checked()?;
    let id = TriggerId::from(id);
    let deliveries = trigger::replay(&app, &key.project.id, &id, from, to).await?;
    Ok(Json(Replayed { deliveries }))
}
