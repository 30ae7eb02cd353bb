//! Pages for a person's browser: the Connect Link, the way back from a provider, and letting an MCP
//! client in.

mod authorize;
mod callback;
mod link;

use askama::Template;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use url::Url;

use crate::app::{App, AppState};
use crate::cache::project_of;
use crate::connect::callback::Finished;
use crate::credentials::CALLBACK_PATH;
use crate::db;
use crate::domain::connection::Project;
use crate::domain::id::ProjectId;
use crate::domain::identity::Identity;
use crate::error::Error;
use crate::error::wire::current_request_id;
use crate::mcp_oauth::AUTHORIZE_PATH;

/// The style of every page; the security policy allows exactly this text.
pub const STYLE: &str = include_str!("style.css");

/// Routes of the pages.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/link/{token}", get(link::show).post(link::submit))
        .route(AUTHORIZE_PATH, get(authorize::show).post(authorize::submit))
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
    brand: Brand,
}

/// Whose page a person sees: the project's app title and logo.
#[derive(Clone, Default)]
struct Brand {
    /// App title, else the project's name; empty when the page is nobody's.
    name: String,
    /// Address of the logo.
    logo: Option<String>,
}

impl Brand {
    fn of(project: &Project) -> Self {
        let title = project.config.display_name.as_deref().map(str::trim);
        Self {
            name: title.filter(|t| !t.is_empty()).unwrap_or(&project.name).to_owned(),
            logo: image(project.config.logo_url.as_deref()),
        }
    }

    /// Of a project that is not at hand; nobody's when it cannot be read.
    async fn read(app: &App, project: &ProjectId) -> Self {
        let row = db::project::get(&app.db, project).await.ok().flatten();
        row.map(|row| Self::of(&project_of(row))).unwrap_or_default()
    }
}

/// An HTML answer that no page may frame, no cache may keep, and whose address is not passed on. It
/// may show these images and no others.
fn page(status: StatusCode, template: &impl Template, images: &[&Option<String>]) -> Response {
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
    if let Ok(value) = HeaderValue::from_str(&policy(images)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    response
}

/// What a page may load and do: its own style, its images, and nothing else. A form may be sent here
/// and from here on to any web address, because browsers apply the rule to the redirect that
/// follows as well, and that goes to the provider or to the developer's app.
fn policy(images: &[&Option<String>]) -> String {
    use base64::Engine;
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    let mut sources: Vec<String> = images.iter().filter_map(|i| source(i.as_deref()?)).collect();
    sources.dedup();
    let sources = if sources.is_empty() { "'none'".to_owned() } else { sources.join(" ") };
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src {sources}; \
         form-action 'self' https: http:; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// An image as a source of a security policy: its address without query, and without the characters
/// that end a source.
fn source(image: &str) -> Option<String> {
    if image.starts_with("data:") {
        return Some("data:".to_owned());
    }
    let url = Url::parse(image).ok()?;
    let path = url.path().replace(';', "%3B").replace(',', "%2C").replace('\'', "%27");
    Some(format!("{}{path}", url.origin().ascii_serialization()))
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
        brand: Brand::default(),
    };
    page(error.code.status, &message, &[])
}

/// How an attempt ended, when there is no app to go back to.
fn ended(toolkit: &str, finished: &Finished, brand: Brand) -> Response {
    let app = if brand.name.is_empty() { "the app" } else { &brand.name };
    let logo = brand.logo.clone();
    let message = match finished.failure.as_deref() {
        None => Message {
            title: format!("{toolkit} is connected"),
            text: match finished.account.identity.as_ref().and_then(Identity::name) {
                Some(name) => format!(
                    "You are connected as {name}. You can close this page and go back to {app}."
                ),
                None => format!("You can close this page and go back to {app}."),
            },
            fix: None,
            reference: None,
            brand,
        },
        Some(why) => Message {
            title: format!("{toolkit} was not connected"),
            text: format!("{}.", why.trim_end_matches('.')),
            fix: Some(format!("Go back to {app} and start again if you want to connect")),
            reference: Some(current_request_id()).filter(|id| !id.is_empty()),
            brand,
        },
    };
    page(StatusCode::OK, &message, &[&logo])
}

/// The address of an image that a page may show.
fn image(url: Option<&str>) -> Option<String> {
    let url = url?;
    let good =
        Url::parse(url).is_ok_and(|u| u.scheme() == "https") || url.starts_with("data:image/");
    good.then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_lets_through_the_images_of_the_page_and_nothing_else() {
        let at = |url: &str| Some(url.to_owned());
        let logo = at("https://cdn.example.com/a;b,c'd.svg?v=1");
        let text = policy(&[&logo, &None, &at("data:image/png;base64,AA")]);
        assert!(
            text.contains("img-src https://cdn.example.com/a%3Bb%2Cc%27d.svg data:;"),
            "{text}"
        );
        assert!(policy(&[&None]).contains("img-src 'none';"));
    }

    #[test]
    fn only_safe_addresses_are_images() {
        assert!(image(Some("https://a.com/x.png")).is_some());
        for bad in ["http://a.com/x.png", "javascript:alert(1)", "data:text/html,x", "x", ""] {
            assert!(image(Some(bad)).is_none(), "{bad}");
        }
    }
}
