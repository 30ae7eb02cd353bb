//! Pages for a person's browser: the Connect Link, and the way back from a provider.

mod callback;
mod link;

use askama::Template;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use url::Url;

use crate::app::AppState;
use crate::credentials::CALLBACK_PATH;
use crate::error::Error;
use crate::error::wire::current_request_id;

/// The style of every page; the security policy allows exactly this text.
pub const STYLE: &str = include_str!("style.css");

/// Routes of the pages.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/link/{token}", get(link::show).post(link::submit))
        .route(CALLBACK_PATH, get(callback::callback))
        .route("/api/v3.1/toolkits/auth/callback", get(callback::callback))
}

/// A page with one message.
#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    title: String,
    text: String,
    fix: Option<String>,
    reference: Option<String>,
}

/// An HTML answer that no page may frame, no cache may keep, and whose address is not passed on.
fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => return Error::internal(format!("page: {error}")).into_response(),
    };
    let mut response = (status, html).into_response();
    let headers = response.headers_mut();
    let plain = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in plain {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    response
}

/// What a page may load and do: its own style, images, and nothing else. A form may be sent here
/// and from here on to any web address, because browsers apply the rule to the redirect that
/// follows as well, and that goes to the provider or to the developer's app.
fn policy() -> String {
    use base64::Engine;
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src https: data:; \
         form-action 'self' https: http:; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// 303 to another site; the address of this page, which holds a token, is not passed on.
fn see_other(location: &str) -> Response {
    let Ok(value) = HeaderValue::from_str(location) else {
        return failure(&Error::internal("a redirect has no valid address"));
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, value);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// An error as a page.
fn failure(error: &Error) -> Response {
    let title = match error.code.status {
        StatusCode::GONE => "This link no longer works",
        StatusCode::NOT_FOUND => "Not found",
        status if status.is_server_error() => "Something went wrong",
        _ => "This cannot be completed",
    };
    let message = Message {
        title: title.to_owned(),
        text: format!("{}.", error.message.trim_end_matches('.')),
        fix: error.suggested_fix.as_deref().map(|f| f.trim_end_matches('.').to_owned()),
        reference: Some(current_request_id()).filter(|id| !id.is_empty()),
    };
    page(error.code.status, &message)
}

/// How an attempt ended, when there is no app to go back to.
fn ended(toolkit: &str, failure: Option<&str>) -> Response {
    let message = match failure {
        None => Message {
            title: format!("{toolkit} is connected"),
            text: "You can close this page and go back to the app.".to_owned(),
            fix: None,
            reference: None,
        },
        Some(why) => Message {
            title: format!("{toolkit} was not connected"),
            text: format!("{}.", why.trim_end_matches('.')),
            fix: Some("Go back to the app and start again if you want to connect".to_owned()),
            reference: Some(current_request_id()).filter(|id| !id.is_empty()),
        },
    };
    page(StatusCode::OK, &message)
}

/// The address of an image that a page may show.
fn image(url: Option<&str>) -> Option<String> {
    let url = url?;
    let good =
        Url::parse(url).is_ok_and(|u| u.scheme() == "https") || url.starts_with("data:image/");
    good.then(|| url.to_owned())
}
