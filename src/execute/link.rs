//! The next page of a `Link` header (RFC 8288).

use axum::http::HeaderMap;
use axum::http::header::LINK;
use url::Url;

/// Most that is read of a header.
const MAX_HEADER: usize = 16 * 1024;

/// The target of the first link whose relation is `next`, absolute.
pub(super) fn next(headers: &HeaderMap, base: &Url) -> Option<String> {
    headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok().filter(|text| text.len() <= MAX_HEADER))
        .find_map(next_of)
        .and_then(|target| base.join(target).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(String::from)
}

fn next_of(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, link) = rest.split_once('<')?;
        let (target, params) = link.split_once('>')?;
        let (is_next, after) = relation(params);
        if is_next {
            return Some(target.trim());
        }
        rest = after;
    }
}

/// Whether the parameters of a link name the relation, and what comes after the link. A comma or
/// a semicolon within quotes belongs to the value.
fn relation(params: &str) -> (bool, &str) {
    let mut is_next = false;
    let mut from = 0;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in params.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' | ',' if !quoted => {
                is_next |= says_next(&params[from..at]);
                from = at + 1;
                if c == ',' {
                    return (is_next, &params[from..]);
                }
            }
            _ => {}
        }
    }
    (is_next | says_next(&params[from..]), "")
}

fn says_next(param: &str) -> bool {
    param.split_once('=').is_some_and(|(name, value)| {
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_str(value).unwrap());
        }
        next(&headers, &Url::parse("https://api.example.com/v1/items?page=1").unwrap())
    }

    #[test]
    fn the_next_page_is_found_in_what_providers_send() {
        let wanted = Some("https://api.example.com/v1/items?page=2".to_owned());
        for values in [
            &[
                "<https://api.example.com/v1/items?page=2>; rel=\"next\", <https://x/>; rel=\"last\"",
            ][..],
            &[
                "<https://x/?a=1,2>; rel=\"prev\", <https://api.example.com/v1/items?page=2>; rel=next",
            ],
            &["<?page=2>;rel=\"prefetch next\""],
            &["<https://x/>; rel=first", "</v1/items?page=2>; title=\"a, <b>; rel=no\"; REL=Next"],
        ] {
            assert_eq!(of(values), wanted, "{values:?}");
        }
    }

    #[test]
    fn what_is_no_next_page_is_left_alone() {
        for values in [
            &[][..],
            &["<https://x/>; rel=\"prev\""],
            &["<https://x/>; title=\"rel=next\""],
            &["<https://x/>"],
            &["https://x/; rel=next"],
            &["<javascript:alert(1)>; rel=next"],
            &["<https://x/; rel=next"],
        ] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(text in "[<>;,=\"\\\\ relnxt:/.]{0,60}") {
            let _ = of(&[&text]);
        }
    }
}
