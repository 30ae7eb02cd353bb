//! What the words of queries and tools mean: classes of verbs and nouns.

use std::collections::HashMap;

use super::text::stem;

/// The table; see there for its form.
const TABLE: &str = include_str!("synonyms.txt");

/// Marks the terms that stand for a class.
const CLASS: char = '~';

/// Most words of one entry.
const LONGEST: usize = 4;

/// Words and phrases with the classes that they mean, and how surely.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// By stems, joined with spaces.
    meanings: HashMap<String, Vec<(u16, f32)>>,
    /// How many words the longest phrase has that begins with a stem.
    heads: HashMap<String, usize>,
    classes: Vec<String>,
}

/// A phrase of a text that means something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning<'a> {
    /// How many words it has.
    pub words: usize,
    /// Classes, and how surely.
    pub classes: &'a [(u16, f32)],
}

impl Lexicon {
    /// Reads the table.
    pub fn new() -> Self {
        let mut meanings: HashMap<String, Vec<(u16, f32)>> = HashMap::new();
        let mut classes = Vec::new();
        let mut heads: HashMap<String, usize> = HashMap::new();
        let mut phrase = String::new();
        for line in TABLE.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let Some((class, entries)) = line.split_once(':') else { continue };
            let Ok(number) = u16::try_from(classes.len()) else { break };
            classes.push(format!("{CLASS}{}", class.trim()));
            for entry in entries.split(',') {
                let (text, weight) = match entry.split_once('*') {
                    Some((text, weight)) => (text, weight.trim().parse().unwrap_or(1.0)),
                    None => (entry, 1.0),
                };
                phrase.clear();
                let mut count = 0;
                for word in text.split_whitespace() {
                    if count > 0 {
                        phrase.push(' ');
                    }
                    phrase.push_str(&stem(word));
                    count += 1;
                }
                let head = phrase.split(' ').next().unwrap_or_default();
                let longest = heads.entry(head.to_owned()).or_default();
                *longest = count.min(LONGEST).max(*longest);
                let known = meanings.entry(phrase.clone()).or_default();
                if !known.iter().any(|(class, _)| *class == number) {
                    known.push((number, weight));
                }
            }
        }
        Self { meanings, heads, classes }
    }

    /// Names of the classes, as terms of an index.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many words a phrase may have that begins with a stem; 0: none begins with it.
    pub fn longest(&self, stem: &str) -> usize {
        self.heads.get(stem).copied().unwrap_or(0)
    }

    /// The longest phrase at the beginning of `stems` that means something.
    pub fn at(&self, stems: &[impl AsRef<str>], key: &mut String) -> Option<Meaning<'_>> {
        let longest = stems.first().map_or(0, |stem| self.longest(stem.as_ref()));
        for count in (1..=longest.min(stems.len())).rev() {
            key.clear();
            for (i, stem) in stems[..count].iter().enumerate() {
                if i > 0 {
                    key.push(' ');
                }
                key.push_str(stem.as_ref());
            }
            if let Some(classes) = self.meanings.get(key.as_str()) {
                return Some(Meaning { words: count, classes });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        for (number, line) in TABLE.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (class, entries) = line.split_once(':').unwrap_or_else(|| panic!("line {number}"));
            assert!(!class.contains(' '), "{line}");
            for entry in entries.split(',') {
                let (text, weight) = entry.split_once('*').unwrap_or((entry, "1"));
                let weight: f32 = weight.parse().unwrap();
                assert!(weight > 0.0 && weight <= 1.0, "{line}");
                let count = text.split_whitespace().count();
                assert!((1..=LONGEST).contains(&count), "{line}");
                let plain = |c: char| c.is_ascii_lowercase() || c == ' ';
                assert!(text.chars().all(plain), "{line}");
            }
        }
        let lexicon = Lexicon::new();
        let mut names = lexicon.classes().to_vec();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), lexicon.classes().len());
    }

    #[test]
    fn phrases_go_before_words() {
        let lexicon = Lexicon::new();
        let mut key = String::new();
        let found = lexicon.at(&["pull", "request", "now"], &mut key).unwrap();
        assert_eq!(found.words, 2);
        assert!(lexicon.at(&["zebra"], &mut key).is_none());
    }
}
