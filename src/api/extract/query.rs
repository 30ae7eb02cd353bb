//! Query strings as released clients write them.
//!
//! Lists come joined by commas (`a=1,2`), repeated (`a=1&a=2`) or in brackets (`a[]=1`), maps in
//! brackets (`a[key]=1`). Every value is text, so the fields of a query type name one of the
//! functions here in `#[serde(deserialize_with = …)]`, and the type is `#[serde(default)]`.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Query parameters.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string into `T`.
///
/// # Errors
/// 400 that names the parameter.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    let tree = Value::Object(tree(text)?);
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        let problem = match path.as_str() {
            "." => error.into_inner().to_string(),
            _ => format!("{path}: {}", error.into_inner()),
        };
        Error::invalid(format!("Invalid query parameter: {problem}"), vec![problem])
    })
}

fn decode(text: &str) -> Result<String> {
    let text = text.replace('+', " ");
    percent_decode(text.as_bytes())
        .decode_utf8()
        .map(|t| t.into_owned())
        .map_err(|_| Error::bad_request("The query string is not valid UTF-8"))
}

fn tree(text: &str) -> Result<Map<String, Value>> {
    let mut tree = Map::new();
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, Value::String(decode(value)?));
        match name.strip_suffix(']').and_then(|n| n.split_once('[')) {
            // `a[]=1` and `a[0]=1` are lists, `a[key]=1` is a map.
            Some((list, index)) if index.bytes().all(|b| b.is_ascii_digit()) => {
                push(&mut tree, list, value);
            }
            Some((map, key)) => {
                let entry = tree.entry(map).or_insert_with(|| Value::Object(Map::new()));
                match entry {
                    Value::Object(object) => {
                        object.insert(key.to_owned(), value);
                    }
                    _ => {
                        let problem = format!("{map}: given both as a value and as a map");
                        return Err(Error::invalid("Invalid query parameter", vec![problem]));
                    }
                }
            }
            None => push(&mut tree, &name, value),
        }
    }
    Ok(tree)
}

/// One value stays as it is; a second one makes a list.
fn push(tree: &mut Map<String, Value>, name: &str, value: Value) {
    match tree.get_mut(name) {
        None => {
            tree.insert(name.to_owned(), value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// Longest list of a query; more is a mistake or an attack.
const MAX_LIST: usize = 1000;

/// A list of texts; empty when absent.
pub fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let parts = match Value::deserialize(from)? {
        Value::Array(parts) => parts,
        Value::Object(_) => return Err(D::Error::custom("expected a list")),
        one => vec![one],
    };
    let mut list = Vec::new();
    for part in &parts {
        let text = part.as_str().unwrap_or_default();
        list.extend(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned));
    }
    if list.len() > MAX_LIST {
        return Err(D::Error::custom(format!("more than {MAX_LIST} values")));
    }
    Ok(list)
}

/// As [`list`], for words of a closed list.
pub fn words<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    list(from)?
        .into_iter()
        .map(|word| serde_json::from_value(Value::String(word)).map_err(D::Error::custom))
        .collect()
}

fn scalar<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Array(_) => Err(D::Error::custom("given more than once")),
        _ => Err(D::Error::custom("expected one value")),
    }
}

/// A text; an empty one is none.
pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    scalar(from)
}

/// A whole number, perhaps written as `20.0`. Too large or too small a number takes the nearest
/// that fits.
pub fn int<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    scalar(from)?
        .map(|text| {
            let number: f64 = text.trim().parse().map_err(|_| {
                D::Error::custom(format!("expected a number, got `{}`", short(&text)))
            })?;
            if number.is_nan() {
                Err(D::Error::custom("expected a number"))
            } else {
                Ok(number as i64)
            }
        })
        .transpose()
}

/// `true` or `false`.
pub fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    scalar(from)?
        .map(|text| match text.as_str() {
            "true" | "True" | "1" => Ok(true),
            "false" | "False" | "0" => Ok(false),
            other => {
                Err(D::Error::custom(format!("expected true or false, got `{}`", short(other))))
            }
        })
        .transpose()
}

/// One word of a closed list.
pub fn word<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    scalar(from)?
        .map(|text| serde_json::from_value(Value::String(text)).map_err(D::Error::custom))
        .transpose()
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `toolkit_versions`: one version for all (`latest`), or one per toolkit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    all: Option<String>,
    by_toolkit: BTreeMap<String, String>,
}

impl Versions {
    /// The version asked for of one toolkit.
    pub fn of(&self, toolkit_slug: &str) -> Option<&str> {
        self.by_toolkit.get(toolkit_slug).or(self.all.as_ref()).map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Null => Ok(Self::default()),
            Value::String(all) => {
                Ok(Self { all: Some(all).filter(|a| !a.is_empty()), ..Self::default() })
            }
            Value::Object(map) => {
                let mut by_toolkit = BTreeMap::new();
                for (slug, version) in map {
                    let Value::String(version) = version else {
                        return Err(D::Error::custom(format!("{slug}: expected a version")));
                    };
                    by_toolkit.insert(slug.to_lowercase(), version);
                }
                Ok(Self { all: None, by_toolkit })
            }
            _ => Err(D::Error::custom("expected a version, or toolkit_versions[slug]=version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Params {
        #[serde(deserialize_with = "list", alias = "toolkitSlugs")]
        toolkit_slugs: Vec<String>,
        #[serde(deserialize_with = "int")]
        limit: Option<i64>,
        #[serde(deserialize_with = "flag")]
        important: Option<bool>,
        toolkit_versions: Versions,
    }

    #[test]
    fn lists_come_in_every_spelling() {
        for query in [
            "toolkit_slugs=a,b",
            "toolkit_slugs=a&toolkit_slugs=b",
            "toolkit_slugs[]=a&toolkit_slugs[]=b",
            "toolkit_slugs%5B0%5D=a&toolkit_slugs%5B1%5D=b",
            "toolkitSlugs=a%2Cb",
        ] {
            assert_eq!(parse::<Params>(query).unwrap().toolkit_slugs, ["a", "b"], "{query}");
        }
    }

    #[test]
    fn versions_are_one_or_a_map() {
        let params: Params = parse("toolkit_versions=latest").unwrap();
        assert_eq!(params.toolkit_versions.of("github"), Some("latest"));
        let params: Params = parse("toolkit_versions%5Bgithub%5D=20250909_00&limit=9999").unwrap();
        assert_eq!(params.toolkit_versions.of("github"), Some("20250909_00"));
        assert_eq!(params.toolkit_versions.of("slack"), None);
        assert_eq!(params.limit, Some(9999));
    }

    #[test]
    fn refusals_name_the_parameter() {
        for query in ["limit=x", "limit=1&limit=2", "limit[a]=1"] {
            assert!(
                parse::<Params>(query).unwrap_err().errors[0].starts_with("limit: "),
                "{query}"
            );
        }
        assert!(parse::<Params>("important=maybe").is_err());
        assert!(parse::<Params>("toolkit_slugs=%ff").is_err());
        assert!(parse::<Params>("toolkit_slugs=a&toolkit_slugs[x]=b").is_err());
        assert_eq!(parse::<Params>("limit=&important=").unwrap().limit, None);
        assert_eq!(parse::<Params>("limit=1e99").unwrap().limit, Some(i64::MAX));
    }
}
