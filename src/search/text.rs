//! Text to terms: words, and the stem that the forms of a word share.

use std::borrow::Cow;

/// Words that say nothing about what is looked for; sorted.
const NOISE: [&str; 95] = [
    "a",
    "about",
    "all",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "been",
    "being",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "each",
    "every",
    "for",
    "from",
    "had",
    "has",
    "have",
    "her",
    "hers",
    "him",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "let",
    "like",
    "me",
    "my",
    "need",
    "of",
    "off",
    "on",
    "one",
    "or",
    "our",
    "out",
    "over",
    "please",
    "so",
    "some",
    "somebody",
    "someone",
    "something",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "up",
    "us",
    "use",
    "using",
    "via",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "whose",
    "will",
    "with",
    "within",
    "without",
    "would",
    "you",
    "your",
    "yours",
];

/// Longest word that counts, in bytes: longer ones are no words.
pub(super) const MAX_WORD: usize = 40;

/// Whether a word says nothing.
pub(super) fn is_noise(word: &str) -> bool {
    word.len() < 2 || NOISE.binary_search(&word).is_ok() || word.bytes().all(|b| b.is_ascii_digit())
}

/// The words of a text in lower case, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && word.len() <= MAX_WORD)
        .map(str::to_lowercase)
}

/// A description without the names of other tools that it mentions: they say what this tool is
/// not.
pub(super) fn without_tools(text: &str) -> Cow<'_, str> {
    if !text.contains('_') {
        return text.into();
    }
    let kept: Vec<&str> = text.split_whitespace().filter(|piece| !is_tool_name(piece)).collect();
    kept.join(" ").into()
}

/// Whether a piece of text is a tool's name, perhaps with punctuation around it.
fn is_tool_name(piece: &str) -> bool {
    let name = piece.trim_matches(|c: char| !c.is_alphanumeric());
    name.contains('_')
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// What the forms of an English word share: `issues` and `issue`, `creating` and `created`. It
/// need not be a word.
pub(super) fn stem(word: &str) -> Cow<'_, str> {
    if word.len() < 4 || !word.is_ascii() {
        // The plural of an abbreviation: prs, ids.
        return match word.strip_suffix('s') {
            Some(one) if one.len() == 2 && !one.ends_with(['s', 'u', 'i', 'a', 'e']) => one.into(),
            _ => word.into(),
        };
    }
    let (mut root, mut cut): (Cow<'_, str>, bool) = (word.into(), false);
    if let Some(rest) = word.strip_suffix("ies").or_else(|| word.strip_suffix("ied")) {
        root = if rest.len() > 1 { format!("{rest}y").into() } else { format!("{rest}ie").into() };
    } else if let Some(rest) = ["ches", "shes", "sses", "xes", "zes"]
        .iter()
        .find(|end| word.ends_with(**end))
        .and_then(|_| word.strip_suffix("es"))
    {
        root = rest.into();
    } else if let Some(rest) = word.strip_suffix('s')
        && !rest.ends_with(['s', 'u', 'i'])
    {
        root = rest.into();
    } else if let Some(rest) = word.strip_suffix("ing").or_else(|| word.strip_suffix("ed"))
        && rest.len() >= 3
        && !word.ends_with("eed")
        && rest.bytes().any(|b| b"aeiouy".contains(&b))
    {
        root = rest.into();
        cut = true;
    }
    if cut {
        let bytes = root.as_bytes();
        let last = bytes[bytes.len() - 1];
        if bytes.len() > 3 && bytes[bytes.len() - 2] == last && !b"lsz".contains(&last) {
            root = root[..root.len() - 1].to_owned().into();
        }
    }
    if root.len() > 3 && root.ends_with('e') {
        root = root[..root.len() - 1].to_owned().into();
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for forms in [
            &["create", "creates", "created", "creating"][..],
            &["issue", "issues"],
            &["repository", "repositories"],
            &["reply", "replies", "replied", "replying"],
            &["branch", "branches"],
            &["star", "stars", "starred", "starring"],
            &["merge", "merged", "merging"],
            &["call", "calls", "called", "calling"],
            &["access", "accesses"],
            &["pr", "prs"],
            &["schedule", "scheduled", "scheduling"],
        ] {
            let stems: Vec<_> = forms.iter().map(|form| stem(form)).collect();
            assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{forms:?} {stems:?}");
        }
        for (one, other) in [("status", "stat"), ("need", "ne"), ("string", "str"), ("news", "ne")]
        {
            assert_ne!(stem(one), stem(other));
        }
    }

    #[test]
    fn names_of_other_tools_are_not_words_of_a_description() {
        let text = "Gets one. For all, use `GITHUB_LIST_ISSUES`.";
        assert_eq!(without_tools(text), "Gets one. For all, use");
        assert_eq!(without_tools("the per_page of it"), "the per_page of it");
    }

    #[test]
    fn noise_is_sorted() {
        assert!(NOISE.is_sorted());
        assert!(is_noise("the") && is_noise("42") && !is_noise("issue"));
    }
}
