//! The sockets of `triggers.subscribe`: the Pusher protocol, versions 5 to 7, as a server.
//!
//! | module | knows |
//! |---|---|
//! | `wire` | the protocol's messages and codes |
//! | `session` | one socket from its opening to its end |
//! | `rate` | how often a client may speak |

mod rate;
mod session;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::app::AppState;
use crate::domain::id::ProjectId;
use crate::error::{Error, codes};
use crate::realtime::Hub;

/// Largest message of a client.
const MAX_MESSAGE: usize = 10 * 1024;

/// Buffers of a socket. Most sockets are idle for most of the time, and there are many.
const READ_BUFFER: usize = 2 * 1024;
const WRITE_BUFFER: usize = 4 * 1024;

/// Routes of the sockets. They are not part of the API's document: the protocol has its own. The
/// second is where clients arrive that were led here by their cluster (see `realtime::access`).
pub fn router(app: &AppState) -> Router<AppState> {
    let hub = Hub::start(app);
    Router::new()
        .route("/app/{key}", get(connect))
        .route("/.pusher.com:443/app/{key}", get(connect))
        .with_state(hub)
}

#[derive(Debug, Deserialize)]
struct Params {
    protocol: Option<String>,
}

async fn connect(
    State(hub): State<Arc<Hub>>,
    Path(key): Path<String>,
    params: Result<Query<Params>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let text = format!("This address speaks WebSocket only: {}", rejection.body_text());
            return Error::new(codes::UPGRADE_REQUIRED, text)
                .fix(
                    "Connect with a client of the Pusher protocol; a proxy in front of this \
                      server has to pass the Upgrade header on",
                )
                .into_response();
        }
    };
    let protocol = params.ok().and_then(|Query(params)| params.protocol);
    let tasks = hub.app.tasks.clone();
    upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| {
            let project = ProjectId::from(key);
            // The shutdown waits for sockets to be closed.
            tasks.track_future(Box::pin(session::run(socket, hub, project, protocol)))
        })
}
