//! Security schemes as ways to authenticate.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::servers::Servers;
use super::{Api, Operation, oauth, params, said, sparse};

/// Parameters that carry credentials, where nearly every operation has them.
const USUAL: [&str; 12] = [
    "key",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "oauth_token",
    "auth_token",
    "api-key",
    "x-api-key",
    "x-auth-token",
    "api_token",
    "apitoken",
];

/// A key that goes somewhere by name.
#[derive(Clone)]
struct Key {
    scheme: String,
    place: String,
    name: String,
    /// Text before the value: `Bearer `.
    prefix: &'static str,
}

/// What the description says about credentials.
pub(super) struct Auth {
    /// `auth` of the toolkit.
    pub schemes: Vec<Value>,
    /// Parameters that carry credentials.
    pub credentials: Vec<(String, String)>,
    /// Names of its OAuth 2.0 schemes.
    pub oauth: Vec<String>,
}

/// Ways to authenticate, preferred first.
pub(super) fn of<'a>(
    api: &Api<'a>,
    operations: &[Operation<'a>],
    servers: &Servers,
    scopes: &[String],
) -> Auth {
    let declared = api.root.pointer("/components/securitySchemes").and_then(Value::as_object);
    let mut keys: Vec<Key> = Vec::new();
    let (mut basic, mut bearer) = (false, false);
    let mut flows: Vec<(String, &Map<String, Value>)> = Vec::new();
    for (name, scheme) in declared.into_iter().flatten() {
        let at = format!("/components/securitySchemes/{}", super::token(name));
        let (scheme, at) = api.follow(scheme, &at);
        let Value::Object(scheme) = scheme else { continue };
        let kind = said(scheme, "type").unwrap_or_default();
        let http = said(scheme, "scheme").unwrap_or_default().to_ascii_lowercase();
        match (kind, http.as_str()) {
            ("apiKey", _) => keys.extend(key(api, &at, name, scheme)),
            ("http", "basic") => basic = true,
            ("http", "bearer") => bearer = true,
            ("oauth2", _) => flows.push((name.clone(), scheme)),
            ("openIdConnect", _) => {
                bearer = true;
                api.repaired(&at, "OpenID Connect: a token that is at hand can be used");
            }
            _ => {
                let shown: String = format!("{kind} {http}").chars().take(60).collect();
                let mut report = api.report.borrow_mut();
                report.left_out(
                    &at,
                    format!("security scheme {name}"),
                    format!("`{}` is not supported", shown.trim()),
                );
            }
        }
    }
    let (undeclared, required) = undeclared(api, operations, &keys);
    let mut credentials: Vec<(String, String)> =
        keys.iter().map(|k| (k.place.clone(), k.name.to_ascii_lowercase())).collect();
    credentials.extend(undeclared.iter().map(|k| (k.place.clone(), k.name.to_ascii_lowercase())));

    let mut schemes = Vec::new();
    let oauth_names: Vec<String> = flows.iter().map(|(name, _)| name.clone()).collect();
    if !flows.is_empty() {
        match oauth::scheme(api, &flows, servers, scopes) {
            Some(scheme) => schemes.push(scheme),
            None => bearer = true,
        }
    }
    if bearer {
        schemes.push(json!({"scheme": "BEARER_TOKEN"}));
    }
    if basic {
        schemes.push(json!({"scheme": "BASIC"}));
    }
    let requirements = requirements(api, operations);
    for scheme in &mut schemes {
        let kind = scheme["scheme"].as_str().unwrap_or_default().to_owned();
        let names: Vec<&str> = declared
            .into_iter()
            .flatten()
            .filter(|(_, s)| is_kind(s, &kind))
            .map(|(name, _)| name.as_str())
            .collect();
        let beside = beside(&requirements, &names, &keys);
        let value = match kind.as_str() {
            "BEARER_TOKEN" => "{{ cred.token }}",
            "OAUTH2" => "{{ cred.access_token }}",
            _ => "",
        };
        extend(scheme, &kind, &beside, &required, value);
    }
    let mut alone: Vec<Key> = alone(&requirements, &keys);
    // Some list as alternatives what every operation has as required parameters.
    for key in needed(api, operations, &keys) {
        if !alone.is_empty() && !alone.iter().any(|k| k.scheme == key.scheme) {
            alone.push(key);
        }
    }
    let alone = match alone.is_empty() && schemes.is_empty() {
        true if required.is_empty() => undeclared.into_iter().take(1).collect(),
        true => required.clone(),
        false => alone,
    };
    if let Some(scheme) = api_key(&alone, &required) {
        schemes.push(scheme);
    }
    for key in &keys {
        let used = alone.iter().any(|k| k.scheme == key.scheme)
            || schemes.iter().any(|s| s.to_string().contains(&json!(key.name).to_string()));
        if !used {
            let at = format!("/components/securitySchemes/{}", super::token(&key.scheme));
            let mut report = api.report.borrow_mut();
            report.left_out(
                &at,
                format!("security scheme {}", key.scheme),
                "another key is the toolkit's",
            );
        }
    }
    if schemes.is_empty() {
        // Nobody says: whoever sets it up knows.
        api.note("The description declares no security. The toolkit can be used without credentials, with a bearer token, with a key that is sent as the `Authorization` header, or with a user name and password.");
        schemes = vec![
            json!({"scheme": "NO_AUTH"}),
            json!({"scheme": "BEARER_TOKEN"}),
            json!({"scheme": "API_KEY", "inject": {"headers": {"Authorization": "{{ cred.api_key }}"}}}),
            json!({"scheme": "BASIC"}),
        ];
    }
    for scheme in &mut schemes {
        let fields = scheme["connect_fields"].as_array().cloned().unwrap_or_default();
        let all: Vec<Value> = servers.fields.iter().cloned().chain(fields).collect();
        if !all.is_empty() {
            scheme["connect_fields"] = all.into();
        }
    }
    Auth { schemes, credentials, oauth: oauth_names }
}

fn is_kind(scheme: &Value, kind: &str) -> bool {
    let declared = scheme["type"].as_str().unwrap_or_default();
    let http = scheme["scheme"].as_str().unwrap_or_default().to_ascii_lowercase();
    match kind {
        "OAUTH2" => declared == "oauth2",
        "BEARER_TOKEN" => http == "bearer" || declared == "openIdConnect" || declared == "oauth2",
        _ => http == "basic",
    }
}

fn key(api: &Api<'_>, at: &str, scheme: &str, value: &Map<String, Value>) -> Option<Key> {
    let name = said(value, "name")?;
    let place = said(value, "in")?;
    let about = said(value, "description").unwrap_or_default();
    let signed = value.values().any(|v| {
        v.as_str().is_some_and(|t| t.contains("awsSigv4") || t.contains("Amazon Signature"))
    });
    if signed {
        api.note("Requests to this API are signed (AWS Signature Version 4), which this server does not do: put a gateway that signs in front of it.");
    }
    let header = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !matches!(place, "header" | "query" | "cookie") || (place != "query" && !header) {
        let mut report = api.report.borrow_mut();
        report.left_out(
            at,
            format!("security scheme {scheme}"),
            "a key in a place that is not known",
        );
        return None;
    }
    let prefix = if name.eq_ignore_ascii_case("authorization") && about.contains("Bearer ") {
        "Bearer "
    } else {
        ""
    };
    Some(Key { scheme: scheme.to_owned(), place: place.to_owned(), name: name.to_owned(), prefix })
}

/// Parameters that are credentials although no scheme says so: most operations have them. The second
/// are those that most of these cannot do without.
fn undeclared<'a>(
    api: &Api<'a>,
    operations: &[Operation<'a>],
    keys: &[Key],
) -> (Vec<Key>, Vec<Key>) {
    let mut seen: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for operation in operations {
        for (_, parameter) in params::declared(api, operation) {
            let (Some(name), Some(place)) = (said(parameter, "name"), said(parameter, "in")) else {
                continue;
            };
            let lower = name.to_ascii_lowercase();
            if USUAL.contains(&lower.as_str()) && matches!(place, "header" | "query") {
                let needed = parameter.get("required") == Some(&Value::Bool(true));
                let counts = seen.entry((place.to_owned(), name.to_owned())).or_default();
                counts.0 += 1;
                counts.1 += usize::from(needed);
            }
        }
    }
    let most = |count: usize| count > 0 && count * 2 >= operations.len();
    seen.retain(|(place, name), (count, _)| {
        let known = keys.iter().any(|k| k.place == *place && k.name.eq_ignore_ascii_case(name));
        !known && most(*count)
    });
    let key = |(place, name): &(String, String)| Key {
        scheme: String::new(),
        place: place.clone(),
        name: name.clone(),
        prefix: "",
    };
    let needed = seen.iter().filter(|(_, (count, needed))| *needed > 0 && needed * 2 >= *count);
    (seen.keys().map(key).collect(), needed.map(|(place, _)| key(place)).collect())
}

/// Keys that are required parameters of most operations.
fn needed<'a>(api: &Api<'a>, operations: &[Operation<'a>], keys: &[Key]) -> Vec<Key> {
    let has = |operation: &Operation<'a>, key: &Key| {
        params::declared(api, operation).iter().any(|(_, parameter)| {
            said(parameter, "name").is_some_and(|name| name.eq_ignore_ascii_case(&key.name))
                && said(parameter, "in") == Some(key.place.as_str())
                && parameter.get("required") == Some(&Value::Bool(true))
        })
    };
    let most = |key: &&Key| {
        keys.len() > 1 && operations.iter().filter(|o| has(o, key)).count() * 2 > operations.len()
    };
    keys.iter().filter(most).cloned().collect()
}

/// The names of every requirement that is there.
fn requirements(api: &Api<'_>, operations: &[Operation<'_>]) -> Vec<Vec<String>> {
    let root = api.root.get("security");
    let all = operations.iter().filter_map(|o| o.value.get("security")).chain(root);
    let mut out: Vec<Vec<String>> = Vec::new();
    for requirement in all.filter_map(Value::as_array).flatten().filter_map(Value::as_object) {
        let mut names: Vec<String> = requirement.keys().cloned().collect();
        names.sort();
        if !names.is_empty() && !out.contains(&names) && out.len() < 1_000 {
            out.push(names);
        }
    }
    out
}

/// Keys that are needed wherever one of `names` is.
fn beside(requirements: &[Vec<String>], names: &[&str], keys: &[Key]) -> Vec<Key> {
    let mut with =
        requirements.iter().filter(|r| r.iter().any(|n| names.contains(&n.as_str()))).peekable();
    if with.peek().is_none() {
        return Vec::new();
    }
    let with: Vec<_> = with.collect();
    let always = |key: &&Key| with.iter().all(|r| r.contains(&key.scheme));
    keys.iter().filter(always).cloned().collect()
}

/// The keys that suffice by themselves: those of one requirement, or the first one.
fn alone(requirements: &[Vec<String>], keys: &[Key]) -> Vec<Key> {
    let is_key = |name: &String| keys.iter().any(|k| k.scheme == *name);
    let only = requirements.iter().filter(|r| r.iter().all(is_key));
    // The one with the fewest, and of those the one in a header.
    let place = |r: &Vec<String>| {
        let header = keys.iter().any(|k| r.contains(&k.scheme) && k.place == "header");
        (r.len(), !header)
    };
    if let Some(names) = only.min_by_key(|r| place(r)) {
        return keys.iter().filter(|k| names.contains(&k.scheme)).cloned().collect();
    }
    let named = requirements.iter().flatten().any(is_key);
    let rank = |key: &&Key| ["header", "query", "cookie"].iter().position(|p| *p == key.place);
    if named { Vec::new() } else { keys.iter().min_by_key(rank).cloned().into_iter().collect() }
}

/// `inject` with a value at a key's place.
fn put(inject: &mut Value, key: &Key, value: &str) {
    let value = format!("{}{value}", key.prefix);
    match key.place.as_str() {
        "header" => inject["headers"][&key.name] = value.into(),
        "cookie" => {
            let before =
                inject["headers"]["Cookie"].as_str().map(|c| format!("{c}; ")).unwrap_or_default();
            inject["headers"]["Cookie"] = format!("{before}{}={value}", key.name).into();
        }
        _ => inject["query"][&key.name] = value.into(),
    }
}

/// A field for a further key.
fn field(key: &Key, taken: &mut Vec<String>) -> (String, Value) {
    let plain =
        super::super::slug::upper_snake(&super::super::slug::words(&key.name)).to_ascii_lowercase();
    let mut name = if plain.is_empty() { "key".to_owned() } else { plain };
    let reserved = [
        "token",
        "access_token",
        "refresh_token",
        "username",
        "password",
        "api_key",
        "generic_api_key",
        "client_id",
        "client_secret",
        "scopes",
    ];
    if reserved.contains(&name.as_str()) || name.starts_with(|c: char| c.is_ascii_digit()) {
        name = format!("extra_{name}");
    }
    while taken.contains(&name) {
        name.push('2');
    }
    taken.push(name.clone());
    let label = super::words(&key.name);
    (name.clone(), json!({"name": name, "label": label, "secret": true}))
}

/// Adds the keys that go along with a scheme.
fn extend(scheme: &mut Value, kind: &str, beside: &[Key], required: &[Key], value: &str) {
    if beside.is_empty() && required.is_empty() {
        return;
    }
    let mut inject = match kind {
        "BASIC" => {
            json!({"basic": {"username": "{{ cred.username }}", "password": "{{ cred.password }}"}})
        }
        _ => json!({"headers": {"Authorization": format!("Bearer {value}")}}),
    };
    let mut fields = Vec::new();
    let mut taken = Vec::new();
    for key in beside {
        let (name, field) = field(key, &mut taken);
        put(&mut inject, key, &format!("{{{{ cred.{name} }}}}"));
        fields.push(field);
    }
    // The token is what such parameters hold.
    for key in required.iter().filter(|_| !value.is_empty()) {
        put(&mut inject, key, value);
    }
    scheme["inject"] = inject;
    if !fields.is_empty() {
        scheme["connect_fields"] = fields.into();
    }
}

fn api_key(keys: &[Key], required: &[Key]) -> Option<Value> {
    let (first, more) = keys.split_first()?;
    let mut inject = json!({});
    put(&mut inject, first, "{{ cred.api_key }}");
    let mut fields = vec![
        json!({"name": "generic_api_key", "label": super::words(&first.name), "secret": true}),
    ];
    let mut taken = Vec::new();
    for key in more {
        let (name, field) = field(key, &mut taken);
        put(&mut inject, key, &format!("{{{{ cred.{name} }}}}"));
        fields.push(field);
    }
    let known = |key: &&Key| !keys.iter().any(|k| k.place == key.place && k.name == key.name);
    for key in required.iter().filter(known) {
        put(&mut inject, key, "{{ cred.api_key }}");
    }
    Some(sparse(json!({"scheme": "API_KEY", "connect_fields": fields, "inject": inject})))
}
