//! What is done to a thing: read, made, changed or taken away. Tools for one thing differ in this,
//! and the words of a query say it first: `who is in this channel` reads, `add a row` makes.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::text::words;

/// Kinds of doing, a bit each. None: nobody can tell.
pub(super) type Acts = u8;

const READ: Acts = 1;
const MAKE: Acts = 2;
const CHANGE: Acts = 4;
const REMOVE: Acts = 8;

/// Verbs in tools and queries, by what they mean.
const VERBS: [(Acts, &str); 7] = [
    (
        READ,
        "get gets list lists find finds search read reads fetch fetches retrieve retrieves show \
         view views lookup query check checks count counts download downloads export exports browse \
         describe describes compare see look display return returns discover filter inspect \
         know enumerate summarize",
    ),
    (
        MAKE,
        "create creates add adds insert inserts new post posts send sends upload uploads generate \
         generates register invite invites append appends publish publishes submit compose write \
         reply replies respond answer answers draft prepare email mail message schedule schedules book duplicate \
         copy fork import save store leave file log record enroll comment open subscribe follow \
         start",
    ),
    (
        CHANGE,
        "update updates edit edits patch modify modifies change changes rename renames move moves \
         replace replaces adjust drag transfer archive unarchive rewrite put set sets mark disable \
         enable suspend pause resume mute unmute lock unlock close reopen transition reschedule \
         protect",
    ),
    (
        REMOVE,
        "delete deletes remove removes clear clears destroy destroys revoke revokes erase purge wipe \
         discard drop unsubscribe unfollow unstar unlike cancel cancels trash empty empties void",
    ),
    (MAKE | CHANGE, "make give share grant assign attach apply upsert bring"),
    (REMOVE | CHANGE, "stop undo reset unassign detach"),
    (MAKE | CHANGE | REMOVE, "batch bulk"),
];

/// Words that a question begins with.
const QUESTIONS: [&str; 16] = [
    "who", "whose", "what", "which", "when", "where", "why", "how", "is", "are", "was", "were",
    "do", "does", "did", "has",
];

/// Words before the verb.
const POLITE: [&str; 17] = [
    "please",
    "can",
    "could",
    "would",
    "you",
    "i",
    "want",
    "need",
    "to",
    "let",
    "me",
    "us",
    "help",
    "just",
    "we",
    "should",
    "automatically",
];

static KNOWN: LazyLock<HashMap<&'static str, Acts>> = LazyLock::new(|| {
    let mut known = HashMap::new();
    for (acts, verbs) in VERBS {
        for verb in verbs.split_whitespace() {
            *known.entry(verb).or_default() |= acts;
        }
    }
    known
});

fn verb(word: &str) -> Acts {
    KNOWN.get(word).copied().unwrap_or(0)
}

/// What a query wants done. Nothing where its first word that counts is no verb.
pub(super) fn of_query(text: &str) -> Acts {
    let mut rest = words(text).take(8).skip_while(|word| POLITE.contains(&word.as_str()));
    let Some(first) = rest.next() else { return 0 };
    if QUESTIONS.contains(&first.as_str()) {
        return READ;
    }
    match (first.as_str(), rest.next().as_deref()) {
        ("tell" | "give" | "send", Some("me" | "us")) => READ,
        ("tell", _) => MAKE,
        ("set", Some("up")) => MAKE,
        ("set", Some("a" | "an")) | ("put", _) => MAKE | CHANGE,
        ("turn" | "switch", Some("on" | "off")) => CHANGE | REMOVE | MAKE,
        ("take" | "throw", Some("away" | "off" | "out")) => REMOVE | CHANGE,
        ("move", _) if text.contains("bin") || text.contains("trash") => CHANGE | REMOVE,
        _ => verb(&first),
    }
}

/// What a tool does: by the verb that its name begins with, or its slug ends with, or its
/// description begins with.
pub(super) fn of_tool(name: &str, slug: &str, description: &str) -> Acts {
    let first = |text: &str| words(text).next().map_or(0, |word| verb(&word));
    let last = |text: &str| words(text).last().map_or(0, |word| verb(&word));
    let found = first(name);
    if found != 0 {
        return found;
    }
    [first(slug), last(slug)].into_iter().find(|acts| *acts != 0).unwrap_or_else(|| {
        let mut beginning = words(description).take(2).map(|word| verb(&word));
        beginning.find(|acts| *acts != 0).unwrap_or(0)
    })
}

/// Whether a tool may do what a query wants done.
pub(super) fn agree(query: Acts, tool: Acts) -> bool {
    query == 0 || tool == 0 || query & tool != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_say_what_is_to_be_done() {
        for (text, acts) in [
            ("who is in this channel", READ),
            ("please can you list my issues", READ),
            ("I want to add a row", MAKE),
            ("make a repo private", MAKE | CHANGE),
            ("set up a team drive", MAKE),
            ("tell the team about it", MAKE),
            ("tell me who was there", READ),
            ("give me the list", READ),
            ("remove a file", REMOVE),
            ("put it away", MAKE | CHANGE),
            ("issues of the repository", 0),
            ("", 0),
        ] {
            assert_eq!(of_query(text), acts, "{text}");
        }
    }

    #[test]
    fn tools_say_what_they_do() {
        for (name, slug, text, acts) in [
            ("Create an issue", "CREATE_AN_ISSUE", "", MAKE),
            ("events list", "_EVENTS_LIST", "", READ),
            ("", "POST_CUSTOMERS", "", MAKE),
            ("Ping", "_PING", "Permanently removes it.", REMOVE),
            ("Ping", "_PING", "Answers.", MAKE),
            ("Ping", "_PING", "It pings.", 0),
        ] {
            assert_eq!(of_tool(name, slug, text), acts, "{name} {slug}");
        }
        assert!(agree(0, MAKE) && agree(READ, 0) && agree(MAKE | CHANGE, CHANGE));
        assert!(!agree(READ, REMOVE));
    }
}
