//! The page on which a person lets an MCP client in, with a key of the project.

use askama::Template;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{failure, page, see_other};
use crate::app::{App, AppState};
use crate::domain::id::random_text;
use crate::error::{Error, codes};
use crate::limits::Address;
use crate::mcp_oauth::authorize::{self, Wrong};
use crate::mcp_oauth::client::destination;
use crate::mcp_oauth::resource::{self, Kind};

/// Longest form.
const MAX_FORM: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "authorize.html")]
struct Page {
    title: String,
    client: String,
    destination: String,
    /// What is allowed, in words.
    what: String,
    /// Ties the form to the browser that was shown it.
    proof: String,
    problem: Option<String>,
}

/// The name of the cookie that the form is tied to. Over https nobody but this very host can set
/// one of that name.
fn cookie_name(app: &App) -> &'static str {
    if app.config.public_url.starts_with("https:") {
        "__Host-patchbay_sign_in"
    } else {
        "patchbay_sign_in"
    }
}

/// The cookie's value, as a browser sent it back.
fn cookie(app: &App, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(app);
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    sent.flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, value)| {
            *known == name && value.len() == 32 && value.bytes().all(|b| b.is_ascii_alphanumeric())
        })
        .map(|(_, value)| value.to_owned())
}

/// What the form must bring along: only who knows the cookie can make it.
fn proof(cookie: &str) -> String {
    hex::encode(Sha256::digest(format!("patchbay sign-in\n{cookie}")))
}

#[derive(Template)]
#[template(path = "authorize_wrong.html")]
struct WrongPage {
    title: String,
    text: String,
    location: String,
    destination: String,
}

fn wrong(wrong: Wrong) -> Response {
    match wrong {
        Wrong::Person(error) => failure(&error),
        Wrong::Client { location, is_own_machine: true, .. } => see_other(&location),
        Wrong::Client { text, location, destination, .. } => {
            let title = "This cannot be completed".to_owned();
            let shown = WrongPage { title, text, location, destination };
            page(StatusCode::BAD_REQUEST, &shown, &[])
        }
    }
}

fn form(
    app: &App,
    request: &authorize::Request,
    cookie: Option<String>,
    status: StatusCode,
    problem: Option<String>,
) -> Response {
    let fresh = cookie.is_none();
    let cookie = cookie.unwrap_or_else(|| random_text(32));
    let what = match resource::kind(&request.resource) {
        Kind::All => "all sessions and MCP servers of your project".to_owned(),
        Kind::Session(id) => format!("the session {id}"),
        Kind::Server(id) => format!("the MCP server {id}"),
    };
    let shown = Page {
        title: format!("Let {} in", request.client.name),
        client: request.client.name.clone(),
        destination: destination(&request.redirect_uri),
        what,
        proof: proof(&cookie),
        problem,
    };
    let mut response = page(status, &shown, &[]);
    if fresh {
        let name = cookie_name(app);
        let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
        let value =
            format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600{secure}");
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// The page.
pub async fn show(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match authorize::read(&app, query.as_deref().unwrap_or_default()) {
        Ok(request) => form(&app, &request, cookie(&app, &headers), StatusCode::OK, None),
        Err(error) => wrong(error),
    }
}

/// The page, sent.
pub async fn submit(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let decision = match authorize::read(&app, query.as_deref().unwrap_or_default()) {
        Ok(decision) => decision,
        Err(error) => return wrong(error),
    };
    let Ok(body) = axum::body::to_bytes(body, MAX_FORM).await else {
        return failure(&Error::bad_request("The form could not be read"));
    };
    let sent: Vec<(String, String)> =
        url::form_urlencoded::parse(&body).into_owned().take(20).collect();
    let field = |name: &str| {
        sent.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default()
    };
    let again = |status, cookie, problem: &str| {
        form(&app, &decision, cookie, status, Some(problem.to_owned()))
    };
    let own = cookie(&app, &parts.headers);
    let proven = own
        .as_ref()
        .is_some_and(|own| bool::from(proof(own).as_bytes().ct_eq(field("proof").as_bytes())));
    if !proven {
        let text =
            "Please repeat this. If it happens again, let your browser keep cookies of this site";
        return again(StatusCode::FORBIDDEN, own, text);
    }
    if field("action") == "deny" {
        return see_other(&decision.denied(&app));
    }
    if field("api_key").trim().is_empty() {
        return again(StatusCode::BAD_REQUEST, own, "Enter an API key of the project");
    }
    if let Err(wait) = app.tries.sign_ins.count(Address::of(&parts.extensions)) {
        let text = format!("Too many tries. Wait {} seconds and try again", wait.as_secs().max(1));
        return again(StatusCode::TOO_MANY_REQUESTS, own, &text);
    }
    match decision.allow(&app, field("api_key")).await {
        Ok(location) => see_other(&location),
        Err(error) if error.code == codes::UNAUTHORIZED => {
            again(StatusCode::UNAUTHORIZED, own, &error.message)
        }
        Err(error) => failure(&error),
    }
}
