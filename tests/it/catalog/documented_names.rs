//! Names that existing programs call tools by: all of them work.

use serde_json::json;

use super::built_in;

const NAMES: [&str; 45] = [
    "COMPOSIO_SEARCH_DUCK_DUCK_GO_SEARCH",
    "GITHUB_CREATE_AN_ISSUE",
    "GITHUB_CREATE_AN_ISSUE_COMMENT",
    "GITHUB_CREATE_A_COMMIT",
    "GITHUB_CREATE_COMMIT",
    "GITHUB_CREATE_ISSUE",
    "GITHUB_CREATE_PULL_REQUEST",
    "GITHUB_DELETE_BRANCH",
    "GITHUB_DELETE_REPO",
    "GITHUB_GET_ISSUE",
    "GITHUB_GET_ISSUES",
    "GITHUB_GET_OCTOCAT",
    "GITHUB_GET_REPOS",
    "GITHUB_GET_THE_AUTHENTICATED_USER",
    "GITHUB_GET_THE_ZEN_OF_GITHUB",
    "GITHUB_LIST_REPOS",
    "GITHUB_LIST_REPOSITORY_ISSUES",
    "GITHUB_LIST_STARGAZERS",
    "GITHUB_SEARCH_REPOSITORIES",
    "GITHUB_STAR_A_REPOSITORY_FOR_THE_AUTHENTICATED_USER",
    "GITHUB_STAR_REPO",
    "GITHUB_STAR_REPOSITORY",
    "GMAIL_ADD_LABEL_TO_EMAIL",
    "GMAIL_CREATE_EMAIL_DRAFT",
    "GMAIL_CREATE_LABEL",
    "GMAIL_FETCH_EMAILS",
    "GMAIL_FETCH_MESSAGE_BY_MESSAGE_ID",
    "GMAIL_GET_PROFILE",
    "GMAIL_LIST_LABELS",
    "GMAIL_SEARCH_EMAILS",
    "GMAIL_SEND_EMAIL",
    "GOOGLECALENDAR_EVENTS_LIST",
    "HACKERNEWS_GET_LATEST_POSTS",
    "HACKERNEWS_GET_USER",
    "LINEAR_CREATE_LINEAR_ISSUE",
    "NOTION_GET_DATABASE_ITEMS",
    "SLACK_CREATE_A_REMINDER",
    "SLACK_DELETE_MESSAGE",
    "SLACK_FETCH_CONVERSATION_HISTORY",
    "SLACK_LIST_CHANNELS",
    "SLACK_SENDS_A_MESSAGE_TO_A_SLACK_CHANNEL",
    "SLACK_SEND_MESSAGE",
    "SUPABASE_BETA_RUN_SQL_QUERY",
    "SUPABASE_LIST_ALL_PROJECTS",
    "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF",
];

#[test]
fn every_documented_name_is_a_tool() {
    let catalog = built_in();
    let missing: Vec<_> = NAMES.iter().filter(|name| catalog.tool(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_tool_is_looked_up_in_its_exact_case_and_a_toolkit_in_any() {
    let catalog = built_in();
    assert!(catalog.tool("github_create_issue").is_none());
    assert!(catalog.toolkit("GitHub").is_some());
    assert!(catalog.toolkit("nothing").is_none());
}

#[test]
fn a_user_of_hacker_news_is_named_in_both_documented_ways() {
    let catalog = built_in();
    let (_, tool) = catalog.tool("HACKERNEWS_GET_USER").unwrap();
    let tool = tool.open().unwrap();
    for name in ["username", "userId"] {
        let args = json!({name: "pg"}).as_object().unwrap().clone();
        let checked = tool.check_arguments(args).unwrap();
        assert!(checked.values().any(|v| v == "pg"), "{name}");
    }
}

#[test]
fn a_bot_of_slack_has_slacks_own_tools() {
    let catalog = built_in();
    let bot = catalog.toolkit("slackbot").unwrap();
    assert!(bot.tools.len() > 50);
    for tool in &bot.tools {
        let name = tool.slug().replacen("SLACKBOT_", "SLACK_", 1);
        let (_, own) = catalog.tool(&name).unwrap_or_else(|| panic!("{name}"));
        let (tool, own) = (tool.open().unwrap(), own.open().unwrap());
        let schema = tool.input_schema["properties"].to_string().replace("SLACKBOT_", "SLACK_");
        assert_eq!(schema, own.input_schema["properties"].to_string(), "{name}");
    }
}
