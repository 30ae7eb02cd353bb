//! The error answers that every documented operation shares.

use utoipa::IntoResponses;

use crate::error::wire::ErrorBody;

/// What any operation that takes a key may answer instead of success.
#[derive(IntoResponses)]
pub enum CommonErrors {
    /// The request is malformed; `errors` lists the problems.
    #[response(status = 400)]
    BadRequest(#[to_schema] ErrorBody),
    /// The API key is missing or wrong.
    #[response(status = 401)]
    Unauthorized(#[to_schema] ErrorBody),
    /// The API key may not do this.
    #[response(status = 403)]
    Forbidden(#[to_schema] ErrorBody),
    /// It does not exist, or not in this project.
    #[response(status = 404)]
    NotFound(#[to_schema] ErrorBody),
    /// The request body is too large.
    #[response(status = 413)]
    TooLarge(#[to_schema] ErrorBody),
    /// The organization has used up its requests; see `Retry-After`.
    #[response(status = 429)]
    TooMany(#[to_schema] ErrorBody),
    /// A bug of the server.
    #[response(status = 500)]
    Internal(#[to_schema] ErrorBody),
    /// The database is away; retry.
    #[response(status = 503)]
    Unavailable(#[to_schema] ErrorBody),
}

/// What an operation that contacts somebody may answer besides.
#[derive(IntoResponses)]
pub enum OutboundErrors {
    /// Valid, but it cannot be done.
    #[response(status = 422)]
    Unprocessable(#[to_schema] ErrorBody),
    /// This server is not set up for it; the suggested fix says how.
    #[response(status = 501)]
    NotImplemented(#[to_schema] ErrorBody),
    /// The other side gave no usable answer.
    #[response(status = 502)]
    BadGateway(#[to_schema] ErrorBody),
    /// The other side did not answer in time.
    #[response(status = 504)]
    GatewayTimeout(#[to_schema] ErrorBody),
}
