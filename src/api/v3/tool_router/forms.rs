//! The shorthands of configurations: a list where an object is meant, one name where a list is.
//!
//! They are read by hand, because serde says of an untagged enum only that no variant fits, and
//! because a misspelled key in a filter must not leave a session without that filter.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One or several, as older and newer clients write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    pub fn many(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMany, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany::Many)
            }
        }
        input.deserialize_any(Reader)
    }
}

/// Names to let through or to keep out; a bare list lets through.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Names {
    /// Names to let through.
    List(BTreeSet<String>),
    /// Either `enable` or `disable`.
    Object(EnableDisable),
}

/// Either of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnableDisable {
    /// These and no others.
    #[serde(alias = "enabled")]
    pub enable: Option<BTreeSet<String>>,
    /// All but these.
    #[serde(alias = "disabled")]
    pub disable: Option<BTreeSet<String>>,
    /// Not available on this server; refused unless empty.
    #[schema(value_type = Option<Vec<String>>)]
    pub require_approval: Option<Value>,
}

/// Which tools of a toolkit; a bare list lets through.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Tools {
    /// Tools to let through.
    List(BTreeSet<String>),
    /// One of `enable`, `disable` and `tags`.
    Object(Box<ToolsObject>),
}

/// One of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolsObject {
    /// These and no others.
    #[serde(alias = "enabled")]
    pub enable: Option<BTreeSet<String>>,
    /// All but these.
    #[serde(alias = "disabled")]
    pub disable: Option<BTreeSet<String>>,
    /// Those with the right tags, instead of the session's own filter.
    pub tags: Option<Names>,
    /// Not available on this server; refused unless empty.
    #[schema(value_type = Option<Vec<String>>)]
    pub require_approval: Option<Value>,
}

/// Reads a list or an object.
struct ListOr<T>(PhantomData<T>);

enum Either<T> {
    List(BTreeSet<String>),
    Object(T),
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListOr<T> {
    type Value = Either<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, or an object with enable or disable")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Either<T>, A::Error> {
        BTreeSet::deserialize(SeqAccessDeserializer::new(list)).map(Either::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Either::Object)
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(match input.deserialize_any(ListOr::<EnableDisable>(PhantomData))? {
            Either::List(names) => Self::List(names),
            Either::Object(object) => Self::Object(object),
        })
    }
}

impl<'de> Deserialize<'de> for Tools {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Ok(match input.deserialize_any(ListOr::<ToolsObject>(PhantomData))? {
            Either::List(names) => Self::List(names),
            Either::Object(object) => Self::Object(Box::new(object)),
        })
    }
}

/// Tells null, which removes something, from a field that is not there.
pub(super) fn sent<'de, D, T>(input: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(input).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal<T: serde::de::DeserializeOwned + fmt::Debug>(value: Value) -> String {
        serde_json::from_value::<T>(value).unwrap_err().to_string()
    }

    #[test]
    fn a_list_is_short_for_enable_and_both_spellings_are_read() {
        let list: Names = serde_json::from_value(json!(["gmail"])).unwrap();
        assert_eq!(list, Names::List(BTreeSet::from(["gmail".to_owned()])));
        let (old, new): (Names, Names) = (
            serde_json::from_value(json!({"disabled": ["gmail"]})).unwrap(),
            serde_json::from_value(json!({"disable": ["gmail"]})).unwrap(),
        );
        assert_eq!(old, new);
        let tools: Tools = serde_json::from_value(json!({"tags": ["readOnlyHint"]})).unwrap();
        let Tools::Object(tools) = tools else { panic!("{tools:?}") };
        assert!(matches!(tools.tags, Some(Names::List(_))));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(refusal::<Names>(json!({"enabel": ["gmail"]})).contains("unknown field `enabel`"));
        assert!(refusal::<Names>(json!("gmail")).contains("expected a list of names"));
        assert!(refusal::<Names>(json!([1])).contains("expected a string"));
        assert!(refusal::<Tools>(json!({"enable": [], "tag": []})).contains("unknown field `tag`"));
        assert!(refusal::<OneOrMany>(json!(7)).contains("a text or a list of texts"));
    }
}
