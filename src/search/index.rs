//! An index in memory over the texts of tools (BM25F): which of them a query means.
//!
//! A tool's fields are weighed and normalised by their length when the index is made, so that
//! a posting is a tool's number and one finished weight, packed in 32 bits. A query is cut into units
//! (words and phrases); a unit matches by its own stem, by the classes that it belongs to
//! (`make` and `create`), by the toolkit that it names, or, when no tool has it, by terms that are
//! spelled nearly like it. The best of these counts once.

use std::collections::{BinaryHeap, HashMap};

use super::act::{self, Acts};
use super::count::{ByField, Counted, Counter, Doc, FIELDS, Field, own};
use super::lexicon::Lexicon;
use super::query::Query;
use super::text::{stem, words};

/// What an occurrence in a field counts: slug, name, other slugs, toolkit, description, names of
/// arguments, everything else (texts of arguments, tags, the toolkit's description).
const WEIGHTS: ByField = [2.5, 2.5, 0.8, 0.6, 1.0, 0.4, 0.1];
/// How much the length of a field tells against it.
const LENGTH: ByField = [0.7, 0.7, 0.8, 0.0, 0.5, 0.6, 0.5];
/// Where further occurrences stop to count (BM25's k1).
const SATURATION: f32 = 2.0;
/// Marks the terms that stand for a toolkit.
const NAMED: char = '@';
/// What a tool's score is multiplied by that has next to nothing of the query.
const BASE: f32 = 0.35;
/// What a tool that has all words counts beside one that means the same, where both is known.
const WORDS: f32 = 0.85;
/// How near a tool is at most that has nothing to do with a query.
const FAR: f32 = 0.15;
/// How near a tool is that has a word of the query, as far as nobody knows.
const USUAL: f32 = 0.3;
/// What a tool's score is multiplied by that does something else than is asked for.
const OTHER_ACT: f32 = 0.7;
/// What a tool's score is multiplied by that another toolkit has too.
const SECOND: f32 = 0.7;
/// Steps of a posting's weight.
const STEPS: f32 = 255.0;

/// The index. Tools go by their number, in the order in which they were given.
#[derive(Debug)]
pub struct Index {
    pub(super) lexicon: Lexicon,
    /// Sorted.
    pub(super) terms: Vec<Box<str>>,
    /// Where the postings of each term begin; one more than there are terms.
    starts: Vec<u32>,
    /// Tool in the upper 24 bits, weight in the lower 8.
    postings: Vec<u32>,
    idf: Vec<f32>,
    /// What a tool's score is multiplied by.
    priors: Vec<f32>,
    acts: Vec<Acts>,
    averages: ByField,
    /// Names of toolkits in words, joined without spaces, and their terms.
    pub(super) toolkits: HashMap<String, u32>,
    /// Last words of toolkits' names that have several, by their stems: somebody's calendar is
    /// likely the one of Google Calendar.
    pub(super) hints: HashMap<String, Vec<u32>>,
}

/// How far down a search goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Most tools.
    pub most: usize,
    /// The part of the best one's score below which a tool is not what was looked for.
    pub part: f32,
}

impl From<usize> for Limit {
    fn from(most: usize) -> Self {
        Self { most, part: 0.0 }
    }
}

/// A tool that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its number.
    pub doc: u32,
    /// How well it matches.
    pub score: f32,
    /// The part of the query, by weight, that it has.
    pub cover: f32,
}

/// The weight of a term, from 0 to 1, of its occurrences in the fields of a tool.
fn weight(occurrences: &[(u32, Field, f32)], lengths: &ByField, averages: &ByField) -> f32 {
    let mut sum = 0.0;
    for (_, field, count) in occurrences {
        let field = *field as usize;
        let relative = lengths[field] / averages[field].max(1.0);
        sum += WEIGHTS[field] * count / (1.0 - LENGTH[field] + LENGTH[field] * relative);
    }
    sum / (SATURATION + sum)
}

/// The terms of a tool, each with its weight.
fn weighed(counted: Counted, averages: &ByField, mut each: impl FnMut(u32, f32)) {
    for group in counted.terms.chunk_by(|a, b| a.0 == b.0) {
        each(group[0].0, weight(group, &counted.lengths, averages));
    }
}

fn prior(doc: &Doc<'_>) -> f32 {
    let prior = match (doc.deprecated, doc.important) {
        (true, _) => 0.5,
        (_, true) => 1.12,
        _ => 1.0,
    };
    // The same tool under two names would take two places of a page.
    if doc.second { prior * SECOND } else { prior }
}

fn acts_of(doc: &Doc<'_>) -> Acts {
    act::of_tool(doc.name, own(doc.slug, doc.toolkit), doc.description)
}

impl Index {
    /// Makes the index.
    pub fn new<'a>(docs: impl Iterator<Item = Doc<'a>>) -> Self {
        Self::of(|add| docs.for_each(|doc| add(&doc)))
    }

    /// Makes the index of what `each` hands over, one after the other: the texts of tens of thousands
    /// of tools are never all there at once.
    pub fn of(each: impl FnOnce(&mut dyn FnMut(&Doc<'_>))) -> Self {
        let lexicon = Lexicon::new();
        let (mut all, mut priors, mut named) = (Vec::new(), Vec::new(), Vec::new());
        let mut acts = Vec::new();
        let mut names: HashMap<String, u32> = HashMap::new();
        let mut hints: HashMap<String, Vec<u32>> = HashMap::new();
        let mut counter = Counter::new(&lexicon);
        let mut averages: ByField = [0.0; FIELDS];
        let mut last = (String::new(), 0);
        each(&mut |doc| {
            let counted = counter.doc(doc);
            for (sum, length) in averages.iter_mut().zip(counted.lengths) {
                *sum += length;
            }
            all.push(counted);
            priors.push(prior(doc));
            acts.push(acts_of(doc));
            if last.0 != doc.toolkit || all.len() == 1 {
                let term = counter.number(&format!("{NAMED}{}", doc.toolkit));
                last = (doc.toolkit.to_owned(), term);
                for name in [doc.toolkit, doc.toolkit_name] {
                    names.entry(words(name).collect()).or_insert(last.1);
                }
                let name: Vec<String> = words(doc.toolkit_name).collect();
                if let [_, .., end] = name.as_slice() {
                    hints.entry(stem(end).into_owned()).or_default().push(last.1);
                }
            }
            named.push(last.1);
        });
        let count = all.len() as f32;
        averages.iter_mut().for_each(|sum| *sum /= count.max(1.0));
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(all.len() * 64);
        for (number, (doc, named)) in all.into_iter().zip(named).enumerate() {
            let number = (number as u32) << 8;
            weighed(doc, &averages, |term, weight| {
                pairs.push((term, number | ((weight * STEPS).round() as u32).clamp(1, 255)));
            });
            pairs.push((named, number | 255));
        }
        // Terms get new numbers: their places in the alphabet.
        let terms = std::mem::take(&mut counter.terms);
        drop(counter);
        let mut order: Vec<u32> = (0..terms.len() as u32).collect();
        order.sort_unstable_by(|a, b| terms[*a as usize].cmp(&terms[*b as usize]));
        let mut place = vec![0_u32; terms.len()];
        for (at, term) in order.iter().enumerate() {
            place[*term as usize] = at as u32;
        }
        let mut starts = vec![0_u32; terms.len() + 1];
        for (term, _) in &pairs {
            starts[place[*term as usize] as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let (mut next, mut postings) = (starts.clone(), vec![0_u32; pairs.len()]);
        for (term, posting) in pairs {
            let next = &mut next[place[term as usize] as usize];
            postings[*next as usize] = posting;
            *next += 1;
        }
        let idf = starts.windows(2).map(|range| {
            let list = &postings[range[0] as usize..range[1] as usize];
            // A term counts as frequent as far as it is prominent: that half of the tools mention
            // a word in passing does not make it a bad title.
            let df: f32 = list.iter().map(|p| ((p & 255) as f32 / 128.0).min(1.0)).sum();
            (1.0 + (count - df + 0.5).max(0.0) / (df + 0.5)).ln()
        });
        let idf = idf.collect();
        let mut sorted: Vec<Box<str>> = Vec::with_capacity(terms.len());
        let mut terms: Vec<Option<Box<str>>> = terms.into_iter().map(Some).collect();
        sorted.extend(order.iter().filter_map(|term| terms[*term as usize].take()));
        for terms in hints.values_mut() {
            terms.iter_mut().for_each(|term| *term = place[*term as usize]);
        }
        let toolkits = names.into_iter().map(|(name, term)| (name, place[term as usize]));
        Self {
            toolkits: toolkits.collect(),
            hints,
            terms: sorted,
            lexicon,
            starts,
            postings,
            idf,
            priors,
            acts,
            averages,
        }
    }

    /// The number of tools.
    pub fn len(&self) -> usize {
        self.priors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.priors.is_empty()
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        let terms: usize = self.terms.iter().map(|term| term.len() + 16).sum();
        terms + 4 * (self.starts.len() + self.postings.len() + self.idf.len() + self.priors.len())
    }

    pub(super) fn term(&self, text: &str) -> Option<u32> {
        self.terms.binary_search_by(|term| (**term).cmp(text)).ok().map(|at| at as u32)
    }

    /// Slug of the toolkit that a term stands for.
    pub(super) fn toolkit(&self, term: u32) -> &str {
        self.terms[term as usize].trim_start_matches(NAMED)
    }

    pub(super) fn idf(&self, term: u32) -> f32 {
        self.idf[term as usize]
    }

    fn postings(&self, term: u32) -> &[u32] {
        let term = term as usize;
        &self.postings[self.starts[term] as usize..self.starts[term + 1] as usize]
    }

    /// Cuts a query, for this index.
    pub fn query(&self, text: &str) -> Query {
        super::query::cut(self, text)
    }

    /// The best of the tools that `allowed` lets through, best first. Others take no
    /// place and change no score. `near` says how near each tool is to the query by its meaning,
    /// not a number where nobody knows; empty: only words count.
    pub fn find(
        &self,
        query: &Query,
        near: &[f32],
        limit: impl Into<Limit>,
        mut allowed: impl FnMut(u32) -> bool,
    ) -> Vec<Hit> {
        let limit = limit.into();
        let mut heap = self.scored(query, near);
        let mut found: Vec<Hit> = Vec::new();
        while found.len() < limit.most
            && let Some(Ranked(hit)) = heap.pop()
            && found.first().is_none_or(|best| hit.score >= best.score * limit.part)
        {
            if allowed(hit.doc) {
                found.push(hit);
            }
        }
        found
    }

    fn prior(&self, query: &Query, doc: u32) -> f32 {
        let agree = act::agree(query.acts, self.acts[doc as usize]);
        self.priors[doc as usize] * if agree { 1.0 } else { OTHER_ACT }
    }

    fn scored(&self, query: &Query, near: &[f32]) -> BinaryHeap<Ranked> {
        let mut total = vec![(0.0_f32, 0.0_f32); self.len()];
        let mut unit = vec![0.0_f32; self.len()];
        let (mut seen, mut touched): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for part in &query.units {
            for way in &part.ways {
                let factor = way.weight / STEPS;
                for posting in self.postings(way.term) {
                    let (doc, value) = (posting >> 8, (posting & 255) as f32 * factor);
                    let best = &mut unit[doc as usize];
                    if *best == 0.0 {
                        touched.push(doc);
                    }
                    if value > *best {
                        *best = value;
                    }
                }
            }
            for doc in touched.drain(..) {
                let value = std::mem::take(&mut unit[doc as usize]);
                let (score, cover) = &mut total[doc as usize];
                if *score == 0.0 {
                    seen.push(doc);
                }
                *score += value;
                *cover += part.covered(value);
            }
        }
        for (doc, near) in (0..).zip(near.iter().take(self.len())) {
            if *near > FAR && total[doc as usize].0 == 0.0 {
                seen.push(doc);
            }
        }
        let whole = query.mass();
        seen.into_iter()
            .map(|doc| {
                let (score, cover) = total[doc as usize];
                let matched = Matched { score, cover, whole, prior: self.prior(query, doc) };
                let near = near.get(doc as usize).copied();
                Ranked(matched.hit(doc, near))
            })
            .collect()
    }

    /// How well a tool matches that is not in the index, on the scale of those that are. `near`: see
    /// [`Index::find`]; none where its meaning is not known but that of others is.
    pub fn score(&self, query: &Query, doc: &Doc<'_>, near: Near) -> Option<Hit> {
        let mut counter = Counter::new(&self.lexicon);
        let counted = counter.doc(doc);
        let mut weights: HashMap<&str, f32> = HashMap::new();
        let terms = std::mem::take(&mut counter.terms);
        weighed(counted, &self.averages, |term, weight| {
            weights.insert(&terms[term as usize], weight);
        });
        let named = format!("{NAMED}{}", doc.toolkit);
        weights.insert(&named, 1.0);
        let (mut score, mut cover, mut whole) = (0.0, 0.0, 0.0);
        for part in &query.units {
            let ways = part.ways.iter().map(|way| (&*self.terms[way.term as usize], way.weight));
            // A word that no tool of the index has may be this one's own.
            let own = part.unknown.iter().map(|stem| (stem.as_str(), part.mass));
            let best = ways
                .chain(own)
                .filter_map(|(term, weight)| Some(weights.get(term)? * weight))
                .fold(0.0, f32::max);
            score += best;
            cover += part.covered(best);
            whole += part.mass;
        }
        let near = match near {
            Near::Unasked => None,
            Near::Known(near) => Some(near),
            Near::Unknown => Some(f32::NAN),
        };
        let mut prior = prior(doc);
        if !act::agree(query.acts, acts_of(doc)) {
            prior *= OTHER_ACT;
        }
        let matched = Matched { score, cover, whole, prior };
        (score > 0.0 || near.is_some_and(|near| near > FAR)).then(|| matched.hit(u32::MAX, near))
    }
}

/// How near a tool is to a query by its meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Near {
    /// Only words count.
    Unasked,
    /// Nobody knows.
    Unknown,
    /// From -1 to 1.
    Known(f32),
}

/// What is known of how a tool matches.
struct Matched {
    score: f32,
    cover: f32,
    whole: f32,
    prior: f32,
}

impl Matched {
    /// What has a bit of everything goes before what has much of one thing.
    fn hit(&self, doc: u32, near: Option<f32>) -> Hit {
        let cover = if self.whole > 0.0 { self.cover / self.whole } else { 0.0 };
        let score = self.score * (BASE + (1.0 - BASE) * cover);
        let Some(near) = near else {
            return Hit { doc, score: score * self.prior, cover };
        };
        let words = if self.whole > 0.0 { score / self.whole } else { 0.0 };
        let near = if near.is_nan() { USUAL + 0.5 * (1.0 - USUAL) * cover } else { near };
        let meaning = (near - FAR).max(0.0);
        Hit {
            doc,
            score: (words * WORDS + meaning) * self.prior,
            cover: cover.max((meaning * 2.0).min(1.0)),
        }
    }
}

/// By score, then in the order of the index.
struct Ranked(Hit);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.score.total_cmp(&other.0.score).then(other.0.doc.cmp(&self.0.doc))
    }
}
