//! The fields that toolkits list are the ones that the server then accepts.

use patchbay::catalog::fields::{FieldSpec, config_fields, connect_fields};
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

/// Schemes whose fields the server checks against nobody, or whose login asks a provider: of the
/// latter only what is missing can be tested here.
const OFFLINE: [&str; 5] = ["OAUTH2", "API_KEY", "BEARER_TOKEN", "BASIC", "NO_AUTH"];

fn names(fields: &Value) -> Vec<String> {
    let list = fields.as_array().unwrap();
    list.iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
}

/// A value that a field takes.
fn sample(fields: &[FieldSpec], name: &str) -> Value {
    let field = fields.iter().find(|f| f.is_named(name)).unwrap_or_else(|| panic!("{name}"));
    if let Some(first) = field.choices.first() {
        return first.as_str().into();
    }
    if field.host {
        return "git.acme.example".into();
    }
    let Some(pattern) = &field.pattern else { return "acme".into() };
    // A text that fits, without dots and dashes where no name has them.
    let odd = |text: &str| {
        text.starts_with(['.', '-', '_']) || text.ends_with(['.', '-', '_']) || text.contains("..")
    };
    let texts = string_regex(pattern).unwrap();
    let mut runner = TestRunner::deterministic();
    for _ in 0..2000 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        if !odd(&text) && text.is_ascii() && text.trim() == text {
            return text.into();
        }
    }
    panic!("{name}: nothing fits {pattern}")
}

async fn create(
    client: &TestClient,
    slug: &str,
    scheme: &str,
    credentials: &Value,
) -> (u16, Value) {
    let body = json!({"toolkit": {"slug": slug}, "auth_config": {"type": "use_custom_auth",
        "authScheme": scheme, "credentials": credentials}});
    let answer = client.post("/api/v3/auth_configs", body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn every_scheme_of_every_toolkit_lists_exactly_what_it_accepts() {
    let app = TestApp::new().await;
    let client = app.client();
    let slugs: Vec<String> =
        app.app.catalogs.server().toolkits().iter().map(|t| t.file.slug.clone()).collect();
    let mut tried = 0;
    for slug in &slugs {
        let detail = client.get(&format!("/api/v3/toolkits/{slug}")).await.expect(200);
        for scheme in detail["auth_config_details"].as_array().unwrap() {
            let mode = scheme["mode"].as_str().unwrap();
            let at = format!("{slug} {mode}");
            let form = &scheme["fields"]["auth_config_creation"];
            let catalog = app.app.catalogs.server();
            let toolkit = catalog.toolkit(slug).unwrap();
            let def = toolkit.file.auth.iter().find(|s| s.scheme.as_str() == mode).unwrap();
            let specs = [config_fields(def), connect_fields(def)];
            let required = names(&form["required"]);
            let given: Map<String, Value> =
                required.iter().map(|n| (n.clone(), sample(&specs[0], n))).collect();

            let (status, made) = create(&client, slug, mode, &Value::Object(given.clone())).await;
            assert_eq!(status, 201, "{at}: {made}");
            for name in &required {
                let mut without = given.clone();
                without.remove(name);
                let (status, answer) = create(&client, slug, mode, &Value::Object(without)).await;
                assert_eq!(status, 400, "{at} without {name}: {answer}");
                let errors = answer["error"]["errors"].to_string();
                assert!(errors.contains(&format!("{name}: is required")), "{at}: {errors}");
            }
            let config = made["auth_config"]["id"].as_str().unwrap();
            connect(&client, &at, config, scheme, &specs[1]).await;
            tried += 1;
        }
    }
    assert!(tried >= slugs.len(), "{tried}");
}

async fn connect(client: &TestClient, at: &str, config: &str, scheme: &Value, specs: &[FieldSpec]) {
    let mode = scheme["mode"].as_str().unwrap();
    let form = &scheme["fields"]["connected_account_initiation"];
    let read = client.get(&format!("/api/v3/auth_configs/{config}")).await.expect(200);
    let expected: Vec<String> = names(&read["expected_input_fields"]);
    let listed = [names(&form["required"]), names(&form["optional"])].concat();
    assert_eq!(expected.len(), listed.len(), "{at}: {expected:?} {listed:?}");
    assert!(expected.iter().all(|n| listed.contains(n)), "{at}");
    let required = names(&form["required"]);
    let given: Map<String, Value> =
        required.iter().map(|n| (n.clone(), sample(specs, n))).collect();
    let initiate = async |val: Map<String, Value>| {
        let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u",
            "state": {"authScheme": mode, "val": val}}});
        client.post("/api/v3/connected_accounts", body).await
    };
    // Nothing at all sends a person to the page; one field of several is a mistake.
    if required.len() > 1 {
        for name in &required {
            let mut without = given.clone();
            without.remove(name);
            let answer = initiate(without).await;
            // What needs a browser asks for the rest on its page.
            if mode == "OAUTH2" && answer.status == 201 {
                let url = answer.json()["redirect_url"].to_string();
                assert!(url.contains("/link/"), "{at} without {name}: {url}");
                continue;
            }
            assert_eq!(answer.status, 400, "{at} without {name}: {}", answer.text);
            let errors = answer.json()["error"]["errors"].to_string();
            assert!(errors.contains(&format!("{name}: is required")), "{at}: {errors}");
        }
    }
    if !OFFLINE.contains(&mode) {
        return;
    }
    let answer = initiate(given).await;
    assert_eq!(answer.status, 201, "{at}: {}", answer.text);
    let made = answer.json();
    let by_browser = !made["redirect_url"].is_null();
    assert_eq!(made["status"], if by_browser { "INITIATED" } else { "ACTIVE" }, "{at}: {made}");
}

#[tokio::test]
async fn what_is_not_listed_is_kept_out_of_requests() {
    let app = TestApp::new().await;
    let client = app.client();
    let given = json!({"client_id": "a", "client_secret": "b", "made_up": "c"});
    let (status, made) = create(&client, "linear", "OAUTH2", &given).await;
    assert_eq!(status, 201, "{made}");
    let config = made["auth_config"]["id"].as_str().unwrap();
    let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u",
        "state": {"authScheme": "OAUTH2", "val": {"made_up": "d"}}}});
    let made = client.post("/api/v3/connected_accounts", body).await.expect(201);
    let url = made["redirect_url"].as_str().unwrap();
    assert!(url.starts_with("https://linear.app/oauth/authorize?") && !url.contains("made_up"));
}
