//! Golden examples of every tool: arguments, the exact requests that they become, the provider's
//! answers, and the result. `tests/it/catalog/tools/<toolkit>.yaml` has them, read at run time.
//!
//! `UPDATE_TOOLS=1` (or `UPDATE_TOOLS=gmail,slack`) writes the requests and the results anew, and adds an
//! example made up from the definition for tools that have none. What it writes is to be read: the test only
//! holds what somebody found right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use patchbay::catalog::model::{Map2, Schema, SchemaType};
use patchbay::catalog::{Files, Scope, Tool, Toolkit};
use patchbay::domain::outbound::{OutboundBody, OutboundRequest, OutboundResponse, Part};
use patchbay::execute::response::{self, Body};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{built_in, samples};

/// One example.
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    tool: String,
    /// Fields of the connection, where the made up ones will not do.
    #[serde(default)]
    connection: Map<String, Value>,
    arguments: Map<String, Value>,
    /// Every request with its answer, in order.
    #[serde(default)]
    calls: Vec<Call>,
    /// What comes back, or why nothing does.
    #[serde(default)]
    result: Option<Map<String, Value>>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(default)]
    request: Value,
    #[serde(default)]
    answer: Answer,
}

/// What the provider answers: JSON, or a text with its media type.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    text: Option<String>,
}

impl Answer {
    fn response(&self) -> OutboundResponse {
        let (kind, body) = match (&self.body, &self.text) {
            (_, Some(text)) => ("text/plain", text.clone()),
            (Some(body), None) => ("application/json", body.to_string()),
            (None, None) => ("", String::new()),
        };
        let mut headers = axum::http::HeaderMap::new();
        if !kind.is_empty() {
            headers.insert("content-type", kind.parse().unwrap());
        }
        for (name, value) in &self.headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            headers.insert(name, value.as_str().unwrap().parse().unwrap());
        }
        let status = self.status.unwrap_or(if body.is_empty() { 204 } else { 200 });
        OutboundResponse { status, headers, body: body.into() }
    }

    fn written(&self) -> Value {
        let mut all = Map::new();
        if let Some(status) = self.status {
            all.insert("status".into(), status.into());
        }
        if !self.headers.is_empty() {
            all.insert("headers".into(), self.headers.clone().into());
        }
        if let Some(body) = &self.body {
            all.insert("body".into(), body.clone());
        }
        if let Some(text) = &self.text {
            all.insert("text".into(), text.clone().into());
        }
        all.into()
    }
}

/// A request as the files have it. Headers are those besides the toolkit's own.
fn written(request: &OutboundRequest, usual: &[(String, String)]) -> Value {
    let mut all = Map::new();
    all.insert("method".into(), request.method.as_str().into());
    all.insert("url".into(), request.url.as_str().into());
    let headers: Map<String, Value> = request
        .headers
        .iter()
        .filter(|header| !usual.contains(header))
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    if !headers.is_empty() {
        all.insert("headers".into(), headers.into());
    }
    let (key, body) = match &request.body {
        OutboundBody::Empty => return all.into(),
        OutboundBody::Json(value) => ("json", value.clone()),
        OutboundBody::Form(pairs) => ("form", json!(pairs)),
        OutboundBody::Multipart(parts) => ("multipart", parts.iter().map(part).collect()),
        OutboundBody::Raw { content_type, bytes } => {
            let text = String::from_utf8_lossy(bytes);
            ("raw", json!({"content_type": content_type, "text": text}))
        }
    };
    all.insert(key.into(), body);
    all.into()
}

/// A request with its query in one of its spellings: the examples say what is asked, and
/// `wire.rs` how that is written.
fn spelled(request: &Value) -> Value {
    let mut request = request.clone();
    let url = request["url"].as_str().and_then(|url| url.split_once('?'));
    if let Some((path, query)) = url {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        request["url"] = format!("{path}?{query}").into();
    }
    request
}

/// A part of a form: its name and text, and what it has besides.
fn part(part: &Part) -> Value {
    let text = String::from_utf8_lossy(&part.content);
    match (&part.file_name, &part.content_type) {
        (None, None) => json!([part.name, text]),
        (file, kind) => json!([part.name, text, file, kind]),
    }
}

/// What a replay came to.
struct Told {
    calls: Vec<Call>,
    outcome: Result<Map<String, Value>, String>,
    problems: Vec<String>,
}

/// Sends the requests of a tool to nobody, and reads the answers of the example.
fn replay(toolkit: &Toolkit, tool: &Tool, example: &Example) -> Told {
    let mut told = Told { calls: Vec::new(), outcome: Ok(Map::new()), problems: Vec::new() };
    match tool.check_arguments(example.arguments.clone()) {
        Ok(mut args) => {
            let mut conn = samples::connection(toolkit);
            conn.extend(example.connection.clone());
            let files = samples::files(tool, &args);
            tool.put_files(&mut args, &files).unwrap();
            let mut scope = Scope { args: &args, conn, steps: Map::new(), item: None };
            told.outcome = run(toolkit, tool, &mut scope, (&example.calls, &files), &mut told);
        }
        Err(problems) => told.problems = problems,
    }
    if example.calls.len() > told.calls.len() {
        told.problems.push("there are more answers than requests".to_owned());
    }
    told
}

fn run(
    toolkit: &Toolkit,
    tool: &Tool,
    scope: &mut Scope<'_>,
    (calls, files): (&[Call], &Files),
    told: &mut Told,
) -> Result<Map<String, Value>, String> {
    let usual = toolkit.default_headers(&scope.conn).unwrap_or_default();
    let mut answers = calls.iter().map(|call| call.answer.clone());
    let mut last = Value::Null;
    for (i, step) in tool.steps().iter().enumerate() {
        if !tool.when(i, scope)? {
            scope.steps.insert(step.id.clone(), Value::Null);
            continue;
        }
        let items = tool.for_each(i, scope)?;
        let repeats = items.is_some();
        let mut values = Vec::new();
        for item in items.unwrap_or_else(|| vec![Value::Null]) {
            scope.item = repeats.then_some(item);
            let request = tool.render_with(toolkit, i, scope, files)?;
            if !toolkit.allows_host(&scope.conn, &request.url) {
                told.problems.push(format!("{} is no host of the toolkit", request.url));
            }
            let answer = answers.next().unwrap_or_default();
            let read = answer.response();
            told.calls.push(Call { request: written(&request, &usual), answer });
            let stored = |file: response::FileBody| json!({"file": {"name": file.name, "mimetype": file.mimetype, "s3url": "(link)"}});
            let body = match response::read(&read) {
                Body::Value(value) => value,
                Body::File(file) => stored(file),
            };
            let name = &toolkit.file.name;
            let value = response::judge(name, &step.rule, read.status, body);
            let value = value.map_err(|failure| failure.error)?;
            let file = step.rule.file && read.status != 204;
            values.push(if file { stored(response::file(&read)) } else { value });
        }
        scope.item = None;
        last = if repeats { values.into() } else { values.pop().unwrap_or_default() };
        scope.steps.insert(step.id.clone(), last.clone());
    }
    let result = tool.result(scope)?.unwrap_or(last);
    Ok(response::wrap(result, tool.rule.wrap.as_deref()))
}

/// Times and names that the rendering made up are no part of an example.
fn without_chance(value: &mut Value, source: &str) {
    match value {
        Value::String(text) => {
            for (long, mark) in [(24, "(now)"), (32, "(unique)")] {
                let chance = |word: &str| {
                    word.len() == long
                        && !source.contains(word)
                        && if long == 24 {
                            word.ends_with('Z') && word.as_bytes()[10] == b'T'
                        } else {
                            word.chars().all(|c| c.is_ascii_alphanumeric())
                        }
                };
                let words: Vec<String> = text
                    .split(|c: char| !c.is_ascii_alphanumeric() && !"-:.".contains(c))
                    .filter(|word| chance(word))
                    .map(str::to_owned)
                    .collect();
                for word in words {
                    *text = text.replace(&word, mark);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_chance(item, source)),
        Value::Object(fields) => fields.values_mut().for_each(|item| without_chance(item, source)),
        _ => {}
    }
}

/// Whether a result is what the output schema promises; what is absent breaks no promise.
fn fits(schema: &Map2<Schema>, value: &Value, path: &str, problem: &mut impl FnMut(String)) {
    for (name, inner) in &schema.0 {
        if let Some(found) = value.get(name) {
            fits_one(inner, found, &format!("{path}.{name}"), problem);
        }
    }
}

fn fits_one(schema: &Schema, value: &Value, path: &str, problem: &mut impl FnMut(String)) {
    let good = match schema.kind {
        SchemaType::String => value.is_string(),
        SchemaType::Integer => value.is_i64() || value.is_u64(),
        SchemaType::Number => value.is_number(),
        SchemaType::Boolean => value.is_boolean(),
        SchemaType::Array => value.is_array(),
        SchemaType::Object | SchemaType::File => value.is_object(),
    };
    if !good && (!value.is_null() || !schema.nullable) {
        problem(format!("{path} is {value}, not {:?}", schema.kind));
    }
    for (item, inner) in value.as_array().into_iter().flatten().zip(schema.items.iter().cycle()) {
        fits_one(inner, item, &format!("{path}[]"), problem);
    }
    fits(&schema.properties, value, path, problem);
}

/// An example made up from the definition.
fn made_up(tool: &Tool) -> Example {
    let steps = tool.steps();
    let rule = &tool.rule;
    let data = Value::Object(
        rule.schema.0.iter().map(|(name, s)| (name.clone(), samples::value(s, name))).collect(),
    );
    let mut body = data;
    if steps.len() == 1 && !rule.schema.0.is_empty() {
        for key in rule.pick.iter().flat_map(|at| at.rsplit('/').filter(|key| !key.is_empty())) {
            body = json!({key: body});
        }
    }
    if let Some(ok) = &rule.ok {
        let mut slot = &mut body;
        for key in ok.split('/').filter(|key| !key.is_empty()) {
            slot = &mut slot[key];
        }
        *slot = true.into();
    }
    let answer = Answer { status: Some(200), body: Some(body), ..Answer::default() };
    Example {
        tool: tool.slug().to_owned(),
        connection: Map::new(),
        arguments: samples::arguments(tool, true),
        calls: vec![Call { request: Value::Null, answer }],
        result: None,
        error: None,
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/catalog/tools")
}

/// The examples by the name of their file.
fn examples() -> BTreeMap<String, Vec<Example>> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let list = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let slug = name.strip_suffix(".yaml").unwrap_or_else(|| panic!("{name}: not YAML"));
            (slug.to_owned(), list)
        })
        .collect()
}

/// A file of examples: every value on one line.
fn text_of(examples: &[Example]) -> String {
    let mut text = String::new();
    for example in examples {
        writeln!(text, "- tool: {}", example.tool).unwrap();
        if !example.connection.is_empty() {
            writeln!(text, "  connection: {}", json!(example.connection)).unwrap();
        }
        writeln!(text, "  arguments: {}", json!(example.arguments)).unwrap();
        if !example.calls.is_empty() {
            writeln!(text, "  calls:").unwrap();
        }
        for call in &example.calls {
            writeln!(text, "    - request: {}", call.request).unwrap();
            writeln!(text, "      answer: {}", call.answer.written()).unwrap();
        }
        if let Some(result) = &example.result {
            writeln!(text, "  result: {}", json!(result)).unwrap();
        }
        if let Some(error) = &example.error {
            writeln!(text, "  error: {}", json!(error)).unwrap();
        }
    }
    text
}

/// Replays an example and says what is not as it should be; with `update`, makes it so.
fn check(toolkit: &Toolkit, tool: &Tool, example: &mut Example, update: bool) -> Vec<String> {
    let source = text_of(std::slice::from_ref(example));
    let mut told = replay(toolkit, tool, example);
    let mut problems = std::mem::take(&mut told.problems);
    for call in &mut told.calls {
        without_chance(&mut call.request, &source);
    }
    let (mut result, error) = match told.outcome {
        Ok(result) => (Some(Value::Object(result)), None),
        Err(error) => (None, Some(error)),
    };
    if let Some(result) = &mut result {
        without_chance(result, &source);
        let mut say = |text| problems.push(text);
        fits(&tool.rule.schema, result, "data", &mut say);
    }
    let result = result.and_then(|result| result.as_object().cloned());
    if update {
        *example = Example { calls: told.calls, result, error, ..example.clone() };
        return problems;
    }
    if told.calls.len() != example.calls.len() {
        let (made, had) = (told.calls.len(), example.calls.len());
        problems.push(format!("{made} requests instead of {had}"));
    }
    for (made, had) in told.calls.iter().zip(&example.calls) {
        if spelled(&made.request) != spelled(&had.request) {
            problems.push(format!("the request is\n    {}\nnot {}", made.request, had.request));
        }
    }
    if result != example.result {
        problems.push(format!("the result is\n    {}", json!(result)));
    }
    if error != example.error {
        problems.push(format!("the error is {error:?}, not {:?}", example.error));
    }
    problems
}

/// Requests without the headers that a toolkit sends anyway.
fn without_usual(calls: Vec<Call>, usual: &[(String, String)]) -> Vec<Value> {
    let mut requests: Vec<Value> = calls.into_iter().map(|call| call.request).collect();
    for request in &mut requests {
        let headers = request.get_mut("headers").and_then(Value::as_object_mut);
        let Some(headers) = headers else { continue };
        headers.retain(|name, value| !usual.iter().any(|(n, v)| n == name && value == v));
        if headers.is_empty() {
            request.as_object_mut().unwrap().remove("headers");
        }
    }
    requests
}

#[test]
fn a_toolkit_with_the_tools_of_others_sends_what_those_send() {
    let catalog = built_in();
    let examples = examples();
    let all = catalog.toolkit("googlesuper").unwrap();
    let mut replayed = 0;
    for slug in &all.file.tools_of {
        let source = catalog.toolkit(slug).unwrap();
        let usual = source.default_headers(&samples::connection(source)).unwrap();
        for example in &examples[slug] {
            let (_, there) = catalog.tool(&example.tool).unwrap();
            let there = there.open().unwrap();
            let short = there.slug().strip_prefix(&format!("{}_", slug.to_uppercase())).unwrap();
            let whole = format!("GOOGLESUPER_{}", there.slug());
            let here = all.tool(&whole).or_else(|| all.tool(&format!("GOOGLESUPER_{short}")));
            let here = here.unwrap_or_else(|| panic!("{short} is missing")).open().unwrap();
            let (old, new) = (replay(source, &there, example), replay(all, &here, example));
            assert_eq!(old.problems, new.problems, "{}", here.slug());
            let name = |outcome: Result<Map<String, Value>, String>| {
                outcome.map_err(|error| error.replace(&source.file.name, &all.file.name))
            };
            let (mut old_told, mut new_told) = (json!(name(old.outcome)), json!(new.outcome));
            let mut old_calls = Value::from(without_usual(old.calls, &usual));
            let mut new_calls = Value::from(without_usual(new.calls, &usual));
            let known = text_of(std::slice::from_ref(example));
            for value in [&mut old_told, &mut new_told, &mut old_calls, &mut new_calls] {
                without_chance(value, &known);
            }
            assert_eq!(old_calls, new_calls, "{}", here.slug());
            assert_eq!(old_told, new_told, "{}", here.slug());
            replayed += 1;
        }
    }
    assert!(replayed > 200, "{replayed}");
}

#[test]
fn every_tool_sends_and_returns_what_its_examples_say() {
    let wanted = std::env::var("UPDATE_TOOLS").ok();
    let catalog = built_in();
    let mut examples = examples();
    let mut problems = Vec::new();
    for name in examples.keys() {
        if catalog.toolkits().iter().all(|t| t.slug() != name || t.tools.is_empty()) {
            problems.push(format!("{name}.yaml: there is no toolkit with tools of that name"));
        }
    }
    // Those of other toolkits have their examples there.
    for toolkit in catalog.toolkits().iter().filter(|toolkit| toolkit.file.tools_of.is_empty()) {
        let slug = toolkit.slug();
        let update = wanted.as_ref().is_some_and(|wanted| {
            matches!(wanted.as_str(), "1" | "all") || wanted.split(',').any(|name| name == slug)
        });
        let list = examples.entry(slug.to_owned()).or_default();
        let known: BTreeSet<String> = list.iter().map(|example| example.tool.clone()).collect();
        // Functions of the server contact nobody; their own tests have them.
        for tool in &toolkit.tools {
            let tool = tool.open().unwrap();
            if tool.builtin().is_some() {
                continue;
            }
            if known.contains(tool.slug()) {
                continue;
            }
            problems.push(format!("{}: there is no example", tool.slug()));
            if update {
                list.push(made_up(&tool));
            }
        }
        for example in list.iter_mut() {
            let Some(tool) = toolkit.tools.iter().find(|tool| tool.slug() == example.tool) else {
                problems.push(format!("{slug}.yaml: {} is no tool of it", example.tool));
                continue;
            };
            let found = check(toolkit, &tool.open().unwrap(), example, update);
            problems.extend(found.into_iter().map(|text| format!("{}: {text}", tool.slug())));
        }
        if update && !list.is_empty() {
            let at = |slug: &str| toolkit.tools.iter().position(|tool| tool.slug() == slug);
            list.sort_by_key(|example| at(&example.tool));
            std::fs::write(folder().join(format!("{slug}.yaml")), text_of(list)).unwrap();
        }
    }
    let hint = "UPDATE_TOOLS=<toolkit> writes its file anew, to be read before it is committed";
    assert!(problems.is_empty(), "{}\n{hint}", problems.join("\n"));
}
