//! Trigger types: what there is to hear of, and with which schemas.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tool_view::requirements;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::query::Versions;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::catalog::model::Ingress;
use crate::catalog::trigger::How;
use crate::catalog::{Toolkit, Trigger};
use crate::domain::page::Page;
use crate::error::{Error, Result, codes};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(names)).routes(routes!(get))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Toolkits, separated by commas.
    #[serde(deserialize_with = "query::list", alias = "toolkit_slug", alias = "toolkits")]
    #[param(value_type = Option<String>)]
    toolkit_slugs: Vec<String>,
    /// Version of the toolkits: `latest`, or `toolkit_versions[slug]=version` per toolkit.
    #[param(value_type = Option<String>)]
    toolkit_versions: Versions,
    /// Trigger types per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct GetQuery {
    /// As in the list.
    #[param(value_type = Option<String>)]
    toolkit_versions: Versions,
}

/// The toolkit of a trigger type.
#[derive(Debug, Serialize, ToSchema)]
struct TriggerToolkit<'a> {
    /// URL of its logo.
    logo: &'a str,
    /// Display name.
    name: &'a str,
    /// Slug.
    slug: &'a str,
}

/// How a trigger hears of what happens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TriggerKind {
    /// The provider calls.
    Webhook,
    /// The provider is asked.
    Poll,
}

/// A trigger type.
#[derive(Debug, Serialize, ToSchema)]
struct TriggerType<'a> {
    /// Slug.
    slug: &'a str,
    /// Display name.
    name: &'a str,
    /// What it tells.
    description: &'a str,
    /// What a person has to do at the provider before it works; empty when nothing.
    instructions: &'a str,
    /// How it hears of what happens.
    r#type: TriggerKind,
    /// Its toolkit.
    toolkit: TriggerToolkit<'a>,
    /// JSON Schema of the configuration.
    #[schema(value_type = Object)]
    config: &'a Value,
    /// JSON Schema of an event's data.
    #[schema(value_type = Object)]
    payload: &'a Value,
    /// The version shown.
    version: &'a str,
    /// For older clients: `active`, or `deprecated`.
    status: &'static str,
    /// Whether the provider calls a URL that is the same for all users of an app, which the
    /// developer enters there: a webhook endpoint must be set up first.
    requires_webhook_endpoint_setup: bool,
    /// Which scopes it needs; null when it needs none.
    #[schema(value_type = Option<Object>)]
    scope_requirements: Option<Value>,
}

/// A trigger type under the name it was asked by.
fn view<'a>(
    toolkit: &'a Toolkit,
    trigger: &'a Trigger,
    slug: &'a str,
    version: &'a str,
) -> TriggerType<'a> {
    let (file, def) = (&toolkit.file, &trigger.def);
    let (kind, app) = match &trigger.how {
        How::Webhook(webhook) => (TriggerKind::Webhook, webhook.def.ingress == Ingress::App),
        How::Poll(_) => (TriggerKind::Poll, false),
    };
    TriggerType {
        slug,
        name: &def.name,
        description: def.description.trim(),
        instructions: def.instructions.trim(),
        r#type: kind,
        toolkit: TriggerToolkit {
            logo: file.logo.as_deref().unwrap_or_default(),
            name: &file.name,
            slug: &file.slug,
        },
        config: &trigger.config_schema,
        payload: &trigger.payload_schema,
        version,
        status: if def.deprecated.is_some() { "deprecated" } else { "active" },
        requires_webhook_endpoint_setup: app,
        scope_requirements: requirements(&def.scopes),
    }
}

/// List trigger types.
#[utoipa::path(get, path = "/triggers_types", tag = "triggers", operation_id = "listTriggerTypes",
    params(ListQuery), responses((status = 200, body = Page<TriggerType>), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let request = page(query.limit, query.cursor.as_deref(), 20)?;
    let mut found = Vec::new();
    let catalog = app.catalog(&key.project.id);
    for toolkit in catalog.toolkits() {
        let slug = &toolkit.file.slug;
        let wanted = &query.toolkit_slugs;
        if wanted.is_empty() || wanted.iter().any(|w| w.eq_ignore_ascii_case(slug)) {
            let version = toolkit.version(query.toolkit_versions.of(slug))?;
            let triggers = toolkit.triggers.iter();
            found.extend(triggers.map(|trigger| (toolkit, trigger, version)));
        }
    }
    let page = Page::cut(found, request, |(toolkit, trigger, version)| {
        view(toolkit, trigger, trigger.slug(), version)
    });
    Ok(Json(page).into_response())
}

/// Every name that a trigger type goes by, sorted.
#[utoipa::path(get, path = "/triggers_types/list/enum", tag = "triggers",
    operation_id = "listTriggerTypeNames",
    responses((status = 200, body = Vec<String>), CommonErrors))]
async fn names(State(app): State<AppState>, key: ProjectKey) -> Response {
    let catalog = app.catalog(&key.project.id);
    let triggers = catalog.toolkits().iter().flat_map(|t| &t.triggers);
    let names: BTreeSet<&str> = triggers
        .flat_map(|t| std::iter::once(&t.def.slug).chain(&t.def.aliases))
        .map(String::as_str)
        .collect();
    Json(names).into_response()
}

/// One trigger type.
#[utoipa::path(get, path = "/triggers_types/{slug}", tag = "triggers",
    operation_id = "getTriggerType",
    params(("slug" = String, Path, description = "Slug or alias of the trigger type"), GetQuery),
    responses((status = 200, body = TriggerType), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(slug): Path<String>,
    Query(query): Query<GetQuery>,
) -> Result<Response> {
    let catalog = app.catalog(&key.project.id);
    let (toolkit, trigger) = catalog.trigger(&slug).ok_or_else(|| unknown(&slug))?;
    let version = toolkit.version(query.toolkit_versions.of(&toolkit.file.slug))?;
    Ok(Json(view(toolkit, trigger, &slug, version)).into_response())
}

/// 404 of a trigger type.
pub(super) fn unknown(slug: &str) -> Error {
    Error::not_found(codes::TRIGGER_TYPE_NOT_FOUND, "Trigger type", slug).fix(
        "Slugs of trigger types are upper case and exact; GET /api/v3/triggers_types/list/enum \
         lists all of them",
    )
}
