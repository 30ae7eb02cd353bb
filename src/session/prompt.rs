//! What a session tells a model about itself, and its caller about what is worth a thought.

use super::custom::Custom;
use super::meta::Meta;
use super::tools::Listed;
use crate::domain::session::Session;

/// Number of listed tools of the catalogue from which a warning is due.
const MANY_TOOLS: usize = 30;

/// Text for the system prompt: how to work with the tools that the session really has.
pub fn assistive(session: &Session, custom: &Custom) -> String {
    let has = |slug: &str| Meta::of(slug).is_some_and(|meta| meta.is_offered(session));
    let mut lines = vec![
        "You can act in the user's applications through the tools of this session.".to_owned(),
    ];
    let mut say = |line: &str| lines.push(format!("- {line}"));
    if has("COMPOSIO_SEARCH_TOOLS") {
        say("Find tools with COMPOSIO_SEARCH_TOOLS before you use them, with one short query for \
             each step of the task. Never guess the slug of a tool or the names of its arguments.");
    }
    if has("COMPOSIO_GET_TOOL_SCHEMAS") {
        say(
            "Read the complete schema of a tool with COMPOSIO_GET_TOOL_SCHEMAS when a search showed \
             it shortened.",
        );
    }
    if has("COMPOSIO_MANAGE_CONNECTIONS") {
        say("A toolkit without an active connection needs the user: get a link with \
             COMPOSIO_MANAGE_CONNECTIONS, show it to them as it is, and go on once they are done.");
    }
    if has("COMPOSIO_WAIT_FOR_CONNECTIONS") {
        say("After you showed a link, wait for the user with COMPOSIO_WAIT_FOR_CONNECTIONS.");
    }
    if has("COMPOSIO_MULTI_EXECUTE_TOOL") {
        say(
            "Execute with COMPOSIO_MULTI_EXECUTE_TOOL; calls that do not need each other's results \
             go together in one call.",
        );
    }
    if !custom.is_empty() {
        say(
            "Tools whose slugs begin with LOCAL_ are run by this application itself; they need no \
             connection unless they belong to a toolkit of the catalogue.",
        );
    }
    say(
        "Ask the user before you delete something, or send something to other people, unless they \
         asked for exactly that.",
    );
    if let Some(zone) = &session.config.user_timezone {
        say(&format!(
            "The user is in the time zone {zone}: read dates and times of theirs in it, and give \
             tools times with its offset."
        ));
    }
    lines.join("\n")
}

/// What is worth a thought about what the session lists: code and text.
pub fn warnings(listed: &[Listed<'_>]) -> Vec<(&'static str, String)> {
    let count = listed.iter().filter(|tool| matches!(tool, Listed::App(..))).count();
    if count <= MANY_TOOLS {
        return Vec::new();
    }
    let text = format!(
        "The session lists {count} tools of the catalogue beside its meta tools; their schemas use \
         much of a model's context with every request. List fewer, and let the agent search."
    );
    vec![("PRELOAD_TOOLS_HIGH_CONTEXT_USAGE", text)]
}
