//! The one door to tools: whoever calls, by whichever route, is held to the session's
//! configuration here.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::custom::{self, Custom};
use super::meta::{Context, Meta};
use super::{account, tools};
use crate::app::AppState;
use crate::domain::connection::Project;
use crate::domain::session::Session;
use crate::error::{Error, Result, codes};
use crate::execute::{self, ExecuteOutcome, ExecuteRequest};

/// One call of a tool within a session.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Slug or alias.
    pub slug: String,
    /// Arguments as they came.
    pub arguments: Map<String, Value>,
    /// Id or alias of the account to use; none: as the session's configuration says.
    pub account: Option<String>,
    /// Tools of the caller's own, for what searches and describes.
    pub custom: Arc<Custom>,
}

/// Arguments as models send them: an object, text that holds one, or nothing.
///
/// # Errors
/// 400 for everything else.
pub fn arguments(given: Value) -> Result<Map<String, Value>> {
    let wrong = || {
        let problem = "arguments: must be an object".to_owned();
        Error::invalid("The arguments are not an object", vec![problem])
            .fix("Send the arguments as a JSON object, as the tool's input schema says")
    };
    match given {
        Value::Null => Ok(Map::new()),
        Value::Object(object) => Ok(object),
        Value::String(text) if text.trim().is_empty() => Ok(Map::new()),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// Executes a meta tool or a tool of the catalogue.
///
/// # Errors
/// Everything that is the caller's fault. What a provider answers is an outcome.
pub async fn execute(
    app: &AppState,
    project: &Arc<Project>,
    session: &Arc<Session>,
    call: Call,
) -> Result<ExecuteOutcome> {
    match Meta::of(&call.slug) {
        Some(meta) => {
            let context = Context { app, project, session, custom: &call.custom };
            meta.execute(&context, call.arguments).await
        }
        None => catalogue(app, project, session, call).await,
    }
}

/// Executes a tool of the catalogue.
///
/// # Errors
/// As [`execute`].
pub async fn catalogue(
    app: &AppState,
    project: &Arc<Project>,
    session: &Session,
    call: Call,
) -> Result<ExecuteOutcome> {
    if custom::is_local(&call.slug) {
        return Err(custom::refusal(&call.slug));
    }
    let Some((toolkit, tool)) = app.tool(&project.id, &call.slug) else {
        return Err(Error::not_found(codes::TOOL_NOT_FOUND, "Tool", &call.slug)
            .fix("Find tools with COMPOSIO_SEARCH_TOOLS and use their slugs as they are"));
    };
    if !tools::allows(session, &toolkit, &tool) {
        return Err(Error::new(
            codes::SESSION_TOOL_NOT_ALLOWED,
            format!("The session does not allow the tool {}", tool.def.slug),
        )
        .fix("Use a tool that COMPOSIO_SEARCH_TOOLS finds, or create a session that allows it"));
    }
    let account = account::choose(app, project, session, &toolkit, call.account.as_deref()).await?;
    let connected_account_id = account.map(|account| account.id.to_string());
    let request = ExecuteRequest {
        tool_slug: call.slug,
        arguments: call.arguments,
        connected_account_id,
        user_id: Some(session.user_id.clone()),
        ..ExecuteRequest::default()
    };
    execute::execute(app, project, request).await
}
