//! Tools of remote MCP servers.

mod content;
mod list;

use serde_json::{Map, Value, json};

use super::access::Access;
use super::exchange::{Exchange, Trouble};
use super::response::{self, Failure};
use super::steps::Outcome;
use crate::app::App;
use crate::catalog::model::McpTool;
use crate::catalog::{Tool, Toolkit};
use crate::domain::id::ProjectId;
use crate::domain::outbound::OutboundRequest;
use crate::error::{Error, Result};
use crate::mcp_client::{self, Endpoint, Failed, Key, Wire};
use crate::net::Streamed;

pub use list::{Listing, list};

/// One call.
pub(super) struct Call<'a> {
    pub app: &'a App,
    pub project: &'a ProjectId,
    pub toolkit: &'a Toolkit,
    pub exchange: &'a Exchange<'a>,
}

impl Wire for Exchange<'_> {
    type Error = Trouble;

    async fn open(&self, request: OutboundRequest) -> std::result::Result<Streamed, Trouble> {
        Exchange::open(self, request).await
    }

    fn tell(&self, request: OutboundRequest) {
        Exchange::tell(self, request);
    }
}

impl Call<'_> {
    /// Calls the tool.
    ///
    /// # Errors
    /// The caller's faults, as long as nothing was sent.
    pub(super) async fn run(
        &self,
        tool: &Tool,
        mcp: &McpTool,
        args: &Map<String, Value>,
    ) -> Result<Outcome> {
        let endpoint = self.endpoint(tool, mcp)?;
        let key = self.key(&endpoint);
        let answer = mcp_client::call(
            &self.app.mcp_sessions,
            key.as_ref(),
            self.exchange,
            &endpoint,
            &mcp.tool,
            tool.wired(args).into(),
        )
        .await;
        match answer {
            Ok(answer) => {
                if answer.list_changed {
                    let toolkit = self.toolkit.slug();
                    tracing::info!(toolkit, "the MCP server has other tools now: import it again");
                }
                self.outcome(answer.result).await
            }
            Err(Failed::Wire(Trouble::Refused(error))) => Err(error),
            Err(failed) => Ok(Err(self.failure(tool, failed))),
        }
    }

    fn endpoint(&self, tool: &Tool, mcp: &McpTool) -> Result<Endpoint> {
        let conn = self.exchange.access().fields(self.toolkit).conn;
        let wrong = |problem: String| {
            let message = format!("The request of {} cannot be made", tool.def.slug);
            Error::invalid(message, vec![problem])
        };
        Ok(Endpoint {
            url: self.toolkit.base_url(&conn).map_err(wrong)?,
            headers: self.toolkit.default_headers(&conn).map_err(wrong)?,
            timeout: mcp.timeout_s.map(std::time::Duration::from_secs),
        })
    }

    /// Whose session it is. What a caller brings along for one call leaves nothing behind.
    fn key(&self, endpoint: &Endpoint) -> Option<Key> {
        let account = match &*self.exchange.access() {
            Access::Open => String::new(),
            Access::Account(account, _) => format!("{} {}", account.id, account.state_version),
            Access::Custom(..) | Access::Params => return None,
        };
        if self.exchange.is_altered() {
            return None;
        }
        Some(Key { project: self.project.clone(), account, url: endpoint.url.to_string() })
    }

    async fn outcome(&self, mut result: Value) -> Result<Outcome> {
        self.exchange.secrets().clean_value(&mut result);
        let failed = result.get("isError").and_then(Value::as_bool).unwrap_or_default();
        if let Some(kind) = result.get("resultType").and_then(Value::as_str)
            && kind != "complete"
        {
            let name = &self.toolkit.file.name;
            let error = format!("{name} wants to ask somebody first, which cannot be done here");
            return Ok(Err(Failure { error, data: Map::new() }));
        }
        let told = content::read(result);
        let mut data = told.data;
        let mut files = Vec::new();
        for file in told.files {
            let stored =
                self.app.files.put(self.project, &file.name, &file.mimetype, file.content).await?;
            files.push(json!({
                "name": file.name, "mimetype": file.mimetype, "s3url": stored.url,
            }));
        }
        content::add_files(&mut data, files);
        if !failed {
            return Ok(Ok(data));
        }
        let name = &self.toolkit.file.name;
        let said = told.text.unwrap_or_default();
        let said: String = said.trim().chars().take(1000).collect();
        let error = if said.is_empty() {
            format!("{name} reported an error")
        } else {
            format!("{name} reported an error: {said}")
        };
        Ok(Err(Failure { error, data }))
    }

    fn failure(&self, tool: &Tool, failed: Failed<Trouble>) -> Failure {
        let name = &self.toolkit.file.name;
        let unknown = failed.is_unknown_tool();
        let mut failure = match failed {
            Failed::Status { status, body, .. } => {
                response::failure(name, &tool.rule, status, body)
            }
            Failed::Net(error) | Failed::Wire(Trouble::Net(error)) => {
                Failure { error: error.to_string(), data: Map::new() }
            }
            Failed::Wire(Trouble::Refused(error)) => {
                Failure { error: error.message.into_owned(), data: Map::new() }
            }
            Failed::Rpc { code, message, .. } => Failure {
                error: format!("{name} reported an error: {message}"),
                data: Map::from_iter([("code".to_owned(), json!(code))]),
            },
            Failed::Protocol(what) => {
                Failure { error: format!("{name} sent {what}"), data: Map::new() }
            }
        };
        if unknown {
            failure.error.push_str(". Import the toolkit again: the server has other tools now");
        }
        let mut data = Value::Object(failure.data);
        self.exchange.secrets().clean_value(&mut data);
        failure.data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        failure
    }
}
