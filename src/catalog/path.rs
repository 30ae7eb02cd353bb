//! Paths with placeholders. A value can fill its segment and nothing else.

use std::collections::HashSet;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::template::{Expr, Names};

/// Everything but RFC 3986's unreserved characters is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A compiled path.
#[derive(Debug)]
pub(super) struct PathTemplate {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Value { name: String, expr: Expr, slashes: bool },
}

impl PathTemplate {
    /// Compiles `/repos/{owner}/contents/{path*}`; `resolve` gives the expression of a
    /// placeholder.
    pub fn compile(source: &str, resolve: impl Fn(&str) -> String) -> Result<Self, String> {
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
            let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            if name.is_empty() || !name.chars().all(plain) {
                return Err(format!("path `{source}`: `{{{inner}}}` is not a name"));
            }
            let expr = Expr::compile(&resolve(name))?;
            parts.push(Part::Value { name: name.to_owned(), expr, slashes });
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
            .map(|(inner, _)| inner.trim().trim_end_matches('*').trim().to_owned())
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
                Part::Value { name, expr, slashes } => {
                    let text = text(name, expr.value(names)?)?;
                    if *slashes {
                        push_segments(&mut out, name, &text)?;
                    } else {
                        push_segment(&mut out, name, &text)?;
                    }
                }
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
    out.extend(utf8_percent_encode(text, SEGMENT));
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
