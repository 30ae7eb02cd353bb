//! Arguments as models write them.

use patchbay::catalog::Catalog;
use serde_json::{Map, Value, json};

use super::built_in;

fn check(catalog: &Catalog, slug: &str, args: Value) -> Result<Map<String, Value>, Vec<String>> {
    catalog.tool(slug).unwrap().1.open().unwrap().check_arguments(args.as_object().unwrap().clone())
}

#[test]
fn plain_meanings_are_coerced() {
    let catalog = built_in();
    let checked = check(
        &catalog,
        "GITHUB_CREATE_AN_ISSUE",
        json!({"owner": "a", "repo": 5, "title": true, "labels": "[\"bug\", 7]", "milestone": null,
               "unheard_of": 1}),
    )
    .unwrap();
    assert_eq!(checked["repo"], "5");
    assert_eq!(checked["title"], "true");
    assert_eq!(checked["labels"], json!(["bug", "7"]));
    assert!(!checked.contains_key("milestone") && !checked.contains_key("unheard_of"));
    let checked = check(
        &catalog,
        "GMAIL_FETCH_EMAILS",
        json!({"max_results": "5", "ids_only": "TRUE", "label_ids": "INBOX"}),
    )
    .unwrap();
    assert_eq!(checked["max_results"], 5);
    assert_eq!(checked["ids_only"], true);
    assert_eq!(checked["label_ids"], json!(["INBOX"]));
    assert_eq!(checked["user_id"], "me");
    let checked = check(
        &catalog,
        "STRIPE_LIST_CHARGES",
        json!({"created": "{\"gte\": \"12\"}", "limit": 5.0}),
    );
    let checked = checked.unwrap();
    assert_eq!(checked["created"], json!({"gte": 12}));
    assert_eq!(checked["limit"].to_string(), "5");
}

#[test]
fn a_choice_is_taken_in_any_case() {
    let catalog = built_in();
    let args = json!({"owner": "a", "repo": "b", "state": "CLOSED"});
    let checked = check(&catalog, "GITHUB_LIST_REPOSITORY_ISSUES", args).unwrap();
    assert_eq!(checked["state"], "closed");
}

#[test]
fn an_alias_gives_way_to_the_name_itself() {
    let catalog = built_in();
    let args = json!({"to": "b@example.com", "recipient_email": "a@example.com"});
    let checked = check(&catalog, "GMAIL_SEND_EMAIL", args).unwrap();
    assert_eq!(checked["recipient_email"], "a@example.com");
    let args = json!({"to": "b@example.com", "recipient_email": null});
    let checked = check(&catalog, "GMAIL_SEND_EMAIL", args).unwrap();
    assert_eq!(checked["recipient_email"], "b@example.com");
}

#[test]
fn problems_are_told_one_by_one_in_words() {
    let catalog = built_in();
    let mut found = check(
        &catalog,
        "GITHUB_LIST_REPOSITORY_ISSUES",
        json!({"repo": {}, "per_page": 500, "state": "broken", "page": "two"}),
    )
    .unwrap_err();
    found.sort();
    let starts = [
        "`owner` is required: ",
        "`page` must be an integer, got \"two\"",
        "`per_page` must be at most 100, got 500",
        "`repo` must be a string, got {}",
        "`state` must be one of ",
    ];
    assert_eq!(found.len(), starts.len(), "{found:?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn places_inside_a_value_are_named() {
    let catalog = built_in();
    let found =
        check(&catalog, "STRIPE_LIST_CHARGES", json!({"created": {"gte": "soon"}})).unwrap_err();
    assert_eq!(found, ["`created.gte` must be an integer, got \"soon\""]);
    let found = check(
        &catalog,
        "GMAIL_SEND_EMAIL",
        json!({"recipient_email": "a@example.com", "cc": ["b@example.com", {"x": 1}]}),
    )
    .unwrap_err();
    assert_eq!(found, ["`cc[1]` must be a string, got {\"x\":1}"]);
}

#[test]
fn a_hidden_argument_is_what_the_definition_says() {
    let catalog = built_in();
    let hidden = catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools).find_map(|tool| {
        let tool = tool.open().unwrap();
        let (name, param) = tool.def.params.0.iter().find(|(_, param)| param.hidden)?.clone();
        Some((tool, name, param))
    });
    let (tool, name, param) = hidden.unwrap();
    assert!(tool.input_schema["properties"].get(&name).is_none());
    let mut args = super::samples::arguments(&tool, false);
    args.insert(name.clone(), "other".into());
    let checked = tool.check_arguments(args).unwrap();
    assert_eq!(Some(&checked[&name]), param.schema.default.as_ref());
}

#[test]
fn long_values_are_cut_in_messages() {
    let catalog = built_in();
    let args = json!({"owner": "a", "repo": "b", "page": "x".repeat(10_000)});
    let found = check(&catalog, "GITHUB_LIST_REPOSITORY_ISSUES", args).unwrap_err();
    assert!(found[0].chars().count() < 150, "{}", found[0]);
}
