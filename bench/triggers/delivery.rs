//! From the outbox to a receiver.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use patchbay::db::event::EventRow;
use patchbay::domain::id::EventId;
use patchbay::domain::time::{iso, now};
use patchbay::domain::webhook::TRIGGER_MESSAGE;
use patchbay::webhook::subscription::{self, Wish};
use serde_json::json;

use crate::Bench;

/// Callers at a time at saturation.
const PRODUCERS: usize = 128;

/// What the receiver saw. The id of an event holds the nanosecond at which it was brought.
struct Seen {
    begin: Instant,
    count: AtomicU64,
    last: AtomicU64,
    micros: Mutex<Vec<u64>>,
    keeps: AtomicBool,
}

impl Seen {
    fn nanos(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap()
    }

    fn note(&self, id: &str) {
        let now = self.nanos();
        self.count.fetch_add(1, Ordering::Relaxed);
        self.last.fetch_max(now, Ordering::Relaxed);
        if self.keeps.load(Ordering::Relaxed) {
            let brought: u64 = id.split('_').nth(1).unwrap().parse().unwrap();
            self.micros.lock().unwrap().push((now - brought) / 1000);
        }
    }
}

/// A receiver on a thread of its own.
fn receiver(seen: Arc<Seen>) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let seen = seen.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let seen = seen.clone();
                    async move {
                        seen.note(request.headers()["webhook-id"].to_str().unwrap());
                        request.into_body().collect().await?;
                        Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::default()))
                    }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    });
    told.recv().unwrap()
}

/// An event of about a kilobyte.
fn event(bench: &Bench, seen: &Seen, number: u64) -> EventRow {
    let id = EventId::from(format!("msg_{}_{number}", seen.nanos()));
    let at = now();
    EventRow {
        project_id: bench.project.clone(),
        kind: TRIGGER_MESSAGE.to_owned(),
        subject_id: "ti_bench".to_owned(),
        dedupe_key: Some(format!("delivery-{number}")),
        payload: json!({
            "id": id, "type": TRIGGER_MESSAGE,
            "metadata": {
                "log_id": "log_bench", "trigger_slug": "GITHUB_COMMIT_EVENT",
                "trigger_id": "ti_bench", "connected_account_id": "ca_bench",
                "auth_config_id": "ac_bench", "user_id": "somebody",
            },
            "data": {
                "author": "somebody", "id": number, "message": "x".repeat(500),
                "url": "https://example.com/commit/0123456789abcdef0123456789abcdef01234567",
                "timestamp": iso(at),
            },
            "timestamp": iso(at),
        }),
        original: Some("y".repeat(300)),
        created_at: at,
        id,
    }
}

async fn all_arrived(seen: &Seen, count: u64) {
    while seen.count.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Prints what came out.
pub async fn run(bench: &Bench, seconds: u64) {
    let seen = Arc::new(Seen {
        begin: Instant::now(),
        count: AtomicU64::new(0),
        last: AtomicU64::new(0),
        micros: Mutex::default(),
        keeps: AtomicBool::new(false),
    });
    let address = receiver(seen.clone());
    let wish = Wish {
        webhook_url: Some(format!("http://{address}/")),
        version: None,
        enabled_events: Some(vec![TRIGGER_MESSAGE.to_owned()]),
    };
    subscription::create(&bench.app, &bench.project, wish).await.unwrap();
    patchbay::worker::deliver::start(&bench.app);

    let (number, begin) = (AtomicU64::new(0), Instant::now());
    let span = Duration::from_secs(seconds);
    let produce = || async {
        while begin.elapsed() < span {
            let row = event(bench, &seen, number.fetch_add(1, Ordering::Relaxed));
            bench.app.outbox.put(&[row]).await.unwrap();
        }
    };
    futures_util::future::join_all((0..PRODUCERS).map(|_| produce())).await;
    let put = begin.elapsed();
    let stored = number.load(Ordering::Relaxed);
    all_arrived(&seen, stored).await;
    let whole = begin.elapsed();
    let rate = stored as f64 / whole.as_secs_f64();
    println!(
        "saturation: {stored} events in {:.1} s ({:.0}/s stored), {rate:.0}/s delivered",
        whole.as_secs_f64(),
        stored as f64 / put.as_secs_f64()
    );

    // Everything that was under way is noted by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for share in [0.5, 0.1] {
        let per_second = (rate * share).max(1.0);
        seen.keeps.store(true, Ordering::Relaxed);
        let (before, begin) = (seen.count.load(Ordering::Relaxed), Instant::now());
        let mut sent = 0u64;
        let mut calls = tokio::task::JoinSet::new();
        while begin.elapsed() < span {
            let due = (begin.elapsed().as_secs_f64() * per_second) as u64;
            while sent < due {
                let row = event(bench, &seen, number.fetch_add(1, Ordering::Relaxed));
                let app = bench.app.clone();
                calls.spawn(async move { app.outbox.put(&[row]).await.unwrap() });
                sent += 1;
            }
            while calls.try_join_next().is_some() {}
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        calls.join_all().await;
        all_arrived(&seen, before + sent).await;
        seen.keeps.store(false, Ordering::Relaxed);
        let mut micros = std::mem::take(&mut *seen.micros.lock().unwrap());
        micros.sort_unstable();
        let at = |part: f64| micros[((micros.len() - 1) as f64 * part) as usize] as f64 / 1000.0;
        println!(
            "{:.0} % of it, {per_second:.0}/s: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, worst {:.1} ms",
            share * 100.0,
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    // The last notes are on their way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let unfinished: i64 =
        sqlx::query_scalar("select count(*) from webhook_delivery where outcome is null")
            .fetch_one(&bench.app.db)
            .await
            .unwrap();
    println!("deliveries without a note: {unfinished}");
}
