//! Toolkits that are installed while the server runs. A project's key installs for its project, the
//! organization's key for the whole server.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::AnyKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path};
use crate::app::AppState;
use crate::domain::id::ProjectId;
use crate::domain::time::iso;
use crate::error::{Error, Result};
use crate::install::{self, Installed, Wish};

/// Most names in `allow`.
const MOST_HOSTS: usize = 100;
/// Longest text of a wish, the description aside.
const LONGEST: usize = 2048;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(import)).routes(routes!(list)).routes(routes!(remove))
}

/// What to import.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ImportBody {
    /// Where the description is. With `document`, where that came from.
    url: Option<String>,
    /// The description itself: text, or the JSON that it is.
    #[schema(value_type = Option<Object>)]
    document: Option<Value>,
    /// Name of the file that the document came from, for the list.
    file: Option<String>,
    /// Slug of the toolkit; made of the description's title when absent.
    slug: Option<String>,
    /// Display name; the description's title when absent.
    name: Option<String>,
    /// Root of all requests, instead of what the description says.
    base_url: Option<String>,
    /// Further hosts that requests may go to.
    allow: Vec<String>,
    /// Only say what would be done.
    dry_run: bool,
}

/// A toolkit that is installed.
#[derive(Debug, Serialize, ToSchema)]
struct InstalledToolkit {
    /// Slug.
    slug: String,
    /// The newest version.
    version: String,
    /// Number of its tools.
    tools_count: i32,
    /// Where the description came from.
    source: Option<String>,
    /// What became of the description.
    #[schema(value_type = Object)]
    report: Value,
    /// When the version was stored.
    created_at: String,
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
        let document = match self.document {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.into_bytes()),
            Some(value @ Value::Object(_)) => Some(value.to_string().into_bytes()),
            Some(_) => {
                problems.push("document: must be text or an object".to_owned());
                None
            }
        };
        if !problems.is_empty() {
            return Err(Error::invalid("Invalid import", problems));
        }
        Ok(Wish {
            document,
            url: self.url.filter(|url| !url.trim().is_empty()),
            file: self.file,
            slug,
            name: self.name,
            base_url: self.base_url,
            allow: self.allow,
            dry_run: self.dry_run,
        })
    }
}

/// Make a toolkit of a description of an API, or the next version of one.
#[utoipa::path(post, path = "/toolkits/import", tag = "toolkits",
    operation_id = "importToolkit", request_body = ImportBody,
    responses((status = 200, body = Installed), CommonErrors, OutboundErrors))]
async fn import(
    State(app): State<AppState>,
    key: AnyKey,
    Json(body): Json<ImportBody>,
) -> Result<Json<Installed>> {
    let wish = body.checked()?;
    Ok(Json(install::install(&app, project(&key), wish).await?))
}

/// List the toolkits that are installed for the key's project, or for the whole server.
#[utoipa::path(get, path = "/toolkits/installed", tag = "toolkits",
    operation_id = "listInstalledToolkits",
    responses((status = 200, body = InstalledToolkits), CommonErrors))]
async fn list(State(app): State<AppState>, key: AnyKey) -> Result<Json<InstalledToolkits>> {
    let rows = install::list(&app, project(&key)).await?;
    let items = rows.into_iter().map(|row| InstalledToolkit {
        slug: row.slug,
        version: row.version,
        tools_count: row.tools,
        source: row.source,
        report: row.report,
        created_at: iso(row.created_at),
    });
    Ok(Json(InstalledToolkits { items: items.collect() }))
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
