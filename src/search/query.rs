//! Queries: cut into units, each with the terms of an index that it may mean.

use std::sync::Arc;

use super::act::{self, Acts};
use super::index::Index;
use super::text::{is_noise, stem, words};

/// Most words that count.
const MAX_WORDS: usize = 48;
/// What a class counts against the word itself.
const BY_CLASS: f32 = 0.85;
/// What a term counts that is only spelled nearly alike.
const NEARLY: f32 = 0.7;
/// What the toolkit counts that a unit names.
const TOOLKIT: f32 = 6.0;
/// What a toolkit counts the last word of whose name a unit is.
const HINT: f32 = 3.0;
/// Most words of a toolkit's name.
const NAME_WORDS: usize = 4;
/// Most terms that a misspelled word may mean.
const MAX_GUESSES: usize = 6;
/// Classes of verbs and the like are frequent; a rare member of one is not worth more than this.
const MAX_CLASS: f32 = 4.0;

/// A query, cut for an index.
#[derive(Debug, Default)]
pub struct Query {
    /// As it came, for another index.
    text: String,
    /// What it means, where there is a model.
    pub(super) vector: Option<Arc<[f32]>>,
    pub(super) units: Vec<Unit>,
    /// What is to be done.
    pub(super) acts: Acts,
    names_toolkit: bool,
    /// Terms of the toolkits that are named and surely meant, in their order.
    toolkits: Vec<u32>,
}

/// One thing that is asked for: a word or a phrase.
#[derive(Debug)]
pub(super) struct Unit {
    /// The terms that it may mean; the best one counts.
    pub ways: Vec<Way>,
    /// The most that it can count.
    pub mass: f32,
    /// Whether it is the name of a toolkit.
    pub named: bool,
    /// Term of the toolkit, when nothing else can be meant.
    pub toolkit: Option<u32>,
    /// Its stem, when no tool has it.
    pub unknown: Option<String>,
}

/// A term and what it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub term: u32,
    pub weight: f32,
}

impl Unit {
    /// How much of it a tool has for which it counts `value`.
    pub fn covered(&self, value: f32) -> f32 {
        (value * 2.0).min(self.mass)
    }
}

impl Query {
    /// As it came.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it names a toolkit; all of its tools match then, to a degree.
    pub fn names_toolkit(&self) -> bool {
        self.names_toolkit
    }

    /// Slugs of the toolkits that it names where nothing else can be meant, in their order.
    pub(super) fn named<'a>(&self, index: &'a Index) -> Vec<&'a str> {
        self.toolkits.iter().map(|term| index.toolkit(*term)).collect()
    }

    /// The most that a tool can score.
    pub fn mass(&self) -> f32 {
        self.units.iter().map(|unit| unit.mass).sum()
    }

    /// Whether nothing is asked for that any tool could have.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.vector.is_none()
    }
}

/// Cuts a query.
pub(super) fn cut(index: &Index, text: &str) -> Query {
    let words: Vec<String> = words(text).take(MAX_WORDS).collect();
    let stems: Vec<String> = words.iter().map(|word| stem(word).into_owned()).collect();
    let mut query = Query { text: text.to_owned(), acts: act::of_query(text), ..Query::default() };
    let (mut at, mut key) = (0, String::new());
    while at < words.len() {
        let (count, unit) = unit(index, &words[at..], &stems[at..], &mut key);
        at += count;
        query.names_toolkit |= unit.as_ref().is_some_and(|unit| unit.named);
        if let Some(unit) = unit {
            query.toolkits.extend(unit.toolkit.filter(|term| !query.toolkits.contains(term)));
            let again = |other: &Unit| {
                other.ways.first().map(|way| way.term) == unit.ways.first().map(|way| way.term)
                    && other.unknown == unit.unknown
            };
            if !query.units.iter().any(again) {
                query.units.push(unit);
            }
        }
    }
    query
}

/// The unit at the beginning, and how many words it has.
fn unit(
    index: &Index,
    words: &[String],
    stems: &[String],
    key: &mut String,
) -> (usize, Option<Unit>) {
    let (named, toolkit) = named(index, words, key);
    let meaning = index.lexicon.at(stems, key);
    let count = named.max(meaning.map_or(0, |m| m.words)).max(1);
    if count == 1 && named == 0 && is_noise(&words[0]) && meaning.is_none() {
        return (1, None);
    }
    let mut ways: Vec<Way> = Vec::new();
    let mut add = |term: u32, weight: f32| match ways.iter_mut().find(|way| way.term == term) {
        Some(way) => way.weight = way.weight.max(weight),
        None => ways.push(Way { term, weight }),
    };
    // Close and Box are toolkits, but seldom meant when somebody says the word.
    let is_word = meaning.is_some_and(|meaning| meaning.words == count);
    if let Some(term) = toolkit {
        add(term, if is_word { TOOLKIT / 2.5 } else { TOOLKIT });
    }
    if count == 1 && toolkit.is_none() {
        let hints = index.hints.get(&stems[0]).into_iter().flatten();
        hints.for_each(|term| add(*term, HINT));
    }
    let mut classes = 0.0_f32;
    if let Some(meaning) = meaning.filter(|meaning| meaning.words == count) {
        for (class, weight) in meaning.classes {
            let name = &index.lexicon.classes()[usize::from(*class)];
            if let Some(term) = index.term(name) {
                let value = index.idf(term) * weight * BY_CLASS;
                classes = classes.max(value);
                add(term, value);
            }
        }
    }
    let mut unknown = None;
    let own = words[..count].iter().zip(stems).filter(|(word, _)| !is_noise(word));
    for (_, stem) in own {
        match index.term(stem) {
            Some(term) => {
                let idf = index.idf(term);
                // A member of a class counts as a member of the class would.
                let cap =
                    if classes > 0.0 { (classes / BY_CLASS * 1.25).min(MAX_CLASS) } else { idf };
                add(term, idf.min(cap.max(1.0)) / count as f32);
            }
            None if classes == 0.0 && toolkit.is_none() => {
                unknown = Some(stem.clone());
                guesses(index, stem, &mut add);
            }
            None => {}
        }
    }
    if ways.is_empty() && unknown.is_none() {
        return (count, None);
    }
    let most = ways.iter().map(|way| way.weight).fold(0.0, f32::max);
    let mass = if most > 0.0 { most } else { (index.len() as f32 + 1.0).ln() };
    (
        count,
        Some(Unit {
            ways,
            mass,
            named: toolkit.is_some(),
            toolkit: toolkit.filter(|_| !is_word),
            unknown,
        }),
    )
}

/// The toolkit whose name the words begin with, and of how many words it is.
fn named(index: &Index, words: &[String], key: &mut String) -> (usize, Option<u32>) {
    for count in (1..=NAME_WORDS.min(words.len())).rev() {
        key.clear();
        for word in &words[..count] {
            key.push_str(word);
        }
        if let Some(term) = index.toolkits.get(key.as_str()) {
            return (count, Some(*term));
        }
        // google sheets, and a google sheet
        key.push('s');
        if let Some(term) = index.toolkits.get(key.as_str()).filter(|_| count > 1) {
            return (count, Some(*term));
        }
    }
    (0, None)
}

/// Terms that a misspelled or unfinished word may mean.
fn guesses(index: &Index, stem: &str, add: &mut impl FnMut(u32, f32)) {
    if stem.len() < 3 || !stem.is_ascii() {
        return;
    }
    let first = &stem[..1];
    let from = index.terms.partition_point(|term| &**term < first);
    let mut found: Vec<(u32, f32)> = Vec::new();
    for (at, term) in index.terms.iter().enumerate().skip(from) {
        if !term.starts_with(first) {
            break;
        }
        let weight = if term.starts_with(stem) {
            NEARLY * stem.len() as f32 / term.len() as f32
        } else if stem.len() >= 4 && one_off(stem.as_bytes(), term.as_bytes()) {
            NEARLY
        } else {
            continue;
        };
        found.push((at as u32, weight * index.idf(at as u32)));
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (term, weight) in found.into_iter().take(MAX_GUESSES) {
        add(term, weight);
        if let Some(toolkit) = index.toolkits.get(&*index.terms[term as usize]) {
            add(*toolkit, TOOLKIT * NEARLY);
        }
    }
}

/// Whether two words differ by one letter that is missing, too many, another, or changed places
/// with its neighbour.
fn one_off(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if b.len() - a.len() > 1 {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    if b.len() > a.len() {
        return a[same..] == b[same + 1..];
    }
    let swapped = same + 1 < a.len()
        && a[same] == b[same + 1]
        && a[same + 1] == b[same]
        && a[same + 2..] == b[same + 2..];
    same < a.len() && (a[same + 1..] == b[same + 1..] || swapped)
}

#[cfg(test)]
mod tests {
    use super::one_off;

    #[test]
    fn one_slip_is_forgiven() {
        for (a, b) in
            [("isue", "issue"), ("issuse", "issue"), ("isseu", "issue"), ("izsue", "issue")]
        {
            assert!(one_off(a.as_bytes(), b.as_bytes()), "{a}");
        }
        assert!(!one_off(b"issue", b"tissues"));
        assert!(!one_off(b"label", b"table"));
    }
}
