//! How lists and objects are written in a query, a form, a path, a header and a cookie.
//!
//! A value is encoded before the characters of the style come between its parts, so no value can
//! look like more of them than it is, and none can leave its parameter.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::model::{BodyKind, Location, Style};
use super::template::text_of;

/// RFC 3986's unreserved characters stay.
pub(super) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Names of a query: `$filter` is usual.
const NAME: &AsciiSet = &UNRESERVED.remove(b'$');
/// Reserved characters stay, but for those that end a parameter, or that somebody reads so.
const RESERVED: &AsciiSet = &UNRESERVED
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'[')
    .remove(b']')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',');
/// What RFC 6265 does not allow in the value of a cookie.
const COOKIE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\');

/// How the text of a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    /// As it is: it is encoded later, or not at all.
    Plain,
    /// In a path or a query.
    Percent,
    /// In a query, with reserved characters.
    Reserved,
    /// In a cookie.
    Cookie,
}

impl Text {
    fn write(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Percent => utf8_percent_encode(text, UNRESERVED).to_string(),
            Self::Reserved => utf8_percent_encode(text, RESERVED).to_string(),
            Self::Cookie => utf8_percent_encode(text, COOKIE).to_string(),
        }
    }

    fn value(self, value: &Value) -> String {
        self.write(&scalar(value))
    }

    /// A character of a style that may not stand in an address as it is.
    fn between(self, text: &'static str) -> &'static str {
        match (self, text) {
            (Self::Plain, text) => text,
            (_, "|") => "%7C",
            (_, " ") => "%20",
            (_, text) => text,
        }
    }
}

/// A scalar as text; lists and objects as JSON.
pub(super) fn scalar(value: &Value) -> String {
    text_of(value.clone()).unwrap_or_default()
}

/// The name of a query parameter.
pub(super) fn name(text: &str) -> String {
    utf8_percent_encode(text, NAME).to_string()
}

/// The name of a property that stands in a list with its value, which must not look like a value.
fn key(text: Text, name: &str) -> String {
    text.write(name)
}

/// What is there of a list or an object.
fn present(value: &&Value) -> bool {
    !value.is_null()
}

fn fields(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    object.iter().filter(|(_, value)| present(value))
}

/// Appends a value as the pairs of a query or a form, whose names are plain; null, and a list or
/// an object without anything in it, are left out.
pub(super) fn push(
    pairs: &mut Vec<(String, String)>,
    name: &str,
    value: &Value,
    style: Style,
    text: Text,
) {
    match value {
        Value::Null => {}
        Value::Array(_) | Value::Object(_) if style == Style::Json => {
            pairs.push((name.to_owned(), text.value(value)));
        }
        Value::Array(items) => list(pairs, name, items, style, text),
        Value::Object(object) => match style {
            Style::Flat | Style::Pipes | Style::Spaces => {
                let written = flat(object, text);
                if !written.is_empty() {
                    pairs.push((name.to_owned(), written.join(separator(style, text))));
                }
            }
            Style::Exploded => {
                for (key, item) in fields(object) {
                    push(pairs, key, item, Style::Repeat, text);
                }
            }
            _ => {
                for (key, item) in fields(object) {
                    push(pairs, &format!("{name}[{key}]"), item, style, text);
                }
            }
        },
        other => pairs.push((name.to_owned(), text.value(other))),
    }
}

fn list(pairs: &mut Vec<(String, String)>, name: &str, items: &[Value], style: Style, text: Text) {
    let simple = || items.iter().all(|item| !item.is_array() && !item.is_object());
    match style {
        Style::Csv | Style::Flat | Style::Pipes | Style::Spaces => {
            let written = each(items, text);
            if !written.is_empty() {
                pairs.push((name.to_owned(), written.join(separator(style, text))));
            }
        }
        Style::Brackets => {
            let name = format!("{name}[]");
            items.iter().for_each(|item| push(pairs, &name, item, style, text));
        }
        Style::Deep if simple() => {
            let name = format!("{name}[]");
            items.iter().for_each(|item| push(pairs, &name, item, style, text));
        }
        Style::Indexed | Style::Deep => {
            for (i, item) in items.iter().enumerate() {
                push(pairs, &format!("{name}[{i}]"), item, style, text);
            }
        }
        // Of a list's objects only the list's name tells whose properties they are.
        _ => items.iter().for_each(|item| push(pairs, name, item, Style::Repeat, text)),
    }
}

fn each(items: &[Value], text: Text) -> Vec<String> {
    items.iter().filter(present).map(|item| text.value(item)).collect()
}

/// `b,1,c,2`
fn flat(object: &Map<String, Value>, text: Text) -> Vec<String> {
    fields(object).flat_map(|(name, value)| [key(text, name), text.value(value)]).collect()
}

/// `b=1,c=2`
fn assigned(object: &Map<String, Value>, text: Text) -> Vec<String> {
    fields(object)
        .map(|(name, value)| format!("{}={}", key(text, name), text.value(value)))
        .collect()
}

fn separator(style: Style, text: Text) -> &'static str {
    match style {
        Style::Pipes => text.between("|"),
        Style::Spaces => text.between(" "),
        Style::Label | Style::LabelExploded => ".",
        _ => ",",
    }
}

/// A value as one text: in a path, a header or a cookie. `wire` is its name there.
pub(super) fn joined(wire: &str, value: &Value, style: Style, text: Text) -> String {
    let parts = match (value, style) {
        (Value::Array(_) | Value::Object(_), Style::Json) => vec![text.value(value)],
        (Value::Array(items), _) => each(items, text),
        (Value::Object(object), Style::Exploded | Style::LabelExploded | Style::MatrixExploded) => {
            assigned(object, text)
        }
        (Value::Object(object), _) => flat(object, text),
        (other, _) => vec![text.value(other)],
    };
    let between = separator(style, text);
    match style {
        Style::Label | Style::LabelExploded => format!(".{}", parts.join(between)),
        Style::Matrix => matrix(wire, &parts.join(between), text),
        Style::MatrixExploded if value.is_object() => {
            parts.iter().map(|part| format!(";{part}")).collect()
        }
        Style::MatrixExploded => parts.iter().map(|part| matrix(wire, part, text)).collect(),
        _ => parts.join(between),
    }
}

/// `;a=1`; nothing stands behind the name of what is empty.
fn matrix(wire: &str, value: &str, text: Text) -> String {
    let name = key(text, wire);
    if value.is_empty() { format!(";{name}") } else { format!(";{name}={value}") }
}

/// The style of an argument that names none. A body's is that of the kind of the body.
pub(super) fn usual(place: Location) -> Style {
    match place {
        Location::Query => Style::Repeat,
        Location::Body => Style::Indexed,
        _ => Style::Csv,
    }
}

/// Whether a style can stand in a place.
pub(super) fn fits(style: Style, place: Location, body: BodyKind) -> bool {
    use Style::{
        Brackets, Csv, Deep, Exploded, Flat, Indexed, Json, Label, LabelExploded, Matrix,
        MatrixExploded, Pipes, Repeat, Spaces,
    };
    let pairs = matches!(
        style,
        Repeat | Csv | Brackets | Json | Indexed | Pipes | Spaces | Deep | Exploded | Flat
    );
    match place {
        Location::Query => pairs,
        Location::Body => pairs && matches!(body, BodyKind::Form | BodyKind::Multipart),
        Location::Path => matches!(
            style,
            Csv | Flat | Exploded | Json | Label | LabelExploded | Matrix | MatrixExploded
        ),
        Location::Header | Location::Cookie => matches!(style, Csv | Flat | Exploded | Json),
        Location::Arg => false,
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PAIRS: [Style; 10] = [
        Style::Repeat,
        Style::Csv,
        Style::Brackets,
        Style::Json,
        Style::Indexed,
        Style::Pipes,
        Style::Spaces,
        Style::Deep,
        Style::Exploded,
        Style::Flat,
    ];

    /// The pairs joined as in a query.
    fn query(value: &Value, style: Style, text: Text) -> String {
        let mut pairs = Vec::new();
        push(&mut pairs, "color", value, style, text);
        let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{}={v}", name(k))).collect();
        pairs.join("&")
    }

    fn colors() -> [Value; 4] {
        [
            json!(""),
            json!("blue"),
            json!(["blue", "black", "brown"]),
            json!({"R": 100, "G": 200, "B": 150}),
        ]
    }

    #[test]
    fn queries_are_written_as_the_table_of_openapi_has_it() {
        for (style, wanted) in [
            (
                Style::Repeat,
                [
                    "color=",
                    "color=blue",
                    "color=blue&color=black&color=brown",
                    "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
                ],
            ),
            (
                Style::Exploded,
                ["color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"],
            ),
            (
                Style::Flat,
                ["color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"],
            ),
            (
                Style::Csv,
                [
                    "color=",
                    "color=blue",
                    "color=blue,black,brown",
                    "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
                ],
            ),
            (
                Style::Spaces,
                [
                    "color=",
                    "color=blue",
                    "color=blue%20black%20brown",
                    "color=R%20100%20G%20200%20B%20150",
                ],
            ),
            (
                Style::Pipes,
                [
                    "color=",
                    "color=blue",
                    "color=blue%7Cblack%7Cbrown",
                    "color=R%7C100%7CG%7C200%7CB%7C150",
                ],
            ),
            (
                Style::Deep,
                [
                    "color=",
                    "color=blue",
                    "color%5B%5D=blue&color%5B%5D=black&color%5B%5D=brown",
                    "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
                ],
            ),
            (
                Style::Brackets,
                [
                    "color=",
                    "color=blue",
                    "color%5B%5D=blue&color%5B%5D=black&color%5B%5D=brown",
                    "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
                ],
            ),
            (
                Style::Indexed,
                [
                    "color=",
                    "color=blue",
                    "color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown",
                    "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
                ],
            ),
            (
                Style::Json,
                [
                    "color=",
                    "color=blue",
                    "color=%5B%22blue%22%2C%22black%22%2C%22brown%22%5D",
                    "color=%7B%22R%22%3A100%2C%22G%22%3A200%2C%22B%22%3A150%7D",
                ],
            ),
        ] {
            for (value, wanted) in colors().iter().zip(wanted) {
                assert_eq!(query(value, style, Text::Percent), wanted, "{style:?} {value}");
            }
        }
    }

    #[test]
    fn paths_and_headers_are_written_as_the_table_of_openapi_has_it() {
        for (style, wanted) in [
            (
                Style::Matrix,
                [";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"],
            ),
            (
                Style::MatrixExploded,
                [
                    ";color",
                    ";color=blue",
                    ";color=blue;color=black;color=brown",
                    ";R=100;G=200;B=150",
                ],
            ),
            (Style::Label, [".", ".blue", ".blue.black.brown", ".R.100.G.200.B.150"]),
            (Style::LabelExploded, [".", ".blue", ".blue.black.brown", ".R=100.G=200.B=150"]),
            (Style::Csv, ["", "blue", "blue,black,brown", "R,100,G,200,B,150"]),
            (Style::Flat, ["", "blue", "blue,black,brown", "R,100,G,200,B,150"]),
            (Style::Exploded, ["", "blue", "blue,black,brown", "R=100,G=200,B=150"]),
        ] {
            for (value, wanted) in colors().iter().zip(wanted) {
                for text in [Text::Percent, Text::Plain] {
                    assert_eq!(joined("color", value, style, text), wanted, "{style:?} {value}");
                }
            }
        }
    }

    #[test]
    fn what_is_nested_keeps_its_names() {
        let value = json!({"a": [1, 2], "b": {"c": [{"d": true}]}, "n": null, "e": []});
        for (style, wanted) in [
            (Style::Repeat, "f[a]=1&f[a]=2&f[b][c][d]=true"),
            (Style::Brackets, "f[a][]=1&f[a][]=2&f[b][c][][d]=true"),
            (Style::Indexed, "f[a][0]=1&f[a][1]=2&f[b][c][0][d]=true"),
            (Style::Deep, "f[a][]=1&f[a][]=2&f[b][c][0][d]=true"),
            (Style::Csv, "f[a]=1,2&f[b][c]={\"d\":true}"),
            (Style::Exploded, "a=1&a=2&b[c][d]=true"),
        ] {
            let mut pairs = Vec::new();
            push(&mut pairs, "f", &value, style, Text::Plain);
            let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(pairs.join("&"), wanted, "{style:?}");
        }
    }

    #[test]
    fn reserved_characters_stay_where_they_change_no_other_parameter() {
        let value = json!("a/b?c:d@e!f$g(h)*,[i]&j=k#l+m;n'o%p q\r\n\u{0}");
        assert_eq!(
            query(&value, Style::Repeat, Text::Reserved),
            "color=a/b?c:d@e!f$g(h)*,[i]%26j%3Dk%23l%2Bm%3Bn%27o%25p%20q%0D%0A%00"
        );
    }

    fn tree() -> impl Strategy<Value = Value> {
        let text = "\\PC{0,6}|[&=#+;%,.|/?\\[\\]\r\n\0 \\\\\"]{0,6}";
        let leaf = prop_oneof![
            text.prop_map(Value::String),
            any::<bool>().prop_map(Value::Bool),
            any::<i32>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(3, 12, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map(text, inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_stays_in_its_parameter(value in tree(), reserved in any::<bool>()) {
            let text = if reserved { Text::Reserved } else { Text::Percent };
            for style in PAIRS {
                let mut pairs = Vec::new();
                push(&mut pairs, "color", &value, style, text);
                for (key, written) in &pairs {
                    let key = name(key);
                    for part in [&key, written] {
                        let bad = |c: char| "&=#+;".contains(c) || c.is_control() || !c.is_ascii();
                        prop_assert!(!part.contains(bad), "{style:?} {part}");
                    }
                    if style != Style::Exploded {
                        prop_assert!(key.starts_with("color"));
                    }
                }
                // What a server reads is what was written.
                let line: Vec<String> =
                    pairs.iter().map(|(k, v)| format!("{}={v}", name(k))).collect();
                let read = url::form_urlencoded::parse(line.join("&").as_bytes()).count();
                prop_assert_eq!(read, pairs.len());
            }
        }

        #[test]
        fn a_scalar_is_read_as_it_was(value in "\\PC{0,12}|[&=#+;%,.|/?\\[\\]\r\n\0 ]{0,12}") {
            let given = Value::String(value.clone());
            for text in [Text::Percent, Text::Reserved] {
                let line = query(&given, Style::Repeat, text);
                let read: Vec<_> = url::form_urlencoded::parse(line.as_bytes()).collect();
                prop_assert_eq!(read, vec![("color".into(), value.as_str().into())]);
            }
        }

        #[test]
        fn a_value_stays_in_its_segment_and_in_its_cookie(value in tree()) {
            let styles = [Style::Csv, Style::Flat, Style::Exploded, Style::Json, Style::Label,
                Style::LabelExploded, Style::Matrix, Style::MatrixExploded];
            for style in styles {
                let written = joined("color", &value, style, Text::Percent);
                let bad = |c: char| "/?#&\\%".contains(c) || c.is_control() || !c.is_ascii();
                let bare = written.replace('%', "");
                prop_assert!(!bare.contains(bad), "{style:?} {written}");
                prop_assert!(percent_decode_str(&written).decode_utf8().is_ok());
            }
            for style in [Style::Csv, Style::Flat, Style::Exploded, Style::Json] {
                let written = joined("color", &value, style, Text::Cookie);
                let bad = |c: char| "; \"\\".contains(c) || c.is_control() || !c.is_ascii();
                prop_assert!(!written.contains(bad), "{style:?} {written}");
            }
        }
    }
}
