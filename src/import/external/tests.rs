use proptest::prelude::*;
use serde_json::json;

use super::*;

const BASE: &str = "https://shop.example/api/v1/openapi.yaml";

fn at(path: &str) -> Url {
    Url::parse(BASE).unwrap().join(path).unwrap()
}

fn shop(schema: Value) -> Value {
    json!({"openapi": "3.0.0", "paths": {"/a": {"post": {"requestBody": {"content":
        {"application/json": {"schema": schema}}}}}}})
}

fn schema(root: &Value) -> &Value {
    root.pointer("/paths/~1a/post/requestBody/content/application~1json/schema").unwrap()
}

#[test]
fn what_refers_to_others_is_known_by_its_text() {
    for text in [
        r#"{"$ref": "pets.yaml"}"#,
        "$ref: pets.yaml",
        "'$ref' : \"a#/b\"",
        "$ref: '#/a'\n$ref:\n  b",
        "$ref: >-\n  b.yaml",
    ] {
        assert!(is_mentioned(text.as_bytes()), "{text}");
    }
    for text in [r##"{"$ref":"#/a"}"##, "$ref: '#/a'", "ref: a", "$ref: >-\n  #/a", ""] {
        assert!(!is_mentioned(text.as_bytes()), "{text}");
    }
}

#[test]
fn documents_are_found_one_after_the_other_and_relative_to_themselves() {
    let mut root = shop(json!({"$ref": "../schemas/pet.yaml#/Pet"}));
    let mut documents = Documents::of(Some(BASE), None);
    assert_eq!(documents.wanted(&root), [at("../schemas/pet.yaml")]);
    let pet = json!({
        "Pet": {"properties": {"owner": {"$ref": "people/owner.yaml"}, "self": {"$ref": "#/Pet"}}},
        "Unused": {"$ref": "nobody.yaml"},
    });
    documents.add(&at("../schemas/pet.yaml"), Ok(pet));
    assert_eq!(documents.wanted(&root), [at("../schemas/people/owner.yaml")]);
    let owner = json!({"type": "object", "properties": {
        "pet": {"$ref": "../pet.yaml#/Pet"}, "paths": {"$ref": "../../v1/openapi.yaml#/paths"}}});
    documents.add(&at("../schemas/people/owner.yaml"), Ok(owner));
    assert_eq!(documents.wanted(&root), Vec::<Url>::new());
    let bundled = documents.bundle(&mut root);
    assert!(bundled.lost.keys().all(|lost| lost.contains("nobody")), "{:?}", bundled.lost);
    assert_eq!(schema(&root)["$ref"], "#/x-patchbay-documents/1/Pet");
    let pet = root.pointer("/x-patchbay-documents/1/Pet/properties").unwrap();
    assert_eq!(pet["owner"]["$ref"], "#/x-patchbay-documents/0");
    assert_eq!(pet["self"]["$ref"], "#/x-patchbay-documents/1/Pet");
    let owner = root.pointer("/x-patchbay-documents/0/properties").unwrap();
    assert_eq!(owner["pet"]["$ref"], "#/x-patchbay-documents/1/Pet");
    assert_eq!(owner["paths"]["$ref"], "#/paths");
    let place = bundled.place("/x-patchbay-documents/1/Pet/properties").unwrap();
    assert_eq!(place, "../schemas/pet.yaml#/Pet/properties");
}

#[test]
fn data_is_no_reference_and_a_property_may_be_called_as_data_is() {
    let root = shop(json!({
        "example": {"$ref": "a.json"}, "default": {"$ref": "b.json"}, "enum": [{"$ref": "c.json"}],
        "properties": {"example": {"$ref": "d.json"}, "$ref": {"type": "string"}},
    }));
    assert_eq!(Documents::of(Some(BASE), None).wanted(&root), [at("d.json")]);
}

#[test]
fn a_part_may_be_called_as_data_is() {
    let mut root = shop(json!({"$ref": "parts.json#/default"}));
    let mut documents = Documents::of(Some(BASE), None);
    documents.add(&at("parts.json"), Ok(json!({"default": {"items": {"$ref": "more.json"}}})));
    assert_eq!(documents.wanted(&root), [at("more.json")]);
    documents.add(&at("more.json"), Ok(json!({"type": "string"})));
    documents.bundle(&mut root);
    let items = root.pointer("/x-patchbay-documents/1/default/items").unwrap();
    assert_eq!(items["$ref"], "#/x-patchbay-documents/0");
}

#[test]
fn what_cannot_be_had_has_a_reason() {
    let mut root = shop(json!({"anyOf": [
        {"$ref": "https://other.example/x.json#/A"}, {"$ref": "near.json#/Nope"}, {"$ref": "https://"},
    ]}));
    let mut documents = Documents::of(Some(BASE), None);
    documents
        .add(&Url::parse("https://other.example/x.json").unwrap(), Err("on another host".into()));
    documents.add(&at("near.json"), Ok(json!({})));
    let bundled = documents.bundle(&mut root);
    assert_eq!(bundled.lost["https://other.example/x.json#/A"], "on another host");
    assert_eq!(bundled.lost["near.json#/Nope"], "the document has no such part");
    assert_eq!(bundled.lost["https://"], "it is no address");
    assert_eq!(schema(&root)["anyOf"][1]["$ref"], "near.json#/Nope");
}

#[test]
fn a_description_that_is_nowhere_has_neighbours_all_the_same() {
    let root = shop(json!({"$ref": "../common/a b.yaml"}));
    let mut documents = Documents::of(None, Some("main.yaml"));
    let wanted = documents.wanted(&root);
    assert_eq!(documents.name(&wanted[0]), "../common/a%20b.yaml");
    assert_eq!(documents.address("../common/a b.yaml").as_ref(), Some(&wanted[0]));
    documents.add(&wanted[0], Ok(json!({"$ref": "../%7E/main.yaml#/paths"})));
    assert_eq!(documents.wanted(&root).len(), 1);
    assert_eq!(documents.address("main.yaml").as_ref(), Some(documents.base()));
    assert!(documents.address("#/paths").is_none());
}

fn anything() -> impl Strategy<Value = Value> {
    let reference = prop::sample::select(vec![
        "a.json",
        "b.json#/x",
        "a.json#/y",
        "#/x",
        "#",
        "#/paths",
        "c/d.json",
        "../a.json",
        "https://other.example/e.json",
        "openapi.yaml",
        "//",
        "a.json#",
        "%ff.json#/%ff",
        "data:,x",
    ]);
    let leaf = prop_oneof![
        reference.prop_map(|reference| json!({"$ref": reference})),
        Just(json!("text")),
        Just(json!({"$ref": 1})),
    ];
    leaf.prop_recursive(4, 20, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec!["x", "y", "properties", "examples", "paths"]),
                inner,
                0..3
            )
            .prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_refers_to_whatever_it_ends_and_every_reference_is_a_place_or_lost(
        root in anything(),
        others in prop::collection::vec(anything(), 4),
    ) {
        let mut root = json!({"paths": root});
        let mut documents = Documents::of(Some(BASE), None);
        let mut others = others.into_iter();
        for _ in 0..10 {
            let wanted = documents.wanted(&root);
            if wanted.is_empty() {
                break;
            }
            for url in wanted {
                documents.add(&url, others.next().ok_or_else(|| "no more".to_owned()));
            }
        }
        prop_assert!(documents.wanted(&root).is_empty());
        let before = root.clone();
        let known: usize =
            documents.known.values().flatten().map(|value| value.to_string().len()).sum();
        let bundled = documents.bundle(&mut root);
        // It grows by the documents, and by the longer texts of references alone.
        prop_assert!(root.to_string().len() <= 20 * (before.to_string().len() + known + 50));
        let mut wrong = None;
        references(&root["paths"], &mut |reference, _| {
            if !reference.starts_with('#') && !bundled.lost.contains_key(reference) {
                wrong = Some(reference.to_owned());
            }
        });
        prop_assert_eq!(wrong, None);
    }
}
