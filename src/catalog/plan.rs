//! What a tool sends, compiled: one request, or several with conditions.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::Method;
use serde_json::Value;

use super::hosts::Base;
use super::model::{self, BodyKind, Location, Param, ResponseRule};
use super::path::{PathTemplate, Slot};
use super::template::{Expr, Names, Text, Tree};
use super::{Scope, Tool, style};
use crate::config::providers::Provider;

/// One request of a tool.
#[derive(Debug)]
pub struct Step {
    /// Name of its answer in `scope.steps`; empty for a tool with one request.
    pub id: String,
    /// How its answer is read.
    pub rule: ResponseRule,
    pub(super) when: Option<Expr>,
    pub(super) for_each: Option<Expr>,
    pub(super) call: Call,
}

/// A compiled request.
#[derive(Debug)]
pub(super) struct Call {
    pub method: Method,
    pub base: Option<Base>,
    pub path: PathTemplate,
    pub headers: Vec<(String, Text)>,
    pub query: Vec<(String, Tree)>,
    /// Arguments that go somewhere by themselves: name, place, index among the parameters.
    pub placed: Vec<(usize, Location)>,
    pub body: Body,
    /// `Content-Type` of a JSON, text or binary body.
    pub content_type: Option<String>,
    pub timeout: Option<Duration>,
}

/// A compiled body.
#[derive(Debug)]
pub(super) enum Body {
    /// Made of the arguments, if any goes there.
    Args(BodyKind),
    /// A template tree.
    Tree(BodyKind, Tree),
    /// One template.
    Raw { content_type: String, text: Text, delimiters: Option<(String, usize)> },
    /// `{"query", "variables"}`
    GraphQl { query: String, variables: Tree },
}

impl Step {
    /// Whether the request is sent once per element of a list.
    pub fn repeats(&self) -> bool {
        self.for_each.is_some()
    }

    /// Names that its templates ask for, dotted.
    pub(super) fn names(&self) -> HashSet<String> {
        let mut names = self.call.names();
        names.extend(self.when.iter().chain(&self.for_each).flat_map(Expr::names));
        names
    }
}

impl Call {
    fn names(&self) -> HashSet<String> {
        let mut names = self.path.names();
        names.extend(self.headers.iter().flat_map(|(_, text)| text.names()));
        names.extend(self.query.iter().flat_map(|(_, tree)| tree.names()));
        names.extend(self.base.iter().flat_map(Base::names));
        names.extend(match &self.body {
            Body::Args(_) => HashSet::new(),
            Body::Tree(_, tree) | Body::GraphQl { variables: tree, .. } => tree.names(),
            Body::Raw { text, .. } => text.names(),
        });
        names
    }
}

/// Compiles the requests of a tool.
pub(super) fn steps(
    def: &model::Tool,
    toolkit: &model::ToolkitFile,
    provider: Option<&Provider>,
) -> Result<Vec<Step>, Vec<String>> {
    let mut problems = Vec::new();
    let mut steps = Vec::new();
    if let Some(request) = &def.request {
        match call(request, def, true, provider) {
            Ok(call) => steps.push(Step {
                id: String::new(),
                rule: merged(&def.response, &toolkit.response),
                when: None,
                for_each: None,
                call,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    for step in &def.steps {
        let compiled = || -> Result<Step, String> {
            let expr = |text: &Option<String>| text.as_deref().map(Expr::compile).transpose();
            Ok(Step {
                id: step.id.clone(),
                rule: merged(&step.response, &toolkit.response),
                when: expr(&step.when).map_err(|e| format!("when: {e}"))?,
                for_each: expr(&step.for_each).map_err(|e| format!("for_each: {e}"))?,
                call: call(&step.request, def, false, provider)?,
            })
        };
        match compiled() {
            Ok(step) => steps.push(step),
            Err(problem) => problems.push(format!("step `{}`: {problem}", step.id)),
        }
    }
    if problems.is_empty() { Ok(steps) } else { Err(problems) }
}

fn call(
    request: &model::Request,
    def: &model::Tool,
    placing: bool,
    provider: Option<&Provider>,
) -> Result<Call, String> {
    let resolve = |name: &str| match bound(def, name).filter(|_| placing) {
        Some((argument, param)) => {
            let style = param.style.unwrap_or(style::usual(Location::Path));
            Slot::Arg(argument.clone(), style)
        }
        None => Slot::expression(name),
    };
    let texts = |map: &std::collections::BTreeMap<String, String>| -> Result<Vec<_>, String> {
        map.iter()
            .map(|(name, text)| {
                let text = Text::compile(text).map_err(|e| format!("header {name}: {e}"))?;
                Ok((name.clone(), text))
            })
            .collect()
    };
    let query = request
        .query
        .iter()
        .map(|(name, value)| {
            let tree = Tree::compile(value).map_err(|e| format!("query {name}: {e}"))?;
            Ok((name.clone(), tree))
        })
        .collect::<Result<_, String>>()?;
    let base = match &request.base_url {
        Some(text) => Some(Base::compile(text, provider).map_err(|e| format!("base_url: {e}"))?),
        None => None,
    };
    let placed = if placing {
        let places = def.params.0.iter().enumerate();
        places.map(|(i, (name, param))| (i, place(request, name, param))).collect()
    } else {
        Vec::new()
    };
    Ok(Call {
        method: method(request.method),
        base,
        path: PathTemplate::compile(&request.path, resolve)?,
        headers: texts(&request.headers)?,
        query,
        placed,
        body: body(request)?,
        content_type: request.content_type.clone(),
        timeout: request.timeout_s.map(Duration::from_secs),
    })
}

fn body(request: &model::Request) -> Result<Body, String> {
    match (&request.json, &request.raw, &request.graphql) {
        (None, None, None) => Ok(Body::Args(request.body)),
        (Some(json), None, None) => {
            Ok(Body::Tree(request.body, Tree::compile(json).map_err(|e| format!("json: {e}"))?))
        }
        (None, Some(raw), None) => {
            let text = Text::template(&raw.text).map_err(|e| format!("raw: {e}"))?;
            let boundary = raw.content_type.split("boundary=").nth(1).map(|b| {
                let delimiter = format!("--{}", b.trim_matches('"'));
                let count = raw.text.matches(&delimiter).count();
                (delimiter, count)
            });
            let content_type = raw.content_type.clone();
            Ok(Body::Raw { content_type, text, delimiters: boundary })
        }
        (None, None, Some(graphql)) => Ok(Body::GraphQl {
            query: graphql.query.clone(),
            variables: Tree::object(&graphql.variables).map_err(|e| format!("variables: {e}"))?,
        }),
        _ => Err("only one of `json`, `raw` and `graphql` may be there".into()),
    }
}

/// The argument that a placeholder of the one request's path stands for: one that is there for the
/// path, else one of that name.
pub(super) fn bound<'a>(def: &'a model::Tool, placeholder: &str) -> Option<&'a (String, Param)> {
    let params = &def.params.0;
    let called = |(name, param): &&(String, Param)| {
        name == placeholder || param.wire.as_deref() == Some(placeholder)
    };
    let wire =
        |(name, param): &&(String, Param)| param.wire.as_deref().unwrap_or(name) == placeholder;
    let meant = |(_, param): &&(String, Param)| param.location == Some(Location::Path);
    let free = |(_, param): &&(String, Param)| param.location.is_none();
    params
        .iter()
        .filter(meant)
        .find(wire)
        .or_else(|| params.iter().filter(meant).find(called))
        .or_else(|| params.iter().filter(free).find(wire))
        .or_else(|| params.iter().find(called))
}

/// Where an argument of a tool with one request goes.
pub(super) fn place(request: &model::Request, name: &str, param: &Param) -> Location {
    if let Some(location) = param.location {
        return location;
    }
    let in_path = PathTemplate::placeholders(&request.path)
        .iter()
        .any(|known| known == name || param.wire.as_deref() == Some(known));
    if in_path {
        Location::Path
    } else if request.json.is_some() || request.raw.is_some() || request.graphql.is_some() {
        Location::Arg
    } else if matches!(
        request.method,
        model::Method::Get | model::Method::Head | model::Method::Delete
    ) {
        Location::Query
    } else {
        Location::Body
    }
}

pub(super) fn method(method: model::Method) -> Method {
    match method {
        model::Method::Get => Method::GET,
        model::Method::Post => Method::POST,
        model::Method::Put => Method::PUT,
        model::Method::Patch => Method::PATCH,
        model::Method::Delete => Method::DELETE,
        model::Method::Head => Method::HEAD,
        model::Method::Options => Method::OPTIONS,
    }
}

/// `rule` over `usual`, field by field.
pub(super) fn merged(rule: &ResponseRule, usual: &ResponseRule) -> ResponseRule {
    let or = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
    ResponseRule {
        ok: or(&rule.ok, &usual.ok),
        fail_if: or(&rule.fail_if, &usual.fail_if),
        error: if rule.error.is_empty() { usual.error.clone() } else { rule.error.clone() },
        pick: or(&rule.pick, &usual.pick),
        wrap: or(&rule.wrap, &usual.wrap),
        schema: if rule.schema.0.is_empty() { usual.schema.clone() } else { rule.schema.clone() },
        file: rule.file || usual.file,
        next_link: rule.next_link || usual.next_link,
    }
}

fn expr<'a>(
    tool: &'a Tool,
    step: usize,
    which: impl Fn(&'a Step) -> Option<&'a Expr>,
) -> Result<Option<&'a Expr>, String> {
    tool.steps.get(step).map(which).ok_or_else(|| "no such step".into())
}

pub(super) fn when(tool: &Tool, step: usize, scope: &Scope<'_>) -> Result<bool, String> {
    match expr(tool, step, |s| s.when.as_ref())? {
        Some(expr) => expr.is_true(&Names::of_tool(&tool.def.params, scope)),
        None => Ok(true),
    }
}

pub(super) fn for_each(
    tool: &Tool,
    step: usize,
    scope: &Scope<'_>,
) -> Result<Option<Vec<Value>>, String> {
    let Some(expr) = expr(tool, step, |s| s.for_each.as_ref())? else { return Ok(None) };
    match expr.value(&Names::of_tool(&tool.def.params, scope))? {
        Value::Array(items) => Ok(Some(items)),
        Value::Null => Ok(Some(Vec::new())),
        _ => Err(format!("`{expr:?}` gives no list")),
    }
}

pub(super) fn result(tool: &Tool, scope: &Scope<'_>) -> Result<Option<Value>, String> {
    let names = Names::of_tool(&tool.def.params, scope);
    tool.result.as_ref().map(|tree| tree.render(&names, false)).transpose()
}
