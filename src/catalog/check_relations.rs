//! Relations between tools: every tool that a definition names has to be there.

use std::collections::HashSet;

use super::check::at;
use super::model::Tool as Def;
use super::source::SourceFile;

/// Most tools in one list.
const MOST: usize = 5;
/// Longest pitfall, in characters.
const LONGEST: usize = 300;

/// Checks `before`, `instead`, `after` and `pitfalls` of the tools of one toolkit.
pub(super) fn tools(tools: &[(&SourceFile, Def)], problems: &mut Vec<String>) {
    let names = |def: &Def| [&[def.slug.clone()][..], &def.aliases].concat();
    let known: HashSet<String> = tools.iter().flat_map(|(_, def)| names(def)).collect();
    for (source, def) in tools {
        let mut say = |problem: String| {
            problems.push(format!("{}: {}: {problem}", at(source, &def.slug), def.slug));
        };
        let lists = [("before", &def.before), ("instead", &def.instead), ("after", &def.after)];
        for (key, list) in lists {
            if list.len() > MOST {
                say(format!("{key}: at most {MOST} tools"));
            }
            for (place, slug) in list.iter().enumerate() {
                if !known.contains(slug) {
                    say(format!("{key}: the toolkit has no tool `{slug}`"));
                } else if *slug == def.slug || def.aliases.contains(slug) {
                    say(format!("{key}: a tool does not go with itself"));
                } else if list[..place].contains(slug) {
                    say(format!("{key}: `{slug}` is there twice"));
                }
            }
        }
        texts(&def.pitfalls, &mut say);
    }
}

/// Checks `pitfalls`.
pub(super) fn texts(pitfalls: &[String], say: &mut impl FnMut(String)) {
    for text in pitfalls {
        if text.trim().is_empty() || text.chars().count() > LONGEST {
            say(format!("pitfalls: each must have 1 to {LONGEST} characters"));
        }
    }
}
