//! MCP clients that register themselves (RFC 7591).
//!
//! Nothing is stored. Whoever asks is registered, so that a client's id need not be a secret or be
//! guarded: it simply says what was registered, and what it says is checked like a registration
//! whenever it is used. Nobody can fill a table with registrations, none runs out, and every
//! replica knows all of them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::Refusal;
use crate::domain::id::random_text;

/// What every client id begins with.
const PREFIX: &str = "mcp_";
/// Longest client id.
const MAX_ID: usize = 4096;
/// Most redirect URIs of one client.
const MAX_URIS: usize = 10;
/// Longest text of all redirect URIs.
const MAX_URI_TEXT: usize = 2000;
/// Longest name that is shown.
const MAX_NAME: usize = 60;

/// What a client says about itself. What this server does not use is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Registration {
    /// Where codes may be sent.
    pub redirect_uris: Option<Vec<String>>,
    /// Display name.
    pub client_name: Option<String>,
    /// Must have `authorization_code` when present.
    pub grant_types: Option<Vec<String>>,
    /// Must have `code` when present.
    pub response_types: Option<Vec<String>>,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Display name, fit to be shown.
    #[serde(rename = "n")]
    pub name: String,
    /// Where codes may be sent.
    #[serde(rename = "r")]
    pub redirect_uris: Vec<String>,
    /// Tells two installations apart that say the same.
    #[serde(rename = "x")]
    nonce: String,
}

/// A name without characters that could make it look like something else; never empty.
fn shown(name: &str) -> String {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let name: String = name.chars().filter(|c| !invisible(*c)).collect();
    let name: String = name.trim().chars().take(MAX_NAME).collect();
    let name = name.trim_end();
    if name.is_empty() { "An MCP client".to_owned() } else { name.to_owned() }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// Reads a redirect URI: https, or http to the person's own machine. Everything else is no place to
/// send a code to.
fn redirect_uri(text: &str) -> Option<Url> {
    let plain = !text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let url = Url::parse(text).ok().filter(|_| plain)?;
    let safe = match url.scheme() {
        "https" => url.host_str().is_some_and(|host| !host.is_empty()),
        "http" => is_loopback(&url),
        _ => false,
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (safe && bare && !text.contains('#')).then_some(url)
}

impl Client {
    /// Registers a client.
    ///
    /// # Errors
    /// What is wrong with it, in the words of RFC 7591.
    pub fn register(said: Registration) -> Result<Self, Refusal> {
        let refuse = |text: &'static str| Err(Refusal::new("invalid_client_metadata", text));
        if said.grant_types.is_some_and(|g| !g.iter().any(|g| g == "authorization_code")) {
            return refuse("grant_types: this server has authorization_code and refresh_token");
        }
        if said.response_types.is_some_and(|r| !r.iter().any(|r| r == "code")) {
            return refuse("response_types: this server has code");
        }
        let client = Self {
            name: shown(said.client_name.as_deref().unwrap_or_default()),
            redirect_uris: said.redirect_uris.unwrap_or_default(),
            nonce: random_text(12),
        };
        if !client.is_sound() {
            return Err(Refusal::new(
                "invalid_redirect_uri",
                "redirect_uris: 1 to 10 URIs, each https, or http to localhost, 127.0.0.1 or [::1], \
                 without user, password and fragment",
            ));
        }
        Ok(client)
    }

    fn is_sound(&self) -> bool {
        let uris = &self.redirect_uris;
        (1..=MAX_URIS).contains(&uris.len())
            && uris.iter().map(String::len).sum::<usize>() <= MAX_URI_TEXT
            && uris.iter().all(|uri| redirect_uri(uri).is_some())
            && self.name == shown(&self.name)
            && self.nonce.len() <= 32
    }

    /// Its id, which says all of it.
    pub fn id(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(text))
    }

    /// The client of an id; none when no registration could have given it.
    pub fn of(id: &str) -> Option<Self> {
        let text = id.strip_prefix(PREFIX).filter(|_| id.len() <= MAX_ID)?;
        let client: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        client.is_sound().then_some(client)
    }

    /// Whether codes may be sent there: exactly what was registered, but for the port on the
    /// person's own machine, which a program learns only when it starts.
    pub fn redirects_to(&self, uri: &str) -> bool {
        let Some(url) = redirect_uri(uri) else { return false };
        self.redirect_uris.iter().any(|known| {
            if known == uri {
                return true;
            }
            let Some(mut known) = redirect_uri(known) else { return false };
            let mut url = url.clone();
            known.scheme() == "http"
                && url.scheme() == "http"
                && known.set_port(None).is_ok()
                && url.set_port(None).is_ok()
                && known == url
        })
    }
}

/// The address with parameters added.
pub fn with_parameters(uri: &str, parameters: &[(&str, &str)]) -> Option<String> {
    let mut url = redirect_uri(uri)?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url.into())
}

/// Whether a redirect URI leads to the person's own machine.
pub fn leads_to_own_machine(uri: &str) -> bool {
    redirect_uri(uri).as_ref().is_some_and(is_loopback)
}

/// Where a redirect URI leads, for a person.
pub fn destination(uri: &str) -> String {
    match redirect_uri(uri) {
        Some(url) if is_loopback(&url) => "a program on your own computer".to_owned(),
        Some(url) => url.host_str().unwrap_or_default().to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(uris: &[&str]) -> Result<Client, Refusal> {
        Client::register(Registration {
            redirect_uris: Some(uris.iter().map(|u| (*u).to_owned()).collect()),
            client_name: Some("Test".into()),
            ..Registration::default()
        })
    }

    #[test]
    fn an_id_says_what_was_registered_and_two_registrations_differ() {
        let one = client(&["https://app.example/back?x=1"]).unwrap();
        assert_eq!(Client::of(&one.id()), Some(one.clone()));
        assert_ne!(client(&["https://app.example/back?x=1"]).unwrap().id(), one.id());
    }

    #[test]
    fn codes_go_to_https_or_the_own_machine_only() {
        for good in [
            "https://app.example/back",
            "http://localhost/cb",
            "http://127.0.0.1:33418/",
            "http://[::1]:8000/cb",
        ] {
            assert!(client(&[good]).is_ok(), "{good}");
        }
        for bad in [
            "http://app.example/back",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "https://user:pw@app.example/",
            "https://app.example/#x",
            "https://app.example/#",
            "https://app.example\\@evil.example/",
            "https://app.example/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            "cursor://anysphere/cb",
            "file:///etc/passwd",
            "//app.example/",
            "",
        ] {
            assert!(client(&[bad]).is_err(), "{bad}");
            let forged = Client {
                name: "Test".into(),
                redirect_uris: vec![bad.to_owned()],
                nonce: "x".into(),
            };
            assert_eq!(Client::of(&forged.id()), None, "{bad}");
        }
        assert!(client(&[]).is_err());
        assert!(client(&["https://a.example/"; 11]).is_err());
        assert!(client(&[&format!("https://a.example/{}", "x".repeat(3000))]).is_err());
    }

    #[test]
    fn a_redirect_matches_exactly_but_for_the_port_of_the_own_machine() {
        let client = client(&["https://app.example/back", "http://127.0.0.1:1234/cb?a=1"]).unwrap();
        assert!(client.redirects_to("https://app.example/back"));
        assert!(client.redirects_to("http://127.0.0.1:9999/cb?a=1"));
        for other in [
            "https://app.example/back/",
            "https://app.example/back?x=1",
            "https://app.example:444/back",
            "https://APP.example/back",
            "http://127.0.0.1:9999/cb",
            "http://localhost:1234/cb?a=1",
            "https://evil.example/back",
        ] {
            assert!(!client.redirects_to(other), "{other}");
        }
    }

    #[test]
    fn a_name_cannot_hide_what_it_is() {
        assert_eq!(shown("  Clau\u{202e}de\n "), "Claude");
        assert_eq!(shown("\u{200b}"), "An MCP client");
        assert_eq!(shown(&"x".repeat(200)).len(), MAX_NAME);
        let forged = Client {
            name: "a\u{202e}b".into(),
            redirect_uris: vec!["https://a.example/".into()],
            nonce: String::new(),
        };
        assert_eq!(Client::of(&forged.id()), None);
        for junk in ["", "mcp_", "mcp_!!", "mcp_e30", "x"] {
            assert_eq!(Client::of(junk), None, "{junk}");
        }
    }
}
