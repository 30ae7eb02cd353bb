//! Word search over toolkits: a list that is too short for an index.

use crate::catalog::{Folded, Toolkit, fold};

/// A query, cut into words.
#[derive(Debug)]
pub struct Words(Vec<String>);

/// Words that say nothing about what is looked for.
const NOISE: [&str; 14] =
    ["a", "an", "the", "to", "of", "in", "on", "for", "with", "and", "or", "my", "me", "from"];

impl Words {
    /// Cuts a query; at most 20 words count.
    pub fn of(query: &str) -> Self {
        let folded = fold(query);
        let all = folded.split(' ').filter(|word| !word.is_empty()).take(20);
        let all: Vec<String> = all.map(str::to_owned).collect();
        let telling: Vec<String> =
            all.iter().filter(|w| !NOISE.contains(&w.as_str())).cloned().collect();
        Self(if telling.is_empty() { all } else { telling })
    }

    /// How well a toolkit matches: how many of the words it has, then how prominently. None when
    /// it has none of them.
    fn score(&self, text: &Folded) -> Option<(usize, usize)> {
        let (mut found, mut weight) = (0, 0);
        for word in &self.0 {
            let worth = match best(word, &text.slug, 6).max(best(word, &text.name, 5)) {
                0 => best(word, &text.description, 2),
                worth => worth,
            };
            found += usize::from(worth > 0);
            weight += worth;
        }
        (found > 0).then_some((found, weight))
    }

    /// Toolkits that match, best first: those with all words if there are any, else those
    /// with some. Equal ones keep their order.
    pub fn rank<T>(&self, things: Vec<T>, toolkit: impl Fn(&T) -> &Toolkit) -> Vec<T> {
        self.ranked(things, |thing| toolkit(thing).folded())
    }

    fn ranked<T>(&self, things: Vec<T>, text: impl Fn(&T) -> &Folded) -> Vec<T> {
        if self.0.is_empty() {
            return things;
        }
        let mut scored: Vec<((usize, usize), T)> = things
            .into_iter()
            .filter_map(|thing| Some((self.score(text(&thing))?, thing)))
            .collect();
        let most = scored.iter().map(|((found, _), _)| *found).max().unwrap_or(0);
        if most == self.0.len() {
            scored.retain(|((found, _), _)| *found == most);
        }
        scored.sort_by(|(a, _), (b, _)| b.cmp(a));
        scored.into_iter().map(|(_, thing)| thing).collect()
    }
}

/// What a word is worth in a text: all of it for the whole word, less for a beginning.
fn best(word: &str, text: &str, whole: usize) -> usize {
    let mut worth = 0;
    for known in text.split(' ') {
        if known == word {
            return whole;
        }
        let is_beginning = known.starts_with(word) || (known.len() >= 4 && word.starts_with(known));
        if is_beginning && word.len() >= 3 {
            worth = whole / 2;
        }
    }
    worth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_match_comes_first_and_strangers_do_not_come() {
        let toolkit = |slug: &str, name: &str, description: &str| {
            (
                Folded { slug: fold(slug), name: fold(name), description: fold(description) },
                slug.to_owned(),
            )
        };
        let rank = |query: &str| -> Vec<String> {
            let toolkits = vec![
                toolkit("tracker_list", "Issue lists", "Lists the issues of a repository."),
                toolkit("tracker_new", "Create an issue", "Opens an issue."),
                toolkit("chat", "Send a message", "Posts a message to a channel."),
            ];
            let found = Words::of(query).ranked(toolkits, |(folded, _)| folded);
            found.into_iter().map(|(_, slug)| slug).collect()
        };
        assert_eq!(rank("Create Issue")[0], "tracker_new");
        assert_eq!(rank("post messages to a channel"), ["chat"]);
        assert!(rank("zebra").is_empty());
        assert_eq!(rank("").len(), 3);
    }
}
