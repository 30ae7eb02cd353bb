//! What a remote MCP server lists, made into a toolkit.
//!
//! The description is a document of our own, which whoever asked the server writes: `mcp` says where it
//! is and how it is connected, the rest is the server's answer.
//!
//! ```json
//! {"mcp": {"url": "https://example.com/mcp", "auth": ["DCR_OAUTH", "BEARER_TOKEN"], "header": "X-Key"},
//!  "serverInfo": {"name": "example"}, "instructions": "…", "tools": [{"name": "echo", "inputSchema": {}}]}
//! ```

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use url::Url;

use super::schema::{Converter, Use};
use super::slug::{self, Slugs};
use super::{Definition, Failure, Options, Progress, Report, text};

/// Bytes of the arguments of one tool.
const MOST_BYTES: usize = 60_000;
/// Bytes of the schema of its answer.
const MOST_ANSWER: usize = 12_000;
/// Tools of one server.
const MOST_TOOLS: usize = 2_000;

/// Imports a listing.
///
/// # Errors
/// It does not say where the server is.
pub fn import(
    document: &Value,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let url = address(document, options)?;
    let tools = document.get("tools").and_then(Value::as_array);
    let tools = tools.map(Vec::as_slice).unwrap_or_default();
    let about = |key: &str| {
        let text = document.pointer(&format!("/serverInfo/{key}")).and_then(Value::as_str);
        text.map(|text| text::clean(text, text::NAME)).filter(|text| !text.is_empty())
    };
    let host = url.host_str().unwrap_or("mcp");
    let named = about("name").unwrap_or_else(|| host.replace('.', "_"));
    let toolkit_slug = options.slug.clone().unwrap_or_else(|| slug::toolkit(&named));
    let title = options.name.clone().or_else(|| about("title")).unwrap_or(named);
    let version = about("version").unwrap_or_default();
    let mut report = Report::of(format!("MCP server {version}").trim_end().to_owned());
    report.operations = tools.len();
    let mut slugs = Slugs::new(&toolkit_slug);
    let mut seen = HashSet::new();
    let mut made = Vec::new();
    for (i, value) in tools.iter().enumerate() {
        progress(i, tools.len());
        let at = format!("/tools/{i}");
        let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
        let shown = text::clean(name, text::NAME);
        if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
            report.left_out(&at, shown, "it has no name that can be called");
        } else if !seen.insert(name) {
            report.left_out(&at, shown, "another tool of the server has the same name");
        } else if made.len() >= MOST_TOOLS {
            report.left_out(&at, shown, format!("at most {MOST_TOOLS} tools are taken"));
        } else {
            made.push(tool(value, name, &at, &mut slugs, &mut report));
        }
    }
    progress(tools.len(), tools.len());
    if document.get("incomplete").and_then(Value::as_bool).unwrap_or_default() {
        report.notes.push("The server has more tools than were listed".to_owned());
    }
    if tools.is_empty() {
        report.notes.push(
            "The server listed no tools. One that wants credentials lists them when the toolkit is \
             imported again with credentials"
                .to_owned(),
        );
    }
    report.tools = made.len();
    let instructions = document.get("instructions").and_then(Value::as_str).unwrap_or_default();
    let mut hosts = vec![url.host_str().unwrap_or_default().to_owned()];
    hosts.extend(
        options.allow.iter().filter(|host| **host != hosts[0]).cloned().collect::<Vec<_>>(),
    );
    let description = format!("Tools of the remote MCP server {title}. {instructions}");
    let toolkit = json!({
        "spec": 1,
        "slug": toolkit_slug,
        "name": text::clean(&title, text::NAME),
        "description": text::clean(&description, text::TOOL),
        "versions": [options.version],
        "categories": ["developer-tools"],
        "base_url": url.as_str(),
        "hosts": hosts,
        "auth": schemes(document),
    });
    Ok((Definition { toolkit, tools: made }, report))
}

fn address(document: &Value, options: &Options) -> Result<Url, Failure> {
    let said = document.pointer("/mcp/url").and_then(Value::as_str);
    let given = options.base_url.as_deref().or(said).or(options.source_url.as_deref());
    let wrong = |problem: &str| Failure { at: "/mcp/url".to_owned(), problem: problem.to_owned() };
    let url = given
        .and_then(|text| Url::parse(text).ok())
        .filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| wrong("The URL of the MCP server must be an http or https URL"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            "The URL of the MCP server has a query: leave it out, and give a key as a header",
        ));
    }
    Ok(url)
}

/// The ways to connect, as whoever asked the server found them.
fn schemes(document: &Value) -> Vec<Value> {
    let listed = document.pointer("/mcp/auth").and_then(Value::as_array);
    let mut schemes = Vec::new();
    for scheme in listed.into_iter().flatten().filter_map(Value::as_str) {
        schemes.push(match scheme {
            "DCR_OAUTH" => json!({"scheme": "DCR_OAUTH"}),
            "BEARER_TOKEN" => json!({"scheme": "BEARER_TOKEN"}),
            "API_KEY" => {
                let header = document.pointer("/mcp/header").and_then(Value::as_str);
                let plain = |name: &&str| {
                    !name.is_empty()
                        && name.len() <= 100
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
                };
                let header = header.filter(plain).unwrap_or("X-API-Key");
                json!({"scheme": "API_KEY", "inject": {"headers": {header: "{{ cred.api_key }}"}}})
            }
            _ => continue,
        });
    }
    if schemes.is_empty() {
        schemes.push(json!({"scheme": "NO_AUTH"}));
    }
    schemes
}

fn tool(value: &Value, name: &str, at: &str, slugs: &mut Slugs, report: &mut Report) -> Value {
    let plain = slug::upper_snake(&slug::words(name));
    let plain = if plain.is_empty() { "TOOL".to_owned() } else { plain };
    let (slug, is_plain) = slugs.take(&plain, &[], name);
    if !is_plain {
        report.renamed(at, &plain, &slug, "the name was taken, or is too long");
    }
    let said = |text: Option<&Value>, most: usize| {
        let text = text.and_then(Value::as_str).map(|text| text::clean(text, most));
        text.filter(|text| !text.is_empty())
    };
    let title = said(value.get("title"), text::NAME)
        .or_else(|| said(value.pointer("/annotations/title"), text::NAME))
        .unwrap_or_else(|| slug::title(&slug::words(name)));
    let title = if title.is_empty() { slug.clone() } else { title };
    let description = said(value.get("description"), text::TOOL);
    let mut tool = json!({
        "slug": slug,
        "name": title,
        "description": description.unwrap_or_else(|| format!("{title}.")),
        "hints": hints(value, &plain),
        "origin": text::clean(name, text::ARGUMENT),
        "params": params(value, at, report),
        "mcp": {"tool": name},
    });
    if let Some(output) = value.get("outputSchema") {
        let resolve = |reference: &str| within(output, reference);
        let converter = Converter::new(&resolve);
        let at = format!("{at}/outputSchema");
        let mut schema = converter.convert_within(output, &at, Use::Output, MOST_ANSWER).schema;
        if let Some(Value::Object(properties)) = schema.remove("properties")
            && !properties.is_empty()
        {
            tool["response"] = json!({"schema": properties});
        }
    }
    tool
}

/// What a reference within a schema means.
fn within<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if let Some(found) = root.pointer(pointer) {
        return Some(found);
    }
    root.pointer(&percent_encoding::percent_decode_str(pointer).decode_utf8_lossy())
}

fn params(value: &Value, at: &str, report: &mut Report) -> Map<String, Value> {
    let Some(input) = value.get("inputSchema") else { return Map::new() };
    let resolve = |reference: &str| within(input, reference);
    let converter = Converter::new(&resolve);
    let at = format!("{at}/inputSchema");
    let converted = converter.convert_within(input, &at, Use::Input, MOST_BYTES);
    for (at, what) in converted.repairs {
        report.repaired(&at, what);
    }
    let mut schema = converted.schema;
    let required: HashSet<String> = match schema.remove("required_properties") {
        Some(Value::Array(names)) => {
            names.into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
        }
        _ => HashSet::new(),
    };
    let Some(Value::Object(properties)) = schema.remove("properties") else { return Map::new() };
    let mut params = Map::new();
    for (wire, value) in properties {
        let Value::Object(mut fields) = value else { continue };
        let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let clean: String = wire.chars().map(|c| if good(c) { c } else { '_' }).take(60).collect();
        let clean = if clean.is_empty() { "value".to_owned() } else { clean };
        let mut name = clean.clone();
        let mut number = 2;
        while params.contains_key(&name) {
            name = format!("{clean}_{number}");
            number += 1;
        }
        if name != wire {
            report.renamed(
                &at,
                &text::clean(&wire, text::NAME),
                &name,
                "models take no other characters",
            );
            fields.insert("wire".to_owned(), wire.clone().into());
        }
        if required.contains(&wire) {
            fields.insert("required".to_owned(), true.into());
        }
        fields.entry("description").or_insert_with(|| {
            let words = slug::title(&slug::words(&wire));
            if words.is_empty() { "A value.".into() } else { format!("{words}.").into() }
        });
        params.insert(name, fields.into());
    }
    params
}

/// What the server says of the tool. A server that says nothing may do anything; the name is a hint.
fn hints(value: &Value, name: &str) -> Value {
    let says = |key: &str| value.pointer(&format!("/annotations/{key}")).and_then(Value::as_bool);
    let words: Vec<&str> = name.split('_').collect();
    let any = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let read_only = says("readOnlyHint").unwrap_or(false);
    let destructive = match says("destructiveHint") {
        Some(destructive) => destructive && !read_only,
        None => !read_only && any(&["DELETE", "REMOVE", "REVOKE", "DESTROY", "DROP", "PURGE"]),
    };
    let mut hints = Map::new();
    for (key, set) in [
        ("read_only", read_only),
        ("destructive", destructive),
        ("idempotent", says("idempotentHint").unwrap_or(false)),
        ("create", !read_only && any(&["CREATE", "ADD", "INSERT"])),
        ("update", !read_only && any(&["UPDATE", "EDIT", "SET"])),
    ] {
        if set {
            hints.insert(key.to_owned(), true.into());
        }
    }
    hints.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options() -> Options {
        Options { slug: Some("every".into()), version: "20261101_00".into(), ..Options::default() }
    }

    fn listing(tools: Value) -> Value {
        json!({"mcp": {"url": "https://mcp.example.com/mcp"}, "tools": tools,
               "serverInfo": {"name": "a-server", "version": "1"}})
    }

    #[test]
    fn tools_keep_their_names_on_the_wire_and_say_what_they_do() {
        let list = listing(json!([
            {"name": "getTinyImage", "description": "An image\u{202e}.", "annotations": {"readOnlyHint": true}},
            {"name": "get-tiny-image"},
            {"name": "delete", "inputSchema": {"type": "object", "required": ["a b"],
                "properties": {"a b": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "integer"}}}},
            {"name": "delete"}, {"name": ""}, {}, 1,
        ]));
        let (definition, report) = import(&list, &options(), &|_, _| {}).unwrap();
        let slugs: Vec<&str> =
            definition.tools.iter().map(|t| t["slug"].as_str().unwrap()).collect();
        assert_eq!(slugs, ["EVERY_GET_TINY_IMAGE", "EVERY_GET_TINY_IMAGE_2", "EVERY_DELETE"]);
        assert_eq!(definition.tools[0]["mcp"], json!({"tool": "getTinyImage"}));
        assert_eq!(definition.tools[0]["hints"], json!({"read_only": true}));
        assert_eq!(definition.tools[0]["description"], "An image.");
        let argument = &definition.tools[2]["params"]["a_b"];
        assert_eq!((&argument["type"], &argument["wire"]), (&json!("integer"), &json!("a b")));
        assert_eq!(argument["required"], true);
        assert_eq!(definition.tools[2]["hints"], json!({"destructive": true}));
        assert_eq!(report.left_out.len(), 4);
        assert_eq!(definition.toolkit["auth"], json!([{"scheme": "NO_AUTH"}]));
    }

    #[test]
    fn the_ways_to_connect_are_those_that_were_found() {
        let mut list = listing(json!([]));
        list["mcp"]["auth"] = json!(["DCR_OAUTH", "API_KEY", "BEARER_TOKEN", "SAML"]);
        list["mcp"]["header"] = json!("X-Key\r\nX: y");
        let (definition, report) = import(&list, &options(), &|_, _| {}).unwrap();
        let expected = json!([
            {"scheme": "DCR_OAUTH"},
            {"scheme": "API_KEY", "inject": {"headers": {"X-API-Key": "{{ cred.api_key }}"}}},
            {"scheme": "BEARER_TOKEN"},
        ]);
        assert_eq!(definition.toolkit["auth"], expected);
        assert!(report.notes[0].contains("credentials"));
        for bad in ["file:///etc/passwd", "https://a:b@c/", "https://a/?k=v", ""] {
            list["mcp"]["url"] = json!(bad);
            let options = Options { base_url: Some(bad.into()), ..options() };
            assert!(import(&list, &options, &|_, _| {}).is_err(), "{bad}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            "[a-z#$/]{0,8}".prop_map(Value::from),
            Just(json!("#")),
            Just(json!("#/inputSchema")),
            Just(json!("object")),
            any::<i32>().prop_map(Value::from),
        ];
        let keys = prop::sample::select(vec![
            "name",
            "inputSchema",
            "properties",
            "type",
            "$ref",
            "required",
            "items",
            "anyOf",
            "allOf",
            "x",
            "annotations",
            "outputSchema",
            "enum",
            "$defs",
        ]);
        leaf.prop_recursive(5, 60, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(keys.clone(), inner, 0..6)
                    .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn nothing_that_a_server_lists_makes_it_panic(
            tools in prop::collection::vec((value(), value()), 0..4),
        ) {
            let tools = tools.into_iter().map(|(a, b)| json!({"name": "a", "inputSchema": a, "outputSchema": b}));
            let list = listing(tools.collect());
            let (definition, _) = import(&list, &options(), &|_, _| {}).unwrap();
            prop_assert!(definition.tools.len() <= 1);
        }
    }
}
