//! Logins, compiled: what is sent before there is a token, and where the token then is.
//!
//! Errors name steps and keys, never a value: nearly all of them are secrets.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use axum::body::Bytes;
use axum::http::Method;
use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::Toolkit;
use super::body::encoded;
use super::hosts::{self, Base};
use super::model::{self, AuthScheme, BodyKind, SigningAlg};
use super::path::{PathTemplate, Slot};
use super::plan::method;
use super::template::{Names, Text, Tree, is_global};
use crate::config::providers::Provider;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::scheme::AuthSchemeKind;

/// Logins of schemes whose definition has none.
const IMPLIED: &str = include_str!("login_implied.yaml");

/// A scheme's login.
#[derive(Debug)]
pub struct Login {
    assertion: Option<Assertion>,
    steps: Vec<Step>,
    value: Text,
    expires_in: Option<Text>,
    expires_at: Option<Text>,
    expires_default_s: Option<u32>,
    name: Option<String>,
    capture: Vec<(String, Text)>,
}

#[derive(Debug)]
struct Assertion {
    alg: SigningAlg,
    key: Text,
    key_encoding: model::KeyEncoding,
    key_id: Option<Text>,
    headers: BTreeMap<String, String>,
    claims: Tree,
    ttl_s: u32,
    backdate_s: u32,
}

#[derive(Debug)]
struct Step {
    id: String,
    method: Method,
    base: Option<Base>,
    path: Option<PathTemplate>,
    headers: Vec<(String, Text)>,
    query: Vec<(String, Text)>,
    basic: Option<(Text, Text)>,
    body: Body,
    rule: StepRule,
}

#[derive(Debug)]
enum Body {
    Empty,
    Tree(BodyKind, Tree),
    Raw(String, Text),
}

/// How the answer of a step is read.
#[derive(Debug, Clone)]
pub struct StepRule {
    /// Pointer that must hold a true value.
    pub ok: Option<String>,
    /// Pointer that must be absent or empty.
    pub fail_if: Option<String>,
    /// Pointers to the error text.
    pub error: Vec<String>,
}

/// What the templates of a login see.
#[derive(Default)]
pub struct LoginScope {
    /// Everything that the auth config and the connection hold.
    pub cred: Map<String, Value>,
    /// What of it is not secret.
    pub conn: Map<String, Value>,
    /// `scopes`, `now`, `uuid`, `assertion`, `headers`, and the answers of steps.
    pub values: Map<String, Value>,
}

/// A JWT to be signed.
pub struct Unsigned {
    /// Algorithm.
    pub alg: SigningAlg,
    /// The key's text.
    pub key: String,
    /// How the secret of an HS algorithm is written.
    pub key_encoding: model::KeyEncoding,
    /// `kid`.
    pub key_id: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// All claims.
    pub claims: Map<String, Value>,
    /// When it ends, in Unix seconds.
    pub exp: i64,
}

/// The end of a login.
pub struct LoggedIn {
    /// The token.
    pub token: String,
    /// As the definition's templates give it: seconds, or a time.
    pub expires_in: Option<Value>,
    /// A time, or Unix seconds or milliseconds.
    pub expires_at: Option<Value>,
    /// Lifetime when neither says anything.
    pub expires_default_s: Option<u32>,
    /// Further values to keep.
    pub kept: Map<String, Value>,
}

/// Puts the login of the scheme in place where the definition has none.
pub(super) fn imply(scheme: &mut AuthScheme) -> Result<(), String> {
    let whole = |login: &model::Login| login.assertion.is_some() || !login.steps.is_empty();
    if scheme.login.as_ref().is_some_and(whole) || !scheme.scheme.logs_in() {
        return Ok(());
    }
    let mut known: BTreeMap<AuthSchemeKind, model::Login> =
        serde_saphyr::from_str(IMPLIED).map_err(|e| format!("implied logins: {e}"))?;
    let Some(mut implied) = known.remove(&scheme.scheme) else {
        return Err(format!("{} needs `login`", scheme.scheme.as_str()));
    };
    // The definition may name the scopes and leave the rest as it is.
    if let Some(own) = scheme.login.take() {
        implied.scopes = own.scopes;
        implied.available_scopes = own.available_scopes;
    }
    scheme.login = Some(implied);
    Ok(())
}

impl Login {
    /// Compiles a login.
    pub(super) fn compile(
        login: &model::Login,
        provider: Option<&Provider>,
    ) -> Result<Self, String> {
        if login.assertion.is_none() && login.steps.is_empty() {
            return Err("login: needs an assertion or steps".into());
        }
        let last = login.steps.len().saturating_sub(1);
        let mut steps = Vec::with_capacity(login.steps.len());
        for (i, step) in login.steps.iter().enumerate() {
            let moved = provider.and_then(|p| p.token_url.as_deref()).filter(|_| i == last);
            let compiled = Step::compile(step, provider, moved);
            steps.push(compiled.map_err(|e| format!("login step `{}`: {e}", step.id))?);
        }
        let token = &login.token;
        let value = match (&token.value, login.steps.last()) {
            (Some(text), _) => text.clone(),
            (None, Some(step)) => format!("{{{{ {}.access_token }}}}", step.id),
            (None, None) => "{{ assertion }}".to_owned(),
        };
        let optional = |text: &Option<String>| text.as_deref().map(Text::compile).transpose();
        Ok(Self {
            assertion: login.assertion.as_ref().map(Assertion::compile).transpose()?,
            steps,
            value: Text::compile(&value)?,
            expires_in: optional(&token.expires_in)?,
            expires_at: optional(&token.expires_at)?,
            expires_default_s: token.expires_default_s,
            name: token.name.clone(),
            capture: texts(&token.capture)?,
        })
    }

    /// Problems of its names: `cred` and `conn` say which fields there are.
    pub(super) fn problems(&self, cred: &BTreeSet<String>, conn: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut known: Vec<&str> = vec!["scopes", "now", "uuid"];
        let mut check = |names: HashSet<String>, known: &[&str]| {
            for name in names {
                let mut parts = name.split('.');
                let (root, field) = (parts.next().unwrap_or_default(), parts.next());
                let good = match root {
                    "cred" => field.is_some_and(|f| cred.contains(f)),
                    "conn" => field.is_some_and(|f| conn.contains(f)),
                    "headers" => field.is_some_and(|f| known.contains(&f)),
                    other => known.contains(&other) || is_global(other),
                };
                if !good {
                    problems.push(format!("login: `{name}` is not a name that is there"));
                }
            }
        };
        if let Some(assertion) = &self.assertion {
            check(assertion.names(), &known);
            known.push("assertion");
        }
        let mut twice = Vec::new();
        for step in &self.steps {
            check(step.names(), &known);
            if known.contains(&step.id.as_str())
                || ["cred", "conn", "headers", "item", "args"].contains(&step.id.as_str())
            {
                twice.push(format!("login step id `{}` is taken", step.id));
            }
            known.push(&step.id);
        }
        let ends = [Some(&self.value), self.expires_in.as_ref(), self.expires_at.as_ref()];
        let ends = ends.into_iter().flatten().chain(self.capture.iter().map(|(_, text)| text));
        for text in ends {
            check(text.names(), &known);
        }
        problems.extend(twice);
        problems
    }

    /// Whether a step's address is made of fields of the connection.
    pub(super) fn has_templated_url(&self) -> bool {
        self.steps.iter().filter_map(|s| s.base.as_ref()).any(|base| !base.is_fixed())
    }

    /// Name under which the token is kept besides `access_token`.
    pub fn token_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The assertion for this moment, when the login has one.
    ///
    /// # Errors
    /// Names what cannot be made.
    pub fn assertion(&self, scope: &LoginScope, now: i64) -> Result<Option<Unsigned>, String> {
        self.assertion.as_ref().map(|a| a.unsigned(scope, now)).transpose()
    }

    /// Number of requests.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Id of a step, and how its answer is read.
    pub fn step(&self, step: usize) -> Option<(&str, &StepRule)> {
        self.steps.get(step).map(|s| (s.id.as_str(), &s.rule))
    }

    /// The request of a step.
    ///
    /// # Errors
    /// Names what cannot be made.
    pub fn request(
        &self,
        step: usize,
        toolkit: &Toolkit,
        scope: &LoginScope,
    ) -> Result<OutboundRequest, String> {
        let step = self.steps.get(step).ok_or("no such step")?;
        step.request(toolkit, scope)
    }

    /// The token, after the last step.
    ///
    /// # Errors
    /// When it is not where the definition says.
    pub fn logged_in(&self, scope: &LoginScope) -> Result<LoggedIn, String> {
        let names = scope.names();
        let token = self.value.text(&names).ok().flatten().unwrap_or_default();
        if token.is_empty() || token.chars().any(char::is_control) {
            return Err("the answer has no token".into());
        }
        let value = |text: &Option<Text>| {
            text.as_ref().and_then(|t| t.value(&names).ok()).filter(|v| !v.is_null())
        };
        let mut kept = Map::new();
        for (name, text) in &self.capture {
            if let Some(value) = text.value(&names).ok().filter(|v| !v.is_null()) {
                kept.insert(name.clone(), value);
            }
        }
        if let Some(name) = &self.name {
            kept.insert(name.clone(), token.clone().into());
        }
        Ok(LoggedIn {
            token,
            expires_in: value(&self.expires_in),
            expires_at: value(&self.expires_at),
            expires_default_s: self.expires_default_s,
            kept,
        })
    }
}

impl LoginScope {
    fn names(&self) -> Names<'_> {
        Names::of_login(&self.cred, &self.conn, &self.values)
    }
}

fn texts(map: &BTreeMap<String, String>) -> Result<Vec<(String, Text)>, String> {
    map.iter()
        .map(|(name, text)| {
            Ok((name.clone(), Text::compile(text).map_err(|e| format!("{name}: {e}"))?))
        })
        .collect()
}

impl Assertion {
    fn compile(def: &model::LoginAssertion) -> Result<Self, String> {
        for taken in ["iat", "exp"] {
            if def.claims.contains_key(taken) {
                return Err(format!("login assertion: `{taken}` is made of ttl_s and backdate_s"));
            }
        }
        Ok(Self {
            alg: def.alg,
            key: Text::compile(&def.key)?,
            key_encoding: def.key_encoding,
            key_id: def.key_id.as_deref().map(Text::compile).transpose()?,
            headers: def.headers.clone(),
            claims: Tree::object(&def.claims).map_err(|e| format!("claims: {e}"))?,
            ttl_s: def.ttl_s,
            backdate_s: def.backdate_s,
        })
    }

    fn names(&self) -> HashSet<String> {
        let key_id = self.key_id.iter().flat_map(Text::names);
        self.key.names().into_iter().chain(self.claims.names()).chain(key_id).collect()
    }

    fn unsigned(&self, scope: &LoginScope, now: i64) -> Result<Unsigned, String> {
        let names = scope.names();
        let key = self.key.text(&names).ok().flatten().filter(|k| !k.is_empty());
        let claims = self.claims.render(&names, true);
        let Ok(Value::Object(mut claims)) = claims else {
            return Err("the claims of the assertion cannot be made".into());
        };
        // An empty text is what an optional field comes out as.
        claims.retain(|_, value| value != "");
        let exp = now + i64::from(self.ttl_s);
        claims.insert("iat".into(), json!(now - i64::from(self.backdate_s)));
        claims.insert("exp".into(), json!(exp));
        Ok(Unsigned {
            alg: self.alg,
            key: key.ok_or("the connection has no key to sign with")?,
            key_encoding: self.key_encoding,
            key_id: self
                .key_id
                .as_ref()
                .and_then(|t| t.text(&names).ok().flatten())
                .filter(|t| !t.is_empty()),
            headers: self.headers.clone(),
            claims,
            exp,
        })
    }
}

impl Step {
    fn compile(
        def: &model::LoginStep,
        provider: Option<&Provider>,
        moved: Option<&str>,
    ) -> Result<Self, String> {
        let request = &def.request;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if def.id.is_empty() || !def.id.chars().all(plain) {
            return Err("the id must be made of a-z, 0-9 and _".into());
        }
        let base = match (&request.url, moved) {
            (Some(_), Some(moved)) => Some(Base::compile(moved, None)?),
            (Some(url), None) => {
                Some(Base::compile(url, provider).map_err(|e| format!("url: {e}"))?)
            }
            (None, _) if request.path.is_none() => return Err("needs `url` or `path`".into()),
            (None, _) => None,
        };
        let body = match (&request.form, &request.json, &request.raw) {
            (None, None, None) => Body::Empty,
            (Some(form), None, None) => Body::Tree(BodyKind::Form, Tree::object(form)?),
            (None, Some(json), None) => Body::Tree(BodyKind::Json, Tree::compile(json)?),
            (None, None, Some(raw)) => {
                Body::Raw(raw.content_type.clone(), Text::template(&raw.text)?)
            }
            _ => return Err("only one of `form`, `json` and `raw` may be there".into()),
        };
        let path = request.path.as_deref();
        Ok(Self {
            id: def.id.clone(),
            method: method(request.method),
            base,
            path: path.map(|p| PathTemplate::compile(p, Slot::expression)).transpose()?,
            headers: texts(&request.headers)?,
            query: texts(&request.query)?,
            basic: match &request.basic {
                Some(basic) => {
                    Some((Text::compile(&basic.username)?, Text::compile(&basic.password)?))
                }
                None => None,
            },
            body,
            rule: StepRule {
                ok: def.ok.clone(),
                fail_if: def.fail_if.clone(),
                error: def.error.clone(),
            },
        })
    }

    fn names(&self) -> HashSet<String> {
        let basic = self.basic.iter().flat_map(|(user, password)| [user, password]);
        let texts = self.headers.iter().chain(&self.query).map(|(_, text)| text).chain(basic);
        let mut names: HashSet<String> = texts.flat_map(Text::names).collect();
        names.extend(self.base.iter().flat_map(Base::names));
        names.extend(self.path.iter().flat_map(PathTemplate::names));
        match &self.body {
            Body::Empty => {}
            Body::Tree(_, tree) => names.extend(tree.names()),
            Body::Raw(_, text) => names.extend(text.names()),
        }
        names
    }

    fn request(&self, toolkit: &Toolkit, scope: &LoginScope) -> Result<OutboundRequest, String> {
        let names = scope.names();
        let base = match &self.base {
            Some(base) => base.url(&toolkit.hosts, &scope.conn)?,
            None => toolkit.base_url(&scope.conn)?,
        };
        let mut url = match &self.path {
            Some(path) => hosts::join(&base, &path.render(&names).map_err(path_problem)?)?,
            None => base,
        };
        let fill = |what: &str, text: &Text| -> Result<Option<String>, String> {
            text.text(&names).map_err(|_| format!("{what} of the login cannot be made"))
        };
        let mut query = Vec::new();
        for (name, text) in &self.query {
            query.extend(fill(name, text)?.map(|value| (name.clone(), value)));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = Vec::new();
        for (name, text) in &self.headers {
            if let Some(value) = fill(name, text)? {
                if value.chars().any(char::is_control) {
                    return Err(format!("{name} of the login has a control character in it"));
                }
                headers.push((name.clone(), value));
            }
        }
        if let Some((user, password)) = &self.basic {
            let user = fill("the user name", user)?.unwrap_or_default();
            if user.contains(':') {
                return Err("the user name must not have a colon in it".into());
            }
            let pair = format!("{user}:{}", fill("the password", password)?.unwrap_or_default());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            headers.push(("Authorization".into(), format!("Basic {encoded}")));
        }
        let body = match &self.body {
            Body::Empty => OutboundBody::Empty,
            Body::Tree(kind, tree) => {
                let value = tree.render(&names, true);
                encoded(*kind, value.map_err(|_| "the body of the login cannot be made")?)
            }
            Body::Raw(content_type, text) => OutboundBody::Raw {
                content_type: content_type.clone(),
                bytes: Bytes::from(fill("the body", text)?.unwrap_or_default()),
            },
        };
        Ok(OutboundRequest { method: self.method.clone(), url, headers, body, timeout: None })
    }
}

/// The path's own words name a placeholder as `cred.x`; a person knows it as `x`.
fn path_problem(problem: String) -> String {
    problem.replace("`cred.", "`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_implied_logins_compile_and_ask_for_the_schemes_own_fields() {
        for kind in ["GOOGLE_SERVICE_ACCOUNT", "SERVICE_ACCOUNT", "BILLCOM_AUTH"] {
            let mut scheme: AuthScheme =
                serde_saphyr::from_str(&format!("{{scheme: {kind}}}")).unwrap();
            imply(&mut scheme).unwrap();
            let login = Login::compile(scheme.login.as_ref().unwrap(), None).unwrap();
            let names = |fields: Vec<super::super::fields::FieldSpec>| {
                fields.into_iter().map(|f| f.name).collect::<Vec<_>>()
            };
            let cred = names(super::super::fields::connect_fields(&scheme));
            let found = login.problems(&cred.into_iter().collect(), &BTreeSet::new());
            assert!(found.is_empty(), "{kind}: {found:?}");
        }
        let mut scheme: AuthScheme =
            serde_saphyr::from_str("{scheme: GOOGLE_SERVICE_ACCOUNT, login: {scopes: [a]}}")
                .unwrap();
        imply(&mut scheme).unwrap();
        let login = scheme.login.unwrap();
        assert!(login.assertion.is_some() && login.scopes == ["a"], "{login:?}");
        for kind in ["BASIC_WITH_JWT", "CALCOM_AUTH"] {
            let mut scheme: AuthScheme =
                serde_saphyr::from_str(&format!("{{scheme: {kind}}}")).unwrap();
            assert!(imply(&mut scheme).unwrap_err().contains("needs `login`"));
        }
    }

    #[test]
    fn claims_that_come_out_as_none_are_left_out() {
        let login: model::Login = serde_saphyr::from_str(
            "{assertion: {alg: HS256, key: '{{ cred.k }}', ttl_s: 60, backdate_s: 5,
              claims: {sub: '{{ cred.subject or none }}', iss: '{{ cred.who }}', aud: [a, b]}}}",
        )
        .unwrap();
        let login = Login::compile(&login, None).unwrap();
        let cred = json!({"k": "key", "who": "me"}).as_object().unwrap().clone();
        let scope = LoginScope { cred, ..LoginScope::default() };
        let jwt = login.assertion(&scope, 1_000).unwrap().unwrap();
        let expected = json!({"iss": "me", "aud": ["a", "b"], "iat": 995, "exp": 1060});
        assert_eq!(Value::Object(jwt.claims), expected);
        assert!(login.assertion(&LoginScope::default(), 0).is_err());
    }
}
