//! One attempt: an event is sent to a subscription, and what came of it is put into words.

use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Map, Value};

use super::{payload, plan, sign};
use crate::app::App;
use crate::db::webhook_delivery::{Letter, Verdict};
use crate::domain::outbound::{OutboundBody, OutboundRequest, OutboundResponse};
use crate::domain::secret::ExposeSecret;
use crate::domain::time::{iso, now};
use crate::domain::webhook::Subscription;

/// Characters of a receiver's answer that are kept.
const EXCERPT: usize = 300;

/// What came of a letter.
pub(super) struct Sent {
    /// What becomes of the delivery.
    pub verdict: Verdict,
    /// The attempt for its history; none: there was none.
    pub attempt: Option<Value>,
    /// How long the receiver took.
    pub took: Duration,
    /// The receiver is gone for good: 410.
    pub is_gone: bool,
}

impl Sent {
    fn without_attempt(verdict: Verdict) -> Self {
        Self { verdict, attempt: None, took: Duration::ZERO, is_gone: false }
    }
}

/// Sends a letter.
pub(super) async fn send(app: &App, letter: &Letter) -> Sent {
    let found = app.cache.subscription(&letter.project_id, &letter.subscription_id).await;
    let (subscription, event) = match (found, &letter.payload) {
        (Ok(Some(subscription)), Some(event)) => (subscription, event),
        // It was deleted, or the event is forgotten.
        (Ok(_), _) => return Sent::without_attempt(Verdict::Dropped),
        (Err(error), _) => {
            tracing::warn!(
                project = %letter.project_id, subscription = %letter.subscription_id, %error,
                "a webhook subscription cannot be read; its deliveries wait"
            );
            return Sent::without_attempt(Verdict::Again(Duration::from_secs(5)));
        }
    };
    if !subscription.is_enabled {
        return Sent::without_attempt(Verdict::Dead);
    }
    let body = match payload::body(subscription.version, event) {
        Ok(body) => body,
        Err(_) => return Sent::without_attempt(Verdict::Dead),
    };
    let at = now();
    let (id, timestamp) = (letter.event_id.as_str(), at.timestamp());
    let signature = sign::signature(&subscription.secret, id, timestamp, &body);
    let request = OutboundRequest {
        method: Method::POST,
        url: subscription.url.clone(),
        headers: vec![
            ("webhook-id".to_owned(), id.to_owned()),
            ("webhook-timestamp".to_owned(), timestamp.to_string()),
            ("webhook-signature".to_owned(), signature.clone()),
            ("x-composio-webhook-version".to_owned(), subscription.version.as_str().to_owned()),
        ],
        body: OutboundBody::Raw { content_type: "application/json".to_owned(), bytes: body },
        timeout: Some(app.config.webhook_timeout),
    };
    let begun = Instant::now();
    let answer = app.net.notify(request).await;
    let took = begun.elapsed();
    let mut attempt = Map::new();
    attempt.insert("at".to_owned(), iso(at).into());
    let status = answer.as_ref().ok().map(|answer| answer.status);
    attempt.insert("status".to_owned(), status.into());
    attempt.insert("ms".to_owned(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into());
    let is_success = status.is_some_and(|status| (200..300).contains(&status));
    let mut wish = None;
    match &answer {
        _ if is_success => {}
        Ok(answer) => {
            wish = answer.retry_after(at);
            attempt.insert("error".to_owned(), refusal(answer.status).into());
            if let Some(text) = excerpt(answer, &subscription, &signature) {
                attempt.insert("response".to_owned(), text.into());
            }
        }
        Err(error) => {
            attempt.insert("error".to_owned(), error.to_string().into());
        }
    }
    let is_gone = status == Some(410);
    let verdict = if is_success {
        Verdict::Delivered
    } else if is_gone {
        Verdict::Dead
    } else {
        let wait = plan::wait(&app.config.webhook_retry, letter.attempts, wish, rand::random());
        wait.map_or(Verdict::Dead, Verdict::Again)
    };
    Sent { verdict, attempt: Some(Value::Object(attempt)), took, is_gone }
}

fn refusal(status: u16) -> String {
    match status {
        300..400 => format!("The receiver answered {status}; redirects are not followed"),
        _ => format!("The receiver answered {status}"),
    }
}

/// The beginning of what a receiver that refused says, on one line. One that repeats the request
/// repeats no secret here.
fn excerpt(
    answer: &OutboundResponse,
    subscription: &Subscription,
    signature: &str,
) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text
        .replace(subscription.secret.expose_secret(), "[secret]")
        .replace(signature, "[signature]");
    let text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXCERPT).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
