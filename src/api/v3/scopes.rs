//! Which scopes tools need.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tool_view::requirements;
use super::tools::unknown;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::Json;
use crate::app::AppState;
use crate::error::{Error, Result};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(required)).routes(routes!(required_old))
}

/// Which tools.
#[derive(Debug, Deserialize, ToSchema)]
struct ScopesBody {
    /// Tools of one toolkit.
    #[schema(min_items = 1, max_items = 1000)]
    tools: Vec<String>,
    /// Version of the toolkit; the newest when absent.
    #[serde(default)]
    version: Option<String>,
}

/// What one tool needs.
#[derive(Debug, Serialize, ToSchema)]
struct ToolScopes {
    /// The tool, as it was asked for.
    tool: String,
    /// Its scopes; null when it needs none.
    #[schema(value_type = Option<Object>)]
    scope_requirements: Option<Value>,
}

/// What the tools need.
#[derive(Debug, Serialize, ToSchema)]
struct ScopesAnswer {
    /// Scopes that suffice for all of them: the first alternative of each.
    scopes_required: Vec<String>,
    /// What each of them needs.
    per_tool_requirements: Vec<ToolScopes>,
}

/// Scopes that tools of one toolkit need.
#[utoipa::path(post, path = "/tools/scopes/required", tag = "tools",
    operation_id = "getRequiredScopes", request_body = ScopesBody,
    responses((status = 200, body = ScopesAnswer), CommonErrors))]
async fn required(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<ScopesBody>,
) -> Result<Json<ScopesAnswer>> {
    if body.tools.is_empty() || body.tools.len() > 1000 {
        return Err(Error::invalid(
            "Invalid list of tools",
            vec!["tools: 1 to 1000 tool slugs".to_owned()],
        ));
    }
    let mut answer =
        ScopesAnswer { scopes_required: Vec::new(), per_tool_requirements: Vec::new() };
    let mut common: Option<String> = None;
    for slug in body.tools {
        let found = app.tool_at(&key.project.id, &slug, body.version.as_deref()).await?;
        let (toolkit, tool) = found.ok_or_else(|| unknown(&slug))?;
        toolkit.version(body.version.as_deref())?;
        let first = common.get_or_insert_with(|| toolkit.file.slug.clone());
        if *first != toolkit.file.slug {
            let problem = format!("tools: {slug} is not a tool of {first}");
            return Err(Error::invalid("All tools must belong to one toolkit", vec![problem])
                .fix("Ask for each toolkit by itself"));
        }
        for scope in tool.def.scopes.first().into_iter().flatten() {
            if !answer.scopes_required.contains(scope) {
                answer.scopes_required.push(scope.clone());
            }
        }
        let scope_requirements = requirements(&tool.def.scopes);
        answer.per_tool_requirements.push(ToolScopes { tool: slug, scope_requirements });
    }
    Ok(Json(answer))
}

/// Scopes that tools of one toolkit need: the older path.
#[utoipa::path(post, path = "/tools/get_scopes_required", tag = "tools",
    operation_id = "getRequiredScopesOld", request_body = ScopesBody,
    responses((status = 200, body = ScopesAnswer), CommonErrors))]
async fn required_old(
    app: State<AppState>,
    key: ProjectKey,
    body: Json<ScopesBody>,
) -> Result<Json<ScopesAnswer>> {
    required(app, key, body).await
}
