//! Other documents that a description refers to, made part of it.
//!
//! Whoever has a description asks which documents are [wanted](Documents::wanted), gets them, and asks
//! again, since they may refer to further ones. What is there in the end is put into the description, so
//! that every reference leads to a place within it; what is not there has a reason.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use url::Url;

use super::Report;
use super::schema::token;

/// Documents of one description.
pub const MOST_DOCUMENTS: usize = 500;
/// How many documents may refer to each other in a row.
pub const MOST_DEPTH: usize = 20;
/// Bytes of all of them together.
pub const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Where they are in the description.
const HOME: &str = "x-patchbay-documents";
/// Longest reference that is followed.
const LONGEST: usize = 2_000;
/// Where a description without an address is said to be: nobody has to know where it lies, and a few levels
/// up are a place of their own.
const NOWHERE: &str = "file:///~/~/~/~/~/~/~/~/";
/// What of a description is read.
const READ: [&str; 3] = ["/paths", "/components/securitySchemes", "/securityDefinitions"];
/// Keys whose values are data, and those that are not read.
const DATA: [&str; 7] = ["example", "examples", "default", "enum", "const", "callbacks", "links"];
/// Keys below which there are names that somebody chose.
const NAMES: [&str; 16] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "definitions",
    "$defs",
    "schemas",
    "parameters",
    "responses",
    "requestBodies",
    "headers",
    "securitySchemes",
    "securityDefinitions",
    "pathItems",
    "paths",
    "content",
    "encoding",
];

/// The documents that a description refers to, as far as they are known.
#[derive(Debug, Clone)]
pub struct Documents {
    base: Url,
    known: BTreeMap<String, Result<Value, String>>,
}

/// What became of the references to other documents.
#[derive(Debug, Default)]
pub(super) struct Bundled {
    /// Names of the documents, for people.
    names: Vec<String>,
    /// What could not be had, by the reference, with the reason.
    pub lost: HashMap<String, String>,
}

/// Where a reference leads.
enum Target {
    /// Into the same document.
    Here(String),
    /// Into another one.
    There(Url, String),
}

/// Whether a text may be a description that refers to other documents: read without being taken apart.
pub fn is_mentioned(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.windows(4).position(|word| word == b"$ref") {
        rest = &rest[at + 4..];
        let quiet = |byte: &u8| byte.is_ascii_whitespace() || b"\"':>|-".contains(byte);
        if rest.iter().find(|byte| !quiet(byte)).is_some_and(|byte| *byte != b'#') {
            return true;
        }
    }
    false
}

/// Whether a pointer leads to what was in another document.
pub(super) fn is_elsewhere(pointer: &str) -> bool {
    pointer.strip_prefix('/').is_some_and(|rest| rest.starts_with(HOME))
}

/// What a pointer means, as it is or percent-encoded.
pub(super) fn part<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    if let Some(found) = root.pointer(pointer) {
        return Some(found);
    }
    let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8().ok()?;
    root.pointer(&decoded)
}

/// Calls `each` with every reference in a value, and where it stands below the value.
pub(super) fn references(value: &Value, each: &mut dyn FnMut(&str, &str)) {
    walk(value, &mut String::new(), false, each);
}

fn walk(value: &Value, at: &mut String, names: bool, each: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                if !names && DATA.contains(&key.as_str()) {
                    continue;
                }
                if let (true, Value::String(reference)) = (key == "$ref", inner) {
                    each(reference, at);
                    continue;
                }
                let length = at.len();
                at.push('/');
                at.push_str(&token(key));
                walk(inner, at, !names && NAMES.contains(&key.as_str()), each);
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (i, inner) in items.iter().enumerate() {
                let length = at.len();
                at.push_str(&format!("/{i}"));
                walk(inner, at, false, each);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// Puts other texts in the place of references, wherever one may be: what is data in one place can be a part
/// that is referred to in another.
fn rewrite(value: &mut Value, new: &mut dyn FnMut(&str) -> Option<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields.iter_mut() {
                match inner {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(text) = new(reference) {
                            *reference = text;
                        }
                    }
                    _ => rewrite(inner, new),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| rewrite(inner, new)),
        _ => {}
    }
}

fn target(base: &Url, reference: &str) -> Option<Target> {
    let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    if address.is_empty() {
        return Some(Target::Here(fragment.to_owned()));
    }
    let mut url = base.join(address).ok().filter(|_| reference.len() <= LONGEST)?;
    url.set_fragment(None);
    Some(Target::There(url, fragment.to_owned()))
}

impl Documents {
    /// Of a description at an address; of one that is nowhere, by the name of its file.
    #[expect(clippy::expect_used, reason = "the address is a constant")]
    pub fn of(base: Option<&str>, file: Option<&str>) -> Self {
        let given = base.and_then(|text| Url::parse(text).ok()).filter(Url::has_host);
        let mut base = given.unwrap_or_else(|| {
            let mut nowhere = Url::parse(NOWHERE).expect("an address");
            let name = file.and_then(|file| file.rsplit(['/', '\\']).next());
            let name = name.filter(|name| !name.is_empty()).unwrap_or("description");
            if let Ok(mut segments) = nowhere.path_segments_mut() {
                segments.pop_if_empty().push(name);
            }
            nowhere
        });
        base.set_fragment(None);
        Self { base, known: BTreeMap::new() }
    }

    /// Where the description is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The address that a name means which is relative to the description.
    pub fn address(&self, name: &str) -> Option<Url> {
        match target(&self.base, name)? {
            Target::There(url, _) => Some(url),
            Target::Here(_) => None,
        }
    }

    /// How many are known, those that cannot be had included.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// What is at an address, or why nothing can be had there.
    pub fn add(&mut self, url: &Url, document: Result<Value, String>) {
        if *url != self.base {
            self.known.insert(url.as_str().to_owned(), document);
        }
    }

    /// The name of a document for people: relative to the description where it lies beside that.
    pub fn name(&self, url: &Url) -> String {
        let root = |url: &Url| {
            let host = url.host_str().map(str::to_owned);
            (url.scheme().to_owned(), host, url.port_or_known_default())
        };
        let beside = root(url) == root(&self.base);
        let relative = self.base.make_relative(url).filter(|name| beside && !name.is_empty());
        relative.unwrap_or_else(|| url.to_string())
    }

    /// The documents that are needed to read the description and that are not known, in the order in which
    /// they were found. Parts that nothing leads to are not looked at.
    pub fn wanted(&self, root: &Value) -> Vec<Url> {
        let mut queue: Vec<(Option<Url>, String)> =
            READ.iter().rev().map(|start| (None, (*start).to_owned())).collect();
        // By where they lie in memory: one part can be written in many ways.
        let mut seen: HashSet<usize> = HashSet::new();
        let mut wanted: Vec<Url> = Vec::new();
        let mut noted: HashSet<String> = HashSet::new();
        while let Some((home, pointer)) = queue.pop() {
            let document = match &home {
                None => root,
                Some(url) => match self.known.get(url.as_str()) {
                    Some(Ok(document)) => document,
                    Some(Err(_)) => continue,
                    None => {
                        if noted.insert(url.as_str().to_owned()) {
                            wanted.push(url.clone());
                        }
                        continue;
                    }
                },
            };
            let Some(value) = part(document, &pointer) else { continue };
            if !seen.insert(std::ptr::from_ref(value) as usize) {
                continue;
            }
            let base = home.as_ref().unwrap_or(&self.base);
            references(value, &mut |reference, _| match target(base, reference) {
                Some(Target::Here(fragment)) => queue.push((home.clone(), fragment)),
                Some(Target::There(url, fragment)) if url == self.base => {
                    queue.push((None, fragment));
                }
                Some(Target::There(url, fragment)) => queue.push((Some(url), fragment)),
                None => {}
            });
        }
        wanted
    }

    /// Makes the documents part of the description, and its references lead to them.
    pub(super) fn bundle(self, root: &mut Value) -> Bundled {
        let mut bundled = Bundled::default();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for (address, document) in &self.known {
            if document.is_ok() {
                numbers.insert(address, bundled.names.len());
                let name = Url::parse(address).map_or_else(|_| address.clone(), |u| self.name(&u));
                bundled.names.push(name.chars().take(LONGEST).collect());
            }
        }
        let lost = &mut bundled.lost;
        let mut leads = |base: &Url, home: Option<usize>, reference: &str| -> Option<String> {
            let within = |number: Option<usize>, fragment: &str| match number {
                Some(number) => format!("#/{HOME}/{number}{fragment}"),
                None => format!("#{fragment}"),
            };
            let (url, fragment) = match target(base, reference) {
                Some(Target::Here(fragment)) => {
                    return home.map(|number| within(Some(number), &fragment));
                }
                Some(Target::There(url, fragment)) => (url, fragment),
                None => {
                    lost.insert(reference.to_owned(), "it is no address".to_owned());
                    return None;
                }
            };
            if url == self.base {
                return Some(within(None, &fragment));
            }
            let why = match self.known.get(url.as_str()) {
                Some(Ok(document)) if part(document, &fragment).is_some() => {
                    let number = numbers.get(url.as_str()).copied();
                    return Some(within(number, &fragment));
                }
                Some(Ok(_)) => "the document has no such part".to_owned(),
                Some(Err(why)) => why.clone(),
                None => "the document is not there".to_owned(),
            };
            let shown = self.name(&url);
            let shown = if fragment.is_empty() { shown } else { format!("{shown}#{fragment}") };
            lost.insert(shown.clone(), why);
            Some(shown)
        };
        rewrite(root, &mut |reference| leads(&self.base, None, reference));
        let mut documents: Vec<Value> = Vec::with_capacity(numbers.len());
        for (address, document) in &self.known {
            let (Ok(document), Ok(base)) = (document, Url::parse(address)) else { continue };
            let home = Some(documents.len());
            let mut document = document.clone();
            rewrite(&mut document, &mut |reference| leads(&base, home, reference));
            documents.push(document);
        }
        if let (false, Value::Object(fields)) = (documents.is_empty(), root) {
            fields.insert(HOME.to_owned(), documents.into());
        }
        bundled
    }
}

impl Bundled {
    /// A place in the description as whoever wrote it knows it: `pets.yaml#/Pet` for one that was in
    /// another document.
    fn place(&self, at: &str) -> Option<String> {
        let below = at.strip_prefix('/')?.strip_prefix(HOME)?.strip_prefix('/')?;
        let (number, rest) = below.split_at(below.find('/').unwrap_or(below.len()));
        let name = self.names.get(number.parse::<usize>().ok()?)?;
        Some(format!("{name}#{rest}"))
    }

    /// Names the places of a report as they were.
    pub fn name_places(&self, report: &mut Report) {
        if self.names.is_empty() {
            return;
        }
        let places = (report.renamed.iter_mut().map(|one| &mut one.at))
            .chain(report.repaired.iter_mut().map(|one| &mut one.at))
            .chain(report.left_out.iter_mut().map(|one| &mut one.at));
        for at in places {
            if let Some(place) = self.place(at) {
                *at = place;
            }
        }
    }
}

#[cfg(test)]
mod tests;
