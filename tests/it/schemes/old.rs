//! OAuth 1.0a endpoints that check everything about a request but its signature, which the
//! vectors of RFC 5849 and the server of another project (tests/sdk/python/http) check.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use patchbay::domain::time::now;
use percent_encoding::percent_decode_str;
use serde_json::json;

#[derive(Default)]
pub struct Old {
    nonces: Mutex<HashSet<String>>,
    callbacks: Mutex<HashMap<String, String>>,
    spent: Mutex<HashSet<String>>,
    pub down: Mutex<bool>,
}

pub fn router(old: Arc<Old>) -> Router {
    Router::new()
        .route("/oauth1/request_token", post(request_token))
        .route("/oauth1/access_token", post(access_token))
        .route("/oauth1/api/{*rest}", any(api))
        .with_state(old)
}

impl Old {
    /// The callback that an authorization request leads to, once the person consented.
    pub fn consent(&self, url: &url::Url) -> (url::Url, String) {
        assert_eq!(url.path(), "/oauth1/authorize");
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["perms"], "write");
        let token = query["oauth_token"].clone();
        let callback = self.callbacks.lock().unwrap()[&token].clone();
        (callback.parse().unwrap(), token)
    }

    /// The parameters of a header that was never seen before.
    fn fields(&self, headers: &HeaderMap) -> HashMap<String, String> {
        let header = headers["authorization"].to_str().unwrap();
        let list = header.strip_prefix("OAuth ").unwrap().split(", ");
        let fields: HashMap<String, String> = list
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap();
                let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                (name.to_owned(), percent_decode_str(value).decode_utf8().unwrap().into_owned())
            })
            .collect();
        assert_eq!(fields["realm"], "vinyl");
        assert_eq!(fields["oauth_signature_method"], "HMAC-SHA1");
        assert_eq!(fields["oauth_version"], "1.0");
        assert!((now().timestamp() - fields["oauth_timestamp"].parse::<i64>().unwrap()).abs() < 60);
        assert!(self.nonces.lock().unwrap().insert(fields["oauth_nonce"].clone()), "used twice");
        assert_eq!(fields["oauth_signature"].len(), 28);
        fields
    }
}

type Shared = State<Arc<Old>>;

fn form(text: &str) -> Response {
    ([("content-type", "application/x-www-form-urlencoded")], text.to_owned()).into_response()
}

async fn request_token(State(old): Shared, headers: HeaderMap, body: Bytes) -> Response {
    if *old.down.lock().unwrap() {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    assert_eq!(body, "scope=read");
    let fields = old.fields(&headers);
    if fields["oauth_consumer_key"] != "ck" {
        return (StatusCode::UNAUTHORIZED, "oauth_problem=consumer_key_unknown").into_response();
    }
    let token = format!("temp-{}", old.nonces.lock().unwrap().len());
    old.callbacks.lock().unwrap().insert(token.clone(), fields["oauth_callback"].clone());
    form(&format!(
        "oauth_token={token}&oauth_token_secret=temp-secret&oauth_callback_confirmed=true"
    ))
}

async fn access_token(State(old): Shared, headers: HeaderMap) -> Response {
    let fields = old.fields(&headers);
    if fields["oauth_verifier"] != "verifier"
        || !old.spent.lock().unwrap().insert(fields["oauth_token"].clone())
    {
        return (StatusCode::UNAUTHORIZED, "oauth_problem=permission_denied").into_response();
    }
    form("oauth_token=token-1&oauth_token_secret=token-secret-1&user_name=DJ")
}

async fn api(State(old): Shared, headers: HeaderMap) -> Response {
    let fields = old.fields(&headers);
    if fields.get("oauth_token").is_none_or(|t| !t.starts_with("token-")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    axum::Json(json!({"echo": headers["authorization"].to_str().unwrap()})).into_response()
}
