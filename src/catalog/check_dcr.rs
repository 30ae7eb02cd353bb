//! Whether the `dcr` part of a definition is consistent.

use url::Url;

use super::check::connection_names;
use super::endpoint;
use super::model::{AuthScheme, ClientAuth, Dcr, ToolkitFile};

/// Client metadata that the server fills in itself.
const OWN: [&str; 2] = ["redirect_uris", "token_endpoint_auth_method"];

/// Checks `dcr` of a scheme.
pub(super) fn dcr(
    file: &ToolkitFile,
    scheme: &AuthScheme,
    def: &Dcr,
    say: &mut impl FnMut(String),
) {
    let mut say = |problem: String| say(format!("auth: {}: {problem}", scheme.scheme.as_str()));
    let known = connection_names(file);
    for (key, text) in def.urls() {
        let names = match endpoint::names(text) {
            Ok(names) => names,
            Err(problem) => {
                say(format!("dcr.{key}: {problem}"));
                continue;
            }
        };
        if names.is_empty() {
            let good = Url::parse(text).is_ok_and(|u| {
                matches!(u.scheme(), "https" | "http") && u.has_host() && u.fragment().is_none()
            });
            if !good {
                say(format!("dcr.{key}: `{text}` is not a URL"));
            }
            continue;
        }
        if key.starts_with("fallback") {
            say(format!("dcr.{key}: takes no templates"));
        }
        for name in names {
            if !name.strip_prefix("conn.").is_some_and(|field| known.contains(field)) {
                say(format!("dcr.{key}: `{name}` is not a name that is there"));
            }
        }
        let own = scheme.connect_fields.iter().chain(&scheme.config_fields).any(|f| f.host);
        if !endpoint::is_fenced(text) && file.hosts.is_empty() && !own {
            say(format!("dcr.{key}: a host made of fields needs `hosts`, or a field with `host`"));
        }
    }
    for name in OWN {
        if def.registration.contains_key(name) {
            say(format!("dcr.registration.{name}: is the server's own business"));
        }
    }
    if def.client_auth == Some(ClientAuth::PrivateKeyJwt) {
        say("dcr.client_auth: must be none, basic or post".into());
    }
    if def.authorize_params.values().any(|text| text.contains("{{") || text.contains("{%")) {
        say("dcr.authorize_params: take no templates".into());
    }
}
