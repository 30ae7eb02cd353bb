//! Files that tools and proxy requests gave, behind signed links.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::errors::CommonErrors;
use crate::api::extract::{Path, Query, query};
use crate::app::AppState;
use crate::domain::id::{FileId, ProjectId};
use crate::error::{Error, Result, codes};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(content))
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
        return Err(Error::new(codes::FILE_NOT_FOUND, "This link to a file is not complete")
            .fix("Use the link as it was answered, with its query"));
    };
    let (project, id) = (ProjectId::from(project), FileId::from(id));
    let file = app.files.get(&project, &id, expires, &signature).await?;
    let mimetype = HeaderValue::from_str(&file.mimetype)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let name = utf8_percent_encode(&file.name, PLAIN);
    let disposition = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}"))
        .unwrap_or(HeaderValue::from_static("attachment"));
    // The content is the provider's: it must never run in the server's origin.
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, mimetype),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, file.content).into_response())
}
