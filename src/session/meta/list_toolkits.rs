//! `COMPOSIO_LIST_TOOLKITS`: which apps the session has.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Context, Spec, read};
use crate::catalog::Toolkit;
use crate::error::{Error, Result};
use crate::search::words::Words;
use crate::session::{search, tools};

/// Most toolkits of one answer.
const MAX_SIZE: usize = 50;

/// Longest description, in characters.
const MAX_TEXT: usize = 160;

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_LIST_TOOLKITS",
        name: "List toolkits",
        description: "Lists the apps (toolkits) whose tools this session has, and whether each is \
            connected. Call it when somebody asks which apps there are or are connected, or when a \
            search found nothing. To find tools for a task use COMPOSIO_SEARCH_TOOLS.",
        input: json!({
            "type": "object",
            "properties": {
                "name_filter": {
                    "type": "string",
                    "description": "Words of the name or description of the app, such as calendar.",
                },
                "category": {
                    "type": "string",
                    "description": "A category, such as developer-tools.",
                },
                "connected_only": {
                    "type": "boolean",
                    "default": false,
                    "description": "Only apps that can be used at once.",
                },
                "size": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_SIZE,
                    "default": 20,
                    "description": "How many to list at most.",
                },
            },
        }),
        output: json!({
            "type": "object",
            "properties": {
                "toolkits": {
                    "type": "array",
                    "description": "The apps.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "slug": {"type": "string", "description": "Slug, for other tools."},
                            "name": {"type": "string", "description": "Name."},
                            "description": {"type": "string", "description": "What it is."},
                            "categories": {
                                "type": "array",
                                "items": {"type": "string"},
                                "description": "Its categories.",
                            },
                            "tools_count": {
                                "type": "integer",
                                "description": "Number of tools that this session has of it.",
                            },
                            "has_active_connection": {
                                "type": "boolean",
                                "description": "Whether its tools can be executed now.",
                            },
                        },
                    },
                },
                "total": {"type": "integer", "description": "Number of apps that fit."},
            },
        }),
        tags: &["readOnlyHint", "idempotentHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    #[serde(default, alias = "search", alias = "query")]
    name_filter: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    connected_only: Option<bool>,
    #[serde(default, alias = "limit")]
    size: Option<i64>,
}

fn fits(toolkit: &Toolkit, category: &str) -> bool {
    let plain = |text: &str| text.trim().to_lowercase().replace([' ', '_'], "-");
    toolkit.file.categories.iter().any(|own| plain(own) == plain(category))
}

pub(super) async fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let Arguments { name_filter, category, connected_only, size } = read(spec().slug, arguments)?;
    let size = match size {
        None => 20,
        Some(size) => {
            usize::try_from(size).ok().filter(|n| (1..=MAX_SIZE).contains(n)).ok_or_else(|| {
                let problem = format!("size: must be 1 to {MAX_SIZE}");
                Error::invalid(format!("Invalid arguments for {}", spec().slug), vec![problem])
            })?
        }
    };
    let (app, session) = (context.app, context.session);
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let category = given(&category);
    let catalog = app.catalog(&session.project_id);
    let mut fitting: Vec<(&Arc<Toolkit>, usize)> = catalog
        .toolkits()
        .iter()
        .filter(|toolkit| session.config.allows_toolkit(toolkit.slug()))
        .filter(|toolkit| category.as_ref().is_none_or(|category| fits(toolkit, category)))
        .map(|toolkit| {
            let allowed = toolkit.tools.iter().filter(|tool| tools::allows(session, toolkit, tool));
            (toolkit, allowed.count())
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    if let Some(words) = given(&name_filter) {
        fitting = Words::of(&words).rank(fitting, |(toolkit, _)| toolkit);
    }
    let slugs: BTreeSet<&str> = fitting.iter().map(|(toolkit, _)| toolkit.slug()).collect();
    let connections = search::Connections::load(app, session, &slugs).await?;
    let works = |toolkit: &Toolkit| connections.works(session, toolkit);
    if connected_only.unwrap_or(false) {
        fitting.retain(|(toolkit, _)| works(toolkit));
    } else if name_filter.is_none() {
        fitting.sort_by_key(|(toolkit, _)| !works(toolkit));
    }
    let total = fitting.len();
    let shown = fitting.iter().take(size).map(|(toolkit, count)| {
        json!({
            "slug": toolkit.slug(),
            "name": toolkit.file.name,
            "description": first_sentence(&toolkit.file.description),
            "categories": toolkit.file.categories,
            "tools_count": count,
            "has_active_connection": works(toolkit),
        })
    });
    let mut data = Map::new();
    data.insert("toolkits".to_owned(), shown.collect());
    data.insert("total".to_owned(), total.into());
    Ok((data, None))
}

fn first_sentence(text: &str) -> String {
    let text = text.trim();
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].chars().take(MAX_TEXT).collect()
}
