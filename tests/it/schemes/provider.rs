//! Token endpoints in the test process, after what their services document, and an API that knows
//! the tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patchbay::domain::time::{iso, now};
use serde_json::{Value, json};

use crate::support::gate::Gate;

/// A request to the API.
#[derive(Clone, Debug)]
pub struct Seen {
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Default)]
pub struct Inner {
    /// Tokens that the API accepts.
    tokens: Mutex<Vec<String>>,
    seen: Mutex<Vec<Seen>>,
    logins: Mutex<Vec<Value>>,
    password: Mutex<String>,
    down: Mutex<Option<u16>>,
    /// Logins pass here before they get their token.
    gate: Gate,
}

#[derive(Clone)]
pub struct Provider {
    pub url: String,
    inner: Arc<Inner>,
}

type Shared = State<Arc<Inner>>;

impl Provider {
    pub async fn start(more: Router) -> Self {
        let inner = Arc::new(Inner::default());
        *inner.password.lock().unwrap() = "right".into();
        let router = Router::new()
            .route("/api/login", post(jwt_login))
            .route("/api/installations/{id}/access_tokens", post(installation))
            .route("/google/token", post(google))
            .route("/bill/v3/login", post(bill_login))
            .route("/cal/v2/oauth-clients/{client}/users", get(cal_users))
            .route("/cal/v2/oauth-clients/{client}/users/{user}/force-refresh", post(cal_refresh))
            .fallback(api)
            .with_state(inner.clone())
            .merge(more);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// Forgets every token that was given out.
    pub fn forget(&self) {
        self.inner.tokens.lock().unwrap().clear();
    }

    pub fn password(&self, word: &str) {
        *self.inner.password.lock().unwrap() = word.to_owned();
    }

    /// Answers of the token endpoints from now on.
    pub fn down(&self, status: Option<u16>) {
        *self.inner.down.lock().unwrap() = status;
    }

    /// Where logins can be held up.
    pub fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    pub fn logins(&self) -> Vec<Value> {
        self.inner.logins.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn last(&self) -> Seen {
        self.inner.seen.lock().unwrap().last().expect("the API was called").clone()
    }
}

impl Inner {
    async fn login(&self, what: Value) -> Result<String, Box<Response>> {
        self.gate.pass().await;
        if let Some(status) = *self.down.lock().unwrap() {
            let status = StatusCode::from_u16(status).unwrap();
            return Err((status, [("retry-after", "7")], "busy").into_response().into());
        }
        let mut logins = self.logins.lock().unwrap();
        logins.push(what);
        let token = format!("tok-{}-secret", logins.len());
        self.tokens.lock().unwrap().push(token.clone());
        Ok(token)
    }
}

fn no(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

async fn jwt_login(State(inner): Shared, axum::Json(body): axum::Json<Value>) -> Response {
    if body["pass"] != inner.password.lock().unwrap().as_str() {
        // A provider that repeats what it was sent.
        let text = format!("wrong password {}", body["pass"].as_str().unwrap());
        return no(401, json!({ "message": text }));
    }
    match inner.login(json!({"user": body["user"]})).await {
        Ok(token) => {
            let until = iso(now() + chrono::TimeDelta::minutes(10));
            axum::Json(json!({"jwt": token, "until": until, "account": "acc-1"})).into_response()
        }
        Err(response) => *response,
    }
}

/// Claims of a JWT whose RS256 signature is right.
fn verified(jwt: &str) -> Option<(Value, Value)> {
    let (message, signature) = jwt.rsplit_once('.')?;
    let key = ring::signature::UnparsedPublicKey::new(
        &ring::signature::RSA_PKCS1_2048_8192_SHA256,
        include_bytes!("throwaway-rsa-public.der"),
    );
    key.verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let (header, claims) = message.split_once('.')?;
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let (header, claims): (Value, Value) = (read(header)?, read(claims)?);
    let at = now().timestamp();
    let good = claims["iat"].as_i64()? <= at && claims["exp"].as_i64()? > at;
    good.then_some((header, claims))
}

async fn installation(
    State(inner): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let jwt = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let Some((_, claims)) = verified(jwt) else {
        return no(401, json!({"message": "A JSON web token could not be decoded"}));
    };
    match inner.login(json!({"installation": id, "claims": claims})).await {
        Ok(token) => {
            let end = iso(now() + chrono::TimeDelta::hours(1));
            (StatusCode::CREATED, axum::Json(json!({"token": token, "expires_at": end})))
                .into_response()
        }
        Err(response) => *response,
    }
}

async fn google(State(inner): Shared, body: Bytes) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let Some((header, claims)) = verified(&form["assertion"]) else {
        let text = "Invalid JWT Signature.";
        return no(400, json!({"error": "invalid_grant", "error_description": text}));
    };
    match inner.login(json!({"header": header, "claims": claims})).await {
        Ok(token) => axum::Json(json!({"access_token": token, "expires_in": 3599,
            "token_type": "Bearer"}))
        .into_response(),
        Err(response) => *response,
    }
}

async fn bill_login(State(inner): Shared, axum::Json(body): axum::Json<Value>) -> Response {
    if body["password"] != inner.password.lock().unwrap().as_str() {
        return no(
            400,
            json!([{"code": "BDC_1101", "severity": "ERROR", "message": "Invalid login"}]),
        );
    }
    match inner.login(body).await {
        Ok(token) => axum::Json(json!({"sessionId": token, "organizationId": "org",
            "userId": "u", "apiEndPoint": "x"}))
        .into_response(),
        Err(response) => *response,
    }
}

async fn cal_users(
    State(inner): Shared,
    Path(client): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if headers["x-cal-secret-key"] != inner.password.lock().unwrap().as_str() {
        return no(401, json!({"status": "error", "error": {"message": "Invalid secret"}}));
    }
    assert_eq!(client, "client-1");
    let found = (query["emails"] == "a@example.com").then(|| json!({"id": 42}));
    axum::Json(json!({"status": "success", "data": Vec::from_iter(found)})).into_response()
}

async fn cal_refresh(State(inner): Shared, Path(at): Path<(String, String)>) -> Response {
    match inner.login(json!({"client": at.0, "user": at.1})).await {
        Ok(token) => {
            let end = (now() + chrono::TimeDelta::hours(1)).timestamp_millis();
            axum::Json(json!({"status": "success", "data": {"accessToken": token,
                "refreshToken": "r", "accessTokenExpiresAt": end}}))
            .into_response()
        }
        Err(response) => *response,
    }
}

/// Anything else: the API. It accepts the tokens that were given out, in any place.
async fn api(State(inner): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let seen = Seen {
        uri: uri.clone(),
        headers: headers.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    inner.seen.lock().unwrap().push(seen);
    let tokens = inner.tokens.lock().unwrap();
    let known = headers
        .values()
        .filter_map(|v| v.to_str().ok())
        .any(|value| tokens.iter().any(|t| value == t || value.ends_with(&format!(" {t}"))));
    let free = ["/api/v1/", "/api/free"].iter().any(|p| uri.path().starts_with(p));
    if known || free {
        axum::Json(json!({"path": uri.path()})).into_response()
    } else {
        no(401, json!({"message": "who are you"}))
    }
}
