//! Lists the tools of remote MCP servers again that said that they have others now.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::{App, AppState};
use crate::install::remote;
use crate::mcp_client::Changed;

/// How long further news is waited for: what changes once often changes a few times.
const SETTLE: Duration = Duration::from_secs(1);
/// A server is not asked more often than this, however often it says so.
const EVERY: Duration = Duration::from_secs(60);

/// Follows the news until the server stops.
pub fn start(app: &AppState) {
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        let mut due: HashMap<Changed, (Instant, Option<String>)> = HashMap::new();
        let mut asked: HashMap<Changed, Instant> = HashMap::new();
        loop {
            let next = due.values().map(|(at, _)| *at).min();
            let wake = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = wake => {}
                told = app.mcp_news.take() => {
                    for (changed, account) in told {
                        let soon = Instant::now() + SETTLE;
                        let again = asked.get(&changed).map(|at| *at + EVERY);
                        let at = again.map_or(soon, |again| again.max(soon));
                        due.entry(changed).or_insert((at, account));
                    }
                }
            }
            let now = Instant::now();
            asked.retain(|_, at| *at + EVERY > now);
            let ready: Vec<Changed> =
                due.iter().filter(|(_, (at, _))| *at <= now).map(|(key, _)| key.clone()).collect();
            for changed in ready {
                let Some((_, account)) = due.remove(&changed) else { continue };
                asked.insert(changed.clone(), Instant::now());
                tokio::select! {
                    () = app.stop.cancelled() => return,
                    () = relist(&app, &changed, account.as_deref()) => {}
                }
            }
        }
    });
}

async fn relist(app: &App, changed: &Changed, account: Option<&str>) {
    let Changed { project, toolkit } = changed;
    // One of the operator's folder is the operator's to import again.
    if matches!(remote::is_remote(app, project, toolkit).await, Ok(false)) {
        tracing::info!(toolkit, "the MCP server has other tools now: import it again");
        return;
    }
    match remote::sync(app, project, toolkit, account).await {
        Ok(done) => tracing::info!(toolkit, version = done.version, "MCP server listed again"),
        Err(error) => tracing::warn!(toolkit, %error, "MCP server not listed again"),
    }
}
