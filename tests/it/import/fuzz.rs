//! The other formats with anything anywhere, texts with pieces of other texts in them, and what is made to
//! unfold without end.

use std::time::Duration;

use patchbay::import::{self, Options};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::mutated::{Replacement, change, changes, survived, whole};
use super::{compiled, options};

fn discovery() -> Value {
    let schema = json!({"id": "S", "type": "object", "properties": {
        "a": {"type": "string", "enum": ["x", "y"], "readOnly": true},
        "b": {"type": "array", "items": {"$ref": "S"}},
        "c": {"type": "object", "additionalProperties": {"$ref": "S"}},
        "d": {"type": "string", "format": "int64", "annotations": {"required": ["shop.things.insert"]}},
    }});
    json!({
        "discoveryVersion": "v1", "name": "shop", "version": "v1", "title": "Shop", "description": "A shop",
        "rootUrl": "https://shop.io/", "servicePath": "shop/v1/", "batchPath": "batch",
        "parameters": {"fields": {"type": "string", "location": "query"}, "alt": {"type": "string", "location": "query"}},
        "auth": {"oauth2": {"scopes": {"https://shop.io/all": {"description": "All"}}}},
        "schemas": {"S": schema},
        "methods": {"ping": {"id": "shop.ping", "path": "ping", "httpMethod": "GET"}},
        "resources": {"things": {"methods": {
            "get": {"id": "shop.things.get", "path": "things/{thingId}", "httpMethod": "GET", "description": "Gets it",
                "supportsMediaDownload": true, "response": {"$ref": "S"}, "scopes": ["https://shop.io/all"],
                "parameterOrder": ["thingId"], "parameters": {
                    "thingId": {"type": "string", "location": "path", "required": true},
                    "ids": {"type": "string", "repeated": true, "location": "query", "enum": ["a", "b"]}}},
            "insert": {"id": "shop.things.insert", "path": "{+parent}/things", "httpMethod": "POST",
                "request": {"$ref": "S"}, "response": {"$ref": "S"}, "supportsMediaUpload": true,
                "mediaUpload": {"accept": ["*/*"], "maxSize": "5GB", "protocols": {
                    "simple": {"multipart": true, "path": "/upload/shop/v1/things"}}},
                "parameters": {"parent": {"type": "string", "location": "path", "pattern": "^x/[^/]+$"}}},
        }, "resources": {"parts": {"methods": {
            "delete": {"id": "shop.things.parts.delete", "path": "parts/{id}", "httpMethod": "DELETE",
                "parameters": {"id": {"type": "integer", "format": "int32", "location": "path"}}}}}}}},
    })
}

fn introspection() -> Value {
    let scalar = |name: &str| json!({"kind": "SCALAR", "name": name, "ofType": null});
    let object = |name: &str| json!({"kind": "OBJECT", "name": name, "ofType": null});
    let not_null = |inner: Value| json!({"kind": "NON_NULL", "name": null, "ofType": inner});
    let list = |inner: Value| json!({"kind": "LIST", "name": null, "ofType": inner});
    let input = json!({"kind": "INPUT_OBJECT", "name": "Input", "ofType": null});
    let field = |name: &str, args: Value, ty: Value| {
        json!({"name": name, "description": "A field", "args": args, "type": ty,
        "isDeprecated": false, "deprecationReason": null})
    };
    let value = |name: &str, ty: Value| json!({"name": name, "description": null, "type": ty, "defaultValue": null});
    json!({"data": {"__schema": {
        "queryType": {"name": "Query"}, "mutationType": {"name": "Mutation"}, "subscriptionType": null,
        "types": [
            {"kind": "OBJECT", "name": "Query", "fields": [
                field("thing", json!([value("id", not_null(scalar("ID")))]), object("Thing")),
                field("things", json!([value("first", scalar("Int"))]), not_null(list(not_null(object("Thing"))))),
                field("search", json!([]), json!({"kind": "UNION", "name": "Found", "ofType": null})),
            ]},
            {"kind": "OBJECT", "name": "Mutation", "fields": [
                field("setThing", json!([value("input", not_null(input.clone()))]), object("Thing")),
            ]},
            {"kind": "OBJECT", "name": "Thing", "interfaces": [{"name": "Node"}], "fields": [
                field("id", json!([]), not_null(scalar("ID"))), field("next", json!([]), object("Thing")),
                field("kind", json!([]), json!({"kind": "ENUM", "name": "Kind", "ofType": null})),
            ]},
            {"kind": "INTERFACE", "name": "Node", "fields": [field("id", json!([]), scalar("ID"))], "possibleTypes": [{"name": "Thing"}]},
            {"kind": "UNION", "name": "Found", "possibleTypes": [{"name": "Thing"}, {"name": "Nothing"}]},
            {"kind": "ENUM", "name": "Kind", "enumValues": [{"name": "A"}, {"name": "B"}]},
            {"kind": "INPUT_OBJECT", "name": "Input", "inputFields": [
                value("name", not_null(scalar("String"))), value("more", list(input)),
                value("any", scalar("JSON")),
            ]},
        ],
    }}})
}

fn listing() -> Value {
    json!({"mcp": {"url": "https://mcp.shop.io/mcp", "auth": ["DCR_OAUTH", "BEARER_TOKEN"]},
    "serverInfo": {"name": "shop", "title": "Shop", "version": "1"}, "instructions": "Be kind.",
    "tools": [
        {"name": "get-thing", "title": "Get", "description": "Gets it", "annotations": {"readOnlyHint": true, "title": "Get"},
            "inputSchema": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": ["string", "null"], "pattern": "^a+$"}, "of": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/D"}]}},
                "$defs": {"D": {"type": "object", "properties": {"d": {"$ref": "#/$defs/D"}, "n": {"type": "integer", "minimum": 1}}}}},
            "outputSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}, "all": {"type": "array", "items": {"$ref": "#"}}}}},
        {"name": "drop all", "inputSchema": {"type": "object"}},
    ]})
}

const SDL: &str = r#"
"""The shop."""
schema { query: Root mutation: Change }
type Root { thing(id: ID!, first: Int = 10): Thing things(filter: Filter, kinds: [Kind!]!): Page! search(text: String!): [Found!] old: Int @deprecated(reason: "No.") }
extend type Root { later(at: Blob): Boolean }
type Change { create(input: Create!): Thing }
interface Node { id: ID! }
type Thing implements Node { id: ID! name: String! owner: Person price(currency: String!): Float parts(first: Int): Page! }
type Person implements Node { id: ID! friends: [Person] kind: Kind }
union Found = Thing | Person
enum Kind { A B }
type Page { nodes: [Thing] edges: [Edge] pageInfo: Info! }
type Edge { cursor: String node: Thing }
type Info { hasNextPage: Boolean! endCursor: String }
scalar Blob
input Create { name: String! = "x" kind: Kind = A parent: Filter tags: [String!] }
input Filter { and: [Filter!] name: String }
directive @d(a: Int) on FIELD
"#;

const YAML: &str = r##"openapi: 3.0.3
info: &info
  title: Shop
  description: |
    A shop.
    With lines.
servers:
  - url: https://shop.io/v1
x-more: {<<: *info, version: "1"}
paths:
  /things/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
    get: &get
      operationId: getThing
      tags: [a, 'b', "c"]
      responses: {200: {description: Good}}
    post:
      <<: *get
      operationId: setThing
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                n: {type: integer, minimum: 0x10, maximum: 1e3}
                d: {type: string, enum: [yes, no, ~, 2026-01-01, 1_000]}
                t: {$ref: '#/components/schemas/T'}
components:
  schemas:
    T: {type: object, properties: {t: {$ref: '#/components/schemas/T'}}}
"##;

/// Pieces that mean something to one of the readers.
const PIECES: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<<: *get\n",
    "&a ",
    "*a",
    "!!binary ",
    "!t ",
    "- ",
    ": ",
    "? ",
    "|",
    ">-\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "#",
    "\"",
    "\"\"\"",
    "'",
    "\n",
    "\t",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "type ",
    "extend ",
    "input A { a: A! }\n",
    "@d",
    "!",
    "= ",
    "| ",
    "$ref: '#'",
    "9999999999999999999999999999",
    "1e999",
    "-.inf",
    "0x",
    "null",
    "~",
    "é",
    "...on",
];

/// A cut, and what comes in its place: a piece, or another part of the same text.
type Splice = (prop::sample::Index, usize, Result<&'static str, (prop::sample::Index, usize)>);

fn splices() -> impl Strategy<Value = Vec<Splice>> {
    let length = || prop_oneof![3 => 0usize..8, 1 => 0usize..200];
    let piece = prop::sample::select(PIECES.to_vec()).prop_map(Ok);
    let part = (any::<prop::sample::Index>(), length()).prop_map(Err);
    prop::collection::vec(
        (any::<prop::sample::Index>(), length(), prop_oneof![2 => piece, 1 => part]),
        1..6,
    )
}

fn spliced(text: &str, splices: Vec<Splice>) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, length, with) in splices {
        let range = |at: prop::sample::Index, length: usize| {
            let from = at.index(text.len() + 1);
            from..(from + length).min(text.len())
        };
        let with: Vec<char> = match with {
            Ok(piece) => piece.chars().collect(),
            Err((at, length)) => text[range(at, length)].to_vec(),
        };
        let cut = range(at, length);
        text.splice(cut, with);
    }
    text.into_iter().collect()
}

fn changed(mut document: Value, with: Vec<Replacement>) -> String {
    change(&mut document, with);
    document.to_string()
}

// A document that is whole gives many tools, each of which is compiled.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn any_discovery_document_is_survived(with in changes()) {
        survived(changed(discovery(), with).as_bytes())?;
    }

    #[test]
    fn any_introspection_answer_is_survived(with in changes()) {
        survived_at(&changed(introspection(), with))?;
    }

    #[test]
    fn any_listing_of_an_mcp_server_is_survived(with in changes()) {
        survived(changed(listing(), with).as_bytes())?;
    }

    #[test]
    fn a_document_is_the_same_in_yaml(swagger in any::<bool>(), with in changes()) {
        let text = changed(whole(swagger), with);
        // JSON is YAML; the line before keeps it from being read as JSON.
        let yaml = format!("# A description.\n{text}");
        prop_assert_eq!(survived(yaml.as_bytes())?, survived(text.as_bytes())?);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn any_graphql_sdl_is_survived(with in splices()) {
        survived_at(&spliced(SDL, with))?;
    }

    #[test]
    fn any_yaml_is_survived(with in splices()) {
        survived(spliced(YAML, with).as_bytes())?;
    }

    #[test]
    fn any_json_is_survived(swagger in any::<bool>(), with in splices()) {
        survived(spliced(&whole(swagger).to_string(), with).as_bytes())?;
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survived(&bytes)?;
    }

    #[test]
    fn any_text_is_survived(words in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)) {
        survived(words.concat().as_bytes())?;
    }
}

/// With the endpoint that a GraphQL schema does not say.
fn survived_at(text: &str) -> Result<(), TestCaseError> {
    let at = Options { base_url: Some("https://shop.io/graphql".into()), ..options() };
    if let Ok((definition, report)) = import::import(text.as_bytes(), &at, &|_, _| {}) {
        prop_assert_eq!(report.tools, definition.tools.len());
        if let Err(problems) = compiled(&definition) {
            prop_assert!(false, "{}\n{}", problems, text);
        }
    }
    Ok(())
}

#[test]
fn the_untouched_documents_are_imported() {
    for text in [
        whole(false).to_string(),
        whole(true).to_string(),
        discovery().to_string(),
        listing().to_string(),
        YAML.to_owned(),
    ] {
        assert!(survived(text.as_bytes()).unwrap(), "{text}");
    }
    let at = Options { base_url: Some("https://shop.io/graphql".into()), ..options() };
    for (text, tools) in [(SDL.to_owned(), 7), (introspection().to_string(), 5)] {
        let (definition, _) = import::import(text.as_bytes(), &at, &|_, _| {}).unwrap();
        assert_eq!(definition.tools.len(), tools, "{text}");
    }
}

/// What a text of this many bytes may become, in bytes of all definitions together.
const MOST_MADE: usize = 64 * 1024 * 1024;

/// Imports in a thread of its own, so that one that never ends is a failure and not a hanging test.
fn ends(name: &str, text: String) {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let running = thread.spawn(move || {
        let at = Options { base_url: Some("https://shop.io/graphql".into()), ..options() };
        let made = import::import(text.as_bytes(), &at, &|_, _| {});
        let size = made.map(|(definition, _)| {
            definition.tools.iter().map(|tool| tool.to_string().len()).sum::<usize>()
        });
        let _ = tell.send(size.map_err(|e| e.to_string()));
    });
    let size = told.recv_timeout(Duration::from_secs(120));
    let size = size.unwrap_or_else(|e| panic!("{name}: {e}"));
    running.unwrap().join().unwrap();
    if let Ok(size) = size {
        assert!(size < MOST_MADE, "{name}: {size} bytes");
    }
}

#[test]
fn yaml_that_unfolds_is_refused_before_it_fills_the_memory() {
    // One long text, meant ten thousand times: ten gigabytes.
    let long = "x".repeat(1_000_000);
    let many = vec!["*a"; 10_000].join(", ");
    let text = format!("openapi: 3.0.0\na: &a {long}\nb: [{many}]\n");
    assert!(import::document::read(text.as_bytes()).is_err());
    // Shorter texts, among so many anchors that their number says nothing.
    let anchors: String = (0..3_000).map(|i| format!("  - &s{i} x\n")).collect();
    for (length, times) in [(200_000, 100), (20_000, 10_000)] {
        let short = "x".repeat(length);
        let many = vec!["*a"; times].join(", ");
        let text = format!("openapi: 3.0.0\nn:\n{anchors}a: &a {short}\nb: [{many}]\n");
        assert!(import::document::read(text.as_bytes()).is_err(), "{length}");
    }
    // The same by merged keys.
    let mut merged = format!("openapi: 3.0.0\na: &a {{k: {long}}}\nb:\n");
    for i in 0..5_000 {
        merged.push_str(&format!("  k{i}: {{<<: *a}}\n"));
    }
    assert!(import::document::read(merged.as_bytes()).is_err());
}

#[test]
fn what_nests_or_branches_without_end_is_left_out() {
    let deep = 50_000;
    ends("json", format!("{{\"openapi\": {}{}}}", "[".repeat(deep), "]".repeat(deep)));
    ends("yaml", format!("openapi: {}{}", "[".repeat(deep), "]".repeat(deep)));
    ends(
        "yaml blocks",
        (0..2_000).fold(String::new(), |text, i| format!("{text}{}a:\n", " ".repeat(i))),
    );
    ends("types", format!("type Query {{ a: {}Int{} }}", "[".repeat(deep), "]".repeat(deep)));
    ends(
        "default",
        format!("type Query {{ a(b: X = {}{}): Int }}", "[".repeat(deep), "]".repeat(deep)),
    );
    ends("braces", format!("type Query {}", "{ a: ".repeat(deep)));
    // Input objects of input objects, and objects of objects, each of many.
    let fields = |ty: &str| (0..500).map(|i| format!("f{i}: {ty} ")).collect::<String>();
    let calls: String = (0..300).map(|i| format!("q{i}(a: In, b: [In!]): Out ")).collect();
    let text = format!(
        "type Query {{ {calls} }} input In {{ {} }} type Out {{ {} }}",
        fields("In"),
        fields("Out")
    );
    ends("branches", text);
    // Nothing of which can be asked for.
    let none: String = (0..500).map(|i| format!("f{i}(a: Int!): Int ")).collect();
    let text =
        format!("type Query {{ {calls} }} type Out {{ {} }} type No {{ {none} }}", fields("No"));
    ends("nothing to ask for", text);
    let properties: serde_json::Map<String, Value> =
        (0..300).map(|i| (format!("p{i}"), json!({"$ref": "S"}))).collect();
    let mut document = discovery();
    document["schemas"]["S"] = json!({"type": "object", "properties": properties});
    ends("discovery", document.to_string());
    let mut document = listing();
    let properties: serde_json::Map<String, Value> =
        (0..300).map(|i| (format!("p{i}"), json!({"$ref": "#"}))).collect();
    document["tools"][0]["inputSchema"] = json!({"type": "object", "properties": properties});
    document["tools"][0]["outputSchema"] = document["tools"][0]["inputSchema"].clone();
    ends("listing", document.to_string());
}

#[test]
fn numbers_of_any_size_are_survived() {
    for number in
        ["1e400", "-1e400", "1e-400", "123456789012345678901234567890", "-0", "0.1e1", "1E+2"]
    {
        for key in [
            "minimum",
            "maximum",
            "minLength",
            "maxItems",
            "default",
            "multipleOf",
            "minProperties",
        ] {
            let schema = format!("{{\"type\": \"number\", \"{key}\": {number}}}");
            let parameter = format!("{{\"name\": \"n\", \"in\": \"query\", \"schema\": {schema}}}");
            let path = format!("{{\"/a\": {{\"get\": {{\"parameters\": [{parameter}]}}}}}}");
            let text = format!(
                "{{\"openapi\": \"3.0.0\", \"info\": {{\"title\": \"A\"}}, \"servers\": [{{\"url\": \"https://a.io\"}}], \"paths\": {path}}}"
            );
            survived(text.as_bytes()).unwrap();
            survived(format!("# A description.\n{text}").as_bytes()).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_sent_is_left_out_or_sent_as_something_else() {
    let mut document = discovery();
    document["resources"]["things"]["methods"]["insert"]["path"] = "a#b/{+parent}".into();
    assert!(survived(document.to_string().as_bytes()).unwrap());
    let mut document = whole(false);
    document["paths"]["/a/{id}/{n*}?x={y}"]["post"]["requestBody"]["content"] =
        json!({"//h": {"schema": {"type": "string"}}});
    assert!(survived(document.to_string().as_bytes()).unwrap());
}
