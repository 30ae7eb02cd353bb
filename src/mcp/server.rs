//! The protocol's operations.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rmcp::ServerHandler;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestMethod,
    CompleteRequestParams, CompleteResult, CustomRequest, CustomResult, ErrorCode, ErrorData,
    Implementation, ListPromptsRequestMethod, ListPromptsResult,
    ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam,
    ProtocolVersion, ServerCapabilities, ServerConfig, ServerNotification, SubscriptionFilter,
    ToolListChangedNotification,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::door::Door;
use super::refusal::details;
use super::{cancel, tools};
use crate::app::AppState;
use crate::error::wire::REQUEST_ID;
use crate::error::{Error, codes};

/// Longest call. Tools have bounds of their own, which are shorter, and clients go away earlier.
const LONGEST_CALL: Duration = Duration::from_secs(600);
/// When a client that asked for it first hears that a call is still being made, and how often then.
const FIRST_PROGRESS: Duration = Duration::from_secs(1);
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// The number of a call that ended because its client said so.
const CANCELLED: ErrorCode = ErrorCode(-32800);
/// Operations that a tools server has; one that `rmcp` cannot read has wrong parameters.
const OPERATIONS: [&str; 6] =
    ["initialize", "ping", "tools/list", "tools/call", "server/discover", "subscriptions/listen"];

/// One request, and what it may reach.
#[derive(Debug)]
pub(super) struct Visit {
    /// The server.
    pub(super) app: AppState,
    /// What stands behind the endpoint.
    pub(super) door: Door,
    /// Id of the HTTP request, for logs.
    pub(super) request_id: String,
    /// The client, when it has a name.
    pub(super) client: Option<String>,
    /// Whether the client takes a stream of messages.
    pub(super) streams: bool,
}

/// Answers one request.
#[derive(Debug, Clone)]
pub(super) struct Server(pub(super) Arc<Visit>);

/// The server as clients see it.
pub(super) fn info(app: &AppState, door: &Door) -> ServerConfig {
    let tools = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
    let mut itself = Implementation::new("patchbay", env!("CARGO_PKG_VERSION"));
    itself.title = Some(door.title().to_owned());
    itself.website_url = Some(app.config.public_url.clone());
    let mut info = ServerConfig::new(tools).with_server_info(itself);
    info.protocol_version = ProtocolVersion::V_2025_11_25;
    info.instructions = door.instructions();
    info
}

/// Whether the client speaks the revision without a handshake, or a later one.
fn is_newest(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|v| v.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

impl Server {
    /// A call, from here to its result.
    async fn call(&self, request: CallToolRequestParams) -> Result<CallToolResult, ErrorData> {
        let visit = &self.0;
        let (slug, arguments) = (request.name.into_owned(), request.arguments.unwrap_or_default());
        let name = slug.clone();
        let call = visit.door.call(&visit.app, slug, arguments);
        let call = REQUEST_ID.scope(visit.request_id.clone(), call);
        // A panic would leave the client waiting: nothing else ends its request.
        let ended = AssertUnwindSafe(call).catch_unwind().await;
        match ended.unwrap_or_else(|_| Err(Error::internal("a panic in an MCP call"))) {
            Ok(outcome) => Ok(tools::result(outcome)),
            Err(error) => self.failed(&name, &error),
        }
    }

    /// What the model can correct is a result; what it cannot is an error of the protocol.
    fn failed(&self, name: &str, error: &Error) -> Result<CallToolResult, ErrorData> {
        if error.code == codes::TOOL_NOT_FOUND || error.code == codes::SESSION_TOOL_NOT_ALLOWED {
            let name: String = name.chars().take(100).collect();
            let message = format!("Unknown tool: {name}");
            return Err(ErrorData::invalid_params(message, Some(self.details(error))));
        }
        if error.code.status.is_server_error() && error.code != codes::NOT_IMPLEMENTED {
            return Err(ErrorData::internal_error(
                error.message.to_string(),
                Some(self.details(error)),
            ));
        }
        Ok(tools::mistake(error))
    }

    fn details(&self, error: &Error) -> serde_json::Value {
        REQUEST_ID.sync_scope(self.0.request_id.clone(), || details(error))
    }

    /// Tells the client every few seconds that its call is still being made, if it asked for that.
    async fn progress(&self, context: &RequestContext<RoleServer>) {
        let token = context.meta.get_progress_token().filter(|_| self.0.streams);
        let Some(token) = token else { return std::future::pending().await };
        let began = Instant::now();
        let mut ticks = interval_at(began + FIRST_PROGRESS, PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seconds = began.elapsed().as_secs_f64().round();
            let note = ProgressNotificationParam::new(token.clone(), seconds)
                .with_message(format!("Still working after {seconds} s"));
            if context.peer.notify_progress(note).await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Ends when the client cancels the call by a request of its own.
    async fn cancelled(&self, context: &RequestContext<RoleServer>) {
        let visit = &self.0;
        let watch = visit.client.as_ref().and_then(|client| {
            cancel::watch(&visit.app, visit.door.project(), visit.door.id(), client, &context.id)
        });
        match watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        info(&self.0.app, &self.0.door)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let cursor = request.and_then(|request| request.cursor);
        let Some((tools, next)) = self.0.door.tools(&self.0.app, cursor.as_deref()) else {
            return Err(ErrorData::invalid_params("cursor: is none of this server's", None));
        };
        let mut result = ListToolsResult::with_all_items(tools);
        result.next_cursor = next;
        // The list is one user's.
        result.cache_scope = is_newest(&context).then_some(CacheScope::Private);
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // Whatever ends first drops the call, and with it the request to the provider.
        tokio::select! {
            biased;
            () = context.ct.cancelled() => Err(ErrorData::new(CANCELLED, "The client went away", None)),
            () = self.cancelled(&context) => {
                Err(ErrorData::new(CANCELLED, "The client cancelled the call", None))
            }
            result = self.call(request) => result.map(CallToolResponse::from),
            () = self.progress(&context) => Err(ErrorData::internal_error("unreachable", None)),
            () = tokio::time::sleep(LONGEST_CALL) => {
                let error = Error::new(codes::REQUEST_TIMEOUT, "The call did not end in time");
                Ok(tools::mistake(&error).into())
            }
        }
    }

    fn accepted_subscription_filter(&self, _: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        self.0.streams.then(|| SubscriptionFilter::builder().tools_list_changed().build())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let app = &self.0.app;
        let watch = app.cache.watches.watch(self.0.door.topics());
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = app.draining.cancelled() => return Ok(()),
                () = watch.changed() => {
                    let change = ToolListChangedNotification::default();
                    let change = ServerNotification::ToolListChangedNotification(change);
                    if context.sink().send(change).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method: String = request.method.chars().take(100).collect();
        let gone = is_newest(&context) && matches!(method.as_str(), "initialize" | "ping");
        if OPERATIONS.contains(&method.as_str()) && !gone {
            return Err(ErrorData::invalid_params(
                format!("The parameters of {method} are missing or malformed"),
                None,
            ));
        }
        Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("Unknown method: {method}"), None))
    }

    // This server has tools only; what it does not declare it does not answer with an empty list.

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }
}
