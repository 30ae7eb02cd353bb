//! Trigger types, compiled: the requests that set them up, and what becomes of what the provider
//! says.
//!
//! The requests are tools that nobody sees: they take the config as arguments and are rendered,
//! sent and read like any other tool.

mod compile;
mod poll;
mod time;
mod webhook;

use serde_json::{Map, Value};

use super::model;
use super::{Scope, Tool};

pub(super) use compile::{calls, compile};
pub use poll::{Fetched, Poll};
pub use time::moment;
pub use webhook::{Found, Greeting, HookCall, Kept, Webhook};

/// A trigger type, checked.
#[derive(Debug)]
pub struct Trigger {
    /// As the file has it; poll triggers have `interval` in their config.
    pub def: model::Trigger,
    /// JSON Schema of the config.
    pub config_schema: Value,
    /// JSON Schema of an event's data.
    pub payload_schema: Value,
    /// How it hears of events.
    pub how: How,
    config: Tool,
}

/// How a trigger hears of events.
#[derive(Debug)]
pub enum How {
    /// The provider calls.
    Webhook(Box<Webhook>),
    /// The provider is asked.
    Poll(Box<Poll>),
}

impl Trigger {
    /// `TOOLKIT_WHAT_HAPPENED`.
    pub fn slug(&self) -> &str {
        &self.def.slug
    }

    /// `webhook` or `poll`.
    pub fn kind(&self) -> &'static str {
        match self.how {
            How::Webhook(_) => "webhook",
            How::Poll(_) => "poll",
        }
    }

    /// Applies aliases, coercion and defaults to a config, then the schema.
    ///
    /// # Errors
    /// One line per problem.
    pub fn check_config(
        &self,
        config: Map<String, Value>,
    ) -> Result<Map<String, Value>, Vec<String>> {
        self.config.check_arguments(config)
    }
}

/// What templates see besides the config: `body`, `hook`, `cursor`, `item`, answers, …
pub type Roots = Map<String, Value>;

fn scope<'a>(args: &'a Map<String, Value>, roots: Roots) -> Scope<'a> {
    Scope { args, conn: Map::new(), steps: roots, item: None }
}
