//! Whether the OAuth 2.0 part of a definition is complete and consistent.

use std::collections::{BTreeMap, BTreeSet};

use super::check::connection_names;
use super::endpoint;
use super::model::{
    AuthScheme, ClientAuth, ClientFrom, Grant, OAuth2, RefreshWith, SigningAlg, ToolkitFile,
};

/// Values of the flow that every request sees.
const FLOW: [&str; 4] = ["client_id", "redirect_uri", "scope", "client_secret"];

/// Checks `oauth2` of a scheme.
pub(super) fn oauth2(
    file: &ToolkitFile,
    scheme: &AuthScheme,
    def: &OAuth2,
    say: &mut impl FnMut(String),
) {
    let mut say = |problem: String| say(format!("auth: {}: {problem}", scheme.scheme.as_str()));
    if def.by_browser() && def.authorize.url.is_empty() {
        say("authorize.url: is needed for the grant authorization_code".into());
    }
    if !def.by_browser() && !def.authorize.url.is_empty() {
        say("authorize: client_credentials asks nobody".into());
    }
    if def.grant == Grant::AuthorizationCode && def.client_from == ClientFrom::Connection {
        say("client_from: goes with the grant client_credentials".into());
    }
    if def.revoke.is_some() && def.revoke_url.is_some() {
        say("revoke_url: is the short form of `revoke`; one of them".into());
    }
    if !def.user_scopes.is_empty() && def.authorize.user_scope_param.is_none() {
        say("user_scopes: needs authorize.user_scope_param".into());
    }
    if def.authorize.skip_scopes && !def.scopes.is_empty() {
        say("scopes: are never sent with authorize.skip_scopes".into());
    }
    let auths = [Some(def.token.client_auth), def.refresh.client_auth];
    if matches!(def.token.assertion.alg, SigningAlg::HS256 | SigningAlg::HS384 | SigningAlg::HS512)
    {
        say("token.assertion.alg: must be one of a private key (RS, ES)".into());
    }
    let secretless = def.token.client_auth == ClientAuth::None;
    if secretless && auths.contains(&Some(ClientAuth::PrivateKeyJwt)) {
        say("refresh.client_auth: private_key_jwt needs it at token too".into());
    }
    if def.refresh.with == RefreshWith::AccessToken && def.refresh.params.is_empty() {
        say("refresh.with: access_token needs `params` that carry it".into());
    }
    if [def.refresh.early_s, def.refresh.min_age_s].iter().flatten().any(|s| *s > 365 * 86_400) {
        say("refresh: early_s and min_age_s must be at most a year".into());
    }
    if def.response.expires_default_s.is_some_and(|s| s <= 0) {
        say("response.expires_default_s: must be positive".into());
    }
    pointers(def, &mut say);
    captured(scheme, def, &mut say);
    urls(file, def, &mut say);
    texts(file, scheme, def, &mut say);
}

fn pointers(def: &OAuth2, say: &mut impl FnMut(String)) {
    let r = &def.response;
    let all = [
        Some(&r.access_token),
        r.user_access_token.as_ref(),
        Some(&r.refresh_token),
        Some(&r.expires_in),
        Some(&r.scope),
        r.ok.as_ref(),
        Some(&r.error),
        r.error_text.as_ref(),
    ];
    for pointer in all.into_iter().flatten().chain(r.capture.values()) {
        if !pointer.starts_with('/') {
            say(format!("response: `{pointer}` is not a JSON pointer, which starts with a slash"));
        }
    }
}

fn captured(scheme: &AuthScheme, def: &OAuth2, say: &mut impl FnMut(String)) {
    let fields: BTreeSet<&String> =
        scheme.connect_fields.iter().chain(&scheme.config_fields).map(|f| &f.name).collect();
    let tokens = ["access_token", "refresh_token", "id_token", "token_type", "expires_in", "scope"];
    let mut seen = BTreeSet::new();
    for name in def.captured() {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || !plain {
            say(format!("capture: `{name}` must be made of letters, digits and _"));
        }
        if fields.contains(name) || tokens.contains(&name.as_str()) || !seen.insert(name) {
            say(format!("capture: `{name}` is taken"));
        }
    }
    let params = def.callback.capture.values().chain([&def.callback.code_param]);
    for param in params.clone() {
        if param.is_empty() || ["state", "error", "error_description"].contains(&param.as_str()) {
            say(format!("callback: `{param}` cannot be a parameter to keep"));
        }
    }
}

fn urls(file: &ToolkitFile, def: &OAuth2, say: &mut impl FnMut(String)) {
    let known = connection_names(file);
    let host_fields = |name: &str| {
        let all = file.auth.iter().flat_map(|s| s.connect_fields.iter().chain(&s.config_fields));
        all.into_iter().any(|f| f.host && f.name == name)
    };
    for (key, url) in def.urls() {
        let names = match endpoint::names(url) {
            Ok(names) => names,
            Err(problem) => {
                say(format!("{key}: `{url}`: {problem}"));
                continue;
            }
        };
        for name in &names {
            let good = match name.split_once('.') {
                Some(("conn", field)) => known.contains(field),
                Some(("oauth", field)) => field == "client_id" && key.starts_with("revoke"),
                _ => false,
            };
            if !good {
                say(format!("{key}: `{name}` is not a field of the connection"));
            }
        }
        if !names.is_empty() {
            let own = names.iter().any(|n| n.strip_prefix("conn.").is_some_and(host_fields));
            if !endpoint::is_fenced(url) && file.hosts.is_empty() && !own {
                say(format!("{key}: a host made of fields needs `hosts`, or a field with `host`"));
            }
            let starts = ["https://", "http://", "{{"];
            if !starts.iter().any(|s| url.starts_with(s)) {
                say(format!("{key}: `{url}` is not a URL"));
            }
        } else if url::Url::parse(url)
            .ok()
            .is_none_or(|u| !matches!(u.scheme(), "https" | "http") || !u.has_host())
        {
            say(format!("{key}: `{url}` is not a URL"));
        }
    }
}

/// Checks what parameters and headers ask for.
fn texts(file: &ToolkitFile, scheme: &AuthScheme, def: &OAuth2, say: &mut impl FnMut(String)) {
    let conn = connection_names(file);
    let fields = scheme.connect_fields.iter().chain(&scheme.config_fields);
    let cred: BTreeSet<&str> = fields
        .map(|f| f.name.as_str())
        .chain(def.captured().map(String::as_str))
        .chain(["client_id", "client_secret", "private_key", "key_id"])
        .collect();
    let none = BTreeMap::new();
    let upgrade = def.upgrade.as_ref();
    let revoke = def.revoke.as_ref();
    let lists: [(&str, &BTreeMap<String, String>, &[&str]); 9] = [
        ("authorize.params", &def.authorize.params, &["state"]),
        ("token.params", &def.token.params, &["code"]),
        ("token.headers", &def.token.headers, &["code"]),
        ("upgrade.params", upgrade.map_or(&none, |u| &u.params), &["access_token"]),
        ("upgrade.headers", upgrade.map_or(&none, |u| &u.headers), &["access_token"]),
        ("refresh.params", &def.refresh.params, &["access_token", "refresh_token"]),
        ("refresh.headers", &def.refresh.headers, &["access_token", "refresh_token"]),
        (
            "revoke.params",
            revoke.map_or(&none, |r| &r.params),
            &["token", "access_token", "refresh_token"],
        ),
        (
            "revoke.headers",
            revoke.map_or(&none, |r| &r.headers),
            &["token", "access_token", "refresh_token"],
        ),
    ];
    for (key, texts, more) in lists {
        let by_browser = key.starts_with("authorize");
        for (name, text) in texts {
            if name.is_empty() || name.chars().any(char::is_control) {
                say(format!("{key}: a name is empty or has control characters"));
            }
            let names = match endpoint::text_names(text) {
                Ok(names) => names,
                Err(problem) => {
                    say(format!("{key}.{name}: {problem}"));
                    continue;
                }
            };
            for asked in names {
                let good = match asked.split_once('.') {
                    Some(("conn", field)) => conn.contains(field),
                    // The authorization request goes through the person's browser.
                    Some(("oauth", "client_secret")) => !by_browser,
                    Some(("oauth", field)) => FLOW.contains(&field) || more.contains(&field),
                    Some(("cred", field)) => !by_browser && cred.contains(field),
                    _ => false,
                };
                if !good {
                    say(format!("{key}.{name}: `{asked}` is not a name that is there"));
                }
            }
        }
    }
}
