//! Which redirects are followed, and with what.

use axum::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, LOCATION,
    PROXY_AUTHORIZATION,
};
use axum::http::{Method, StatusCode};
use url::Url;

use super::encode::Body;
use super::{CredentialNames, Hop};

/// The request that a redirect asks for; none when the answer is no redirect or one that
/// is left to the caller.
pub(super) fn next(
    hop: &Hop,
    status: StatusCode,
    answer: &HeaderMap,
    credentials: &CredentialNames,
) -> Option<Hop> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.get(LOCATION)?.to_str().ok()?;
    let mut url = hop.url.join(location).ok()?;
    url.set_fragment(None);
    let safe = matches!(hop.method, Method::GET | Method::HEAD);
    let same_origin = url.origin() == hop.url.origin();
    if !same_origin && !safe {
        return None;
    }
    let mut next = Hop {
        method: hop.method.clone(),
        url,
        headers: hop.headers.clone(),
        body: hop.body.clone(),
    };
    // As browsers do: a POST that was answered with 301 or 302 goes on as a GET.
    let becomes_get = match status.as_u16() {
        303 => !safe,
        301 | 302 => hop.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = Body::Empty;
        for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
            next.headers.remove(name);
        }
    }
    if !same_origin {
        strip(&mut next, credentials);
    }
    Some(next)
}

/// Removes everything that carries a credential. A GET with a body (some search APIs) loses it
/// too: the body may hold an injected key.
fn strip(hop: &mut Hop, credentials: &CredentialNames) {
    for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
        hop.headers.remove(name);
    }
    for name in &credentials.headers {
        hop.headers.remove(name.as_str());
    }
    hop.body = Body::Empty;
    hop.headers.remove(CONTENT_TYPE);
    let is_credential = |name: &str| credentials.query.iter().any(|c| c == name);
    // The provider may have copied our query into the new address.
    if hop.url.query_pairs().any(|(name, _)| is_credential(&name)) {
        let kept: Vec<(String, String)> = hop
            .url
            .query_pairs()
            .filter(|(name, _)| !is_credential(name))
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        set_query(&mut hop.url, &kept);
    }
}

fn set_query(url: &mut Url, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn follow(method: Method, status: u16, location: &str) -> Option<Hop> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s"));
        headers.insert("x-key", HeaderValue::from_static("s"));
        headers.insert("accept", HeaderValue::from_static("a/b"));
        let hop = Hop {
            method,
            url: Url::parse("https://api.example.com/v1/a?key=s").unwrap(),
            headers,
            body: Body::Bytes("b".into()),
        };
        let mut answer = HeaderMap::new();
        answer.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        let names = CredentialNames { headers: vec!["X-Key".into()], query: vec!["key".into()] };
        next(&hop, StatusCode::from_u16(status).unwrap(), &answer, &names)
    }

    #[test]
    fn the_same_origin_keeps_credentials() {
        let next = follow(Method::GET, 302, "/b").unwrap();
        assert_eq!(next.url.as_str(), "https://api.example.com/b");
        assert!(next.headers.contains_key(AUTHORIZATION) && next.headers.contains_key("x-key"));
        let next = follow(Method::PUT, 307, "c?key=s").unwrap();
        assert_eq!((next.method, next.url.query()), (Method::PUT, Some("key=s")));
        assert!(matches!(next.body, Body::Bytes(_)));
    }

    #[test]
    fn another_origin_gets_none_of_them() {
        for location in [
            "https://cdn.example.com/b?key=s&x=1",
            "http://api.example.com/b?key=s&x=1",
            "https://api.example.com:8443/b?key=s&x=1",
            "//cdn.example.com/b?key=s&x=1",
        ] {
            let next = follow(Method::GET, 302, location).unwrap();
            assert!(!next.headers.contains_key(AUTHORIZATION), "{location}");
            assert!(!next.headers.contains_key("x-key"), "{location}");
            assert!(next.headers.contains_key("accept"));
            assert_eq!(next.url.query(), Some("x=1"), "{location}");
            assert!(matches!(next.body, Body::Empty));
        }
    }

    #[test]
    fn writes_are_not_sent_to_another_origin() {
        for status in [301, 302, 303, 307, 308] {
            assert!(follow(Method::POST, status, "https://other.example/").is_none());
        }
        let next = follow(Method::POST, 303, "/done").unwrap();
        assert_eq!(next.method, Method::GET);
        assert!(matches!(next.body, Body::Empty));
        assert_eq!(follow(Method::POST, 308, "/done").unwrap().method, Method::POST);
    }

    #[test]
    fn what_is_no_redirect_is_left_alone() {
        assert!(follow(Method::GET, 304, "/b").is_none());
        assert!(follow(Method::GET, 200, "/b").is_none());
        assert!(follow(Method::GET, 302, "http://").is_none());
    }
}
