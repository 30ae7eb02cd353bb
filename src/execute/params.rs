//! `custom_auth_params`: credentials that the caller puts into the request by name.

use serde_json::{Map, Value, json};
use url::Url;

use super::redact::Secrets;
use super::types::{CustomAuthParam, CustomAuthParams};
use crate::domain::outbound::{OutboundBody, OutboundRequest, Part};
use crate::error::{Error, Result};

/// Headers that belong to the connection, not to the caller.
const FORBIDDEN: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
];

/// Refuses a header that a caller must not set, or that is no header at all. The value is not
/// repeated: it may be a secret.
pub(super) fn check_header(name: &str, value: &str) -> Result<()> {
    let shown: String = name.chars().take(60).collect();
    if axum::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(Error::bad_request(format!("{shown:?} is not a valid header name")));
    }
    if FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
        return Err(Error::bad_request(format!("The header {shown} cannot be set")));
    }
    if axum::http::HeaderValue::from_str(value).is_err() {
        return Err(Error::bad_request(format!(
            "The value of the header {shown} has a line break or another control character in it"
        )));
    }
    Ok(())
}

impl CustomAuthParams {
    /// Refuses what cannot be sent.
    pub(super) fn check(&self, with_account: bool) -> Result<()> {
        if self.base_url.is_some() && with_account {
            return Err(Error::bad_request(
                "custom_auth_params.base_url cannot be used together with a connected account",
            )
            .fix("Leave connected_account_id and custom_connection_data out"));
        }
        for param in &self.parameters {
            match param.location.as_str() {
                "header" => check_header(&param.name, &param.text())?,
                "query" if !param.name.is_empty() => {}
                "query" => return Err(Error::bad_request("A query parameter has no name")),
                _ => {
                    return Err(Error::bad_request(
                        "custom_auth_params.parameters[].in must be `header` or `query`",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Puts the parameters into a request, in place of anything of the same name.
    pub(super) fn apply(&self, request: &mut OutboundRequest) {
        for param in self.parameters.iter().filter(|p| p.location == "header") {
            request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(&param.name));
            request.headers.push((param.name.clone(), param.text()));
        }
        let ours: Vec<&CustomAuthParam> =
            self.parameters.iter().filter(|p| p.location == "query").collect();
        if !ours.is_empty() {
            let kept: Vec<(String, String)> = request
                .url
                .query_pairs()
                .filter(|(name, _)| !ours.iter().any(|p| p.name == *name))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            let ours = ours.iter().map(|p| (p.name.clone(), p.text()));
            request.url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(ours);
        }
        if let Some(body) = &self.body {
            apply_body(&mut request.body, body);
        }
    }

    /// The request's address below the caller's root: scheme, host and port are the root's; a
    /// path of its own replaces the toolkit's path prefix.
    pub(super) fn rebase(&self, base: &Url, url: &mut Url) -> Result<()> {
        let Some(text) = &self.base_url else { return Ok(()) };
        let wrong =
            || Error::bad_request("custom_auth_params.base_url must be an http or https URL");
        let root = Url::parse(text).map_err(|_| wrong())?;
        let plain = root.username().is_empty() && root.password().is_none();
        if !matches!(root.scheme(), "http" | "https") || !root.has_host() || !plain {
            return Err(wrong());
        }
        let mut moved = root.clone();
        let prefix = root.path().trim_end_matches('/');
        if prefix.is_empty() {
            moved.set_path(url.path());
        } else {
            let old = base.path().trim_end_matches('/');
            let rest = url.path().strip_prefix(old).unwrap_or(url.path());
            moved.set_path(&format!("{prefix}{rest}"));
        }
        moved.set_query(url.query());
        moved.set_fragment(None);
        *url = moved;
        Ok(())
    }

    /// Adds all values.
    pub(super) fn add_secrets(&self, secrets: &mut Secrets) {
        for param in &self.parameters {
            let text = param.text();
            secrets.add(text.strip_prefix("Bearer ").unwrap_or(&text));
            secrets.add(&text);
        }
        for value in self.body.iter().flat_map(Map::values) {
            secrets.add_all(value);
        }
    }

    /// For the log: names, no values.
    pub(super) fn described(&self) -> Value {
        let parameters: Vec<Value> = self
            .parameters
            .iter()
            .map(|p| json!({"name": p.name, "in": p.location, "value": "[REDACTED]"}))
            .collect();
        let body: Option<Vec<&String>> = self.body.as_ref().map(|b| b.keys().collect());
        json!({"base_url": self.base_url, "parameters": parameters, "body": body})
    }
}

impl CustomAuthParam {
    fn text(&self) -> String {
        match &self.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

fn apply_body(body: &mut OutboundBody, fields: &Map<String, Value>) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match body {
        OutboundBody::Json(Value::Object(map)) => {
            map.extend(fields.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        OutboundBody::Empty => *body = OutboundBody::Json(Value::Object(fields.clone())),
        OutboundBody::Form(pairs) => {
            pairs.retain(|(name, _)| !fields.contains_key(name));
            pairs.extend(fields.iter().map(|(k, v)| (k.clone(), text(v))));
        }
        OutboundBody::Multipart(parts) => {
            parts.retain(|part| !fields.contains_key(&part.name));
            parts.extend(fields.iter().map(|(k, v)| Part::text(k.clone(), text(v))));
        }
        // Lists, scalars and raw bytes have no place for a key.
        OutboundBody::Json(_) | OutboundBody::Raw { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_of_the_callers_own_keeps_the_path() {
        let base = Url::parse("https://api.x.com/v1").unwrap();
        for (root, expected) in [
            ("https://y.com", "https://y.com/v1/a/b?q=1"),
            ("https://y.com/", "https://y.com/v1/a/b?q=1"),
            ("http://y.com:81/v9/", "http://y.com:81/v9/a/b?q=1"),
        ] {
            let params = CustomAuthParams { base_url: Some(root.into()), ..Default::default() };
            let mut url = Url::parse("https://api.x.com/v1/a/b?q=1").unwrap();
            params.rebase(&base, &mut url).unwrap();
            assert_eq!(url.as_str(), expected);
        }
        for root in ["ftp://y.com", "https://u:p@y.com", "y.com", "javascript:alert(1)"] {
            let params = CustomAuthParams { base_url: Some(root.into()), ..Default::default() };
            let mut url = base.clone();
            assert!(params.rebase(&base, &mut url).is_err(), "{root}");
        }
    }

    #[test]
    fn headers_of_the_connection_and_line_breaks_are_refused() {
        for (name, value) in [
            ("Host", "a"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("X-A", "b\r\nX-C: d"),
            ("X A", "b"),
            ("", "b"),
        ] {
            assert!(check_header(name, value).is_err(), "{name}");
        }
        assert!(check_header("Content-Type", "application/json").is_ok());
    }
}
