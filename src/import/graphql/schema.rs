//! A GraphQL schema, as far as tools need it.

use std::collections::HashMap;

/// Levels of lists and non-nulls around a name that are followed.
pub(super) const MOST_WRAPPERS: usize = 12;

/// Types by name, and which of them are the roots.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub query: Option<String>,
    pub mutation: Option<String>,
    pub subscription: Option<String>,
    pub description: Option<String>,
    pub types: HashMap<String, Type>,
}

/// One named type.
#[derive(Debug, Default)]
pub(super) struct Type {
    pub kind: Kind,
    pub description: Option<String>,
    /// Of objects and interfaces.
    pub fields: Vec<Field>,
    /// Of input objects.
    pub inputs: Vec<Input>,
    /// Of enums.
    pub values: Vec<String>,
    /// Of unions, and of interfaces: the objects that it may be.
    pub members: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Scalar,
    Object,
    Interface,
    Union,
    Enum,
    Input,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: String,
    pub description: Option<String>,
    pub deprecated: Option<String>,
    pub args: Vec<Input>,
    pub ty: TypeRef,
}

#[derive(Debug)]
pub(super) struct Input {
    pub name: String,
    pub description: Option<String>,
    pub default: Option<String>,
    pub deprecated: bool,
    pub ty: TypeRef,
}

/// A type where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TypeRef {
    Named(String),
    List(Box<TypeRef>),
    NonNull(Box<TypeRef>),
}

impl TypeRef {
    /// The name inside of all lists.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::NonNull(inner) => inner.name(),
        }
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::NonNull(_))
    }
}

impl std::fmt::Display for TypeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::List(inner) => write!(f, "[{inner}]"),
            Self::NonNull(inner) => write!(f, "{inner}!"),
        }
    }
}

impl Input {
    /// Whether a caller has to give it.
    pub(super) fn is_required(&self) -> bool {
        self.ty.is_required() && self.default.is_none()
    }
}

impl Field {
    /// Whether it can be asked for without arguments.
    pub(super) fn is_plain(&self) -> bool {
        !self.args.iter().any(Input::is_required)
    }
}

impl Schema {
    /// What is known of a type; nothing is known of the scalars that every schema has.
    pub(super) fn kind(&self, name: &str) -> Kind {
        self.types.get(name).map_or(Kind::Scalar, |ty| ty.kind)
    }
}

/// Whether a text may stand in a document as a name: what a schema calls things is a stranger's.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
