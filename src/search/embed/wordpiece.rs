//! Text to the numbers that a model of the BERT family reads (WordPiece, lower case).

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Longest word in characters; longer ones are unknown, as they were to the model's makers.
const LONGEST: usize = 100;

/// The pieces of words that a model knows, numbered.
#[derive(Debug)]
pub struct WordPiece {
    /// Pieces that begin a word.
    heads: HashMap<Box<str>, u32>,
    /// Pieces that continue one.
    tails: HashMap<Box<str>, u32>,
    unknown: u32,
    begin: u32,
    end: u32,
}

impl WordPiece {
    /// From the list of pieces, one a line. None when it lacks the marks that every text needs.
    pub fn new(vocabulary: &str) -> Option<Self> {
        let (mut heads, mut tails) = (HashMap::new(), HashMap::new());
        for (piece, number) in vocabulary.lines().zip(0_u32..) {
            let piece = piece.trim_end_matches('\r');
            match piece.strip_prefix("##").filter(|tail| !tail.is_empty()) {
                Some(tail) => tails.insert(tail.into(), number),
                None => heads.insert(piece.into(), number),
            };
        }
        let mark = |name: &str| heads.get(name).copied();
        let (unknown, begin, end) = (mark("[UNK]")?, mark("[CLS]")?, mark("[SEP]")?);
        Some(Self { heads, tails, unknown, begin, end })
    }

    /// The largest number.
    pub fn last(&self) -> u32 {
        self.heads.values().chain(self.tails.values()).copied().max().unwrap_or(0)
    }

    /// The pieces of a text, with the marks of its beginning and its end; at most `most`.
    pub fn pieces(&self, text: &str, most: usize) -> Vec<u32> {
        let mut found = vec![self.begin];
        let mut word = String::new();
        let most = most.saturating_sub(1).max(1);
        // A text can be much longer than what counts of it.
        for c in text.chars().take(most * 2 * LONGEST) {
            if found.len() >= most {
                break;
            }
            if c.is_whitespace() {
                self.word(&mut word, &mut found);
            } else if c == '\u{0}' || c == '\u{fffd}' || c.is_control() {
                // No part of a text.
            } else if is_punctuation(c) || is_ideograph(c) {
                self.word(&mut word, &mut found);
                word.push(c);
                self.word(&mut word, &mut found);
            } else {
                word.extend(c.to_lowercase().nfd().filter(|c| !is_combining_mark(*c)));
            }
        }
        self.word(&mut word, &mut found);
        found.truncate(most);
        found.push(self.end);
        found
    }

    /// Cuts a word into the longest pieces that are known, from its beginning.
    fn word(&self, word: &mut String, found: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        let begin = found.len();
        let mut rest = word.as_str();
        if word.chars().count() > LONGEST {
            found.push(self.unknown);
            rest = "";
        }
        while !rest.is_empty() {
            let known = if rest.len() == word.len() { &self.heads } else { &self.tails };
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let piece =
                ends.take(LONGEST).find_map(|end| Some((end, *known.get(rest.get(..end)?)?)));
            match piece {
                Some((end, number)) => {
                    found.push(number);
                    rest = rest.get(end..).unwrap_or_default();
                }
                None => {
                    found.truncate(begin);
                    found.push(self.unknown);
                    rest = "";
                }
            }
        }
        word.clear();
    }
}

fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation();
    }
    // Of the others, those that descriptions have: general, CJK and full-width marks.
    matches!(c, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}' | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nsend\nmail\n##s\n##ing\ncafe\n!\n中\n'";

    #[test]
    fn words_are_cut_into_the_longest_known_pieces() {
        let pieces = WordPiece::new(SMALL).unwrap();
        assert_eq!(pieces.last(), 11);
        assert_eq!(pieces.pieces("Sending  MAILS!", 64), [2, 4, 7, 5, 6, 9, 3]);
        assert_eq!(pieces.pieces("Café 中中", 64), [2, 8, 10, 10, 3]);
        // A word with an unknown part is unknown as a whole.
        assert_eq!(pieces.pieces("sendx mail's", 64), [2, 1, 5, 11, 1, 3]);
        assert_eq!(pieces.pieces("", 64), [2, 3]);
    }

    #[test]
    fn no_text_is_too_long() {
        let pieces = WordPiece::new(SMALL).unwrap();
        assert_eq!(pieces.pieces(&"mail ".repeat(10_000), 8), [2, 5, 5, 5, 5, 5, 5, 3]);
        assert_eq!(pieces.pieces(&"x".repeat(1_000_000), 8), [2, 1, 3]);
        assert_eq!(pieces.pieces("a\u{0}\u{202e}\u{fffd}", 4), [2, 1, 3]);
    }

    #[test]
    fn a_list_without_marks_is_none() {
        assert!(WordPiece::new("send\nmail").is_none());
    }
}
