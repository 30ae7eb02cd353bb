//! Sentences that strangers wrote and models will read.
//!
//! A description is not trusted: it may hold characters that a person does not see and a model
//! does. What is left is plain text of a bounded length.

/// Longest description of a tool, in characters.
pub const TOOL: usize = 1_000;
/// Longest description of an argument.
pub const ARGUMENT: usize = 500;
/// Longest name or title.
pub const NAME: usize = 120;

/// The text without control, formatting and bidirectional characters, blanks as one, at most `most`
/// characters long; what is longer ends with an ellipsis.
pub fn clean(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() {
            blank = count > 0;
            continue;
        }
        if c.is_control() || is_hidden(c) {
            continue;
        }
        let needs = if blank { 2 } else { 1 };
        if count + needs > most {
            // Room for the ellipsis.
            while count > 0 && count >= most {
                out.pop();
                count -= 1;
            }
            out.truncate(out.trim_end().len());
            out.push('…');
            return out;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
        }
        out.push(c);
        count += needs;
    }
    out
}

/// Characters that are not seen, or that change how others are seen: bidirectional controls, joiners,
/// tags, variation selectors, private use, and what is no character.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{FFFE}' | '\u{FFFF}'
        | '\u{E000}'..='\u{F8FF}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}' | '\u{F0000}'..='\u{10FFFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nobody_sees_is_removed() {
        assert_eq!(clean("a\u{202E}b\u{200B}c\u{E0041}\u{0007}d", 10), "abcd");
        assert_eq!(clean("  a \r\n\t b  ", 10), "a b");
        assert_eq!(clean("Zürich 日本 🎉", 20), "Zürich 日本 🎉");
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("abc defg", 5), "abc…");
        assert_eq!(clean("abc", 0), "…");
    }

    proptest! {
        #[test]
        fn it_is_never_longer_than_allowed(text in "\\PC*|.*", most in 1usize..40) {
            let cleaned = clean(&text, most);
            prop_assert!(cleaned.chars().count() <= most);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_hidden(c)));
            prop_assert_eq!(clean(&cleaned, most), cleaned);
        }
    }
}
