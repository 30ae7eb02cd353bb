//! Requests of the built-in tools, rendered.

use patchbay::catalog::{Catalog, Scope, Tool, Toolkit};
use patchbay::domain::outbound::{OutboundBody, OutboundRequest};
use serde_json::{Map, Value, json};

use super::built_in;
use super::samples::{arguments, connection, files};

/// Renders every request of a tool with answers that have nothing in them.
fn render_all(toolkit: &Toolkit, tool: &Tool, args: &Map<String, Value>) -> Vec<OutboundRequest> {
    let conn = connection(toolkit);
    let files = files(tool, args);
    let mut args = args.clone();
    tool.put_files(&mut args, &files).unwrap();
    let args = &args;
    let mut scope = Scope { args, conn, steps: Map::new(), item: None };
    let mut requests = Vec::new();
    for (i, step) in tool.steps().iter().enumerate() {
        if !tool.when(i, &scope).unwrap() {
            scope.steps.insert(step.id.clone(), Value::Null);
            continue;
        }
        let listed = tool.for_each(i, &scope).unwrap();
        assert_eq!(listed.is_some(), step.repeats());
        if step.repeats() {
            let path = &tool.def.steps[i].request.path;
            let named = path.split("{item.").skip(1).filter_map(|rest| rest.split('}').next());
            let fields: Map<String, Value> =
                named.chain(["id"]).map(|name| (name.to_owned(), json!("x7"))).collect();
            scope.item = Some(if path.contains("{item}") { json!(7) } else { fields.into() });
        }
        let request = tool
            .render_with(toolkit, i, &scope, &files)
            .unwrap_or_else(|e| panic!("{} step {i}: {e}", tool.slug()));
        scope.item = None;
        // The rankings of Hacker News are plain lists.
        let list = step.repeats() || step.id == "ranked";
        scope.steps.insert(step.id.clone(), if list { json!([]) } else { json!({}) });
        requests.push(request);
    }
    if !tool.def.steps.is_empty() {
        tool.result(&scope).unwrap_or_else(|e| panic!("{} result: {e}", tool.slug()));
    }
    requests
}

fn checked(tool: &Tool, args: Map<String, Value>) -> Map<String, Value> {
    tool.check_arguments(args).unwrap_or_else(|e| panic!("{}: {e:?}", tool.slug()))
}

fn one(catalog: &Catalog, slug: &str, args: Value) -> OutboundRequest {
    let (toolkit, tool) = catalog.tool(slug).unwrap();
    let tool = tool.open().unwrap();
    let args = checked(&tool, args.as_object().unwrap().clone());
    render_all(toolkit, &tool, &args).pop().unwrap()
}

#[test]
fn every_tool_renders_with_all_and_with_few_arguments() {
    let catalog = built_in();
    let mut failures = Vec::new();
    for toolkit in catalog.toolkits() {
        let conn = connection(toolkit);
        for tool in &toolkit.tools {
            let tool = tool.open().unwrap();
            for all in [false, true] {
                let args = match tool.check_arguments(arguments(&tool, all)) {
                    Ok(args) => args,
                    Err(e) => {
                        failures.push(format!("{} (all: {all}): {}", tool.slug(), e.join("; ")));
                        continue;
                    }
                };
                for request in render_all(toolkit, &tool, &args) {
                    assert!(toolkit.allows_host(&conn, &request.url), "{}", tool.slug());
                    let text = request.url.as_str();
                    assert!(!text.contains("{{") && !text.contains("/../"), "{text}");
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_post_sends_its_arguments_as_json() {
    let request = one(
        &built_in(),
        "GITHUB_CREATE_AN_ISSUE",
        json!({"owner": "acme", "repo": "site", "title": "Broken", "labels": "bug"}),
    );
    assert_eq!(request.url.as_str(), "https://api.github.com/repos/acme/site/issues");
    let OutboundBody::Json(body) = request.body else { panic!() };
    assert_eq!(body, json!({"title": "Broken", "labels": ["bug"]}));
}

#[test]
fn a_form_nests_keys_in_brackets() {
    let request = one(
        &built_in(),
        "STRIPE_CREATE_PAYMENT_INTENT",
        json!({"amount": "2000", "currency": "usd", "metadata": {"order": 7},
               "payment_method_types": ["card"]}),
    );
    let OutboundBody::Form(pairs) = request.body else { panic!() };
    let has = |name: &str, value: &str| pairs.iter().any(|(n, v)| n == name && v == value);
    assert!(has("amount", "2000") && has("metadata[order]", "7"), "{pairs:?}");
    assert!(has("payment_method_types[0]", "card"), "{pairs:?}");
}

#[test]
fn a_query_tree_leaves_out_what_is_none() {
    let request =
        one(&built_in(), "STRIPE_LIST_CHARGES", json!({"created": {"gte": 1}, "limit": 3}));
    let pairs: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    assert_eq!(
        pairs,
        [("created[gte]".into(), "1".into()), ("limit".into(), "3".into())]
            as [(String, String); 2]
    );
}

#[test]
fn mail_goes_out_as_a_message_without_injected_headers() {
    use base64::Engine as _;
    let request = one(
        &built_in(),
        "GMAIL_SEND_EMAIL",
        json!({"recipient_email": "Jané <jane@example.com>", "subject": "Hi\r\nBcc: eve@evil.example",
               "body": "Hello ä\r\nX: y", "cc": ["a@example.com", "b@example.com"]}),
    );
    let OutboundBody::Json(body) = request.body else { panic!() };
    let raw = body["raw"].as_str().unwrap();
    let message = base64::engine::general_purpose::URL_SAFE.decode(raw).unwrap();
    let message = String::from_utf8(message).unwrap();
    let (head, text) = message.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("\r\nBcc"), "{head}");
    assert!(head.contains("Subject: Hi  Bcc: eve@evil.example"), "{head}");
    assert!(head.contains("To: =?UTF-8?B?SmFuw6k=?= <jane@example.com>"), "{head}");
    assert!(head.contains("Cc: a@example.com,\r\n b@example.com"), "{head}");
    let text = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "Hello ä\r\nX: y");
}

#[test]
fn an_address_with_a_line_end_is_refused() {
    let catalog = built_in();
    let (toolkit, tool) = catalog.tool("GMAIL_SEND_EMAIL").unwrap();
    let tool = tool.open().unwrap();
    let args = json!({"recipient_email": "a@example.com\r\nBcc: eve@evil.example", "body": "x"});
    let args = checked(&tool, args.as_object().unwrap().clone());
    let scope = Scope { args: &args, conn: Map::new(), steps: Map::new(), item: None };
    let problem = tool.render(toolkit, 0, &scope).err().unwrap();
    assert!(problem.contains("not an email address"), "{problem}");
}

#[test]
fn a_draft_reply_takes_subject_and_references_of_the_thread() {
    use base64::Engine as _;
    let catalog = built_in();
    let (toolkit, tool) = catalog.tool("GMAIL_CREATE_EMAIL_DRAFT").unwrap();
    let tool = tool.open().unwrap();
    let args =
        checked(&tool, json!({"thread_id": "t1", "body": "ok"}).as_object().unwrap().clone());
    let thread = json!({"messages": [{"payload": {"headers": [
        {"name": "Subject", "value": "Plans"}, {"name": "Message-ID", "value": "<1@example.com>"}]}}]});
    let steps = Map::from_iter([("thread".to_owned(), thread)]);
    let scope = Scope { args: &args, conn: Map::new(), steps, item: None };
    assert!(tool.when(0, &scope).unwrap());
    let OutboundBody::Json(body) = tool.render(toolkit, 1, &scope).unwrap().body else { panic!() };
    assert_eq!(body["message"]["threadId"], "t1");
    let raw = body["message"]["raw"].as_str().unwrap();
    let message = base64::engine::general_purpose::URL_SAFE.decode(raw).unwrap();
    let message = String::from_utf8(message).unwrap();
    assert!(message.contains("Subject: Re: Plans\r\n"), "{message}");
    assert!(message.contains("References: <1@example.com>\r\n"), "{message}");
}

#[test]
fn without_a_thread_the_first_step_is_left_out() {
    let catalog = built_in();
    let (toolkit, tool) = catalog.tool("GMAIL_CREATE_EMAIL_DRAFT").unwrap();
    let tool = tool.open().unwrap();
    let args = checked(&tool, json!({"subject": "S", "body": "ok"}).as_object().unwrap().clone());
    assert_eq!(render_all(toolkit, &tool, &args).len(), 1);
}

#[test]
fn calendar_events_end_half_an_hour_later_in_the_same_offset() {
    let request = one(
        &built_in(),
        "GOOGLECALENDAR_CREATE_EVENT",
        json!({"summary": "S", "start_datetime": "2026-01-31T23:45:00+02:00"}),
    );
    let OutboundBody::Json(body) = request.body else { panic!() };
    assert_eq!(body["end"], json!({"dateTime": "2026-02-01T00:15:00+02:00"}));
}

#[test]
fn a_suffix_may_follow_a_placeholder() {
    let catalog = built_in();
    let urls: Vec<String> = catalog
        .toolkit("serpapi")
        .unwrap()
        .tools
        .iter()
        .map(|tool| tool.open().unwrap())
        .filter(|tool| tool.def.request.as_ref().is_some_and(|r| r.path.contains("}.json")))
        .map(|tool| one(&catalog, tool.slug(), arguments(&tool, false).into()).url.to_string())
        .collect();
    assert!(!urls.is_empty() && urls.iter().all(|url| url.contains(".json")), "{urls:?}");
}

#[test]
fn header_arguments_cannot_bring_further_headers() {
    let catalog = built_in();
    let (toolkit, tool) = catalog
        .toolkits()
        .iter()
        .flat_map(|toolkit| toolkit.tools.iter().map(move |tool| (toolkit, tool.open().unwrap())))
        .find(|(_, tool)| {
            tool.def
                .params
                .0
                .iter()
                .any(|(_, p)| p.location == Some(patchbay::catalog::model::Location::Header))
        })
        .unwrap();
    let mut args = arguments(&tool, false);
    for (name, param) in &tool.def.params.0 {
        if param.location == Some(patchbay::catalog::model::Location::Header) {
            args.insert(name.clone(), "x\r\nAuthorization: y".into());
        }
    }
    let scope = Scope { args: &args, conn: Map::new(), steps: Map::new(), item: None };
    assert!(tool.render(toolkit, 0, &scope).err().unwrap().contains("control character"));
}

#[test]
fn an_argument_cannot_start_a_part_of_its_own() {
    let catalog = built_in();
    for (slug, name) in [("JIRA_ADD_ATTACHMENT", "content"), ("SUPABASE_DEPLOY_FUNCTION", "file")] {
        let (toolkit, tool) = catalog.tool(slug).unwrap();
        let tool = tool.open().unwrap();
        let mut args = checked(&tool, arguments(&tool, false));
        let raw = tool.def.request.as_ref().unwrap().raw.as_ref().unwrap();
        let boundary = raw.content_type.split("boundary=").nth(1).unwrap();
        args.insert(name.into(), format!("x\r\n--{boundary}\r\ny").into());
        let conn = connection(toolkit);
        let scope = Scope { args: &args, conn, steps: Map::new(), item: None };
        let problem = tool.render(toolkit, 0, &scope).err().unwrap();
        assert!(problem.contains("separates the parts"), "{problem}");
    }
    let (_, tool) = catalog.tool("JIRA_ADD_ATTACHMENT").unwrap();
    let tool = tool.open().unwrap();
    let mut args = arguments(&tool, false);
    args.insert("mime_type".into(), "text/plain\r\nX: y".into());
    assert!(tool.check_arguments(args).is_err());
}

#[test]
fn text_of_an_argument_is_no_template() {
    let request = one(
        &built_in(),
        "NOTION_CREATE_DATABASE",
        json!({"parent_id": "p", "title": "{{ args }} \"<&' {% raw %}", "properties": [{"name": "Name", "type": "title"}]}),
    );
    let OutboundBody::Json(body) = request.body else { panic!() };
    assert_eq!(body["title"][0]["text"]["content"], "{{ args }} \"<&' {% raw %}");
}
