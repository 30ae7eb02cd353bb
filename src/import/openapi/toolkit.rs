//! The toolkit as a whole.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::lost::Lost;
use super::operation::{self, Common, is_obsolete, origin};
use super::servers::Servers;
use super::{
    Api, Definition, Failure, Operation, Options, Progress, auth, names, oauth, said, sparse,
};
use crate::import::{slug, text};

/// Tools of the default set.
const IMPORTANT: usize = 20;
/// Operations of one description.
const MOST_OPERATIONS: usize = 50_000;
/// Where errors usually are said.
const ERRORS: [&str; 10] = [
    "/error/message",
    "/message",
    "/error_description",
    "/error",
    "/errors/0/message",
    "/errors/0/detail",
    "/errors/0",
    "/detail",
    "/title",
    "/Message",
];

/// Makes the definition.
pub(super) fn definition<'a>(
    api: &Api<'a>,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Definition, Failure> {
    let empty = Map::new();
    let info = api.root.get("info").and_then(Value::as_object).unwrap_or(&empty);
    let title = text::clean(said(info, "title").unwrap_or_default(), text::NAME);
    let operations = api.operations();
    if operations.len() > MOST_OPERATIONS {
        return Err(Failure::of_all(format!(
            "The description has {} operations; at most {MOST_OPERATIONS} are read",
            operations.len()
        )));
    }
    let given = options.slug.clone().map(|slug| slug::toolkit(&slug));
    let slug = given.unwrap_or_else(|| slug::toolkit(short(&title)));
    let servers = Servers::of(api, options);
    let scopes = required_scopes(api, &operations);
    let auth = auth::of(api, &operations, &servers, &scopes);
    let sources = sources(api, info, options, &auth.schemes);
    let (base_url, hosts) = (servers.base_url.clone(), servers.hosts.clone());
    // Scopes of tools are those of OAUTH2; without it there are none.
    let has_oauth = auth.schemes.iter().any(|scheme| scheme["scheme"] == "OAUTH2");
    let oauth = if has_oauth { auth.oauth } else { Vec::new() };
    let common = Common { credentials: auth.credentials, oauth, servers, toolkit: slug.clone() };

    let lost = Lost::of(api, &operations);
    let total = operations.len();
    let mut made: Vec<(&Operation<'a>, Map<String, Value>)> = Vec::with_capacity(total);
    for (done, operation) in operations.iter().enumerate() {
        match lost.needed_by(operation) {
            Some((at, why)) => api.report.borrow_mut().left_out(at, origin(operation), why),
            None => match operation::tool(api, operation, &common) {
                Ok(tool) => made.push((operation, tool)),
                Err(why) => api.report.borrow_mut().left_out(&operation.at, origin(operation), why),
            },
        }
        progress(done + 1, total);
    }
    let taken: Vec<&Operation<'a>> = made.iter().map(|(operation, _)| *operation).collect();
    let named = names::all(&slug, &taken, &mut api.report.borrow_mut());
    let important = important(&taken);
    api.report.borrow_mut().operations += total;
    let mut tools = Vec::with_capacity(made.len());
    for (i, ((_, mut tool), (name, aliases))) in made.into_iter().zip(named).enumerate() {
        // These stand first, as in a file.
        let mut whole = Map::new();
        whole.insert("slug".into(), name.into());
        if !aliases.is_empty() {
            whole.insert("aliases".into(), aliases.into());
        }
        if important.contains(&i) {
            let tags = tool.entry("tags").or_insert_with(|| json!([]));
            if let Value::Array(tags) = tags {
                tags.push("important".into());
            }
        }
        whole.extend(tool);
        tools.push(Value::Object(whole));
    }

    let name = options.name.as_deref().map(|name| text::clean(name, text::NAME));
    let name = name.filter(|n| !n.is_empty()).unwrap_or(title);
    let name = if name.is_empty() { slug.clone() } else { name };
    let about = text::clean(said(info, "description").unwrap_or_default(), text::ARGUMENT);
    let https = |pointer: &str| {
        let url = api.root.pointer(pointer).and_then(Value::as_str)?;
        let url = url::Url::parse(url).ok()?;
        (url.scheme() == "https" && url.has_host()).then(|| url.to_string())
    };
    let version = if options.version.is_empty() { "00000000_00" } else { &options.version };
    let toolkit = sparse(json!({
        "spec": 1,
        "slug": slug,
        "name": name,
        "description": if about.is_empty() { format!("{name}.") } else { about },
        "versions": [version],
        "categories": categories(info),
        "logo": https("/info/x-logo/url"),
        "app_url": https("/info/contact/url"),
        "docs": https("/externalDocs/url"),
        "sources": sources,
        "base_url": base_url,
        "hosts": hosts,
        "response": {"error": ERRORS},
        "auth": auth.schemes,
    }));
    Ok(Definition { toolkit, tools })
}

/// A title without what every description could say of itself: `Stripe API` as `Stripe`.
fn short(title: &str) -> &str {
    let mut title = title.trim();
    loop {
        let Some((before, last)) = title.rsplit_once([' ', '-', '_']) else { return title };
        let lower = last.to_ascii_lowercase();
        let number = lower.trim_start_matches('v');
        let version = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let word = ["api", "apis", "rest", "openapi", "swagger", "specification", "reference", "-"];
        let before = before.trim_end_matches([' ', '-', '_', ':', ',']);
        if before.is_empty() || !(version || lower.is_empty() || word.contains(&lower.as_str())) {
            return title;
        }
        title = before;
    }
}

fn sources(
    api: &Api<'_>,
    info: &Map<String, Value>,
    options: &Options,
    schemes: &[Value],
) -> Vec<String> {
    let docs = api.root.pointer("/externalDocs/url").and_then(Value::as_str);
    let origin = info.get("x-origin").and_then(|o| o.pointer("/0/url")).and_then(Value::as_str);
    let oauth = oauth::source(schemes);
    let all = [docs, options.source_url.as_deref(), origin, oauth.as_deref()];
    let good =
        |url: &&str| url::Url::parse(url).is_ok_and(|u| u.scheme() == "https" && u.has_host());
    all.into_iter().flatten().filter(good).take(1).map(str::to_owned).collect()
}

fn categories(info: &Map<String, Value>) -> Vec<String> {
    let list = info.get("x-apisguru-categories").and_then(Value::as_array);
    let list = list.into_iter().flatten().filter_map(Value::as_str);
    let plain = list.map(|c| slug::upper_snake(c).to_ascii_lowercase().replace('_', "-"));
    plain.filter(|c| !c.is_empty()).take(5).collect()
}

/// Every scope that an operation asks for.
fn required_scopes(api: &Api<'_>, operations: &[Operation<'_>]) -> Vec<String> {
    let lists =
        operations.iter().filter_map(|o| o.value.get("security")).chain(api.root.get("security"));
    let mut seen = std::collections::HashSet::new();
    let mut scopes = Vec::new();
    let sets = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_object).flatten();
    let named = |name: &str| {
        let scheme = api.root.pointer("/components/securitySchemes").and_then(|s| s.get(name));
        scheme.is_some_and(|scheme| api.follow(scheme, "").0["type"] == "oauth2")
    };
    let mut known: HashMap<&String, bool> = HashMap::new();
    for (name, list) in sets {
        if !*known.entry(name).or_insert_with(|| named(name)) {
            continue;
        }
        for scope in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if seen.insert(scope) {
                scopes.push(scope.to_owned());
            }
        }
    }
    scopes
}

/// The default set: of each tag in turn, those with the most operations first.
fn important(operations: &[&Operation<'_>]) -> std::collections::HashSet<usize> {
    let mut by_tag: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (i, operation) in operations.iter().enumerate().filter(|(_, o)| !is_obsolete(o)) {
        let tag = operation.value.get("tags").and_then(|t| t.get(0)).and_then(Value::as_str);
        let tag = tag.unwrap_or_default();
        let place = *places.entry(tag).or_insert(by_tag.len());
        match by_tag.get_mut(place) {
            Some((_, list)) => list.push(i),
            None => by_tag.push((tag, vec![i])),
        }
    }
    by_tag.sort_by_key(|(_, list)| std::cmp::Reverse(list.len()));
    let mut chosen = std::collections::HashSet::new();
    let longest = by_tag.first().map_or(0, |(_, list)| list.len());
    for round in 0..longest {
        for (_, list) in &by_tag {
            if chosen.len() >= IMPORTANT {
                return chosen;
            }
            chosen.extend(list.get(round).copied());
        }
    }
    chosen
}
