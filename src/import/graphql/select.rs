//! What is asked of an answer: its scalars, those of the objects in it, and of a connection its nodes.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use super::schema::{Field, Kind, Schema, Type, TypeRef};

/// Levels of objects whose scalars are asked for.
const DEPTH: usize = 2;
/// Fields of one query; from then on only what is required to be valid is added.
const MOST_FIELDS: usize = 250;
/// Objects of an interface or a union whose own fields are asked for.
const MOST_MEMBERS: usize = 20;
/// Lists and connections around the thing itself.
const MOST_LAYERS: usize = 4;
/// Fields that are looked at for all queries together, before nothing but the name of a type is asked for:
/// a schema can be made so that every query goes through all of it.
const MOST_LOOKS: usize = 5_000_000;

/// Makes selection sets for a schema.
pub(super) struct Selector<'a> {
    schema: &'a Schema,
    connections: HashSet<&'a str>,
    looks: Cell<usize>,
}

impl<'a> Selector<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let connections = schema.types.iter().filter(|(_, ty)| is_connection(ty));
        let connections = connections.map(|(name, _)| name.as_str()).collect();
        Self { schema, connections, looks: Cell::new(MOST_LOOKS) }
    }

    /// Counts the fields of a type; none when it has been enough.
    fn look_at(&self, ty: &Type) -> Option<()> {
        let left = self.looks.get().checked_sub(ty.fields.len() + 1);
        self.looks.set(left.unwrap_or_default());
        left.map(|_| ())
    }

    /// The selection set for a type, with its braces; empty for scalars and enums.
    pub(super) fn of(&self, ty: &TypeRef) -> String {
        let mut walk = Walk { selector: self, schema: self.schema, left: MOST_FIELDS };
        match self.schema.kind(ty.name()) {
            Kind::Scalar | Kind::Enum | Kind::Input => String::new(),
            _ => {
                let set = walk.set(ty.name(), 1, MOST_LAYERS);
                format!(" {}", set.as_deref().unwrap_or("{ __typename }"))
            }
        }
    }
}

/// Whether a type is a page of a list.
fn is_connection(ty: &Type) -> bool {
    let has = |field: &str| ty.fields.iter().any(|f| f.name == field && f.is_plain());
    ty.kind == Kind::Object && has("pageInfo") && (has("nodes") || has("edges"))
}

struct Walk<'a> {
    selector: &'a Selector<'a>,
    schema: &'a Schema,
    left: usize,
}

impl Walk<'_> {
    /// A selection set; `depth` counts objects, `layers` how many more connections may be opened
    /// without counting. None when there is nothing to ask for.
    fn set(&mut self, name: &str, depth: usize, layers: usize) -> Option<String> {
        let ty = self.schema.types.get(name)?;
        self.selector.look_at(ty)?;
        let mut parts: Vec<String> = Vec::new();
        let mut taken: HashMap<String, String> = HashMap::new();
        if matches!(ty.kind, Kind::Interface | Kind::Union) {
            parts.push("__typename".to_owned());
        }
        let is_page = self.selector.connections.contains(name);
        for field in ty.fields.iter().filter(|field| usable(field)) {
            if self.left == 0 {
                break;
            }
            if is_page && ["nodes", "edges", "pageInfo"].contains(&field.name.as_str()) {
                continue;
            }
            let inner = field.ty.name();
            let set = match self.schema.kind(inner) {
                Kind::Scalar | Kind::Enum => String::new(),
                Kind::Input => continue,
                // What belongs to it in pages is another question.
                _ if depth >= DEPTH || self.selector.connections.contains(inner) => continue,
                _ => {
                    self.left = self.left.saturating_sub(1);
                    match self.set(inner, depth + 1, layers) {
                        Some(set) => format!(" {set}"),
                        None => continue,
                    }
                }
            };
            self.left = self.left.saturating_sub(1);
            // A name stands once in a set, however often a hostile schema has it.
            if taken.insert(field.name.clone(), field.ty.to_string()).is_none() {
                parts.push(format!("{}{set}", field.name));
            }
        }
        if is_page {
            parts.extend(self.page(name, depth, layers));
        }
        if matches!(ty.kind, Kind::Interface | Kind::Union) {
            self.members(&ty.members, &mut taken, &mut parts);
        }
        (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(" ")))
    }

    /// What is in a page: its nodes do not count as a level, and where it ends.
    fn page(&mut self, name: &str, depth: usize, layers: usize) -> Vec<String> {
        let Some(layers) = layers.checked_sub(1) else { return Vec::new() };
        let Some(ty) = self.schema.types.get(name) else { return Vec::new() };
        let mut parts = Vec::new();
        let named = |field: &str| ty.fields.iter().find(|f| f.name == field && f.is_plain());
        let name_of = |field: &Field| field.ty.name().to_owned();
        if let Some(nodes) = named("nodes").map(name_of) {
            let set = match self.schema.kind(&nodes) {
                Kind::Scalar | Kind::Enum => Some(String::new()),
                _ => self.set(&nodes, depth, layers),
            };
            parts.extend(set.map(|set| format!("nodes {set}").trim_end().to_owned()));
        } else if let Some(edges) = named("edges") {
            let edge = self.schema.types.get(edges.ty.name());
            let has = |name: &str| edge.and_then(|e| e.fields.iter().find(|f| f.name == name));
            let cursor = if has("cursor").is_some() { "cursor " } else { "" };
            let set = match has("node").map(name_of) {
                None => None,
                Some(node) if self.schema.kind(&node) == Kind::Scalar => Some(String::new()),
                Some(node) => self.set(&node, depth, layers),
            };
            parts.extend(set.map(|set| format!("edges {{ {cursor}node {set} }}")));
        }
        let page = named("pageInfo").map(name_of).and_then(|page| self.set(&page, DEPTH, 0));
        parts.extend(page.map(|set| format!("pageInfo {set}")));
        parts
    }

    /// The scalars of what an interface or a union may be. Two fields of one name must have one
    /// type, so the second one gets another name.
    fn members(
        &mut self,
        members: &[String],
        taken: &mut HashMap<String, String>,
        parts: &mut Vec<String>,
    ) {
        let shared: HashSet<String> = taken.keys().cloned().collect();
        for member in members.iter().take(MOST_MEMBERS) {
            let Some(ty) = self.schema.types.get(member) else { continue };
            if self.selector.look_at(ty).is_none() {
                return;
            }
            let mut own = Vec::new();
            for field in ty.fields.iter().filter(|f| usable(f) && !shared.contains(&f.name)) {
                let scalar = matches!(self.schema.kind(field.ty.name()), Kind::Scalar | Kind::Enum);
                if !scalar || self.left == 0 {
                    continue;
                }
                self.left -= 1;
                let kind = field.ty.to_string();
                let known = taken.entry(field.name.clone()).or_insert_with(|| kind.clone());
                own.push(if *known == kind {
                    field.name.clone()
                } else {
                    format!("{member}_{name}: {name}", name = field.name)
                });
            }
            if !own.is_empty() {
                parts.push(format!("... on {member} {{ {} }}", own.join(" ")));
            }
        }
    }
}

/// Whether a field is asked for at all.
fn usable(field: &Field) -> bool {
    field.deprecated.is_none() && field.is_plain() && !field.name.starts_with("__")
}
