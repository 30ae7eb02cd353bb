//! The listener that hears what other replicas changed.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use super::Cache;
use crate::db::notify::{CHANNEL, Changed};

/// Hears notifications until `stop`. After every (re)connection the whole cache is
/// dropped, because what was said meanwhile is lost.
pub async fn listen(db: PgPool, cache: Arc<Cache>, stop: CancellationToken) {
    let mut wait = Duration::from_millis(100);
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            heard = hear(&db, &cache, &mut wait) => heard,
        };
        cache.clear();
        if let Err(error) = heard {
            tracing::warn!(%error, "change listener lost its connection; reconnecting");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(2)),
        }
    }
}

async fn hear(db: &PgPool, cache: &Cache, wait: &mut Duration) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(db).await?;
    listener.listen(CHANNEL).await?;
    cache.clear();
    *wait = Duration::from_millis(100);
    // `try_recv` gives None when the connection was lost, also when it could be made anew.
    while let Some(notification) = listener.try_recv().await? {
        match serde_json::from_str::<Changed>(notification.payload()) {
            Ok(what) => cache.invalidate(&what),
            Err(_) => cache.clear(),
        }
    }
    Ok(())
}
