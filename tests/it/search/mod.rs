//! Finding tools of the built-in catalogue by what somebody wants to do.

mod meaning;
mod plans;

use std::sync::{Arc, LazyLock};

use patchbay::catalog::Catalogs;
use patchbay::config::Providers;
use patchbay::search::{Doc, Search, Searcher};

static SEARCH: LazyLock<Searcher> = LazyLock::new(|| {
    let catalogs = Catalogs::load(None, &Providers::default()).unwrap_or_else(|e| panic!("{e}"));
    Search::new(Arc::new(catalogs)).server()
});

fn found(text: &str, count: usize) -> Vec<&'static str> {
    let query = SEARCH.query(text);
    let found = SEARCH.find(&query, count, |_, _| true);
    found.iter().map(|found| found.tool.slug()).collect()
}

#[test]
fn words_of_the_same_meaning_find_the_same_tool() {
    for text in ["create a github issue", "make an issue on GitHub", "add new issues in github"] {
        let first = found(text, 3);
        assert!(first.contains(&"GITHUB_CREATE_AN_ISSUE"), "{text}: {first:?}");
    }
    for text in ["merge a pull request", "merge the PR"] {
        assert_eq!(found(text, 1), ["GITHUB_MERGE_A_PULL_REQUEST"], "{text}");
    }
    for text in ["send an email", "send mail", "email somebody"] {
        assert!(found(text, 3).contains(&"GMAIL_SEND_EMAIL"), "{text}: {:?}", found(text, 5));
    }
}

#[test]
fn a_toolkit_that_is_named_goes_first() {
    for (text, toolkit) in [
        ("create an issue in linear", "LINEAR_"),
        ("create an issue in jira", "JIRA_"),
        ("send a message with slack", "SLACK_"),
        ("find an event in my google calendar", "GOOGLECALENDAR_"),
        ("find an event in my googlecalendar", "GOOGLECALENDAR_"),
    ] {
        let found = found(text, 5);
        assert!(found.iter().all(|slug| slug.starts_with(toolkit)), "{text}: {found:?}");
    }
}

#[test]
fn slips_of_the_finger_are_forgiven() {
    let found = found("crate an isue in githb", 5);
    assert!(found.contains(&"GITHUB_CREATE_AN_ISSUE"), "{found:?}");
}

#[test]
fn what_is_not_allowed_takes_no_place_and_changes_no_score() {
    let query = SEARCH.query("create an issue");
    let all = SEARCH.find(&query, 200, |_, _| true);
    let some = SEARCH.find(&query, 5, |toolkit, _| toolkit.slug() == "jira");
    let expected: Vec<_> = all.iter().filter(|f| f.toolkit.slug() == "jira").take(5).collect();
    assert_eq!(some.len(), 5);
    for (one, other) in some.iter().zip(expected) {
        assert_eq!((one.tool.slug(), one.score), (other.tool.slug(), other.score));
    }
    assert!(SEARCH.find(&query, 5, |_, _| false).is_empty());
}

#[test]
fn queries_that_mean_nothing_find_nothing() {
    for text in ["", "   ", "the of and", "zzzzqqqq", "\u{0}\u{1}", "!!!", "🦀", "1234"] {
        assert!(found(text, 5).is_empty(), "{text:?}: {:?}", found(text, 5));
    }
    let long = "create issue ".repeat(100_000);
    assert!(!found(&long, 5).is_empty());
    let endless = "x".repeat(1_000_000);
    assert!(found(&endless, 5).is_empty());
    assert!(!found("créer une issue: İstanbul ß ﬁ", 5).is_empty());
}

#[test]
fn tools_outside_of_the_catalogue_are_measured_on_its_scale() {
    let query = SEARCH.query("look up the weather on zorblax");
    let doc = Doc {
        slug: "LOCAL_ZORBLAX_WEATHER",
        name: "Zorblax weather",
        description: "Tells the weather on Zorblax.",
        ..Doc::default()
    };
    let own = SEARCH.score(&query, &doc).unwrap();
    let best = SEARCH.find(&query, 1, |_, _| true);
    assert!(best.first().is_none_or(|best| best.score < own.score), "{best:?} {own:?}");
    let other = Doc { slug: "LOCAL_GREP", name: "Grep", description: "Greps.", ..Doc::default() };
    assert!(SEARCH.score(&query, &other).is_none());
}
