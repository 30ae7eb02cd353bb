//! The calls that are made when an account is connected: `verify` and `identity`, compiled.

use serde_json::{Map, Value, json};

use super::model::{self, AuthScheme, Refused, Request, Step, ToolkitFile};
use super::{Scope, Tool, Toolkit};
use crate::domain::identity::Identity;
use crate::domain::outbound::OutboundRequest;
use crate::domain::scheme::AuthSchemeKind;

/// Longest part of an identity that is kept.
const MAX_TEXT: usize = 200;

/// The calls of one scheme.
#[derive(Debug, Default)]
pub struct Probes {
    /// Whether the credentials are good; none when the identity says it, or nothing does.
    pub verify: Option<Probe>,
    /// Whose they are.
    pub identity: Option<Probe>,
}

/// One call.
#[derive(Debug)]
pub struct Probe {
    tool: Tool,
    refused: Option<Refused>,
    id: Vec<String>,
    label: Vec<String>,
    email: Vec<String>,
}

/// What is wrong with a definition: the name of the call, and the problems.
type Problems = (String, Vec<String>);

impl Probes {
    /// Compiles the calls of a scheme, its own or the toolkit's. `compile` makes a tool of a
    /// definition.
    pub(super) fn compile(
        file: &ToolkitFile,
        scheme: &AuthScheme,
        compile: impl Fn(model::Tool) -> Result<Tool, Problems>,
    ) -> Result<Self, Problems> {
        if scheme.scheme == AuthSchemeKind::NoAuth {
            return Ok(Self::default());
        }
        let mut probes = Self::default();
        if let Some(call) = scheme.verify.as_ref().or(file.verify.as_ref()) {
            probes.verify = Some(Probe {
                tool: compile(definition("verify", &call.request)?)?,
                refused: Some(call.refused.clone()),
                id: Vec::new(),
                label: Vec::new(),
                email: Vec::new(),
            });
        }
        if let Some(call) = scheme.identity.as_ref().or(file.identity.as_ref()) {
            let pointers = call.id.iter().chain(&call.label).chain(&call.email);
            let wrong: Vec<String> = pointers
                .chain(&call.refused.at)
                .filter(|pointer| !pointer.starts_with('/'))
                .map(|pointer| format!("`{pointer}` is no JSON pointer: it starts with a slash"))
                .collect();
            if !wrong.is_empty() {
                return Err(("identity".to_owned(), wrong));
            }
            let proves = call.proves && probes.verify.is_none();
            probes.identity = Some(Probe {
                tool: compile(definition("identity", &call.request)?)?,
                refused: proves.then(|| call.refused.clone()),
                id: call.id.clone(),
                label: call.label.clone(),
                email: call.email.clone(),
            });
        }
        Ok(probes)
    }

    /// The tools that the calls were made into, for the checks that all tools pass.
    pub(super) fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.verify.iter().chain(&self.identity).map(|probe| &probe.tool)
    }
}

/// A call as a tool with one step, whose templates see the connection and nothing else.
fn definition(name: &str, request: &Request) -> Result<model::Tool, Problems> {
    let bare = json!({"slug": name, "name": name, "description": name,
        "hints": {}});
    let mut tool: model::Tool =
        serde_json::from_value(bare).map_err(|e| (name.to_owned(), vec![e.to_string()]))?;
    tool.steps.push(Step {
        id: "answer".to_owned(),
        when: None,
        for_each: None,
        request: request.clone(),
        response: model::ResponseRule::default(),
    });
    Ok(tool)
}

impl Probe {
    /// The request, without credentials.
    ///
    /// # Errors
    /// A field of the connection that is missing.
    pub fn request(
        &self,
        toolkit: &Toolkit,
        conn: Map<String, Value>,
    ) -> Result<OutboundRequest, String> {
        let args = Map::new();
        let scope = Scope { args: &args, conn, steps: Map::new(), item: None };
        self.tool.render(toolkit, 0, &scope)
    }

    /// Whether an answer means that the credentials are wrong.
    pub fn refuses(&self, status: u16, body: &Value) -> bool {
        let Some(refused) = &self.refused else { return false };
        let code = refused.at.as_deref().and_then(|at| body.pointer(at)).and_then(Value::as_str);
        refused.status.contains(&status)
            || code.is_some_and(|code| refused.values.iter().any(|value| value == code))
    }

    /// Whose account the answer is about; none when it does not say.
    pub fn identity(&self, body: &Value) -> Option<Identity> {
        let find =
            |pointers: &[String]| pointers.iter().filter_map(|at| body.pointer(at)).find_map(text);
        let identity =
            Identity { id: find(&self.id), label: find(&self.label), email: find(&self.email) };
        (!identity.is_empty()).then_some(identity)
    }
}

/// A text or number as one line.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let line: String = text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}
