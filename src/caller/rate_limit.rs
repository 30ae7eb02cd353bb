//! The rate limit's headers and its refusal.

use std::time::Duration;

use axum::http::{HeaderValue, Response};

use crate::domain::id::OrgId;
use crate::error::{Error, codes};
use crate::limits::{RateLimiter, Usage, WINDOW_S};

/// Counts a request of an organization; `Some(Err)` when it must be refused.
pub(super) fn count(limits: &RateLimiter, org: Option<&OrgId>) -> Option<Result<Usage, Usage>> {
    org.and_then(|org| limits.count(org))
}

/// The refusal, in words.
pub(super) fn refusal(usage: Usage) -> Error {
    let message = format!(
        "Rate limit exceeded. Limit: {} requests per {} minutes",
        usage.limit,
        WINDOW_S / 60
    );
    Error::new(codes::RATE_LIMITED, message)
        .fix("Wait for the seconds that Retry-After names, or ask the operator for more")
        .retry_after(Duration::from_secs(usage.reset_s))
}

/// Adds the documented headers.
pub fn add_headers<B>(response: &mut Response<B>, usage: Usage) {
    let headers = response.headers_mut();
    headers.insert("x-ratelimit", HeaderValue::from(usage.limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(usage.remaining));
    headers.insert("x-ratelimit-window-size", HeaderValue::from_static("600s"));
}
