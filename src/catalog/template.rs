//! Expressions and templates of the definitions, compiled once.
//!
//! Three forms: plain text, a text that is exactly one `{{ expression }}` and keeps the
//! expression's type, and everything else, which renders to text. What is undefined counts as
//! none. There is no loader, and fuel ends a runaway loop.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, Expression, UndefinedBehavior};
use serde_json::{Map, Value};

use super::model::ParamList;
use super::{Scope, filters};

/// Steps of the interpreter that one template may take.
const FUEL: u64 = 2_000_000;
/// Name of the one template in the environment of a [`Text::Template`].
const TEMPLATE: &str = "template";

static ENV: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_fuel(Some(FUEL));
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_formatter(|out, state, value| {
        if value.is_none() || value.is_undefined() {
            return Ok(());
        }
        minijinja::escape_formatter(out, state, value)
    });
    filters::add(&mut env);
    env
});

/// Names of functions that every template may use.
pub(super) fn is_global(name: &str) -> bool {
    ENV.globals().any(|(known, _)| known == name) || name == "loop"
}

/// What a template sees, made when the first expression asks for it.
pub(super) struct Names<'a> {
    args: Option<&'a Map<String, Value>>,
    declared: Option<&'a ParamList>,
    roots: Vec<(&'a str, &'a Map<String, Value>)>,
    steps: Option<&'a Map<String, Value>>,
    item: Option<&'a Value>,
    context: OnceCell<minijinja::Value>,
}

impl<'a> Names<'a> {
    /// For requests of a tool: every declared argument is there, null when absent.
    pub fn of_tool(declared: &'a ParamList, scope: &'a Scope<'_>) -> Self {
        Self {
            args: Some(scope.args),
            declared: Some(declared),
            roots: vec![("conn", &scope.conn)],
            steps: Some(&scope.steps),
            item: scope.item.as_ref(),
            context: OnceCell::new(),
        }
    }

    /// For texts that see the connection only.
    pub fn of_conn(conn: &'a Map<String, Value>) -> Self {
        Self::of_roots(vec![("conn", conn)])
    }

    /// For logins.
    pub fn of_login(
        cred: &'a Map<String, Value>,
        conn: &'a Map<String, Value>,
        values: &'a Map<String, Value>,
    ) -> Self {
        Self { steps: Some(values), ..Self::of_roots(vec![("cred", cred), ("conn", conn)]) }
    }

    /// For the places of credentials.
    pub fn of_roots(roots: Vec<(&'a str, &'a Map<String, Value>)>) -> Self {
        Self {
            args: None,
            declared: None,
            roots,
            steps: None,
            item: None,
            context: OnceCell::new(),
        }
    }

    fn context(&self) -> minijinja::Value {
        self.context.get_or_init(|| self.build()).clone()
    }

    fn build(&self) -> minijinja::Value {
        let value = |v: &Value| minijinja::Value::from(minijinja::value::Serde(v));
        let mut all: Vec<(String, minijinja::Value)> = Vec::new();
        if let Some(args) = self.args {
            let declared = self.declared.map(|d| d.0.as_slice()).unwrap_or_default();
            let filled = declared
                .iter()
                .map(|(name, _)| (name.clone(), args.get(name).map_or(().into(), value)));
            all.push(("args".into(), minijinja::Value::from_pairs(filled)));
        }
        for (name, fields) in &self.roots {
            all.push(((*name).into(), minijinja::Value::from(minijinja::value::Serde(fields))));
        }
        if let Some(item) = self.item {
            all.push(("item".into(), value(item)));
        }
        all.extend(self.steps.into_iter().flatten().map(|(id, v)| (id.clone(), value(v))));
        minijinja::Value::from_pairs(all)
    }
}

/// One expression.
pub(super) enum Expr {
    /// The argument of that name, without the interpreter.
    Arg(String),
    /// Anything else.
    Compiled(Box<Expression<'static, 'static>>, String),
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arg(name) => write!(f, "args.{name}"),
            Self::Compiled(_, source) => f.write_str(source),
        }
    }
}

impl Expr {
    /// Compiles.
    pub fn compile(source: &str) -> Result<Self, String> {
        let source = source.trim();
        if let Some(name) = source.strip_prefix("args.").filter(|rest| is_name(rest)) {
            return Ok(Self::Arg(name.to_owned()));
        }
        match ENV.compile_expression_owned(source.to_owned()) {
            Ok(expression) => Ok(Self::Compiled(Box::new(expression), source.to_owned())),
            Err(e) => Err(message(&e)),
        }
    }

    /// Names that the expression asks for, dotted.
    pub fn names(&self) -> HashSet<String> {
        match self {
            Self::Arg(name) => HashSet::from([format!("args.{name}")]),
            Self::Compiled(expression, _) => expression.undeclared_variables(true),
        }
    }

    /// Its value; what is undefined is null.
    pub fn value(&self, names: &Names<'_>) -> Result<Value, String> {
        match self {
            Self::Arg(name) => {
                Ok(names.args.and_then(|args| args.get(name)).cloned().unwrap_or(Value::Null))
            }
            Self::Compiled(expression, source) => {
                let value = expression
                    .eval(names.context())
                    .map_err(|e| format!("`{}`: {}", shorten(source), message(&e)))?;
                to_json(&value)
            }
        }
    }

    /// Whether it counts as true.
    pub fn is_true(&self, names: &Names<'_>) -> Result<bool, String> {
        Ok(match self.value(names)? {
            Value::Null => false,
            Value::Bool(b) => b,
            Value::Number(n) => n.as_f64() != Some(0.0),
            Value::String(s) => !s.is_empty(),
            Value::Array(a) => !a.is_empty(),
            Value::Object(o) => !o.is_empty(),
        })
    }
}

/// A text with or without templates.
pub(super) enum Text {
    /// No template.
    Literal(String),
    /// Exactly one expression.
    One(Expr),
    /// Mixed; rendered by the one template of its environment.
    Template(Box<Environment<'static>>),
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => write!(f, "{text:?}"),
            Self::One(expr) => write!(f, "{{{{ {expr:?} }}}}"),
            Self::Template(_) => f.write_str("template"),
        }
    }
}

impl Text {
    /// Compiles.
    pub fn compile(source: &str) -> Result<Self, String> {
        if !source.contains("{{") && !source.contains("{%") && !source.contains("{#") {
            return Ok(Self::Literal(source.to_owned()));
        }
        if let Some(inner) =
            source.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
        {
            let inner = inner.strip_prefix('-').unwrap_or(inner);
            let inner = inner.strip_suffix('-').unwrap_or(inner);
            if let Ok(expr) = Expr::compile(inner) {
                return Ok(Self::One(expr));
            }
        }
        Self::template(source)
    }

    /// Compiles as text in any case.
    pub fn template(source: &str) -> Result<Self, String> {
        let mut env = ENV.clone();
        env.add_template_owned(TEMPLATE, source.to_owned()).map_err(|e| message(&e))?;
        Ok(Self::Template(Box::new(env)))
    }

    /// Names that it asks for, dotted.
    pub fn names(&self) -> HashSet<String> {
        match self {
            Self::Literal(_) => HashSet::new(),
            Self::One(expr) => expr.names(),
            Self::Template(env) => env
                .get_template(TEMPLATE)
                .map(|template| template.undeclared_variables(true))
                .unwrap_or_default(),
        }
    }

    /// Its value.
    pub fn value(&self, names: &Names<'_>) -> Result<Value, String> {
        match self {
            Self::Literal(text) => Ok(Value::String(text.clone())),
            Self::One(expr) => expr.value(names),
            Self::Template(env) => env
                .get_template(TEMPLATE)
                .and_then(|template| template.render(names.context()))
                .map(Value::String)
                .map_err(|e| message(&e)),
        }
    }

    /// Its text; none when it comes out as none.
    pub fn text(&self, names: &Names<'_>) -> Result<Option<String>, String> {
        Ok(text_of(self.value(names)?))
    }
}

/// A value as text: lists and objects as JSON, none for null.
pub(super) fn text_of(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// A JSON document whose texts may be templates.
#[derive(Debug)]
pub(super) enum Tree {
    /// The same for every call.
    Const(Value),
    /// A text.
    Text(Text),
    /// A list.
    List(Vec<Tree>),
    /// An object.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Compiles.
    pub fn compile(source: &Value) -> Result<Self, String> {
        Ok(match source {
            Value::String(text) => match Text::compile(text)? {
                Text::Literal(text) => Self::Const(Value::String(text)),
                text => Self::Text(text),
            },
            Value::Array(items) => {
                let items: Vec<Self> = items.iter().map(Self::compile).collect::<Result<_, _>>()?;
                if items.iter().all(Self::is_const) {
                    Self::Const(source.clone())
                } else {
                    Self::List(items)
                }
            }
            Value::Object(fields) => Self::object(fields)?,
            other => Self::Const(other.clone()),
        })
    }

    /// Compiles an object.
    pub fn object(fields: &Map<String, Value>) -> Result<Self, String> {
        let mut compiled = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            if name.contains("{{") || name.contains("{%") {
                return Err(format!("`{name}`: a key cannot be a template"));
            }
            compiled
                .push((name.clone(), Self::compile(value).map_err(|e| format!("{name}: {e}"))?));
        }
        if compiled.iter().all(|(_, tree)| tree.is_const()) {
            return Ok(Self::Const(Value::Object(fields.clone())));
        }
        Ok(Self::Object(compiled))
    }

    fn is_const(&self) -> bool {
        matches!(self, Self::Const(_))
    }

    /// Names that it asks for, dotted.
    pub fn names(&self) -> HashSet<String> {
        match self {
            Self::Const(_) => HashSet::new(),
            Self::Text(text) => text.names(),
            Self::List(items) => items.iter().flat_map(Self::names).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, tree)| tree.names()).collect(),
        }
    }

    /// Renders. With `drop_none`, a template that comes out as none leaves its key out.
    pub fn render(&self, names: &Names<'_>, drop_none: bool) -> Result<Value, String> {
        Ok(match self {
            Self::Const(value) => value.clone(),
            Self::Text(text) => text.value(names)?,
            Self::List(items) => Value::Array(
                items.iter().map(|tree| tree.render(names, drop_none)).collect::<Result<_, _>>()?,
            ),
            Self::Object(fields) => {
                let mut object = Map::with_capacity(fields.len());
                for (name, tree) in fields {
                    let value = tree.render(names, drop_none)?;
                    if drop_none && value.is_null() && !tree.is_const() {
                        continue;
                    }
                    object.insert(name.clone(), value);
                }
                Value::Object(object)
            }
        })
    }
}

/// A minijinja value as JSON.
pub(super) fn to_json(value: &minijinja::Value) -> Result<Value, String> {
    if value.is_undefined() {
        return Ok(Value::Null);
    }
    serde_json::to_value(value).map_err(|e| format!("not a JSON value: {e}"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn shorten(text: &str) -> String {
    let head: String = text.chars().take(60).collect();
    if head.len() < text.len() { format!("{head}…") } else { head }
}

/// What an error says, without the source listing.
fn message(error: &minijinja::Error) -> String {
    let mut text = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
