//! OAuth 2.0 flows.

use serde_json::{Map, Value, json};
use url::Url;

use super::operation::is_scope;
use super::servers::Servers;
use super::{Api, said, sparse};

/// With at most this many scopes all are asked for, unless the developer says otherwise.
const ALL_SCOPES: usize = 12;
const MOST_SCOPES: usize = 1_000;

/// OAUTH2 of the description's schemes; none when it is no flow that a server can take part in.
pub(super) fn scheme(
    api: &Api<'_>,
    schemes: &[(String, &Map<String, Value>)],
    servers: &Servers,
    scopes: &[String],
) -> Option<Value> {
    let flow = |names: [&str; 2]| {
        schemes.iter().find_map(|(scheme, value)| {
            let flows = value.get("flows")?.as_object()?;
            let flow = names.iter().find_map(|name| flows.get(*name))?.as_object()?;
            Some((format!("/components/securitySchemes/{}/flows", super::token(scheme)), flow))
        })
    };
    let code = flow(["authorizationCode", "accessCode"]);
    let implicit = flow(["implicit", "implicit"]);
    let client = flow(["clientCredentials", "application"]);
    let url =
        |flow: &Map<String, Value>, key: &str| said(flow, key).and_then(|u| absolute(u, servers));
    let mut oauth2 = None;
    if let Some((at, flow)) = code.as_ref().or(implicit.as_ref()) {
        let authorize = url(flow, "authorizationUrl");
        let token = url(flow, "tokenUrl").or_else(|| {
            let guessed = authorize.as_deref().and_then(guessed)?;
            api.note(format!("The description has no token endpoint; {guessed} is a guess made of the authorization endpoint. The operator can name another."));
            Some(guessed)
        });
        match (authorize, token) {
            (Some(authorize), Some(token)) => {
                oauth2 = Some(json!({"authorize": {"url": authorize}, "token": {"url": token}}));
            }
            _ => api.repaired(
                at,
                "the flow has no usable endpoints; a token that is at hand can be used",
            ),
        }
    }
    if oauth2.is_none()
        && let Some((_, flow)) = &client
        && let Some(token) = url(flow, "tokenUrl")
    {
        oauth2 = Some(json!({"grant": "client_credentials", "token": {"url": token}}));
    }
    let Some(mut oauth2) = oauth2 else {
        api.note("The description's OAuth 2.0 flow cannot be gone through by this server: connect with a token that is at hand.");
        return None;
    };
    let mut available: Vec<String> = Vec::new();
    let flows = schemes.iter().filter_map(|(_, value)| value.get("flows")?.as_object()).flatten();
    let declared =
        flows.filter_map(|(_, flow)| flow.get("scopes")?.as_object()).flat_map(Map::keys);
    let mut seen = std::collections::HashSet::new();
    for scope in declared.chain(scopes) {
        if is_scope(scope) && seen.insert(scope.as_str()) {
            available.push(scope.clone());
        }
    }
    available.truncate(MOST_SCOPES.max(scopes.len()));
    let usual = if available.len() <= ALL_SCOPES { available.clone() } else { Vec::new() };
    oauth2["scopes"] = usual.into();
    oauth2["available_scopes"] = available.into();
    Some(json!({"scheme": "OAUTH2", "oauth2": sparse(oauth2)}))
}

/// A page that the facts come from: the format wants one.
pub(super) fn source(schemes: &[Value]) -> Option<String> {
    let oauth2 = schemes.iter().find_map(|scheme| scheme.get("oauth2"))?;
    let url =
        oauth2.pointer("/authorize/url").or_else(|| oauth2.pointer("/token/url"))?.as_str()?;
    let url = Url::parse(url).ok()?;
    Some(format!("https://{}/", url.host_str()?))
}

/// The address, below the server where it is relative.
fn absolute(url: &str, servers: &Servers) -> Option<String> {
    if url.contains(['{', '}']) {
        return None;
    }
    let parsed = match Url::parse(url) {
        Ok(url) => url,
        Err(_) => Url::parse(&servers.base_url).ok()?.join(url).ok()?,
    };
    let plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.has_host();
    let mut parsed = parsed;
    parsed.set_fragment(None);
    (plain && matches!(parsed.scheme(), "http" | "https")).then(|| parsed.to_string())
}

/// The token endpoint that usually goes with an authorization endpoint.
fn guessed(authorize: &str) -> Option<String> {
    let mut url = Url::parse(authorize).ok()?;
    url.set_query(None);
    let path = url.path().to_owned();
    let (before, last) = path.trim_end_matches('/').rsplit_once('/')?;
    let token = match last {
        "authorize" | "authorise" | "auth" | "authorization" | "dialog" => "token",
        _ => return None,
    };
    url.set_path(&format!("{before}/{token}"));
    Some(url.to_string())
}
