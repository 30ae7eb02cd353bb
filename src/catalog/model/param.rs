//! Arguments and their schemas.

use serde::Deserialize;
use serde_json::Value;

/// Arguments by name, kept in file order.
pub type ParamList = Map2<Param>;

/// An insertion-ordered map from name to `T`.
#[derive(Debug, Clone)]
pub struct Map2<T>(pub Vec<(String, T)>);

impl<T> Default for Map2<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: serde::Serialize> serde::Serialize for Map2<T> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map2<T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Map2<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format!("`{name}` appears twice")));
                    }
                    entries.push((name, value));
                }
                Ok(Map2(entries))
            }
        }
        d.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// One argument: where it goes, and its JSON Schema.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "FlatParam")]
pub struct Param {
    /// Where it goes. Absent: `path` when the path names it, else `query` for
    /// GET, HEAD and DELETE, else `body`; `arg` when the tool has `steps`,
    /// `builtin` or a request with its own `json`, `raw` or `graphql`.
    pub location: Option<Location>,
    /// Name on the wire, when it is not the argument's.
    pub wire: Option<String>,
    /// JSON pointer into the body, when the argument is not a top-level key; empty when it is the
    /// whole body.
    pub at: Option<String>,
    /// How lists and objects are written; absent: as its place usually has them.
    pub style: Option<Style>,
    /// Whether reserved characters of a query value stay as they are.
    pub allow_reserved: bool,
    /// Other names under which the argument is accepted.
    pub aliases: Vec<String>,
    /// Whether the argument must be there.
    pub required: bool,
    /// Sent as `default` but not shown to the model.
    pub hidden: bool,
    /// The schema.
    pub schema: Schema,
}

/// [`Param`] as the file spells it: all keys side by side. `serde(flatten)` would let unknown
/// keys through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlatParam {
    #[serde(default, rename = "in")]
    location: Option<Location>,
    #[serde(default)]
    wire: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    style: Option<Style>,
    #[serde(default)]
    allow_reserved: bool,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    hidden: bool,
    #[serde(rename = "type")]
    kind: SchemaType,
    #[serde(default)]
    also: Vec<SchemaType>,
    #[serde(default)]
    encoding: Option<FileEncoding>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    examples: Vec<Value>,
    #[serde(default)]
    default: Option<Value>,
    #[serde(default, rename = "enum")]
    choices: Vec<Value>,
    #[serde(default)]
    nullable: bool,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    minimum: Option<f64>,
    #[serde(default)]
    maximum: Option<f64>,
    #[serde(default)]
    min_length: Option<u64>,
    #[serde(default)]
    max_length: Option<u64>,
    #[serde(default)]
    min_items: Option<u64>,
    #[serde(default)]
    max_items: Option<u64>,
    #[serde(default)]
    items: Option<Box<Schema>>,
    #[serde(default)]
    properties: Map2<Schema>,
    #[serde(default, rename = "required_properties")]
    required_properties: Vec<String>,
    #[serde(default)]
    additional_properties: Option<bool>,
}

impl From<FlatParam> for Param {
    fn from(flat: FlatParam) -> Self {
        Self {
            location: flat.location,
            wire: flat.wire,
            at: flat.at,
            style: flat.style,
            allow_reserved: flat.allow_reserved,
            aliases: flat.aliases,
            required: flat.required,
            hidden: flat.hidden,
            schema: Schema {
                kind: flat.kind,
                also: flat.also,
                encoding: flat.encoding,
                description: flat.description,
                title: flat.title,
                examples: flat.examples,
                default: flat.default,
                choices: flat.choices,
                nullable: flat.nullable,
                format: flat.format,
                pattern: flat.pattern,
                minimum: flat.minimum,
                maximum: flat.maximum,
                min_length: flat.min_length,
                max_length: flat.max_length,
                min_items: flat.min_items,
                max_items: flat.max_items,
                items: flat.items,
                properties: flat.properties,
                required_properties: flat.required_properties,
                additional_properties: flat.additional_properties,
            },
        }
    }
}

/// The part of JSON Schema that every model provider understands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// `string`, `integer`, `number`, `boolean`, `array`, `object` or `file`.
    #[serde(rename = "type")]
    pub kind: SchemaType,
    /// Further types that are accepted and sent as they are. Models are told in the description.
    #[serde(default)]
    pub also: Vec<SchemaType>,
    /// How a file stands in JSON and in forms; base64 when absent.
    #[serde(default)]
    pub encoding: Option<FileEncoding>,
    /// What the value means, for a model.
    #[serde(default)]
    pub description: Option<String>,
    /// Display name; derived from the argument's name when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// Example values.
    #[serde(default)]
    pub examples: Vec<Value>,
    /// Value used when the argument is absent.
    #[serde(default)]
    pub default: Option<Value>,
    /// Closed list of values.
    #[serde(default, rename = "enum")]
    pub choices: Vec<Value>,
    /// Whether `null` is accepted (and means absent).
    #[serde(default)]
    pub nullable: bool,
    /// `date-time`, `email`, `uri`, …
    #[serde(default)]
    pub format: Option<String>,
    /// Anchored regular expression.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Smallest number.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Largest number.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Shortest string.
    #[serde(default)]
    pub min_length: Option<u64>,
    /// Longest string.
    #[serde(default)]
    pub max_length: Option<u64>,
    /// Fewest items.
    #[serde(default)]
    pub min_items: Option<u64>,
    /// Most items.
    #[serde(default)]
    pub max_items: Option<u64>,
    /// Schema of the items; required for arrays.
    #[serde(default)]
    pub items: Option<Box<Schema>>,
    /// Properties of an object.
    #[serde(default)]
    pub properties: Map2<Schema>,
    /// Which of `properties` must be there.
    #[serde(default, rename = "required_properties")]
    pub required_properties: Vec<String>,
    /// Whether an object may have other properties.
    #[serde(default)]
    pub additional_properties: Option<bool>,
}

/// A JSON type, or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaType {
    /// Text.
    String,
    /// Whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// List.
    Array,
    /// Mapping.
    Object,
    /// A file that was uploaded before: `{name, mimetype, s3key}`. Arguments only.
    File,
}

/// How a file becomes text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileEncoding {
    /// Base64 with `+`, `/` and padding.
    #[default]
    Base64,
    /// Base64 with `-` and `_` in their place.
    Base64Url,
}

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// A `{placeholder}` of the path.
    Path,
    /// The query string.
    Query,
    /// A request header.
    Header,
    /// The `Cookie` header.
    Cookie,
    /// The request body.
    Body,
    /// Nowhere by itself: only templates use it.
    Arg,
}

/// How lists and objects are written where there is no JSON. The examples are the list `[1, 2]`
/// and the object `{"b": 1, "c": 2}` of an argument `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// `a=1&a=2`; `a[b]=1&a[c]=2`
    Repeat,
    /// `a=1,2`; `a[b]=1&a[c]=2` in a query, `b,1,c,2` elsewhere
    Csv,
    /// `a[]=1&a[]=2`; `a[b]=1&a[c]=2`
    Brackets,
    /// `a=[1,2]`; `a={"b":1,"c":2}`
    Json,
    /// `a[0]=1&a[1]=2`; `a[b]=1&a[c]=2`
    Indexed,
    /// `a=1|2`; `a=b|1|c|2`
    Pipes,
    /// `a=1 2`; `a=b 1 c 2`
    Spaces,
    /// `a[]=1&a[]=2`; `a[b]=1&a[c]=2`; lists of objects have an index
    Deep,
    /// `a=1&a=2`; `b=1&c=2`; in a path or a header `1,2`; `b=1,c=2`
    Exploded,
    /// `a=1,2`; `a=b,1,c,2`
    Flat,
    /// `.1.2`; `.b.1.c.2` (path)
    Label,
    /// `.1.2`; `.b=1.c=2` (path)
    LabelExploded,
    /// `;a=1,2`; `;a=b,1,c,2` (path)
    Matrix,
    /// `;a=1;a=2`; `;b=1;c=2` (path)
    MatrixExploded,
}
