//! Word search over the catalogue, in memory.

use std::borrow::Cow;

/// A query, cut into words.
#[derive(Debug)]
pub struct Words(Vec<String>);

/// Words that say nothing about what is looked for.
const NOISE: [&str; 14] =
    ["a", "an", "the", "to", "of", "in", "on", "for", "with", "and", "or", "my", "me", "from"];

fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let all = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    // Most words are in lower case; a list of thousands of texts is searched for every request.
    all.map(|word| match word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(word.to_lowercase()),
    })
}

impl Words {
    /// Cuts a query; at most 20 words count.
    pub fn of(query: &str) -> Self {
        let all: Vec<String> = words(query).take(20).map(Cow::into_owned).collect();
        let telling: Vec<String> =
            all.iter().filter(|w| !NOISE.contains(&w.as_str())).cloned().collect();
        Self(if telling.is_empty() { all } else { telling })
    }

    /// How well a thing matches: how many of the words it has, then how prominently. None when
    /// it has none of them.
    pub fn score(&self, slug: &str, name: &str, description: &str) -> Option<(usize, usize)> {
        let slug: Vec<Cow<'_, str>> = words(slug).collect();
        let name: Vec<Cow<'_, str>> = words(name).collect();
        let mut description_words: Option<Vec<Cow<'_, str>>> = None;
        let (mut found, mut weight) = (0, 0);
        for word in &self.0 {
            let worth = best(word, &slug, 6).max(best(word, &name, 5));
            let worth = if worth > 0 {
                worth
            } else {
                let text = description_words.get_or_insert_with(|| words(description).collect());
                best(word, text, 2)
            };
            found += usize::from(worth > 0);
            weight += worth;
        }
        (found > 0).then_some((found, weight))
    }

    /// The things that match, best first: those with all words if there are any, else those
    /// with some. Equal ones keep their order.
    pub fn rank<T>(&self, things: Vec<T>, text: impl Fn(&T) -> (&str, &str, &str)) -> Vec<T> {
        if self.0.is_empty() {
            return things;
        }
        let mut scored: Vec<((usize, usize), T)> = things
            .into_iter()
            .filter_map(|thing| {
                let (slug, name, description) = text(&thing);
                Some((self.score(slug, name, description)?, thing))
            })
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
fn best(word: &str, text: &[Cow<'_, str>], whole: usize) -> usize {
    if text.iter().any(|w| w == word) {
        whole
    } else if word.len() >= 3
        && text.iter().any(|w| w.starts_with(word) || (w.len() >= 4 && word.starts_with(&**w)))
    {
        whole / 2
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn the_best_match_comes_first_and_strangers_do_not_come() {
        let tools = vec![
            ("GITHUB_LIST_ISSUES", "List issues", "Lists the issues of a repository."),
            ("GITHUB_CREATE_AN_ISSUE", "Create an issue", "Opens an issue."),
            ("SLACK_SEND_MESSAGE", "Send a message", "Posts a message to a channel."),
        ];
        let rank = |query: &str| -> Vec<&str> {
            let found = Words::of(query).rank(tools.clone(), |t| *t);
            found.into_iter().map(|t| t.0).collect()
        };
        assert_eq!(rank("create issue")[0], "GITHUB_CREATE_AN_ISSUE");
        assert_eq!(rank("post messages to a channel"), ["SLACK_SEND_MESSAGE"]);
        assert!(rank("zebra").is_empty());
        assert_eq!(rank("").len(), 3);
    }
}
