//! An answer whose head is there and whose body is still on its way.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{NetError, explain, timed_out, too_large};
use crate::domain::outbound::OutboundResponse;

/// An answer that is read as it comes, within the limits of time and size of its request.
#[derive(Debug)]
pub struct Streamed {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    answer: reqwest::Response,
    url: Url,
    limits: Limits,
    taken: usize,
}

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The moment at which all of it must be there.
    pub deadline: Instant,
    /// How long nothing may come.
    pub silence: Duration,
    /// Most bytes.
    pub bytes: usize,
}

impl Streamed {
    pub(super) fn new(mut answer: reqwest::Response, url: Url, limits: Limits) -> Self {
        let headers = std::mem::take(answer.headers_mut());
        Self { status: answer.status().as_u16(), headers, answer, url, limits, taken: 0 }
    }

    /// What came next; none at the end. Silence is bearable until the deadline: a stream of events
    /// has something to say when something happens.
    ///
    /// # Errors
    /// Broken off, too late, or too large.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.next(self.limits.deadline).await
    }

    async fn next(&mut self, until: Instant) -> Result<Option<Bytes>, NetError> {
        match timeout_at(until, self.answer.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                self.taken += chunk.len();
                if self.taken > self.limits.bytes {
                    return Err(too_large(&self.url, self.limits.bytes));
                }
                Ok(Some(chunk))
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(explain(&error, &self.url)),
            Err(_) => Err(timed_out(&self.url)),
        }
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// Broken off, too late, too slow, or too large.
    pub async fn whole(mut self) -> Result<OutboundResponse, NetError> {
        let declared = self.answer.content_length().unwrap_or(0);
        if declared > self.limits.bytes as u64 {
            return Err(too_large(&self.url, self.limits.bytes));
        }
        let mut first = Bytes::new();
        let mut whole: Vec<u8> = Vec::new();
        loop {
            let until = self.limits.deadline.min(Instant::now() + self.limits.silence);
            let Some(chunk) = self.next(until).await? else { break };
            // Most answers are one chunk, which then needs no copy.
            if first.is_empty() && whole.is_empty() {
                first = chunk;
            } else {
                if whole.is_empty() {
                    whole.reserve((declared as usize).max(first.len() + chunk.len()));
                    whole.extend_from_slice(&std::mem::take(&mut first));
                }
                whole.extend_from_slice(&chunk);
            }
        }
        let body = if whole.is_empty() { first } else { whole.into() };
        Ok(OutboundResponse { status: self.status, headers: self.headers, body })
    }
}
