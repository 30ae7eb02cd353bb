//! The browser comes back from a provider.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::{Brand, ended, failure, see_other};
use crate::app::AppState;
use crate::connect::callback::{Answer, Outcome, finish};
use crate::error::{Error, Result};

/// Completes an attempt and sends the browser on. The work goes on when the browser goes away,
/// because a code that was spent must not be lost with its answer.
pub async fn callback(
    State(app): State<AppState>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = read(query.as_deref().unwrap_or_default());
    let state = app.clone();
    let work = app.tasks.spawn(async move { finish(&state, answer).await });
    let finished: Result<Outcome> = match work.await {
        Ok(finished) => finished,
        Err(error) => Err(Error::internal(format!("callback: {error}"))),
    };
    match finished {
        Ok(Outcome::Deferred(location)) => see_other(&location),
        Ok(Outcome::Finished(finished)) => match finished.location() {
            Some(location) => see_other(&location),
            None => {
                let slug = &finished.account.toolkit_slug;
                let toolkit = app.toolkit(&finished.account.project_id, slug);
                let name = toolkit.as_ref().map_or(slug.as_str(), |t| &t.file.name);
                let brand = Brand::read(&app, &finished.account.project_id).await;
                ended(name, &finished, brand)
            }
        },
        // A program that calls this gets the envelope, a person a page.
        Err(error) if wants_html(&headers) => failure(&error),
        Err(error) => error.into_response(),
    }
}

/// Further parameters that are looked at.
const MAX_FURTHER: usize = 50;

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// The parameters of the answer; one that comes twice is as good as none, because two readers
/// could understand it differently.
fn read(query: &str) -> Answer {
    let mut answer = Answer::default();
    let mut twice = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match name.as_ref() {
            "state" => &mut answer.state,
            "code" => &mut answer.code,
            "error" => &mut answer.error,
            "error_description" => &mut answer.error_description,
            "oauth_token" => &mut answer.oauth_token,
            "oauth_verifier" => &mut answer.oauth_verifier,
            "oauth_problem" => &mut answer.error,
            "denied" => &mut answer.denied,
            _ if answer.rest.len() >= MAX_FURTHER => continue,
            name => {
                let again = answer.rest.contains_key(name);
                let value = if again { String::new() } else { value.into_owned() };
                answer.rest.insert(name.to_owned(), value);
                continue;
            }
        };
        twice |= slot.replace(value.into_owned()).is_some();
    }
    if twice { Answer::default() } else { answer }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_parameter_that_comes_twice_counts_for_nothing() {
        assert_eq!(read("state=a&code=b&x=1").code.as_deref(), Some("b"));
        assert!(read("state=a&state=b&code=c").state.is_none());
        assert_eq!(read("state=a&code=c&realm=1&realm=2").rest["realm"], "");
        assert_eq!(read("state=a&code=c&realm=1").rest["realm"], "1");
    }
}
