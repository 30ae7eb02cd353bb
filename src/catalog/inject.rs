//! Where credentials go in a request. Nothing here prints or returns a credential in an error.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Bytes;
use base64::Engine as _;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::hosts::same_origin;
use super::model::{AuthScheme, Basic, Inject};
use super::path::{PathTemplate, Slot};
use super::template::{Names, Text};
use crate::domain::outbound::{OutboundBody, OutboundRequest, Part};
use crate::domain::scheme::AuthSchemeKind;

/// How errors call the second half of basic credentials.
const PASSWORD: &str = "the password";

/// Compiled places of a scheme's credentials.
#[derive(Debug)]
pub struct Injection {
    headers: Vec<(String, Place)>,
    query: Vec<(String, Place)>,
    body: Vec<(String, Place)>,
    path: Option<PathTemplate>,
    basic: Option<(Place, Place)>,
}

/// One place: its template, and what can be known of it before a call.
#[derive(Debug)]
struct Place {
    text: Text,
    /// Fields of `cred` that it asks for.
    wants: Vec<String>,
    plain: Option<Plain>,
}

/// `Bearer {{ cred.api_key }}`, as nearly all places are: filled without the interpreter.
#[derive(Debug)]
struct Plain {
    before: String,
    field: String,
    after: String,
}

impl Plain {
    fn parse(source: &str) -> Option<Self> {
        let (before, rest) = source.split_once("{{")?;
        let (expression, after) = rest.split_once("}}")?;
        let field = expression.trim().strip_prefix("cred.")?;
        let is_name = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_name && !before.contains('{') && !after.contains('{')).then(|| Self {
            before: before.to_owned(),
            field: field.to_owned(),
            after: after.to_owned(),
        })
    }

    fn fill(&self, cred: &Map<String, Value>) -> Option<String> {
        let value = cred.get(&self.field)?.as_str()?;
        Some([self.before.as_str(), value, self.after.as_str()].concat())
    }
}

impl Place {
    fn compile(source: &str) -> Result<Self, String> {
        let text = Text::compile(source)?;
        let wants = text
            .names()
            .iter()
            .filter_map(|name| name.strip_prefix("cred."))
            .map(|rest| rest.split('.').next().unwrap_or(rest).to_owned())
            .collect();
        Ok(Self { text, wants, plain: Plain::parse(source) })
    }
}

/// Credentials in their places.
#[derive(Clone, Default)]
pub struct Injected {
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// Top-level keys of the body.
    pub body: Vec<(String, String)>,
    /// Path segments, encoded, with a slash in front.
    pub path: Option<String>,
}

impl fmt::Debug for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Injected")
    }
}

impl Injection {
    /// Compiles the `inject` of a scheme, or what the scheme usually does.
    pub(super) fn compile(scheme: &AuthScheme) -> Result<Self, String> {
        let places = match &scheme.inject {
            Some(inject) => inject.clone(),
            None => usual(scheme.scheme)?,
        };
        let list = |map: &BTreeMap<String, String>| -> Result<Vec<(String, Place)>, String> {
            map.iter()
                .map(|(name, text)| {
                    let place = Place::compile(text).map_err(|e| format!("inject {name}: {e}"))?;
                    Ok((name.clone(), place))
                })
                .collect()
        };
        let basic = match &places.basic {
            Some(Basic { username, password }) => {
                Some((Place::compile(username)?, Place::compile(password)?))
            }
            None => None,
        };
        Ok(Self {
            headers: list(&places.headers)?,
            query: list(&places.query)?,
            body: list(&places.body)?,
            path: places
                .path
                .as_deref()
                .map(|path| PathTemplate::compile(path, Slot::expression))
                .transpose()
                .map_err(|e| format!("inject {e}"))?,
            basic,
        })
    }

    /// Names that its templates ask for, dotted.
    pub(super) fn names(&self) -> Vec<String> {
        let lists =
            self.headers.iter().chain(&self.query).chain(&self.body).map(|(_, place)| place);
        let basic = self.basic.iter().flat_map(|(user, password)| [user, password]);
        let path = self.path.iter().flat_map(PathTemplate::names);
        lists.chain(basic).flat_map(|place| place.text.names()).chain(path).collect()
    }

    /// Fills the places.
    ///
    /// # Errors
    /// Names the credential that the connection does not have, never a value.
    pub fn render(
        &self,
        cred: &Map<String, Value>,
        conn: &Map<String, Value>,
    ) -> Result<Injected, String> {
        let names = Names::of_roots(vec![("cred", cred), ("conn", conn)]);
        let fill = |place: &str, at: &Place| -> Result<String, String> {
            // An empty password is common where the user name is a key.
            let optional = place == PASSWORD;
            for field in at.wants.iter().filter(|_| !optional) {
                let held = cred.get(field).is_some_and(|v| !v.is_null() && v != "");
                if !held {
                    return Err(format!("the connection has no `{field}`"));
                }
            }
            let value = match at.plain.as_ref().and_then(|plain| plain.fill(cred)) {
                Some(value) => value,
                None => at
                    .text
                    .text(&names)
                    .map_err(|_| format!("the credential for {place} cannot be made"))?
                    .unwrap_or_default(),
            };
            if value.chars().any(|c| c.is_control()) {
                return Err(format!("the credential for {place} has a control character in it"));
            }
            Ok(value)
        };
        let list = |texts: &[(String, Place)]| -> Result<Vec<(String, String)>, String> {
            texts.iter().map(|(name, text)| Ok((name.clone(), fill(name, text)?))).collect()
        };
        let mut headers = list(&self.headers)?;
        if let Some((user, password)) = &self.basic {
            let user = fill("the user name", user)?;
            if user.contains(':') {
                return Err("the user name must not have a colon in it".into());
            }
            let pair = format!("{user}:{}", fill(PASSWORD, password)?);
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            headers.push(("Authorization".into(), format!("Basic {encoded}")));
        }
        let path = match &self.path {
            Some(path) => Some(segments(path, cred, &names)?),
            None => None,
        };
        Ok(Injected { headers, query: list(&self.query)?, body: list(&self.body)?, path })
    }
}

/// The path segments of a credential. Each value stays inside its own segment: a slash, however a
/// server may decode it, would let a value choose what is called.
fn segments(
    path: &PathTemplate,
    cred: &Map<String, Value>,
    names: &Names<'_>,
) -> Result<String, String> {
    for name in path.names() {
        let Some(field) = name.strip_prefix("cred.") else { continue };
        let value = cred.get(field).and_then(Value::as_str).unwrap_or_default();
        if value.is_empty() {
            return Err(format!("the connection has no `{field}`"));
        }
        if value.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '%' | '?' | '#')) {
            return Err(format!("`{field}` has a character in it that cannot stand in a path"));
        }
    }
    let path = path.render(names).map_err(|_| "the credential cannot stand in the path")?;
    // A colon may stand in a segment as it is, and those who put keys there write it so.
    Ok(path.replace("%3A", ":"))
}

fn usual(kind: AuthSchemeKind) -> Result<Inject, String> {
    let header = |template: &str| Inject {
        headers: BTreeMap::from([("Authorization".to_owned(), template.to_owned())]),
        ..Inject::default()
    };
    match kind {
        AuthSchemeKind::Oauth2 | AuthSchemeKind::DcrOauth => {
            Ok(header("Bearer {{ cred.access_token }}"))
        }
        AuthSchemeKind::BearerToken => Ok(header("Bearer {{ cred.token }}")),
        AuthSchemeKind::Basic => Ok(Inject {
            basic: Some(Basic {
                username: "{{ cred.username }}".into(),
                password: "{{ cred.password }}".into(),
            }),
            ..Inject::default()
        }),
        // OAUTH1 signs the finished request instead.
        AuthSchemeKind::NoAuth | AuthSchemeKind::Oauth1 => Ok(Inject::default()),
        AuthSchemeKind::BasicWithJwt
        | AuthSchemeKind::GoogleServiceAccount
        | AuthSchemeKind::ServiceAccount
        | AuthSchemeKind::CalcomAuth => Ok(header("Bearer {{ cred.access_token }}")),
        AuthSchemeKind::BillcomAuth => Ok(Inject {
            headers: BTreeMap::from([
                ("devKey".to_owned(), "{{ cred.devKey }}".to_owned()),
                ("sessionId".to_owned(), "{{ cred.sessionId }}".to_owned()),
            ]),
            ..Inject::default()
        }),
        AuthSchemeKind::ApiKey => Err("API_KEY needs `inject`: where the key goes".into()),
        other => Err(format!("scheme {} is not supported", other.as_str())),
    }
}

impl Injected {
    /// Puts the credentials into a request, in place of anything of the same name. Segments of the
    /// path go below `root`, or in front of the path of an address that is not below it.
    pub fn apply(self, request: &mut OutboundRequest, root: Option<&Url>) {
        if let Some(path) = &self.path {
            put_in_path(&mut request.url, path, root);
        }
        for (name, mut value) in self.headers {
            if name.eq_ignore_ascii_case("cookie") {
                value = with_cookies(&request.headers, value);
            }
            request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            request.headers.push((name, value));
        }
        if !self.query.is_empty() {
            // What stays, stays as it was written.
            let ours = |raw: &&str| {
                form_urlencoded::parse(raw.as_bytes())
                    .any(|(name, _)| self.query.iter().any(|(ours, _)| *ours == name))
            };
            let query = request.url.query().unwrap_or_default();
            let kept: Vec<&str> =
                query.split('&').filter(|raw| !raw.is_empty() && !ours(raw)).collect();
            let kept = kept.join("&");
            request.url.set_query((!kept.is_empty()).then_some(kept.as_str()));
            request.url.query_pairs_mut().extend_pairs(self.query);
        }
        if !self.body.is_empty() {
            put_in_body(&mut request.body, self.body);
        }
    }
}

/// The cookies of a credential behind those of the request that have other names.
fn with_cookies(headers: &[(String, String)], ours: String) -> String {
    let name = |cookie: &str| cookie.split('=').next().unwrap_or_default().trim().to_owned();
    let taken: Vec<String> = ours.split(';').map(name).collect();
    let held = headers.iter().find(|(known, _)| known.eq_ignore_ascii_case("cookie"));
    let held = held.iter().flat_map(|(_, value)| value.split(';')).map(str::trim);
    let kept = held.filter(|cookie| !cookie.is_empty() && !taken.contains(&name(cookie)));
    kept.chain([ours.as_str()]).collect::<Vec<_>>().join("; ")
}

fn put_in_path(url: &mut Url, path: &str, root: Option<&Url>) {
    let whole = url.path().to_owned();
    let prefix = root
        .filter(|root| same_origin(root, url))
        .map(|root| root.path().trim_end_matches('/'))
        .filter(|prefix| {
            whole.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
        .unwrap_or_default();
    let rest = whole.strip_prefix(prefix).unwrap_or(&whole);
    url.set_path(&format!("{prefix}{}{rest}", path.trim_end_matches('/')));
}

fn put_in_body(body: &mut OutboundBody, keys: Vec<(String, String)>) {
    match body {
        OutboundBody::Json(Value::Object(fields)) => {
            fields.extend(keys.into_iter().map(|(name, value)| (name, Value::String(value))));
        }
        OutboundBody::Form(pairs) => {
            pairs.retain(|(name, _)| !keys.iter().any(|(ours, _)| ours == name));
            pairs.extend(keys);
        }
        OutboundBody::Multipart(parts) => {
            parts.retain(|part| !keys.iter().any(|(ours, _)| *ours == part.name));
            parts.extend(keys.into_iter().map(|(name, value)| Part::text(name, value)));
        }
        OutboundBody::Empty => {
            let fields = keys.into_iter().map(|(name, value)| (name, Value::String(value)));
            *body = OutboundBody::Json(Value::Object(fields.collect()));
        }
        OutboundBody::Raw { content_type, bytes } => {
            let parsed = serde_json::from_slice::<Map<String, Value>>(bytes);
            if let (true, Ok(mut fields)) = (content_type.contains("json"), parsed) {
                fields.extend(keys.into_iter().map(|(name, value)| (name, Value::String(value))));
                *bytes = Bytes::from(Value::Object(fields).to_string());
            }
        }
        // A list or a scalar has no place for a key; the provider will say that it is missing.
        OutboundBody::Json(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn injection(yaml: &str) -> Injection {
        Injection::compile(&serde_saphyr::from_str(yaml).unwrap()).unwrap()
    }

    fn put(injection: &Injection, cred: Value, url: &str, root: &str) -> Result<String, String> {
        let cred = cred.as_object().unwrap().clone();
        let mut request = OutboundRequest {
            method: axum::http::Method::GET,
            url: Url::parse(url).unwrap(),
            headers: Vec::new(),
            body: OutboundBody::Empty,
            timeout: None,
        };
        let root = Url::parse(root).unwrap();
        injection.render(&cred, &Map::new())?.apply(&mut request, Some(&root));
        Ok(request.url.into())
    }

    #[test]
    fn a_key_in_the_path_stands_below_the_root_and_stays_one_segment() {
        let bot = injection("{scheme: API_KEY, inject: {path: '/bot{cred.api_key}'}}");
        let root = "https://api.example.com/v1";
        let with = |key: &str, url: &str| put(&bot, json!({"api_key": key}), url, root);
        assert_eq!(
            with("12:aB-c_d", "https://api.example.com/v1/send?q=1").unwrap(),
            "https://api.example.com/v1/bot12:aB-c_d/send?q=1"
        );
        assert_eq!(with("k", "https://api.example.com/v1").unwrap(), format!("{root}/botk"));
        // Elsewhere there is no root to stand below.
        assert_eq!(
            with("k", "https://api.example.com/v10/x").unwrap(),
            "https://api.example.com/botk/v10/x"
        );
        assert_eq!(with("k", "https://up.example.com/x").unwrap(), "https://up.example.com/botk/x");
        assert_eq!(
            with("é k", "https://api.example.com/v1/x").unwrap(),
            format!("{root}/bot%C3%A9%20k/x")
        );
        for evil in ["", "a/b", "../x", "a%2fb", "a?b", "a#b", "a\\b", "a\r\nb"] {
            assert!(with(evil, "https://api.example.com/v1/x").is_err(), "{evil:?}");
        }
        let alone = injection("{scheme: API_KEY, inject: {path: '/{cred.api_key}'}}");
        for evil in [".", ".."] {
            let cred = json!({"api_key": evil});
            assert!(put(&alone, cred, "https://api.example.com/v1/x", root).is_err(), "{evil}");
        }
    }

    #[test]
    fn several_keys_go_to_several_places() {
        let both = injection(
            "{scheme: API_KEY, inject: {headers: {X-App: '{{ cred.app_key }}',
              Authorization: 'Token {{ cred.api_key }}'}, query: {key: '{{ cred.api_key }}'}}}",
        );
        let cred = json!({"api_key": "k 1", "app_key": "a"}).as_object().unwrap().clone();
        let injected = both.render(&cred, &Map::new()).unwrap();
        let header =
            |name: &str| injected.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(header("X-App"), Some("a"));
        assert_eq!(header("Authorization"), Some("Token k 1"));
        assert_eq!(injected.query, [("key".to_owned(), "k 1".to_owned())]);
    }
}
