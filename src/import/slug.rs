//! Names of toolkits and tools, made of what a description calls them.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

/// Longest slug that is made; models' providers allow no longer names of functions.
pub const MOST: usize = 64;

/// `List a user's repos` as `LIST_A_USER_S_REPOS`: runs of anything but letters and digits become
/// one underscore.
pub fn upper_snake(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_uppercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    out
}

/// Cuts camel case into words: `getActionsByIDAction` as `get_Actions_By_ID_Action`.
pub fn words(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let lower_upper = before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let acronym_ends = before.is_some_and(|b| b.is_ascii_uppercase())
            && after.is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (lower_upper || acronym_ends) {
            out.push('_');
        }
        out.push(c);
    }
    out
}

/// A name without the toolkit's at its beginning, or the last words of that: of `CLASSROOM_COURSES_LIST` of
/// `google_classroom` it leaves `COURSES_LIST`.
pub fn without_toolkit<'a>(toolkit: &str, name: &'a str) -> &'a str {
    let whole = toolkit.to_ascii_uppercase();
    let mut words = whole.as_str();
    while !words.is_empty() {
        let rest = name.strip_prefix(words).and_then(|rest| rest.strip_prefix('_'));
        let is_name = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_alphabetic());
        if let Some(rest) = rest.filter(is_name) {
            return rest;
        }
        words = words.split_once('_').map_or("", |(_, last)| last);
    }
    name
}

/// Whether text is one word in camel case, as identifiers are and summaries are not.
pub fn is_camel(text: &str) -> bool {
    !text.contains(|c: char| !c.is_ascii_alphanumeric()) && words(text).contains('_')
}

/// `create_Issue_comment` as `Create issue comment`: a name for people.
pub fn title(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let acronym = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        if out.is_empty() {
            let mut chars = word.chars();
            out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
            out.push_str(chars.as_str());
        } else {
            out.push(' ');
            if acronym { out.push_str(word) } else { out.push_str(&word.to_lowercase()) }
        }
    }
    out
}

/// A toolkit's slug: lower case, digits and underscores, a letter first.
pub fn toolkit(text: &str) -> String {
    let mut slug = upper_snake(&words(text)).to_ascii_lowercase();
    if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug.insert_str(0, "api_");
    }
    slug.truncate(40);
    slug.truncate(slug.trim_end_matches('_').len());
    slug
}

/// Gives out the slugs of a toolkit's tools, each once.
#[derive(Debug)]
pub struct Slugs {
    prefix: String,
    taken: HashSet<String>,
}

impl Slugs {
    /// For a toolkit.
    pub fn new(toolkit: &str) -> Self {
        Self { prefix: format!("{}_", toolkit.to_ascii_uppercase()), taken: HashSet::new() }
    }

    /// The slug for a name without the prefix, and whether it is the plain one. On a clash the
    /// first of `others` (words that tell it apart, such as the tag) that is free is appended, then a
    /// number. `origin` (`GET /things`) tells apart what had to be cut.
    pub fn take(&mut self, name: &str, others: &[String], origin: &str) -> (String, bool) {
        let plain = format!("{}{name}", self.prefix);
        let fitting = self.fitted(&plain, origin);
        let is_plain = fitting == plain;
        if self.taken.insert(fitting.clone()) {
            return (fitting, is_plain);
        }
        for other in others.iter().filter(|other| !other.is_empty()) {
            let longer = self.fitted(&format!("{plain}_{other}"), origin);
            if self.taken.insert(longer.clone()) {
                return (longer, false);
            }
        }
        let mut number = 2;
        loop {
            let tail = format!("_{number}");
            let mut numbered = fitting.clone();
            numbered.truncate(MOST - tail.len());
            numbered.push_str(&tail);
            if self.taken.insert(numbered.clone()) {
                return (numbered, false);
            }
            number += 1;
        }
    }

    /// Whether a slug is given out.
    pub fn has(&self, slug: &str) -> bool {
        self.taken.contains(slug)
    }

    /// Cut at the end of a word where it is too long; what cuts to the same is told apart by the hash
    /// of its origin.
    fn fitted(&self, slug: &str, origin: &str) -> String {
        if slug.len() <= MOST {
            return slug.to_owned();
        }
        let cut = |most: usize| {
            let head = &slug[..most];
            let whole = slug.as_bytes()[most] == b'_';
            let end = if whole { most } else { head.rfind('_').unwrap_or(most) };
            // A name that would lose more than its last words is cut within one.
            let end = if end < self.prefix.len() + 8 { most } else { end };
            head[..end].trim_end_matches('_').to_owned()
        };
        let short = cut(MOST);
        if !self.taken.contains(&short) {
            return short;
        }
        let hash = hex::encode(Sha256::digest(origin.as_bytes()));
        format!("{}_{}", cut(MOST - 7), hash[..6].to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(upper_snake("List a user's repos (beta)"), "LIST_A_USER_S_REPOS_BETA");
        assert_eq!(upper_snake(&words("getActionsByIDAction")), "GET_ACTIONS_BY_ID_ACTION");
        assert_eq!(toolkit("Swagger Petstore - OpenAPI"), "swagger_petstore_open_api");
        assert_eq!(toolkit("21risk"), "api_21risk");
        assert!(is_camel("getActions") && !is_camel("List repos") && !is_camel("list"));
    }

    #[test]
    fn names_lose_the_toolkit_s_at_their_beginning() {
        assert_eq!(without_toolkit("google_classroom", "CLASSROOM_COURSES_LIST"), "COURSES_LIST");
        assert_eq!(without_toolkit("google_classroom", "GOOGLE_CLASSROOM_GET"), "GET");
        assert_eq!(without_toolkit("google_classroom", "GOOGLE_GET"), "GOOGLE_GET");
        for name in ["SHOP", "SHOP_", "SHOPS_LIST", "SHOP_2", "LIST_SHOP", ""] {
            assert_eq!(without_toolkit("shop", name), name);
        }
        assert_eq!(without_toolkit("", "_A"), "_A");
    }

    #[test]
    fn a_clash_is_told_apart_by_words_then_by_number() {
        let mut slugs = Slugs::new("shop");
        let tag = ["ORDERS".to_owned()];
        assert_eq!(slugs.take("LIST", &tag, "GET /a"), ("SHOP_LIST".into(), true));
        assert_eq!(slugs.take("LIST", &tag, "GET /b"), ("SHOP_LIST_ORDERS".into(), false));
        assert_eq!(slugs.take("LIST", &tag, "GET /c"), ("SHOP_LIST_2".into(), false));
    }

    #[test]
    fn a_long_name_is_cut_at_a_word() {
        let mut slugs = Slugs::new("shop");
        let long = "UPDATE_THE_VERY_LONG_NAME_OF_AN_OPERATION_THAT_NOBODY_WOULD_EVER_TYPE_IN";
        let (first, plain) = slugs.take(long, &[], "PUT /a");
        assert_eq!(first, "SHOP_UPDATE_THE_VERY_LONG_NAME_OF_AN_OPERATION_THAT_NOBODY_WOULD");
        assert!(!plain);
        let (second, _) = slugs.take(long, &[], "PUT /b");
        assert!(second.len() <= MOST && second != first, "{second}");
    }

    proptest! {
        #[test]
        fn slugs_are_valid_and_never_the_same(names in prop::collection::vec("[A-Z]{1,9}(_[A-Z]{1,9}){0,12}", 1..30)) {
            let mut slugs = Slugs::new("a_toolkit");
            let mut seen = HashSet::new();
            for (i, name) in names.iter().enumerate() {
                let (slug, _) = slugs.take(name, &["TAG".into()], &format!("GET /{i}"));
                prop_assert!(slug.len() <= MOST && slug.starts_with("A_TOOLKIT_"), "{}", slug);
                prop_assert!(seen.insert(slug));
            }
        }
    }
}
