//! Paths with placeholders. A value can fill its segment and nothing else.

use std::collections::HashSet;

use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::model::Style;
use super::style::{self, UNRESERVED};
use super::template::{Expr, Names};

/// A compiled path.
#[derive(Debug)]
pub(super) struct PathTemplate {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Value { name: String, expr: Expr, form: Form },
}

/// How a value stands in the path.
#[derive(Debug)]
enum Form {
    /// One segment, or a part of one; lists and objects only with a style.
    Segment(Option<Style>),
    /// Slashes of the value are the path's.
    Slashes,
}

/// What a placeholder stands for.
pub(super) enum Slot {
    /// An argument, whatever it is called, and how its lists are written.
    Arg(String, Style),
    /// An expression.
    Expr(String),
}

impl Slot {
    /// The placeholder's name is the expression.
    pub fn expression(name: &str) -> Self {
        Self::Expr(name.to_owned())
    }
}

impl PathTemplate {
    /// Compiles `/repos/{owner}/contents/{path*}`; `resolve` says what a placeholder stands for.
    pub fn compile(source: &str, resolve: impl Fn(&str) -> Slot) -> Result<Self, String> {
        if !source.starts_with('/') {
            return Err(format!("path `{source}` must start with a slash"));
        }
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some(open) = rest.find('{') {
            let (literal, tail) = rest.split_at(open);
            let close =
                tail.find('}').ok_or_else(|| format!("path `{source}`: `{{` without `}}`"))?;
            push_literal(&mut parts, literal, source)?;
            let inner = tail[1..close].trim();
            let (name, slashes) = match inner.strip_suffix('*') {
                Some(name) => (name.trim(), true),
                None => (inner, false),
            };
            let (expr, style) = match resolve(name) {
                Slot::Arg(param, style) => (Expr::Arg(param), Some(style)),
                Slot::Expr(text) => {
                    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
                    if name.is_empty() || !name.chars().all(plain) {
                        return Err(format!("path `{source}`: `{{{inner}}}` is not a name"));
                    }
                    (Expr::compile(&text)?, None)
                }
            };
            let form = if slashes { Form::Slashes } else { Form::Segment(style) };
            parts.push(Part::Value { name: name.to_owned(), expr, form });
            rest = &tail[close + 1..];
        }
        push_literal(&mut parts, rest, source)?;
        Ok(Self { parts })
    }

    /// Names of the placeholders in a path.
    pub fn placeholders(source: &str) -> Vec<String> {
        source
            .split('{')
            .skip(1)
            .filter_map(|tail| tail.split_once('}'))
            .map(|(inner, _)| {
                let inner = inner.trim();
                inner.strip_suffix('*').unwrap_or(inner).trim().to_owned()
            })
            .collect()
    }

    /// Names that its expressions ask for.
    pub fn names(&self) -> HashSet<String> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Literal(_) => HashSet::new(),
                Part::Value { expr, .. } => expr.names(),
            })
            .collect()
    }

    /// The path, encoded.
    pub fn render(&self, names: &Names<'_>) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Value { name, expr, form } => match (form, expr.value(names)?) {
                    (Form::Segment(Some(style)), value) => {
                        push_styled(&mut out, name, &value, *style)?;
                    }
                    (Form::Segment(None), value) => {
                        push_segment(&mut out, name, &text(name, value)?)?
                    }
                    (Form::Slashes, value) => push_segments(&mut out, name, &text(name, value)?)?,
                },
            }
        }
        // A placeholder next to literal text must not make up a dot segment together with it.
        if out.split('/').any(|segment| segment == "." || segment == "..") {
            return Err("`.` and `..` are not allowed in a path".into());
        }
        Ok(out)
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &str, source: &str) -> Result<(), String> {
    if let Some(bad) =
        literal.chars().find(|c| !c.is_ascii_alphanumeric() && !"-._~!$&'()*+,;=:@/%".contains(*c))
    {
        return Err(format!("path `{source}`: `{bad}` cannot stand in a path"));
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.to_owned()));
    }
    Ok(())
}

/// The short name that messages use.
fn label(name: &str) -> &str {
    name.strip_prefix("args.").unwrap_or(name)
}

fn text(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Err(format!("`{}` is needed for the path but has no value", label(name))),
        _ => Err(format!("`{}` must be text or a number to stand in a path", label(name))),
    }
}

fn push_segment(out: &mut String, name: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("`{}` must not be empty", label(name)));
    }
    if text == "." || text == ".." {
        return Err(format!("`{}` must not be `{text}`", label(name)));
    }
    out.extend(utf8_percent_encode(text, UNRESERVED));
    Ok(())
}

fn push_styled(out: &mut String, name: &str, value: &Value, style: Style) -> Result<(), String> {
    // Only a definition that spells a style other than the usual out lets an empty value through:
    // `;name` says that it is there.
    match value {
        Value::Array(_) | Value::Object(_) => {}
        scalar => {
            let text = text(name, scalar.clone())?;
            if matches!(style, Style::Csv | Style::Flat | Style::Exploded | Style::Json) {
                return push_segment(out, name, &text);
            }
        }
    }
    let written = style::joined(name, value, style, style::Text::Percent);
    if written.is_empty() {
        return Err(format!("`{}` must not be empty", label(name)));
    }
    out.push_str(&written);
    Ok(())
}

fn push_segments(out: &mut String, name: &str, text: &str) -> Result<(), String> {
    let text = text.strip_prefix('/').unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() {
        if out.len() > 1 && out.ends_with('/') {
            out.pop();
        }
        return Ok(());
    }
    for (i, segment) in text.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        if segment.is_empty() {
            return Err(format!("`{}` must not have empty parts between slashes", label(name)));
        }
        push_segment(out, name, segment)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::{Map, json};
    use url::Url;

    use super::super::hosts::join;
    use super::super::model::Map2;
    use super::super::{Scope, model::Param};
    use super::*;

    fn render(path: &str, value: Value) -> Result<String, String> {
        render_as(path, value, |name| Slot::Expr(format!("args.{name}")))
    }

    fn styled(path: &str, value: Value, style: Style) -> Result<String, String> {
        render_as(path, value, |_| Slot::Arg("v".to_owned(), style))
    }

    fn render_as(path: &str, value: Value, slot: impl Fn(&str) -> Slot) -> Result<String, String> {
        let template = PathTemplate::compile(path, slot).unwrap();
        let params: Map2<Param> = serde_json::from_value(json!({"v": {"type": "string"}})).unwrap();
        let args = Map::from_iter([("v".to_owned(), value)]);
        let scope = Scope { args: &args, conn: Map::new(), steps: Map::new(), item: None };
        template.render(&Names::of_tool(&params, &scope))
    }

    fn decoded(text: &str) -> String {
        percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    proptest! {
        #[test]
        fn a_value_fills_one_segment_and_nothing_else(value in "\\PC{0,12}|[./%#?@:\\\\&;a\r\n\0 ]{0,8}") {
            let base = Url::parse("https://api.example.com/v1").unwrap();
            match render("/a/{v}/b", Value::String(value.clone())) {
                Err(_) => prop_assert!(value.is_empty() || value == "." || value == ".."),
                Ok(path) => {
                    let url = join(&base, &path).unwrap();
                    prop_assert_eq!(url.host_str(), Some("api.example.com"));
                    prop_assert!(url.query().is_none() && url.fragment().is_none());
                    let segments: Vec<&str> = url.path_segments().unwrap().collect();
                    prop_assert_eq!(segments.len(), 4);
                    prop_assert_eq!(decoded(segments[2]), value);
                }
            }
        }

        #[test]
        fn a_value_with_slashes_stays_below_its_place(value in "[./%#?@:\\\\a]{0,10}") {
            let base = Url::parse("https://api.example.com/v1/").unwrap();
            if let Ok(path) = render("/a/{v*}", Value::String(value.clone())) {
                let url = join(&base, &path).unwrap();
                prop_assert_eq!(url.host_str(), Some("api.example.com"));
                prop_assert!(url.path() == "/v1/a" || url.path().starts_with("/v1/a/"));
                let rest = decoded(url.path().trim_start_matches("/v1/a").trim_start_matches('/'));
                let bare = value.strip_prefix('/').unwrap_or(&value);
                prop_assert_eq!(rest, bare.strip_suffix('/').unwrap_or(bare));
            }
        }
    }

    #[test]
    fn dot_segments_and_missing_values_are_refused() {
        for value in [json!(".."), json!("."), json!(""), json!(null), json!([1]), json!({})] {
            assert!(render("/a/{v}", value.clone()).is_err(), "{value}");
        }
        for value in ["..", "a/../b", "a/./b", "a//b", "../a"] {
            assert!(render("/a/{v*}", json!(value)).is_err(), "{value}");
        }
        assert!(render("/a/.{v}", json!(".")).is_err());
        assert_eq!(render("/a/{v*}", json!("")).unwrap(), "/a");
        assert_eq!(render("/a/{v*}", json!("b/c d")).unwrap(), "/a/b/c%20d");
        assert_eq!(render("/a/{v}.json", json!("x/y")).unwrap(), "/a/x%2Fy.json");
        assert_eq!(render("/a/{v}", json!(7)).unwrap(), "/a/7");
    }

    #[test]
    fn a_path_of_a_definition_is_checked() {
        for path in ["a", "/a?b", "/a#b", "/a/{b", "/a/{}", "/a/{b c}", "/a/{b|tojson}", "/a b"] {
            assert!(PathTemplate::compile(path, Slot::expression).is_err(), "{path}");
        }
    }

    #[test]
    fn an_argument_may_stand_anywhere_in_a_segment_under_any_name() {
        for (path, wanted) in [
            ("/a/{user-id}:cancel", "/a/x%2Fy:cancel"),
            ("/a(id={$id},b='{b c}')", "/a(id=x%2Fy,b='x%2Fy')"),
            ("/a/{v}..{v}", "/a/x%2Fy..x%2Fy"),
            ("/a/@{x.y};v=1", "/a/@x%2Fy;v=1"),
        ] {
            assert_eq!(styled(path, json!("x/y"), Style::Csv).unwrap(), wanted);
        }
    }

    #[test]
    fn lists_and_objects_stand_in_a_path_where_a_style_says_how() {
        let list = json!(["a/b", "c,d"]);
        assert_eq!(styled("/{v}", list.clone(), Style::Csv).unwrap(), "/a%2Fb,c%2Cd");
        assert_eq!(styled("/x{v}", list.clone(), Style::Label).unwrap(), "/x.a%2Fb.c%2Cd");
        assert_eq!(styled("/x{id}", list, Style::MatrixExploded).unwrap(), "/x;id=a%2Fb;id=c%2Cd");
        let object = json!({"..": "/.."});
        assert_eq!(styled("/{v}", object, Style::Exploded).unwrap(), "/..=%2F..");
        for style in [Style::Csv, Style::Label, Style::LabelExploded] {
            for value in [json!([]), json!({}), json!(""), json!(["."]), json!(null)] {
                assert!(styled("/{v}/b", value.clone(), style).is_err(), "{style:?} {value}");
            }
        }
        assert!(styled("/{v}/b", json!([".."]), Style::Csv).is_err());
        assert_eq!(styled("/a{v}", json!(""), Style::Matrix).unwrap(), "/a;v");
        assert!(styled("/a{v}", json!(null), Style::Matrix).is_err());
    }
}
