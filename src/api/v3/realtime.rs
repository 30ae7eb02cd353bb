//! Where clients listen to a project's events, and what opens its channels to them.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, JsonOrForm};
use crate::app::{App, AppState};
use crate::caller::header;
use crate::domain::id::ProjectId;
use crate::error::{Error, Result, codes};
use crate::realtime::{self, Channel, Client};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(credentials))
        .routes(routes!(auth))
        .routes(routes!(cli_credentials))
        .routes(routes!(cli_auth))
}

/// What a client connects with.
#[derive(Debug, Serialize, ToSchema)]
struct Credentials {
    /// The project; its id is part of the channel's name.
    project_id: String,
    /// Names the project at the socket. No secret.
    pusher_key: String,
    /// What the client puts between `ws-` and `.pusher.com`.
    pusher_cluster: String,
}

/// Which socket wants to listen to what.
#[derive(Debug, Deserialize, ToSchema)]
struct AuthBody {
    /// The socket, as it was told when it connected.
    #[schema(max_length = 64, example = "123.456")]
    socket_id: String,
    /// The channel.
    #[schema(max_length = 200, example = "private-pr_a1_triggers")]
    channel_name: String,
}

/// What opens the channel to the socket.
#[derive(Debug, Serialize, ToSchema)]
struct AuthAnswer {
    /// `key:signature`
    auth: String,
}

fn credentials_of(app: &App, project: &ProjectId, headers: &HeaderMap) -> Credentials {
    let client =
        Client { source: header(headers, "x-source"), version: header(headers, "x-sdk-version") };
    let access = realtime::access(&app.config, project, client);
    Credentials {
        project_id: project.to_string(),
        pusher_key: access.key,
        pusher_cluster: access.cluster,
    }
}

async fn open(app: &App, project: &ProjectId, body: &AuthBody) -> Result<Json<AuthAnswer>> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_socket = body.socket_id.len() <= 64
        && body.socket_id.split_once('.').is_some_and(|(a, b)| digits(a) && digits(b));
    if !is_socket {
        let problem = "socket_id: must be the id that the socket was given, such as 123.456";
        return Err(Error::invalid("Invalid request body", vec![problem.to_owned()]));
    }
    let channel = Channel::of(&body.channel_name, project).ok_or_else(|| {
        Error::new(codes::REALTIME_CHANNEL_FORBIDDEN, "This key does not open this channel").fix(
            format!(
                "A project's channels are {}",
                Channel::ALL.map(|c| c.name(project)).join(" and ")
            ),
        )
    })?;
    Ok(Json(AuthAnswer { auth: realtime::auth(app, project, &body.socket_id, channel).await? }))
}

/// Where an SDK listens to the events of the project.
#[utoipa::path(get, path = "/internal/sdk/realtime/credentials", tag = "realtime",
    operation_id = "getSdkRealtimeCredentials",
    responses((status = 200, body = Credentials), CommonErrors))]
async fn credentials(
    State(app): State<AppState>,
    key: ProjectKey,
    headers: HeaderMap,
) -> Json<Credentials> {
    Json(credentials_of(&app, &key.project.id, &headers))
}

/// Open a channel of the project to a socket.
#[utoipa::path(post, path = "/internal/sdk/realtime/auth", tag = "realtime",
    operation_id = "authorizeSdkRealtimeChannel",
    request_body(content((AuthBody = "application/json"),
        (AuthBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = AuthAnswer), CommonErrors))]
async fn auth(
    State(app): State<AppState>,
    key: ProjectKey,
    JsonOrForm(body): JsonOrForm<AuthBody>,
) -> Result<Json<AuthAnswer>> {
    open(&app, &key.project.id, &body).await
}

/// Where the command line listens to the events of the project.
#[utoipa::path(get, path = "/cli/realtime/credentials", tag = "realtime",
    operation_id = "getCliRealtimeCredentials",
    responses((status = 200, body = Credentials), CommonErrors))]
async fn cli_credentials(
    State(app): State<AppState>,
    key: ProjectKey,
    headers: HeaderMap,
) -> Json<Credentials> {
    Json(credentials_of(&app, &key.project.id, &headers))
}

/// Open a channel of the project to a socket of the command line.
#[utoipa::path(post, path = "/cli/realtime/auth", tag = "realtime",
    operation_id = "authorizeCliRealtimeChannel",
    request_body(content((AuthBody = "application/json"),
        (AuthBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = AuthAnswer), CommonErrors))]
async fn cli_auth(
    State(app): State<AppState>,
    key: ProjectKey,
    JsonOrForm(body): JsonOrForm<AuthBody>,
) -> Result<Json<AuthAnswer>> {
    open(&app, &key.project.id, &body).await
}
