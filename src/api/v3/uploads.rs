//! Files that callers upload for arguments of tools: announced with the project's key, written with
//! the link that this gives, named by their key in the arguments.

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::files::bounded;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::domain::id::{FileId, ProjectId};
use crate::domain::page::Page;
use crate::error::{Error, Result, codes};
use crate::storage::upload::Announced;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(begin)).routes(routes!(write))
}

/// A file that is to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
struct UploadRequest {
    /// Toolkit that it is for.
    toolkit_slug: String,
    /// Tool that it is for.
    tool_slug: String,
    /// File name.
    filename: String,
    /// Media type.
    mimetype: String,
    /// MD5 of the bytes in hexadecimal.
    md5: String,
}

/// Where files are kept.
#[derive(Debug, Serialize, ToSchema)]
struct UploadMetadata {
    /// Always `s3`: a plain PUT without further headers.
    storage_backend: &'static str,
}

/// An upload that may begin.
#[derive(Debug, Serialize, ToSchema)]
struct UploadResponse {
    /// Id of the file.
    id: String,
    /// What the argument's `s3key` is to be.
    key: String,
    /// Always `new`: the bytes are to be put in any case.
    r#type: &'static str,
    /// Where the bytes are to be put.
    new_presigned_url: String,
    /// The same under its old name.
    #[serde(rename = "newPresignedUrl")]
    new_presigned_url_old: String,
    /// Where files are kept.
    metadata: UploadMetadata,
}

/// Get a link to upload a file for an argument of a tool.
#[utoipa::path(post, path = "/files/upload/request", tag = "files", operation_id = "postFilesUploadRequest",
    request_body = UploadRequest,
    responses((status = 200, body = UploadResponse), CommonErrors))]
async fn begin(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(request): Json<UploadRequest>,
) -> Result<Json<UploadResponse>> {
    let announced = Announced {
        toolkit_slug: request.toolkit_slug,
        tool_slug: request.tool_slug,
        filename: request.filename,
        mimetype: request.mimetype,
        md5: request.md5,
    };
    let begun = app.files.uploads().begin(&key.project.id, &announced).await?;
    Ok(Json(UploadResponse {
        id: begun.key.as_str().to_owned(),
        key: begun.key.as_str().to_owned(),
        r#type: "new",
        new_presigned_url: begun.link.url.clone(),
        new_presigned_url_old: begun.link.url,
        metadata: UploadMetadata { storage_backend: "s3" },
    }))
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

/// A file that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
struct Uploaded {
    /// What the argument's `s3key` is to be.
    key: String,
    /// Its bytes.
    size: usize,
}

/// Upload a file. The link carries its own proof; no key is needed.
#[utoipa::path(put, path = "/files/upload/{project_id}/{file_id}", tag = "files",
    operation_id = "putUploadContent", security(()),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    params(
        ("project_id" = String, Path, description = "Project id"),
        ("file_id" = String, Path, description = "File id"),
        LinkQuery,
    ),
    responses((status = 200, body = Uploaded), CommonErrors))]
async fn write(
    State(app): State<AppState>,
    Path((project, id)): Path<(String, String)>,
    Query(query): Query<LinkQuery>,
    request: Request,
) -> Result<Json<Uploaded>> {
    let (Some(expires), Some(signature)) = (query.expires, query.signature) else {
        return Err(Error::new(codes::FILE_NOT_FOUND, "This link to a file is not complete")
            .fix("Use the link as it was answered, with its query"));
    };
    let (project, id) = (ProjectId::from(project), FileId::from(id));
    let uploads = app.files.uploads();
    uploads.may_write(&project, &id, expires, &signature).await?;
    // A link of a project that is gone opens nothing, however long it has to live.
    if app.cache.project(&project).await?.is_none() {
        return Err(Error::new(codes::FILE_NOT_FOUND, "The project of this upload is gone"));
    }
    let content = bounded(request.into_body(), app.config.session_file_max_bytes).await?;
    uploads.write(&project, &id, &content).await?;
    Ok(Json(Uploaded { key: id.as_str().to_owned(), size: content.len() }))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only files for this toolkit.
    #[serde(deserialize_with = "query::text")]
    toolkit_slug: Option<String>,
    /// Only files for this tool.
    #[serde(deserialize_with = "query::text")]
    tool_slug: Option<String>,
    /// Page size.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// Cursor of the page.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// An uploaded file.
#[derive(Debug, Serialize, ToSchema)]
struct UploadedFile {
    /// Toolkit that it is for.
    toolkit_slug: String,
    /// Tool that it is for.
    tool_slug: String,
    /// File name.
    filename: String,
    /// Media type.
    mimetype: String,
    /// MD5 of the bytes in hexadecimal.
    md5: String,
}

/// List the project's uploaded files, newest first.
#[utoipa::path(get, path = "/files/list", tag = "files", operation_id = "getFilesList",
    params(ListQuery),
    responses((status = 200, body = Page<UploadedFile>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<UploadedFile>>> {
    let wanted = page(query.limit, query.cursor.as_deref(), 20)?;
    let (toolkit, tool) = (query.toolkit_slug.as_deref(), query.tool_slug.as_deref());
    let (found, total) = app.files.uploads().list(&key.project.id, toolkit, tool, wanted).await?;
    let files = found
        .into_iter()
        .map(|file| UploadedFile {
            toolkit_slug: file.toolkit_slug,
            tool_slug: file.tool_slug,
            filename: file.name,
            mimetype: file.mimetype,
            md5: file.md5,
        })
        .collect();
    Ok(Json(Page::new(files, total, wanted)))
}
