//! OAuth endpoints and parameters made of a connection's fields. A field may choose a tenant, a
//! path segment or a parameter; it must not be able to send a client's secret elsewhere.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::hosts::Hosts;
use super::template::{Expr, Names, Text, text_of};

/// What is escaped in a path segment or a query value.
const PIECE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');

/// What templates of OAuth definitions see, by root (`conn`, `oauth`, `cred`).
pub type Roots<'a> = [(&'a str, &'a Map<String, Value>)];

/// A piece of a URL.
enum Piece<'a> {
    Literal(&'a str),
    Expression(&'a str),
}

fn pieces(source: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut all = Vec::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, tail) =
            after.split_once("}}").ok_or_else(|| "a template does not end".to_owned())?;
        if !before.is_empty() {
            all.push(Piece::Literal(before));
        }
        all.push(Piece::Expression(expression.trim()));
        rest = tail;
    }
    if !rest.is_empty() {
        all.push(Piece::Literal(rest));
    }
    Ok(all)
}

/// Whether the fields decide no more than a label below a fixed parent domain.
pub(super) fn is_fenced(source: &str) -> bool {
    let authority = match source.split_once("://") {
        Some((scheme, rest)) if !scheme.contains("{{") => {
            // A slash within an expression belongs to it.
            let mut depth = 0;
            let end = rest.char_indices().find(|(i, c)| {
                if rest[*i..].starts_with("{{") {
                    depth += 1;
                } else if rest[*i..].starts_with("}}") {
                    depth -= 1;
                }
                depth == 0 && matches!(c, '/' | '?' | '#')
            });
            &rest[..end.map_or(rest.len(), |(i, _)| i)]
        }
        _ => return !source.contains("{{"),
    };
    match authority.rsplit_once("}}") {
        None => true,
        Some((_, parent)) => parent.starts_with('.') && parent[1..].contains('.'),
    }
}

/// Names that a URL asks for, dotted.
pub(super) fn names(source: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for piece in pieces(source)? {
        if let Piece::Expression(text) = piece {
            all.extend(Expr::compile(text)?.names());
        }
    }
    Ok(all)
}

/// Where a value stands.
#[derive(PartialEq)]
enum Place {
    Start,
    Host,
    Path,
    Query,
}

fn place(before: &str) -> Place {
    let Some((_, rest)) = before.split_once("://") else { return Place::Start };
    if rest.contains('?') {
        Place::Query
    } else if rest.contains('/') {
        Place::Path
    } else {
        Place::Host
    }
}

/// What goes into the URL for a value, or what a value must be.
fn written(value: &str, place: &Place) -> Result<String, &'static str> {
    match place {
        Place::Start => {
            let url = Url::parse(value).ok();
            let good = url.filter(|u| {
                matches!(u.scheme(), "https" | "http")
                    && u.has_host()
                    && u.username().is_empty()
                    && u.password().is_none()
                    && u.query().is_none()
                    && u.fragment().is_none()
            });
            let url = good.ok_or("must be an absolute https URL without a query")?;
            Ok(url.as_str().trim_end_matches('/').to_owned())
        }
        Place::Host => {
            let (name, port) = match value.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (value, None),
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let good = !name.is_empty()
                && name.chars().all(plain)
                && !name.starts_with(['.', '-'])
                && !name.contains("..")
                && port.is_none_or(|p| p.parse::<u16>().is_ok());
            if good {
                Ok(value.to_owned())
            } else {
                Err("must be letters, digits, dots, dashes and underscores")
            }
        }
        Place::Path | Place::Query => {
            if value.is_empty() || value == "." || value == ".." {
                return Err("must not be empty or dots");
            }
            Ok(utf8_percent_encode(value, PIECE).to_string())
        }
    }
}

/// Fills an endpoint's URL. Its host must be the definition's own, a label below one, or one that
/// `hosts` or `trusted` (a host name) lets through.
///
/// # Errors
/// `<field>: <what it must be>`, or what is wrong with the whole.
pub(super) fn url(
    source: &str,
    hosts: &Hosts,
    roots: &Roots<'_>,
    trusted: &[String],
) -> Result<Url, String> {
    let mut out = String::with_capacity(source.len() + 32);
    let names = Names::of_roots(roots.to_vec());
    let mut pieces = pieces(source)?.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Literal(text) => out.push_str(text),
            Piece::Expression(source) => {
                let field = source.strip_prefix("conn.").unwrap_or(source);
                let value = text_of(Expr::compile(source)?.value(&names)?).unwrap_or_default();
                let at = place(&out);
                let value =
                    written(value.trim(), &at).map_err(|wrong| format!("{field}: {wrong}"))?;
                // A port ends the host.
                let ends = match pieces.peek() {
                    None => true,
                    Some(Piece::Literal(next)) => next.starts_with('/'),
                    Some(Piece::Expression(_)) => false,
                };
                if at == Place::Host && value.contains(':') && !ends {
                    return Err(format!("{field}: must not have a port"));
                }
                out.push_str(&value);
            }
        }
    }
    let url = Url::parse(&out).map_err(|_| "the endpoint is not a URL".to_owned())?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err("the endpoint is not a web address".to_owned());
    }
    if is_fenced(source) {
        return Ok(url);
    }
    let host = url.host_str().unwrap_or_default();
    let named = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let own = url.scheme() == "https" && trusted.iter().any(|t| t.eq_ignore_ascii_case(&named));
    if own || hosts.allows(&url, &Map::new()) {
        return Ok(url);
    }
    Err(format!("the connection's fields lead to {host}, which is not a host of this toolkit"))
}

/// Fills a text of a definition; none when it comes out empty.
///
/// # Errors
/// A template that cannot be rendered.
pub fn text(source: &str, roots: &Roots<'_>) -> Result<Option<String>, String> {
    let text = Text::compile(source)?.text(&Names::of_roots(roots.to_vec()))?;
    Ok(text.filter(|t| !t.is_empty()))
}

/// Names that a text asks for, dotted.
pub(super) fn text_names(source: &str) -> Result<Vec<String>, String> {
    Ok(Text::compile(source)?.names().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hosts() -> Hosts {
        let file = serde_saphyr::from_str(
            "{spec: 1, slug: x, name: x, description: x, versions: [], base_url: 'https://a.b',
              hosts: ['*.zoho.com', api.example.com], auth: []}",
        );
        Hosts::new(&file.unwrap(), None)
    }

    fn fill(source: &str, value: &str) -> Result<String, String> {
        let conn = json!({ "v": value });
        let trusted = ["git.acme.dev:8443".to_owned()];
        url(source, &hosts(), &[("conn", conn.as_object().unwrap())], &trusted).map(String::from)
    }

    #[test]
    fn a_field_cannot_move_an_endpoint() {
        let label = "https://{{ conn.v }}.example.com/oauth";
        assert_eq!(fill(label, "a-b").unwrap(), "https://a-b.example.com/oauth");
        for evil in ["", "evil.com/", "evil.com#", "a@evil.com", "a?b", "..", "a\r\nb", "é", "a:1"]
        {
            assert!(fill(label, evil).is_err(), "{evil}");
        }
        let path = "https://login.example.com/{{ conn.v }}/token";
        assert_eq!(fill(path, "common").unwrap(), "https://login.example.com/common/token");
        assert_eq!(fill(path, "a/b?c#d").unwrap(), "https://login.example.com/a%2Fb%3Fc%23d/token");
        for evil in ["", ".", ".."] {
            assert!(fill(path, evil).is_err(), "{evil}");
        }
        let query = "https://login.example.com/token?tenant={{ conn.v }}";
        assert_eq!(
            fill(query, "a&b=c").unwrap(),
            "https://login.example.com/token?tenant=a%26b%3Dc"
        );
    }

    #[test]
    fn a_whole_host_must_be_known() {
        for source in ["https://{{ conn.v }}/token", "https://{{conn.v}}/a/{{ conn.v }}"] {
            assert!(fill(source, "accounts.zoho.com").is_ok());
            assert!(fill(source, "api.example.com").is_ok());
            assert!(fill(source, "evil.com").is_err());
            assert!(fill(source, "zoho.com.evil.com").is_err());
        }
        assert!(fill("https://{{ conn.v }}/token", "git.acme.dev:8443").is_ok());
        assert!(fill("https://{{ conn.v }}/token", "git.acme.dev").is_err());
        // Not a parent domain of anybody's own.
        assert!(fill("https://{{ conn.v }}.com/token", "evil").is_err());
        assert!(fill("https://a{{ conn.v }}/token", "evil.com").is_err());
        let base = "{{ conn.v or 'https://accounts.zoho.com' }}/oauth/v2/token";
        assert_eq!(fill(base, "").unwrap(), "https://accounts.zoho.com/oauth/v2/token");
        assert!(fill(base, "https://accounts.zoho.com/").is_ok());
        for evil in
            ["https://evil.com", "https://a@b.zoho.com", "javascript:x", "http://a.zoho.com"]
        {
            assert!(fill(base, evil).is_err(), "{evil}");
        }
    }

    #[test]
    fn texts_that_come_out_empty_are_none() {
        let conn = json!({ "v": "x" });
        let roots = [("conn", conn.as_object().unwrap())];
        assert_eq!(text("a {{ conn.v }}", &roots).unwrap().as_deref(), Some("a x"));
        assert_eq!(text("{{ conn.w }}", &roots).unwrap(), None);
        assert_eq!(text("", &roots).unwrap(), None);
    }
}
