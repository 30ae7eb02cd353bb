//! What becomes of instances whose account goes.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{hook, instance};
use crate::app::AppState;
use crate::db;
use crate::domain::id::{AccountId, AuthConfigId, ProjectId, random_text};
use crate::error::Result;

/// Longest time that an account that is about to go waits for its provider.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is about to go.
#[derive(Debug, Clone)]
pub enum Going {
    /// An account is about to be deleted.
    Account(AccountId),
    /// An auth config is, with all its accounts.
    AuthConfig(AuthConfigId),
    /// An account is about to be revoked; it may be connected again.
    Grant(AccountId),
}

/// Deletes the instances of accounts that go, or disables them, and tells the provider to stop
/// while the credentials for that are still there. Call it before they go. A provider that does not
/// answer in time does not keep them: its calls find nobody any more.
///
/// # Errors
/// When the database is away.
pub async fn farewell(app: &AppState, project: &ProjectId, going: Going) -> Result<()> {
    let (account, config) = match &going {
        Going::Account(id) | Going::Grant(id) => (Some(id), None),
        Going::AuthConfig(id) => (None, Some(id)),
    };
    let for_good = !matches!(going, Going::Grant(_));
    let reason = (!for_good).then_some("Its connected account was revoked");
    let mut tx = app.db.begin().await?;
    let claim = random_text(16);
    let mut told = JoinSet::new();
    let mut begun = Vec::new();
    let rows = db::trigger_instance::lock_of(&mut *tx, project, account, config).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    for mut row in rows {
        let ours = instance::stop_locked(app, &mut tx, &mut row, for_good, reason, &claim).await?;
        let what = super::changed(&row);
        app.changed(&mut *tx, &what).await?;
        changes.push(what);
        if ours {
            begun.push(row);
        }
    }
    tx.commit().await?;
    changes.iter().for_each(|what| app.cache.invalidate(what));
    for row in begun {
        let (app, claim) = (app.clone(), claim.clone());
        told.spawn(async move { hook::run(&app, row, &claim).await });
    }
    let all = async {
        while let Some(one) = told.join_next().await {
            if let Ok(Err(error)) = one {
                tracing::warn!(?going, %project, %error, "a webhook stays at the provider for now");
            }
        }
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::warn!(?going, %project, "the provider was not told in time to stop calling");
        told.detach_all();
    }
    Ok(())
}
