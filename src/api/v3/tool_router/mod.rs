//! Sessions of agents.

mod attach;
pub(super) mod body;
mod execute;
mod forms;
mod history;
mod input;
mod labs;
mod link;
mod mounts;
mod proxy;
mod search;
mod toolkits;
mod tools;
pub(super) mod view;

use axum::extract::{MatchedPath, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, from_value};
use crate::app::{App, AppState};
use crate::domain::connection::Project;
use crate::domain::id::SessionId;
use crate::domain::session::SessionConfig;
use crate::error::Result;
use crate::error::wire::ErrorBody;
use crate::session::custom::{self, Custom};
use crate::session::named::{self, Policy};
use body::ConfigBody;
use view::{SessionView, Version};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(attach::attach))
        .routes(routes!(history::history))
        .routes(routes!(toolkits::toolkits))
        .routes(routes!(tools::tools))
        .routes(routes!(execute::execute))
        .routes(routes!(execute::execute_meta))
        .routes(routes!(labs::create))
        .routes(routes!(search::search))
        .merge(link::router())
        .merge(mounts::router())
        .merge(proxy::router())
}

/// A new session.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateSessionBody {
    /// The developer's own id of the user.
    user_id: String,
    /// What the session may see and do.
    #[serde(flatten)]
    config: ConfigBody,
}

impl CreateSessionBody {
    /// Reads the two parts one by one: the path of what is wrong is lost in a flattened one.
    fn read(body: Value) -> Result<Self> {
        #[derive(Deserialize)]
        struct Whose {
            user_id: String,
        }
        let Whose { user_id } = from_value(body.clone())?;
        Ok(Self { user_id, config: from_value(body)? })
    }
}

/// A change of a session's configuration.
#[derive(Debug, Deserialize, ToSchema)]
struct PatchSessionBody {
    /// The version that is changed; when it is not the present one, nothing is.
    expected_config_version: Option<i32>,
    /// What changes; null takes a part back to its default.
    #[serde(flatten)]
    config: ConfigBody,
}

impl PatchSessionBody {
    /// As [`CreateSessionBody::read`].
    fn read(body: Value) -> Result<Self> {
        #[derive(Deserialize)]
        struct Condition {
            expected_config_version: Option<i32>,
        }
        let Condition { expected_config_version } = from_value(body.clone())?;
        Ok(Self { expected_config_version, config: from_value(body)? })
    }
}

/// The named configuration that a body takes over.
async fn policy(app: &App, project: &Project, body: &ConfigBody) -> Result<Option<Policy>> {
    match body.named()? {
        Some(id) => named::policy(app, &project.id, id).await.map(Some),
        None => Ok(None),
    }
}

fn changed(
    config: SessionConfig,
    policy: Option<&Policy>,
    body: ConfigBody,
) -> Result<SessionConfig> {
    body.apply(policy.map_or_else(|| config.clone(), |policy| policy.over(config.clone())))
}

/// Create a session.
#[utoipa::path(post, path = "/tool_router/session", tag = "tool router",
    operation_id = "createSession", request_body = CreateSessionBody,
    responses((status = 201, body = SessionView), CommonErrors,
        (status = 501, description = "A protection that this server does not have", body = ErrorBody)))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    route: MatchedPath,
    Json(body): Json<Value>,
) -> Result<(StatusCode, Json<SessionView>)> {
    let CreateSessionBody { user_id, config: body } = CreateSessionBody::read(body)?;
    let version = Version::of(&route);
    let policy = policy(&app, &key.project, &body).await?;
    let given = body.custom();
    let config = changed(SessionConfig::default(), policy.as_ref(), body)?;
    let custom = match given.filter(|given| !given.is_empty()) {
        Some(given) => custom::checked(&app.catalog(&key.project.id), &config, given)?,
        None => Custom::default(),
    };
    // Sessions of v3.1 get such tools with every request that needs them.
    let kept = (version == Version::V3 && !custom.is_empty()).then(|| custom.stored());
    let session = crate::session::create(&app, &key.project, &user_id, config, kept).await?;
    Ok((StatusCode::CREATED, Json(view::session(&app, &session, &custom, version))))
}

/// Get a session.
#[utoipa::path(get, path = "/tool_router/session/{session_id}", tag = "tool router",
    operation_id = "getSession", params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionView), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    route: MatchedPath,
) -> Result<Json<SessionView>> {
    let id = SessionId::from(id);
    let session = crate::session::find(&app, &key.project.id, &id).await?;
    Ok(Json(view::session(&app, &session, &Custom::of(&session), Version::of(&route))))
}

/// Change a session's configuration.
#[utoipa::path(patch, path = "/tool_router/session/{session_id}", tag = "tool router",
    operation_id = "patchSession", request_body = PatchSessionBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionView), CommonErrors,
        (status = 409, description = "The configuration is another version by now", body = ErrorBody),
        (status = 501, description = "A protection that this server does not have", body = ErrorBody)))]
async fn patch(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    route: MatchedPath,
    Json(body): Json<Value>,
) -> Result<Json<SessionView>> {
    let PatchSessionBody { expected_config_version, config: body } = PatchSessionBody::read(body)?;
    let id = SessionId::from(id);
    let policy = policy(&app, &key.project, &body).await?;
    let change = |config| changed(config, policy.as_ref(), body.clone());
    let session =
        crate::session::update(&app, &key.project, &id, expected_config_version, change).await?;
    Ok(Json(view::session(&app, &session, &Custom::of(&session), Version::of(&route))))
}

/// A deleted session.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedSession {
    /// Session id.
    session_id: String,
    /// Always true.
    deleted: bool,
}

/// Delete a session; its user's accounts stay.
#[utoipa::path(delete, path = "/tool_router/session/{session_id}", tag = "tool router",
    operation_id = "deleteSession",
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = DeletedSession), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedSession>> {
    let id = SessionId::from(id);
    crate::session::delete(&app, &key.project.id, &id).await?;
    Ok(Json(DeletedSession { session_id: id.to_string(), deleted: true }))
}
