//! What trigger types send to the provider, and what they answer it.

use patchbay::catalog::Scope;
use patchbay::catalog::trigger::{How, Kept};
use patchbay::domain::outbound::OutboundBody;
use serde_json::{Map, Value, json};

use super::triggers::{map, webhook};
use super::{built_in, samples};

fn body(body: &OutboundBody) -> String {
    match body {
        OutboundBody::Json(value) => value.to_string(),
        OutboundBody::Form(pairs) => format!("{pairs:?}"),
        _ => String::new(),
    }
}

/// What is sent to set a hook up names the URL, and the requests stay at the provider.
#[test]
fn hooks_are_set_up_and_removed_at_the_provider() {
    let catalog = built_in();
    let hook = json!({
        "url": "https://patchbay.example/hooks/t/p/i/s", "secret": "s3cret", "hook_id": "h1", "subscription_id": "h1",
        "channel_id": "h1", "resource_id": "r1", "webhook_id": "h1", "admin_id": "h1",
    });
    for toolkit in catalog.toolkits() {
        let mut conn = samples::connection(toolkit);
        for trigger in &toolkit.triggers {
            let How::Webhook(webhook) = &trigger.how else { continue };
            let args = trigger.check_config(samples::config(trigger, true)).unwrap();
            for conn in [conn.clone(), {
                conn.remove("cloud_id");
                conn.clone()
            }] {
                for (what, call) in [
                    ("register", &webhook.register),
                    ("renew", &webhook.renew),
                    ("remove", &webhook.remove),
                ] {
                    let Some(call) = call else { continue };
                    let steps = map(json!({"hook": hook, "me": {"id": "m1"}}));
                    let scope = Scope { args: &args, conn: conn.clone(), steps, item: None };
                    let mut sent = String::new();
                    for step in 0..call.tool.steps().len() {
                        if !call.tool.when(step, &scope).unwrap() {
                            continue;
                        }
                        let request = call.tool.render(toolkit, step, &scope);
                        let request =
                            request.unwrap_or_else(|e| panic!("{} {what}: {e}", trigger.slug()));
                        assert!(toolkit.allows_host(&conn, &request.url), "{}", request.url);
                        sent.push_str(&format!("{} {}\n", request.url, body(&request.body)));
                    }
                    let needed = if what == "register" {
                        "https://patchbay.example/hooks/t/p/i/s"
                    } else {
                        ""
                    };
                    assert!(
                        sent.contains(needed) && !sent.is_empty(),
                        "{} {what}: {sent}",
                        trigger.slug()
                    );
                    if what == "remove" {
                        assert!(sent.contains("h1"), "{}: {sent}", trigger.slug());
                    }
                }
            }
        }
    }
}

#[test]
fn polls_ask_with_the_cursor() {
    let catalog = built_in();
    let asked = |slug: &str, args: Value, cursor: Value, answers: Value| {
        let (toolkit, trigger) = catalog.trigger(slug).unwrap();
        let How::Poll(poll) = &trigger.how else { panic!("{slug}") };
        let args = trigger.check_config(map(args)).unwrap();
        let mut steps = map(answers);
        steps.insert("cursor".into(), cursor);
        let scope = Scope { args: &args, conn: Map::new(), steps, item: None };
        let sent = (0..poll.fetch.steps().len()).filter(|i| poll.fetch.when(*i, &scope).unwrap());
        let sent = sent.map(|i| poll.fetch.render(toolkit, i, &scope).unwrap().url);
        let sent = sent.map(|url| {
            percent_encoding::percent_decode_str(url.as_str())
                .decode_utf8()
                .unwrap()
                .replace('+', " ")
        });
        sent.collect::<Vec<String>>().join(" | ")
    };
    for (slug, args, cursor, answers, expected) in [
        (
            "GMAIL_NEW_GMAIL_MESSAGE",
            json!({}),
            json!({"since": 1000}),
            json!({}),
            "messages?q=after:999&labelIds=INBOX&maxResults=500",
        ),
        (
            "GMAIL_NEW_GMAIL_MESSAGE",
            json!({"labelIds": "INBOX,UNREAD", "query": "from:a OR from:b"}),
            json!({"since": 1000, "page": "p"}),
            json!({}),
            "messages?q=after:999 (from:a OR from:b)&labelIds=INBOX&labelIds=UNREAD&maxResults=500&pageToken=p",
        ),
        (
            "GOOGLESUPER_NEW_GMAIL_MESSAGE",
            json!({"labelIds": ""}),
            json!({"since": 1000}),
            json!({}),
            "https://gmail.googleapis.com/gmail/v1/users/me/messages?q=after:999&maxResults=500",
        ),
        (
            "GOOGLEDRIVE_GOOGLE_DRIVE_CHANGES",
            json!({}),
            json!({"first": true}),
            json!({}),
            "/drive/v3/changes/startPageToken?supportsAllDrives=true",
        ),
        (
            "GOOGLESUPER_GOOGLE_DRIVE_CHANGES",
            json!({}),
            json!({"token": "8", "page": "9"}),
            json!({}),
            "/drive/v3/changes?pageToken=9&pageSize=1000",
        ),
        (
            "DISCORD_DISCORD_NEW_MESSAGE_TRIGGER",
            json!({"channel_id": "7"}),
            json!({"first": true}),
            json!({}),
            "/channels/7/messages?limit=1",
        ),
        (
            "DISCORD_DISCORD_NEW_MESSAGE_TRIGGER",
            json!({"channel_id": "7"}),
            json!({"token": "10", "page": "12"}),
            json!({}),
            "/channels/7/messages?limit=50&after=12",
        ),
        (
            "GOOGLESHEETS_NEW_ROWS_TRIGGER",
            json!({"spreadsheet_id": "s", "sheet_name": "Ann's"}),
            json!({"first": true}),
            json!({}),
            "ranges='Ann''s'!A2:ZZZ",
        ),
        (
            "GOOGLESUPER_NEW_ROWS_TRIGGER",
            json!({"spreadsheet_id": "s"}),
            json!({"token": 9}),
            json!({"rest": {"valueRanges": [{}]}}),
            "https://sheets.googleapis.com/v4/spreadsheets/s/values:batchGet?ranges='Sheet1'!A9:ZZZ | https://sheets.googleapis.com/v4/spreadsheets/s/values:batchGet?ranges='Sheet1'!A2:ZZZ",
        ),
    ] {
        let sent = asked(slug, args, cursor, answers);
        assert!(sent.contains(expected), "{slug}: {sent}");
    }
}

#[test]
fn calls_that_are_no_events_are_answered_as_the_providers_ask() {
    let catalog = built_in();
    let greeting = |slug: &str, method: &str, roots: Value| {
        let (_, trigger) = catalog.trigger(slug).unwrap();
        webhook(trigger).greeting(trigger, method, &Map::new(), &map(roots)).unwrap()
    };
    let slack = greeting(
        "SLACK_RECEIVE_MESSAGE",
        "POST",
        json!({"body": {"type": "url_verification", "challenge": "c"}}),
    );
    assert_eq!(slack.unwrap().json, Some(json!({"challenge": "c"})));
    let asana =
        greeting("ASANA_TASK_TRIGGER", "POST", json!({"headers": {"x-hook-secret": "s"}})).unwrap();
    assert_eq!(asana.headers["x-hook-secret"], "s");
    assert_eq!(asana.secrets["hook_secret"], "s");
    let outlook = greeting(
        "OUTLOOK_OUTLOOK_EVENT_TRIGGER",
        "POST",
        json!({"query": {"validationToken": "a b"}}),
    );
    assert_eq!(outlook.unwrap().text.as_deref(), Some("a b"));
    assert_eq!(greeting("TRELLO_TRELLO_NEW_CARD_TRIGGER", "HEAD", json!({})).unwrap().status, 200);
    for (slug, method) in [
        ("SLACK_RECEIVE_MESSAGE", "POST"),
        ("ASANA_TASK_TRIGGER", "POST"),
        ("OUTLOOK_OUTLOOK_EVENT_TRIGGER", "POST"),
        ("TRELLO_TRELLO_NEW_CARD_TRIGGER", "POST"),
    ] {
        assert!(
            greeting(slug, method, json!({"body": {}, "headers": {}, "query": {}})).is_none(),
            "{slug}"
        );
    }
}

#[test]
fn what_the_provider_answers_is_kept() {
    let catalog = built_in();
    for (slug, answers, kept, secret) in [
        ("GITHUB_STAR_ADDED_EVENT", json!({"answer": {"id": 7}}), json!({"hook_id": 7}), json!({})),
        (
            "STRIPE_STRIPE_CHARGE_FAILED_TRIGGER",
            json!({"answer": {"id": "we_1", "secret": "whsec_1"}}),
            json!({"hook_id": "we_1"}),
            json!({"signing_secret": "whsec_1"}),
        ),
        (
            "LINEAR_ISSUE_CREATED_TRIGGER",
            json!({"answer": {"data": {"webhookCreate": {"webhook": {"id": "w"}}}}}),
            json!({"hook_id": "w"}),
            json!({}),
        ),
        (
            "TRELLO_TRELLO_NEW_ACTIVITY_TRIGGER",
            json!({"answer": {"id": "w"}}),
            json!({"hook_id": "w"}),
            json!({}),
        ),
        (
            "JIRA_NEW_ISSUE_TRIGGER",
            json!({"app": {"webhookRegistrationResult": [{"createdWebhookId": 1000}]}}),
            json!({"webhook_id": 1000}),
            json!({}),
        ),
        (
            "JIRA_NEW_ISSUE_TRIGGER",
            json!({"admin": {"self": "https://acme.atlassian.net/rest/webhooks/1.0/webhook/72"}}),
            json!({"admin_id": "72"}),
            json!({}),
        ),
        (
            "GOOGLECALENDAR_GOOGLE_CALENDAR_EVENT_CHANGE_TRIGGER",
            json!({"answer": {"id": "c", "resourceId": "r", "expiration": "1769850000000"}}),
            json!({"channel_id": "c", "resource_id": "r"}),
            json!({}),
        ),
    ] {
        let (_, trigger) = catalog.trigger(slug).unwrap();
        let register = webhook(trigger).register.as_ref().unwrap();
        let scope = Scope { args: &Map::new(), conn: Map::new(), steps: map(answers), item: None };
        let found = Kept::of(map(register.tool.result(&scope).unwrap().unwrap()));
        assert_eq!(Value::Object(found.plain), kept, "{slug}");
        assert_eq!(Value::Object(found.secret), secret, "{slug}");
    }
}
