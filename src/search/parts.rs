//! Wishes that are about several apps ("file a bug on GitHub and tell the team on Slack"): cut into
//! what is to be done with each. One query over all of it would find tools of the app that
//! happens to match best, and none of the others.

use super::index::Index;
use super::query::{Query, cut};

/// Words with which another thing to do begins.
const BETWEEN: [&str; 12] = [
    "and",
    "then",
    "also",
    "plus",
    "afterwards",
    "after",
    "before",
    "once",
    "when",
    "finally",
    "next",
    "while",
];

/// Most parts of one wish.
const MAX_PARTS: usize = 4;

/// How much of a text is looked at, in bytes.
const MAX_TEXT: usize = 4096;

/// What is to be done with one app.
#[derive(Debug)]
pub struct Part {
    /// What is asked for.
    pub query: Query,
    /// Slug of the toolkit whose tools are meant; none: any.
    pub toolkit: Option<String>,
    /// Number of the clause that it stands in: parts of one clause share their words.
    pub clause: usize,
}

/// The parts of a wish that names several toolkits, in their order; otherwise the whole of it.
pub(super) fn parts(index: &Index, text: &str) -> Vec<Part> {
    let whole = cut(index, text);
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let clauses = clauses(index, &text[..end]);
    let mut slugs: Vec<&str> = clauses.iter().flat_map(|(_, slugs)| slugs).copied().collect();
    slugs.sort_unstable();
    slugs.dedup();
    if slugs.len() < 2 {
        return vec![Part { query: whole, toolkit: None, clause: 0 }];
    }
    let each = clauses.iter().enumerate().flat_map(|(clause, (text, slugs))| {
        slugs.iter().map(move |slug| Part {
            query: cut(index, text),
            toolkit: Some((*slug).to_owned()),
            clause,
        })
    });
    each.take(MAX_PARTS).collect()
}

/// The clauses of a text with the toolkits that each names. One that names none belongs to the one
/// before it, or to the first that does.
fn clauses<'a>(index: &'a Index, text: &str) -> Vec<(String, Vec<&'a str>)> {
    let mut found: Vec<(String, Vec<&'a str>)> = Vec::new();
    for clause in cuts(text) {
        let slugs = cut(index, &clause).named(index);
        match found.last_mut() {
            Some((before, known)) if slugs.is_empty() || known.is_empty() => {
                before.push(' ');
                before.push_str(&clause);
                known.extend(slugs);
            }
            _ => found.push((clause, slugs)),
        }
    }
    found
}

/// A text, cut where another thing to do may begin.
fn cuts(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for piece in text.split([',', ';', '.', ':', '!', '?', '\n', '&']) {
        for word in piece.split_whitespace() {
            if BETWEEN.iter().any(|between| word.eq_ignore_ascii_case(between)) {
                found.push(String::new());
            } else if let Some(last) = found.last_mut() {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
        }
        found.push(String::new());
    }
    found.retain(|clause| !clause.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Doc;

    fn index() -> Index {
        let doc = |toolkit, toolkit_name, slug| Doc {
            slug,
            name: slug,
            toolkit,
            toolkit_name,
            ..Doc::default()
        };
        let docs = [
            doc("github", "GitHub", "GITHUB_CREATE_AN_ISSUE"),
            doc("slack", "Slack", "SLACK_SEND_MESSAGE"),
            doc("googlecalendar", "Google Calendar", "GOOGLECALENDAR_CREATE_EVENT"),
        ];
        Index::new(docs.into_iter())
    }

    fn toolkits(text: &str) -> Vec<(usize, Option<String>)> {
        let parts = parts(&index(), text).into_iter();
        parts.map(|part| (part.clause, part.toolkit)).collect()
    }

    #[test]
    fn a_text_is_cut_where_another_thing_begins() {
        let text = "File a bug, then tell the team AND\nadd it; done.";
        assert_eq!(cuts(text), ["File a bug", "tell the team", "add it", "done"]);
        assert!(cuts(" ,and. ").is_empty());
    }

    #[test]
    fn each_app_that_is_named_has_its_part() {
        let (github, slack, calendar) = (
            Some("github".to_owned()),
            Some("slack".to_owned()),
            Some("googlecalendar".to_owned()),
        );
        assert_eq!(
            toolkits("file a bug on GitHub and tell the team on Slack"),
            [(0, github.clone()), (1, slack.clone())]
        );
        assert_eq!(
            toolkits("find the bug and file it on GitHub, label it, then post to slack"),
            [(0, github.clone()), (1, slack.clone())]
        );
        assert_eq!(
            toolkits("copy GitHub issues into my Google Calendar"),
            [(0, github), (0, calendar)]
        );
    }

    #[test]
    fn what_names_one_app_or_none_stays_whole() {
        for text in [
            "create a GitHub issue and label it",
            "create an issue on GitHub and close it on GitHub",
            "send a message and create an issue",
            "",
            "and, then",
        ] {
            assert_eq!(toolkits(text), [(0, None)], "{text}");
        }
        assert_eq!(toolkits(&"ü, ".repeat(4000)), [(0, None)]);
        assert_eq!(toolkits(&"on GitHub and on Slack, ".repeat(500)).len(), MAX_PARTS);
    }
}
