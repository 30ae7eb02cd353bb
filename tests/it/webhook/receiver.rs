//! A project's own server: what it was sent, and what it answers.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio::sync::watch;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether a secret made the signature: our own arithmetic, not the server's.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{}.{}.", self.id(), self.header("webhook-timestamp")).as_bytes());
        mac.update(&self.body);
        let made = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        self.header("webhook-signature") == format!("v1,{made}")
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    With(u16, &'static [(&'static str, &'static str)], String),
    /// Nothing, for ever.
    Hang,
    /// So many bytes.
    Huge(usize),
    /// A status, and a body that never ends.
    Drip(u16),
    /// After a while.
    Slow(Duration),
}

#[derive(Default)]
struct Book {
    received: Vec<Received>,
    replies: VecDeque<Reply>,
    usual: Option<Reply>,
    running: usize,
    most_running: usize,
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub struct Receiver {
    book: Arc<Mutex<Book>>,
    count: watch::Sender<usize>,
    pub address: SocketAddr,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self { book: Arc::default(), count: watch::channel(0).0, address };
        let router = Router::new().fallback(answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=hunter2", self.address)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// The next answers, and after them 200.
    pub fn replies(&self, replies: &[Reply]) {
        self.book().replies.extend(replies.iter().cloned());
    }

    /// The answer when no other is left.
    pub fn usually(&self, reply: Reply) {
        self.book().usual = Some(reply);
    }

    pub fn received(&self) -> Vec<Received> {
        self.book().received.clone()
    }

    pub fn most_at_once(&self) -> usize {
        self.book().most_running
    }

    /// How often each event came.
    pub fn by_id(&self) -> BTreeMap<String, usize> {
        let mut by_id = BTreeMap::new();
        for one in &self.book().received {
            *by_id.entry(one.id().to_owned()).or_default() += 1;
        }
        by_id
    }

    /// Waits for so many requests.
    pub async fn got(&self, count: usize) {
        let mut seen = self.count.subscribe();
        tokio::time::timeout(Duration::from_secs(60), seen.wait_for(|seen| *seen >= count))
            .await
            .unwrap_or_else(|_| panic!("{} of {count}", self.received().len()))
            .unwrap();
    }
}

async fn answer(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let reply = {
        let mut book = receiver.book();
        book.received.push(Received { headers, body });
        book.running += 1;
        book.most_running = book.most_running.max(book.running);
        let next = book.replies.pop_front();
        next.or_else(|| book.usual.clone()).unwrap_or(Reply::Status(200))
    };
    receiver.count.send_modify(|count| *count += 1);
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    let mut response = Response::new(Body::empty());
    match reply {
        Reply::Status(code) => *response.status_mut() = status(code),
        Reply::With(code, headers, text) => {
            *response.status_mut() = status(code);
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            *response.body_mut() = Body::from(text);
        }
        Reply::Hang => std::future::pending().await,
        Reply::Huge(size) => *response.body_mut() = Body::from(vec![b'x'; size]),
        Reply::Drip(code) => {
            *response.status_mut() = status(code);
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
            });
            *response.body_mut() = Body::from_stream(drops);
        }
        Reply::Slow(time) => tokio::time::sleep(time).await,
    }
    receiver.book().running -= 1;
    response
}
