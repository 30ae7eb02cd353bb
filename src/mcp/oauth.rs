//! What MCP clients ask to sign a person in: metadata (RFC 9728, RFC 8414), registration
//! (RFC 7591), tokens (RFC 6749) and revocation (RFC 7009). The page for the person is in `web`.

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};

use crate::app::AppState;
use crate::domain::time::now;
use crate::error::{Error, codes};
use crate::limits::Address;
use crate::mcp_oauth::client::{Client, Registration};
use crate::mcp_oauth::token::{self, Parameters};
use crate::mcp_oauth::{
    AUTHORIZE_PATH, Failure, REGISTER_PATH, RESOURCE_METADATA, REVOKE_PATH, Refusal, SCOPE,
    TOKEN_PATH, resource,
};

/// Longest body of these endpoints.
const MAX_BODY: usize = 64 * 1024;

/// Routes. Clients that run in a browser ask from other origins; nothing here looks at cookies.
pub(super) fn router() -> Router<AppState> {
    let any = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
    Router::new()
        .route(RESOURCE_METADATA, get(root))
        .route("/.well-known/oauth-protected-resource/{*path}", get(protected))
        // The authorization server has no path; clients look for it by the endpoint's all the same.
        .route("/.well-known/oauth-authorization-server", get(server))
        .route("/.well-known/oauth-authorization-server/{*path}", get(server))
        .route("/.well-known/openid-configuration", get(server))
        .route("/.well-known/openid-configuration/{*path}", get(server))
        .route("/tool_router/{id}/mcp/.well-known/openid-configuration", get(server))
        .route("/v3/mcp/{id}/.well-known/openid-configuration", get(server))
        .route("/v3/mcp/{id}/mcp/.well-known/openid-configuration", get(server))
        .route(REGISTER_PATH, post(register))
        .route(TOKEN_PATH, post(give))
        .route(REVOKE_PATH, post(revoke))
        .layer(any)
}

fn metadata(app: &AppState, path: &str) -> Json<Value> {
    let base = &app.config.public_url;
    Json(json!({
        "resource": format!("{base}{path}"),
        "authorization_servers": [base],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": "Patchbay",
    }))
}

async fn root(State(app): State<AppState>) -> Json<Value> {
    metadata(&app, "")
}

/// The metadata of an endpoint, whether it exists or not: that is nobody's business who may not
/// use it.
async fn protected(State(app): State<AppState>, Path(path): Path<String>) -> Response {
    match resource::canonical(&format!("/{path}")) {
        Some(path) => metadata(&app, &path).into_response(),
        None => Error::new(codes::ROUTE_NOT_FOUND, "There is no MCP endpoint of this path")
            .into_response(),
    }
}

async fn server(State(app): State<AppState>) -> Json<Value> {
    let base = &app.config.public_url;
    let at = |path: &str| format!("{base}{path}");
    Json(json!({
        "issuer": base,
        "authorization_endpoint": at(AUTHORIZE_PATH),
        "token_endpoint": at(TOKEN_PATH),
        "registration_endpoint": at(REGISTER_PATH),
        "revocation_endpoint": at(REVOKE_PATH),
        "scopes_supported": [SCOPE],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

fn answer(status: StatusCode, body: impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refused(refusal: &Refusal) -> Response {
    answer(StatusCode::BAD_REQUEST, refusal)
}

fn failed(failure: Failure) -> Response {
    match failure {
        Failure::Refused(refusal) => refused(&refusal),
        Failure::Server(error) => {
            let status = error.code.status;
            let word = if status == StatusCode::SERVICE_UNAVAILABLE {
                "temporarily_unavailable"
            } else {
                "server_error"
            };
            answer(status, Refusal::new(word, error.message))
        }
    }
}

/// Reads a small body, and counts the request against its address.
async fn body(app: &AppState, request: Request) -> Result<Bytes, Response> {
    let address = Address::of(request.extensions());
    if let Err(wait) = app.tries.requests.count(address) {
        let mut response = answer(
            StatusCode::TOO_MANY_REQUESTS,
            Refusal::new("temporarily_unavailable", "too many requests from this address"),
        );
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        return Err(response);
    }
    axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| {
        refused(&Refusal::new("invalid_request", "the body is too large, or ended too early"))
    })
}

async fn register(State(app): State<AppState>, request: Request) -> Response {
    let body = match body(&app, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    // By way of an object: serde would take a list for a struct as well.
    let said = serde_json::from_slice::<serde_json::Map<String, Value>>(&body)
        .and_then(|object| serde_json::from_value::<Registration>(object.into()));
    let said = match said {
        Ok(said) => said,
        Err(_) => {
            let text = "the body is not a JSON object with client metadata";
            return refused(&Refusal::new("invalid_client_metadata", text));
        }
    };
    match Client::register(said) {
        Ok(client) => answer(
            StatusCode::CREATED,
            json!({
                "client_id": client.id(),
                "client_id_issued_at": now().timestamp(),
                "client_name": client.name,
                "redirect_uris": client.redirect_uris,
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "token_endpoint_auth_method": "none",
                "scope": SCOPE,
            }),
        ),
        Err(refusal) => refused(&refusal),
    }
}

/// The parameters of a form, none of them twice.
fn form(body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(body).into_owned().take(100).collect();
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|(known, _)| known == name) {
            return Err(Refusal::new("invalid_request", "a parameter is given more than once"));
        }
    }
    Ok(pairs)
}

fn take(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

async fn give(State(app): State<AppState>, request: Request) -> Response {
    let body = match body(&app, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let pairs = match form(&body) {
        Ok(pairs) => pairs,
        Err(refusal) => return refused(&refusal),
    };
    let parameters = Parameters {
        grant_type: take(&pairs, "grant_type"),
        client_id: take(&pairs, "client_id"),
        code: take(&pairs, "code"),
        code_verifier: take(&pairs, "code_verifier"),
        redirect_uri: take(&pairs, "redirect_uri"),
        refresh_token: take(&pairs, "refresh_token"),
        resource: take(&pairs, "resource"),
    };
    match token::give(&app, &parameters).await {
        Ok(tokens) => answer(StatusCode::OK, tokens),
        Err(failure) => failed(failure),
    }
}

async fn revoke(State(app): State<AppState>, request: Request) -> Response {
    let body = match body(&app, request).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let pairs = match form(&body) {
        Ok(pairs) => pairs,
        Err(refusal) => return refused(&refusal),
    };
    let Some(token) = take(&pairs, "token") else {
        return refused(&Refusal::new("invalid_request", "token is missing"));
    };
    match token::revoke(&app, take(&pairs, "client_id").as_deref(), &token).await {
        Ok(()) => answer(StatusCode::OK, json!({})),
        Err(failure) => failed(failure),
    }
}
