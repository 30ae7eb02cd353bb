//! Tools that the caller's own process runs. The server searches and describes them, and never
//! executes one.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::catalog::Catalog;
use crate::domain::session::{Session, SessionConfig};
use crate::error::{Error, Result, codes};

/// What every slug of such a tool begins with.
pub const PREFIX: &str = "LOCAL_";

/// Longest slug, prefix and toolkit included.
const MAX_SLUG: usize = 60;

/// Most tools of one request.
const MAX_TOOLS: usize = 200;

/// Longest description.
const MAX_DESCRIPTION: usize = 8 * 1024;

/// A tool as callers describe it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct GivenTool {
    /// Slug without prefix: letters, digits, underscores and hyphens.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// What it does, for search and for the model.
    pub description: String,
    /// JSON Schema of the arguments, of type object.
    #[schema(value_type = Object)]
    pub input_schema: Value,
    /// JSON Schema of the result.
    #[schema(value_type = Option<Object>)]
    pub output_schema: Option<Value>,
    /// Toolkit of the catalogue whose connection the tool uses; not within a custom toolkit.
    pub extends_toolkit: Option<String>,
    /// Whether the caller lists it beside the meta tools; given back as it came.
    pub preload: Option<bool>,
}

/// A group of tools as callers describe it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct GivenToolkit {
    /// Slug, not one of the catalogue.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// What the tools are about.
    pub description: String,
    /// Its tools.
    pub tools: Vec<GivenTool>,
    /// Whether the caller lists its tools beside the meta tools; given back as it came.
    pub preload: Option<bool>,
}

/// Tools of the caller's own, as a request carries them.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct Given {
    /// Tools on their own, or beside a toolkit of the catalogue.
    pub custom_tools: Option<Vec<GivenTool>>,
    /// Tools in toolkits of the caller's own.
    pub custom_toolkits: Option<Vec<GivenToolkit>>,
}

impl Given {
    /// Whether the request carries none.
    pub fn is_empty(&self) -> bool {
        self.custom_tools.as_ref().is_none_or(Vec::is_empty)
            && self.custom_toolkits.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Where a tool belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// Nowhere: it needs no connection.
    Alone,
    /// Beside the tools of a toolkit of the catalogue, whose connection it uses.
    Extends(String),
    /// In a toolkit of the caller's own, which needs no connection.
    Own(String),
}

/// A tool that the caller's own process runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomTool {
    /// Slug that the agent uses: `LOCAL_…`, upper case.
    pub slug: String,
    /// Slug as the caller wrote it.
    pub original_slug: String,
    /// Display name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Where it belongs.
    pub home: Home,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// JSON Schema of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// Whether the caller lists it beside the meta tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
}

impl CustomTool {
    /// Slug of the toolkit that it is shown under.
    pub fn toolkit(&self) -> &str {
        match &self.home {
            Home::Alone => "custom",
            Home::Extends(slug) | Home::Own(slug) => slug,
        }
    }
}

/// A toolkit of the caller's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomToolkit {
    /// Slug as the caller wrote it.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// What its tools are about.
    pub description: String,
    /// Whether the caller lists its tools beside the meta tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
}

/// The tools of one request, or of a session that keeps its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Custom {
    /// The tools, in the order that they came.
    pub tools: Vec<CustomTool>,
    /// The toolkits of [`Home::Own`].
    pub toolkits: Vec<CustomToolkit>,
}

impl Custom {
    /// Those that the session keeps.
    pub fn of(session: &Session) -> Self {
        // What is stored was written by `Custom` itself.
        serde_json::from_value(session.custom_tools.clone()).unwrap_or_default()
    }

    /// Those of the request, or else those that the session keeps.
    ///
    /// # Errors
    /// 400 with everything that is wrong.
    pub fn of_request(app: &App, session: &Session, given: Option<Given>) -> Result<Arc<Self>> {
        match given.filter(|given| !given.is_empty()) {
            Some(given) => {
                checked(&app.catalog(&session.project_id), &session.config, given).map(Arc::new)
            }
            None => Ok(Arc::new(Self::of(session))),
        }
    }

    /// As a session keeps them.
    pub fn stored(&self) -> Value {
        json!(self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.toolkits.is_empty()
    }

    /// The tool of a slug, in any case.
    pub fn tool(&self, slug: &str) -> Option<&CustomTool> {
        self.tools.iter().find(|tool| tool.slug.eq_ignore_ascii_case(slug))
    }

    /// `custom_tools` and `custom_toolkits` as answers have them; neither when there are none.
    pub fn view(&self) -> Map<String, Value> {
        let mut view = Map::new();
        let shown = |tool: &CustomTool| {
            let mut shown = json!({
                "slug": tool.slug,
                "original_slug": tool.original_slug,
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.input_schema,
            });
            if let Home::Extends(toolkit) = &tool.home {
                shown["extends_toolkit"] = toolkit.as_str().into();
            }
            if let Some(schema) = &tool.output_schema {
                shown["output_schema"] = schema.clone();
            }
            if let Some(preload) = tool.preload {
                shown["preload"] = preload.into();
            }
            shown
        };
        let alone: Vec<Value> =
            self.tools.iter().filter(|t| !matches!(t.home, Home::Own(_))).map(shown).collect();
        if !alone.is_empty() {
            view.insert("custom_tools".into(), alone.into());
        }
        if !self.toolkits.is_empty() {
            let toolkits = self.toolkits.iter().map(|toolkit| {
                let tools = self.tools.iter().filter(|t| t.home == Home::Own(toolkit.slug.clone()));
                let mut shown = json!({
                    "slug": toolkit.slug,
                    "name": toolkit.name,
                    "description": toolkit.description,
                    "tools": tools.map(shown).collect::<Vec<_>>(),
                });
                if let Some(preload) = toolkit.preload {
                    shown["preload"] = preload.into();
                }
                shown
            });
            view.insert("custom_toolkits".into(), toolkits.collect());
        }
        view
    }
}

/// Whether a slug can only be one of the caller's own tools.
pub fn is_local(slug: &str) -> bool {
    slug.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The refusal to execute one.
pub fn refusal(slug: &str) -> Error {
    let slug: String = slug.chars().take(100).collect();
    Error::new(
        codes::CUSTOM_TOOL_IS_LOCAL,
        format!("The tool {slug} is run by the caller's own process, not by this server"),
    )
    .fix("Execute it through the SDK's session that it was given to, not through the API or MCP")
}

/// The tools in the spelling of answers.
///
/// # Errors
/// 400 with everything that is wrong.
pub fn checked(catalog: &Catalog, config: &SessionConfig, given: Given) -> Result<Custom> {
    let total = given.custom_tools.as_ref().map_or(0, Vec::len)
        + given.custom_toolkits.iter().flatten().map(|toolkit| toolkit.tools.len()).sum::<usize>();
    if total > MAX_TOOLS {
        let problem = format!("experimental: at most {MAX_TOOLS} custom tools");
        return Err(Error::invalid("Invalid custom tools", vec![problem]));
    }
    let mut check = Check { catalog, config, custom: Custom::default(), problems: Vec::new() };
    for (index, tool) in given.custom_tools.into_iter().flatten().enumerate() {
        let path = format!("experimental.custom_tools[{index}]");
        let home = match tool.extends_toolkit.as_deref().map(str::trim).filter(|t| !t.is_empty()) {
            None => Some(Home::Alone),
            Some(slug) => check.extended(&path, slug).map(Home::Extends),
        };
        check.tool(&path, home, tool);
    }
    for (index, toolkit) in given.custom_toolkits.into_iter().flatten().enumerate() {
        check.toolkit(&format!("experimental.custom_toolkits[{index}]"), toolkit);
    }
    if check.problems.is_empty() {
        return Ok(check.custom);
    }
    Err(Error::invalid("Invalid custom tools", check.problems)
        .fix("Correct what `errors` lists and send the tools again"))
}

struct Check<'a> {
    catalog: &'a Catalog,
    config: &'a SessionConfig,
    custom: Custom,
    problems: Vec<String>,
}

impl Check<'_> {
    fn wrong(&mut self, path: &str, problem: &str) {
        if self.problems.len() < 50 {
            self.problems.push(format!("{path}: {problem}"));
        }
    }

    fn slug(&mut self, path: &str, slug: &str) -> bool {
        let fine = !slug.is_empty()
            && slug.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let upper = slug.to_ascii_uppercase();
        if !fine {
            self.wrong(&format!("{path}.slug"), "letters, digits, underscores and hyphens only");
        } else if upper.starts_with(PREFIX) || upper.starts_with("COMPOSIO_") {
            self.wrong(&format!("{path}.slug"), "LOCAL_ and COMPOSIO_ are reserved");
            return false;
        }
        fine
    }

    fn texts(&mut self, path: &str, name: &str, description: &str) {
        if name.trim().is_empty() || name.len() > 512 {
            self.wrong(&format!("{path}.name"), "must be 1 to 512 characters");
        }
        if description.trim().is_empty() || description.len() > MAX_DESCRIPTION {
            let problem = format!("must be 1 to {MAX_DESCRIPTION} characters");
            self.wrong(&format!("{path}.description"), &problem);
        }
    }

    fn extended(&mut self, path: &str, slug: &str) -> Option<String> {
        let found = self.catalog.toolkit(slug).map(|t| t.file.slug.clone());
        let path = format!("{path}.extends_toolkit");
        let shown: String = slug.chars().take(100).collect();
        match found {
            None => self.wrong(&path, &format!("unknown toolkit {shown:?}")),
            Some(slug) if !self.config.allows_toolkit(&slug) => {
                self.wrong(&path, &format!("the session does not allow the toolkit {slug:?}"));
            }
            Some(slug) => return Some(slug),
        }
        None
    }

    fn schema(&mut self, path: &str, schema: Value) -> Value {
        let Value::Object(mut object) = schema else {
            self.wrong(path, "must be a JSON Schema of type object");
            return Value::Null;
        };
        if object.get("type").and_then(Value::as_str) != Some("object") {
            self.wrong(path, "its type must be \"object\"");
        }
        match object.get("properties") {
            Some(properties) if !properties.is_object() => {
                self.wrong(&format!("{path}.properties"), "must be an object");
            }
            Some(_) => {}
            None => {
                object.insert("properties".into(), json!({}));
            }
        }
        object.into()
    }

    fn tool(&mut self, path: &str, home: Option<Home>, given: GivenTool) {
        let slug_is_fine = self.slug(path, &given.slug);
        self.texts(path, &given.name, &given.description);
        let input_schema = self.schema(&format!("{path}.input_schema"), given.input_schema);
        let output_schema = given.output_schema.filter(|schema| !schema.is_null());
        if output_schema.as_ref().is_some_and(|schema| !schema.is_object()) {
            self.wrong(&format!("{path}.output_schema"), "must be a JSON Schema");
        }
        let (true, Some(home)) = (slug_is_fine, home) else { return };
        let slug = match &home {
            Home::Alone => format!("{PREFIX}{}", given.slug),
            Home::Extends(toolkit) | Home::Own(toolkit) => {
                format!("{PREFIX}{toolkit}_{}", given.slug)
            }
        };
        let slug = slug.to_ascii_uppercase();
        if slug.len() > MAX_SLUG {
            let problem =
                format!("{slug} has {} characters, {} too many", slug.len(), slug.len() - MAX_SLUG);
            self.wrong(&format!("{path}.slug"), &problem);
            return;
        }
        if self.custom.tool(&slug).is_some() {
            self.wrong(&format!("{path}.slug"), &format!("another tool is {slug} too"));
            return;
        }
        self.custom.tools.push(CustomTool {
            slug,
            original_slug: given.slug,
            name: given.name,
            description: given.description,
            home,
            input_schema,
            output_schema,
            preload: given.preload,
        });
    }

    fn toolkit(&mut self, path: &str, given: GivenToolkit) {
        let fine = self.slug(path, &given.slug);
        self.texts(path, &given.name, &given.description);
        let known: BTreeSet<String> =
            self.custom.toolkits.iter().map(|t| t.slug.to_ascii_lowercase()).collect();
        let lower = given.slug.to_ascii_lowercase();
        let home = if !fine {
            None
        } else if self.catalog.toolkit(&lower).is_some() || lower == super::TOOLKIT {
            let problem =
                "a toolkit of the catalogue has this slug; extend it with extends_toolkit";
            self.wrong(&format!("{path}.slug"), problem);
            None
        } else if known.contains(&lower) {
            self.wrong(&format!("{path}.slug"), "another custom toolkit has this slug");
            None
        } else {
            Some(Home::Own(given.slug.clone()))
        };
        if given.tools.is_empty() {
            self.wrong(&format!("{path}.tools"), "must have at least one tool");
        }
        for (index, tool) in given.tools.into_iter().enumerate() {
            let path = format!("{path}.tools[{index}]");
            if tool.extends_toolkit.is_some() {
                let problem = "a tool of a custom toolkit extends no other";
                self.wrong(&format!("{path}.extends_toolkit"), problem);
            }
            self.tool(&path, home.clone(), tool);
        }
        self.custom.toolkits.push(CustomToolkit {
            slug: given.slug,
            name: given.name,
            description: given.description,
            preload: given.preload,
        });
    }
}
