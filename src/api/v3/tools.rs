//! Tools: what there is, and with which schemas.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tool_filter::{Cut, Filter};
use super::tool_view::{Found, SessionTool, ToolItem, meta_tool};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::query::Versions;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::{App, AppState};
use crate::catalog::{Catalog, Toolkit};
use crate::domain::connection::{AuthConfig, Project};
use crate::domain::id::AuthConfigId;
use crate::domain::page::{Page, PageRequest};
use crate::error::{Error, Result, codes};
use crate::search::{Limit, Searcher};
use crate::session::meta::Meta;

/// The part of the best score below which a tool is not what was looked for.
const FAR: f32 = 0.3;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(names)).routes(routes!(get))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Toolkits, separated by commas.
    #[serde(deserialize_with = "query::list", alias = "toolkit_slugs", alias = "toolkits")]
    #[param(value_type = Option<String>)]
    toolkit_slug: Vec<String>,
    /// Tools, separated by commas; the other filters do not apply then. An unknown one is left out.
    #[serde(deserialize_with = "query::list")]
    #[param(value_type = Option<String>)]
    tool_slugs: Vec<String>,
    /// Auth configs, separated by commas: the tools that they let execute.
    #[serde(deserialize_with = "query::list", alias = "authConfigIds")]
    #[param(value_type = Option<String>)]
    auth_config_ids: Vec<String>,
    /// Whether only the default set of each toolkit is wanted.
    #[serde(deserialize_with = "query::flag")]
    important: Option<bool>,
    /// Tags, any of which suffices.
    #[serde(deserialize_with = "query::list")]
    #[param(value_type = Option<Vec<String>>)]
    tags: Vec<String>,
    /// Scopes, any of which suffices.
    #[serde(deserialize_with = "query::list")]
    #[param(value_type = Option<Vec<String>>)]
    scopes: Vec<String>,
    /// Words to look for in slug, name and description.
    #[serde(deserialize_with = "query::text")]
    query: Option<String>,
    /// The old name of `query`.
    #[serde(deserialize_with = "query::text")]
    search: Option<String>,
    /// Whether deprecated tools are listed; true when absent.
    #[serde(deserialize_with = "query::flag")]
    include_deprecated: Option<bool>,
    /// Version of the toolkits: `latest`, or `toolkit_versions[slug]=version` per toolkit.
    #[param(value_type = Option<String>)]
    toolkit_versions: Versions,
    /// Tools per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// The named tools, in the order asked for, each under the name it was asked by.
fn named<'a>(catalog: &'a Catalog, query: &'a ListQuery) -> Result<Vec<SessionTool<'a>>> {
    let (mut known, mut found) = (BTreeSet::new(), Vec::new());
    for slug in &query.tool_slugs {
        if !known.insert(slug) {
            continue;
        }
        if let Some(meta) = Meta::of(slug) {
            found.push(meta_tool(meta, slug));
        } else if let Some((toolkit, tool)) = catalog.tool(slug) {
            let version = toolkit.version(query.toolkit_versions.of(&toolkit.file.slug))?;
            let item = Found { toolkit, tool, slug, version };
            found.extend(item.listed().map(|item| SessionTool::App(Box::new(item))));
        }
    }
    Ok(found)
}

/// The auth configs asked for; those of other projects do not exist.
async fn auth_configs(
    app: &App,
    project: &Project,
    ids: &[String],
) -> Result<Vec<std::sync::Arc<AuthConfig>>> {
    let mut configs = Vec::new();
    for id in ids.iter().take(100) {
        let id = AuthConfigId::from(id.as_str());
        let config = app.cache.auth_config(&project.id, &id).await?;
        configs.push(config.ok_or_else(|| {
            Error::not_found(codes::AUTH_CONFIG_NOT_FOUND, "Auth config", id.as_str())
        })?);
    }
    Ok(configs)
}

/// The version of a toolkit that is asked for.
fn version<'a>(toolkit: &'a Toolkit, versions: &Versions) -> Result<&'a str> {
    toolkit.version(versions.of(toolkit.slug()))
}

/// Those of the tools that a search finds, best first; none when the query says nothing.
async fn searched<'a>(
    searcher: &'a Searcher,
    text: &str,
    filter: &Filter<'_>,
    request: PageRequest,
    versions: &Versions,
) -> Result<Option<Cut<'a>>> {
    let query = searcher.ask(text).await;
    if query.is_empty() {
        return Ok(None);
    }
    let catalog = searcher.catalog();
    for toolkit in catalog.toolkits().iter().filter(|toolkit| filter.toolkit(toolkit)) {
        version(toolkit, versions)?;
    }
    let near = Limit { most: usize::MAX, part: FAR };
    let hits = searcher
        .find(&query, near, |toolkit, tool| filter.toolkit(toolkit) && filter.tool(toolkit, tool));
    let mut cut = Cut { found: Vec::new(), total: hits.len() };
    for hit in hits.into_iter().skip(request.skip()).take(request.take()) {
        let (toolkit, tool) = (hit.toolkit, hit.tool);
        let version = version(toolkit, versions)?;
        cut.found.push(Found { toolkit, tool, slug: &tool.def.slug, version });
    }
    Ok(Some(cut))
}

/// List tools.
#[utoipa::path(get, path = "/tools", tag = "tools", operation_id = "listTools",
    params(ListQuery), responses((status = 200, body = Page<ToolItem>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let searcher = app.search.of(&key.project.id);
    let catalog = searcher.catalog();
    let default = i64::try_from(query.tool_slugs.len()).unwrap_or(0).max(20);
    let request = page(query.limit, query.cursor.as_deref(), default)?;
    if !query.tool_slugs.is_empty() {
        return Ok(Json(Page::cut(named(catalog, &query)?, request, |tool| tool)).into_response());
    }
    let configs = match query.auth_config_ids.as_slice() {
        [] => None,
        ids => Some(auth_configs(&app, &key.project, ids).await?),
    };
    let filter = Filter {
        toolkits: &query.toolkit_slug,
        configs,
        important: query.important.unwrap_or(false),
        deprecated: query.include_deprecated.unwrap_or(true),
        tags: &query.tags,
        scopes: &query.scopes,
    };
    let versions = &query.toolkit_versions;
    let cut = match query.query.as_ref().or(query.search.as_ref()) {
        Some(search) => searched(&searcher, search, &filter, request, versions).await?,
        None => None,
    };
    let cut = match cut {
        Some(cut) => cut,
        None => filter.page(catalog, request, |toolkit| version(toolkit, versions))?,
    };
    let items = cut.found.iter().filter_map(Found::listed).collect();
    let total = i64::try_from(cut.total).unwrap_or(i64::MAX);
    Ok(Json(Page::new(items, total, request)).into_response())
}

/// Every name that a tool goes by, sorted.
#[utoipa::path(get, path = "/tools/enum", tag = "tools", operation_id = "listToolNames",
    responses((status = 200, body = Vec<String>), CommonErrors))]
async fn names(State(app): State<AppState>, key: ProjectKey) -> Response {
    let catalog = app.catalog(&key.project.id);
    let tools = catalog.toolkits().iter().flat_map(|t| &t.tools);
    let names: BTreeSet<&str> = tools
        .flat_map(|t| std::iter::once(&t.def.slug).chain(&t.def.aliases))
        .map(String::as_str)
        .collect();
    Json(names).into_response()
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetQuery {
    /// Version of the toolkit; the newest when absent or `latest`.
    #[serde(deserialize_with = "query::text")]
    version: Option<String>,
    /// As in the list; `version` goes first.
    #[param(value_type = Option<String>)]
    toolkit_versions: Versions,
}

/// 404 of a tool.
pub(super) fn unknown(slug: &str) -> Error {
    Error::not_found(codes::TOOL_NOT_FOUND, "Tool", slug)
        .fix("Tool slugs are upper case and exact; GET /api/v3/tools/enum lists all of them")
}

/// One tool.
#[utoipa::path(get, path = "/tools/{tool_slug}", tag = "tools", operation_id = "getTool",
    params(("tool_slug" = String, Path, description = "Tool slug or alias"), GetQuery),
    responses((status = 200, body = ToolItem), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(slug): Path<String>,
    Query(query): Query<GetQuery>,
) -> Result<Response> {
    if let Some(meta) = Meta::of(&slug) {
        return Ok(Json(meta_tool(meta, &slug)).into_response());
    }
    let catalog = app.catalog(&key.project.id);
    let by_toolkit =
        catalog.tool(&slug).and_then(|(toolkit, _)| query.toolkit_versions.of(&toolkit.file.slug));
    let version = query.version.as_deref().or(by_toolkit);
    let found = app.tool_at(&key.project.id, &slug, version).await?;
    let (toolkit, tool) = found.ok_or_else(|| unknown(&slug))?;
    let version = toolkit.version(version)?;
    let (toolkit, tool) = (&toolkit, &tool);
    Ok(Json(Found { toolkit, tool, slug: &slug, version }.item()?).into_response())
}
