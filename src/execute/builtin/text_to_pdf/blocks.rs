//! Text as a list of blocks: the part of Markdown that reports and letters use.

/// How a piece of text is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Regular,
    Bold,
    Italic,
    Mono,
}

/// A run of text in one face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub face: Face,
    pub text: String,
}

/// A piece of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading of level 1 to 6.
    Heading(u8, Vec<Span>),
    /// Wrapped text.
    Paragraph(Vec<Span>),
    /// An item of a list: depth and marker.
    Item(usize, String, Vec<Span>),
    /// Wrapped text with a bar beside it.
    Quote(Vec<Span>),
    /// Lines as they are, monospaced.
    Code(Vec<String>),
    /// Rows of cells; the first row is the header.
    Table(Vec<Vec<String>>),
    /// A line across.
    Rule,
    /// One line of plain text; empty for an empty line.
    Line(String),
}

/// Every line on its own.
pub(super) fn plain(text: &str) -> Vec<Block> {
    text.lines().map(|line| Block::Line(line.replace('\t', "    "))).collect()
}

/// Markdown.
pub(super) fn markdown(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().collect();
    let mut blocks = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let trimmed = line.trim();
        let (block, used) = if let Some(fence) = fence(trimmed) {
            code(&lines[at..], fence)
        } else if trimmed.starts_with('|') && lines.get(at + 1).is_some_and(|l| is_divider(l)) {
            table(&lines[at..])
        } else {
            (single(line), 1)
        };
        at += used;
        match block {
            Some(block) => {
                close(&mut blocks, &mut paragraph);
                blocks.push(block);
            }
            None if trimmed.is_empty() => close(&mut blocks, &mut paragraph),
            None => paragraph.push(trimmed),
        }
    }
    close(&mut blocks, &mut paragraph);
    blocks
}

fn close(blocks: &mut Vec<Block>, paragraph: &mut Vec<&str>) {
    if !paragraph.is_empty() {
        blocks.push(Block::Paragraph(spans(&paragraph.join(" "))));
        paragraph.clear();
    }
}

fn fence(trimmed: &str) -> Option<&'static str> {
    ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark))
}

fn code(lines: &[&str], fence: &str) -> (Option<Block>, usize) {
    let end = lines.iter().skip(1).position(|l| l.trim().starts_with(fence));
    let body = &lines[1..end.map_or(lines.len(), |e| e + 1)];
    let code = body.iter().map(|l| l.replace('\t', "    ")).collect();
    (Some(Block::Code(code)), body.len() + 1 + usize::from(end.is_some()))
}

fn is_divider(line: &str) -> bool {
    let line = line.trim();
    line.contains('-') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

fn table(lines: &[&str]) -> (Option<Block>, usize) {
    let used = lines.iter().take_while(|l| l.trim().starts_with('|')).count();
    let cells = |line: &str| -> Vec<String> {
        let plain = |cell: &str| spans(cell.trim()).into_iter().map(|s| s.text).collect();
        line.trim().trim_matches('|').split('|').map(plain).collect()
    };
    let rows = lines[..used].iter().enumerate().filter(|(i, _)| *i != 1);
    (Some(Block::Table(rows.map(|(_, line)| cells(line)).collect())), used.max(1))
}

fn single(line: &str) -> Option<Block> {
    let trimmed = line.trim();
    let hashes = trimmed.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&hashes) && trimmed[hashes..].starts_with(' ') {
        let text = trimmed[hashes..].trim().trim_end_matches('#').trim_end();
        return Some(Block::Heading(hashes as u8, spans(text)));
    }
    let only = |c: char| trimmed.chars().filter(|x| *x == c).count() >= 3;
    if (only('-') && trimmed.chars().all(|c| c == '-' || c == ' '))
        || (only('*') && trimmed.chars().all(|c| c == '*' || c == ' '))
        || (only('_') && trimmed.chars().all(|c| c == '_' || c == ' '))
    {
        return Some(Block::Rule);
    }
    if let Some(quoted) = trimmed.strip_prefix('>') {
        return Some(Block::Quote(spans(quoted.trim())));
    }
    let indent: usize =
        line.chars().take_while(|c| c.is_whitespace()).map(|c| if c == '\t' { 4 } else { 1 }).sum();
    let depth = (indent / 2).min(6);
    for bullet in ["- ", "* ", "+ "] {
        if let Some(item) = trimmed.strip_prefix(bullet) {
            return Some(Block::Item(depth, "•".to_owned(), spans(item.trim())));
        }
    }
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=9).contains(&digits)
        && let Some(item) = trimmed[digits..].strip_prefix(". ")
    {
        return Some(Block::Item(depth, format!("{}.", &trimmed[..digits]), spans(item.trim())));
    }
    None
}

/// Emphasis, code and links inside a text.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = text;
    let mut plain = String::new();
    while let Some(first) = rest.chars().next() {
        if let Some((span, used)) = marked(rest, plain.chars().last()) {
            if !plain.is_empty() {
                spans.push(Span { face: Face::Regular, text: std::mem::take(&mut plain) });
            }
            spans.push(span);
            rest = &rest[used..];
            continue;
        }
        if first == '\\' && rest[1..].starts_with(|c: char| c.is_ascii_punctuation()) {
            plain.extend(rest[1..].chars().next());
            rest = &rest[2..];
            continue;
        }
        plain.push(first);
        rest = &rest[first.len_utf8()..];
    }
    if !plain.is_empty() {
        spans.push(Span { face: Face::Regular, text: plain });
    }
    spans
}

/// A marked piece at the start of a text, and its length.
fn marked(rest: &str, before: Option<char>) -> Option<(Span, usize)> {
    for (mark, face) in [
        ("`", Face::Mono),
        ("**", Face::Bold),
        ("__", Face::Bold),
        ("*", Face::Italic),
        ("_", Face::Italic),
    ] {
        // snake_case is no emphasis.
        if mark.starts_with('_') && before.is_some_and(char::is_alphanumeric) {
            continue;
        }
        let Some(inner) = rest.strip_prefix(mark) else { continue };
        let Some(end) = inner.find(mark).filter(|end| *end > 0) else { continue };
        let text = &inner[..end];
        if text.starts_with(' ') || text.ends_with(' ') {
            continue;
        }
        return Some((Span { face, text: text.to_owned() }, end + 2 * mark.len()));
    }
    let image = usize::from(rest.starts_with('!'));
    let inner = rest[image..].strip_prefix('[')?;
    let (label, tail) = inner.split_once("](")?;
    let (target, _) = tail.split_once(')')?;
    if label.contains(['[', '\n']) {
        return None;
    }
    let used = image + 1 + label.len() + 2 + target.len() + 1;
    let text = if label == target { label.to_owned() } else { format!("{label} ({target})") };
    Some((Span { face: Face::Regular, text }, used))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(spans: &[Span]) -> Vec<(Face, &str)> {
        spans.iter().map(|s| (s.face, s.text.as_str())).collect()
    }

    #[test]
    fn markdown_becomes_blocks() {
        let blocks = markdown(
            "# T #\nfirst\nsecond\n\n- a\n  - b\n1. c\n> q\n---\n```rs\nx\n\ny\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n",
        );
        let kinds: Vec<String> = blocks.iter().map(|b| format!("{b:?}")).collect();
        assert_eq!(blocks.len(), 9, "{kinds:#?}");
        assert!(matches!(&blocks[0], Block::Heading(1, s) if s[0].text == "T"));
        assert!(matches!(&blocks[1], Block::Paragraph(s) if s[0].text == "first second"));
        assert!(matches!(&blocks[3], Block::Item(1, m, _) if m == "•"));
        assert!(matches!(&blocks[4], Block::Item(0, m, _) if m == "1."));
        assert!(matches!(&blocks[7], Block::Code(lines) if lines.len() == 3));
        assert!(
            matches!(&blocks[8], Block::Table(rows) if rows.len() == 2 && rows[1] == ["1", "2"])
        );
    }

    #[test]
    fn emphasis_is_found_and_names_are_left_alone() {
        assert_eq!(
            texts(&spans("a **b** `c_d` *e* snake_case_name [x](http://y)")),
            vec![
                (Face::Regular, "a "),
                (Face::Bold, "b"),
                (Face::Regular, " "),
                (Face::Mono, "c_d"),
                (Face::Regular, " "),
                (Face::Italic, "e"),
                (Face::Regular, " snake_case_name "),
                (Face::Regular, "x (http://y)"),
            ]
        );
        assert_eq!(texts(&spans("2 * 3 * 4")), vec![(Face::Regular, "2 * 3 * 4")]);
        assert_eq!(texts(&spans("\\*a\\*")), vec![(Face::Regular, "*a*")]);
    }

    #[test]
    fn an_open_fence_runs_to_the_end() {
        assert_eq!(markdown("```\na"), vec![Block::Code(vec!["a".into()])]);
    }
}
