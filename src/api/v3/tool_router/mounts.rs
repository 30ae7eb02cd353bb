//! Files of a session.

use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, query};
use crate::app::{App, AppState};
use crate::domain::id::SessionId;
use crate::domain::session::Session;
use crate::domain::time::iso;
use crate::error::{Error, Result};
use crate::session::files::{self, MountPath, SANDBOX_PREFIX};

/// Files on a page when nobody says.
const PAGE: i64 = 100;

/// Most files on a page.
const MAX_PAGE: i64 = 500;

/// Routes.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(items))
        .routes(routes!(upload_url))
        .routes(routes!(download_url))
        .routes(routes!(delete))
}

async fn session(
    app: &App,
    key: &ProjectKey,
    (id, mount): (String, String),
) -> Result<std::sync::Arc<Session>> {
    let session = crate::session::find(app, &key.project.id, &SessionId::from(id)).await?;
    files::mount(&mount)?;
    Ok(session)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ItemsQuery {
    /// What the paths begin with, such as `output/`.
    #[serde(deserialize_with = "query::text")]
    mount_relative_prefix: Option<String>,
    /// Files per page; 100 when absent, at most 500.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// A file of a session.
#[derive(Debug, Serialize, ToSchema)]
struct FileItem {
    /// When it was last written.
    last_modified: String,
    /// Where it is in the mount.
    mount_relative_path: String,
    /// Where the mount is in a sandbox.
    sandbox_mount_prefix: &'static str,
    /// Its bytes.
    size: i64,
}

/// A page of a session's files.
#[derive(Debug, Serialize, ToSchema)]
struct FileItems {
    /// The files, by path.
    items: Vec<FileItem>,
    /// Leads to the next page; absent on the last one, because SDKs refuse null.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List a session's files.
#[utoipa::path(get, path = "/tool_router/session/{session_id}/mounts/{mount_id}/items",
    tag = "tool router", operation_id = "listSessionFiles",
    params(("session_id" = String, Path, description = "Session id"),
        ("mount_id" = String, Path, description = "`files`"), ItemsQuery),
    responses((status = 200, body = FileItems), CommonErrors))]
async fn items(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(path): Path<(String, String)>,
    Query(query): Query<ItemsQuery>,
) -> Result<Json<FileItems>> {
    let session = session(&app, &key, path).await?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let prefix = query.mount_relative_prefix.unwrap_or_default();
    let after = query.cursor.as_deref().map(from_cursor).transpose()?.unwrap_or_default();
    if prefix.contains('\0') {
        return Err(Error::bad_request("mount_relative_prefix has a NUL character"));
    }
    let (found, last) = files::list(&app, &session, &prefix, &after, limit).await?;
    let items = found.into_iter().map(|file| FileItem {
        last_modified: iso(file.updated_at),
        mount_relative_path: file.path,
        sandbox_mount_prefix: SANDBOX_PREFIX,
        size: file.size,
    });
    let next_cursor = last.map(|path| BASE64_URL_SAFE_NO_PAD.encode(path));
    Ok(Json(FileItems { items: items.collect(), next_cursor }))
}

/// A cursor is the last path that was shown.
fn from_cursor(cursor: &str) -> Result<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let path = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    path.filter(|path| MountPath::parse(path).is_ok())
        .ok_or_else(|| Error::bad_request("This cursor was not given by this server"))
}

/// A file that is to be written.
#[derive(Debug, Deserialize, ToSchema)]
struct UploadBody {
    /// Where it goes, such as `data/output.csv`.
    mount_relative_path: String,
    /// Its media type; else the one that is sent with it.
    mimetype: Option<String>,
}

/// A link that a file is written with.
#[derive(Debug, Serialize, ToSchema)]
struct UploadLink {
    /// PUT the content here. No key is needed.
    upload_url: String,
    /// When the link ends.
    expires_at: String,
    /// Where the file goes.
    mount_relative_path: String,
    /// Where the mount is in a sandbox.
    sandbox_mount_prefix: &'static str,
}

/// Get a link that writes a file of a session.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/mounts/{mount_id}/upload_url",
    tag = "tool router", operation_id = "createSessionFileUploadUrl", request_body = UploadBody,
    params(("session_id" = String, Path, description = "Session id"),
        ("mount_id" = String, Path, description = "`files`")),
    responses((status = 200, body = UploadLink), CommonErrors))]
async fn upload_url(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(path): Path<(String, String)>,
    Json(body): Json<UploadBody>,
) -> Result<Json<UploadLink>> {
    let session = session(&app, &key, path).await?;
    let path = MountPath::parse(&body.mount_relative_path)?;
    let link = files::upload_link(&app, &session, &path, body.mimetype.as_deref()).await?;
    Ok(Json(UploadLink {
        upload_url: link.url,
        expires_at: iso(link.expires_at),
        mount_relative_path: path.as_str().to_owned(),
        sandbox_mount_prefix: SANDBOX_PREFIX,
    }))
}

/// A file of a session that is meant.
#[derive(Debug, Deserialize, ToSchema)]
struct PathBody {
    /// Where it is in the mount.
    mount_relative_path: String,
}

/// A link that a file is read with.
#[derive(Debug, Serialize, ToSchema)]
struct DownloadLink {
    /// GET the content here. No key is needed.
    download_url: String,
    /// When the link ends.
    expires_at: String,
    /// Where the file is.
    mount_relative_path: String,
    /// Where the mount is in a sandbox.
    sandbox_mount_prefix: &'static str,
}

/// Get a link that reads a file of a session.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/mounts/{mount_id}/download_url",
    tag = "tool router", operation_id = "createSessionFileDownloadUrl", request_body = PathBody,
    params(("session_id" = String, Path, description = "Session id"),
        ("mount_id" = String, Path, description = "`files`")),
    responses((status = 200, body = DownloadLink), CommonErrors))]
async fn download_url(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(path): Path<(String, String)>,
    Json(body): Json<PathBody>,
) -> Result<Json<DownloadLink>> {
    let session = session(&app, &key, path).await?;
    let path = MountPath::parse(&body.mount_relative_path)?;
    let link = files::download_link(&app, &session, &path).await?;
    Ok(Json(DownloadLink {
        download_url: link.url,
        expires_at: iso(link.expires_at),
        mount_relative_path: path.as_str().to_owned(),
        sandbox_mount_prefix: SANDBOX_PREFIX,
    }))
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedFile {
    /// Where it was.
    mount_relative_path: String,
    /// Where the mount is in a sandbox.
    sandbox_mount_prefix: &'static str,
}

/// Delete a file of a session, or a folder with all that is in it.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/mounts/{mount_id}/delete",
    tag = "tool router", operation_id = "deleteSessionFile", request_body = PathBody,
    params(("session_id" = String, Path, description = "Session id"),
        ("mount_id" = String, Path, description = "`files`")),
    responses((status = 200, body = DeletedFile), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(path): Path<(String, String)>,
    Json(body): Json<PathBody>,
) -> Result<Json<DeletedFile>> {
    let session = session(&app, &key, path).await?;
    let path = MountPath::parse_any(&body.mount_relative_path)?;
    files::delete(&app, &session, &path).await?;
    Ok(Json(DeletedFile {
        mount_relative_path: path.as_str().to_owned(),
        sandbox_mount_prefix: SANDBOX_PREFIX,
    }))
}
