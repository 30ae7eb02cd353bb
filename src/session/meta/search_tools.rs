//! `COMPOSIO_SEARCH_TOOLS`: the tools for what somebody wants to do, and what else it takes.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{Answer, Context, Spec};
use crate::error::{Error, Result, codes};
use crate::session::search::{MAX_KNOWN_FIELDS, MAX_QUERIES, MAX_USE_CASE, SearchRequest, search};

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_SEARCH_TOOLS",
        name: "Search tools",
        description: "Finds the tools for a task. Call it first for every new task: it gives the tool \
            slugs with their input schemas, a plan with steps and pitfalls, whether each app is \
            connected, what was noted before, and the current time. One query per single step, up \
            to 10 in a call: for \"mail my boss the list of open issues\" ask \"list open issues of a \
            github repository\" and \"send an email with gmail\". Name the app when it is known.",
        input: json!({
            "type": "object",
            "properties": {
                "queries": {
                    "type": "array",
                    "description": "What is to be done, one query for each step that needs a tool.",
                    "minItems": 1,
                    "maxItems": MAX_QUERIES,
                    "items": {
                        "type": "object",
                        "properties": {
                            "use_case": {
                                "type": "string",
                                "description": "One action with its object and the app, without personal \
                                    details, such as \"send an email with gmail\" or \"create an \
                                    issue in a github repository\".",
                                "minLength": 1,
                                "maxLength": MAX_USE_CASE,
                            },
                            "known_fields": {
                                "type": "string",
                                "description": "Values that you know already, as name:value pairs with commas, \
                                    such as \"owner:octocat, repo:hello-world\".",
                                "maxLength": MAX_KNOWN_FIELDS,
                            },
                        },
                        "required": ["use_case"],
                    },
                },
                "session": {
                    "type": "object",
                    "description": "Which task this belongs to: {\"generate_id\": true} for a new one, \
                        {\"id\": \"…\"} with the id of an earlier answer to go on with it.",
                    "properties": {
                        "id": {
                            "type": "string",
                            "description": "The session id of an earlier answer.",
                        },
                        "generate_id": {
                            "type": "boolean",
                            "description": "True to begin a new task.",
                        },
                    },
                },
                "model": {
                    "type": "string",
                    "description": "Your own model name. Optional.",
                },
            },
            "required": ["queries"],
        }),
        output: output(),
        tags: &["readOnlyHint", "idempotentHint"],
    });
    &SPEC
}

fn output() -> Value {
    let texts = |description: &str| json!({"type": "array", "items": {"type": "string"}, "description": description});
    json!({
        "type": "object",
        "properties": {
            "success": {"type": "boolean", "description": "Whether any query found a tool."},
            "error": {"type": "string", "nullable": true, "description": "Why nothing was found."},
            "results": {
                "type": "array",
                "description": "One for each query, in order.",
                "items": {
                    "type": "object",
                    "properties": {
                        "index": {"type": "integer", "description": "Number of the query, from 1."},
                        "use_case": {"type": "string", "description": "The query."},
                        "primary_tool_slugs": texts("Tools that do it, best first."),
                        "related_tool_slugs": texts("Tools needed before, alternatives and usual next ones."),
                        "toolkits": texts("Toolkits of the main tools."),
                        "recommended_plan_steps": texts("What to do, in order."),
                        "known_pitfalls": texts("What goes wrong with these tools."),
                    },
                    "additionalProperties": true,
                },
            },
            "tool_schemas": {
                "type": "object",
                "additionalProperties": true,
                "description": "By tool slug: input_schema, or a schemaRef that says how to get it.",
            },
            "toolkit_connection_statuses": {
                "type": "array",
                "description": "Whether each toolkit is connected, and what to do if not.",
                "items": {"type": "object", "additionalProperties": true},
            },
            "next_steps_guidance": texts("What to do now, in order."),
            "session": {
                "type": "object",
                "additionalProperties": true,
                "description": "Id of the task, for later calls.",
            },
            "time_info": {
                "type": "object",
                "additionalProperties": true,
                "description": "What time it is.",
            },
        },
    })
}

pub(super) async fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let request = SearchRequest::of_model(arguments)?;
    let found = search(context.app, context.session, context.custom, request).await?;
    match serde_json::to_value(found) {
        Ok(Value::Object(data)) => Ok((data, None)),
        _ => Err(Error::new(codes::INTERNAL, "The result of the search cannot be shown")),
    }
}
