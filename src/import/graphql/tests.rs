use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SDL: &str = r#"
"""
The shop.
"""
schema { query: Root mutation: Change subscription: News }

type Root {
  "One thing, by its id."
  thing(id: ID!, "How many" first: Int = 10): Thing
  things(filter: ThingFilter, kinds: [Kind!]!): ThingConnection!
  search(text: String!): [Found!]
  node(id: ID!): Node
  count: Int! @deprecated(reason: "Use things.")
  now: DateTime
}

extend type Root { later(at: Blob): Boolean }

type Change {
  createThing(input: CreateThingInput!): CreateThingPayload
  deleteThing(id: ID!): Boolean
}
type News { changed: Thing }

interface Node { id: ID! }
type Thing implements Node {
  id: ID!
  name: String!
  old: String @deprecated
  price(currency: String!): Float
  owner: Person
  state: ThingState
  parts(first: Int): ThingConnection!
}
enum ThingState { OPEN CLOSED }
enum Kind { A B }
type Person implements Node { id: ID! name: String friends: [Person] state: PersonState bestFriend: Person }
enum PersonState { HERE }
union Found = Thing | Person
type ThingConnection { nodes: [Thing] edges: [Edge] pageInfo: PageInfo! totalCount: Int! }
type Edge { cursor: String node: Thing }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type CreateThingPayload { success: Boolean! thing: Thing }
scalar DateTime
scalar Blob
input CreateThingInput { name: String! state: ThingState = OPEN parent: ParentInput tags: [String!] }
input ParentInput { id: ID! more: ThingFilter }
input ThingFilter { and: [ThingFilter!] name: String }
"#;

fn options() -> Options {
    Options {
        slug: Some("shop".into()),
        base_url: Some("https://shop.example.com/graphql?v=2".into()),
        version: "20261101_00".into(),
        ..Options::default()
    }
}

fn tool<'a>(tools: &'a [Value], slug: &str) -> &'a Value {
    tools.iter().find(|tool| tool["slug"] == slug).unwrap_or_else(|| panic!("{slug}: {tools:#?}"))
}

fn query<'a>(tools: &'a [Value], slug: &str) -> &'a str {
    tool(tools, slug)["request"]["graphql"]["query"].as_str().unwrap()
}

#[test]
fn every_field_of_query_and_mutation_becomes_a_tool() {
    let (definition, report) = import_sdl(SDL, &options(), &|_, _| {}).unwrap();
    let slugs: Vec<&str> = definition.tools.iter().map(|t| t["slug"].as_str().unwrap()).collect();
    assert_eq!(
        slugs,
        [
            "SHOP_THING",
            "SHOP_THINGS",
            "SHOP_SEARCH",
            "SHOP_NODE",
            "SHOP_COUNT",
            "SHOP_NOW",
            "SHOP_LATER",
            "SHOP_CREATE_THING",
            "SHOP_DELETE_THING",
            "SHOP_RUN_QUERY_OR_MUTATION",
        ]
    );
    assert_eq!((report.operations, report.tools), (10, 10));
    assert_eq!(report.left_out.len(), 1);
    assert_eq!(report.left_out[0].at, "News.changed");
    let tools = &definition.tools;
    assert_eq!(tool(tools, "SHOP_COUNT")["deprecated"], "Use things.");
    assert_eq!(tool(tools, "SHOP_THING")["description"], "One thing, by its id.");
    assert_eq!(tool(tools, "SHOP_DELETE_THING")["hints"], json!({"destructive": true}));
    assert_eq!(definition.toolkit["base_url"], "https://shop.example.com");
    assert_eq!(tool(tools, "SHOP_NOW")["request"]["path"], "/graphql");
    assert_eq!(tool(tools, "SHOP_NOW")["request"]["query"], json!({"v": "2"}));
}

#[test]
fn selections_hold_scalars_of_two_levels_pages_and_fragments() {
    let (definition, _) = import_sdl(SDL, &options(), &|_, _| {}).unwrap();
    let tools = &definition.tools;
    assert_eq!(
        query(tools, "SHOP_THING"),
        "query thing($id: ID!, $first: Int) { thing(id: $id, first: $first) \
         { id name owner { id name state } state } }"
    );
    assert_eq!(
        query(tools, "SHOP_THINGS"),
        "query things($filter: ThingFilter, $kinds: [Kind!]!) \
         { things(filter: $filter, kinds: $kinds) \
         { totalCount nodes { id name owner { id name state } state } \
         pageInfo { hasNextPage endCursor } } }"
    );
    // Two fields of one name and different types cannot stand side by side.
    assert_eq!(
        query(tools, "SHOP_SEARCH"),
        "query search($text: String!) { search(text: $text) { __typename \
         ... on Thing { id name state } \
         ... on Person { id Person_name: name Person_state: state } } }"
    );
    assert_eq!(
        query(tools, "SHOP_NODE"),
        "query node($id: ID!) { node(id: $id) { __typename id ... on Thing { name state } \
         ... on Person { Person_name: name Person_state: state } } }"
    );
    assert_eq!(query(tools, "SHOP_NOW"), "query now { now }");
    assert_eq!(
        query(tools, "SHOP_CREATE_THING"),
        "mutation createThing($input: CreateThingInput!) { createThing(input: $input) \
         { success thing { id name state } } }"
    );
}

#[test]
fn arguments_have_one_type_and_bounded_depth() {
    let (definition, report) = import_sdl(SDL, &options(), &|_, _| {}).unwrap();
    let tools = &definition.tools;
    let first = &tool(tools, "SHOP_THING")["params"]["first"];
    assert_eq!(
        *first,
        json!({"type": "integer", "description": "How many Without it: 10.", "nullable": true})
    );
    let kinds = &tool(tools, "SHOP_THINGS")["params"]["kinds"];
    assert_eq!(kinds["items"], json!({"type": "string", "enum": ["A", "B"]}));
    assert_eq!(kinds["required"], true);
    let input = &tool(tools, "SHOP_CREATE_THING")["params"]["input"];
    assert_eq!(input["required_properties"], json!(["name"]));
    assert_eq!(input["properties"]["state"]["enum"], json!(["OPEN", "CLOSED"]));
    let filter = &input["properties"]["parent"]["properties"]["more"];
    assert_eq!(filter["properties"]["and"]["items"]["additional_properties"], true);
    assert!(report.repaired.iter().any(|r| r.at == "Change.createThing"));
    let blob = &tool(tools, "SHOP_LATER")["params"]["at"];
    assert_eq!(blob["also"], json!(["number", "boolean", "object", "array"]));
}

#[test]
fn a_broken_schema_is_told_with_its_line() {
    let broken = "type Query {\n  a: Int\n  b(: Int\n}\n";
    let failure = import_sdl(broken, &options(), &|_, _| {}).unwrap_err();
    assert_eq!(failure.at.split(',').next(), Some("line 3"), "{failure}");
    assert!(failure.problem.contains("SDL"), "{failure}");
    let nothing = import_sdl("type A { b: Int }", &options(), &|_, _| {}).unwrap_err();
    assert!(nothing.problem.contains("neither a query nor a mutation"));
    let nowhere = Options { base_url: None, ..options() };
    let failure = import_sdl(SDL, &nowhere, &|_, _| {}).unwrap_err();
    assert!(failure.problem.contains("base_url"));
}

#[test]
fn sdl_is_told_from_yaml_and_json() {
    for text in [
        SDL,
        "type Query { a: Int }",
        "# comment\n\nscalar A\n",
        "schema{query: A}",
        "\"\"\"\nAbout\n\"\"\"\ntype Query { a: Int }",
        "extend type A { b: C }",
    ] {
        assert!(is_sdl(text), "{text}");
    }
    for text in ["{\"openapi\": 1}", "openapi: 3.0.0\n", "type: object\n", "\"a\"", "", "input : 1"]
    {
        assert!(!is_sdl(text), "{text}");
    }
}

#[test]
fn introspection_gives_what_sdl_gives() {
    let document = json!({"data": {"__schema": {
        "queryType": {"name": "Q"}, "mutationType": null,
        "types": [
            {"kind": "OBJECT", "name": "Q", "fields": [{
                "name": "thing", "isDeprecated": false,
                "args": [{"name": "id", "type": {"kind": "NON_NULL", "ofType": {"kind": "SCALAR", "name": "ID"}}}],
                "type": {"kind": "LIST", "ofType": {"kind": "OBJECT", "name": "T"}}}]},
            {"kind": "OBJECT", "name": "T", "fields": [
                {"name": "a", "args": [], "type": {"kind": "SCALAR", "name": "Int"}}]},
            {"kind": "OBJECT", "name": "evil { x } }", "fields": []},
            null, 1,
        ],
    }}});
    let (definition, report) = import_introspection(&document, &options(), &|_, _| {}).unwrap();
    assert_eq!(
        query(&definition.tools, "SHOP_THING"),
        "query thing($id: ID!) { thing(id: $id) { a } }"
    );
    assert_eq!(report.tools, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_it_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "type", "Query", "{", "}", "(", ")", ":", "Int", "!", "[", "]", "input", "enum", "union",
            "=", "|", "interface", "implements", "&", "extend", "schema", "query", "a", "b", "\"x\"",
            "\"\"\"y\"\"\"", "@deprecated", "\n", "#", "1", "$", "\u{e9}", "\"", "...",
        ]), 0..60),
    ) {
        let text = words.join(" ");
        let _ = is_sdl(&text);
        let _ = import_sdl(&text, &options(), &|_, _| {});
        let _ = import_sdl(&format!("type Query {{ a: Int }} {text}"), &options(), &|_, _| {});
    }
}

#[test]
fn a_schema_that_contains_itself_everywhere_ends() {
    let mut text = String::from("type Query {");
    for i in 0..60 {
        text.push_str(&format!(" f{i}(a: In{i}): T{i}"));
    }
    text.push_str(" }\n");
    for i in 0..60 {
        let all = |kind: &str| -> String { (0..60).map(|j| format!(" x{j}: {kind}{j}")).collect() };
        text.push_str(&format!("type T{i} {{{} }}\ninput In{i} {{{} }}\n", all("T"), all("In")));
    }
    let (definition, _) = import_sdl(&text, &options(), &|_, _| {}).unwrap();
    assert_eq!(definition.tools.len(), 61);
    for tool in &definition.tools {
        assert!(tool.to_string().len() < 100_000);
    }
    let deep = format!("type Query {{ a: {}Int{} }}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(import_sdl(&deep, &options(), &|_, _| {}).is_err());
}
