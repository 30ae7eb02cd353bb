//! From the file's trigger type to the compiled one, with every problem told.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::super::check;
use super::super::model::{self, PollRule, Step, ToolkitFile, WebhookRule};
use super::super::schema;
use super::super::template::{Expr, Text, Tree};
use super::super::{Tool, Toolkit};
use super::poll::Poll;
use super::webhook::{Handshake, HookCall, Webhook};
use super::{How, Trigger};

/// Makes a tool of a definition; the names are those that the caller of the tool provides.
type MakeTool<'a> =
    &'a dyn Fn(model::Tool, &'static [&'static str]) -> Result<Tool, (String, Vec<String>)>;

/// What a call of the provider has for templates.
const CALL: &[&str] = &["hook", "headers", "query", "body", "raw", "account"];

/// Compiles a trigger type.
pub(in super::super) fn compile(
    mut def: model::Trigger,
    file: &ToolkitFile,
    make: MakeTool<'_>,
) -> Result<Trigger, Vec<String>> {
    let mut problems = Vec::new();
    if def.poll.is_some() && !def.config.0.iter().any(|(name, _)| name == "interval") {
        let interval = json!({"type": "integer", "default": 1, "minimum": 1, "maximum": 10_080,
            "description": "Minutes between two looks at the provider."});
        match serde_json::from_value(interval) {
            Ok(param) => def.config.0.push(("interval".to_owned(), param)),
            Err(e) => problems.push(e.to_string()),
        }
    }
    let mut names =
        Checked { def: &def, conn: check::connection_names(file), problems: &mut problems };
    let how = match (&def.webhook, &def.poll) {
        (Some(rule), None) => webhook(rule, &mut names, make).map(|w| How::Webhook(Box::new(w))),
        (None, Some(rule)) => poll(rule, &mut names, make).map(|p| How::Poll(Box::new(p))),
        _ => {
            names.say("exactly one of `webhook` and `poll` must be there");
            None
        }
    };
    // The config as the arguments of a tool without requests.
    let config =
        bare(&def, "config", &[]).and_then(|tool| make(tool, &["config"]).map_err(|e| e.1));
    match (how, config) {
        (Some(how), Ok(config)) if problems.is_empty() => {
            let mut config_schema = config.input_schema.clone();
            config_schema["title"] = format!("{} config", def.name).into();
            Ok(Trigger {
                payload_schema: schema::object(&format!("{} payload", def.name), &def.payload.0),
                config_schema,
                how,
                config,
                def,
            })
        }
        (_, config) => {
            problems.extend(config.err().into_iter().flatten());
            Err(problems)
        }
    }
}

/// The tools that nobody sees, for the checks that all tools pass.
pub(in super::super) fn calls(trigger: &Trigger) -> Vec<&Tool> {
    match &trigger.how {
        How::Webhook(webhook) => {
            let calls = [&webhook.register, &webhook.renew, &webhook.remove];
            calls.into_iter().flatten().map(|call| &call.tool).collect()
        }
        How::Poll(poll) => std::iter::once(&poll.fetch).chain(&poll.each).collect(),
    }
}

/// A tool with the trigger's config as its arguments.
fn bare(def: &model::Trigger, what: &str, steps: &[Step]) -> Result<model::Tool, Vec<String>> {
    let slug = format!("{} {what}", def.slug);
    let bare = json!({"slug": slug, "name": what, "description": what, "hints": {}});
    let mut tool: model::Tool =
        serde_json::from_value(bare).map_err(|e| vec![format!("{what}: {e}")])?;
    tool.params = def.config.clone();
    tool.steps = steps.to_vec();
    Ok(tool)
}

fn steps(request: &Option<model::Request>, steps: &[Step]) -> Result<Vec<Step>, String> {
    match (request, steps) {
        (Some(request), []) => Ok(vec![Step {
            id: "answer".to_owned(),
            when: None,
            for_each: None,
            request: request.clone(),
            response: model::ResponseRule::default(),
        }]),
        (None, [_, ..]) => Ok(steps.to_vec()),
        _ => Err("exactly one of `request` and `steps` must be there".into()),
    }
}

/// Compiles expressions and notes what they ask for that is not there.
struct Checked<'a> {
    def: &'a model::Trigger,
    conn: BTreeSet<String>,
    problems: &'a mut Vec<String>,
}

impl Checked<'_> {
    fn say(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    fn take<T>(
        &mut self,
        what: &str,
        compiled: Result<T, String>,
        names: impl Fn(&T) -> HashSet<String>,
        known: &[&str],
    ) -> Option<T> {
        match compiled {
            Ok(compiled) => {
                for name in names(&compiled) {
                    let item = known.contains(&"item");
                    if !check::resolves_in(&name, &self.def.config, &self.conn, known, item) {
                        self.say(format!("{what}: `{name}` is not a name that is there"));
                    }
                }
                Some(compiled)
            }
            Err(problem) => {
                self.say(format!("{what}: {problem}"));
                None
            }
        }
    }

    fn expr(&mut self, what: &str, source: &Option<String>, known: &[&str]) -> Option<Expr> {
        let source = source.as_deref()?;
        self.take(what, Expr::compile(source), Expr::names, known)
    }

    fn text(&mut self, what: &str, source: &str, known: &[&str]) -> Option<Text> {
        self.take(what, Text::compile(source), Text::names, known)
    }

    fn tree(&mut self, what: &str, source: &Value, known: &[&str]) -> Option<Tree> {
        self.take(what, Tree::compile(source), Tree::names, known)
    }
}

fn hook_call(
    what: &str,
    call: &Option<model::HookCall>,
    names: &mut Checked<'_>,
    make: MakeTool<'_>,
) -> Option<HookCall> {
    let call = call.as_ref()?;
    let tool = steps(&call.request, &call.steps)
        .map_err(|e| vec![e])
        .and_then(|steps| bare(names.def, what, &steps))
        .and_then(|mut tool| {
            tool.result = Some(json!({"keep": call.keep, "secret": call.keep_secret,
                "expires": call.expires}));
            make(tool, &["hook"]).map_err(|e| e.1)
        });
    match tool {
        Ok(tool) => Some(HookCall { def: call.clone(), tool }),
        Err(found) => {
            found.into_iter().for_each(|p| names.say(format!("{what}: {p}")));
            None
        }
    }
}

fn webhook(rule: &WebhookRule, names: &mut Checked<'_>, make: MakeTool<'_>) -> Option<Webhook> {
    let mut known = CALL.to_vec();
    if rule.for_each.is_some() {
        known.push("item");
    }
    if rule.register.is_none()
        && rule.ingress == model::Ingress::Instance
        && names.def.instructions.trim().is_empty()
    {
        names.say("without `register`, `instructions` must say what a person has to do");
    }
    let mut handshakes = Vec::new();
    for (i, shake) in rule.handshake.iter().enumerate() {
        let what = format!("handshake {}", i + 1);
        let mut headers = Vec::new();
        for (name, source) in &shake.headers {
            headers.extend(names.text(&what, source, CALL).map(|text| (name.clone(), text)));
        }
        if shake.method.is_none() && shake.when.is_none() {
            names.say(format!("{what}: one of `method` and `when` must be there"));
        }
        let keep = Value::Object(shake.keep_secret.clone());
        handshakes.push(Handshake {
            when: names.expr(&what, &shake.when, CALL),
            headers,
            json: shake.json.as_ref().and_then(|json| names.tree(&what, json, CALL)),
            text: shake.text.as_ref().and_then(|text| names.text(&what, text, CALL)),
            keep_secret: names.tree(&what, &keep, CALL)?,
            def: shake.clone(),
        });
    }
    Some(Webhook {
        register: hook_call("register", &rule.register, names, make),
        renew: hook_call("renew", &rule.renew, names, make),
        remove: hook_call("remove", &rule.remove, names, make),
        handshakes,
        when: names.expr("when", &rule.when, &known),
        for_each: names.expr("for_each", &rule.for_each, CALL),
        dedupe: rule.dedupe.as_ref().and_then(|text| names.text("dedupe", text, &known)),
        data: names.tree("data", &rule.data, &known)?,
        def: rule.clone(),
    })
}

fn poll(rule: &PollRule, names: &mut Checked<'_>, make: MakeTool<'_>) -> Option<Poll> {
    let asked = match steps(&rule.request, &rule.steps) {
        Ok(steps) => steps,
        Err(problem) => {
            names.say(problem);
            return None;
        }
    };
    let next = match &rule.cursor {
        model::Cursor::Token { next, .. } => Some(next.clone()),
        model::Cursor::Timestamp { .. } | model::Cursor::Ids { .. } => None,
    };
    let mut result = Map::new();
    result.insert("items".to_owned(), rule.items.clone().into());
    result.insert("next".to_owned(), next.into());
    result.insert("more".to_owned(), rule.more.clone().into());
    let made = |what: &str, steps: &[Step], result: Value, given, names: &mut Checked<'_>| {
        let tool = bare(names.def, what, steps).and_then(|mut tool| {
            tool.result = Some(result);
            make(tool, given).map_err(|e| e.1)
        });
        tool.map_err(|found: Vec<String>| {
            found.into_iter().for_each(|p| names.say(format!("{what}: {p}")));
        })
        .ok()
    };
    let fetch = made("poll", &asked, result.into(), &["cursor"], names);
    let answers: Map<String, Value> = rule
        .each
        .iter()
        .map(|step| (step.id.clone(), Value::String(format!("{{{{ {} }}}}", step.id))))
        .collect();
    let each = if rule.each.is_empty() {
        None
    } else {
        Some(made("each", &rule.each, answers.into(), &["cursor", "item"], names)?)
    };
    let mut known: Vec<&str> = vec!["item", "cursor"];
    let id = names.text("id", &rule.id, &known);
    known.extend(rule.each.iter().map(|step| step.id.as_str()));
    let at = rule.at.as_ref().and_then(|at| names.text("at", at, &known));
    Some(Poll {
        when: names.expr("when", &rule.when, &known),
        data: names.tree("data", &rule.data, &known)?,
        fetch: fetch?,
        each,
        id: id?,
        at,
        def: rule.clone(),
    })
}

impl Toolkit {
    /// A trigger type by slug or alias.
    pub fn trigger(&self, slug: &str) -> Option<&std::sync::Arc<Trigger>> {
        self.triggers
            .iter()
            .find(|t| t.def.slug == slug || t.def.aliases.iter().any(|alias| alias == slug))
    }
}
