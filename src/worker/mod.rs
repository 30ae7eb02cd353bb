//! Background tasks: what has to happen without anybody asking.

pub mod deliver;
pub mod hooks;
mod keys;
pub mod poll;
pub mod refresh;
pub mod revoke;

use std::sync::Arc;
use std::time::Duration;

use crate::app::AppState;
use crate::connect::account::timed_out;
use crate::db;
use crate::db::notify::Changed;
use crate::error::Result;

/// How often attempts to connect that ran out of time are ended.
const EXPIRE_EVERY: Duration = Duration::from_secs(3);

/// How often things that ended long ago are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(15 * 60);

/// Most attempts that one round ends.
const BATCH: i64 = 500;

/// Most events that one statement forgets.
const FORGET_BATCH: i64 = 5000;

/// Days after which the vector of a text that no server has any more is forgotten.
const VECTOR_DAYS: i32 = 90;

/// Starts the background tasks; they end with the server.
pub fn start(app: &AppState) {
    run(app, EXPIRE_EVERY, "end attempts to connect", |app| async move { expire(&app).await });
    refresh::start(app);
    revoke::start(app);
    deliver::start(app);
    hooks::start(app);
    poll::start(app);
    run(app, FORGET_EVERY, "forget what ended", |app| async move { forget(&app).await });
    run(
        app,
        keys::SWEEP_EVERY,
        "clear data keys away",
        |app| async move { keys::sweep(&app).await },
    );
    keys::hold(app);
}

/// Until a worker looks again when the database is away.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// How often a worker looks for what is due.
struct Pace {
    /// With nothing to do: half of it to all of it, so that replicas come at different times.
    every: Duration,
    /// While there is more to do.
    busy: Duration,
    /// What waits when the database is away, for the log.
    what: &'static str,
}

/// Looks for work until the server stops; what was begun ends first. `room` waits until more can be
/// begun, `round` begins what is due and says how much that was.
fn look<S, R, B>(
    app: &AppState,
    state: S,
    pace: Pace,
    room: impl Fn(Arc<S>) -> R + Send + 'static,
    round: impl Fn(AppState, Arc<S>) -> B + Send + 'static,
) where
    S: Send + Sync + 'static,
    R: Future<Output = ()> + Send,
    B: Future<Output = Result<usize>> + Send,
{
    let (app, state) = (app.clone(), Arc::new(state));
    app.clone().tasks.spawn(async move {
        let mut pause = pace.every;
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = room(state.clone()) => {}
            }
            pause = match round(app.clone(), state.clone()).await {
                Ok(0) => pace.every.mul_f64(0.5 + rand::random::<f64>() / 2.0),
                Ok(_) => pace.busy,
                Err(error) => {
                    tracing::warn!(%error, "{} cannot be looked after; trying again", pace.what);
                    AFTER_FAILURE
                }
            };
        }
    });
}

fn run<F>(
    app: &AppState,
    every: Duration,
    what: &'static str,
    work: impl Fn(AppState) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Result<()>> + Send,
{
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            if let Err(error) = work(app.clone()).await {
                tracing::warn!(%error, what, "background task failed; it goes on");
            }
        }
    });
}

/// Ends attempts to connect that ran out of time.
///
/// # Errors
/// When the database is away.
pub async fn expire(app: &AppState) -> Result<()> {
    let reason = timed_out(app.config.connect_ttl);
    loop {
        let mut tx = app.db.begin().await?;
        let ended = db::account::expire_attempts(&mut *tx, &reason, BATCH).await?;
        let changes: Vec<Changed> = ended
            .into_iter()
            .map(|(project, id, user)| Changed::Account { project, id, user, tokens_only: false })
            .collect();
        for what in &changes {
            app.changed(&mut *tx, what).await?;
        }
        tx.commit().await?;
        for what in &changes {
            app.cache.invalidate(what);
        }
        if (changes.len() as i64) < BATCH {
            return Ok(());
        }
    }
}

async fn forget(app: &AppState) -> Result<()> {
    db::connect_token::delete_ended(&app.db).await?;
    db::file_object::delete_ended(&app.db).await?;
    db::upload::delete_ended(&app.db).await?;
    db::session_file::delete_orphans(&app.db).await?;
    db::mcp_oauth::delete_ended(&mut *app.db.acquire().await?).await?;
    db::key_rotation::forget_holders(&app.db).await?;
    db::revocation::delete_ended(&app.db).await?;
    db::trigger_instance::delete_ended(&app.db).await?;
    db::tool_vector::forget(&app.db, VECTOR_DAYS).await?;
    while db::event::delete_older(&app.db, app.config.event_ttl, FORGET_BATCH).await? > 0 {
        if app.stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}
