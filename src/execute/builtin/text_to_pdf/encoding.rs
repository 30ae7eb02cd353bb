//! WinAnsi bytes and the widths of the standard fonts.

use super::blocks::Face;

/// Characters of WinAnsi between 0x80 and 0x9F.
const HIGH: [(char, u8); 27] = [
    ('€', 0x80),
    ('‚', 0x82),
    ('ƒ', 0x83),
    ('„', 0x84),
    ('…', 0x85),
    ('†', 0x86),
    ('‡', 0x87),
    ('ˆ', 0x88),
    ('‰', 0x89),
    ('Š', 0x8a),
    ('‹', 0x8b),
    ('Œ', 0x8c),
    ('Ž', 0x8e),
    ('‘', 0x91),
    ('’', 0x92),
    ('“', 0x93),
    ('”', 0x94),
    ('•', 0x95),
    ('–', 0x96),
    ('—', 0x97),
    ('˜', 0x98),
    ('™', 0x99),
    ('š', 0x9a),
    ('›', 0x9b),
    ('œ', 0x9c),
    ('ž', 0x9e),
    ('Ÿ', 0x9f),
];

/// The byte of a character; `?` for what the standard fonts do not have.
pub(super) fn byte(c: char) -> u8 {
    match c {
        ' '..='~' => c as u8,
        '\u{a0}'..='\u{ff}' => c as u32 as u8,
        '\u{2010}' | '\u{2011}' | '\u{2212}' => b'-',
        '\u{2028}' | '\u{2029}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => b' ',
        '→' => b'>',
        '←' => b'<',
        '✓' | '✔' => b'x',
        _ => HIGH.iter().find(|(known, _)| *known == c).map_or(b'?', |(_, byte)| *byte),
    }
}

/// A text as WinAnsi; invisible characters vanish.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let invisible =
        |c: &char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}');
    text.chars().filter(|c| !invisible(c)).map(byte).collect()
}

/// Widths of the characters from space to tilde, in thousandths of the font size.
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667,
    611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556,
    278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];

/// Width of a WinAnsi text at a font size. Beyond ASCII it is a little generous: a line
/// breaks early rather than late.
pub(super) fn width(bytes: &[u8], face: Face, size: f32) -> f32 {
    let table = match face {
        Face::Mono => return bytes.len() as f32 * 0.6 * size,
        Face::Bold => &BOLD,
        Face::Regular | Face::Italic => &REGULAR,
    };
    let units: u32 = bytes
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => u32::from(table[usize::from(byte - b' ')]),
            0x85 | 0x89 | 0x8c | 0x97 | 0x99 | 0xc6 => 1000,
            0x95 => 350,
            0xc0..=0xde => 778,
            _ => 611,
        })
        .sum();
    units as f32 * size / 1000.0
}
