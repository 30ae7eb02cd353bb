//! Triggers that the provider calls.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::model::{self, HookCall as CallDef, WebhookRule};
use super::super::template::{Expr, Names, Text, Tree};
use super::{Roots, Tool, Trigger, scope};

/// See the module.
#[derive(Debug)]
pub struct Webhook {
    /// As the file has it.
    pub def: WebhookRule,
    /// Makes the provider call.
    pub register: Option<HookCall>,
    /// Keeps that from ending.
    pub renew: Option<HookCall>,
    /// Makes the provider stop.
    pub remove: Option<HookCall>,
    pub(super) handshakes: Vec<Handshake>,
    pub(super) when: Option<Expr>,
    pub(super) for_each: Option<Expr>,
    pub(super) dedupe: Option<Text>,
    pub(super) data: Tree,
}

/// A call to the provider that concerns the hook itself.
#[derive(Debug)]
pub struct HookCall {
    /// As the file has it.
    pub def: CallDef,
    /// Its requests; the result is what [`Kept::of`] reads.
    pub tool: Tool,
}

/// What is kept of the answers to a hook's call.
#[derive(Debug, Default)]
pub struct Kept {
    /// Shown to later templates as `hook.<name>`.
    pub plain: Map<String, Value>,
    /// Only for `verify`.
    pub secret: Map<String, Value>,
    /// When the registration ends, as the provider wrote it.
    pub expires: Option<Value>,
}

impl Kept {
    /// Reads the result of a [`HookCall`]'s tool.
    pub fn of(mut result: Map<String, Value>) -> Self {
        let mut map = |name: &str| match result.remove(name) {
            Some(Value::Object(map)) => map.into_iter().filter(|(_, v)| !v.is_null()).collect(),
            _ => Map::new(),
        };
        let (plain, secret) = (map("keep"), map("secret"));
        let expires = result.remove("expires").filter(|value| !value.is_null());
        Self { plain, secret, expires }
    }
}

#[derive(Debug)]
pub(super) struct Handshake {
    pub def: model::Handshake,
    pub when: Option<Expr>,
    pub headers: Vec<(String, Text)>,
    pub json: Option<Tree>,
    pub text: Option<Text>,
    pub keep_secret: Tree,
}

/// The answer to a call that is no event.
#[derive(Debug)]
pub struct Greeting {
    /// Whether the call must pass `verify` first.
    pub verified: bool,
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// JSON body.
    pub json: Option<Value>,
    /// Plain text body.
    pub text: Option<String>,
    /// Secrets that the call brought.
    pub secrets: Map<String, Value>,
}

/// An event in a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What tells it from others; none when the definition does not say.
    pub key: Option<String>,
    /// Its data.
    pub data: Value,
}

impl Webhook {
    /// The answer to a call that is a handshake; none when it is not. `roots` are `hook`,
    /// `headers`, `query`, `body` and `raw`.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn greeting(
        &self,
        trigger: &Trigger,
        method: &str,
        args: &Map<String, Value>,
        roots: &Roots,
    ) -> Result<Option<Greeting>, String> {
        let scope = scope(args, roots.clone());
        let names = Names::of_tool(&trigger.def.config, &scope);
        for shake in &self.handshakes {
            if shake.def.method.as_ref().is_some_and(|m| !m.eq_ignore_ascii_case(method)) {
                continue;
            }
            if let Some(when) = &shake.when
                && !when.is_true(&names)?
            {
                continue;
            }
            let mut headers = BTreeMap::new();
            for (name, text) in &shake.headers {
                if let Some(value) = text.text(&names)? {
                    headers.insert(name.clone(), value);
                }
            }
            let secrets = match shake.keep_secret.render(&names, true)? {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            return Ok(Some(Greeting {
                verified: shake.def.verified,
                status: shake.def.status,
                headers,
                json: shake.json.as_ref().map(|t| t.render(&names, false)).transpose()?,
                text: match &shake.text {
                    Some(text) => Some(text.text(&names)?.unwrap_or_default()),
                    None => None,
                },
                secrets,
            }));
        }
        Ok(None)
    }

    /// The events of a call, in the order in which it names them. `roots` as for a greeting; for an
    /// app's URL `account` besides.
    ///
    /// # Errors
    /// A template that cannot be rendered.
    pub fn events(
        &self,
        trigger: &Trigger,
        args: &Map<String, Value>,
        roots: Roots,
    ) -> Result<Vec<Found>, String> {
        let mut scope = scope(args, roots);
        let items = match &self.for_each {
            None => vec![None],
            Some(expr) => match expr.value(&Names::of_tool(&trigger.def.config, &scope))? {
                Value::Array(items) => items.into_iter().map(Some).collect(),
                Value::Null => Vec::new(),
                one => vec![Some(one)],
            },
        };
        let mut found = Vec::new();
        for item in items {
            scope.item = item;
            let names = Names::of_tool(&trigger.def.config, &scope);
            if let Some(when) = &self.when
                && !when.is_true(&names)?
            {
                continue;
            }
            let key = match &self.dedupe {
                Some(text) => text.text(&names)?.filter(|key| !key.is_empty()),
                None => None,
            };
            found.push(Found { key, data: self.data.render(&names, false)? });
        }
        Ok(found)
    }
}
