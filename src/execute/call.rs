//! Requests of the server's own with an account's credentials: polls, and the calls that set a
//! provider's hooks up. They are sent and read like those of a tool; nothing is logged.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::access::Access;
use super::exchange::Exchange;
use super::steps::Run;
use crate::app::App;
use crate::catalog::{Files, Tool, Toolkit};
use crate::domain::connection::{Account, AuthConfig};
use crate::error::Result;

/// What a call came to.
#[derive(Debug)]
pub struct Answered {
    /// The result of the tool, or in words without secrets why there is none.
    pub outcome: std::result::Result<Map<String, Value>, String>,
    /// Status of the provider's last answer; none when it gave none.
    pub status: Option<u16>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// Sends the requests of `tool` with an account's credentials. `args` were checked before; `given`
/// is what its templates see besides (`hook`, `cursor`, …).
///
/// # Errors
/// When nothing was sent: a token that is not to be had, or a request that cannot be made.
pub async fn call(
    app: &App,
    toolkit: &Toolkit,
    tool: &Tool,
    (account, config): (Arc<Account>, Arc<AuthConfig>),
    args: &Map<String, Value>,
    given: Map<String, Value>,
) -> Result<Answered> {
    let project = account.project_id.clone();
    let exchange = Exchange::begin(app, toolkit, Access::Account(account, config), None).await?;
    let files = Files::new();
    let run = Run { app, project: &project, toolkit, tool, exchange: &exchange, given, files };
    let outcome = run.all(args).await?;
    let secrets = exchange.secrets();
    Ok(Answered {
        outcome: outcome.map_err(|failure| secrets.clean(failure.error)),
        status: exchange.status().and_then(|status| u16::try_from(status).ok()),
        retry_after: exchange.retry_after(),
    })
}
