//! `COMPOSIO_WAIT_FOR_CONNECTIONS`: waits until the person has connected.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::manage_connections::accounts;
use super::{Answer, Context, Spec, read};
use crate::domain::status::AccountStatus;
use crate::error::{Error, Result};
use crate::session::account::{current, needs_none, works};
use crate::session::link::allowed;

/// Most toolkits in one call.
const MAX_TOOLKITS: usize = 20;

/// How long it waits when the call does not say, and at most: less than the minute after which
/// SDKs give a request up.
const DEFAULT_SECONDS: f64 = 45.0;
const MAX_SECONDS: f64 = 55.0;

/// Changes wake the waiter; this heals one that was not heard of.
const POLL: Duration = Duration::from_secs(5);

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_WAIT_FOR_CONNECTIONS",
        name: "Wait for connections",
        description: "Waits until the user has connected, after you showed them the redirect_url of \
            COMPOSIO_MANAGE_CONNECTIONS. It returns as soon as the connections are active, or when \
            one cannot become active any more and why, or when the time is over: then ask the user \
            and call it again. Example: {\"toolkits\": [\"github\", \"gmail\"], \"mode\": \"all\"}",
        input: json!({
            "type": "object",
            "properties": {
                "toolkits": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": MAX_TOOLKITS,
                    "description": "Slugs of the toolkits.",
                },
                "mode": {
                    "type": "string",
                    "enum": ["any", "all"],
                    "default": "all",
                    "description": "Whether one active connection is enough.",
                },
                "timeout_seconds": {
                    "type": "number",
                    "minimum": 1,
                    "maximum": MAX_SECONDS,
                    "default": DEFAULT_SECONDS,
                    "description": "Longest time to wait.",
                },
                "session_id": {
                    "type": "string",
                    "description": "The session id of the search, when it gave one.",
                },
            },
            "required": ["toolkits"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "all_connected": {"type": "boolean"},
                "timed_out": {"type": "boolean"},
                "results": {
                    "type": "object",
                    "description": "By toolkit: status (active, pending, failed or not_started), \
                        connected_account_id, reason.",
                    "additionalProperties": true,
                },
            },
        }),
        tags: &["readOnlyHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    toolkits: Vec<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default, alias = "timeout")]
    timeout_seconds: Option<f64>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Any,
    #[default]
    All,
}

/// What is known of a toolkit's connection.
enum State {
    Active,
    Pending,
    /// Nothing will come of waiting.
    Over,
}

pub(super) async fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let arguments: Arguments = read(spec().slug, arguments)?;
    let invalid = |problem: String| {
        Err(Error::invalid(format!("Invalid arguments for {}", spec().slug), vec![problem]))
    };
    if !(1..=MAX_TOOLKITS).contains(&arguments.toolkits.len()) {
        return invalid(format!("toolkits: must name 1 to {MAX_TOOLKITS} toolkits"));
    }
    let seconds = arguments.timeout_seconds.unwrap_or(DEFAULT_SECONDS);
    if !seconds.is_finite() || seconds < 0.0 {
        return invalid("timeout_seconds: must be a number from 0".to_owned());
    }
    for slug in &arguments.toolkits {
        allowed(context.app, context.session, slug)?;
    }
    let config = &context.app.config;
    let cap = config.outbound_timeout + config.request_timeout / 2;
    let deadline = Instant::now() + Duration::from_secs_f64(seconds.min(MAX_SECONDS)).min(cap);
    loop {
        // Begun before the look, so that no change falls between the two.
        let change = context.app.cache.bell.next(&context.project.id, &context.session.user_id);
        let (results, is_decided, all) = look(context, &arguments).await?;
        let timed_out = !is_decided && Instant::now() >= deadline;
        if is_decided || timed_out || context.app.stop.is_cancelled() {
            let mut data = Map::new();
            let active = results.values().filter(|result| result["status"] == "active").count();
            data.insert("all_connected".to_owned(), all.into());
            data.insert("timed_out".to_owned(), timed_out.into());
            let enough = all || (arguments.mode == Mode::Any && active > 0);
            let message = match (enough, timed_out) {
                (true, _) => "Connected: go on.",
                (false, true) => "The user has not finished yet. Ask them, then call this again.",
                (false, false) => {
                    "Waiting is of no use: see `reason`, and make new links with \
                     COMPOSIO_MANAGE_CONNECTIONS."
                }
            };
            data.insert("message".to_owned(), message.into());
            data.insert("results".to_owned(), results.into());
            return Ok((data, None));
        }
        tokio::select! {
            () = change => {}
            () = tokio::time::sleep(POLL) => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = context.app.stop.cancelled() => {}
        }
    }
}

/// Where every toolkit stands, whether that decides the waiting, and whether all are connected.
async fn look(
    context: &Context<'_>,
    arguments: &Arguments,
) -> Result<(Map<String, Value>, bool, bool)> {
    let mut results = Map::new();
    let (mut active, mut over) = (0, 0);
    for slug in &arguments.toolkits {
        let (state, result) = one(context, slug).await?;
        match state {
            State::Active => active += 1,
            State::Over => over += 1,
            State::Pending => {}
        }
        results.insert(slug.trim().to_lowercase(), result);
    }
    let count = arguments.toolkits.len();
    let is_decided = match arguments.mode {
        Mode::All => active == count || over > 0,
        Mode::Any => active > 0 || over == count,
    };
    Ok((results, is_decided, active == count))
}

async fn one(context: &Context<'_>, slug: &str) -> Result<(State, Value)> {
    let Context { app, project, session, .. } = *context;
    let toolkit = allowed(app, session, slug)?;
    if needs_none(&toolkit) {
        let reason = "The toolkit needs no connection.";
        return Ok((State::Active, json!({"status": "active", "reason": reason})));
    }
    // The list first, and from the database: an account that becomes active between the two looks is
    // then one that is used, and not one that is active and cannot be used.
    let accounts = accounts(context, &toolkit).await?;
    let look = async || current(app, project, session, &toolkit).await;
    let mut used = look().await?.filter(|used| works(used));
    if let Some(newest) = accounts.first().filter(|newest| works(newest))
        && used.as_ref().is_none_or(|used| used.id != newest.id)
    {
        // Perhaps this server has not heard yet that the person is done.
        app.cache.forget_account(&project.id, &newest.id, &session.user_id);
        used = look().await?.filter(|used| works(used));
    }
    // What was begun last is what is waited for, when it is to replace an account that works; but
    // a link that was left for another one holds nobody up.
    if let Some(newest) = accounts.first()
        && matches!(newest.status, AccountStatus::Initiated | AccountStatus::Initializing)
        && used.as_ref().is_none_or(|used| used.updated_at < newest.created_at)
    {
        let reason = "The user has not finished at the link yet.";
        let result = json!({
            "status": "pending", "connected_account_id": newest.id, "reason": reason,
            "has_active_connection": used.is_some(),
        });
        return Ok((State::Pending, result));
    }
    if let Some(used) = used {
        let result = json!({
            "status": "active", "connected_account_id": used.id, "current_user_info": used.identity,
            "has_active_connection": true,
        });
        return Ok((State::Active, result));
    }
    let Some(newest) = accounts.first() else {
        let reason = "No link was made yet: call COMPOSIO_MANAGE_CONNECTIONS first.";
        return Ok((State::Over, json!({"status": "not_started", "reason": reason})));
    };
    let reason = match (&newest.status_reason, newest.is_disabled) {
        (_, true) => "The account is disabled".to_owned(),
        (Some(reason), _) => reason.clone(),
        (None, _) => format!("The account is {}", newest.status.as_str()),
    };
    let result = json!({
        "status": "failed", "account_status": newest.status,
        "connected_account_id": newest.id, "reason": reason, "has_active_connection": false,
    });
    Ok((State::Over, result))
}
