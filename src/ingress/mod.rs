//! The URLs that providers call. What they send and are answered is none of the API's shape.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::AppState;
use crate::catalog::trigger::Greeting;
use crate::domain::id::{EndpointId, ProjectId, TriggerId};
use crate::error::{Error, codes};
use crate::trigger::endpoint::ENDPOINT_PATH;
use crate::trigger::ingress::{self, Answer};
use crate::trigger::{Call, INSTANCE_PATH};

/// Routes.
pub fn router() -> Router<AppState> {
    let path = |start: &str| format!("{start}/{{project}}/{{id}}/{{secret}}");
    Router::new()
        .route(&path(INSTANCE_PATH), get(instance).post(instance))
        .route(&path(ENDPOINT_PATH), get(endpoint).post(endpoint))
}

type Parts = (String, String, String);

async fn instance(
    State(app): State<AppState>,
    Path((project, id, secret)): Path<Parts>,
    request: Request,
) -> Response {
    let call = match read(&app, request).await {
        Ok(call) => call,
        Err(error) => return error.into_response(),
    };
    let (project, id) = (ProjectId::from(project), TriggerId::from(id));
    answer(ingress::instance(&app, &project, &id, &secret, call).await)
}

async fn endpoint(
    State(app): State<AppState>,
    Path((project, id, secret)): Path<Parts>,
    request: Request,
) -> Response {
    let call = match read(&app, request).await {
        Ok(call) => call,
        Err(error) => return error.into_response(),
    };
    let (project, id) = (ProjectId::from(project), EndpointId::from(id));
    answer(ingress::app_endpoint(&app, &project, &id, &secret, call).await)
}

/// Reads a request whole: signatures are over the body as it came.
async fn read(app: &AppState, request: Request) -> Result<Result<Call, String>, Error> {
    let (parts, body): (_, Body) = request.into_parts();
    let body = axum::body::to_bytes(body, app.config.max_body_bytes).await.map_err(|_| {
        Error::new(codes::BODY_TOO_LARGE, "The request body is too large or was cut off")
            .fix("Raise max_body_bytes (PATCHBAY_MAX_BODY_BYTES)")
    })?;
    Ok(Call::new(parts.method.as_str(), &parts.headers, parts.uri.query(), body))
}

fn answer(outcome: Result<Answer, Error>) -> Response {
    match outcome {
        Ok(Answer::Taken) => StatusCode::OK.into_response(),
        Ok(Answer::Greeting(greeting)) => greet(greeting),
        Err(error) => error.into_response(),
    }
}

/// The answer to a handshake. It may repeat what anybody sent, so no browser may take it for a
/// page.
fn greet(greeting: Greeting) -> Response {
    let status = StatusCode::from_u16(greeting.status).unwrap_or(StatusCode::OK);
    let mut response = match (greeting.json, greeting.text) {
        (Some(json), _) => (status, axum::Json(json)).into_response(),
        (None, Some(text)) => (status, text).into_response(),
        (None, None) => status.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in greeting.headers {
        let name = HeaderName::try_from(name.to_ascii_lowercase());
        // What cannot be a header is left out, so that nothing is put into the answer.
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value))
            && name != header::CONTENT_TYPE
        {
            headers.insert(name, value);
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    );
    response
}
