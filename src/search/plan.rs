//! How the tools of a toolkit go together: what a tool needs first, what could take its place, what
//! is usual afterwards, and what goes wrong. Made of the definitions; no language model is asked.
//!
//! What a definition says (`before`, `instead`, `after`, `pitfalls`, tools that the description of an
//! argument names) goes first. Beyond that, names speak: a required `issue_number` comes from
//! a tool that reads issues.

use std::sync::Arc;

use super::text::{is_noise, stem, words};
use crate::catalog::{Entry, Toolkit};

/// Most prerequisites of a tool.
const MOST: usize = 3;

/// Endings of arguments that name a thing, which another tool has to find first.
const IDS: [&str; 9] = ["id", "ids", "number", "key", "uuid", "gid", "iid", "sha", "ts"];

/// Where a noun ends in a slug: what follows says more about it.
const TURNS: [&str; 15] = [
    "for", "of", "in", "by", "to", "with", "from", "on", "using", "at", "as", "into", "or", "and",
    "about",
];

/// A tool that belongs to another one.
#[derive(Debug, Clone)]
pub struct Related<'a> {
    /// The tool.
    pub tool: &'a Arc<Entry>,
    /// The argument that it gives a value for, when that is why it is there.
    pub gives: Option<&'a str>,
}

/// What belongs to a tool.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// To be done before, unless what it gives is known.
    pub before: Vec<Related<'a>>,
    /// Could take its place.
    pub instead: Vec<&'a Arc<Entry>>,
    /// Usual afterwards.
    pub after: Vec<&'a Arc<Entry>>,
    /// What goes wrong.
    pub pitfalls: Vec<String>,
}

/// What a tool does, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    List,
    Read,
    Create,
    Update,
    Delete,
    Other,
}

/// What belongs to `tool`, of the tools that `allowed` lets through.
pub fn plan<'a>(
    toolkit: &'a Toolkit,
    tool: &'a Arc<Entry>,
    allowed: impl Fn(&Entry) -> bool,
) -> Plan<'a> {
    let mut plan = Plan::default();
    let find = |slug: &str| {
        let of = |t: &&Arc<Entry>| t.def.slug == slug || t.def.aliases.iter().any(|a| a == slug);
        toolkit.tools.iter().find(of).filter(|t| allowed(t) && !Arc::ptr_eq(t, tool))
    };
    let texts = tool.texts();
    for (name, _) in tool.def.params.0.iter().filter(|(_, p)| p.required && !p.hidden) {
        if plan.before.len() >= MOST {
            break;
        }
        let text = texts.iter().find(|(known, _)| known == name);
        let text = text.map(|(_, text)| text.as_str()).unwrap_or_default();
        let wanted = named_by(name);
        let gives = |other: &&Arc<Entry>| {
            wanted.is_some() && thing(toolkit, other) == wanted && !requires(other, name)
        };
        let said = slugs_in(text).find_map(find);
        let given = said
            .or_else(|| tool.def.before.iter().filter_map(|slug| find(slug)).find(gives))
            .or_else(|| giver(toolkit, tool, name, &allowed));
        if let Some(giver) = given.filter(|giver| !plan.has(giver)) {
            plan.before.push(Related { tool: giver, gives: Some(name) });
        }
    }
    for other in tool.def.before.iter().filter_map(|slug| find(slug)) {
        if !plan.has(other) {
            plan.before.push(Related { tool: other, gives: None });
        }
    }
    plan.before.truncate(MOST + 1);
    for other in tool.def.after.iter().filter_map(|slug| find(slug)) {
        if !plan.has(other) {
            plan.after.push(other);
        }
    }
    let named = tool.def.instead.iter().map(String::as_str);
    for other in named.chain(slugs_in(&tool.def.description)).filter_map(find) {
        if !plan.has(other) {
            plan.instead.push(other);
        }
    }
    if plan.instead.is_empty() {
        let likes = likes(toolkit, tool, &allowed);
        plan.instead = likes.into_iter().filter(|other| !plan.has(other)).collect();
    }
    plan.instead.truncate(MOST);
    plan.after.truncate(MOST);
    plan.pitfalls = pitfalls(tool);
    plan
}

impl Plan<'_> {
    fn has(&self, tool: &Arc<Entry>) -> bool {
        self.before.iter().any(|known| Arc::ptr_eq(known.tool, tool))
            || self.instead.iter().chain(&self.after).any(|known| Arc::ptr_eq(known, tool))
    }
}

/// Names of tools that a text mentions.
fn slugs_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|piece| piece.len() > 6 && piece.contains('_'))
}

fn pitfalls(tool: &Entry) -> Vec<String> {
    let mut all = tool.def.pitfalls.clone();
    if let Some(note) = &tool.def.deprecated {
        all.push(format!("{} is deprecated: {}", tool.slug(), note.trim()));
    }
    if tool.def.hints.destructive && all.len() < 4 {
        all.push(format!(
            "{} may destroy or overwrite something: make sure that the person wants that.",
            tool.slug()
        ));
    }
    all
}

fn act(tool: &Entry) -> Act {
    let hints = &tool.def.hints;
    let name = words(&tool.def.name).next().unwrap_or_default();
    let verb = stem(&name);
    if hints.read_only {
        return match &*verb {
            "list" | "search" | "find" | "query" | "brows" => Act::List,
            _ if tool.slug().contains("_LIST_") || tool.slug().contains("_SEARCH_") => Act::List,
            _ if tool.slug().contains("_FIND_") => Act::List,
            _ => Act::Read,
        };
    }
    match &*verb {
        "delet" | "remov" => Act::Delete,
        _ if hints.create => Act::Create,
        _ if hints.update => Act::Update,
        _ => Act::Other,
    }
}

/// The thing that a tool is about: the last noun before the slug turns to something else.
/// `GITHUB_LIST_LABELS_FOR_AN_ISSUE` is about labels.
fn thing(toolkit: &Toolkit, tool: &Entry) -> Option<String> {
    let own = tool.slug().get(toolkit.slug().len()..)?;
    let all = words(own).skip(1);
    let (mut last, mut before): (Option<String>, Option<String>) = (None, None);
    for word in all {
        if TURNS.contains(&word.as_str()) && last.is_some() {
            break;
        }
        if !is_noise(&word) && word != toolkit.slug() {
            before = last.replace(stem(&word).into_owned());
        }
    }
    // Arguments call a pull request a pull.
    if before.as_deref() == Some("pull") { before } else { last }
}

/// The thing that an argument names: `issue_number` is about an issue.
fn named_by(param: &str) -> Option<String> {
    let spaced = super::count::spaced(param);
    let mut all: Vec<String> = words(&spaced).collect();
    // issue_id_or_key, issueIdOrKey
    while all.len() > 1
        && all.last().is_some_and(|w| IDS.contains(&w.as_str()) || w == "or" || w == "name")
    {
        let ends_in_id = all.last().is_some_and(|w| w != "or");
        all.pop();
        if ends_in_id && !all.last().is_some_and(|w| w == "or" || IDS.contains(&w.as_str())) {
            return all.last().map(|word| stem(word).into_owned());
        }
    }
    None
}

fn requires(tool: &Entry, name: &str) -> bool {
    tool.def.params.0.iter().any(|(known, param)| known == name && param.required)
}

/// The tool that finds what a required argument names.
fn giver<'a>(
    toolkit: &'a Toolkit,
    tool: &'a Arc<Entry>,
    param: &str,
    allowed: &impl Fn(&Entry) -> bool,
) -> Option<&'a Arc<Entry>> {
    let wanted = named_by(param)?;
    let cost = |other: &Entry| {
        let needs = other.def.params.0.iter().filter(|(_, p)| p.required).count();
        let important = other.def.tags.iter().any(|tag| tag == "important");
        (act(other) != Act::List, other.def.deprecated.is_some(), !important, needs)
    };
    let fits = |other: &&Arc<Entry>| {
        matches!(act(other), Act::List | Act::Read)
            && !Arc::ptr_eq(other, tool)
            && !requires(other, param)
            && thing(toolkit, other).as_deref() == Some(wanted.as_str())
            && allowed(other)
    };
    toolkit.tools.iter().filter(fits).min_by_key(|other| cost(other))
}

/// Tools that do about the same to the same thing.
fn likes<'a>(
    toolkit: &'a Toolkit,
    tool: &'a Arc<Entry>,
    allowed: &impl Fn(&Entry) -> bool,
) -> Vec<&'a Arc<Entry>> {
    let (own, act_of_own) = (thing(toolkit, tool), act(tool));
    if own.is_none() || act_of_own == Act::Other {
        return Vec::new();
    }
    let alike = |other: &&Arc<Entry>| {
        let reads = |a: Act| matches!(a, Act::List | Act::Read);
        let other_act = act(other);
        !Arc::ptr_eq(other, tool)
            && (other_act == act_of_own || reads(other_act) && reads(act_of_own))
            && other.def.deprecated.is_none()
            && thing(toolkit, other) == own
            && allowed(other)
    };
    toolkit.tools.iter().filter(alike).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_an_argument_is_of() {
        for (param, thing) in [
            ("issue_number", Some("issu")),
            ("issueIdOrKey", Some("issu")),
            ("issue_id_or_key", Some("issu")),
            ("message_id", Some("messag")),
            ("label_ids", Some("label")),
            ("id", None),
            ("title", None),
            ("owner", None),
        ] {
            assert_eq!(named_by(param).as_deref(), thing, "{param}");
        }
    }

    #[test]
    fn tools_are_found_in_texts() {
        let text = "UUID of the team, from LINEAR_LIST_LINEAR_TEAMS. See `A_B`.";
        assert_eq!(slugs_in(text).collect::<Vec<_>>(), ["LINEAR_LIST_LINEAR_TEAMS"]);
    }
}
