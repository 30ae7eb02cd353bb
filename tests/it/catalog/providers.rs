//! The table of OAuth 2.0 providers: every entry is complete and consistent, and the server makes
//! an authorization URL of it. `docs/PROVIDERS.md` shows the table.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use patchbay::catalog::model::{ClientAuth, OAuth2};
use patchbay::catalog::{Catalog, Toolkit};
use patchbay::domain::scheme::AuthSchemeKind;
use serde_json::{Map, Value, json};
use url::Url;

use super::built_in;
use super::samples::connection;
use crate::support::TestApp;

/// Fewest providers that the table must have.
const LEAST: usize = 150;

/// Separators of scopes that providers use.
const SEPARATORS: [&str; 2] = [" ", ","];

/// What a toolkit can be filed under.
const CATEGORIES: [&str; 44] = [
    "accounting",
    "advertising",
    "ai",
    "analytics",
    "collaboration-&-communication",
    "crm",
    "databases",
    "design",
    "developer-tools",
    "documents",
    "e-commerce",
    "education",
    "email-marketing",
    "entertainment",
    "events",
    "finance",
    "fitness",
    "forms",
    "gaming",
    "health",
    "hr",
    "legal",
    "marketing",
    "music",
    "news",
    "payments",
    "popular",
    "productivity",
    "project-management",
    "research",
    "sales",
    "scheduling-&-booking",
    "scraping",
    "search",
    "security",
    "smart-home",
    "social",
    "storage",
    "support",
    "telephony",
    "ticketing",
    "time-tracking",
    "travel",
    "video",
];

/// Token endpoints on a domain that nothing else of the entry is on, and why that is right.
const OTHER_DOMAINS: [(&str, &str); 1] =
    [("polar", "the AccessLink documentation has the token endpoint on polarremote.com")];

fn providers(catalog: &Catalog) -> impl Iterator<Item = (&Toolkit, &OAuth2)> {
    catalog.toolkits().iter().filter_map(|toolkit| {
        let oauth2 = toolkit.scheme(AuthSchemeKind::Oauth2)?.oauth2.as_ref()?;
        oauth2.by_browser().then_some((&**toolkit, oauth2))
    })
}

/// Names after `conn.` in the templates of a text.
fn connection_names(text: &str) -> Vec<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split("conn.").skip(1).filter_map(|rest| rest.split(|c| !plain(c)).next()).collect()
}

/// The fields of a connection with values that their patterns take, and what tokens bring along.
fn fields(toolkit: &Toolkit) -> Map<String, Value> {
    let mut all = connection(toolkit);
    let Some(scheme) = toolkit.scheme(AuthSchemeKind::Oauth2) else { return all };
    // What tokens bring along may be the root of requests, or its host.
    let host = toolkit.file.hosts.first().map_or("", String::as_str).replace("*.", "acme.");
    for name in connection_names(&toolkit.file.base_url) {
        let root = toolkit.file.base_url.starts_with("{{");
        let value = if root { format!("https://{host}") } else { host.clone() };
        all.insert(name.to_owned(), value.into());
    }
    for field in scheme.connect_fields.iter().chain(&scheme.config_fields) {
        let samples = ["acme", "12345", "us19", "11223344-a1b2-4b33-8444-def123456789"];
        let hosts: Vec<String> =
            toolkit.file.hosts.iter().map(|host| host.replace("*.", "acme.")).collect();
        let candidates = field.choices.first().into_iter().chain(&field.default);
        let candidates =
            candidates.map(String::as_str).chain(samples).chain(hosts.iter().map(String::as_str));
        let suits = |value: &&str| {
            field.pattern.as_ref().is_none_or(|pattern| {
                let schema = json!({"type": "string", "pattern": format!("^(?:{pattern})$")});
                jsonschema::is_valid(&schema, &json!(value))
            })
        };
        let value = candidates.into_iter().find(suits);
        let value = value.unwrap_or_else(|| panic!("{}: {}", toolkit.slug(), field.name));
        all.insert(field.name.clone(), value.into());
    }
    all
}

/// The part of a host that one owner registers.
fn registrable(host: &str) -> String {
    let labels: Vec<&str> = host.trim_start_matches("*.").split('.').collect();
    let second = ["co", "com", "net", "org", "gov", "ac"];
    let long =
        matches!(labels[..], [.., middle, last] if last.len() == 2 && second.contains(&middle));
    let keep = labels.len().saturating_sub(if long { 3 } else { 2 });
    labels[keep..].join(".").to_lowercase()
}

/// An endpoint for a connection with these fields.
fn endpoint(toolkit: &Toolkit, url: &str, conn: &Map<String, Value>) -> Result<Url, String> {
    let oauth = Map::from_iter([("client_id".to_owned(), "id".into())]);
    let scheme = toolkit.scheme(AuthSchemeKind::Oauth2).unwrap();
    let hosts = scheme.config_fields.iter().filter(|field| field.host);
    let hosts: Vec<String> =
        hosts.filter_map(|f| conn[&f.name].as_str().map(str::to_owned)).collect();
    toolkit.endpoint(url, &[("conn", conn), ("oauth", &oauth)], &hosts)
}

#[test]
fn there_are_enough_providers() {
    let catalog = built_in();
    let count = providers(&catalog).count();
    assert!(count >= LEAST, "{count}");
    let names: HashSet<String> =
        catalog.toolkits().iter().map(|t| t.file.name.to_lowercase()).collect();
    assert_eq!(names.len(), catalog.toolkits().len(), "two toolkits have one name");
}

#[test]
fn every_entry_is_complete() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for (toolkit, oauth2) in providers(&catalog) {
        let file = &toolkit.file;
        let mut say = |what: String| problems.push(format!("{}: {what}", file.slug));
        let length = file.description.chars().count();
        if !(40..=300).contains(&length) {
            say(format!("the description has {length} characters"));
        }
        if file.name.trim().is_empty() || file.categories.is_empty() {
            say("no name or no category".into());
        }
        for category in file.categories.iter().filter(|c| !CATEGORIES.contains(&c.as_str())) {
            say(format!("category {category} is not a known one"));
        }
        let pages = [&file.app_url, &file.docs, &file.logo].map(|page| page.clone());
        for page in
            pages.iter().map(|p| p.as_deref()).chain(file.sources.iter().map(|s| Some(s.as_str())))
        {
            let url = page.and_then(|p| Url::parse(p).ok());
            if url.is_none_or(|u| u.scheme() != "https" || !u.has_host()) {
                say(format!("{page:?} is no https URL"));
            }
        }
        if file.sources.is_empty() {
            say("no source".into());
        }
        let conn = fields(toolkit);
        for (what, template) in oauth2.urls() {
            match endpoint(toolkit, template, &conn) {
                Ok(url) if url.scheme() == "https" && url.fragment().is_none() => {
                    // A host that a field is part of must not be anyone's.
                    let templated = template.split('/').nth(2).is_none_or(|h| h.contains("{{"));
                    if templated && !toolkit.allows_host(&conn, &url) {
                        say(format!("{what}: {url} is not within hosts"));
                    }
                }
                Ok(url) => say(format!("{what}: {url} is no https URL")),
                Err(e) => say(format!("{what}: {e}")),
            }
        }
        if let Err(e) = toolkit.base_url(&conn) {
            say(e);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn scopes_fit_their_separator() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for (toolkit, oauth2) in providers(&catalog) {
        let mut say = |what: String| problems.push(format!("{}: {what}", toolkit.slug()));
        let separator = oauth2.authorize.scope_separator.as_str();
        if !SEPARATORS.contains(&separator) {
            say(format!("{separator:?} is no known separator"));
        }
        for list in [&oauth2.scopes, &oauth2.available_scopes] {
            let mut seen = HashSet::new();
            for scope in list {
                if scope.is_empty()
                    || scope.contains(separator)
                    || scope.contains(char::is_whitespace)
                {
                    say(format!("scope {scope:?} holds the separator"));
                }
                if !seen.insert(scope) {
                    say(format!("scope {scope} is there twice"));
                }
            }
        }
        let available: HashSet<&String> = oauth2.available_scopes.iter().collect();
        for scope in
            oauth2.scopes.iter().filter(|s| !available.is_empty() && !available.contains(s))
        {
            say(format!("scope {scope} is not an available one"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// An authorization can only be started with what the person gave; later endpoints may use what
/// the token answer brought.
#[test]
fn endpoints_use_fields_that_are_there() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for (toolkit, oauth2) in providers(&catalog) {
        let scheme = toolkit.scheme(AuthSchemeKind::Oauth2).unwrap();
        let given: BTreeSet<&str> = scheme
            .connect_fields
            .iter()
            .chain(&scheme.config_fields)
            .filter(|field| !field.secret)
            .map(|field| field.name.as_str())
            .collect();
        let kept = toolkit.connection_names();
        let brought: BTreeSet<&str> = oauth2.callback.capture.keys().map(String::as_str).collect();
        for (what, url) in oauth2.urls() {
            for name in connection_names(url) {
                let good = match what {
                    "authorize.url" => given.contains(name),
                    "token.url" => given.contains(name) || brought.contains(name),
                    _ => kept.contains(name),
                };
                if !good {
                    problems.push(format!("{}: {what}: conn.{name}", toolkit.slug()));
                }
            }
        }
        for name in connection_names(&toolkit.file.base_url) {
            if !kept.contains(name) {
                problems.push(format!("{}: base_url: conn.{name}", toolkit.slug()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A client secret goes to the token endpoint, so the endpoint has to be the provider's.
#[test]
fn token_endpoints_are_the_providers_own() {
    let catalog = built_in();
    let mut problems = Vec::new();
    let mut excused = HashSet::new();
    for (toolkit, oauth2) in providers(&catalog) {
        let conn = fields(toolkit);
        let file = &toolkit.file;
        let mut own: HashSet<String> = file.hosts.iter().map(|host| registrable(host)).collect();
        let domain =
            |url: Option<Url>| registrable(url.as_ref().and_then(Url::host_str).unwrap_or(""));
        own.extend(file.sources.iter().chain(&file.docs).map(|url| domain(Url::parse(url).ok())));
        own.insert(domain(endpoint(toolkit, &oauth2.authorize.url, &conn).ok()));
        own.insert(domain(toolkit.base_url(&conn).ok()));
        for (what, url) in oauth2.urls() {
            let domain = domain(endpoint(toolkit, url, &conn).ok());
            if own.contains(&domain) {
                continue;
            }
            if OTHER_DOMAINS.iter().any(|(slug, _)| *slug == file.slug) {
                excused.insert(file.slug.clone());
            } else {
                problems.push(format!("{}: {what} is on {domain}", file.slug));
            }
        }
    }
    for (slug, reason) in OTHER_DOMAINS {
        if !excused.contains(slug) || reason.is_empty() {
            problems.push(format!("{slug} needs no excuse, or gives none"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn descriptions_are_written_for_their_entry() {
    let catalog = built_in();
    let words = |text: &str| -> HashSet<String> {
        let plain = |c: char| !c.is_alphanumeric();
        text.to_lowercase().split(plain).filter(|w| w.len() > 2).map(str::to_owned).collect()
    };
    let all: Vec<(&str, HashSet<String>)> =
        catalog.toolkits().iter().map(|t| (t.slug(), words(&t.file.description))).collect();
    let mut problems = Vec::new();
    for (i, (slug, one)) in all.iter().enumerate() {
        for (other, two) in &all[i + 1..] {
            if one.intersection(two).count() * 5 > one.len().max(two.len()) * 3 {
                problems.push(format!("{slug} and {other} say the same"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Through the API, as a developer with a client id does.
#[tokio::test]
async fn every_provider_gives_an_authorization_url() {
    let app = TestApp::new().await;
    let client = app.client();
    let mut problems = Vec::new();
    for (toolkit, oauth2) in providers(&app.app.catalogs.server()) {
        let slug = toolkit.slug();
        let conn = fields(toolkit);
        let mut say = |what: String| problems.push(format!("{slug}: {what}"));
        let id = format!("client-of-{slug}");
        let mut credentials = Map::from_iter([
            ("client_id".to_owned(), id.clone().into()),
            ("client_secret".to_owned(), "hush".into()),
        ]);
        for field in toolkit.scheme(AuthSchemeKind::Oauth2).unwrap().config_fields.iter() {
            if field.default.is_none() {
                credentials.insert(field.name.clone(), conn[&field.name].clone());
            }
        }
        let body = json!({"toolkit": {"slug": slug}, "auth_config": {"type": "use_custom_auth",
            "authScheme": "OAUTH2", "credentials": credentials}});
        let config = client.post("/api/v3/auth_configs", body).await.expect(201);
        let scheme = toolkit.scheme(AuthSchemeKind::Oauth2).unwrap();
        let val: Map<String, Value> = scheme
            .connect_fields
            .iter()
            .filter(|field| field.default.is_none())
            .map(|field| (field.name.clone(), conn[&field.name].clone()))
            .collect();
        let state = json!({"authScheme": "OAUTH2", "val": val});
        let body = json!({"auth_config": {"id": config["auth_config"]["id"]},
            "connection": {"user_id": "u", "state": state}});
        let made = client.post("/api/v3/connected_accounts", body).await;
        if made.status != 201 {
            say(format!("{} {}", made.status, made.text));
            continue;
        }
        let made = made.expect(201);
        let url: Url = match made["redirect_url"].as_str().map(str::parse) {
            Some(Ok(url)) => url,
            _ => {
                say(format!("no redirect_url in {made}"));
                continue;
            }
        };
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        if query.len() != url.query_pairs().count() {
            say(format!("a parameter twice in {url}"));
        }
        let expected = endpoint(toolkit, &oauth2.authorize.url, &conn).unwrap();
        if url.origin() != expected.origin() || url.path() != expected.path() {
            say(format!("{url} is not at {expected}"));
        }
        let mut expected = vec![
            (oauth2.authorize.client_id_param.clone(), id),
            ("response_type".to_owned(), "code".to_owned()),
            ("redirect_uri".to_owned(), app.url("/api/v3/toolkits/auth/callback")),
        ];
        if !oauth2.scopes.is_empty() {
            let scopes = oauth2.scopes.join(&oauth2.authorize.scope_separator);
            expected.push((oauth2.authorize.scope_param.clone(), scopes));
        }
        if oauth2.authorize.pkce {
            expected.push(("code_challenge_method".to_owned(), "S256".to_owned()));
        }
        let plain = oauth2.authorize.params.iter().filter(|(_, v)| !v.contains("{{"));
        expected.retain(|(name, _)| !oauth2.authorize.params.contains_key(name));
        expected.extend(plain.filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.clone(), v.clone())));
        for (name, value) in expected {
            if query.get(&name) != Some(&value) {
                say(format!("{name} is {:?}, not {value:?}", query.get(&name)));
            }
        }
        if query.get("state").is_none_or(|state| state.len() < 32) {
            say("no state".into());
        }
        if query.contains_key("code_challenge") != oauth2.authorize.pkce {
            say("PKCE is not as the entry says".into());
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// `UPDATE_PROVIDERS=1` writes the file anew.
#[test]
fn the_committed_table_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/PROVIDERS.md");
    let current = table(&built_in());
    if std::env::var_os("UPDATE_PROVIDERS").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == current,
        "docs/PROVIDERS.md is out of date: run the tests once with UPDATE_PROVIDERS=1"
    );
}

fn table(catalog: &Catalog) -> String {
    let mut text = format!(
        "# OAuth 2.0 providers\n\n\
         Made from the definitions in `toolkits/` (`UPDATE_PROVIDERS=1` with the tests writes it anew). With a client \
         id of one of these {} services nothing else has to be known: create an auth config with `use_custom_auth`, or \
         put the client into the providers file. Register `<public URL>/api/v3/toolkits/auth/callback` as redirect URI.\n\n\
         A host with `{{…}}` is made of a field of the connection. Client: how it authenticates itself at the token \
         endpoint. Revoke: whether tokens are revoked at the provider.\n\n\
         | slug | name | authorize host | scopes | PKCE | client | refresh | revoke | source |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        providers(catalog).count()
    );
    for (toolkit, oauth2) in providers(catalog) {
        let file = &toolkit.file;
        let host = oauth2.authorize.url.split('/').nth(2).unwrap_or_default();
        let host = host.replace("{{ conn.", "{").replace(" }}", "}");
        let separator = match oauth2.authorize.scope_separator.as_str() {
            _ if oauth2.authorize.skip_scopes => "of the app",
            _ if oauth2.scopes.is_empty() && oauth2.available_scopes.is_empty() => "none",
            " " => "space",
            "," => "comma",
            _ => "other",
        };
        let client = match oauth2.token.client_auth {
            ClientAuth::Post => "post",
            ClientAuth::Basic => "basic",
            ClientAuth::None => "none",
            ClientAuth::PrivateKeyJwt => "key",
        };
        let refresh = match (&oauth2.refresh.unsupported, &oauth2.refresh.url) {
            (true, _) => "no",
            (false, Some(_)) => "own URL",
            (false, None) => "yes",
        };
        let word = |yes: bool| if yes { "yes" } else { "no" };
        let source = file.sources.first().map_or("", String::as_str);
        let site = source.split('/').nth(2).unwrap_or_default();
        writeln!(
            text,
            "| {} | {} | {host} | {separator} | {} | {client} | {refresh} | {} | [{site}]({source}) |",
            file.slug,
            file.name,
            word(oauth2.authorize.pkce),
            word(oauth2.revocation().is_some()),
        )
        .unwrap();
    }
    text
}
