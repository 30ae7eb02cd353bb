//! Definitions made of descriptions pass the checks of those written by hand.

use std::path::Path;

use patchbay::import::{Definition, Options, Report, import};

use super::compiled;

fn options(slug: &str) -> Options {
    Options {
        slug: Some(slug.to_owned()),
        base_url: Some("https://api.example.com/graphql".to_owned()),
        version: "20261101_00".to_owned(),
        ..Options::default()
    }
}

/// Number of tools of a definition that compiles.
fn check(definition: &Definition) -> Result<usize, String> {
    let catalog = compiled(definition)?;
    let slug = definition.toolkit["slug"].as_str().unwrap();
    Ok(catalog.toolkit(slug).unwrap().tools.len())
}

fn imported(text: &[u8], slug: &str) -> (Definition, Report) {
    import(text, &options(slug), &|_, _| {}).unwrap_or_else(|e| panic!("{slug}: {e}"))
}

#[test]
fn a_graphql_schema_becomes_a_toolkit_that_loads() {
    let sdl = r#"
        type Query { thing(id: ID!, where: Where, in: [Kind!]): Thing  search(text: String!): [Found] now: Date }
        type Mutation { setThing(input: ThingInput!): Thing }
        input Where { and: [Where!] name: String }
        input ThingInput { name: String! data: JSON when: DateTime big: BigInt any: Odd }
        enum Kind { A B } scalar Date scalar JSON scalar DateTime scalar BigInt scalar Odd
        type Thing { id: ID! name(short: Boolean): String } type Other { id: Int } union Found = Thing | Other
    "#;
    let (definition, report) = imported(sdl.as_bytes(), "things");
    assert_eq!(report.format, "GraphQL SDL");
    assert_eq!(check(&definition), Ok(5));
}

#[test]
fn a_listing_of_an_mcp_server_becomes_a_toolkit_that_loads() {
    let listing = serde_json::json!({
        "mcp": {"url": "https://mcp.example.com/mcp", "auth": ["DCR_OAUTH", "BEARER_TOKEN", "API_KEY"]},
        "tools": [
            {"name": "a/b c", "inputSchema": {"type": "object", "properties": {
                "x y": {"type": ["string", "null"]}, "list": {"type": "array"}, "any": {},
                "of": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"k": {"type": "integer"}}}]},
                "self": {"$ref": "#"},
            }, "required": ["x y", "nothing"]}},
            {"name": "none"},
        ],
    });
    let (mut definition, _) = imported(listing.to_string().as_bytes(), "server");
    definition.toolkit["base_url"] = "https://mcp.example.com/mcp".into();
    definition.toolkit["hosts"] = serde_json::json!(["mcp.example.com"]);
    assert_eq!(check(&definition), Ok(2));
}

/// Google's own documents, where scripts/test has fetched them; each is imported, and a sample is loaded.
#[test]
fn all_discovery_documents_become_toolkits_that_load() {
    let Some(folder) = std::env::var_os("DISCOVERY_DOCUMENTS") else { return };
    let mut files: Vec<_> = std::fs::read_dir(Path::new(&folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter(|path| path.file_name().is_some_and(|name| name != "index.json"))
        .collect();
    files.sort();
    assert!(files.len() > 500, "{} documents", files.len());
    let (mut operations, mut left_out, mut tools) = (0, 0, 0);
    for (i, file) in files.iter().enumerate() {
        let options = Options { slug: Some("g".to_owned()), base_url: None, ..options("g") };
        let text = std::fs::read(file).unwrap();
        let (definition, report) = import(&text, &options, &|_, _| {})
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        operations += report.operations;
        left_out += report.left_out.len();
        tools += report.tools;
        let name = file.file_name().unwrap().to_str().unwrap();
        let ours = ["gmail.v1", "drive.v3", "calendar.v3"].iter().any(|n| name.starts_with(n));
        if i % 20 == 0 || ours {
            check(&definition).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
    }
    println!("{} documents, {operations} methods, {tools} tools, {left_out} left out", files.len());
    assert_eq!(left_out, 0);
}
