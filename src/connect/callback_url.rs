//! Where the person's browser goes in the end: checked when it is given, extended when it is used.

use url::Url;

use crate::domain::connection::Account;
use crate::error::{Error, Result};

/// Longest callback URL.
const MAX_LENGTH: usize = 4096;

/// Checks a callback URL that a caller gave. It must be http or https, because anything else
/// (`javascript:`, `data:`) would run or leak in the person's browser.
///
/// # Errors
/// 400 that names the parameter.
pub fn check(name: &str, text: &str) -> Result<String> {
    let problem = problem(text);
    match problem {
        None => Ok(text.to_owned()),
        Some(problem) => Err(Error::invalid(
            format!("Invalid {name}: {problem}"),
            vec![format!("{name}: {problem}")],
        )
        .fix("Send an absolute http or https URL, such as https://your-app.com/callback")),
    }
}

fn problem(text: &str) -> Option<&'static str> {
    if text.len() > MAX_LENGTH {
        return Some("is longer than 4096 characters");
    }
    // The parser drops tabs and line breaks and turns backslashes; nobody means those.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Some("must not contain spaces, backslashes or control characters");
    }
    let Ok(url) = Url::parse(text) else { return Some("is not an absolute URL") };
    if !matches!(url.scheme(), "http" | "https") {
        return Some("must start with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not contain a user name or password");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some("has no host");
    }
    None
}

/// The callback URL of an attempt with its outcome appended; its own parameters stay as they
/// are. None when there is none.
pub fn with_outcome(account: &Account, success: bool) -> Option<String> {
    let mut url = Url::parse(account.callback_url.as_deref()?).ok()?;
    let status = if success { "success" } else { "failed" };
    let id = account.id.as_str();
    if account.flow == "link" {
        url.query_pairs_mut().append_pair("status", status).append_pair("connected_account_id", id);
    } else {
        url.query_pairs_mut()
            .append_pair("status", status)
            .append_pair("connectedAccountId", id)
            .append_pair("appName", &account.toolkit_slug);
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_taken() {
        for good in ["https://a.com", "http://localhost:3000/x?y=1#z", "https://[::1]/"] {
            assert!(check("callback_url", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/relative",
            "//a.com",
            "javascript:alert(1)",
            "JaVaScRiPt://a.com/%0aalert(1)",
            "data:text/html,x",
            "https://user:pw@a.com/",
            "https://user@a.com/",
            "https://a.com\\@b.com",
            "https://a.com/\r\nSet-Cookie: x",
            "java\nscript:alert(1)",
            " https://a.com",
            "https://",
            "ftp://a.com",
            "file:///etc/passwd",
        ] {
            assert!(check("callback_url", bad).is_err(), "{bad:?}");
        }
        assert!(check("callback_url", &format!("https://a.com/{}", "x".repeat(5000))).is_err());
    }
}
