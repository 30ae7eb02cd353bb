//! Trigger types: what the provider says becomes events.

use patchbay::catalog::trigger::{How, Trigger};
use serde_json::{Map, Value, json};

use super::built_in;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn webhook(trigger: &Trigger) -> &patchbay::catalog::trigger::Webhook {
    match &trigger.how {
        How::Webhook(webhook) => webhook,
        How::Poll(_) => panic!("{} polls", trigger.slug()),
    }
}

#[test]
fn a_push_is_an_event_per_commit() {
    let catalog = built_in();
    let (toolkit, trigger) = catalog.trigger("GITHUB_COMMIT_EVENT").unwrap();
    assert_eq!((toolkit.slug(), trigger.kind()), ("github", "webhook"));
    let args = trigger.check_config(map(json!({"owner": "o", "repo": "r"}))).unwrap();
    assert!(trigger.check_config(map(json!({"owner": "o"}))).is_err());
    let roots = map(json!({
        "headers": {"x-github-event": "push"},
        "body": {"ref": "refs/heads/main", "commits": [
            {"id": "a", "message": "m", "timestamp": "t", "url": "u", "author": {"username": "ann"}},
            {"id": "b", "message": "n", "timestamp": "t", "url": "u", "author": {"name": "Bob"}},
        ]},
    }));
    let found = webhook(trigger).events(trigger, &args, roots).unwrap();
    let told: Vec<(Option<&str>, &Value)> =
        found.iter().map(|f| (f.key.as_deref(), &f.data["author"])).collect();
    assert_eq!(
        told,
        [(Some("a:refs/heads/main"), &json!("ann")), (Some("b:refs/heads/main"), &json!("Bob"))]
    );
    let ping = map(json!({"headers": {"x-github-event": "ping"}, "body": {"zen": "z"}}));
    assert_eq!(webhook(trigger).events(trigger, &args, ping).unwrap(), []);
}
