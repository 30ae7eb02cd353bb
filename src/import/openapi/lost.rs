//! What needs a document that could not be had. An operation whose arguments are described there is left
//! out; an answer that is described there is an answer of any shape.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Api, MOST_HOPS, Operation, find};
use crate::import::external::references;

/// Parts of a description, by where they lie in memory, that lead to something that is not there: the place
/// of the reference, and why it is not there.
pub(super) struct Lost(HashMap<usize, (String, String)>);

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

fn reason(reference: &str, why: &str) -> String {
    let shown: String = reference.chars().take(200).collect();
    format!("it needs {shown}: {why}")
}

/// What describes the arguments of an operation, with the places.
fn described<'a>(operation: &Operation<'a>) -> impl Iterator<Item = (&'a Value, String)> {
    let item_at = operation.at.rsplit_once('/').map_or("", |(at, _)| at);
    [
        (operation.value.get("parameters"), format!("{}/parameters", operation.at)),
        (operation.value.get("requestBody"), format!("{}/requestBody", operation.at)),
        (operation.item.get("parameters"), format!("{item_at}/parameters")),
    ]
    .into_iter()
    .filter_map(|(value, at)| value.map(|value| (value, at)))
}

/// Why the operations of a path cannot be had, and the place of the reference.
pub(super) fn item(api: &Api<'_>, item: &Value, at: &str) -> Option<(String, String)> {
    let (mut item, mut at) = (item, at);
    for _ in 0..MOST_HOPS {
        let reference = item.get("$ref")?.as_str()?;
        if let Some(why) = api.bundled.lost.get(reference) {
            return Some((at.to_owned(), reason(reference, why)));
        }
        item = find(api.root, reference)?;
        at = reference.strip_prefix('#')?;
    }
    None
}

impl Lost {
    pub(super) fn of<'a>(api: &Api<'a>, operations: &[Operation<'a>]) -> Self {
        let lost = &api.bundled.lost;
        let mut found = HashMap::new();
        if lost.is_empty() {
            return Self(found);
        }
        let mut queue: Vec<(&'a Value, String)> = operations.iter().flat_map(described).collect();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
        while let Some((value, at)) = queue.pop() {
            let user = address(value);
            if !seen.insert(user) {
                continue;
            }
            references(value, &mut |reference, below| {
                if let Some(why) = lost.get(reference) {
                    let place = || (format!("{at}{below}"), reason(reference, why));
                    found.entry(user).or_insert_with(place);
                } else if let Some(target) = find(api.root, reference) {
                    users.entry(address(target)).or_default().push(user);
                    queue.push((target, reference.trim_start_matches('#').to_owned()));
                }
            });
        }
        let mut spreading: Vec<usize> = found.keys().copied().collect();
        while let Some(part) = spreading.pop() {
            let Some(why) = found.get(&part).cloned() else { continue };
            for user in users.remove(&part).unwrap_or_default() {
                found.entry(user).or_insert_with(|| {
                    spreading.push(user);
                    why.clone()
                });
            }
        }
        Self(found)
    }

    /// What an operation needs and is not there.
    pub(super) fn needed_by(&self, operation: &Operation<'_>) -> Option<(&str, &str)> {
        if self.0.is_empty() {
            return None;
        }
        let (at, why) = described(operation).find_map(|(part, _)| self.0.get(&address(part)))?;
        Some((at.as_str(), why.as_str()))
    }
}
