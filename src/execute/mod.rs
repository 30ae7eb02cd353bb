//! Executing a tool: arguments, account, credentials, request, answer, log.
//!
//! | module | knows |
//! |---|---|
//! | `access`, `params` | whose credentials are used, and which the caller brings along |
//! | `exchange` | one request: credentials, second try after a 401 |
//! | `steps`, `response`, `link` | the requests of a tool, and what their answers mean |
//! | `files` | uploads that arguments name, and answers that are files |
//! | `builtin` | functions of the server that contact nobody |
//! | `remote` | tools of remote MCP servers |
//! | `proxy` | requests of the caller's own |
//! | `record`, `redact` | the log row, without secrets |

mod access;
mod builtin;
mod call;
mod exchange;
mod files;
mod link;
mod params;
mod proxy;
mod record;
mod redact;
mod remote;
pub mod response;
mod steps;
mod types;

use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::catalog::{Tool, Toolkit};
use crate::domain::connection::Project;
use crate::error::{Error, Result, codes};
use access::{Access, Wanted};
use exchange::Exchange;
use record::Record;
use redact::Secrets;
use steps::{Outcome, Run};

pub use access::refuses as refuses_to_choose;
pub use call::{Answered, call};
pub use proxy::proxy;
pub use remote::{Listing, list as list_remote_tools};
pub use types::*;

/// What a log row keeps of a request.
#[derive(Serialize)]
struct Logged<'a> {
    arguments: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_auth_params: Option<Value>,
}

/// Executes a tool for a project.
///
/// # Errors
/// Everything that is the caller's fault, before anything was sent. What the provider
/// answers, or does not answer, is an outcome with `successful: false`.
pub async fn execute(
    app: &App,
    project: &Project,
    request: ExecuteRequest,
) -> Result<ExecuteOutcome> {
    let Some((toolkit, tool)) = app.tool(&project.id, &request.tool_slug) else {
        return Err(unknown_tool(app, project, &request.tool_slug));
    };
    let version = toolkit.version(request.version.as_deref())?;
    let opened = tool.open()?;
    let mut record = Record::begin(app, project, "tool");
    record.set(|row| {
        row.tool_slug.clone_from(&tool.def.slug);
        row.toolkit_slug.clone_from(&toolkit.file.slug);
        row.toolkit_version = version.to_owned();
        row.user_id.clone_from(&request.user_id);
        row.account_id.clone_from(&request.connected_account_id);
    });
    if let Some(params) = &request.custom_auth_params {
        let mut secrets = Secrets::default();
        params.add_secrets(&mut secrets);
        record.secrets = Arc::new(secrets);
    }
    record.request(&Logged {
        arguments: &request.arguments,
        custom_auth_params: request.custom_auth_params.as_ref().map(CustomAuthParams::described),
    });
    match run(app, project, &toolkit, &opened, request, &mut record).await {
        Err(error) => Err(record.refused(error).await),
        Ok(outcome) => {
            let (data, error) = match outcome {
                Ok(data) => (data, None),
                Err(failure) => (failure.data, Some(record.secrets.clean(failure.error))),
            };
            record.response(&data);
            let log_id = record.id();
            record.finish(error.as_deref()).await?;
            Ok(ExecuteOutcome { data, successful: error.is_none(), error, log_id })
        }
    }
}

async fn run(
    app: &App,
    project: &Project,
    toolkit: &Toolkit,
    tool: &Tool,
    request: ExecuteRequest,
    record: &mut Record<'_>,
) -> Result<Outcome> {
    let mut args = tool.check_arguments(request.arguments).map_err(|problems| {
        Error::invalid(format!("Invalid arguments for {}", tool.def.slug), problems)
            .fix("Correct the arguments as the tool's input schema says and call again")
    })?;
    if let Some(name) = tool.builtin() {
        return builtin::run(app, project, name, &args).await;
    }
    let params = request.custom_auth_params;
    if let Some(params) = &params {
        let own =
            request.connected_account_id.is_some() || request.custom_connection_data.is_some();
        params.check(own)?;
    }
    let wanted = Wanted {
        account_id: request.connected_account_id.as_deref(),
        user_id: request.user_id.as_deref(),
        params: params.as_ref(),
        data: request.custom_connection_data,
    };
    let access = access::choose(app, project, toolkit, wanted).await?;
    note_access(record, &access);
    if let Access::Account(_, config) = &access {
        access::check_restriction(&app.catalog(&project.id), config, tool)?;
    }
    let files = files::load(app, &project.id, tool, &mut args).await?;
    let exchange = Exchange::begin(app, toolkit, access, params.as_ref()).await?;
    record.secrets = exchange.secrets();
    let outcome = match tool.mcp() {
        Some(mcp) => {
            remote::Call { app, project: &project.id, toolkit, exchange: &exchange }
                .run(tool, mcp, &args)
                .await
        }
        None => {
            let (given, project) = (Map::new(), &project.id);
            let run = Run { app, project, toolkit, tool, exchange: &exchange, given, files };
            run.all(&args).await
        }
    };
    note_exchange(record, &exchange);
    outcome
}

fn note_access(record: &mut Record<'_>, access: &Access) {
    if let Access::Account(account, config) = access {
        record.set(|row| {
            row.user_id = Some(account.user_id.clone());
            row.account_id = Some(account.id.as_str().to_owned());
            row.auth_config_id = Some(config.id.as_str().to_owned());
        });
    }
}

fn note_exchange(record: &mut Record<'_>, exchange: &Exchange<'_>) {
    record.provider = exchange.waited();
    record.secrets = exchange.secrets();
    record.set(|row| row.provider_status = exchange.status());
}

fn unknown_tool(app: &App, project: &Project, slug: &str) -> Error {
    let error = Error::not_found(codes::TOOL_NOT_FOUND, "Tool", slug);
    match app.tool(&project.id, &slug.to_uppercase()) {
        Some((_, tool)) => error.fix(format!("Tool slugs are upper case: {}", tool.def.slug)),
        None => error.fix("List the tools of a toolkit with GET /api/v3/tools?toolkit_slug=…"),
    }
}

/// What the log keeps of a call that the server answers itself.
#[derive(Debug)]
pub struct Noted<'a> {
    /// Tool.
    pub tool_slug: &'a str,
    /// Its toolkit.
    pub toolkit_slug: &'a str,
    /// The user that it was made for.
    pub user_id: &'a str,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// Does a piece of work that is logged like a tool: `work` gives data, and why it failed when it
/// did.
///
/// # Errors
/// Those of `work`.
pub async fn noted(
    app: &App,
    project: &Project,
    call: Noted<'_>,
    work: impl Future<Output = Result<(Map<String, Value>, Option<String>)>>,
) -> Result<ExecuteOutcome> {
    let mut record = Record::begin(app, project, "tool");
    record.set(|row| {
        row.tool_slug = call.tool_slug.to_owned();
        row.toolkit_slug = call.toolkit_slug.to_owned();
        row.user_id = Some(call.user_id.to_owned());
    });
    record.request(&Logged { arguments: &call.arguments, custom_auth_params: None });
    match work.await {
        Err(error) => Err(record.refused(error).await),
        Ok((data, error)) => {
            record.response(&data);
            let log_id = record.id();
            record.finish(error.as_deref()).await?;
            Ok(ExecuteOutcome { data, successful: error.is_none(), error, log_id })
        }
    }
}
