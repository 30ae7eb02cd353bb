//! Loading: what is refused and how it is told, folders of the operator, overrides.

use std::path::Path;

use patchbay::catalog::{Catalog, Scope};
use patchbay::config::Providers;
use serde_json::{Map, Value, json};

use super::built_in;

const TOOLKIT: &str = "spec: 1
slug: sample
name: Sample
description: A sample.
versions: [\"20261101_00\"]
base_url: https://{{ conn.site }}.example.com/api/
hosts: [\"*.example.com\"]
headers: {X-Site: \"{{ conn.site }}\"}
response: {error: [/message], ok: /ok}
auth:
  - scheme: API_KEY
    connect_fields: [{name: site}]
    inject: {headers: {Authorization: \"Key {{ cred.api_key }}\"}, query: {k: \"{{ cred.api_key }}\"}}
  - scheme: BASIC
";
const TOOLS: &str = "tools:
  - slug: SAMPLE_GET_FILE
    name: Get a file
    description: Gets a file.
    hints: {read_only: true}
    params:
      path: {type: string, default: \"\", description: Path.}
      q: {type: string, description: Query.}
    request: {method: GET, path: \"/files/{path*}\"}
    response: {pick: /file}
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn load(dir: &Path, providers: &str) -> Result<Catalog, Vec<String>> {
    Catalog::of_folder(dir, &Providers::parse(providers).unwrap()).map_err(|e| e.0)
}

fn sample(providers: &str) -> Catalog {
    let dir = folder(&[("sample/toolkit.yaml", TOOLKIT), ("sample/tools/a.yaml", TOOLS)]);
    load(dir.path(), providers).unwrap()
}

fn problems(toolkit: &str, tools: &str) -> Vec<String> {
    let dir = folder(&[("sample/toolkit.yaml", toolkit), ("sample/tools/a.yaml", tools)]);
    load(dir.path(), "").unwrap_err()
}

fn conn(site: &str) -> Map<String, Value> {
    json!({"site": site}).as_object().unwrap().clone()
}

#[test]
fn built_in_definitions_load() {
    let catalog = built_in();
    assert!(catalog.toolkits().len() >= 17);
    let tools: usize = catalog.toolkits().iter().map(|t| t.tools.len()).sum();
    assert!(tools > 700, "{tools}");
    assert!(catalog.toolkits().is_sorted_by_key(|toolkit| toolkit.slug().to_owned()));
}

#[test]
fn the_validator_of_every_tool_compiles() {
    Catalog::check(None, &Providers::default()).unwrap();
}

#[test]
fn an_unknown_field_is_refused_with_its_place() {
    let found = problems(TOOLKIT, &TOOLS.replace("hints:", "hint:"));
    assert!(found[0].contains("a.yaml:5:5: ") && found[0].contains("hint"), "{found:?}");
    let found = problems(TOOLKIT, &TOOLS.replace("description: Query.", "descripton: Query."));
    assert!(found[0].contains("a.yaml:8:") && found[0].contains("descripton"), "{found:?}");
    let found = problems(&TOOLKIT.replace("name: site", "name: site, hint: x"), TOOLS);
    assert!(found[0].contains("toolkit.yaml:12:") && found[0].contains("hint"), "{found:?}");
}

#[test]
fn broken_yaml_is_told_with_its_place() {
    let found = problems(TOOLKIT, "tools:\n  - slug: [\n");
    assert!(found[0].contains("a.yaml:"), "{found:?}");
    let found = problems(TOOLKIT, "tools:\n  - slug: A\n    slug: B\n");
    assert!(found[0].contains("a.yaml:3:5"), "{found:?}");
}

#[test]
fn all_problems_of_all_files_come_at_once() {
    let dir = folder(&[
        ("sample/toolkit.yaml", &TOOLKIT.replace("\"20261101_00\"", "1.0")),
        ("sample/tools/a.yaml", &TOOLS.replace("SAMPLE_GET", "OTHER_GET")),
        ("sample/tools/b.yaml", "tools: {}\n"),
        ("second/toolkit.yaml", "spec: 1\n"),
        ("third/tools/a.yaml", "tools: []\n"),
    ]);
    let found = load(dir.path(), "nosuch: {}").unwrap_err().join("\n");
    for part in [
        "toolkit.yaml:5:1: versions:",
        "a.yaml:2:5: OTHER_GET_FILE: the slug must start with SAMPLE_",
        "b.yaml:1",
        "second/toolkit.yaml:",
        "toolkits/third: toolkit.yaml is missing",
    ] {
        assert!(found.contains(part), "{part} in\n{found}");
    }
}

#[test]
fn what_serde_cannot_see_is_checked() {
    let toolkits = [
        ("slug: sample", "slug: simple", "must be the folder's name"),
        ("spec: 1", "spec: 2", "spec 2 is unknown"),
        ("hosts: [\"*.example.com\"]", "hosts: []", "needs `hosts`"),
        ("hosts: [\"*.example.com\"]", "hosts: [\"*\"]", "is not a host name"),
        ("conn.site }}.ex", "conn.sight }}.ex", "`conn.sight` is not a field"),
        ("cred.api_key }}\"}, q", "cred.api_kee }}\"}, q", "`cred.api_kee` is not a name"),
        ("scheme: BASIC", "scheme: OAUTH2", "`oauth2` goes with"),
        (
            "scheme: BASIC",
            "scheme: OAUTH2\n    oauth2: {authorize: {url: \"https://a.test\"}, token: {url: \"https://a.test\"}}",
            "OAUTH2 needs the pages",
        ),
        ("spec: 1", "spec: 1\nsources: [\"http://a.test\"]", "is not an https URL"),
        ("scheme: BASIC", "scheme: SAML", "SAML is not supported"),
        ("scheme: BASIC", "scheme: API_KEY", "API_KEY is there twice"),
    ];
    let tools = [
        ("path: {type: string, default: \"\",", "path: {type: string,", "must be required or have"),
        ("{path*}", "{file*}", "`{file}` is not an argument"),
        ("q: {type: string", "q: {type: array", "needs `items`"),
        ("q: {type: string", "q: {type: object", "needs properties or additional_properties"),
        ("q: {type: string", "q: {type: string, default: 5", "does not fit"),
        ("q: {type: string", "q: {type: string, examples: [5]", "examples: 5 is no string"),
        ("q: {type: string", "q: {type: string, pattern: \"(\"", "not a regular expression"),
        ("q: {type: string", "q: {type: string, aliases: [path]", "another argument's name"),
        ("q: {type: string", "q: {type: string, hidden: true", "hidden and so needs a default"),
        (", description: Query.", "", "needs a description"),
        ("response: {pick: /file}", "scopes: [[x]]", "scope `x` is not among"),
        ("response: {pick: /file}", "builtin: x", "exactly one of"),
        ("response: {pick: /file}", "result: x", "goes with `steps`"),
        ("response: {pick: /file}", "before: [SAMPLE_NOPE]", "before: the toolkit has no tool"),
        ("response: {pick: /file}", "after: [SAMPLE_GET_FILE]", "does not go with itself"),
        ("response: {pick: /file}", "pitfalls: [\" \"]", "pitfalls: each must have"),
        ("method: GET,", "method: GET, query: {a: \"{{ args.b }}\"},", "`args.b` is not a name"),
        ("method: GET,", "method: GET, query: {a: \"{{ conn.b }}\"},", "`conn.b` is not a name"),
        (
            "method: GET,",
            "method: GET, query: {a: \"{{ cred.token }}\"},",
            "`cred.token` is not a name",
        ),
        ("method: GET,", "method: GET, query: {a: \"{{ item.b }}\"},", "`item.b` is not a name"),
        ("method: GET,", "method: GET, query: {a: \"{{ 1 + }}\"},", "query a: "),
        ("method: GET,", "method: GET, json: {a: b},", "`q` goes nowhere"),
        ("\"/files/", "\"files/", "must start with a slash"),
        ("SAMPLE_GET_FILE", "SAMPLE_get", "made of A-Z"),
    ];
    // One folder a case, so that one load answers for all.
    let case = |which: &str, n: usize, text: &str| {
        text.replace("SAMPLE_", &format!("{}{n}_", which.to_uppercase()))
            .replace("slug: sample", &format!("slug: {which}{n}"))
    };
    let mut files = Vec::new();
    for (n, (from, to, _)) in tools.iter().enumerate() {
        let changed = TOOLS.replace(from, to);
        assert_ne!(changed, TOOLS, "{from}");
        files.push((format!("tool{n}/toolkit.yaml"), case("tool", n, TOOLKIT)));
        files.push((format!("tool{n}/tools/a.yaml"), case("tool", n, &changed)));
    }
    for (n, (from, to, _)) in toolkits.iter().enumerate() {
        let changed = TOOLKIT.replace(from, to);
        assert_ne!(changed, TOOLKIT, "{from}");
        files.push((format!("kit{n}/toolkit.yaml"), case("kit", n, &changed)));
        files.push((format!("kit{n}/tools/a.yaml"), case("kit", n, TOOLS)));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let found = load(folder(&files).path(), "").unwrap_err();
    let expected =
        tools.iter().enumerate().map(|(n, (_, _, e))| (format!("tool{n}/tools/a.yaml:"), e));
    let more =
        toolkits.iter().enumerate().map(|(n, (_, _, e))| (format!("kit{n}/toolkit.yaml:"), e));
    for (place, text) in expected.chain(more) {
        let told = found.iter().any(|line| line.contains(&place) && line.contains(text));
        assert!(told, "{place} {text}:\n{}", found.join("\n"));
    }
}

#[test]
fn a_name_of_two_tools_is_refused() {
    let twice = format!("{TOOLS}{}", TOOLS.trim_start_matches("tools:\n"));
    assert!(problems(TOOLKIT, &twice)[0].contains("names two tools"));
}

#[test]
fn a_toolkit_of_the_operator_replaces_a_built_in_one() {
    let toolkit = TOOLKIT.replace("slug: sample", "slug: github");
    let tools = TOOLS.replace("SAMPLE_", "GITHUB_");
    let dir = folder(&[("github/toolkit.yaml", &toolkit), ("github/tools/a.yaml", &tools)]);
    let catalog = Catalog::load(Some(dir.path()), &Providers::default()).unwrap();
    assert_eq!(catalog.toolkit("github").unwrap().tools.len(), 1);
    assert!(catalog.tool("GITHUB_CREATE_AN_ISSUE").is_none());
    assert!(catalog.toolkit("slack").is_some());
}

#[test]
fn a_toolkit_that_the_providers_file_names_must_exist() {
    let dir = folder(&[]);
    let found = load(dir.path(), "githup: {}").unwrap_err();
    assert!(found[0].contains("no toolkit `githup`"), "{found:?}");
}

#[test]
fn rules_merge_field_by_field() {
    let catalog = sample("");
    let (_, tool) = catalog.tool("SAMPLE_GET_FILE").unwrap();
    let tool = tool.open().unwrap();
    let rule = &tool.steps()[0].rule;
    assert_eq!(rule.pick.as_deref(), Some("/file"));
    assert_eq!(rule.ok.as_deref(), Some("/ok"));
    assert_eq!(rule.error, ["/message"]);
}

#[test]
fn a_templated_root_stays_on_the_toolkits_hosts() {
    let catalog = sample("");
    let toolkit = catalog.toolkit("sample").unwrap();
    let root = toolkit.base_url(&conn("acme")).unwrap();
    assert_eq!(root.as_str(), "https://acme.example.com/api/");
    for site in [
        "evil.test/",
        "evil.test#",
        "evil.test?",
        "a@evil.test/",
        "evil.test:1/",
        "evil.test\\",
        "",
        "a b",
    ] {
        let problem = toolkit.base_url(&conn(site)).err();
        assert!(problem.is_some(), "{site:?}");
    }
    assert!(toolkit.base_url(&Map::new()).is_err());
}

#[test]
fn hosts_are_matched_whole() {
    let catalog = sample("");
    let toolkit = catalog.toolkit("sample").unwrap();
    for (url, allowed) in [
        ("https://acme.example.com/x", true),
        ("https://a.b.example.com/x", true),
        ("https://ACME.EXAMPLE.COM/x", true),
        ("https://example.com/x", false),
        ("https://evilexample.com/x", false),
        ("https://acme.example.com.evil.test/x", false),
        ("http://acme.example.com/x", false),
        ("https://acme.example.com:8443/x", false),
        ("https://user@acme.example.com/x", false),
        ("https://127.0.0.1/x", false),
    ] {
        let url = url::Url::parse(url).unwrap();
        assert_eq!(toolkit.allows_host(&conn("acme"), &url), allowed, "{url}");
    }
}

#[test]
fn the_operators_root_keeps_the_path_unless_it_has_one() {
    let allowed = |catalog: &Catalog, url: &str| {
        let toolkit = catalog.toolkit("sample").unwrap();
        toolkit.allows_host(&conn("acme"), &url::Url::parse(url).unwrap())
    };
    let catalog = sample("sample: {base_url: 'http://127.0.0.1:4101', hosts: ['files.test:81']}");
    let toolkit = catalog.toolkit("sample").unwrap();
    let root = toolkit.base_url(&conn("acme")).unwrap();
    assert_eq!(root.as_str(), "http://127.0.0.1:4101/api/");
    assert!(allowed(&catalog, "http://127.0.0.1:4101/x"));
    assert!(allowed(&catalog, "http://files.test:81/x"));
    assert!(!allowed(&catalog, "http://127.0.0.1:4102/x"));
    assert!(!allowed(&catalog, "https://acme.example.com/x"));
    assert!(!allowed(&catalog, "https://files.test/x"));
    let catalog = sample("sample: {base_url: 'http://127.0.0.1:4101/v9'}");
    let toolkit = catalog.toolkit("sample").unwrap();
    assert_eq!(toolkit.base_url(&conn("acme")).unwrap().as_str(), "http://127.0.0.1:4101/v9");
}

#[test]
fn the_operators_root_holds_for_requests_with_their_own() {
    let providers = Providers::parse("gmail: {base_url: 'http://127.0.0.1:4102'}").unwrap();
    let catalog = Catalog::load(None, &providers).unwrap();
    let (toolkit, tool) = catalog.tool("GMAIL_GET_PEOPLE").unwrap();
    let tool = tool.open().unwrap();
    let args = tool.check_arguments(Map::new()).unwrap();
    let scope = Scope { args: &args, conn: Map::new(), steps: Map::new(), item: None };
    let request = tool.render(toolkit, 0, &scope).unwrap();
    assert!(request.url.as_str().starts_with("http://127.0.0.1:4102/v1/"), "{}", request.url);
}

#[test]
fn the_operators_oauth_endpoints_replace_the_definitions() {
    let providers = Providers::parse(
        "slack: {authorize_url: 'http://a.test/a', token_url: 'http://a.test/t', revoke_url: 'http://a.test/r'}",
    )
    .unwrap();
    let catalog = Catalog::load(None, &providers).unwrap();
    let auth = &catalog.toolkit("slack").unwrap().file.auth;
    let oauth2 = auth.iter().find_map(|scheme| scheme.oauth2.as_ref()).unwrap();
    assert_eq!(oauth2.authorize.url, "http://a.test/a");
    assert_eq!(oauth2.token.url, "http://a.test/t");
    assert_eq!(oauth2.revoke_url.as_deref(), Some("http://a.test/r"));
}

#[test]
fn credentials_go_where_the_definition_says() {
    use patchbay::domain::scheme::AuthSchemeKind;
    let catalog = sample("");
    let (toolkit, tool) = catalog.tool("SAMPLE_GET_FILE").unwrap();
    let tool = tool.open().unwrap();
    let args = tool
        .check_arguments(json!({"path": "/a b/ü.txt", "q": "x&k=1"}).as_object().unwrap().clone())
        .unwrap();
    let scope = Scope { args: &args, conn: conn("acme"), steps: Map::new(), item: None };
    let mut request = tool.render(toolkit, 0, &scope).unwrap();
    assert_eq!(
        request.url.as_str(),
        "https://acme.example.com/api/files/a%20b/%C3%BC.txt?q=x%26k%3D1"
    );
    assert_eq!(request.headers, [("X-Site".to_owned(), "acme".to_owned())]);
    let injection = toolkit.injection(AuthSchemeKind::ApiKey).unwrap();
    let cred = json!({"api_key": "s3cret"}).as_object().unwrap().clone();
    injection.render(&cred, &conn("acme")).unwrap().apply(&mut request, None);
    assert!(request.headers.contains(&("Authorization".to_owned(), "Key s3cret".to_owned())));
    assert!(request.url.as_str().ends_with("?q=x%26k%3D1&k=s3cret"));
    let problem = injection.render(&Map::new(), &conn("acme")).unwrap_err();
    assert_eq!(problem, "the connection has no `api_key`");
    let cred = json!({"api_key": "s3cret\r\nX: y"}).as_object().unwrap().clone();
    let problem = injection.render(&cred, &conn("acme")).unwrap_err();
    assert!(problem.contains("control character") && !problem.contains("s3cret"));
    let basic = toolkit.injection(AuthSchemeKind::Basic).unwrap();
    let cred = json!({"username": "sk_live"}).as_object().unwrap().clone();
    let placed = basic.render(&cred, &Map::new()).unwrap();
    assert_eq!(placed.headers, [("Authorization".to_owned(), "Basic c2tfbGl2ZTo=".to_owned())]);
    assert_eq!(format!("{placed:?}"), "Injected");
}

const TASKS: &str = "spec: 1
slug: googletasks
name: Our tasks
description: The operator's own.
versions: [\"20261101_00\"]
base_url: https://{{ conn.site }}.example.com/tasks/
hosts: [\"*.example.com\"]
auth:
  - scheme: API_KEY
    connect_fields: [{name: site}]
    inject: {headers: {Authorization: \"Key {{ cred.api_key }}\"}}
";
const TASKS_TOOLS: &str = "tools:
  - slug: GOOGLETASKS_GET_LIST
    name: Get a list
    description: Gets a list.
    hints: {read_only: true}
    request: {method: GET, path: /list}
";

#[test]
fn a_toolkit_in_place_of_one_whose_tools_another_has_costs_only_those() {
    let dir =
        folder(&[("googletasks/toolkit.yaml", TASKS), ("googletasks/tools/a.yaml", TASKS_TOOLS)]);
    let catalog = Catalog::load(Some(dir.path()), &Providers::default()).unwrap();
    let own = catalog.toolkit("googletasks").unwrap();
    assert_eq!(own.tools.len(), 1);
    // Google Super has no field `site`, so it cannot know where that tool is.
    let all = catalog.toolkit("googlesuper").unwrap();
    assert!(all.tool("GOOGLESUPER_GET_LIST").is_none());
    let usual = built_in();
    let replaced = usual.toolkit("googletasks").unwrap().tools.len();
    let before = usual.toolkit("googlesuper").unwrap().tools.len();
    assert_eq!(all.tools.len(), before - replaced);

    // Whoever checks the folder is told.
    let found = Catalog::check(Some(dir.path()), &Providers::default()).unwrap_err().0.join("\n");
    assert!(found.contains("GOOGLESUPER_GET_LIST"), "{found}");
}
