//! Tools: what there is, and with which schemas.

use std::collections::{BTreeSet, HashMap};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tool_view::{Found, SessionTool, ToolItem, meta_tool};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::query::Versions;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::{App, AppState};
use crate::catalog::Catalog;
use crate::domain::connection::{AuthConfig, Project};
use crate::domain::id::AuthConfigId;
use crate::domain::page::{Page, PageRequest};
use crate::error::{Error, Result, codes};
use crate::search::Searcher;
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

fn filtered<'a>(
    catalog: &'a Catalog,
    query: &ListQuery,
    configs: Option<&[std::sync::Arc<AuthConfig>]>,
) -> Result<Vec<Found<'a>>> {
    let mut found = Vec::new();
    for toolkit in catalog.toolkits() {
        let slug = &toolkit.file.slug;
        let listed = !query.toolkit_slug.is_empty();
        if listed && !query.toolkit_slug.iter().any(|wanted| wanted.eq_ignore_ascii_case(slug)) {
            continue;
        }
        let own: Option<Vec<&AuthConfig>> = configs.map(|configs| {
            configs.iter().map(AsRef::as_ref).filter(|c| c.toolkit_slug == *slug).collect()
        });
        if own.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let version = toolkit.version(query.toolkit_versions.of(slug))?;
        let begin = found.len();
        for tool in &toolkit.tools {
            let allowed = own.as_ref().is_none_or(|configs| {
                configs.iter().any(|config| match &config.restrict_to_tools {
                    None => true,
                    Some(tools) => tools.iter().any(|t| {
                        *t == tool.def.slug || tool.def.aliases.iter().any(|alias| alias == t)
                    }),
                })
            });
            let candidate = Found { toolkit, tool, slug: &tool.def.slug, version };
            if allowed
                && (query.include_deprecated.unwrap_or(true) || tool.def.deprecated.is_none())
                && (!query.important.unwrap_or(false) || candidate.has_tag("important"))
                && (query.tags.is_empty() || query.tags.iter().any(|t| candidate.has_tag(t)))
                && (query.scopes.is_empty() || query.scopes.iter().any(|s| candidate.has_scope(s)))
            {
                found.push(candidate);
            }
        }
        // The default set of a toolkit comes first: a short page is the most useful one.
        if let Some(own) = found.get_mut(begin..) {
            own.sort_by_key(|f| !f.has_tag("important"));
        }
    }
    Ok(found)
}

/// Those of the tools that a search finds, best first.
async fn searched<'a>(searcher: &Searcher, text: &str, found: Vec<Found<'a>>) -> Vec<Found<'a>> {
    let query = searcher.ask(text).await;
    if query.is_empty() {
        return found;
    }
    let mut known: HashMap<&str, Found<'a>> =
        found.into_iter().map(|found| (found.tool.slug(), found)).collect();
    let hits = searcher.find(&query, usize::MAX, |_, tool| known.contains_key(tool.slug()));
    let best = hits.first().map_or(0.0, |hit| hit.score);
    let near = hits.into_iter().take_while(|hit| hit.score >= best * FAR);
    near.filter_map(|hit| known.remove(hit.tool.slug())).collect()
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
        return Ok(Json(cut(named(catalog, &query)?, request, Some)).into_response());
    }
    let configs = match query.auth_config_ids.as_slice() {
        [] => None,
        ids => Some(auth_configs(&app, &key.project, ids).await?),
    };
    let found = filtered(catalog, &query, configs.as_deref())?;
    let found = match query.query.as_ref().or(query.search.as_ref()) {
        Some(search) => searched(&searcher, search, found).await,
        _ => found,
    };
    Ok(Json(cut(found, request, |found| found.listed())).into_response())
}

fn cut<T, I>(found: Vec<T>, request: PageRequest, item: impl Fn(T) -> Option<I>) -> Page<I> {
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(request.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(request.limit).unwrap_or(0);
    let items = found.into_iter().skip(skip).take(take).filter_map(item).collect();
    Page::new(items, total, request)
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
    let (toolkit, tool) = catalog.tool(&slug).ok_or_else(|| unknown(&slug))?;
    let by_toolkit = query.toolkit_versions.of(&toolkit.file.slug);
    let version = toolkit.version(query.version.as_deref().or(by_toolkit))?;
    Ok(Json(Found { toolkit, tool, slug: &slug, version }.item()?).into_response())
}
