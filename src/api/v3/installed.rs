//! Toolkits that are installed while the server runs. A project's key installs for its project, the
//! organization's key for the whole server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::AnyKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path};
use crate::api::middleware::MOST_IMPORT;
use crate::app::AppState;
use crate::domain::id::ProjectId;
use crate::domain::time::iso;
use crate::error::wire::{ErrorBody, current_request_id};
use crate::error::{Error, Result};
use crate::import::external::MOST_DOCUMENTS;
use crate::install::{self, Installed, Step, VersionRow, Wish};

const NDJSON: &str = "application/x-ndjson";

/// How often somebody who listens hears how far an import is.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// Most names in `aliases`.
const MOST_ALIASES: usize = 5000;
/// Most names in `allow`.
const MOST_HOSTS: usize = 100;
/// Longest text of a wish, the description aside.
const LONGEST: usize = 2048;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(import))
        .layer(DefaultBodyLimit::max(MOST_IMPORT))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(remove))
}

/// What to import.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ImportBody {
    /// Where the description is. With `document`, where that came from.
    url: Option<String>,
    /// The description itself: text, or the JSON that it is.
    #[schema(value_type = Option<Object>)]
    document: Option<Box<RawValue>>,
    /// Name of the file that the document came from, for the list.
    file: Option<String>,
    /// Slug of the toolkit; made of the description's title when absent.
    slug: Option<String>,
    /// Display name; the description's title when absent.
    name: Option<String>,
    /// Root of all requests, instead of what the description says.
    base_url: Option<String>,
    /// Documents that the description refers to, each as text or the JSON that it is, by how the description
    /// names it (`schemas/pet.yaml`). What is not here is fetched, where that is allowed.
    #[schema(value_type = Object)]
    documents: BTreeMap<String, Box<RawValue>>,
    /// Further hosts that requests may go to, and that documents which the description refers to may be
    /// fetched from.
    allow: Vec<String>,
    /// Further names of tools, and the operations (`GET /things`) that they mean.
    aliases: BTreeMap<String, String>,
    /// Only say what would be done.
    dry_run: bool,
}

/// A toolkit that is installed.
#[derive(Debug, Serialize, ToSchema)]
struct InstalledToolkit {
    /// Slug.
    slug: String,
    /// The version.
    version: String,
    /// Number of its tools.
    tools_count: i32,
    /// Whether its tools are further ones of the built-in toolkit.
    completes: bool,
    /// Where the description came from.
    source: Option<String>,
    /// What is different from the version before.
    changelog: String,
    /// What became of the description; not in lists.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Value>,
    /// When the version was stored.
    created_at: String,
}

impl From<VersionRow> for InstalledToolkit {
    fn from(row: VersionRow) -> Self {
        Self {
            slug: row.slug,
            version: row.version,
            tools_count: row.tools,
            completes: row.completes,
            source: row.source,
            changelog: row.changelog,
            report: Some(row.report).filter(|report| !report.is_null()),
            created_at: iso(row.created_at),
        }
    }
}

/// Those that are installed.
#[derive(Debug, Serialize, ToSchema)]
struct InstalledToolkits {
    /// By slug.
    items: Vec<InstalledToolkit>,
}

/// A toolkit that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedToolkit {
    /// Slug.
    slug: String,
    /// Always true.
    deleted: bool,
    /// Always empty: accounts and auth configs stay, and nothing is revoked.
    revoke_job_ids: Vec<String>,
    /// Always 0.
    auth_configs_deleted: usize,
    /// Always 0.
    connected_accounts_deleted: usize,
}

fn project(key: &AnyKey) -> Option<&ProjectId> {
    key.project.as_ref().map(|project| &project.id)
}

/// A document that is text or JSON. It is not read into a tree here: it may have tens of megabytes.
fn document_of(key: &str, text: &str, problems: &mut Vec<String>) -> Option<Vec<u8>> {
    if text.starts_with(['{', '[']) && (key == "documents" || text.starts_with('{')) {
        return Some(text.as_bytes().to_vec());
    }
    let Ok(text) = serde_json::from_str::<String>(text) else {
        problems.push(format!("{key}: must be text or an object"));
        return None;
    };
    Some(text.into_bytes())
}

impl ImportBody {
    fn checked(self) -> Result<Wish> {
        let mut problems = Vec::new();
        let texts = [
            ("url", &self.url),
            ("file", &self.file),
            ("slug", &self.slug),
            ("name", &self.name),
            ("base_url", &self.base_url),
        ];
        for (key, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST || text.contains('\0')) {
                problems.push(format!("{key}: must be at most {LONGEST} characters"));
            }
        }
        if self.allow.len() > MOST_HOSTS || self.allow.iter().any(|host| host.len() > 253) {
            problems.push(format!("allow: at most {MOST_HOSTS} host names"));
        }
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let slug = self.slug.map(|slug| slug.trim().to_lowercase()).filter(|slug| !slug.is_empty());
        if slug.as_ref().is_some_and(|slug| slug.len() > 40 || !slug.chars().all(lower)) {
            problems.push("slug: must be made of a-z, 0-9 and _, at most 40 characters".to_owned());
        }
        let name = |text: &String| !text.is_empty() && text.len() <= 200;
        if self.aliases.len() > MOST_ALIASES
            || !self.aliases.iter().all(|(a, b)| name(a) && name(b))
        {
            problems.push(format!("aliases: at most {MOST_ALIASES}, of at most 200 characters"));
        }
        if self.documents.len() > MOST_DOCUMENTS
            || self.documents.keys().any(|name| name.is_empty() || name.len() > LONGEST)
        {
            problems.push(format!(
                "documents: at most {MOST_DOCUMENTS}, with names of at most {LONGEST} characters"
            ));
        }
        let document = self.document.as_deref().map(RawValue::get).filter(|text| *text != "null");
        let document = document.and_then(|text| document_of("document", text, &mut problems));
        let mut documents = BTreeMap::new();
        for (name, text) in self.documents {
            let text = document_of("documents", text.get(), &mut problems).unwrap_or_default();
            documents.insert(name, text);
        }
        problems.truncate(50);
        if !problems.is_empty() {
            return Err(Error::invalid("Invalid import", problems));
        }
        Ok(Wish {
            made: None,
            document,
            url: self.url.filter(|url| !url.trim().is_empty()),
            file: self.file,
            slug,
            name: self.name,
            base_url: self.base_url,
            documents,
            allow: self.allow,
            aliases: self.aliases,
            dry_run: self.dry_run,
        })
    }
}

/// Make a toolkit of a description of an API, or the next version of one.
///
/// With `Accept: application/x-ndjson` the answer is lines of JSON: how far the import is
/// (`{"stage", "done", "of"}`), and at the end `{"result": …}` or `{"error": …}`.
#[utoipa::path(post, path = "/toolkits/import", tag = "toolkits",
    operation_id = "importToolkit", request_body = ImportBody,
    responses((status = 200, body = Installed), CommonErrors, OutboundErrors))]
async fn import(
    State(app): State<AppState>,
    key: AnyKey,
    headers: HeaderMap,
    Json(body): Json<ImportBody>,
) -> Result<Response> {
    let wish = body.checked()?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let (steps, seen) = watch::channel(Step::default());
    if !accept.is_some_and(|accept| accept.contains(NDJSON)) {
        return Ok(Json(install::install(&app, project(&key), wish, &steps).await?).into_response());
    }
    let done =
        tokio::spawn(async move { install::install(&app, project(&key), wish, &steps).await });
    let body = Body::from_stream(lines(done, seen, current_request_id()));
    Ok(([(header::CONTENT_TYPE, NDJSON)], body).into_response())
}

/// Lines that tell how far an import is, and the last one what came of it.
fn lines(
    done: JoinHandle<Result<Installed>>,
    seen: watch::Receiver<Step>,
    id: String,
) -> impl Stream<Item = std::result::Result<String, Infallible>> {
    stream::unfold(Some((done, seen, id)), |state| async move {
        let (mut done, mut seen, id) = state?;
        let next = async {
            tokio::time::sleep(TOLD_EVERY).await;
            // Its end is told by `done`.
            if seen.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            *seen.borrow_and_update()
        };
        tokio::select! {
            outcome = &mut done => {
                let outcome = outcome.map_err(Error::internal).and_then(|outcome| outcome);
                let line = match outcome {
                    Ok(installed) => json!({"result": installed}),
                    Err(error) => {
                        let mut body = json!(ErrorBody::from(&error));
                        body["error"]["request_id"] = id.into();
                        body
                    }
                };
                Some((Ok(format!("{line}\n")), None))
            }
            step = next => {
                let line = serde_json::to_string(&step).unwrap_or_default();
                Some((Ok(format!("{line}\n")), Some((done, seen, id))))
            }
        }
    })
}

/// List the toolkits that are installed for the key's project, or for the whole server.
#[utoipa::path(get, path = "/toolkits/installed", tag = "toolkits",
    operation_id = "listInstalledToolkits",
    responses((status = 200, body = InstalledToolkits), CommonErrors))]
async fn list(State(app): State<AppState>, key: AnyKey) -> Result<Json<InstalledToolkits>> {
    let rows = install::list(&app, project(&key)).await?;
    Ok(Json(InstalledToolkits { items: rows.into_iter().map(InstalledToolkit::from).collect() }))
}

/// The versions of an installed toolkit with their reports, newest first.
#[utoipa::path(get, path = "/toolkits/installed/{slug}", tag = "toolkits",
    operation_id = "getInstalledToolkit",
    params(("slug" = String, Path, description = "Toolkit slug")),
    responses((status = 200, body = InstalledToolkits), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: AnyKey,
    Path(slug): Path<String>,
) -> Result<Json<InstalledToolkits>> {
    let rows = install::versions(&app, project(&key), &slug).await?;
    Ok(Json(InstalledToolkits { items: rows.into_iter().map(InstalledToolkit::from).collect() }))
}

/// Take an installed toolkit away, with all of its versions. Accounts stay.
#[utoipa::path(delete, path = "/custom/toolkits/{slug}", tag = "toolkits",
    operation_id = "deleteCustomToolkit",
    params(("slug" = String, Path, description = "Toolkit slug")),
    responses((status = 200, body = RemovedToolkit), CommonErrors))]
async fn remove(
    State(app): State<AppState>,
    key: AnyKey,
    Path(slug): Path<String>,
) -> Result<Json<RemovedToolkit>> {
    install::remove(&app, project(&key), &slug).await?;
    Ok(Json(RemovedToolkit {
        slug: slug.to_lowercase(),
        deleted: true,
        revoke_job_ids: Vec::new(),
        auth_configs_deleted: 0,
        connected_accounts_deleted: 0,
    }))
}
