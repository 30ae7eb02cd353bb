//! Toolkits that have the tools of others: one connection to several services of one provider.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::entry::{Entry, Shell};
use super::model::{self, ToolkitFile};
use super::source::SourceFile;
use super::{Toolkit, check, load, plan};
use crate::config::Providers;

/// Gives every toolkit with `tools_of` the tools of those toolkits. `is_checked` knows by slug whose definition
/// needs no check any more. What is wrong with a tool that came from elsewhere is a problem of the toolkit that
/// asks for it; of a checked toolkit it is none: whoever replaced a toolkit that it takes tools from can do
/// nothing about it, so such a tool is left out with a line in the log.
pub(super) fn all(
    toolkits: &mut [Toolkit],
    providers: &Providers,
    is_checked: &dyn Fn(&str) -> bool,
    problems: &mut Vec<String>,
) {
    let mut made = Vec::new();
    for (place, toolkit) in toolkits.iter().enumerate() {
        if toolkit.file.tools_of.is_empty() {
            continue;
        }
        let mut found = Vec::new();
        made.push((place, tools(toolkit, toolkits, providers, is_checked, &mut found)));
        if is_checked(toolkit.slug()) {
            for problem in found {
                tracing::warn!(
                    toolkit = toolkit.slug(),
                    problem,
                    "a tool of another toolkit is left out"
                );
            }
        } else {
            problems.append(&mut found);
        }
    }
    for (place, tools) in made {
        if let Some(toolkit) = toolkits.get_mut(place) {
            toolkit.tools.extend(tools);
        }
    }
}

fn tools(
    toolkit: &Toolkit,
    all: &[Toolkit],
    providers: &Providers,
    is_checked: &dyn Fn(&str) -> bool,
    problems: &mut Vec<String>,
) -> Vec<Arc<Entry>> {
    let (file, provider) = (&toolkit.file, providers.get(&toolkit.file.slug));
    let mut say = |problem: String| problems.push(format!("toolkit {}: {problem}", file.slug));
    let mut sources = Vec::new();
    for slug in &file.tools_of {
        match all.iter().find(|known| known.slug() == slug) {
            Some(source) if source.file.tools_of.is_empty() => sources.push(source),
            Some(_) => say(format!("tools_of: the tools of `{slug}` are those of others")),
            None => say(format!("tools_of: there is no toolkit `{slug}`")),
        }
    }
    let names = names(file, &sources);
    let shell = Shell { file: file.clone(), provider: provider.cloned(), opened: Arc::default() };
    let shell = Arc::new(shell);
    let label = SourceFile { label: format!("toolkits/{}", file.slug), text: String::new() };
    let mut made = Vec::new();
    for source in sources {
        let is_known = is_checked(&file.slug) && is_checked(source.slug());
        for entry in &source.tools {
            let Ok(there) = entry.definition() else { continue };
            let def = def(&there, &source.file, &names);
            if is_known {
                made.push(Arc::new(Entry::kept(def, &shell)));
                continue;
            }
            let mut found = Vec::new();
            check::tool(&label, file, &def, &mut found);
            match load::tool(def, file, provider) {
                Ok(tool) => {
                    check::templates(&label, file, &tool, &mut found);
                    if found.is_empty() {
                        made.push(Arc::new(Entry::kept(tool.def, &shell)));
                    }
                }
                Err((slug, why)) => {
                    found.extend(why.into_iter().map(|why| format!("{slug}: {why}")))
                }
            }
            problems.append(&mut found);
        }
    }
    made
}

/// What the tools and their aliases are called here, by what they are called there. Of two that would have one
/// name the first has it, and the other its whole old name behind this toolkit's.
fn names(file: &ToolkitFile, sources: &[&Toolkit]) -> BTreeMap<String, String> {
    let prefix = format!("{}_", file.slug.to_uppercase());
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = BTreeMap::new();
    let all = |source: &&Toolkit| {
        let own = format!("{}_", source.slug().to_uppercase());
        let slugs = source.tools.iter().map(|tool| tool.slug().to_owned());
        let slugs: Vec<String> = slugs.collect();
        (own, slugs)
    };
    // Slugs go before aliases: the name that a tool is shown by says most.
    for (own, slugs) in sources.iter().map(all) {
        for slug in slugs {
            let short = slug.strip_prefix(&own).unwrap_or(&slug);
            let name = format!("{prefix}{short}");
            let name = if taken.contains(&name) { format!("{prefix}{slug}") } else { name };
            taken.insert(name.clone());
            names.insert(slug, name);
        }
    }
    for source in sources {
        let own = format!("{}_", source.slug().to_uppercase());
        for alias in source.tools.iter().flat_map(|tool| &tool.def.aliases) {
            let name = format!("{prefix}{}", alias.strip_prefix(&own).unwrap_or(alias));
            if taken.insert(name.clone()) {
                names.insert(alias.clone(), name);
            }
        }
    }
    names
}

/// The definition of a tool in another toolkit: it sends what it always sends.
fn def(tool: &model::Tool, from: &ToolkitFile, names: &BTreeMap<String, String>) -> model::Tool {
    let renamed =
        |list: &[String]| list.iter().filter_map(|name| names.get(name)).cloned().collect();
    let mut def = model::Tool {
        slug: names.get(&tool.slug).cloned().unwrap_or_default(),
        aliases: renamed(&tool.aliases),
        description: text(&tool.description, names),
        before: renamed(&tool.before),
        instead: renamed(&tool.instead),
        after: renamed(&tool.after),
        pitfalls: tool.pitfalls.iter().map(|pitfall| text(pitfall, names)).collect(),
        response: plan::merged(&tool.response, &from.response),
        ..tool.clone()
    };
    for (_, param) in &mut def.params.0 {
        if let Some(description) = &mut param.schema.description {
            *description = text(description, names);
        }
    }
    for step in &mut def.steps {
        step.response = plan::merged(&step.response, &from.response);
    }
    for request in def.request.iter_mut().chain(def.steps.iter_mut().map(|step| &mut step.request))
    {
        request.base_url.get_or_insert_with(|| from.base_url.clone());
        for (name, value) in &from.headers {
            if !request.headers.keys().any(|own| own.eq_ignore_ascii_case(name)) {
                request.headers.insert(name.clone(), value.clone());
            }
        }
    }
    def
}

/// A text in which tools have the names that they have here.
fn text(text: &str, names: &BTreeMap<String, String>) -> String {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut all = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !is_name(c)) {
        let end = piece.find(|c| !is_name(c)).unwrap_or(piece.len());
        let (word, rest) = piece.split_at(end);
        all.push_str(names.get(word).map_or(word, String::as_str));
        all.push_str(rest);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_tools_that_are_there() {
        let names = BTreeMap::from([("GMAIL_GET".to_owned(), "ALL_GET".to_owned())]);
        let told = text("Call GMAIL_GET, not GMAIL_GET_ALL (GMAIL_GET).", &names);
        assert_eq!(told, "Call ALL_GET, not GMAIL_GET_ALL (ALL_GET).");
        assert_eq!(text("", &names), "");
    }
}
