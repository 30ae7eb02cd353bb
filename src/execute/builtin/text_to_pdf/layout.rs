//! Blocks on pages.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str};

use super::blocks::{Block, Face, Span};
use super::encoding::{bytes, width};

/// A4 in points.
const PAGE: (f32, f32) = (595.28, 841.89);
const MARGIN: f32 = 64.0;
const SIZE: f32 = 11.0;
const CODE_SIZE: f32 = 9.5;
const LEADING: f32 = 1.4;
const INDENT: f32 = 18.0;

const CATALOG: Ref = Ref::new(1);
const PAGES: Ref = Ref::new(2);
/// Name inside the document, object, and standard font of each face.
const FONTS: [(Face, Name<'static>, Ref, Name<'static>); 4] = [
    (Face::Regular, Name(b"F1"), Ref::new(3), Name(b"Helvetica")),
    (Face::Bold, Name(b"F2"), Ref::new(4), Name(b"Helvetica-Bold")),
    (Face::Italic, Name(b"F3"), Ref::new(5), Name(b"Helvetica-Oblique")),
    (Face::Mono, Name(b"F4"), Ref::new(6), Name(b"Courier")),
];
const FIRST_PAGE: i32 = 7;

/// Writes a document.
pub(super) fn document(blocks: &[Block]) -> Vec<u8> {
    let mut writer = Writer::default();
    for block in blocks {
        writer.block(block);
    }
    let pages = writer.finish();
    let mut pdf = Pdf::new();
    pdf.catalog(CATALOG).pages(PAGES);
    let page_id = |i: usize| Ref::new(FIRST_PAGE + 2 * i as i32);
    pdf.pages(PAGES).kids((0..pages.len()).map(page_id)).count(pages.len() as i32);
    for (_, _, id, base) in FONTS {
        pdf.type1_font(id).base_font(base).encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (i, content) in pages.into_iter().enumerate() {
        let id = page_id(i);
        let stream = Ref::new(id.get() + 1);
        let mut page = pdf.page(id);
        page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(PAGES).contents(stream);
        let mut resources = page.resources();
        let mut fonts = resources.fonts();
        for (_, name, font, _) in FONTS {
            fonts.pair(name, font);
        }
        fonts.finish();
        resources.finish();
        page.finish();
        pdf.stream(stream, &content);
    }
    pdf.finish()
}

/// A word in one face; `glued` when no space stands before it.
struct Word {
    face: Face,
    text: Vec<u8>,
    glued: bool,
}

/// A line that is being filled: pieces of one face each, and where they start.
struct Line {
    pieces: Vec<(Face, Vec<u8>, f32)>,
    x: f32,
    size: f32,
}

impl Line {
    fn new(x: f32, size: f32) -> Self {
        Self { pieces: Vec::new(), x, size }
    }

    fn push(&mut self, face: Face, text: &[u8]) {
        match self.pieces.last_mut() {
            Some((last, piece, _)) if *last == face => piece.extend_from_slice(text),
            _ => self.pieces.push((face, text.to_vec(), self.x)),
        }
        self.x += width(text, face, self.size);
    }
}

#[derive(Default)]
struct Writer {
    done: Vec<Vec<u8>>,
    page: Option<Content>,
    /// Distance of the next line's top from the top of the page.
    y: f32,
}

impl Writer {
    fn finish(mut self) -> Vec<Vec<u8>> {
        self.page();
        self.close();
        self.done
    }

    fn page(&mut self) -> &mut Content {
        if self.page.is_none() {
            self.y = MARGIN;
        }
        self.page.get_or_insert_with(Content::new)
    }

    fn close(&mut self) {
        if let Some(page) = self.page.take() {
            self.done.push(page.finish().to_vec());
        }
    }

    /// Room for a line of this height; a new page when there is none.
    fn room(&mut self, height: f32) {
        self.page();
        if self.y + height > PAGE.1 - MARGIN {
            self.close();
            self.page();
        }
    }

    /// Space between blocks; none at the top of a page.
    fn space(&mut self, height: f32) {
        if self.page.is_some() && self.y > MARGIN {
            self.y += height;
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(level, spans) => {
                let size = [22.0, 17.0, 14.0, 12.5, 11.5, 11.0][usize::from(*level - 1).min(5)];
                self.space(size * 0.8);
                let bold = |s: &Span| Span { face: Face::Bold, text: s.text.clone() };
                self.wrapped(&spans.iter().map(bold).collect::<Vec<_>>(), size, MARGIN);
                self.space(size * 0.3);
            }
            Block::Paragraph(spans) => {
                self.wrapped(spans, SIZE, MARGIN);
                self.space(SIZE * 0.7);
            }
            Block::Item(depth, marker, spans) => {
                let left = MARGIN + INDENT * (*depth as f32 + 1.0);
                self.room(SIZE * LEADING);
                let y = self.y;
                self.text(&bytes(marker), Face::Regular, SIZE, left - 14.0, y);
                self.wrapped(spans, SIZE, left);
                self.space(SIZE * 0.25);
            }
            Block::Quote(spans) => {
                let italic = |s: &Span| Span { face: Face::Italic, text: s.text.clone() };
                let spans: Vec<Span> = spans.iter().map(italic).collect();
                self.wrapped(&spans, SIZE, MARGIN + INDENT);
                self.space(SIZE * 0.5);
            }
            Block::Code(lines) => {
                for line in lines {
                    self.chopped(line, Face::Mono, CODE_SIZE, MARGIN + INDENT);
                }
                self.space(SIZE * 0.7);
            }
            Block::Table(rows) => self.table(rows),
            Block::Rule => {
                self.room(SIZE);
                let y = PAGE.1 - self.y - SIZE / 2.0;
                let page = self.page();
                page.set_line_width(0.5).move_to(MARGIN, y).line_to(PAGE.0 - MARGIN, y).stroke();
                self.y += SIZE * 1.5;
            }
            Block::Line(line) => {
                let spans = [Span { face: Face::Regular, text: line.clone() }];
                if line.trim().is_empty() {
                    self.room(SIZE * LEADING);
                    self.y += SIZE * LEADING;
                } else {
                    let lead = line.len() - line.trim_start().len();
                    let left = MARGIN + lead.min(60) as f32 * SIZE * 0.278;
                    self.wrapped(&spans, SIZE, left);
                }
            }
        }
    }

    /// Sets words in lines between `left` and the right margin.
    fn wrapped(&mut self, spans: &[Span], size: f32, left: f32) {
        let limit = PAGE.0 - MARGIN;
        let mut line = Line::new(left, size);
        self.room(size * LEADING);
        for word in words(spans) {
            let gap = !word.glued && line.x > left;
            let space = if gap { width(b" ", word.face, size) } else { 0.0 };
            if line.x > left && line.x + space + width(&word.text, word.face, size) > limit {
                self.line(&mut line, left);
            } else if gap {
                line.push(word.face, b" ");
            }
            // A word longer than a line is cut.
            let mut rest = word.text.as_slice();
            loop {
                let fits = fitting(rest, word.face, size, limit - line.x);
                let (head, tail) = rest.split_at(fits);
                line.push(word.face, head);
                if tail.is_empty() {
                    break;
                }
                rest = tail;
                self.line(&mut line, left);
            }
        }
        self.line(&mut line, left);
    }

    /// Writes a line, and begins the next one.
    fn line(&mut self, line: &mut Line, left: f32) {
        let size = line.size;
        self.room(size * LEADING);
        let y = self.y;
        for (face, text, x) in std::mem::take(&mut line.pieces) {
            self.text(&text, face, size, x, y);
        }
        self.y += size * LEADING;
        line.x = left;
    }

    /// A line as it is, cut where it does not fit.
    fn chopped(&mut self, line: &str, face: Face, size: f32, left: f32) {
        let text = bytes(line);
        let mut rest = text.as_slice();
        loop {
            self.room(size * LEADING);
            let (head, tail) = rest.split_at(fitting(rest, face, size, PAGE.0 - MARGIN - left));
            let y = self.y;
            self.text(head, face, size, left, y);
            self.y += size * LEADING;
            if tail.is_empty() {
                return;
            }
            rest = tail;
        }
    }

    fn table(&mut self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let column = (PAGE.0 - 2.0 * MARGIN) / columns as f32;
        for (i, row) in rows.iter().enumerate() {
            let face = if i == 0 { Face::Bold } else { Face::Regular };
            let cells: Vec<Vec<Vec<u8>>> =
                row.iter().map(|cell| cell_lines(&bytes(cell), face, column - 6.0)).collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(1);
            for line in 0..height {
                self.room(SIZE * LEADING);
                let y = self.y;
                for (c, cell) in cells.iter().enumerate() {
                    if let Some(text) = cell.get(line) {
                        self.text(text, face, SIZE, MARGIN + column * c as f32, y);
                    }
                }
                self.y += SIZE * LEADING;
            }
            if i == 0 {
                let y = PAGE.1 - self.y + 1.0;
                let page = self.page();
                page.set_line_width(0.5).move_to(MARGIN, y).line_to(PAGE.0 - MARGIN, y).stroke();
                self.y += 2.0;
            }
        }
        self.space(SIZE * 0.7);
    }

    fn text(&mut self, text: &[u8], face: Face, size: f32, x: f32, y: f32) {
        if text.is_empty() {
            return;
        }
        let name = FONTS.iter().find(|(f, ..)| *f == face).map_or(FONTS[0].1, |(_, n, ..)| *n);
        let page = self.page();
        page.begin_text();
        page.set_font(name, size);
        page.next_line(x, PAGE.1 - y - size);
        page.show(Str(text));
        page.end_text();
    }
}

fn words(spans: &[Span]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut glued = true;
    for span in spans {
        let mut first = true;
        for part in span.text.split(' ') {
            if !first {
                glued = false;
            }
            first = false;
            let text = bytes(part);
            if !text.is_empty() {
                words.push(Word { face: span.face, text, glued });
                glued = true;
            }
        }
    }
    words
}

/// How many bytes fit; at least one, so that every line makes progress.
fn fitting(text: &[u8], face: Face, size: f32, room: f32) -> usize {
    let mut used = 0.0;
    for (i, byte) in text.iter().enumerate() {
        used += width(&[*byte], face, size);
        if used > room {
            return i.max(1);
        }
    }
    text.len()
}

/// The lines of a table's cell.
fn cell_lines(text: &[u8], face: Face, room: f32) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    for word in text.split(|b| *b == b' ').filter(|w| !w.is_empty()) {
        let mut rest = word;
        if let Some(line) = lines.last_mut().filter(|line| !line.is_empty()) {
            let joined = [line.as_slice(), b" ", word].concat();
            if width(&joined, face, SIZE) <= room {
                *line = joined;
                continue;
            }
            lines.push(Vec::new());
        }
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(fitting(rest, face, SIZE, room));
            match lines.last_mut().filter(|line| line.is_empty()) {
                Some(line) => line.extend_from_slice(head),
                None => lines.push(head.to_vec()),
            }
            rest = tail;
        }
    }
    lines
}
