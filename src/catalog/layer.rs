//! What is in a catalogue: toolkits in layers, of which a higher one hides toolkits of those below.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Entry, Toolkit, Trigger};

/// Toolkits of one origin.
#[derive(Debug, Default)]
pub struct Layer {
    /// By slug, sorted.
    toolkits: Vec<Arc<Toolkit>>,
    /// Slugs and aliases.
    tools: HashMap<Box<str>, (u32, u32)>,
    triggers: HashMap<Box<str>, (u32, u32)>,
}

impl Layer {
    /// Puts toolkits side by side. Of two things with one name the first counts.
    pub(super) fn new(mut toolkits: Vec<Arc<Toolkit>>, problems: &mut Vec<String>) -> Self {
        toolkits.sort_by(|a, b| a.file.slug.cmp(&b.file.slug));
        let (mut tools, mut triggers) = (HashMap::new(), HashMap::new());
        for pair in toolkits.windows(2) {
            if let [a, b] = pair
                && a.file.slug == b.file.slug
            {
                problems.push(format!("toolkit `{}` is defined twice", a.file.slug));
            }
        }
        let count = toolkits.iter().map(|toolkit| toolkit.tools.len()).sum::<usize>();
        tools.reserve(count);
        for (t, toolkit) in toolkits.iter().enumerate() {
            for (i, tool) in toolkit.tools.iter().enumerate() {
                for name in std::iter::once(&tool.def.slug).chain(&tool.def.aliases) {
                    let place = (t as u32, i as u32);
                    let (ot, oi) = *tools.entry(name.as_str().into()).or_insert(place);
                    if (ot, oi) != place {
                        let other = &toolkits[ot as usize].tools[oi as usize].def.slug;
                        let slug = &tool.def.slug;
                        problems.push(format!("`{name}` names two tools: {other} and {slug}"));
                    }
                }
            }
            for (i, trigger) in toolkit.triggers.iter().enumerate() {
                for name in std::iter::once(&trigger.def.slug).chain(&trigger.def.aliases) {
                    let place = (t as u32, i as u32);
                    if *triggers.entry(name.as_str().into()).or_insert(place) != place {
                        problems.push(format!("`{name}` names two trigger types"));
                    }
                }
            }
        }
        Self { toolkits, tools, triggers }
    }

    /// The toolkits, by slug.
    pub fn toolkits(&self) -> &[Arc<Toolkit>] {
        &self.toolkits
    }

    /// A toolkit by its exact slug.
    pub fn toolkit(&self, slug: &str) -> Option<&Arc<Toolkit>> {
        find(&self.toolkits, slug)
    }

    fn tool(&self, slug: &str) -> Option<(&Arc<Toolkit>, &Arc<Entry>)> {
        let (toolkit, tool) = *self.tools.get(slug)?;
        let toolkit = self.toolkits.get(toolkit as usize)?;
        Some((toolkit, toolkit.tools.get(tool as usize)?))
    }

    fn trigger(&self, slug: &str) -> Option<(&Arc<Toolkit>, &Arc<Trigger>)> {
        let (toolkit, trigger) = *self.triggers.get(slug)?;
        let toolkit = self.toolkits.get(toolkit as usize)?;
        Some((toolkit, toolkit.triggers.get(trigger as usize)?))
    }
}

fn find<'a>(toolkits: &'a [Arc<Toolkit>], slug: &str) -> Option<&'a Arc<Toolkit>> {
    let at = toolkits.binary_search_by(|toolkit| toolkit.file.slug.as_str().cmp(slug)).ok()?;
    toolkits.get(at)
}

/// What a project sees at one moment. It never changes; a change makes another one.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The highest first.
    layers: Vec<Arc<Layer>>,
    /// Those of all layers that are not hidden, by slug.
    toolkits: Vec<Arc<Toolkit>>,
}

impl Catalog {
    /// Of layers, the highest first.
    pub(super) fn of(layers: Vec<Arc<Layer>>) -> Self {
        let toolkits = match layers.as_slice() {
            [only] => only.toolkits.clone(),
            layers => {
                let mut all: Vec<&Arc<Toolkit>> =
                    layers.iter().flat_map(|layer| &layer.toolkits).collect();
                // Stable: of toolkits with one slug that of the highest layer comes first.
                all.sort_by(|a, b| a.file.slug.cmp(&b.file.slug));
                all.dedup_by(|later, kept| later.file.slug == kept.file.slug);
                all.into_iter().cloned().collect()
            }
        };
        Self { layers, toolkits }
    }

    pub(super) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// Toolkits by slug, sorted.
    pub fn toolkits(&self) -> &[Arc<Toolkit>] {
        &self.toolkits
    }

    /// A toolkit by slug, in any case.
    pub fn toolkit(&self, slug: &str) -> Option<&Arc<Toolkit>> {
        find(&self.toolkits, slug).or_else(|| {
            let is_lower = !slug.bytes().any(|b| b.is_ascii_uppercase());
            if is_lower { None } else { find(&self.toolkits, &slug.to_lowercase()) }
        })
    }

    /// A tool by slug or alias (exact case), with its toolkit.
    pub fn tool(&self, slug: &str) -> Option<(&Arc<Toolkit>, &Arc<Entry>)> {
        let found = self.layers.iter().filter_map(|layer| layer.tool(slug));
        self.seen(found)
    }

    /// A trigger type by slug or alias (exact case), with its toolkit.
    pub fn trigger(&self, slug: &str) -> Option<(&Arc<Toolkit>, &Arc<Trigger>)> {
        let found = self.layers.iter().filter_map(|layer| layer.trigger(slug));
        self.seen(found)
    }

    /// The first that no higher layer hides: a toolkit is hidden with all that is in it.
    fn seen<'a, T: 'a>(
        &self,
        mut found: impl Iterator<Item = (&'a Arc<Toolkit>, &'a T)>,
    ) -> Option<(&'a Arc<Toolkit>, &'a T)> {
        found.find(|(toolkit, _)| {
            self.layers.len() == 1
                || find(&self.toolkits, &toolkit.file.slug)
                    .is_some_and(|seen| Arc::ptr_eq(seen, toolkit))
        })
    }
}
