//! Where credentials go in a request. Nothing here prints or returns a credential in an error.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Bytes;
use base64::Engine as _;
use serde_json::{Map, Value};

use super::model::{AuthScheme, Basic, Inject};
use super::template::{Names, Text};
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::scheme::AuthSchemeKind;

/// How errors call the second half of basic credentials.
const PASSWORD: &str = "the password";

/// Compiled places of a scheme's credentials.
#[derive(Debug)]
pub struct Injection {
    headers: Vec<(String, Place)>,
    query: Vec<(String, Place)>,
    body: Vec<(String, Place)>,
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
            basic,
        })
    }

    /// Names that its templates ask for, dotted.
    pub(super) fn names(&self) -> Vec<String> {
        let lists =
            self.headers.iter().chain(&self.query).chain(&self.body).map(|(_, place)| place);
        let basic = self.basic.iter().flat_map(|(user, password)| [user, password]);
        lists.chain(basic).flat_map(|place| place.text.names()).collect()
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
        Ok(Injected { headers, query: list(&self.query)?, body: list(&self.body)? })
    }
}

fn usual(kind: AuthSchemeKind) -> Result<Inject, String> {
    let header = |template: &str| Inject {
        headers: BTreeMap::from([("Authorization".to_owned(), template.to_owned())]),
        ..Inject::default()
    };
    match kind {
        AuthSchemeKind::Oauth2 => Ok(header("Bearer {{ cred.access_token }}")),
        AuthSchemeKind::BearerToken => Ok(header("Bearer {{ cred.token }}")),
        AuthSchemeKind::Basic => Ok(Inject {
            basic: Some(Basic {
                username: "{{ cred.username }}".into(),
                password: "{{ cred.password }}".into(),
            }),
            ..Inject::default()
        }),
        AuthSchemeKind::NoAuth => Ok(Inject::default()),
        AuthSchemeKind::ApiKey => Err("API_KEY needs `inject`: where the key goes".into()),
        other => Err(format!("scheme {} is not supported", other.as_str())),
    }
}

impl Injected {
    /// Puts the credentials into a request, in place of anything of the same name.
    pub fn apply(self, request: &mut OutboundRequest) {
        for (name, value) in self.headers {
            request.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            request.headers.push((name, value));
        }
        if !self.query.is_empty() {
            let kept: Vec<(String, String)> = request
                .url
                .query_pairs()
                .filter(|(name, _)| !self.query.iter().any(|(ours, _)| ours == name))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            request.url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(self.query);
        }
        if !self.body.is_empty() {
            put_in_body(&mut request.body, self.body);
        }
    }
}

fn put_in_body(body: &mut OutboundBody, keys: Vec<(String, String)>) {
    match body {
        OutboundBody::Json(Value::Object(fields)) => {
            fields.extend(keys.into_iter().map(|(name, value)| (name, Value::String(value))));
        }
        OutboundBody::Form(pairs) | OutboundBody::Multipart(pairs) => {
            pairs.retain(|(name, _)| !keys.iter().any(|(ours, _)| ours == name));
            pairs.extend(keys);
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
