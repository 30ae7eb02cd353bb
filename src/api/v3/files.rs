//! Files behind signed links: what tools and proxy requests gave, and what sessions keep.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, query, too_large_file};
use crate::app::AppState;
use crate::domain::id::{FileId, ProjectId, SessionId};
use crate::error::{Error, Result, codes};
use crate::session::files::{self, OCTETS, Signed};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(content)).routes(routes!(read, write))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct LinkQuery {
    /// When the link ends.
    #[serde(deserialize_with = "query::int")]
    expires: Option<i64>,
    /// Signature of the link.
    #[serde(deserialize_with = "query::text")]
    signature: Option<String>,
}

/// Characters that may stand in the file name of `Content-Disposition` as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_');

/// The content of a file. The link carries its own proof; no key is needed.
#[utoipa::path(get, path = "/files/content/{project_id}/{file_id}", tag = "files",
    operation_id = "getFileContent", security(()),
    params(
        ("project_id" = String, Path, description = "Project id"),
        ("file_id" = String, Path, description = "File id"),
        LinkQuery,
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"),
        CommonErrors,
    ))]
async fn content(
    State(app): State<AppState>,
    Path((project, id)): Path<(String, String)>,
    Query(query): Query<LinkQuery>,
) -> Result<Response> {
    let (Some(expires), Some(signature)) = (query.expires, query.signature) else {
        return Err(incomplete());
    };
    let (project, id) = (ProjectId::from(project), FileId::from(id));
    let file = app.files.get(&project, &id, expires, &signature).await?;
    Ok(download(&file.name, &file.mimetype, file.content))
}

fn incomplete() -> Error {
    Error::new(codes::FILE_NOT_FOUND, "This link to a file is not complete")
        .fix("Use the link as it was answered, with its query")
}

fn download(name: &str, mimetype: &str, content: Vec<u8>) -> Response {
    let mimetype = HeaderValue::from_str(mimetype).unwrap_or(HeaderValue::from_static(OCTETS));
    let name = utf8_percent_encode(name, PLAIN);
    let disposition = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}"))
        .unwrap_or(HeaderValue::from_static("attachment"));
    // The content is somebody else's: it must never run in the server's origin.
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, mimetype),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    (headers, content).into_response()
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct SessionFileQuery {
    /// Where the file is in the session's mount.
    #[serde(deserialize_with = "query::text")]
    path: Option<String>,
    /// The media type that the link says.
    #[serde(deserialize_with = "query::text")]
    mimetype: Option<String>,
    /// When the link ends.
    #[serde(deserialize_with = "query::int")]
    expires: Option<i64>,
    /// Signature of the link.
    #[serde(deserialize_with = "query::text")]
    signature: Option<String>,
}

impl SessionFileQuery {
    fn signed<'a>(&'a self, (project, session): &'a (ProjectId, SessionId)) -> Result<Signed<'a>> {
        match (self.path.as_deref(), self.expires, self.signature.as_deref()) {
            (Some(path), Some(expires), Some(signature)) => {
                let mimetype = self.mimetype.as_deref().unwrap_or_default();
                Ok(Signed { project, session, path, mimetype, expires, signature })
            }
            _ => Err(incomplete()),
        }
    }
}

/// The content of a session's file. The link carries its own proof; no key is needed.
#[utoipa::path(get, path = "/files/session/{project_id}/{session_id}", tag = "files",
    operation_id = "getSessionFileContent", security(()),
    params(
        ("project_id" = String, Path, description = "Project id"),
        ("session_id" = String, Path, description = "Session id"),
        SessionFileQuery,
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream"),
        CommonErrors,
    ))]
async fn read(
    State(app): State<AppState>,
    Path((project, session)): Path<(String, String)>,
    Query(query): Query<SessionFileQuery>,
) -> Result<Response> {
    let place = (project.into(), session.into());
    let (path, file) = query.signed(&place)?.read(&app).await?;
    Ok(download(path.name(), &file.mimetype, file.content))
}

/// A file that was written.
#[derive(Debug, Serialize, ToSchema)]
struct Written {
    /// Where it is in the session's mount.
    mount_relative_path: String,
    /// Its bytes.
    size: usize,
}

/// Write a session's file. The link carries its own proof; no key is needed.
#[utoipa::path(put, path = "/files/session/{project_id}/{session_id}", tag = "files",
    operation_id = "putSessionFileContent", security(()),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(
        ("project_id" = String, Path, description = "Project id"),
        ("session_id" = String, Path, description = "Session id"),
        SessionFileQuery,
    ),
    responses((status = 200, body = Written), CommonErrors))]
async fn write(
    State(app): State<AppState>,
    Path((project, session)): Path<(String, String)>,
    Query(query): Query<SessionFileQuery>,
    request: Request,
) -> Result<Json<Written>> {
    let place = (project.into(), session.into());
    let signed = query.signed(&place)?;
    let path = signed.may_write(&app).await?;
    let (parts, body) = request.into_parts();
    let mimetype = mimetype(signed.mimetype, &parts.headers);
    let content = bounded(body, app.config.session_file_max_bytes).await?;
    files::write(&app, signed.project, signed.session, &path, &mimetype, &content).await?;
    Ok(Json(Written { mount_relative_path: path.as_str().to_owned(), size: content.len() }))
}

/// What the link says, else what is sent along.
fn mimetype(signed: &str, headers: &HeaderMap) -> String {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = [Some(signed), sent].into_iter().flatten().find(|text| !text.is_empty());
    given.filter(|text| text.len() <= 200).unwrap_or(OCTETS).to_owned()
}

pub(super) async fn bounded(body: Body, most: usize) -> Result<Bytes> {
    axum::body::to_bytes(body, most).await.map_err(|error| {
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            if inner.is::<http_body_util::LengthLimitError>() {
                return too_large_file();
            }
            cause = inner.source();
        }
        Error::bad_request("The request body could not be read to its end")
    })
}
