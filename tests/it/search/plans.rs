//! How the tools of the built-in toolkits go together.

use std::collections::BTreeSet;

use patchbay::catalog::Catalog;
use patchbay::config::Providers;
use patchbay::search::plan::{Plan, plan};

fn built_in() -> Catalog {
    Catalog::load(None, &Providers::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn before<'a>(plan: &Plan<'a>) -> Vec<(&'a str, Option<&'a str>)> {
    plan.before.iter().map(|related| (related.tool.slug(), related.gives)).collect()
}

#[test]
fn a_required_id_comes_from_the_tool_that_finds_it() {
    let catalog = built_in();
    for (slug, argument, giver) in [
        ("GITHUB_CREATE_AN_ISSUE_COMMENT", "issue_number", "GITHUB_LIST_REPOSITORY_ISSUES"),
        ("GITHUB_MERGE_A_PULL_REQUEST", "pull_number", "GITHUB_LIST_PULL_REQUESTS"),
        ("LINEAR_CREATE_LINEAR_ISSUE", "team_id", "LINEAR_LIST_LINEAR_TEAMS"),
        ("SLACK_SCHEDULE_MESSAGE", "channel", "SLACK_LIST_CHANNELS"),
    ] {
        let (toolkit, tool) = catalog.tool(slug).unwrap();
        let plan = plan(toolkit, tool, |_| true);
        let found = before(&plan);
        assert!(found.contains(&(giver, Some(argument))), "{slug}: {found:?}");
    }
}

#[test]
fn what_a_definition_says_is_part_of_the_plan() {
    let catalog = built_in();
    let (toolkit, tool) = catalog.tool("GMAIL_SEND_EMAIL").unwrap();
    let plan = plan(toolkit, tool, |_| true);
    assert!(plan.instead.iter().any(|tool| tool.slug() == "GMAIL_CREATE_EMAIL_DRAFT"));
    assert!(plan.pitfalls.iter().any(|text| text.contains("cannot be undone")));
}

#[test]
fn plans_keep_to_what_is_allowed_and_never_name_a_tool_twice_or_itself() {
    let catalog = built_in();
    for toolkit in catalog.toolkits() {
        for tool in &toolkit.tools {
            let plan = plan(toolkit, tool, |other| !other.slug().contains("LIST"));
            let mut seen = BTreeSet::from([tool.slug()]);
            let all = plan.before.iter().map(|related| related.tool);
            for other in all.chain(plan.instead.iter().copied()).chain(plan.after.iter().copied()) {
                assert!(!other.slug().contains("LIST"), "{}", tool.slug());
                assert!(seen.insert(other.slug()), "{}: {}", tool.slug(), other.slug());
            }
        }
    }
}

/// Looking is never said to need a destructive step before.
#[test]
fn what_comes_before_changes_nothing() {
    let catalog = built_in();
    for toolkit in catalog.toolkits() {
        for tool in &toolkit.tools {
            for related in plan(toolkit, tool, |_| true).before {
                let hints = &related.tool.def.hints;
                assert!(!hints.destructive, "{}: {}", tool.slug(), related.tool.slug());
            }
        }
    }
}
