//! A provider in the test process that answers as it is told and remembers what it was asked:
//! for shapes of requests and answers that no real provider at hand has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::support::gate::Gate;

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

#[derive(Default)]
struct Inner {
    answers: Mutex<VecDeque<(u16, Value)>>,
    seen: Mutex<Vec<Seen>>,
    /// The last request of the API.
    api: Mutex<Option<Seen>>,
    /// Tokens that the API does not take.
    dead: Mutex<Vec<String>>,
    issued: Mutex<usize>,
    /// Requests that are not the API's pass here.
    gate: Gate,
}

#[derive(Clone)]
pub struct Provider {
    pub url: String,
    inner: Arc<Inner>,
}

impl Provider {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let router = Router::new().fallback(any).with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// What the next requests that are not the API's are answered; without it a new token.
    pub fn answer(&self, status: u16, body: Value) {
        self.inner.answers.lock().unwrap().push_back((status, body));
    }

    /// Requests that were not the API's, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().last().expect("a request").clone()
    }

    /// What the API was asked last.
    pub fn api(&self) -> Seen {
        self.inner.api.lock().unwrap().clone().expect("a request")
    }

    /// Where requests that are not the API's can be held up.
    pub fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    /// The API refuses a token from now on.
    pub fn kill(&self, token: &str) {
        self.inner.dead.lock().unwrap().push(token.to_owned());
    }
}

async fn any(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query = uri.query().unwrap_or_default();
    let seen = Seen {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: headers.clone(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    if uri.path().starts_with("/api/") {
        let token = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let token = token.unwrap_or_default().to_owned();
        if inner.dead.lock().unwrap().iter().any(|dead| token.ends_with(dead)) {
            return (StatusCode::UNAUTHORIZED, axum::Json(json!({"message": "no"})))
                .into_response();
        }
        *inner.api.lock().unwrap() = Some(seen);
        return axum::Json(json!({"me": true})).into_response();
    }
    inner.seen.lock().unwrap().push(seen);
    inner.gate.pass().await;
    let next = inner.answers.lock().unwrap().pop_front();
    let (status, body) = next.unwrap_or_else(|| {
        let mut issued = inner.issued.lock().unwrap();
        *issued += 1;
        let n = *issued;
        (
            200,
            json!({"access_token": format!("access-{n}"), "token_type": "bearer",
            "expires_in": 3600, "refresh_token": format!("refresh-{n}")}),
        )
    });
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}
