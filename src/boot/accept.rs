//! The accept loop: what stands between the socket and the router.
//!
//! It is ours because a client that is slow with its request head must not hold a connection
//! for ever, and because an end must come also when a request does not.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// Longest time for a request head, and for an idle connection: longer than clients keep theirs,
/// so that it is they who close.
const HEAD: Duration = Duration::from_secs(75);
/// How long requests may still take when the server is told to stop.
const REQUESTS_END: Duration = Duration::from_secs(20);
/// Before the next attempt when there are no more files to open.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets requests under way end.
pub async fn serve(router: Router, listener: TcpListener, stop: &CancellationToken) {
    // Every connection holds a receiver until it ends, or has become a WebSocket.
    let connections = watch::Sender::new(());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let router = router.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            answer(&router, request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut last_request = connections.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let outcome = tokio::select! {
                outcome = connection.as_mut() => outcome,
                _ = last_request.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "connection");
            }
        });
    }
    drop(listener);
    let open = connections.receiver_count();
    tracing::info!(connections = open, "stopping; requests under way may end");
    connections.send_replace(());
    if tokio::time::timeout(REQUESTS_END, connections.closed()).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
}

/// A router is always ready, so it can be called at once.
fn answer(
    router: &Router,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
    router.clone().call(request)
}

/// Errors of one connection, which say nothing about the next.
fn is_the_clients(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}
