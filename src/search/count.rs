//! How often which terms occur in the texts of a tool.

use std::collections::HashMap;
use std::rc::Rc;

use super::lexicon::Lexicon;
use super::text::{MAX_WORD, is_noise, stem, without_tools};

/// What is known of a tool.
#[derive(Debug, Default, Clone)]
pub struct Doc<'a> {
    /// Slug.
    pub slug: &'a str,
    /// Further slugs.
    pub aliases: Vec<&'a str>,
    /// Display name.
    pub name: &'a str,
    /// What it does.
    pub description: &'a str,
    /// Slug of its toolkit.
    pub toolkit: &'a str,
    /// Display name of its toolkit.
    pub toolkit_name: &'a str,
    /// What the toolkit is.
    pub toolkit_text: &'a str,
    /// Arguments: name and description.
    pub params: Vec<(&'a str, &'a str)>,
    /// Tags.
    pub tags: Vec<&'a str>,
    /// Whether it belongs to the toolkit's default set.
    pub important: bool,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// Whether another toolkit has it too, and this one is for who wants several in one.
    pub second: bool,
}

/// A part of what is known of a tool; parts count differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Slug, without the toolkit.
    Slug,
    /// Display name.
    Name,
    /// Further slugs.
    Aliases,
    /// Toolkit.
    Toolkit,
    /// Description.
    Text,
    /// Names of arguments.
    Params,
    /// Texts of arguments, tags, the toolkit's description.
    More,
}

/// Number of fields.
pub(super) const FIELDS: usize = 7;

/// Something by field.
pub(super) type ByField = [f32; FIELDS];

/// Terms of a text and how often they occur, and its length.
#[derive(Debug, Default)]
struct Text {
    terms: Vec<(u32, f32)>,
    length: f32,
}

/// Terms of a tool.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// Term, field and occurrences, by term; a pair is there once.
    pub terms: Vec<(u32, Field, f32)>,
    /// Words by field.
    pub lengths: ByField,
}

impl Counted {
    fn add(&mut self, field: Field, text: &Text) {
        self.terms.extend(text.terms.iter().map(|(term, count)| (*term, field, *count)));
        self.lengths[field as usize] += text.length;
    }

    /// Those of all tools are kept until the index is made, so they are no larger than they have to be.
    fn packed(mut self) -> Self {
        self.terms.sort_unstable_by_key(|(term, field, _)| (*term, *field as usize));
        self.terms.dedup_by(|next, first| {
            let is_same = (next.0, next.1 as usize) == (first.0, first.1 as usize);
            if is_same {
                first.2 += next.2;
            }
            is_same
        });
        self.terms.shrink_to_fit();
        self
    }
}

/// Most texts that are remembered: nearly all that come again do so within their toolkit.
const REPEATED: usize = 4096;

/// A word that was met before.
#[derive(Debug, Clone, Copy)]
struct Known {
    term: u32,
    noise: bool,
    /// How many words a phrase may have that begins with it.
    longest: u8,
}

/// Counts, and numbers the terms that it meets.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    lexicon: &'a Lexicon,
    /// Every term, by number.
    pub terms: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    words: HashMap<Box<str>, Known>,
    classes: Vec<u32>,
    /// Texts that come again and again, such as those of common arguments.
    texts: HashMap<Box<str>, Rc<Text>>,
}

impl<'a> Counter<'a> {
    /// Begins with the classes.
    pub fn new(lexicon: &'a Lexicon) -> Self {
        let mut counter = Self {
            lexicon,
            terms: Vec::new(),
            numbers: HashMap::new(),
            words: HashMap::new(),
            classes: Vec::new(),
            texts: HashMap::new(),
        };
        counter.classes = lexicon.classes().iter().map(|class| counter.number(class)).collect();
        counter
    }

    /// The number of a term, a new one when it is new.
    pub fn number(&mut self, term: &str) -> u32 {
        if let Some(number) = self.numbers.get(term) {
            return *number;
        }
        let number = u32::try_from(self.terms.len()).unwrap_or(u32::MAX);
        self.terms.push(term.into());
        self.numbers.insert(term.into(), number);
        number
    }

    fn word(&mut self, word: &str) -> Known {
        if let Some(known) = self.words.get(word) {
            return *known;
        }
        let stem = stem(word);
        let longest = u8::try_from(self.lexicon.longest(&stem)).unwrap_or(u8::MAX);
        let known = Known { term: self.number(&stem), noise: is_noise(word), longest };
        self.words.insert(word.into(), known);
        known
    }

    /// Counts the words of a text, and what they mean.
    fn text(&mut self, text: &str) -> Text {
        let mut lower = String::with_capacity(MAX_WORD);
        let mut words: Vec<Known> = Vec::new();
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            if word.is_empty() || word.len() > MAX_WORD {
                continue;
            }
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            let known = self.word(&lower);
            words.push(known);
        }
        let mut counted = Text::default();
        let (mut covered, mut key) = (0, String::new());
        for (at, word) in words.iter().enumerate() {
            if !word.noise {
                counted.terms.push((word.term, 1.0));
                counted.length += 1.0;
            }
            // Words inside of a phrase mean what the phrase means.
            if at < covered || word.longest == 0 {
                continue;
            }
            let end = words.len().min(at + usize::from(word.longest));
            let stems: Vec<&str> =
                words[at..end].iter().map(|w| &*self.terms[w.term as usize]).collect();
            if let Some(meaning) = self.lexicon.at(&stems, &mut key) {
                covered = at + meaning.words;
                for (class, weight) in meaning.classes {
                    counted.terms.push((self.classes[usize::from(*class)], *weight));
                }
            }
        }
        counted
    }

    fn repeated(&mut self, text: &str, count: impl FnOnce(&mut Self) -> Text) -> Rc<Text> {
        if let Some(counted) = self.texts.get(text) {
            return counted.clone();
        }
        let counted = Rc::new(count(self));
        if self.texts.len() >= REPEATED {
            self.texts.clear();
        }
        self.texts.insert(text.into(), counted.clone());
        counted
    }

    /// Counts a tool's terms.
    pub fn doc(&mut self, doc: &Doc<'_>) -> Counted {
        let mut counted = Counted::default();
        let slug = self.text(own(doc.slug, doc.toolkit));
        counted.add(Field::Slug, &slug);
        let name = self.text(doc.name);
        counted.add(Field::Name, &name);
        for alias in &doc.aliases {
            let alias = self.text(own(alias, doc.toolkit));
            counted.add(Field::Aliases, &alias);
        }
        for name in [doc.toolkit, doc.toolkit_name] {
            let name = self.repeated(name, |counter| counter.text(name));
            counted.add(Field::Toolkit, &name);
        }
        let text = self.text(&without_tools(doc.description));
        counted.add(Field::Text, &text);
        for (name, text) in &doc.params {
            let name = self.repeated(name, |counter| counter.text(&spaced(name)));
            counted.add(Field::Params, &name);
            let text = self.repeated(text, |counter| counter.text(&without_tools(text)));
            counted.add(Field::More, &text);
        }
        for tag in &doc.tags {
            let tag = self.repeated(tag, |counter| counter.text(tag));
            counted.add(Field::More, &tag);
        }
        let text = self.repeated(doc.toolkit_text, |counter| counter.text(doc.toolkit_text));
        counted.add(Field::More, &text);
        counted.packed()
    }
}

/// A slug without its toolkit.
pub(super) fn own<'a>(slug: &'a str, toolkit: &str) -> &'a str {
    match slug.split_at_checked(toolkit.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(toolkit) && rest.len() > 1 => rest,
        _ => slug,
    }
}

/// A name as programs write it, in words: `issueIdOrKey`.
pub(super) fn spaced(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if c.is_uppercase() && lower {
            spaced.push(' ');
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
        spaced.push(c);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_and_their_meanings_are_counted() {
        let lexicon = Lexicon::new();
        let mut counter = Counter::new(&lexicon);
        let doc = Doc {
            slug: "GITHUB_MAKE_PR",
            toolkit: "github",
            name: "Make a pull request",
            description: "Makes one. See also GITHUB_LIST_BRANCHES.",
            params: vec![("headBranch", "Where it comes from.")],
            ..Doc::default()
        };
        let counted = counter.doc(&doc);
        let has = |term: &str, field: Field| {
            counted
                .terms
                .iter()
                .any(|(t, f, _)| *counter.terms[*t as usize] == *term && *f == field)
        };
        assert!(has("~pull_request", Field::Slug) && has("~pull_request", Field::Name));
        assert!(
            has("~create", Field::Slug) && has("pr", Field::Slug) && has("request", Field::Name)
        );
        assert!(has("branch", Field::Params) && !has("branch", Field::Text));
        assert!(!has("github", Field::Slug) && has("github", Field::Toolkit));
        assert_eq!(counted.lengths[Field::Name as usize], 3.0);
    }
}
