//! An OAuth 2.0 provider in the test process that goes wrong on demand. It rotates refresh tokens,
//! notices reuse, keeps a record of every use, and can break a token request at every point.

mod book;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use patchbay::domain::id::random_text;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::gate::Gate;

pub use book::{Book, Redirect, Rules, Verdict};

/// What happens to a refresh instead of the usual.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer; the token is not looked at.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection breaks before anything was done.
    DropBefore,
    /// Tokens are issued, and the connection breaks before the client sees them.
    DropAfter,
    /// Tokens are issued, and half of the answer arrives.
    Half,
    /// Tokens are issued, and the answer never comes.
    Silence,
    /// Everything waits until the gate opens.
    Held,
    /// Waits at the gate, and then this.
    HeldThen(Box<Fault>),
    /// The usual answer, changed.
    Changed(fn(&mut Value)),
}

impl Fault {
    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let kind = vec![("content-type", "application/json".to_owned())];
        Self::Answer(status, kind, body.to_string())
    }

    /// An answer with a body that is not JSON.
    pub fn text(status: u16, body: &str) -> Self {
        Self::Answer(status, vec![("content-type", "text/html".to_owned())], body.to_owned())
    }
}

/// A point in the life of a refresh, at which a test may step in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The request is here, nothing was done.
    Asked,
    /// Tokens are issued, the answer is not sent.
    Issued,
    /// The answer was handed to the network.
    Answered,
}

/// Called with the point and the client.
type Watcher = Arc<dyn Fn(Point, &str) + Send + Sync>;

struct Inner {
    book: Mutex<Book>,
    next: Mutex<VecDeque<Fault>>,
    exchanges: Mutex<VecDeque<Fault>>,
    always: Mutex<Option<Fault>>,
    watcher: Mutex<Option<Watcher>>,
    gate: Gate,
    forms: Mutex<Vec<HashMap<String, String>>>,
    revoked: Mutex<Vec<String>>,
}

#[derive(Clone)]
pub struct Provider {
    pub url: String,
    inner: Arc<Inner>,
}

impl Provider {
    pub async fn start() -> Self {
        let inner = Arc::new(Inner {
            book: Mutex::default(),
            next: Mutex::default(),
            exchanges: Mutex::default(),
            always: Mutex::default(),
            watcher: Mutex::default(),
            gate: Gate::default(),
            forms: Mutex::default(),
            revoked: Mutex::default(),
        });
        inner.gate.close();
        let router = Router::new()
            .route("/{client}/token", post(token))
            .route("/{client}/revoke", post(revoke))
            .route("/api/me", get(me))
            .with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// The provider's books.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.inner.book()
    }

    /// The person consents to an authorization request: gives the code.
    pub fn consent(&self, url: &url::Url) -> String {
        assert!(url.as_str().starts_with(&format!("{}/authorize?", self.url)), "{url}");
        let param =
            |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        let code = format!("code-{}", random_text(12));
        let known = book::Code {
            redirect_uri: param("redirect_uri").unwrap(),
            challenge: param("code_challenge"),
            client_id: param("client_id").unwrap(),
        };
        self.book().codes.insert(code.clone(), known);
        code
    }

    /// What happens to the next refreshes, one each.
    pub fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner.next.lock().unwrap().extend(faults);
    }

    /// What happens to the next exchanges of a code, one each.
    pub fn next_exchange(&self, fault: Fault) {
        self.inner.exchanges.lock().unwrap().push_back(fault);
    }

    /// Forgets what was to happen.
    pub fn calm(&self) {
        self.inner.next.lock().unwrap().clear();
        self.inner.exchanges.lock().unwrap().clear();
        *self.inner.always.lock().unwrap() = None;
        *self.inner.watcher.lock().unwrap() = None;
    }

    /// What happens to every refresh from now on.
    pub fn always(&self, fault: Option<Fault>) {
        *self.inner.always.lock().unwrap() = fault;
    }

    /// Calls `watcher` at every point of every refresh.
    pub fn watch(&self, watcher: impl Fn(Point, &str) + Send + Sync + 'static) {
        *self.inner.watcher.lock().unwrap() = Some(Arc::new(watcher));
    }

    /// From now on, requests with [`Fault::Held`] wait.
    pub fn close_gate(&self) {
        self.inner.gate.close();
    }

    /// Lets go what is held.
    pub fn open_gate(&self) {
        self.inner.gate.open();
    }

    /// Waits until so many requests are held.
    pub async fn holds(&self, count: usize) {
        self.inner.gate.holds(count).await;
    }

    /// Number of refreshes that came.
    pub fn refreshes(&self) -> usize {
        self.inner.forms.lock().unwrap().len()
    }

    /// Parameters of the last refresh.
    pub fn last_form(&self) -> HashMap<String, String> {
        self.inner.forms.lock().unwrap().last().unwrap().clone()
    }

    /// Tokens that the revocation endpoint was told.
    pub fn revoked(&self) -> Vec<String> {
        self.inner.revoked.lock().unwrap().clone()
    }
}

impl Inner {
    /// A check that failed with the book open must not hide itself behind the lock, nor make
    /// everything after it fail.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn reached(&self, point: Point, client: &str) {
        let watcher = self.watcher.lock().unwrap().clone();
        if let Some(watcher) = watcher {
            watcher(point, client);
        }
    }

    fn fault(&self) -> Option<Fault> {
        let next = self.next.lock().unwrap().pop_front();
        next.or_else(|| self.always.lock().unwrap().clone())
    }
}

fn refused(status: u16, code: &str, description: &str) -> Response {
    let body = json!({"error": code, "error_description": description});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn client_of(headers: &HeaderMap, form: &HashMap<String, String>) -> String {
    let basic = headers.get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    match basic.and_then(|text| text.strip_prefix("Basic ")) {
        Some(text) => {
            let text = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
            String::from_utf8(text).unwrap().split(':').next().unwrap().to_owned()
        }
        None => form["client_id"].clone(),
    }
}

async fn token(
    State(inner): State<Arc<Inner>>,
    Path(client): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let refreshes = match form["grant_type"].as_str() {
        "authorization_code" => false,
        "refresh_token" => true,
        other => return refused(400, "unsupported_grant_type", other),
    };
    if refreshes {
        inner.forms.lock().unwrap().push(form.clone());
    }
    inner.reached(Point::Asked, &client);
    let mut fault =
        if refreshes { inner.fault() } else { inner.exchanges.lock().unwrap().pop_front() };
    if matches!(fault, Some(Fault::Held | Fault::HeldThen(_))) {
        inner.gate.pass().await;
        fault = match fault {
            Some(Fault::HeldThen(then)) => Some(*then),
            _ => None,
        };
    }
    match &fault {
        Some(Fault::Answer(status, headers, body)) => {
            let mut response = Response::builder().status(*status);
            for (name, value) in headers {
                response = response.header(*name, value);
            }
            return response.body(Body::from(body.clone())).unwrap();
        }
        Some(Fault::DropBefore) => return broken(b""),
        _ => {}
    }
    let answer =
        if refreshes { refresh(&inner, &client, &form) } else { exchange(&inner, &headers, &form) };
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(refusal) => return *refusal,
    };
    inner.reached(Point::Issued, &client);
    match fault {
        Some(Fault::DropAfter) => broken(b""),
        Some(Fault::Half) => broken(&answer.to_string().as_bytes()[..20]),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Changed(change)) => {
            change(&mut answer);
            sent(inner, client, &answer)
        }
        _ => sent(inner, client, &answer),
    }
}

/// Tokens, or the refusal.
type Granted = Result<Value, Box<Response>>;

fn exchange(inner: &Inner, headers: &HeaderMap, form: &HashMap<String, String>) -> Granted {
    let mut book = inner.book();
    let no = |status, code, why| Err(Box::new(refused(status, code, why)));
    // A code works once.
    let Some(code) = book.codes.remove(&form["code"]) else {
        return no(400, "invalid_grant", "unknown code");
    };
    if form["redirect_uri"] != code.redirect_uri {
        return no(400, "invalid_grant", "redirect_uri differs");
    }
    if client_of(headers, form) != code.client_id {
        return no(401, "invalid_client", "another client");
    }
    let verifier = form
        .get("code_verifier")
        .map(|v| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(v)));
    if verifier != code.challenge {
        return no(400, "invalid_grant", "PKCE verification failed");
    }
    let issued = book.grant(&code.redirect_uri);
    Ok(answer(&book.rules, &issued, "read write"))
}

fn refresh(inner: &Inner, client: &str, form: &HashMap<String, String>) -> Granted {
    let mut book = inner.book();
    let redirect = form.get("redirect_uri").map(String::as_str);
    match book.refresh(client, &form["refresh_token"], redirect) {
        Ok(issued) => {
            let scope = book.rules.refreshed_scope.unwrap_or("read write");
            Ok(answer(&book.rules, &issued, scope))
        }
        Err(Verdict::Wrong) => {
            Err(Box::new(refused(400, "invalid_request", "redirect_uri is wrong")))
        }
        Err(_) => Err(Box::new(refused(400, "invalid_grant", "the refresh token is not valid"))),
    }
}

fn answer(rules: &Rules, issued: &book::Issued, scope: &str) -> Value {
    let mut answer = json!({"access_token": issued.access, "token_type": "Bearer", "scope": scope});
    if let Some(token) = &issued.refresh {
        answer["refresh_token"] = token.as_str().into();
    }
    if let Some(seconds) = &rules.expires_in {
        answer["expires_in"] = seconds.clone();
    }
    answer
}

/// An answer whose connection breaks after these bytes of the body.
fn broken(bytes: &[u8]) -> Response {
    let error = std::io::Error::other("broken on purpose");
    let parts = [Ok(Bytes::copy_from_slice(bytes)), Err(error)];
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, 1000)
        .body(Body::from_stream(futures_util::stream::iter(parts)))
        .unwrap()
}

/// Says that the answer was sent when the network is done with it.
struct Sent(Arc<Inner>, String);

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.reached(Point::Answered, &self.1);
    }
}

fn sent(inner: Arc<Inner>, client: String, answer: &Value) -> Response {
    let bytes = Bytes::from(answer.to_string());
    let length = bytes.len();
    let guard = Sent(inner, client);
    let body = futures_util::stream::unfold((Some(bytes), guard), |(bytes, guard)| async move {
        bytes.map(|bytes| (Ok::<_, Infallible>(bytes), (None, guard)))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, length)
        .body(Body::from_stream(body))
        .unwrap()
}

async fn revoke(State(inner): State<Arc<Inner>>, body: Bytes) -> StatusCode {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let mut book = inner.book();
    if let Some(grant) = book.grant_of(&form["token"]) {
        book.end(grant, "revoked by the client");
    }
    inner.revoked.lock().unwrap().push(form["token"].clone());
    StatusCode::OK
}

/// The API behind the tokens.
async fn me(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
    let token = token.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    match inner.book().opens(token) {
        Some(grant) => axum::Json(json!({"grant": grant, "token": token})).into_response(),
        None => {
            let body = json!({"message": "the access token is not valid"});
            (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
        }
    }
}
