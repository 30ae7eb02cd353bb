//! What operations are called: by programs, and by people.

use std::collections::{HashMap, HashSet};

use super::operation::origin;
use super::{Operation, said, words};
use crate::import::slug::{self, Slugs};
use crate::import::{Report, text};

/// Longest alias: longer names are nobody's.
const MOST_ALIAS: usize = 120;

/// The name of an operation in upper snake case, without the toolkit's.
pub(super) fn base(toolkit: &str, operation: &Operation<'_>) -> String {
    plain(operation, |name| slug::without_toolkit(toolkit, &name).to_owned())
}

/// As [`base`]; `id` makes a name of that of the operation's id.
fn plain(operation: &Operation<'_>, id: impl Fn(String) -> String) -> String {
    let summary = said(operation.value, "summary").filter(|text| !slug::is_camel(text));
    let from = |text: Option<&str>| {
        text.map(slug::upper_snake).filter(|name| name.chars().any(|c| c.is_ascii_alphabetic()))
    };
    from(summary)
        // A summary as long as a description is one.
        .filter(|name| name.len() <= 160)
        .or_else(|| by_id(operation).map(id))
        .or_else(|| from(summary))
        .unwrap_or_else(|| slug::upper_snake(&format!("{} {}", operation.method, operation.path)))
}

fn by_id(operation: &Operation<'_>) -> Option<String> {
    let id = said(operation.value, "operationId")?;
    let name = slug::upper_snake(&slug::words(id));
    name.chars().any(|c| c.is_ascii_alphabetic()).then_some(name)
}

/// The slug and what else the operation may be called by, for every operation.
pub(super) fn all(
    toolkit: &str,
    operations: &[&Operation<'_>],
    report: &mut Report,
) -> Vec<(String, Vec<String>)> {
    let mut slugs = Slugs::new(toolkit);
    let prefix = toolkit.to_ascii_uppercase();
    let mut named = Vec::with_capacity(operations.len());
    let mut counts: HashMap<String, usize> = HashMap::new();
    let bases: Vec<String> = operations.iter().map(|operation| base(toolkit, operation)).collect();
    bases.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
    for (operation, mut name) in operations.iter().zip(bases) {
        // An id that says the toolkit's name again keeps it where the rest of it means another one too.
        if counts.get(&name).is_some_and(|count| *count > 1) {
            name = plain(operation, |name| name);
        }
        let tags = operation.value.get("tags").and_then(|tags| tags.get(0));
        let tag = tags.and_then(|tag| tag.as_str()).map(slug::upper_snake).unwrap_or_default();
        let fixed =
            operation.path.split(['/', '?', '#']).rfind(|s| !s.is_empty() && !s.contains('{'));
        let last = fixed.map(slug::upper_snake).filter(|s| !s.is_empty());
        let last = last.map(|last| format!("FOR_{last}")).unwrap_or_default();
        let origin = origin(operation);
        let (given, plain) = slugs.take(&name, &[tag, last], &origin);
        let full = format!("{prefix}_{name}");
        if !plain {
            let why = if full.len() > slug::MOST { "too long" } else { "another is called so" };
            report.renamed(&operation.at, &full, &given, why);
        }
        named.push((given, full));
    }
    let mut taken: HashSet<String> = named.iter().map(|(slug, _)| slug.clone()).collect();
    let mut out = Vec::with_capacity(named.len());
    for (operation, (given, full)) in operations.iter().zip(named) {
        let id = by_id(operation);
        let short = id.as_deref().map(|id| slug::without_toolkit(toolkit, id).to_owned());
        let ids = [short, id].into_iter().flatten().map(|name| format!("{prefix}_{name}"));
        let mut aliases = Vec::new();
        for alias in std::iter::once(full).chain(ids) {
            if alias.len() <= MOST_ALIAS && taken.insert(alias.clone()) {
                aliases.push(alias);
            }
        }
        out.push((given, aliases));
    }
    out
}

/// A short name for people.
pub(super) fn title(operation: &Operation<'_>) -> String {
    let summary = said(operation.value, "summary").filter(|text| !slug::is_camel(text));
    let title = summary.map(|text| text::clean(text, text::NAME)).unwrap_or_default();
    if !title.is_empty() {
        return title;
    }
    let id = said(operation.value, "operationId").map(words).unwrap_or_default();
    if id.is_empty() { text::clean(&origin(operation), text::NAME) } else { id }
}

/// What it does, for a model.
pub(super) fn description(operation: &Operation<'_>) -> String {
    let summary = said(operation.value, "summary").filter(|text| !slug::is_camel(text));
    let summary = text::clean(summary.unwrap_or_default(), text::TOOL);
    let long = text::clean(said(operation.value, "description").unwrap_or_default(), text::TOOL);
    let repeated =
        long.to_lowercase().contains(summary.trim_end_matches('.').to_lowercase().as_str());
    let mut out = if long.is_empty() || repeated { long } else { summary.clone() };
    if out.is_empty() {
        out = if summary.is_empty() { format!("{}.", title(operation)) } else { summary };
    } else if !repeated {
        let more = said(operation.value, "description").unwrap_or_default();
        let dot = if out.is_empty() || out.ends_with(['.', '!', '?', ':']) { "" } else { "." };
        out = text::clean(&format!("{out}{dot} {more}"), text::TOOL);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn names(toolkit: &str, operations: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        let values: Vec<Map<String, Value>> = operations
            .iter()
            .map(|(id, summary)| {
                Map::from_iter([
                    ("operationId".to_owned(), json!(id)),
                    ("summary".to_owned(), json!(summary)),
                ])
            })
            .collect();
        let none = Map::new();
        let operations: Vec<Operation<'_>> = values
            .iter()
            .map(|value| Operation {
                at: String::new(),
                method: "get",
                path: "/x",
                item: &none,
                value,
            })
            .collect();
        let all: Vec<&Operation<'_>> = operations.iter().collect();
        super::all(toolkit, &all, &mut Report::default())
    }

    #[test]
    fn an_id_does_not_say_the_name_of_the_toolkit_again() {
        let made = names(
            "google_classroom",
            &[
                ("classroom.courses.list", ""),
                ("google.classroom.courses.get", ""),
                ("classroom", ""),
                ("classroomsList", ""),
                ("classroom.courses.delete", "Classroom delete"),
            ],
        );
        let slugs: Vec<&str> = made.iter().map(|(slug, _)| slug.as_str()).collect();
        assert_eq!(
            slugs,
            [
                "GOOGLE_CLASSROOM_COURSES_LIST",
                "GOOGLE_CLASSROOM_COURSES_GET",
                "GOOGLE_CLASSROOM_CLASSROOM",
                "GOOGLE_CLASSROOM_CLASSROOMS_LIST",
                // What people wrote stays as it is.
                "GOOGLE_CLASSROOM_CLASSROOM_DELETE",
            ]
        );
        // The longer names of the ids are known too.
        assert_eq!(made[0].1, ["GOOGLE_CLASSROOM_CLASSROOM_COURSES_LIST"]);
        assert_eq!(
            made[4].1,
            ["GOOGLE_CLASSROOM_COURSES_DELETE", "GOOGLE_CLASSROOM_CLASSROOM_COURSES_DELETE"]
        );
    }

    #[test]
    fn an_id_keeps_the_name_of_the_toolkit_where_another_tool_would_be_called_so() {
        let made =
            names("shop", &[("shop_list", ""), ("list", ""), ("x", "List"), ("shop_get", "")]);
        let slugs: Vec<&str> = made.iter().map(|(slug, _)| slug.as_str()).collect();
        assert_eq!(slugs, ["SHOP_SHOP_LIST", "SHOP_LIST", "SHOP_LIST_FOR_X", "SHOP_GET"]);
    }
}
