//! The one error type of the server.
//!
//! Use cases return [`Error`]; `db` returns `sqlx::Error`, which converts;
//! background work uses `anyhow`. What a client sees is made in [`wire`].

pub mod codes;
pub mod wire;

use std::borrow::Cow;
use std::time::Duration;

pub use codes::Code;

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in words for the caller. Never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Which of the documented errors this is.
    pub code: Code,
    /// For a person.
    pub message: Cow<'static, str>,
    /// What to do next.
    pub suggested_fix: Option<Cow<'static, str>>,
    /// One entry per problem, when there are several.
    pub errors: Vec<String>,
    /// Seconds to wait, sent as `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// An error with a message for the caller.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            suggested_fix: None,
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// Adds what the caller can do.
    #[must_use]
    pub fn fix(mut self, suggestion: impl Into<Cow<'static, str>>) -> Self {
        self.suggested_fix = Some(suggestion.into());
        self
    }

    /// Adds the list of problems.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<String>) -> Self {
        self.errors = errors;
        self
    }

    /// Adds `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// 400 with one message.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(codes::BAD_REQUEST, message)
    }

    /// 400 with several problems.
    pub fn invalid(message: impl Into<Cow<'static, str>>, errors: Vec<String>) -> Self {
        Self::new(codes::VALIDATION_FAILED, message).with_errors(errors)
    }

    /// 404 of a kind of thing.
    pub fn not_found(code: Code, what: &str, id: &str) -> Self {
        let id: String = id.chars().take(100).collect();
        Self::new(code, format!("{what} not found: {id}"))
    }

    /// 500 that hides its cause from the caller and logs it. The cause must
    /// hold no secret.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "internal error");
        Self::new(codes::INTERNAL, "Something went wrong on the server")
            .fix("Retry; if it happens again, search the server's log for the request id")
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        let away = match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => true,
            // Class 57 (operator intervention: shutdown, crash recovery), class 08
            // (connection), class 53 (too many connections, disk full).
            E::Database(db) => db.code().is_some_and(|c| {
                c.starts_with("57P") || c.starts_with("08") || c.starts_with("53")
            }),
            _ => false,
        };
        if away {
            tracing::warn!(error = %error, "database unavailable");
            return Self::new(codes::DATABASE_UNAVAILABLE, "The database is unavailable")
                .fix("Retry in a few seconds")
                .retry_after(Duration::from_secs(1));
        }
        // The foreign keys of sealed values, which name the data key.
        if let E::Database(db) = &error
            && db.is_foreign_key_violation()
            && db.constraint().is_some_and(|name| name.ends_with("_key_fkey"))
        {
            tracing::warn!(error = %error, "a data key was deleted before a value was stored");
            return Self::new(codes::DATA_KEY_GONE, "The encryption keys were exchanged meanwhile")
                .fix("Retry")
                .retry_after(Duration::from_secs(1));
        }
        // PostgreSQL text cannot hold NUL, nor JSON \u0000 in jsonb.
        if let E::Database(db) = &error
            && db.code().is_some_and(|c| c == "22021" || c == "22P05")
        {
            return Self::bad_request("Text must not contain NUL characters");
        }
        Self::internal(error)
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(format!("{error:#}"))
    }
}
