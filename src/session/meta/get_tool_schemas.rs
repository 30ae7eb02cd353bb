//! `COMPOSIO_GET_TOOL_SCHEMAS`: the full schemas of tools whose names are known.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Context, Spec, read};
use crate::error::{Error, Result};
use crate::session::tools;

/// Most tools in one call.
const MAX_TOOLS: usize = 20;

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
                    "description": "Slugs exactly as a search gave them, such as GITHUB_CREATE_AN_ISSUE.",
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
            },
        }),
        tags: &["readOnlyHint", "idempotentHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    tool_slugs: Vec<String>,
    #[serde(default)]
    include: Option<Vec<String>>,
}

pub(super) fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let arguments: Arguments = read(spec().slug, arguments)?;
    if !(1..=MAX_TOOLS).contains(&arguments.tool_slugs.len()) {
        let problem = format!("tool_slugs: must name 1 to {MAX_TOOLS} tools");
        return Err(Error::invalid(
            format!("Invalid arguments for {}", spec().slug),
            vec![problem],
        ));
    }
    let wants = |part: &str| match &arguments.include {
        None => part == "input_schema",
        Some(parts) => parts.iter().any(|p| p == part),
    };
    let (mut schemas, mut missing) = (Map::new(), Vec::new());
    for slug in &arguments.tool_slugs {
        let found = context.app.catalog.tool(slug);
        let found = found.filter(|(toolkit, tool)| tools::allows(context.session, toolkit, tool));
        let Some((toolkit, tool)) = found else {
            missing.push(Value::from(slug.chars().take(100).collect::<String>()));
            continue;
        };
        let mut shown = json!({
            "tool_slug": slug,
            "toolkit": toolkit.file.slug,
            "description": tool.def.description.trim(),
            "hasFullSchema": true,
        });
        if wants("input_schema") {
            shown["input_schema"] = tool.input_schema.clone();
        }
        if wants("output_schema") {
            shown["output_schema"] = tool.output_schema.clone();
        }
        schemas.insert(slug.clone(), shown);
    }
    let error = schemas.is_empty().then(|| {
        "None of these tools exists in this session. Find tools with COMPOSIO_SEARCH_TOOLS"
            .to_owned()
    });
    let mut data = Map::new();
    data.insert("tool_schemas".to_owned(), schemas.into());
    data.insert("not_found".to_owned(), missing.into());
    Ok((data, error))
}
