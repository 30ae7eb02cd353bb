//! The authorization request of a client, and what a person decides about it.

use chrono::TimeDelta;

use super::client::{Client, destination, leads_to_own_machine, with_parameters};
use super::resource::{self, Kind};
use super::token;
use crate::app::App;
use crate::db;
use crate::db::mcp_oauth::{NewGrant, NewToken};
use crate::domain::id::{SessionId, random_text};
use crate::domain::mcp_server::McpServerId;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::vault::hash_token;

/// How long a code is good for.
const CODE_TTL: TimeDelta = TimeDelta::seconds(120);

/// An authorization request that can be decided about.
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub client: Client,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Canonical path of the endpoint that is asked for; empty: all of the project.
    pub resource: String,
    client_id: String,
    state: Option<String>,
    challenge: String,
}

/// Why a request cannot be decided about.
#[derive(Debug)]
pub enum Wrong {
    /// It is not known whom to answer: the person is told.
    Person(Error),
    /// The client is to be told.
    Client {
        /// What is wrong.
        text: String,
        /// Where the client hears of it.
        location: String,
        /// That place, for a person.
        destination: String,
        /// Whether the browser may go there without asking the person. Anybody can register, so
        /// that otherwise this server would send people to wherever a link wants them to be.
        is_own_machine: bool,
    },
}

/// Reads an authorization request from its query.
///
/// # Errors
/// What is wrong with it.
pub fn read(app: &App, query: &str) -> Result<Request, Wrong> {
    let pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().take(100).collect();
    let all = |name: &str| -> Vec<&str> {
        pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    };
    // Nothing that a person would be sent to may be in doubt.
    let (ids, uris) = (all("client_id"), all("redirect_uri"));
    let ([client_id], [redirect_uri]) = (ids.as_slice(), uris.as_slice()) else {
        let text = "The sign-in link names no app, or no address to go back to";
        return Err(Wrong::Person(Error::bad_request(text).fix("Start again in your MCP client")));
    };
    let client = Client::of(client_id).ok_or_else(|| {
        Wrong::Person(
            Error::bad_request("The app that sent you here is not registered")
                .fix("Remove the server in your MCP client, add it again and start over"),
        )
    })?;
    if !client.redirects_to(redirect_uri) {
        let text =
            "The app that sent you here wants the answer at an address that it did not register";
        return Err(Wrong::Person(Error::bad_request(text).fix(
            "Do not go on if you followed a link; otherwise add the server to your client again",
        )));
    }
    let states = all("state");
    let state = states.first().map(|state| (*state).to_owned());
    let back = |error: &'static str, text: &str| {
        let said = [("error", error), ("error_description", text)];
        Wrong::Client {
            text: text.to_owned(),
            location: answer(app, redirect_uri, state.as_deref(), &said),
            destination: destination(redirect_uri),
            is_own_machine: leads_to_own_machine(redirect_uri),
        }
    };
    let one = |name: &'static str| match all(name).as_slice() {
        [] => Ok(None),
        [value] => Ok(Some((*value).to_owned())),
        _ => Err(back("invalid_request", &format!("{name} is given more than once"))),
    };
    if states.len() > 1 || state.as_ref().is_some_and(|state| state.len() > 4096) {
        return Err(back("invalid_request", "state is given more than once, or is too long"));
    }
    match one("response_type")?.as_deref() {
        Some("code") => {}
        Some(_) => return Err(back("unsupported_response_type", "response_type must be code")),
        None => return Err(back("invalid_request", "response_type is missing")),
    }
    if one("code_challenge_method")?.as_deref() != Some("S256") {
        return Err(back("invalid_request", "code_challenge_method must be S256"));
    }
    let challenge = one("code_challenge")?.filter(|text| {
        text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    });
    let Some(challenge) = challenge else {
        return Err(back("invalid_request", "code_challenge must be a SHA-256 in base64url"));
    };
    let resource = match one("resource")? {
        None => String::new(),
        Some(text) => resource::of_parameter(&app.config.public_url, &text).ok_or_else(|| {
            back("invalid_target", "resource is not an MCP endpoint of this server")
        })?,
    };
    Ok(Request {
        client,
        redirect_uri: (*redirect_uri).to_owned(),
        resource,
        client_id: (*client_id).to_owned(),
        state,
        challenge,
    })
}

/// The address that answers a client. It always names this server, so that a client that talks to
/// several knows whose answer it is (RFC 9207).
fn answer(app: &App, uri: &str, state: Option<&str>, parameters: &[(&str, &str)]) -> String {
    let mut all = parameters.to_vec();
    all.extend(state.map(|state| ("state", state)));
    all.push(("iss", &app.config.public_url));
    // The URI was checked before.
    with_parameters(uri, &all).unwrap_or_default()
}

impl Request {
    /// Where the browser goes when the person said no.
    pub fn denied(&self, app: &App) -> String {
        answer(
            app,
            &self.redirect_uri,
            self.state.as_deref(),
            &[("error", "access_denied"), ("error_description", "The person did not allow it")],
        )
    }

    /// Lets the client in with a project's API key. Returns where the browser goes.
    ///
    /// # Errors
    /// 401 for a key that is none, or not one for this endpoint.
    pub async fn allow(&self, app: &App, key: &str) -> Result<String> {
        let wrong = |text: &'static str| Err(Error::new(codes::UNAUTHORIZED, text));
        let Some(principal) = app.cache.principal(key.trim()).await? else {
            return wrong("This key is not valid");
        };
        let Some(project) = &principal.project else {
            return wrong("This is a key of the organization; use one of the project");
        };
        let known = match resource::kind(&self.resource) {
            Kind::All => true,
            Kind::Session(id) => {
                app.cache.session(&project.id, &SessionId::from(id)).await?.is_some()
            }
            Kind::Server(id) => match McpServerId::parse(id) {
                Some(id) => app
                    .cache
                    .mcp_server(&id)
                    .await?
                    .is_some_and(|server| server.project_id == project.id),
                None => false,
            },
        };
        if !known {
            return wrong("This key is of another project, or what it is for was deleted");
        }
        let id = format!("mog_{}", random_text(12));
        let code = token::new(token::CODE, &project.id);
        let mut tx = app.db.begin().await?;
        db::mcp_oauth::insert_grant(
            &mut *tx,
            &NewGrant {
                project: &project.id,
                id: &id,
                key_id: principal.key_id.as_str(),
                client_hash: &hash_token(&self.client_id),
                client_name: &self.client.name,
                resource: &self.resource,
            },
        )
        .await?;
        db::mcp_oauth::insert_token(
            &mut *tx,
            &NewToken {
                project: &project.id,
                hash: &hash_token(&code),
                grant_id: &id,
                kind: "code",
                code_challenge: Some(&self.challenge),
                redirect_uri: Some(&self.redirect_uri),
                expires_at: now() + CODE_TTL,
            },
        )
        .await?;
        tx.commit().await?;
        Ok(answer(app, &self.redirect_uri, self.state.as_deref(), &[("code", &code)]))
    }
}
