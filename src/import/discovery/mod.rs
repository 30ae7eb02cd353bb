//! Google's API discovery documents.
//!
//! | file | knows |
//! |---|---|
//! | `names` | `gmail.users.messages.list` as `LIST_MESSAGES` |
//! | `method` | a method and its arguments |
//! | `media` | uploads and downloads |
//! | `auth` | scopes and keys |

mod auth;
mod media;
mod method;
mod names;

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use url::Url;

use super::schema::Converter;
use super::slug::{self, Slugs};
use super::{Definition, Failure, Options, Progress, Report, text};
use method::Method;

/// Levels of resources within resources.
const MOST_DEPTH: usize = 20;
/// Longest alias that is kept.
const LONGEST_ALIAS: usize = 200;

/// What the methods of one document share.
struct Api<'a> {
    /// Name of the API, as method ids begin with it.
    name: &'a str,
    /// Path of all methods, with a slash at both ends.
    service_path: String,
    converter: Converter<'a>,
    /// Schemas by id.
    schemas: Option<&'a Map<String, Value>>,
    /// Whether the API knows the parameter `fields`.
    has_fields: bool,
}

/// Imports a discovery document.
///
/// # Errors
/// It has no root, or nothing to call.
pub fn import(
    document: &Value,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let text_of = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text_of("name");
    let root = root(document, options)?;
    let schemas = document.get("schemas").and_then(Value::as_object);
    let resolve = |reference: &str| schemas?.get(reference);
    let service = text_of("servicePath").trim_matches('/');
    let prefix = root.path().trim_end_matches('/');
    let api = Api {
        name,
        service_path: if service.is_empty() {
            format!("{prefix}/")
        } else {
            format!("{prefix}/{service}/")
        },
        converter: Converter::new(&resolve),
        schemas,
        has_fields: document.pointer("/parameters/fields").is_some(),
    };
    let mut methods = Vec::new();
    collect(document, "", &mut Vec::new(), MOST_DEPTH, &mut methods);
    if methods.is_empty() {
        return Err(Failure::of_all(
            "The discovery document has no methods: nothing can be called",
        ));
    }
    let toolkit_slug = options.slug.clone().unwrap_or_else(|| slug::toolkit(name));
    let title = options.name.clone().unwrap_or_else(|| title(document));
    let version = text_of("version");
    let mut report =
        Report::of(text::clean(&format!("Google discovery {name} {version}"), text::NAME));
    report.operations = methods.len();
    let mut slugs = Slugs::new(&toolkit_slug);
    let mut tools = Vec::new();
    let all = methods.len();
    for (done, method) in methods.iter().enumerate() {
        progress(done, all);
        match method::tools(&api, method, &mut slugs, &mut report) {
            Ok(made) => tools.extend(made),
            Err(why) => report.left_out(&method.at, method.id.clone(), why),
        }
    }
    progress(all, all);
    aliases(&mut tools, &toolkit_slug);
    report.tools = tools.len();
    let auth = auth::schemes(document, &methods);
    auth::keep_known(&mut tools, &auth);
    let mut hosts: Vec<String> = root.host_str().map(str::to_owned).into_iter().collect();
    hosts.extend(
        options.allow.iter().filter(|host| !hosts.contains(host)).cloned().collect::<Vec<_>>(),
    );
    let about = text::clean(text_of("description"), text::TOOL);
    let mut toolkit = json!({
        "spec": 1,
        "slug": toolkit_slug,
        "name": text::clean(&title, text::NAME),
        "description": if about.is_empty() { format!("The API of {title}.") } else { about },
        "versions": [options.version],
        "categories": ["developer-tools"],
        "base_url": root.origin().ascii_serialization(),
        "hosts": hosts,
        "headers": {"Accept": "application/json"},
        "response": {"error": ["/error/message", "/error_description", "/error"]},
        "auth": auth,
        "sources": ["https://developers.google.com/identity/protocols/oauth2/web-server"],
    });
    if let Some(page) = https(text_of("documentationLink")) {
        toolkit["docs"] = page.clone().into();
        toolkit["app_url"] = page.into();
    }
    if let Some(logo) = document.pointer("/icons/x32").and_then(Value::as_str).and_then(https) {
        toolkit["logo"] = logo.into();
    }
    Ok((Definition { toolkit, tools }, report))
}

/// The root of all requests.
fn root(document: &Value, options: &Options) -> Result<Url, Failure> {
    let text_of = |key: &str| document.get(key).and_then(Value::as_str);
    let given = options.base_url.as_deref().or(text_of("rootUrl")).or(text_of("baseUrl"));
    given
        .and_then(|text| Url::parse(text).ok())
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| Failure {
            at: "/rootUrl".to_owned(),
            problem: "The discovery document does not say where the API is: give base_url"
                .to_owned(),
        })
}

fn title(document: &Value) -> String {
    let text_of = |key: &str| {
        document.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    };
    let title = text_of("title").or(text_of("canonicalName")).or(text_of("name"));
    title.unwrap_or("API").trim_end_matches(" API").to_owned()
}

/// An https URL as it may stand in a definition.
fn https(text: &str) -> Option<String> {
    // Old documents have http addresses of pages that have moved long ago.
    let text = text.replacen("http://", "https://", 1);
    let url = Url::parse(&text).ok()?;
    (url.scheme() == "https" && url.has_host()).then(|| url.to_string())
}

/// All methods, with the resources that they are in.
fn collect<'a>(
    holder: &'a Value,
    at: &str,
    resources: &mut Vec<&'a str>,
    left: usize,
    found: &mut Vec<Method<'a>>,
) {
    let Some(left) = left.checked_sub(1) else { return };
    let token = |name: &str| name.replace('~', "~0").replace('/', "~1");
    for (name, value) in holder.get("methods").and_then(Value::as_object).into_iter().flatten() {
        let at = format!("{at}/methods/{}", token(name));
        let written = value.get("id").and_then(Value::as_str);
        let id = written.map_or_else(|| format!("{}.{name}", resources.join(".")), str::to_owned);
        found.push(Method { at, id, name, resources: resources.clone(), value });
    }
    for (name, value) in holder.get("resources").and_then(Value::as_object).into_iter().flatten() {
        resources.push(name);
        collect(value, &format!("{at}/resources/{}", token(name)), resources, left, found);
        resources.pop();
    }
}

/// Leaves out aliases that something else is called.
fn aliases(tools: &mut [Value], toolkit: &str) {
    let slugs = tools.iter().filter_map(|tool| tool["slug"].as_str());
    let mut taken: HashSet<String> = slugs.map(str::to_owned).collect();
    let prefix = format!("{}_", toolkit.to_ascii_uppercase());
    for tool in tools {
        let Some(Value::Array(all)) = tool.get_mut("aliases") else { continue };
        let named = all.iter().filter_map(Value::as_str).map(|name| format!("{prefix}{name}"));
        let kept: Vec<Value> = named
            .filter(|name| name.len() <= LONGEST_ALIAS && taken.insert(name.clone()))
            .map(Value::from)
            .collect();
        *all = kept;
    }
}

#[cfg(test)]
mod tests;
