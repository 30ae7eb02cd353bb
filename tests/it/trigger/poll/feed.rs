//! A provider in the test process: items that can be listed in every way, and faults that no
//! real provider gives on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::support::gate::Gate;

/// An item: its id, and when it was made, in milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: String,
    pub at: i64,
    pub text: String,
}

#[derive(Default)]
pub struct Book {
    /// In the order in which they came.
    pub items: Vec<Item>,
    pub page_size: usize,
    /// Answers to the next lists: status and Retry-After.
    pub faults: VecDeque<(u16, Option<u64>)>,
    /// What is answered for a list as long as it is there.
    pub always: Option<u16>,
    /// What is answered about an item.
    pub item_faults: HashMap<String, u16>,
    /// Tokens before this are forgotten.
    pub floor: usize,
    /// Queries of lists, as they came.
    pub lists: Vec<String>,
    /// Lists by account.
    pub by_key: HashMap<String, usize>,
    /// Page tokens are forgotten.
    pub forgets_pages: bool,
}

/// The provider.
#[derive(Clone)]
pub struct Feed {
    pub url: String,
    book: Arc<Mutex<Book>>,
    pub gate: Arc<Gate>,
}

pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

impl Feed {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let book = Arc::new(Mutex::new(Book { page_size: 20, ..Book::default() }));
        let feed = Self { url, book, gate: Arc::default() };
        let router = Router::new()
            .route("/items/{id}", get(item))
            .route("/{way}", get(list))
            .with_state(feed.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        feed
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// An item that was made some seconds ago.
    pub fn add(&self, id: &str, seconds_ago: i64) -> String {
        self.add_at(id, now_ms() - 1000 * seconds_ago)
    }

    pub fn add_at(&self, id: &str, at: i64) -> String {
        let (id, text) = (id.to_owned(), format!("text of {id}"));
        self.book().items.push(Item { id: id.clone(), at, text });
        id
    }

    pub fn lists(&self) -> usize {
        self.book().lists.len()
    }
}

async fn list(
    State(feed): State<Feed>,
    Path(way): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    feed.gate.pass().await;
    let mut book = feed.book();
    book.lists.push(uri.to_string());
    let key = headers["authorization"].to_str().unwrap().to_owned();
    *book.by_key.entry(key).or_default() += 1;
    let fault = book.faults.pop_front().or(book.always.map(|status| (status, None)));
    if let Some((status, wait)) = fault {
        let mut headers = HeaderMap::new();
        if let Some(wait) = wait {
            headers.insert("retry-after", wait.into());
        }
        let status = StatusCode::from_u16(status).unwrap();
        return (status, headers, axum::Json(json!({"error": "a fault"}))).into_response();
    }
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let number = |name: &str| text(name).map(|text| text.parse::<i64>().unwrap());
    let mut items = book.items.clone();
    match way.as_str() {
        "time" | "bare" => {
            let since = number("since").unwrap();
            items.retain(|item| item.at.div_euclid(1000) >= since);
            items.sort_by_key(|item| std::cmp::Reverse(item.at));
        }
        "changes" => {
            let token = number("token").map_or(0, |token| token as usize);
            if number("token").is_some() && token < book.floor {
                return (StatusCode::GONE, axum::Json(json!({"error": "gone"}))).into_response();
            }
            items = items.split_off(token);
        }
        "ids" => items.reverse(),
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    if text("page").is_some() && book.forgets_pages {
        return (StatusCode::BAD_REQUEST, axum::Json(json!({"error": "page"}))).into_response();
    }
    let from = number("page").map_or(0, |page| page as usize).min(items.len());
    let to = (from + book.page_size).min(items.len());
    let next = (to < items.len()).then(|| to.to_string());
    let shown: Vec<Value> = items[from..to]
        .iter()
        .map(|item| match way.as_str() {
            "time" => {
                let at = chrono::DateTime::from_timestamp_millis(item.at).unwrap();
                json!({"id": item.id, "at": at.to_rfc3339(), "text": item.text})
            }
            _ => json!({"id": item.id}),
        })
        .collect();
    axum::Json(json!({"items": shown, "next": next, "token": book.items.len()})).into_response()
}

async fn item(State(feed): State<Feed>, Path(id): Path<String>) -> Response {
    let book = feed.book();
    if let Some(status) = book.item_faults.get(&id) {
        let status = StatusCode::from_u16(*status).unwrap();
        return (status, axum::Json(json!({"error": "a fault"}))).into_response();
    }
    match book.items.iter().find(|item| item.id == id) {
        Some(item) => {
            axum::Json(json!({"id": item.id, "at": item.at, "text": item.text})).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
