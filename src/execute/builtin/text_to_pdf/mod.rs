//! Text or Markdown as a PDF document, with the fonts that every reader has.

mod blocks;
mod encoding;
mod layout;

use serde_json::{Map, Value};

use super::MadeFile;

/// Longest text: some thousand pages.
const MAX_TEXT: usize = 2_000_000;

/// The function.
pub(super) fn run(args: &Map<String, Value>) -> Result<MadeFile, String> {
    let text = args.get("text").and_then(Value::as_str).unwrap_or_default();
    if text.len() > MAX_TEXT {
        return Err(format!("`text` is longer than {MAX_TEXT} bytes"));
    }
    let plain = args.get("file_type").and_then(Value::as_str) == Some("txt");
    let blocks = if plain { blocks::plain(text) } else { blocks::markdown(text) };
    Ok(MadeFile {
        name: "document.pdf",
        mimetype: "application/pdf",
        content: layout::document(&blocks),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn pdf(text: &str, kind: &str) -> Vec<u8> {
        let args = json!({"text": text, "file_type": kind});
        run(args.as_object().unwrap()).unwrap().content
    }

    fn pages(pdf: &[u8]) -> usize {
        pdf.windows(12).filter(|w| *w == b"/Type /Page\n").count()
    }

    #[test]
    fn a_document_is_a_pdf_with_as_many_pages_as_it_needs() {
        let short = pdf("# Title\n\nHello *world*.", "markdown");
        assert!(short.starts_with(b"%PDF-1.") && short.ends_with(b"%%EOF"));
        assert_eq!(pages(&short), 1);
        let long = pdf(&"line\n".repeat(200), "txt");
        assert!((4..=5).contains(&pages(&long)), "{}", pages(&long));
    }

    #[test]
    fn the_text_is_in_the_document_as_winansi() {
        // Strings beyond ASCII are written in hexadecimal.
        let made = pdf("Grüße (1\\2) €5", "txt");
        let hex = hex::encode_upper(b"Gr\xfc\xdfe (1\\2) \x805");
        let expected = format!("<{hex}>");
        assert!(made.windows(expected.len()).any(|w| w == expected.as_bytes()));
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        let args = json!({"text": "x".repeat(MAX_TEXT + 1)});
        assert!(run(args.as_object().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_makes_a_document(text in "\\PC{0,400}", markdown: bool) {
            let made = pdf(&text, if markdown { "markdown" } else { "txt" });
            prop_assert!(made.starts_with(b"%PDF-1."));
        }
    }
}
