//! The Connect Link page.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{Brand, ended, failure, image, page, see_other};
use crate::app::AppState;
use crate::catalog::fields::FieldSpec;
use crate::connect::fields::Problem;
use crate::connect::link::{self, Link, Submitted};
use crate::error::{Error, Result};

/// A field, as the page shows it.
struct Shown {
    name: String,
    label: String,
    description: String,
    required: bool,
    secret: bool,
    multiline: bool,
    suffix: Option<String>,
    choices: Vec<String>,
    value: String,
    /// A secret that was given beforehand; its value is never shown.
    given: bool,
    problem: Option<String>,
    focus: bool,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    title: String,
    brand: Brand,
    toolkit_name: String,
    toolkit_logo: Option<String>,
    redirects: bool,
    fields: Vec<Shown>,
    problems: Vec<Problem>,
    denied: Option<String>,
}

/// The form.
pub async fn show(
    State(app): State<AppState>,
    token: Result<Path<String>, PathRejection>,
) -> Response {
    // What is not even text was never a token.
    let token = token.map(|Path(t)| t).unwrap_or_default();
    match link::open(&app, &token).await {
        Ok(link) => form(&link, &BTreeMap::new(), Vec::new(), None),
        Err(error) => failure(&error),
    }
}

/// The form, sent.
pub async fn submit(
    State(app): State<AppState>,
    token: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let token = token.map(|Path(t)| t).unwrap_or_default();
    let Ok(body) = body else {
        return failure(&Error::bad_request("The form could not be read"));
    };
    match submitted(&app, &token, &body).await {
        Ok(response) => response,
        Err(error) => failure(&error),
    }
}

async fn submitted(app: &AppState, token: &str, body: &Bytes) -> Result<Response> {
    let link = link::open(app, token).await?;
    let sent: BTreeMap<String, String> =
        url::form_urlencoded::parse(body).into_owned().take(200).collect();
    Ok(match link::submit(app, &link, &sent).await? {
        Submitted::Invalid(problems) => form(&link, &sent, problems, None),
        Submitted::Denied(why) => form(&link, &sent, Vec::new(), Some(why)),
        Submitted::Provider(url) => see_other(&url),
        Submitted::Done(finished) => match finished.location() {
            Some(location) => see_other(&location),
            None => ended(&link.toolkit_name, &finished, Brand::of(&link.project)),
        },
    })
}

fn form(
    link: &Link,
    sent: &BTreeMap<String, String>,
    problems: Vec<Problem>,
    denied: Option<String>,
) -> Response {
    let good = problems.is_empty() && denied.is_none();
    let status = if good { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let fields = link.fields.iter().map(|f| shown(link, f, sent, &problems)).collect();
    let mut fields: Vec<Shown> = fields;
    let wrong = fields.iter().position(|f| f.problem.is_some()).unwrap_or(0);
    if let Some(field) = fields.get_mut(wrong) {
        field.focus = true;
    }
    let brand = Brand::of(&link.project);
    let shown = LinkPage {
        title: format!("Connect {} to {}", link.toolkit_name, brand.name),
        brand,
        toolkit_name: link.toolkit_name.clone(),
        toolkit_logo: image(link.toolkit_logo.as_deref()),
        redirects: link.by_browser,
        fields,
        problems,
        denied: denied.map(|why| why.trim_end_matches('.').to_owned()),
    };
    page(status, &shown, &[&shown.brand.logo, &shown.toolkit_logo])
}

fn shown(
    link: &Link,
    field: &FieldSpec,
    sent: &BTreeMap<String, String>,
    problems: &[Problem],
) -> Shown {
    // What was typed stays, but for secrets: a page with a secret in it could be kept or shared.
    let value = sent
        .get(&field.name)
        .or_else(|| link.prefilled.get(&field.name))
        .or(field.default.as_ref())
        .filter(|_| !field.secret)
        .cloned()
        .unwrap_or_default();
    Shown {
        name: field.name.clone(),
        label: field.display_name.clone(),
        description: field.description.clone(),
        required: field.required,
        secret: field.secret,
        multiline: field.multiline,
        suffix: field.suffix.clone(),
        choices: field.choices.clone(),
        value,
        given: field.secret && link.has_given(field),
        problem: problems.iter().find(|p| p.name == field.name).map(|p| p.text.clone()),
        focus: false,
    }
}
