//! `COMPOSIO_UPSERT_RECIPE` and `COMPOSIO_GET_RECIPE`: tasks that an agent wrote down to do them
//! again. A recipe is a text for agents, not a program of the server: it is checked when it is
//! written, and whoever repeats it executes its steps as any others.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Answer, Context, Meta, Spec, read};
use crate::catalog::Tool;
use crate::db;
use crate::db::recipe::RecipeRow;
use crate::domain::id::RecipeId;
use crate::domain::time::iso;
use crate::error::{Error, Result, codes};
use crate::session::preview::chars;
use crate::session::{custom, tools};

/// Limits of one recipe, and of one user.
const MAX_NAME: usize = 100;
const MAX_TEXT: usize = 20_000;
const MAX_STEPS: usize = 50;
const MAX_CHARS: usize = 100_000;
const MAX_RECIPES: i64 = 200;

/// Most recipes that are listed.
const LISTED: i64 = 50;

pub(super) fn upsert_spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_UPSERT_RECIPE",
        name: "Save a recipe",
        description: "Writes a task down so that it can be repeated later, in this session or \
            another one of the user: after the task worked, when the user wants it again. Give \
            steps (tool calls in order), guidance in words, or both. In arguments, {{input.city}} \
            stands for an input and {{steps.1.data.id}} for a part of what step 1 gave; a step can \
            only refer to earlier ones. The name of a recipe that exists replaces it and makes a \
            new version. Example: {\"name\": \"Greet\", \"description\": \"Greets a channel\", \
            \"input_schema\": {\"type\": \"object\", \"properties\": {\"channel\": {\"type\": \
            \"string\"}}}, \"steps\": [{\"tool_slug\": \"SLACK_SEND_MESSAGE\", \"arguments\": \
            {\"channel\": \"{{input.channel}}\", \"text\": \"Hello\"}}]}",
        input: json!({
            "type": "object",
            "properties": {
                "recipe_id": {
                    "type": "string",
                    "description": "Id of the recipe to replace; without it the name decides.",
                },
                "name": {"type": "string", "description": "Short name, unique for the user."},
                "description": {"type": "string", "description": "What it does, and when to use it."},
                "input_schema": {
                    "type": "object",
                    "description": "JSON Schema of the inputs: type object, with properties.",
                    "additionalProperties": true,
                },
                "output_schema": {
                    "type": "object",
                    "description": "JSON Schema of what it gives, if that matters.",
                    "additionalProperties": true,
                },
                "steps": {
                    "type": "array",
                    "maxItems": MAX_STEPS,
                    "description": "Tool calls in order; steps.1 is the first.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "tool_slug": {"type": "string", "description": "Slug as a search gave it."},
                            "arguments": {
                                "type": "object",
                                "description": "Arguments, with references where they vary.",
                                "additionalProperties": true,
                            },
                            "description": {"type": "string", "description": "What the step is for."},
                        },
                        "required": ["tool_slug"],
                    },
                },
                "guidance": {
                    "type": "string",
                    "description": "What an agent has to know or decide: conditions, repetitions, \
                        how to present the result.",
                },
                "expected_version": {
                    "type": "integer",
                    "description": "Replace only this version.",
                },
            },
            "required": ["name", "description"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "recipe_id": {"type": "string"},
                "name": {"type": "string"},
                "version": {"type": "integer"},
                "created": {"type": "boolean", "description": "Whether it is a new one."},
            },
        }),
        tags: &["createHint", "updateHint"],
    });
    &SPEC
}

pub(super) fn get_spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_GET_RECIPE",
        name: "Get a recipe",
        description: "Gives a recipe that was written down with COMPOSIO_UPSERT_RECIPE, by its id or \
            name; without both, the list of the user's recipes. To repeat it, put the inputs in \
            the place of {{input.…}}, execute the steps in order and put what they give in the \
            place of {{steps.…}}. Example: {\"name\": \"Greet\"}",
        input: json!({
            "type": "object",
            "properties": {
                "recipe_id": {"type": "string", "description": "Id of the recipe."},
                "name": {"type": "string", "description": "Name of the recipe."},
            },
        }),
        output: json!({
            "type": "object",
            "properties": {
                "recipe": {"type": "object", "additionalProperties": true},
                "recipes": {
                    "type": "array",
                    "description": "Without id and name: id, name, description and version of each.",
                    "items": {"type": "object", "additionalProperties": true},
                },
            },
        }),
        tags: &["readOnlyHint", "idempotentHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Given {
    #[serde(default, alias = "id")]
    recipe_id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    expected_version: Option<i32>,
    #[serde(flatten)]
    body: Body,
}

/// What is stored beside name and description.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_schema: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_schema: Option<Map<String, Value>>,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guidance: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Step {
    #[serde(alias = "slug")]
    tool_slug: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Writes a recipe.
pub(super) async fn upsert(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let mut given: Given = read(upsert_spec().slug, arguments)?;
    given.name = given.name.trim().to_owned();
    let problems = problems(context, &mut given);
    if !problems.is_empty() {
        return Err(Error::invalid("The recipe is not complete or not right", problems).fix(
            "Correct what `errors` lists; COMPOSIO_GET_TOOL_SCHEMAS has the tools' arguments",
        ));
    }
    let (app, project, user) = (context.app, &context.project.id, context.session.user_id.as_str());
    let body = serde_json::to_value(&given.body).map_err(Error::internal)?;
    let mut tx = app.db.begin().await?;
    db::recipe::lock_user(&mut *tx, project, user).await?;
    let named = db::recipe::find(&mut *tx, project, user, None, Some(&given.name)).await?;
    let id = given.recipe_id.as_deref().filter(|id| !id.is_empty());
    let old = match id {
        Some(id) => {
            let old = db::recipe::find(&mut *tx, project, user, Some(id), None).await?;
            Some(old.ok_or_else(|| unknown(id))?)
        }
        None => named.clone(),
    };
    if let (Some(old), Some(named)) = (&old, &named)
        && old.id != named.id
    {
        let problem = format!("name: is that of the recipe {}", named.id);
        return Err(Error::invalid("Another recipe has this name", vec![problem]));
    }
    let version = old.as_ref().map_or(0, |old| old.version);
    if let Some(expected) = given.expected_version.filter(|expected| *expected != version) {
        let message = format!("The recipe is at version {version}, not {expected}");
        return Err(Error::new(codes::SESSION_CONFIG_CONFLICT, message)
            .fix("Read it again with COMPOSIO_GET_RECIPE and repeat the change"));
    }
    if old.is_none() && db::recipe::count(&mut *tx, project, user).await? >= MAX_RECIPES {
        let problem = format!("The user has {MAX_RECIPES} recipes, which is the most");
        return Err(Error::bad_request(problem).fix("Replace one of them by giving its recipe_id"));
    }
    let id = old.as_ref().map_or_else(RecipeId::generate, |old| old.id.clone());
    let (name, text) = (given.name.as_str(), given.description.trim());
    let row = db::recipe::put(&mut *tx, project, user, &id, name, text, &body).await?;
    tx.commit().await?;
    let data = json!({
        "recipe_id": row.id,
        "name": row.name,
        "version": row.version,
        "created": old.is_none(),
    });
    Ok((object(data), None))
}

/// Gives one recipe, or the list of them.
pub(super) async fn get(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    #[derive(Deserialize)]
    struct Wanted {
        #[serde(default, alias = "id")]
        recipe_id: Option<String>,
        #[serde(default)]
        name: Option<String>,
    }
    let wanted: Wanted = read(get_spec().slug, arguments)?;
    let filled = |text: Option<String>| {
        text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let (id, name) = (filled(wanted.recipe_id), filled(wanted.name));
    let (app, project, user) = (context.app, &context.project.id, context.session.user_id.as_str());
    if id.is_none() && name.is_none() {
        let rows = db::recipe::list(&app.db, project, user, LISTED).await?;
        let recipes: Vec<Value> = rows.iter().map(brief).collect();
        return Ok((object(json!({"recipes": recipes})), None));
    }
    let (id, name) = (id.as_deref(), name.as_deref());
    if [id, name].iter().flatten().any(|text| text.contains('\0') || text.len() > 4 * MAX_NAME) {
        return Err(unknown(id.or(name).unwrap_or_default()));
    }
    let row = db::recipe::find(&app.db, project, user, id, name).await?;
    let row = row.ok_or_else(|| unknown(id.or(name).unwrap_or_default()))?;
    let mut recipe = brief(&row);
    if let (Some(recipe), Value::Object(body)) = (recipe.as_object_mut(), row.body.clone()) {
        recipe.extend(body);
    }
    let body: Option<Body> = serde_json::from_value(row.body).ok();
    let steps = body.map(|body| body.steps).unwrap_or_default();
    let missing: Vec<String> = steps
        .into_iter()
        .map(|step| step.tool_slug)
        .filter(|slug| tool(context, slug).is_none())
        .collect();
    if !missing.is_empty() {
        recipe["unavailable_tools"] = missing.into();
    }
    Ok((object(json!({"recipe": recipe})), None))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn brief(row: &RecipeRow) -> Value {
    json!({
        "recipe_id": row.id,
        "name": row.name,
        "description": row.description,
        "version": row.version,
        "updated_at": iso(row.updated_at),
    })
}

fn unknown(id: &str) -> Error {
    Error::not_found(codes::RECIPE_NOT_FOUND, "Recipe", id)
        .fix("List the user's recipes with COMPOSIO_GET_RECIPE, without id and name")
}

/// A tool that the session allows.
fn tool(context: &Context<'_>, slug: &str) -> Option<Arc<Tool>> {
    let (toolkit, tool) = context.app.tool(&context.project.id, slug)?;
    if tools::allows(context.session, &toolkit, &tool) { tool.open().ok() } else { None }
}

/// Everything that is wrong with a recipe; tools get their first name.
fn problems(context: &Context<'_>, given: &mut Given) -> Vec<String> {
    let mut problems = Vec::new();
    let name = given.name.as_str();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        problems.push(format!("name: must be 1 to {MAX_NAME} characters on one line"));
    }
    let text = |what: &str, text: &str, problems: &mut Vec<String>| {
        if text.chars().count() > MAX_TEXT || text.contains('\0') {
            problems.push(format!("{what}: must be at most {MAX_TEXT} characters"));
        }
    };
    if given.description.trim().is_empty() {
        problems.push("description: is required".to_owned());
    }
    text("description", &given.description, &mut problems);
    let body = &mut given.body;
    text("guidance", body.guidance.as_deref().unwrap_or_default(), &mut problems);
    let guidance = body.guidance.as_deref().map_or("", str::trim);
    if body.steps.is_empty() && guidance.is_empty() {
        problems.push("steps: are required, or guidance".to_owned());
    }
    if body.steps.len() > MAX_STEPS {
        problems.push(format!("steps: at most {MAX_STEPS}"));
        return problems;
    }
    if chars(body) > MAX_CHARS {
        problems.push(format!("the recipe: must be at most {MAX_CHARS} characters"));
        return problems;
    }
    for (what, schema) in
        [("input_schema", &body.input_schema), ("output_schema", &body.output_schema)]
    {
        let Some(schema) = schema else { continue };
        if schema.get("type").is_some_and(|kind| kind != "object") {
            problems.push(format!("{what}: must be of type object"));
        }
        if schema.get("properties").is_some_and(|properties| !properties.is_object()) {
            problems.push(format!("{what}.properties: must be an object"));
        }
    }
    let inputs: Vec<String> = body
        .input_schema
        .as_ref()
        .and_then(|schema| schema.get("properties")?.as_object())
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default();
    for (index, step) in body.steps.iter_mut().enumerate() {
        let path = format!("steps[{index}]");
        check_step(context, &path, step, &mut problems);
        for (name, value) in &step.arguments {
            check_references(
                &format!("{path}.arguments.{name}"),
                value,
                &inputs,
                index,
                &mut problems,
            );
        }
    }
    problems.truncate(50);
    problems
}

fn check_step(context: &Context<'_>, path: &str, step: &mut Step, problems: &mut Vec<String>) {
    let shown: String = step.tool_slug.chars().take(100).collect();
    if Meta::of(&step.tool_slug).is_some() || custom::is_local(&step.tool_slug) {
        problems.push(format!(
            "{path}.tool_slug: {shown} is no tool of the catalogue; describe it in guidance"
        ));
        return;
    }
    let Some(tool) = tool(context, &step.tool_slug) else {
        problems.push(format!("{path}.tool_slug: this session has no tool {shown:?}"));
        return;
    };
    step.tool_slug.clone_from(&tool.def.slug);
    let schema = &tool.input_schema;
    if schema["additionalProperties"] != true
        && let Some(known) = schema["properties"].as_object()
    {
        for name in step.arguments.keys().filter(|name| !known.contains_key(name.as_str())) {
            let name: String = name.chars().take(100).collect();
            problems.push(format!("{path}.arguments.{name}: {shown} has no such argument"));
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !step.arguments.contains_key(name) {
            problems.push(format!("{path}.arguments.{name}: is required by {shown}"));
        }
    }
}

/// Checks the references in a value of step number `index`, counted from 0.
fn check_references(
    path: &str,
    value: &Value,
    inputs: &[String],
    index: usize,
    problems: &mut Vec<String>,
) {
    match value {
        Value::String(text) => {
            for reference in references(text) {
                if let Err(problem) = check_reference(reference, inputs, index) {
                    let path: String = path.chars().take(200).collect();
                    problems.push(format!("{path}: {problem}"));
                }
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| check_references(path, item, inputs, index, problems));
        }
        Value::Object(fields) => {
            fields.values().for_each(|item| check_references(path, item, inputs, index, problems));
        }
        _ => {}
    }
}

/// What stands between double braces.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{")
        .skip(1)
        .map(|rest| rest.split_once("}}").map_or(rest, |(inner, _)| inner).trim())
}

fn check_reference(reference: &str, inputs: &[String], index: usize) -> Result<(), String> {
    let shown: String = reference.chars().take(100).collect();
    let mut parts = reference.split('.');
    match (parts.next(), parts.next()) {
        (Some("input"), Some(name)) if inputs.iter().any(|known| known == name) => Ok(()),
        (Some("input"), _) => Err(format!(
            "{{{{{shown}}}}} names no input; input_schema.properties has those there are"
        )),
        (Some("steps"), Some(number)) => match number.parse::<usize>() {
            Ok(number) if (1..=index).contains(&number) => Ok(()),
            _ => Err(format!("{{{{{shown}}}}} names no earlier step; steps.1 is the first")),
        },
        _ => Err(format!("{{{{{shown}}}}} is neither {{{{input.…}}}} nor {{{{steps.…}}}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_to_inputs_and_earlier_steps() {
        let inputs = ["city".to_owned()];
        for good in ["input.city", "input.city.name", "steps.1", "steps.2.data.items.0.id"] {
            assert_eq!(check_reference(good, &inputs, 2), Ok(()), "{good}");
        }
        for bad in ["input", "input.town", "steps", "steps.0", "steps.3", "steps.x", "", "env.HOME"]
        {
            assert!(check_reference(bad, &inputs, 2).is_err(), "{bad}");
        }
        let found: Vec<&str> = references("{{ input.a }} and {{steps.1.b}} {{open").collect();
        assert_eq!(found, ["input.a", "steps.1.b", "open"]);
    }
}
