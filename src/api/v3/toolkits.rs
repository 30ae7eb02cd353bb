//! Toolkits: what there is, and how each authenticates.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::toolkit_detail::{ToolkitDetail, detail};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path, Query, page, query};
use crate::app::{App, AppState};
use crate::catalog::Toolkit;
use crate::connect::auth_config::managed_scheme;
use crate::domain::id::uuid_of;
use crate::domain::page::{Page, PageRequest};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::time::iso;
use crate::error::{Error, Result, codes};
use crate::install;
use crate::search::words::Words;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(categories))
        .routes(routes!(changelog))
        .routes(routes!(multi))
        .routes(routes!(get))
}

/// Who looks after a toolkit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ManagedBy {
    /// The server: every toolkit of this one.
    Composio,
    /// Everybody.
    All,
    /// The project.
    Project,
}

/// Where a toolkit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Provenance {
    /// The server: every toolkit of this one.
    Native,
    /// The project.
    Custom,
    /// Both.
    All,
}

/// Order of a list of toolkits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum SortBy {
    /// Well-known toolkits first.
    Usage,
    /// By name.
    Alphabetically,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Id or name of a category.
    #[serde(deserialize_with = "query::text")]
    category: Option<String>,
    /// Who looks after the toolkits.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    managed_by: Option<ManagedBy>,
    /// Where the toolkits come from.
    #[serde(deserialize_with = "query::word", rename = "type")]
    #[param(inline)]
    kind: Option<Provenance>,
    /// Order.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    sort_by: Option<SortBy>,
    /// No toolkit of this server is deprecated.
    #[serde(deserialize_with = "query::flag")]
    include_deprecated: Option<bool>,
    /// Words to look for in slug, name and description.
    #[serde(deserialize_with = "query::text")]
    search: Option<String>,
    /// Toolkits per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// Which toolkits.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct MultiBody {
    /// Slugs; unknown ones are left out of the answer. Absent: all.
    toolkits: Option<Vec<String>>,
    /// Id or name of a category.
    category: Option<String>,
    /// Who looks after the toolkits.
    managed_by: Option<ManagedBy>,
    /// Order.
    sort_by: Option<SortBy>,
    /// Toolkits per page; 20 when absent, at most 1000.
    limit: Option<f64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A category.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(super) struct Category {
    /// Id, for filters.
    pub id: String,
    /// Display name.
    pub name: String,
    /// The id again.
    pub slug: String,
}

/// The old id of a toolkit.
#[derive(Debug, Serialize, ToSchema)]
struct DeprecatedToolkit {
    /// A stable UUID.
    #[serde(rename = "toolkitId")]
    toolkit_id: String,
}

/// About a toolkit.
#[derive(Debug, Serialize, ToSchema)]
struct ToolkitMeta {
    /// Day of the oldest version.
    created_at: String,
    /// Day of the newest version.
    updated_at: String,
    /// What it is.
    description: String,
    /// URL of its logo.
    logo: String,
    /// Home page of the service.
    app_url: Option<String>,
    /// Its categories.
    categories: Vec<Category>,
    /// Number of trigger types.
    triggers_count: usize,
    /// Number of tools.
    tools_count: usize,
    /// Newest version.
    version: String,
}

/// A toolkit in a list.
#[derive(Debug, Serialize, ToSchema)]
struct ToolkitItem {
    /// Slug.
    slug: String,
    /// Display name.
    name: String,
    /// Where it comes from: `native`, or `custom` when the project installed it.
    r#type: &'static str,
    /// How it can authenticate.
    auth_schemes: Vec<AuthSchemeKind>,
    /// For which of them the operator gave the server a client of its own.
    composio_managed_auth_schemes: Vec<AuthSchemeKind>,
    /// Always false.
    is_local_toolkit: bool,
    /// Whether it works without credentials.
    no_auth: bool,
    /// Its old id.
    deprecated: DeprecatedToolkit,
    /// About it.
    meta: ToolkitMeta,
}

/// Changes of a toolkit.
#[derive(Debug, Serialize, ToSchema)]
struct ToolkitChanges {
    /// Slug.
    slug: String,
    /// Display name.
    name: String,
    /// Display name.
    display_name: String,
    /// Versions, newest first.
    versions: Vec<VersionChanges>,
}

/// Changes of a version.
#[derive(Debug, Serialize, ToSchema)]
struct VersionChanges {
    /// Version.
    version: String,
    /// What changed; empty when nobody wrote it down.
    changelog: String,
}

/// All changes.
#[derive(Debug, Serialize, ToSchema)]
struct Changelog {
    /// Toolkits.
    items: Vec<ToolkitChanges>,
}

/// Schemes for which the operator gave the server a client of its own.
pub(super) fn managed_schemes(app: &App, toolkit: &Toolkit) -> Vec<AuthSchemeKind> {
    let managed = managed_scheme(app, toolkit);
    let schemes = toolkit.file.auth.iter().map(|a| a.scheme);
    // A client that registers itself is nobody's to give.
    schemes
        .filter(|scheme| *scheme == AuthSchemeKind::DcrOauth || managed == Some(*scheme))
        .collect()
}

pub(super) fn no_auth(toolkit: &Toolkit) -> bool {
    toolkit.file.auth.iter().any(|a| a.scheme == AuthSchemeKind::NoAuth)
}

pub(super) fn category(id: &str) -> Category {
    Category { id: id.to_owned(), name: id.replace('-', " "), slug: id.to_owned() }
}

/// Whether a project installed it for itself.
pub(super) fn is_custom(toolkit: &Toolkit) -> bool {
    matches!(toolkit.origin, crate::catalog::Origin::Project(_))
}

fn item(app: &App, toolkit: &Toolkit) -> ToolkitItem {
    let file = &toolkit.file;
    ToolkitItem {
        slug: file.slug.clone(),
        name: file.name.clone(),
        r#type: if is_custom(toolkit) { "custom" } else { "native" },
        auth_schemes: file.auth.iter().map(|a| a.scheme).collect(),
        composio_managed_auth_schemes: managed_schemes(app, toolkit),
        is_local_toolkit: false,
        no_auth: no_auth(toolkit),
        deprecated: DeprecatedToolkit { toolkit_id: uuid_of(&file.slug) },
        meta: ToolkitMeta {
            created_at: iso(toolkit.created_at()),
            updated_at: iso(toolkit.updated_at()),
            description: file.description.trim().to_owned(),
            logo: file.logo.clone().unwrap_or_default(),
            app_url: file.app_url.clone(),
            categories: file.categories.iter().map(|c| category(c)).collect(),
            triggers_count: toolkit.triggers.len(),
            tools_count: toolkit.tools.len(),
            version: toolkit.newest_version().to_owned(),
        },
    }
}

/// A category as filters spell it: by its id or its name.
fn category_id(wanted: &str) -> String {
    wanted.trim().to_lowercase().replace(' ', "-")
}

fn in_category(toolkit: &Toolkit, id: &str) -> bool {
    toolkit.file.categories.iter().any(|own| own.eq_ignore_ascii_case(id))
}

fn sort(toolkits: &mut [&Arc<Toolkit>], by: SortBy) {
    match by {
        SortBy::Alphabetically => toolkits.sort_by_cached_key(|t| t.file.name.to_lowercase()),
        SortBy::Usage => toolkits.sort_by_cached_key(|&t| {
            let popular = in_category(t, "popular");
            (t.tools.is_empty(), !popular, std::cmp::Reverse(t.tools.len()), &*t.file.slug)
        }),
    }
}

/// List toolkits.
#[utoipa::path(get, path = "/toolkits", tag = "toolkits", operation_id = "listToolkits",
    params(ListQuery), responses((status = 200, body = Page<ToolkitItem>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<ToolkitItem>>> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let catalog = app.catalog(&key.project.id);
    let mut toolkits: Vec<&Arc<Toolkit>> = catalog.toolkits().iter().collect();
    match (query.managed_by, query.kind) {
        (Some(ManagedBy::Project), Some(Provenance::Native))
        | (Some(ManagedBy::Composio), Some(Provenance::Custom)) => toolkits.clear(),
        (Some(ManagedBy::Project), _) | (_, Some(Provenance::Custom)) => {
            toolkits.retain(|toolkit| is_custom(toolkit));
        }
        (Some(ManagedBy::Composio), _) | (_, Some(Provenance::Native)) => {
            toolkits.retain(|toolkit| !is_custom(toolkit));
        }
        _ => {}
    }
    if let Some(category) = &query.category {
        let id = category_id(category);
        toolkits.retain(|t| in_category(t, &id));
    }
    // The first page has those that a model can use at once.
    sort(&mut toolkits, query.sort_by.unwrap_or(SortBy::Usage));
    if let Some(search) = &query.search {
        toolkits = Words::of(search).rank(toolkits, |toolkit| toolkit);
    }
    Ok(Json(Page::cut(toolkits, request, |toolkit| item(&app, toolkit))))
}

/// Several toolkits by their slugs.
#[utoipa::path(post, path = "/toolkits/multi", tag = "toolkits",
    operation_id = "getToolkits", request_body = MultiBody,
    responses((status = 200, body = Page<ToolkitItem>), CommonErrors))]
async fn multi(
    State(app): State<AppState>,
    key: ProjectKey,
    OptionalJson(body): OptionalJson<MultiBody>,
) -> Result<Json<Page<ToolkitItem>>> {
    let request = page(body.limit.map(|l| l as i64), body.cursor.as_deref(), 20)?;
    let catalog = app.catalog(&key.project.id);
    let mut toolkits: Vec<&Arc<Toolkit>> = match &body.toolkits {
        None => catalog.toolkits().iter().collect(),
        Some(slugs) => {
            let mut found: Vec<&Arc<Toolkit>> = Vec::new();
            for slug in slugs.iter().take(1000) {
                if let Some(toolkit) = catalog.toolkit(slug)
                    && !found.iter().any(|known| known.file.slug == toolkit.file.slug)
                {
                    found.push(toolkit);
                }
            }
            found
        }
    };
    if body.managed_by == Some(ManagedBy::Project) {
        toolkits.clear();
    }
    if let Some(category) = body.category.as_deref().filter(|c| !c.is_empty()) {
        let id = category_id(category);
        toolkits.retain(|t| in_category(t, &id));
    }
    if let Some(by) = body.sort_by {
        sort(&mut toolkits, by);
    }
    Ok(Json(Page::cut(toolkits, request, |toolkit| item(&app, toolkit))))
}

/// Categories of toolkits.
#[utoipa::path(get, path = "/toolkits/categories", tag = "toolkits",
    operation_id = "listToolkitCategories",
    responses((status = 200, body = Page<Category>), CommonErrors))]
async fn categories(State(app): State<AppState>, key: ProjectKey) -> Json<Page<Category>> {
    let catalog = app.catalog(&key.project.id);
    let all = catalog.toolkits().iter().flat_map(|t| &t.file.categories);
    let mut items: Vec<Category> = all.map(|id| category(id)).collect();
    items.sort();
    items.dedup();
    let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
    Json(Page::new(items, total, PageRequest { page: 1, limit: total.max(1) }))
}

/// Versions of all toolkits and what changed in them.
#[utoipa::path(get, path = "/toolkits/changelog", tag = "toolkits",
    operation_id = "getToolkitsChangelog",
    responses((status = 200, body = Changelog), CommonErrors))]
async fn changelog(State(app): State<AppState>, key: ProjectKey) -> Result<Json<Changelog>> {
    let words = install::changelogs(&app, &key.project.id).await?;
    let catalog = app.catalog(&key.project.id);
    let changes = |toolkit: &Toolkit, version: &String| VersionChanges {
        version: version.clone(),
        changelog: words
            .get(&(toolkit.slug().to_owned(), version.clone()))
            .cloned()
            .unwrap_or_default(),
    };
    let items = catalog.toolkits().iter().map(|toolkit| ToolkitChanges {
        slug: toolkit.file.slug.clone(),
        name: toolkit.file.name.clone(),
        display_name: toolkit.file.name.clone(),
        versions: toolkit.file.versions.iter().map(|version| changes(toolkit, version)).collect(),
    });
    Ok(Json(Changelog { items: items.collect() }))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetQuery {
    /// Version; the newest when absent or `latest`.
    #[serde(deserialize_with = "query::text")]
    version: Option<String>,
}

/// 404 of a toolkit.
pub(super) fn unknown(slug: &str) -> Error {
    Error::not_found(codes::TOOLKIT_NOT_FOUND, "Toolkit", slug)
        .fix("List the toolkits with GET /api/v3/toolkits")
}

/// One toolkit with the fields of its auth schemes.
#[utoipa::path(get, path = "/toolkits/{slug}", tag = "toolkits", operation_id = "getToolkit",
    params(("slug" = String, Path, description = "Toolkit slug"), GetQuery),
    responses((status = 200, body = ToolkitDetail), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(slug): Path<String>,
    Query(query): Query<GetQuery>,
) -> Result<Json<ToolkitDetail>> {
    let catalog = app.catalog(&key.project.id);
    let toolkit = catalog.toolkit(&slug).ok_or_else(|| unknown(&slug))?;
    let version = toolkit.version(query.version.as_deref())?;
    Ok(Json(detail(&app, toolkit, version)))
}
