//! `COMPOSIO_MULTI_EXECUTE_TOOL`: up to 20 tools at once.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Context, Meta, Spec, read};
use crate::error::{Error, Result, codes};
use crate::session::execute::{Call, arguments as arguments_of, catalogue};
use crate::session::memory;
use crate::session::preview::{self, MIN_CHARS};

/// Most tools in one call.
const MAX_TOOLS: usize = 20;

pub(super) fn spec() -> &'static Spec {
    static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec {
        slug: "COMPOSIO_MULTI_EXECUTE_TOOL",
        name: "Execute tools",
        description: "Executes 1 to 20 tools at once with the user's connected accounts. Use slugs \
            and argument names exactly as COMPOSIO_SEARCH_TOOLS or COMPOSIO_GET_TOOL_SCHEMAS gave \
            them, and only for toolkits whose connection is active. The tools run side by side, so \
            put only tools into one call that do not need each other's results. Results come in the \
            order of the request; each says for itself whether it succeeded, so repeat only those \
            that failed. Example: {\"tools\": [{\"tool_slug\": \"GITHUB_GET_A_REPOSITORY\", \
            \"arguments\": {\"owner\": \"octo\", \"repo\": \"hello\"}}]}",
        input: json!({
            "type": "object",
            "properties": {
                "tools": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_TOOLS,
                    "description": "The tools to execute.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "tool_slug": {
                                "type": "string",
                                "description": "Slug exactly as a search gave it.",
                            },
                            "arguments": {
                                "type": "object",
                                "description": "Arguments as the tool's input schema says.",
                                "additionalProperties": true,
                            },
                            "arguments_json": {
                                "type": "string",
                                "description": "Only when `arguments` cannot hold them: the arguments \
                                    as the text of a JSON object, with `arguments` empty.",
                            },
                            "account": {
                                "type": "string",
                                "description": "Id or alias of the connected account. Only needed \
                                    when the user has several of this toolkit.",
                            },
                        },
                        "required": ["tool_slug", "arguments"],
                    },
                },
                "thought": {
                    "type": "string",
                    "description": "One sentence: why these tools.",
                },
                "current_step": {
                    "type": "string",
                    "description": "Short name of the step of your plan, such as FETCHING_EMAILS.",
                },
                "memory": {
                    "type": "object",
                    "description": "Facts worth keeping for later searches of this session, by \
                        toolkit: ids and how they relate. Never secrets. Example: \
                        {\"slack\": [\"Channel #general has id C1234567\"]}",
                    "additionalProperties": true,
                },
                "sync_response_to_workbench": {
                    "type": "boolean",
                    "description": "Accepted for compatibility; long results become files anyway.",
                },
                "session_id": {
                    "type": "string",
                    "description": "The session id of the search, when it gave one.",
                },
            },
            "required": ["tools"],
        }),
        output: json!({
            "type": "object",
            "properties": {
                "results": {
                    "type": "array",
                    "description": "One per tool, in the order of the request.",
                    "items": {
                        "type": "object",
                        "properties": {
                            "index": {"type": "integer"},
                            "tool_slug": {"type": "string"},
                            "response": {
                                "type": "object",
                                "description": "successful, data, and error when it failed. A long \
                                    result has full_result: the file with all of it.",
                                "additionalProperties": true,
                            },
                            "error": {"type": "string", "description": "Only when it failed."},
                        },
                    },
                },
                "total_count": {"type": "integer"},
                "success_count": {"type": "integer"},
                "error_count": {"type": "integer"},
            },
        }),
        tags: &["openWorldHint", "destructiveHint", "updateHint"],
    });
    &SPEC
}

#[derive(Deserialize)]
struct Arguments {
    tools: Vec<Value>,
    #[serde(default)]
    memory: Value,
}

/// One tool as it was asked for.
#[derive(Deserialize)]
struct Item {
    #[serde(alias = "slug")]
    tool_slug: String,
    #[serde(default)]
    arguments: Value,
    /// For models that are held to a schema in which a framework closed `arguments`.
    #[serde(default)]
    arguments_json: Option<String>,
    #[serde(default, alias = "connected_account_id")]
    account: Option<String>,
}

impl Item {
    fn arguments(&mut self) -> Result<Map<String, Value>> {
        let given = arguments_of(self.arguments.take())?;
        match self.arguments_json.take() {
            Some(text) if given.is_empty() => arguments_of(Value::String(text)),
            _ => Ok(given),
        }
    }
}

/// What became of one tool.
struct Done {
    slug: String,
    data: Map<String, Value>,
    /// Where the whole result is, when `data` is cut.
    file: Option<Value>,
    error: Option<Failure>,
}

struct Failure {
    text: String,
    fix: Option<String>,
    problems: Vec<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            text: error.message.into_owned(),
            fix: error.suggested_fix.map(std::borrow::Cow::into_owned),
            problems: error.errors,
        }
    }
}

impl Done {
    fn into_value(self, index: usize) -> Value {
        let mut response = json!({"successful": self.error.is_none(), "data": self.data});
        if let Some(file) = self.file {
            response["full_result"] = file;
        }
        let mut value = json!({"index": index, "tool_slug": self.slug});
        if let Some(failure) = self.error {
            response["error"] = failure.text.as_str().into();
            if let Some(fix) = failure.fix {
                response["suggested_fix"] = fix.into();
            }
            if !failure.problems.is_empty() {
                response["errors"] = failure.problems.into();
            }
            value["error"] = failure.text.into();
        }
        value["response"] = response;
        value
    }
}

pub(super) async fn run(context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    let arguments: Arguments = read(spec().slug, arguments)?;
    let count = arguments.tools.len();
    if !(1..=MAX_TOOLS).contains(&count) {
        let problem = format!("tools: must be 1 to {MAX_TOOLS}, and there are {count}");
        return Err(Error::invalid(
            format!("Invalid arguments for {}", spec().slug),
            vec![problem],
        )
        .fix(format!("Split the work into calls of at most {MAX_TOOLS} tools")));
    }
    note(context, arguments.memory).await?;
    // At most twenty futures within this one: when the caller goes away they end with it, and each
    // leaves its log row.
    let work = arguments.tools.into_iter().map(|item| one(context, item));
    let mut results = join_all(work).await;
    fit(context, &mut results).await?;
    let failed = results.iter().filter(|done| done.error.is_some()).count();
    let results: Vec<Value> =
        results.into_iter().enumerate().map(|(index, done)| done.into_value(index)).collect();
    let mut data = Map::new();
    data.insert("results".to_owned(), results.into());
    data.insert("total_count".to_owned(), count.into());
    data.insert("success_count".to_owned(), (count - failed).into());
    data.insert("error_count".to_owned(), failed.into());
    // In the words of the SDKs, which count anew when they add results of their own.
    let error = (failed > 0).then(|| format!("{failed} out of {count} tools failed"));
    Ok((data, error))
}

/// Notes what the agent wants to know later. Whatever has another form is left out: a mistake in
/// its notes must not keep the tools from running.
async fn note(context: &Context<'_>, memory: Value) -> Result<()> {
    let Value::Object(memory) = memory else { return Ok(()) };
    let entries = memory.into_iter().take(MAX_TOOLS).map(|(toolkit, noted)| {
        let noted = match noted {
            Value::Array(items) => items,
            one => vec![one],
        };
        let texts = noted.into_iter().filter_map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        });
        (toolkit, texts.collect())
    });
    memory::add(context.app, context.session, entries.collect()).await
}

/// Time that one tool may take, however many requests it makes: the answer with the others'
/// results must be out before the server gives up on the request as a whole.
fn patience(context: &Context<'_>) -> Duration {
    let config = &context.app.config;
    config.outbound_timeout + config.request_timeout / 2
}

async fn one(context: &Context<'_>, item: Value) -> Done {
    let slug = match item.get("tool_slug").or(item.get("slug")) {
        Some(Value::String(slug)) => slug.chars().take(200).collect(),
        _ => String::new(),
    };
    // On the heap: twenty of them would make the caller's future a large one.
    let work = Box::pin(async {
        let mut item: Item = serde_json::from_value(item).map_err(|error| {
            Error::invalid("The tool is not one of `tools`", vec![error.to_string()])
                .fix("Give tool_slug and arguments")
        })?;
        if Meta::of(&item.tool_slug).is_some() {
            let problem = format!("{} is executed by itself, not within others", item.tool_slug);
            return Err(Error::new(codes::SESSION_TOOL_NOT_ALLOWED, problem)
                .fix("Call it as a tool of its own"));
        }
        let arguments = item.arguments()?;
        let call = Call {
            slug: item.tool_slug,
            arguments,
            account: item.account.filter(|account| !account.is_empty()),
            ..Call::default()
        };
        catalogue(context.app, context.project, context.session, call).await
    });
    let limit = patience(context);
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(outcome)) => {
            let failure = |text| Failure { text, fix: None, problems: Vec::new() };
            Done { slug, data: outcome.data, file: None, error: outcome.error.map(failure) }
        }
        Ok(Err(error)) => Done { slug, data: Map::new(), file: None, error: Some(error.into()) },
        Err(_) => {
            let text = format!("The tool did not finish within {} seconds", limit.as_secs());
            let fix = "Check whether it had an effect before you call it again";
            let failure = Failure { text, fix: Some(fix.to_owned()), problems: Vec::new() };
            Done { slug, data: Map::new(), file: None, error: Some(failure) }
        }
    }
}

/// Cuts the largest results until all of them together fit.
async fn fit(context: &Context<'_>, results: &mut [Done]) -> Result<()> {
    let most = preview::threshold(context.app, context.session);
    let sizes: Vec<usize> = results.iter().map(|done| preview::chars(&done.data)).collect();
    let Some(share) = fair_share(&sizes, most) else { return Ok(()) };
    for (done, size) in results.iter_mut().zip(sizes) {
        if size <= share {
            continue;
        }
        let project = &context.project.id;
        let cut = preview::offload(context.app, project, &done.slug, &done.data, share).await?;
        (done.data, done.file) = (cut.data, Some(cut.file));
    }
    Ok(())
}

/// The size above which results are cut so that their sum is at most `most`; none when it is that
/// already. Small results keep what they have, and what they leave is shared by the others.
fn fair_share(sizes: &[usize], most: usize) -> Option<usize> {
    if sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size)) <= most {
        return None;
    }
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    let (mut room, mut left) = (most, sorted.len());
    for size in sorted {
        if size > room / left {
            return Some((room / left).max(MIN_CHARS));
        }
        room -= size;
        left -= 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::fair_share;

    #[test]
    fn small_results_are_left_alone_and_large_ones_share_the_rest() {
        assert_eq!(fair_share(&[10, 20, 30], 100), None);
        assert_eq!(fair_share(&[100, 9000, 50_000, 100], 10_200), Some(5000));
        assert_eq!(fair_share(&[50_000], 20_000), Some(20_000));
        assert_eq!(fair_share(&[9000; 20], 20_000), Some(1000));
        assert_eq!(fair_share(&[usize::MAX, 1], 1000), Some(999));
    }
}
