//! Trigger types: what the provider says becomes events.

use std::collections::BTreeSet;

use patchbay::catalog::Scope;
use patchbay::catalog::model::{Map2, Schema};
use patchbay::catalog::trigger::{Fetched, How, Trigger};
use serde_json::{Map, Value, json};

use super::{built_in, samples};

pub(super) fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

pub(super) fn webhook(trigger: &Trigger) -> &patchbay::catalog::trigger::Webhook {
    match &trigger.how {
        How::Webhook(webhook) => webhook,
        How::Poll(_) => panic!("{} polls", trigger.slug()),
    }
}

#[test]
fn a_push_is_an_event_per_commit() {
    let catalog = built_in();
    let (toolkit, trigger) = catalog.trigger("GITHUB_COMMIT_EVENT").unwrap();
    assert_eq!((toolkit.slug(), trigger.kind()), ("github", "webhook"));
    let args = trigger.check_config(map(json!({"owner": "o", "repo": "r"}))).unwrap();
    assert!(trigger.check_config(map(json!({"owner": "o"}))).is_err());
    let roots = map(json!({
        "headers": {"x-github-event": "push"},
        "body": {"ref": "refs/heads/main", "commits": [
            {"id": "a", "message": "m", "timestamp": "t", "url": "u", "author": {"username": "ann"}},
            {"id": "b", "message": "n", "timestamp": "t", "url": "u", "author": {"name": "Bob"}},
        ]},
    }));
    let found = webhook(trigger).events(trigger, &args, roots).unwrap();
    let told: Vec<(Option<&str>, &Value)> =
        found.iter().map(|f| (f.key.as_deref(), &f.data["author"])).collect();
    assert_eq!(
        told,
        [(Some("a:refs/heads/main"), &json!("ann")), (Some("b:refs/heads/main"), &json!("Bob"))]
    );
    let ping = map(json!({"headers": {"x-github-event": "ping"}, "body": {"zen": "z"}}));
    assert_eq!(webhook(trigger).events(trigger, &args, ping).unwrap(), []);
}

/// An example: what arrives, for which trigger types.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Example {
    triggers: Vec<String>,
    args: Map<String, Value>,
    headers: Map<String, Value>,
    account: Map<String, Value>,
    body: Value,
    cursor: Map<String, Value>,
    answers: Map<String, Value>,
    each: Map<String, Value>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    calls: Vec<Example>,
    polls: Vec<Example>,
}

fn examples() -> Examples {
    serde_saphyr::from_str(include_str!("triggers/examples.yaml")).unwrap()
}

/// Times that are of no example are those at which the test runs.
fn without_now(value: &mut Value, example: &str) {
    match value {
        Value::String(text)
            if text.len() == 24 && text.ends_with('Z') && !example.contains(text.as_str()) =>
        {
            *text = "(now)".to_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_now(item, example)),
        Value::Object(fields) => fields.values_mut().for_each(|item| without_now(item, example)),
        _ => {}
    }
}

/// Whether a value is what a payload schema promises.
fn fits(schema: &Value, value: &Value, path: &str, problem: &mut impl FnMut(String)) {
    if value.is_null() {
        if schema["nullable"] != true {
            problem(format!("{path} is null"));
        }
        return;
    }
    let good = match schema["type"].as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    if !good {
        problem(format!("{path} is {value}, not {}", schema["type"]));
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        problem(format!("{path} is {value}, none of {choices:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(&schema["items"], item, &format!("{path}[]"), problem);
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, inner) in properties {
            let found = fields.get(name).unwrap_or(&Value::Null);
            fits(inner, found, &format!("{path}.{name}"), problem);
        }
        if let Some(more) = fields.keys().find(|name| !properties.contains_key(*name)) {
            problem(format!("{path}.{more} is not in the schema"));
        }
    }
}

fn told(trigger: &Trigger, example: &Example) -> Value {
    let args = trigger
        .check_config(example.args.clone())
        .unwrap_or_else(|e| panic!("{}: {e:?}", trigger.slug()));
    match &trigger.how {
        How::Webhook(webhook) => {
            let roots = map(json!({
                "headers": example.headers,
                "account": example.account,
                "query": {},
                "raw": "",
                "hook": {},
                "body": example.body,
            }));
            let found = webhook.events(trigger, &args, roots).unwrap();
            found.into_iter().map(|f| json!({"key": f.key, "data": f.data})).collect()
        }
        How::Poll(poll) => {
            let mut steps = example.answers.clone();
            steps.insert("cursor".into(), example.cursor.clone().into());
            let scope = Scope { args: &args, conn: Map::new(), steps, item: None };
            let result = poll.fetch.result(&scope).unwrap().unwrap();
            let fetched = Fetched::of(map(result)).unwrap();
            let items: Vec<Value> = fetched
                .items
                .iter()
                .map(|item| {
                    let each = example.each.clone();
                    json!({
                        "id": poll.id(trigger, &args, item).unwrap(),
                        "at": poll.at(trigger, &args, item, each.clone()).unwrap(),
                        "data": poll.data(trigger, &args, item, Some(each)).unwrap(),
                    })
                })
                .collect();
            json!({"items": items, "next": fetched.next, "more": fetched.more})
        }
    }
}

#[test]
fn every_trigger_type_makes_the_documented_data() {
    let catalog = built_in();
    let examples = examples();
    let mut told_by = Map::new();
    let mut problems = Vec::new();
    let mut happened = BTreeSet::new();
    for example in examples.calls.iter().chain(&examples.polls) {
        let source = format!("{example:?}");
        for slug in &example.triggers {
            let (_, trigger) = catalog.trigger(slug).unwrap_or_else(|| panic!("{slug}"));
            let example = Example { args: only(trigger, &example.args), ..clone(example) };
            let mut told = told(trigger, &example);
            without_now(&mut told, &source);
            let events = told.as_array().or(told["items"].as_array()).unwrap();
            for event in events.iter().filter(|event| !event["data"].is_null()) {
                happened.insert(slug.clone());
                let mut say = |text| problems.push(format!("{slug}: {text}"));
                fits(&trigger.payload_schema, &event["data"], "data", &mut say);
            }
            let list = told_by.entry(slug.clone()).or_insert_with(|| json!([]));
            list.as_array_mut().unwrap().push(told);
        }
    }
    let all = catalog.toolkits().iter().flat_map(|t| &t.triggers);
    problems.extend(
        all.filter(|t| !happened.contains(t.slug())).map(|t| format!("{}: no event", t.slug())),
    );
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let mut lines: Vec<String> =
        told_by.iter().map(|(slug, list)| format!("\"{slug}\": {}", spread(list))).collect();
    lines.sort();
    let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/catalog/triggers/expected.json");
    if std::env::var_os("UPDATE_TRIGGERS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    for (new, old) in text.lines().zip(expected.lines()) {
        assert_eq!(new, old, "UPDATE_TRIGGERS=1 writes the file anew");
    }
    assert_eq!(text.lines().count(), expected.lines().count());
}

/// One example a line.
fn spread(list: &Value) -> String {
    let lines: Vec<String> = list.as_array().unwrap().iter().map(|v| format!("  {v}")).collect();
    format!("[\n{}\n]", lines.join(",\n"))
}

/// The part of an example's arguments that a trigger type has.
fn only(trigger: &Trigger, args: &Map<String, Value>) -> Map<String, Value> {
    let known = |name: &str| trigger.def.config.0.iter().any(|(own, _)| own == name);
    args.iter().filter(|(name, _)| known(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

fn clone(example: &Example) -> Example {
    Example {
        triggers: Vec::new(),
        args: Map::new(),
        headers: example.headers.clone(),
        account: example.account.clone(),
        body: example.body.clone(),
        cursor: example.cursor.clone(),
        answers: example.answers.clone(),
        each: example.each.clone(),
    }
}

/// Names that `data` makes, against those of the payload, object by object.
fn same_names(schema: &Map2<Schema>, data: &Value, path: &str, problem: &mut impl FnMut(String)) {
    let Some(made) = data.as_object() else { return };
    if schema.0.is_empty() {
        return;
    }
    for (name, inner) in &schema.0 {
        match made.get(name) {
            Some(value) => same_names(&inner.properties, value, &format!("{path}.{name}"), problem),
            None => problem(format!("{path}.{name} is not made by `data`")),
        }
    }
    for name in made.keys().filter(|name| !schema.0.iter().any(|(known, _)| known == *name)) {
        problem(format!("{path}.{name} is not in `payload`"));
    }
}

#[test]
fn payload_and_data_have_the_same_names() {
    let mut problems = Vec::new();
    let catalog = built_in();
    for trigger in catalog.toolkits().iter().flat_map(|t| &t.triggers) {
        let data = match &trigger.how {
            How::Webhook(webhook) => &webhook.def.data,
            How::Poll(poll) => &poll.def.data,
        };
        let mut say = |text| problems.push(format!("{}: {text}", trigger.slug()));
        same_names(&trigger.def.payload, data, "payload", &mut say);
        if !data.is_object() {
            say("data is no object".to_owned());
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A config with what must be there alone is complete, and has the defaults.
#[test]
fn a_config_of_what_is_required_suffices() {
    let catalog = built_in();
    for trigger in catalog.toolkits().iter().flat_map(|t| &t.triggers) {
        let slug = trigger.slug();
        let args = samples::config(trigger, false);
        let checked = trigger.check_config(args).unwrap_or_else(|e| panic!("{slug}: {e:?}"));
        for (name, param) in &trigger.def.config.0 {
            if let Some(default) = &param.schema.default {
                assert_eq!(checked.get(name), Some(default), "{slug}: {name}");
            }
        }
        assert_eq!(trigger.kind() == "poll", checked.contains_key("interval"), "{slug}");
        let mut more = samples::config(trigger, true);
        trigger.check_config(more.clone()).unwrap_or_else(|e| panic!("{slug}: {e:?}"));
        if more.is_empty() {
            continue;
        }
        let required: Vec<String> = trigger
            .def
            .config
            .0
            .iter()
            .filter(|(_, p)| p.required)
            .map(|(n, _)| n.clone())
            .collect();
        for name in required {
            let taken = more.remove(&name).unwrap();
            assert!(trigger.check_config(more.clone()).is_err(), "{slug}: {name}");
            more.insert(name, taken);
        }
    }
}

/// The first set: names that callers have in their programs.
#[test]
fn the_names_of_the_first_set_are_there() {
    let catalog = built_in();
    let names: Vec<String> =
        include_str!("triggers/names.txt").lines().map(str::to_owned).collect();
    assert!(names.len() >= 40);
    for name in names {
        assert!(catalog.trigger(&name).is_some(), "{name}");
    }
}

/// The bodies that GitHub's own examples have; `scripts/test` fetches them.
#[test]
fn githubs_own_examples_become_the_documented_data() {
    let Some(path) = std::env::var_os("GITHUB_WEBHOOK_EXAMPLES") else { return };
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let catalog = built_in();
    let args = map(json!({"owner": "o", "repo": "r"}));
    let opened = ["opened", "reopened", "closed", "synchronize"];
    let (mut problems, mut seen) = (Vec::new(), BTreeSet::new());
    for group in all.as_array().unwrap() {
        for body in group["examples"].as_array().unwrap() {
            let (name, action) = (group["name"].as_str().unwrap(), body["action"].as_str());
            for (slug, expected) in [
                (
                    "GITHUB_COMMIT_EVENT",
                    match name {
                        "push" => body["commits"].as_array().unwrap().len(),
                        _ => 0,
                    },
                ),
                (
                    "GITHUB_PULL_REQUEST_EVENT",
                    usize::from(name == "pull_request" && opened.contains(&action.unwrap())),
                ),
                (
                    "GITHUB_LABEL_ADDED_EVENT",
                    usize::from(name == "pull_request" && action == Some("labeled")),
                ),
                (
                    "GITHUB_ISSUE_ADDED_EVENT",
                    usize::from(name == "issues" && action == Some("opened")),
                ),
                (
                    "GITHUB_STAR_ADDED_EVENT",
                    usize::from(name == "star" && action == Some("created")),
                ),
            ] {
                let (_, trigger) = catalog.trigger(slug).unwrap();
                let roots = json!({
                    "headers": {"x-github-event": name, "x-github-delivery": "d"}, "body": body,
                });
                let found = webhook(trigger).events(trigger, &args, map(roots)).unwrap();
                assert_eq!(found.len(), expected, "{slug}: {name} {action:?}");
                for event in found {
                    seen.insert(slug);
                    assert!(event.key.is_some());
                    let mut say =
                        |text| problems.push(format!("{slug}: {name} {action:?}: {text}"));
                    fits(&trigger.payload_schema, &event.data, "data", &mut say);
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(seen.len(), 5, "{seen:?}");
}
