//! What is accepted is delivered, whatever dies meanwhile: servers, the database, the receiver.

mod parts;
mod registration;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use self::parts::{Cluster, Fleet, Provider, Receiver, sign};

/// Events that the provider tells of.
const EVENTS: usize = 10_000;
/// Servers that are killed.
const KILLS: usize = 20;
/// Crashes of the database.
const CRASHES: usize = 2;
/// Calls of the provider at the same time.
const SENDERS: usize = 8;
/// Replicas.
const REPLICAS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_event_arrives_signed_whatever_dies() {
    let cluster = Cluster::start();
    let receiver = Receiver::start(0.3).await;
    let provider = Provider::start().await;
    let fleet = Arc::new(Fleet::start(&cluster, &provider, REPLICAS).await);

    let client = fleet.client(0);
    let hook = parts::set_up(&client, &provider, &receiver).await;

    // The provider: every event until it is taken, at any of the servers.
    let next = Arc::new(AtomicUsize::new(0));
    let tries = Arc::new(AtomicUsize::new(0));
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        let (fleet, hook, next, tries) = (fleet.clone(), hook.clone(), next.clone(), tries.clone());
        senders.push(tokio::spawn(async move {
            let http = parts::http();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= EVENTS {
                    return;
                }
                let body = json!({"n": n, "text": format!("event {n}")}).to_string();
                let mut to = n;
                loop {
                    tries.fetch_add(1, Ordering::Relaxed);
                    let url = format!("http://{}{}", fleet.address(to % REPLICAS), hook.path);
                    let request = http
                        .post(url)
                        .header("x-signature", sign(&hook.secret, &body))
                        .header("x-delivery", n.to_string())
                        .body(body.clone());
                    if request.send().await.is_ok_and(|a| a.status().is_success()) {
                        break;
                    }
                    to += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }));
    }

    // The misfortunes, spread over the time that the events take.
    let reached = |part: usize, parts: usize| {
        let next = next.clone();
        async move {
            while next.load(Ordering::Relaxed) * parts < part * EVENTS {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let mut killed = 0;
    for i in 1..=KILLS {
        reached(i, KILLS + 1).await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..50))).await;
        fleet.kill_and_start(rand::random_range(0..REPLICAS)).await;
        killed += 1;
        if i % (KILLS / CRASHES) == KILLS / CRASHES / 2 {
            cluster.crash().await;
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }

    receiver.wait_for(EVENTS).await;
    let told = receiver.told();
    println!(
        "{EVENTS} events taken in {} calls; {killed} servers killed, the database crashed {CRASHES} times; \
         {} requests at the receiver, {} refused by it, {} events arrived, {} of them more than once",
        tries.load(Ordering::Relaxed),
        told.requests,
        told.refused,
        told.events.len(),
        told.events.values().filter(|ids| ids.arrivals > 1).count(),
    );
    assert_eq!(told.badly_signed, 0, "requests with a wrong signature");
    assert_eq!(told.events.len(), EVENTS);
    let twice: Vec<_> = told.events.iter().filter(|(_, e)| e.webhook_ids.len() != 1).collect();
    assert!(twice.is_empty(), "the same event under several ids: {twice:?}");
}
