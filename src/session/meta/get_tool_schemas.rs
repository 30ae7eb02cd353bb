//! `COMPOSIO_GET_TOOL_SCHEMAS`: the full schemas of tools whose names are known.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{Answer, Context, Meta, Spec};
use crate::error::{Error, Result};
use crate::session::custom::CustomTool;
use crate::session::tools;

/// Most tools in one call.
const MAX_TOOLS: usize = 20;

/// Most slugs that are offered in the place of an unknown one.
const NEAREST: usize = 3;

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_GET_TOOL_SCHEMAS",
        name: "Get tool schemas",
        description: "Gives the complete schemas of tools whose slugs you know already, for example \
            from an earlier COMPOSIO_SEARCH_TOOLS that showed a schemaRef in place of a schema. \
            Never guess a slug: search first. Call it before executing a tool whose arguments you \
            have not seen in full.",
        input: json!({
            "type": "object",
            "properties": {
                "tool_slugs": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 1,
                    "maxItems": MAX_TOOLS,
                    "description": "Slugs exactly as a search gave them, such as \
                        [\"GITHUB_CREATE_AN_ISSUE\", \"GMAIL_SEND_EMAIL\"].",
                },
                "include": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["input_schema", "output_schema"]},
                    "default": ["input_schema"],
                    "description": "Which schemas to give. Ask for output_schema only when you need \
                        to know the fields of the result beforehand.",
                },
                "session_id": {
                    "type": "string",
                    "description": "The session id of the search, when it gave one.",
                },
            },
            "required": ["tool_slugs"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "tool_schemas": {
                    "type": "object",
                    "description": "Schemas by tool slug.",
                    "additionalProperties": true,
                },
                "not_found": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Slugs that this session does not have.",
                },
                "did_you_mean": {
                    "type": "object",
                    "description": "For each slug that was not found, those that are nearest to it.",
                    "additionalProperties": true,
                },
            },
        }),
        tags: &["readOnlyHint", "idempotentHint"],
    });
    &SPEC
}

/// Texts of a list that may have come as one text, or as the JSON of a list.
fn texts(given: Value) -> Option<Vec<String>> {
    match given {
        Value::String(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str(&text).ok()
        }
        Value::String(text) => {
            Some(text.split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect())
        }
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Some(text.trim().to_owned()),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// Reads the arguments: slugs, and whether input and output schemas are wanted.
fn arguments(mut given: Map<String, Value>) -> Result<(Vec<String>, [bool; 2])> {
    let wrong = |problem: String| {
        Error::invalid(format!("Invalid arguments for {}", spec().slug), vec![problem])
            .fix("Correct the arguments as the tool's input schema says and call again")
    };
    let slugs = given.remove("tool_slugs").and_then(texts);
    let slugs = slugs.ok_or_else(|| wrong("tool_slugs: must be a list of texts".to_owned()))?;
    if !(1..=MAX_TOOLS).contains(&slugs.len()) {
        return Err(wrong(format!("tool_slugs: must name 1 to {MAX_TOOLS} tools")));
    }
    let parts = match given.remove("include").filter(|given| !given.is_null()) {
        None => vec!["input_schema".to_owned()],
        Some(given) => texts(given)
            .filter(|all| all.iter().all(|p| p == "input_schema" || p == "output_schema"))
            .ok_or_else(|| wrong("include: a list of input_schema and output_schema".to_owned()))?,
    };
    let wants = |part: &str| parts.iter().any(|wanted| wanted == part);
    Ok((slugs, [wants("input_schema"), wants("output_schema")]))
}

pub(super) fn run(context: &Context<'_>, given: Map<String, Value>) -> Result<Answer> {
    let (slugs, wanted) = arguments(given)?;
    let (mut schemas, mut missing, mut nearest) = (Map::new(), Vec::new(), Map::new());
    for slug in slugs {
        if let Some(shown) = shown(context, &slug, wanted) {
            schemas.insert(slug, shown);
            continue;
        }
        let slug: String = slug.chars().take(100).collect();
        let near = near(context, &slug);
        if !near.is_empty() {
            nearest.insert(slug.clone(), near.into());
        }
        missing.push(Value::from(slug));
    }
    let error = schemas.is_empty().then(|| {
        "None of these tools exists in this session. Find tools with COMPOSIO_SEARCH_TOOLS"
            .to_owned()
    });
    let mut data = Map::new();
    data.insert("tool_schemas".to_owned(), schemas.into());
    data.insert("not_found".to_owned(), missing.into());
    if !nearest.is_empty() {
        data.insert("did_you_mean".to_owned(), nearest.into());
    }
    Ok((data, error))
}

/// A tool of the session with its schemas: of the catalogue, of the caller's own, or a meta tool.
fn shown(context: &Context<'_>, slug: &str, wanted: [bool; 2]) -> Option<Value> {
    let session = context.session;
    if let Some(own) = context.custom.tool(slug) {
        return Some(custom(own, wanted));
    }
    let upper = slug.to_uppercase();
    if let Some(meta) = Meta::of(&upper).filter(|meta| meta.is_offered(session)) {
        let spec = meta.spec();
        return Some(view(
            spec.slug,
            crate::session::TOOLKIT,
            spec.description,
            [wanted[0].then_some(&spec.input), wanted[1].then_some(&spec.output)],
        ));
    }
    let catalog = context.app.catalog(&context.project.id);
    let found = catalog.tool(slug).or_else(|| catalog.tool(&upper));
    let (toolkit, tool) = found.filter(|(toolkit, tool)| tools::allows(session, toolkit, tool))?;
    let opened = tool.open().ok()?;
    Some(view(
        if tool.def.aliases.iter().any(|alias| alias == slug) { slug } else { tool.slug() },
        toolkit.slug(),
        tool.def.description.trim(),
        [wanted[0].then_some(&opened.input_schema), wanted[1].then_some(&opened.output_schema)],
    ))
}

fn custom(tool: &CustomTool, wanted: [bool; 2]) -> Value {
    let output = tool.output_schema.as_ref();
    view(
        &tool.slug,
        tool.toolkit(),
        &tool.description,
        [wanted[0].then_some(&tool.input_schema), output.filter(|_| wanted[1])],
    )
}

fn view(slug: &str, toolkit: &str, description: &str, schemas: [Option<&Value>; 2]) -> Value {
    let mut shown = json!({
        "tool_slug": slug,
        "toolkit": toolkit,
        "description": description,
        "hasFullSchema": schemas[0].is_some(),
    });
    for (name, schema) in ["input_schema", "output_schema"].iter().zip(schemas) {
        if let Some(schema) = schema {
            shown[name] = schema.clone();
        }
    }
    shown
}

/// Tools of the session whose names are nearest to one that it does not have.
fn near(context: &Context<'_>, slug: &str) -> Vec<String> {
    let searcher = context.app.search.of(&context.project.id);
    let query = searcher.query(slug);
    let found = searcher
        .find(&query, NEAREST, |toolkit, tool| tools::allows(context.session, toolkit, tool));
    found.iter().map(|found| found.tool.slug().to_owned()).collect()
}
