//! Schemas in the schema definition language.

use apollo_parser::Parser;
use apollo_parser::cst::{self, CstNode, Definition};

use super::schema::{Field, Input, Kind, MOST_WRAPPERS, Schema, Type, TypeRef};
use crate::import::Failure;
use crate::import::document::MOST_BYTES;

/// Nesting of the text, and pieces that it may have. GitHub's schema has 300,000.
const MOST_NESTING: usize = 100;
const MOST_TOKENS: usize = 20_000_000;

/// Words that a definition begins with.
const BEGINNINGS: [&str; 10] = [
    "schema",
    "type",
    "interface",
    "union",
    "enum",
    "input",
    "scalar",
    "directive",
    "extend",
    "\"",
];

/// Whether the first thing that is no comment begins a definition.
pub(super) fn is_likely(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let Some(first) = lines.find(|line| !line.is_empty() && !line.starts_with('#')) else {
        return false;
    };
    let word = first.split(|c: char| c.is_whitespace() || c == '{' || c == '@').next();
    let word = word.unwrap_or_default();
    if first.starts_with('"') {
        // A description; JSON texts begin with a bracket.
        return lines.any(|line| BEGINNINGS[..9].iter().any(|b| line.starts_with(b)));
    }
    BEGINNINGS.contains(&word) && !first[word.len()..].trim_start().starts_with(':')
}

/// Reads a schema.
pub(super) fn read(text: &str) -> Result<Schema, Failure> {
    if text.len() > MOST_BYTES {
        return Err(Failure::of_all("The schema is too large"));
    }
    let text = text.trim_start_matches('\u{feff}');
    let tree = Parser::new(text).recursion_limit(MOST_NESTING).token_limit(MOST_TOKENS).parse();
    if let Some(error) = tree.errors().next() {
        let (line, column) = place(text, error.index());
        let near: String = error.data().chars().take(40).filter(|c| !c.is_control()).collect();
        let near = if near.is_empty() { near } else { format!(" (near `{near}`)") };
        return Err(Failure {
            at: format!("line {line}, column {column}"),
            problem: format!("The schema is not valid SDL: {}{near}", error.message()),
        });
    }
    let mut schema = Schema::default();
    let mut named_roots = false;
    for definition in tree.document().definitions() {
        named_roots |= matches!(definition, Definition::SchemaDefinition(_));
        take(&mut schema, definition);
    }
    if !named_roots {
        for (root, name) in [
            (&mut schema.query, "Query"),
            (&mut schema.mutation, "Mutation"),
            (&mut schema.subscription, "Subscription"),
        ] {
            if root.is_none() && schema.types.contains_key(name) {
                *root = Some(name.to_owned());
            }
        }
    }
    Ok(schema)
}

/// Line and column of a byte, from 1.
fn place(text: &str, index: usize) -> (usize, usize) {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    let before = &text[..index];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn take(schema: &mut Schema, definition: Definition) {
    match definition {
        Definition::SchemaDefinition(d) => {
            schema.description = description(d.description());
            roots(schema, d.root_operation_type_definitions());
        }
        Definition::SchemaExtension(d) => roots(schema, d.root_operation_type_definitions()),
        Definition::ScalarTypeDefinition(d) => {
            add(schema, Kind::Scalar, d.name(), description(d.description()));
        }
        Definition::ObjectTypeDefinition(d) => {
            let about = description(d.description());
            let interfaces = d.implements_interfaces();
            object(schema, Kind::Object, d.name(), about, d.fields_definition(), interfaces);
        }
        Definition::ObjectTypeExtension(d) => {
            let interfaces = d.implements_interfaces();
            object(schema, Kind::Object, d.name(), None, d.fields_definition(), interfaces);
        }
        Definition::InterfaceTypeDefinition(d) => {
            let about = description(d.description());
            object(schema, Kind::Interface, d.name(), about, d.fields_definition(), None);
        }
        Definition::InterfaceTypeExtension(d) => {
            object(schema, Kind::Interface, d.name(), None, d.fields_definition(), None);
        }
        Definition::UnionTypeDefinition(d) => {
            let about = description(d.description());
            members(add(schema, Kind::Union, d.name(), about), d.union_member_types());
        }
        Definition::UnionTypeExtension(d) => {
            members(add(schema, Kind::Union, d.name(), None), d.union_member_types());
        }
        Definition::EnumTypeDefinition(d) => {
            let about = description(d.description());
            values(add(schema, Kind::Enum, d.name(), about), d.enum_values_definition());
        }
        Definition::EnumTypeExtension(d) => {
            values(add(schema, Kind::Enum, d.name(), None), d.enum_values_definition());
        }
        Definition::InputObjectTypeDefinition(d) => {
            let about = description(d.description());
            inputs(add(schema, Kind::Input, d.name(), about), d.input_fields_definition());
        }
        Definition::InputObjectTypeExtension(d) => {
            inputs(add(schema, Kind::Input, d.name(), None), d.input_fields_definition());
        }
        Definition::OperationDefinition(_)
        | Definition::FragmentDefinition(_)
        | Definition::DirectiveDefinition(_)
        | Definition::ScalarTypeExtension(_) => {}
    }
}

fn roots(schema: &mut Schema, all: cst::CstChildren<cst::RootOperationTypeDefinition>) {
    for root in all {
        let (Some(kind), Some(name)) = (root.operation_type(), root.named_type()) else { continue };
        let name = name.name().map(|name| name.text().to_string());
        if kind.query_token().is_some() {
            schema.query = name;
        } else if kind.mutation_token().is_some() {
            schema.mutation = name;
        } else if kind.subscription_token().is_some() {
            schema.subscription = name;
        }
    }
}

/// The type of this name, made when it is not there yet.
fn add(
    schema: &mut Schema,
    kind: Kind,
    name: Option<cst::Name>,
    about: Option<String>,
) -> Option<&mut Type> {
    let name = name?.text().to_string();
    let ty = schema.types.entry(name).or_default();
    // An extension may stand before what it extends, an interface's objects before it.
    if ty.kind == Kind::Scalar {
        ty.kind = kind;
    }
    if about.is_some() {
        ty.description = about;
    }
    Some(ty)
}

fn object(
    schema: &mut Schema,
    kind: Kind,
    name: Option<cst::Name>,
    about: Option<String>,
    fields: Option<cst::FieldsDefinition>,
    interfaces: Option<cst::ImplementsInterfaces>,
) {
    let own = name.as_ref().map(|name| name.text().to_string());
    let Some(ty) = add(schema, kind, name, about) else { return };
    ty.fields.extend(
        fields.into_iter().flat_map(|all| all.field_definitions()).filter_map(|f| field(&f)),
    );
    let Some(own) = own else { return };
    for interface in interfaces.into_iter().flat_map(|all| all.named_types()) {
        if let Some(ty) = add(schema, Kind::Interface, interface.name(), None)
            && !ty.members.contains(&own)
        {
            ty.members.push(own.clone());
        }
    }
}

fn members(ty: Option<&mut Type>, all: Option<cst::UnionMemberTypes>) {
    let Some(ty) = ty else { return };
    for member in all.into_iter().flat_map(|all| all.named_types()) {
        ty.members.extend(member.name().map(|name| name.text().to_string()));
    }
}

fn values(ty: Option<&mut Type>, all: Option<cst::EnumValuesDefinition>) {
    let Some(ty) = ty else { return };
    for value in all.into_iter().flat_map(|all| all.enum_value_definitions()) {
        let name = value.enum_value().and_then(|value| value.name());
        ty.values.extend(name.map(|name| name.text().to_string()));
    }
}

fn inputs(ty: Option<&mut Type>, all: Option<cst::InputFieldsDefinition>) {
    let Some(ty) = ty else { return };
    let all = all.into_iter().flat_map(|all| all.input_value_definitions());
    ty.inputs.extend(all.filter_map(|value| input(&value)));
}

fn field(field: &cst::FieldDefinition) -> Option<Field> {
    let args = field.arguments_definition();
    Some(Field {
        name: field.name()?.text().to_string(),
        description: description(field.description()),
        deprecated: deprecated(field.directives()),
        args: args
            .into_iter()
            .flat_map(|args| args.input_value_definitions())
            .filter_map(|value| input(&value))
            .collect(),
        ty: type_ref(field.ty()?, MOST_WRAPPERS)?,
    })
}

fn input(value: &cst::InputValueDefinition) -> Option<Input> {
    let default = value.default_value().and_then(|default| default.value());
    Some(Input {
        name: value.name()?.text().to_string(),
        description: description(value.description()),
        default: default.map(|value| value.source_string().trim().to_owned()),
        deprecated: deprecated(value.directives()).is_some(),
        ty: type_ref(value.ty()?, MOST_WRAPPERS)?,
    })
}

fn description(text: Option<cst::Description>) -> Option<String> {
    let text = String::from(text?.string_value()?);
    (!text.trim().is_empty()).then_some(text)
}

fn deprecated(all: Option<cst::Directives>) -> Option<String> {
    let directive = all?
        .directives()
        .find(|directive| directive.name().is_some_and(|name| name.text() == "deprecated"))?;
    let reason = directive.arguments().into_iter().flat_map(|args| args.arguments());
    let reason = reason.filter(|arg| arg.name().is_some_and(|name| name.text() == "reason"));
    let said = reason.filter_map(|arg| match arg.value() {
        Some(cst::Value::StringValue(text)) => Some(String::from(text)),
        _ => None,
    });
    Some(said.last().unwrap_or_else(|| "Deprecated.".to_owned()))
}

fn type_ref(ty: cst::Type, left: usize) -> Option<TypeRef> {
    let left = left.checked_sub(1)?;
    let named = |ty: cst::NamedType| Some(TypeRef::Named(ty.name()?.text().to_string()));
    let list = |ty: cst::ListType| Some(TypeRef::List(Box::new(type_ref(ty.ty()?, left)?)));
    match ty {
        cst::Type::NamedType(ty) => named(ty),
        cst::Type::ListType(ty) => list(ty),
        cst::Type::NonNullType(ty) => {
            let inner = match (ty.named_type(), ty.list_type()) {
                (Some(ty), _) => named(ty),
                (None, Some(ty)) => list(ty),
                (None, None) => None,
            };
            Some(TypeRef::NonNull(Box::new(inner?)))
        }
    }
}
