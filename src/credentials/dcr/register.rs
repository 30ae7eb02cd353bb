//! Registering a client (RFC 7591), and asking whether it is still known (RFC 7592).

use std::time::Duration;

use axum::http::Method as Verb;
use serde_json::{Map, Value, json};
use url::Url;

use super::metadata::{Server, endpoint};
use super::{Failure, Method, Registered};
use crate::catalog::model::{ClientAuth, Dcr};
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::time::now;
use crate::net::Client;

/// Longest time for a registration.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Largest answer.
const MAX_ANSWER: usize = 128 * 1024;

/// Longest text of a registered client.
const MAX_TEXT: usize = 8 * 1024;

/// Which authentication to ask for: the definition's, or the strongest that the server offers.
pub(super) fn method(dcr: &Dcr, server: &Server) -> Result<Method, Failure> {
    let wanted = dcr.client_auth.map(|auth| match auth {
        ClientAuth::Basic => Method::Basic,
        ClientAuth::None => Method::None,
        _ => Method::Post,
    });
    match (wanted, server.methods.first()) {
        (Some(wanted), None) => Ok(wanted),
        (Some(wanted), Some(_)) if server.methods.contains(&wanted) => Ok(wanted),
        (Some(wanted), Some(_)) => Err(Failure::Unsuitable(format!(
            "its token endpoint does not take the client authentication {}",
            wanted.as_str()
        ))),
        (None, Some(first)) => Ok(*first),
        // RFC 8414: what is not said is basic.
        (None, None) => Ok(Method::Basic),
    }
}

/// The client metadata that is sent.
fn metadata(
    dcr: &Dcr,
    server: &Server,
    method: Method,
    redirect_uri: &str,
    with_scope: bool,
) -> Value {
    let mut scopes = if with_scope { server.scopes.clone() } else { Vec::new() };
    if with_scope && server.offline_access && !scopes.iter().any(|s| s == "offline_access") {
        scopes.push("offline_access".to_owned());
    }
    let mut all = json!({
        "client_name": "Patchbay",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.as_str(),
    });
    if let Some(all) = all.as_object_mut() {
        if !scopes.is_empty() {
            all.insert("scope".into(), scopes.join(" ").into());
        }
        all.extend(dcr.registration.clone());
        all.insert("redirect_uris".into(), json!([redirect_uri]));
    }
    all
}

/// Registers a client.
pub async fn register(
    net: &Client,
    dcr: &Dcr,
    server: Server,
    redirect_uri: &str,
) -> Result<Registered, Failure> {
    let method = method(dcr, &server)?;
    let client = register_as(net, dcr, &server, method, redirect_uri).await?;
    // A client whose secret ends takes all of its accounts along. PKCE protects a public one.
    let ends = client.client_secret_expires_at.is_some_and(|end| end > 0);
    if ends && dcr.client_auth.is_none() && server.methods.contains(&Method::None) {
        return match register_as(net, dcr, &server, Method::None, redirect_uri).await {
            Ok(public) if public.method == Method::None => Ok(public),
            _ => Ok(client),
        };
    }
    Ok(client)
}

async fn register_as(
    net: &Client,
    dcr: &Dcr,
    server: &Server,
    method: Method,
    redirect_uri: &str,
) -> Result<Registered, Failure> {
    let answer = ask(net, dcr, server, method, redirect_uri, true).await;
    match answer {
        // Some take only scopes here that they know of themselves, others none.
        Err(Failure::Unsuitable(_)) if !server.scopes.is_empty() || server.offline_access => {
            ask(net, dcr, server, method, redirect_uri, false).await
        }
        answer => answer,
    }
}

async fn ask(
    net: &Client,
    dcr: &Dcr,
    server: &Server,
    method: Method,
    redirect_uri: &str,
    with_scope: bool,
) -> Result<Registered, Failure> {
    let place = server.register_url.as_deref().unwrap_or_default();
    let url = endpoint(net, "registration_endpoint", place)?;
    let request = OutboundRequest {
        method: Verb::POST,
        url: url.clone(),
        headers: vec![("accept".to_owned(), "application/json".to_owned())],
        body: OutboundBody::Json(metadata(dcr, server, method, redirect_uri, with_scope)),
        timeout: Some(net.at_most(TIMEOUT)),
    };
    let answer = net.send_small(request, MAX_ANSWER).await?;
    let body = serde_json::from_slice::<Map<String, Value>>(&answer.body).unwrap_or_default();
    match answer.status {
        200 | 201 => read(&body, server.clone(), method, redirect_uri, &url),
        429 | 500.. => Err(Failure::Unreachable(format!(
            "its registration endpoint answered HTTP {}",
            answer.status
        ))),
        401 | 403 => Err(Failure::Unsuitable(refusal(&body, "does not register unknown clients"))),
        status => {
            Err(Failure::Unsuitable(refusal(&body, &format!("refused the client (HTTP {status})"))))
        }
    }
}

/// A refusal in the server's words, as far as they are short.
fn refusal(body: &Map<String, Value>, what: &str) -> String {
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    let words: Vec<&str> =
        [word("error"), word("error_description")].into_iter().flatten().collect();
    let words: String =
        words.join(": ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    if words.is_empty() {
        format!("its authorization server {what}")
    } else {
        format!("its authorization server {what}: {words}")
    }
}

/// Reads the answer of a registration.
fn read(
    body: &Map<String, Value>,
    server: Server,
    asked: Method,
    redirect_uri: &str,
    at: &Url,
) -> Result<Registered, Failure> {
    let unusable = |what: &str| {
        Err(Failure::Unsuitable(format!("its authorization server registered a client {what}")))
    };
    let text = |name: &str| {
        let text = body.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        text.filter(|t| t.len() <= MAX_TEXT && !t.chars().any(char::is_control)).map(str::to_owned)
    };
    let Some(client_id) = text("client_id") else { return unusable("without a client_id") };
    let client_secret = text("client_secret");
    let method = match body.get("token_endpoint_auth_method").and_then(Value::as_str) {
        None => asked,
        Some(name) => match [Method::None, Method::Basic, Method::Post]
            .into_iter()
            .find(|m| m.as_str() == name)
        {
            Some(method) => method,
            None => return unusable("with a client authentication that was not asked for"),
        },
    };
    if method != Method::None && client_secret.is_none() {
        return unusable("without the client_secret that it asks for");
    }
    if let Some(uris) = body.get("redirect_uris").and_then(Value::as_array)
        && !uris.iter().any(|uri| uri.as_str() == Some(redirect_uri))
    {
        return unusable("with another redirect URI");
    }
    if let Some(grants) = body.get("grant_types").and_then(Value::as_array)
        && !grants.iter().any(|g| g == "authorization_code")
    {
        return unusable("without the authorization code grant");
    }
    let seconds = |name: &str| {
        let value = body.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|s| s as i64))
    };
    // The token that manages the client goes nowhere else than where the client was registered.
    let manage = text("registration_client_uri")
        .filter(|uri| Url::parse(uri).is_ok_and(|u| u.origin() == at.origin()));
    Ok(Registered {
        method,
        redirect_uri: redirect_uri.to_owned(),
        client_id,
        client_id_issued_at: seconds("client_id_issued_at").or_else(|| Some(now().timestamp())),
        client_secret_expires_at: client_secret
            .is_some()
            .then(|| seconds("client_secret_expires_at").unwrap_or(0).max(0)),
        client_secret,
        is_own: true,
        registration_access_token: manage.as_ref().and_then(|_| text("registration_access_token")),
        registration_client_uri: manage,
        server,
    })
}

/// Whether the server has forgotten a client; false when it cannot be known.
pub async fn is_gone(net: &Client, known: &Registered) -> bool {
    let (Some(url), Some(token)) =
        (&known.registration_client_uri, &known.registration_access_token)
    else {
        return false;
    };
    let Ok(url) = endpoint(net, "registration_client_uri", url) else { return false };
    let request = OutboundRequest {
        method: Verb::GET,
        url,
        headers: vec![
            ("accept".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {token}")),
        ],
        body: OutboundBody::Empty,
        timeout: Some(net.at_most(TIMEOUT)),
    };
    // RFC 7592: a client that is gone makes its token worth nothing.
    matches!(net.send_small(request, MAX_ANSWER).await, Ok(a) if matches!(a.status, 401 | 404))
}
