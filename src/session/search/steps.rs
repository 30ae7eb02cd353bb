//! What to do with the tools that were found, in words.

use std::collections::BTreeMap;

use super::answer::{ConnectionStatus, ToolSchema};
use super::find::{Item, Leg, Pick};
use crate::domain::session::Session;

/// Most pitfalls of a use case.
const MAX_PITFALLS: usize = 6;
/// Most arguments that a step names.
const MAX_NAMED: usize = 8;

/// Whether `known_fields` has a value for an argument.
fn is_known(known: &str, argument: &str) -> bool {
    known.split([',', '\n']).any(|field| {
        let name = field.split(':').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case(argument)
    })
}

/// What to do, in order.
pub(super) fn steps<'a>(
    session: &Session,
    pick: &Pick<'a>,
    known: &str,
    connected: impl Fn(&Item<'a>) -> bool,
) -> Vec<String> {
    let mut steps = Vec::new();
    for leg in &pick.legs {
        for step in leg_steps(session, leg, known, connected(&leg.best)) {
            // Two things to do with one app need one connection.
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    steps
}

/// What to do for one thing, in order.
fn leg_steps(session: &Session, leg: &Leg<'_>, known: &str, connected: bool) -> Vec<String> {
    let (best, mut steps) = (&leg.best, Vec::new());
    if !connected && session.config.manage_connections.enable {
        steps.push(format!(
            "Connect {}: call COMPOSIO_MANAGE_CONNECTIONS with toolkits [\"{0}\"], give the person the \
             link, and go on when the connection is active.",
            best.toolkit(),
        ));
    }
    for related in &leg.plan.before {
        let slug = related.tool.slug();
        match related.gives {
            Some(argument) if is_known(known, argument) => {}
            Some(argument) => steps.push(format!(
                "Unless you know `{argument}`, find it with {slug}. Never make one up."
            )),
            None => {
                let name = related.tool.def.name.trim();
                steps.push(format!("If it helps, call {slug} before ({}).", lower(name)));
            }
        }
    }
    let required: Vec<String> =
        best.required().take(MAX_NAMED).map(|name| format!("`{name}`")).collect();
    let needs = match required.as_slice() {
        [] => "it needs no argument".to_owned(),
        [one] => format!("it needs {one}"),
        several => format!("it needs {}", several.join(", ")),
    };
    let (slug, name) = (best.slug(), lower(best.name().trim()));
    steps.push(format!("Execute {slug} ({name}): {needs}."));
    let others: Vec<&str> = leg.instead.iter().map(Item::slug).collect();
    let instead = leg.plan.instead.iter().map(|tool| tool.slug());
    let alternatives: Vec<&str> = others
        .iter()
        .copied()
        .chain(instead.filter(|slug| !others.contains(slug)))
        .take(4)
        .collect();
    if !alternatives.is_empty() {
        steps.push(format!("If that does not fit, consider {}.", alternatives.join(", ")));
    }
    let after: Vec<&str> = leg.plan.after.iter().map(|tool| tool.slug()).collect();
    if !after.is_empty() {
        steps.push(format!("Afterwards, if it is asked for: {}.", after.join(", ")));
    }
    steps
}

/// A name within a sentence.
fn lower(name: &str) -> String {
    let mut chars = name.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => name.to_owned(),
    }
}

/// The arguments that have to be found out before.
fn unknown(pick: &Pick<'_>) -> usize {
    let before = pick.legs.iter().flat_map(|leg| &leg.plan.before);
    before.filter(|related| related.gives.is_some()).count()
}

/// How much there is to do.
pub(super) fn difficulty(pick: &Pick<'_>) -> Option<&'static str> {
    let more = pick.legs.len().checked_sub(1)?;
    Some(match unknown(pick) + more {
        0 => "easy",
        1 => "medium",
        _ => "hard",
    })
}

/// How to go about it, in short.
pub(super) fn in_short(pick: &Pick<'_>) -> Option<String> {
    let best: Vec<&str> = pick.legs.iter().map(|leg| leg.best.slug()).collect();
    let mut text = match best.as_slice() {
        [] => return None,
        [one] => format!("{one} fits best."),
        several => format!("Several things to do, one after the other: {}.", several.join(", ")),
    };
    if pick.weak {
        text.push_str(
            " The match is weak: read the descriptions before you use one of these tools, or \
             search again in other words, with the name of the app.",
        );
    } else if pick.primary.len() > best.len() {
        text.push_str(" Read the descriptions of the others before you choose one of them.");
    }
    if unknown(pick) > 0 {
        text.push_str(" Ids come from earlier results, never from guesses.");
    }
    Some(text)
}

/// What goes wrong.
pub(super) fn pitfalls(pick: &Pick<'_>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    // Of several things to do, each has its share.
    let each = MAX_PITFALLS / pick.legs.len().max(1);
    for leg in &pick.legs {
        let own = leg.plan.pitfalls.iter().chain(leg.pitfalls).take(each.max(1));
        for pitfall in own {
            if !all.contains(pitfall) {
                all.push(pitfall.clone());
            }
        }
    }
    all
}

/// What to say when nothing was found.
pub(super) fn nothing(session: &Session) -> String {
    let only = if session.config.toolkits.is_some() || !session.config.tools.is_empty() {
        " This session has only some of the toolkits."
    } else {
        ""
    };
    format!(
        "No tool of this session matches.{only} Say it in other words: a verb and a thing, with the \
         name of the app. COMPOSIO_LIST_TOOLKITS shows what there is. Do not invent tool slugs."
    )
}

/// What to do now, in order.
pub(super) fn guidance(
    session: &Session,
    found: bool,
    statuses: &[ConnectionStatus],
    schemas: &BTreeMap<String, ToolSchema>,
    picks: &[Pick<'_>],
) -> Vec<String> {
    if !found {
        return vec![nothing(session)];
    }
    let mut guidance = Vec::new();
    let missing: Vec<String> = statuses
        .iter()
        .filter(|status| !status.has_active_connection)
        .map(|status| format!("\"{}\"", status.toolkit))
        .collect();
    if !missing.is_empty() {
        guidance.push(if session.config.manage_connections.enable {
            format!(
                "Not connected: call COMPOSIO_MANAGE_CONNECTIONS with toolkits [{}] for those that \
                 you need, and give the person the links, before you execute their tools.",
                missing.join(", ")
            )
        } else {
            format!(
                "Not connected: {}. The person has to connect them in the application; their tools \
                 fail until then.",
                missing.join(", ")
            )
        });
    }
    let unseen = picks
        .iter()
        .flat_map(|pick| &pick.primary)
        .filter(|item| schemas.get(item.slug()).is_some_and(|shown| !shown.has_full_schema))
        .count();
    if unseen > 0 {
        guidance.push(format!(
            "{unseen} of the main tools are shown without their schema, to keep this answer short: \
             call COMPOSIO_GET_TOOL_SCHEMAS for those that you use."
        ));
    }
    guidance.push(if session.config.enable_multi_execute {
        "Execute tools with COMPOSIO_MULTI_EXECUTE_TOOL, those that do not depend on one another in \
         one call. Use slugs and arguments exactly as shown; never invent any."
            .to_owned()
    } else {
        "Execute tools by their slugs, with arguments exactly as their schemas say; never invent any."
            .to_owned()
    });
    guidance
}
