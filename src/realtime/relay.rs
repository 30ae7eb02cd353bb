//! Publishing events through an app of a Pusher service, for clients that cannot reach this server
//! (`realtime_relay_url`).
//!
//! One replica publishes: the one that holds a lock of the database. Another takes over when the
//! lock's connection ends, and publishes what was announced shortly before once more; a client may
//! then get an event twice, but no event is missed. When the service is away for long, events
//! are given up: webhooks are what is kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use chrono::TimeDelta;
use hmac::Mac;
use md5::{Digest, Md5};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::channel::Channel;
use super::hub::Hub;
use super::listen;
use super::message::Message;
use super::sign::mac;
use crate::config::Relay;
use crate::db;
use crate::domain::id::ProjectId;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::time;

/// Messages in one request, by the service's documentation.
const BATCH: usize = 10;

/// Messages that wait to be published.
const QUEUE: usize = 10_000;

/// Waits after requests that failed for no fault of theirs.
const RETRY: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// How often a replica tries to lead, and the one that does looks whether it still does.
const LEAD_EVERY: Duration = Duration::from_secs(2);

/// What is published again by a replica that takes over.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
const AGAIN_MOST: i64 = 5_000;

/// Message of a channel, as the service takes it.
#[derive(Debug)]
struct Publication {
    channel: String,
    message: Message,
}

/// The way to the publisher.
#[derive(Debug)]
pub struct Queue {
    leads: AtomicBool,
    sender: mpsc::Sender<Publication>,
}

/// The other end of a [`Queue`].
#[derive(Debug)]
pub struct Publications(mpsc::Receiver<Publication>);

impl Queue {
    /// With its other end.
    pub fn new() -> (Self, Publications) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { leads: AtomicBool::new(false), sender }, Publications(receiver))
    }

    /// Whether this replica publishes.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// Publishes an event, if this replica does. Sockets do not wait for that.
    pub fn publish(&self, project: &ProjectId, messages: &[Message]) {
        if !self.leads() {
            return;
        }
        for channel in Channel::ALL {
            for message in messages {
                let channel = channel.name(project);
                let publication = Publication { channel, message: message.clone() };
                if self.sender.try_send(publication).is_err() {
                    tracing::error!("the realtime relay is too slow; an event is not published");
                    return;
                }
            }
        }
    }
}

/// Tries to lead until the server stops, and says whether it does.
pub async fn lead(hub: &Hub, queue: &Queue) {
    let pool = db::small_pool(&hub.app.db, 1);
    loop {
        if let Ok(mut connection) = pool.acquire().await {
            while let Ok(true) = db::realtime::lead(&mut *connection).await {
                if !queue.leads.swap(true, Ordering::Relaxed) {
                    tracing::info!("this server publishes to the realtime relay");
                    again(hub, queue).await;
                }
                sleep(LEAD_EVERY).await;
            }
            queue.leads.store(false, Ordering::Relaxed);
        }
        sleep(LEAD_EVERY).await;
    }
}

/// Publishes what the last one to lead may have left undone.
async fn again(hub: &Hub, queue: &Queue) {
    let from = time::now() - AGAIN;
    let read = async {
        let mut ids = db::realtime::since(&hub.app.db, None, from, AGAIN_MOST).await?;
        while !ids.is_empty() {
            for event in listen::events(hub, &mut ids).await? {
                queue.publish(&event.project_id, &listen::messages_of(&event));
            }
        }
        Ok::<(), sqlx::Error>(())
    };
    if let Err(error) = read.await {
        tracing::warn!(%error, "events of before this server published are not published again");
    }
}

/// Publishes until the server stops.
pub async fn publish(hub: &Hub, relay: &Relay, publications: Publications) {
    let Publications(mut receiver) = publications;
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let entry = |p: &Publication| json!({"channel": p.channel, "name": p.message.name, "data": p.message.data});
        let entries: Vec<Value> = batch.drain(..).map(|p| entry(&p)).collect();
        let body = Bytes::from(json!({"batch": entries}).to_string());
        let mut waits = RETRY.into_iter();
        while let Err(error) = send(hub, relay, body.clone()).await {
            let Some(wait) = error.is_passing.then(|| waits.next()).flatten() else {
                tracing::error!(error = error.text, "the realtime relay did not take events");
                break;
            };
            tracing::warn!(error = error.text, "the realtime relay did not answer; trying again");
            sleep(wait).await;
        }
    }
}

struct Failure {
    text: String,
    /// It may be better later.
    is_passing: bool,
}

async fn send(hub: &Hub, relay: &Relay, body: Bytes) -> Result<(), Failure> {
    let mut url = relay.url.clone();
    url.set_path(&format!("{}/batch_events", relay.url.path()));
    let query = signed_query(relay, "POST", url.path(), &body, time::now().timestamp());
    url.set_query(Some(&query));
    let request = OutboundRequest {
        method: Method::POST,
        url,
        headers: Vec::new(),
        body: OutboundBody::Raw { content_type: "application/json".to_owned(), bytes: body },
        timeout: None,
    };
    let failure = |text: String, is_passing| Err(Failure { text, is_passing });
    match hub.app.net.send_small(request, 64 * 1024).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => {
            let is_passing = answer.status == 429 || answer.status >= 500;
            failure(format!("it answered {}", answer.status), is_passing)
        }
        Err(error) => failure(error.to_string(), true),
    }
}

/// The query that signs a request, by the service's documentation: names in order, the signature
/// last.
fn signed_query(relay: &Relay, method: &str, path: &str, body: &[u8], at: i64) -> String {
    let key = &relay.key;
    let md5 = hex::encode(Md5::digest(body));
    let query = format!("auth_key={key}&auth_timestamp={at}&auth_version=1.0&body_md5={md5}");
    let mut mac = mac(relay.secret.expose_secret().as_bytes());
    mac.update(format!("{method}\n{path}\n{query}").as_bytes());
    format!("{query}&auth_signature={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_like_the_example_of_the_services_documentation() {
        let url = "http://278d425bdf160c739803:7ad3773142a6692b25b8@api.pusherapp.com/apps/3";
        let relay = Relay::parse(url).unwrap();
        let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let query = signed_query(&relay, "POST", "/apps/3/events", body, 1_353_088_179);
        assert!(query.contains("body_md5=ec365a775a4cd0599faeb73354201b6f"), "{query}");
        assert!(
            query.ends_with(
                "auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
            ),
            "{query}"
        );
    }
}
