//! The API itself: one file per resource.

mod auth_configs;
mod connected_accounts;
mod custom_toolkits;
mod execute;
mod files;
mod installed;
mod logs;
mod logs_internal;
mod mcp;
mod orgs;
mod realtime;
mod scopes;
mod session;
mod session_configs;
mod tool_filter;
mod tool_router;
mod tool_view;
mod toolkit_detail;
mod toolkits;
mod tools;
mod trigger_instances;
mod trigger_logs;
mod triggers_types;
mod uploads;
mod webhook_endpoints;
mod webhook_subscriptions;

use utoipa_axum::router::OpenApiRouter;

use crate::app::AppState;

/// Everything below `/api/v3` and `/api/v3.1`.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(auth_configs::router())
        .merge(connected_accounts::router())
        .merge(orgs::router())
        .merge(session::router())
        .merge(session_configs::router())
        .merge(toolkits::router())
        .merge(installed::router())
        .merge(custom_toolkits::router())
        .merge(tools::router())
        .merge(tool_router::router())
        .merge(scopes::router())
        .merge(execute::router())
        .merge(files::router())
        .merge(uploads::router())
        .merge(logs::router())
        .merge(logs_internal::router())
        .merge(mcp::router())
        .merge(trigger_instances::router())
        .merge(webhook_endpoints::router())
        .merge(webhook_subscriptions::router())
        .merge(trigger_logs::router())
        .merge(triggers_types::router())
        .merge(realtime::router())
}
