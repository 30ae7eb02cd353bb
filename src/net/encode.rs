//! From a request as data to one for the wire.

use axum::body::Bytes;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;

use super::{Hop, NetError};
use crate::domain::outbound::{OutboundBody, OutboundRequest, Part};

/// A body that can be sent more than once: a redirect may want it again.
#[derive(Clone)]
pub(super) enum Body {
    Empty,
    Bytes(Bytes),
}

impl Body {
    pub(super) fn put_into(&self, request: &mut reqwest::Request) {
        if let Self::Bytes(bytes) = self {
            *request.body_mut() = Some(bytes.clone().into());
        }
    }
}

/// Checks names and values of the headers and writes the body.
pub(super) fn hop(request: OutboundRequest) -> Result<Hop, NetError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 2);
    let (body, content_type) = body(request.body)?;
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    for (name, value) in &request.headers {
        headers.insert(header_name(name)?, header_value(name, value)?);
    }
    Ok(Hop { method: request.method, url: request.url, headers, body })
}

fn header_name(name: &str) -> Result<HeaderName, NetError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        let shown: String = name.chars().take(60).collect();
        NetError::Invalid(format!("{shown:?} is not a valid header name"))
    })
}

/// The value is not repeated in the error: it may be a secret.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, NetError> {
    HeaderValue::from_str(value).map_err(|_| {
        NetError::Invalid(format!(
            "The value of the header {name} holds a line break or another control character"
        ))
    })
}

fn body(body: OutboundBody) -> Result<(Body, Option<HeaderValue>), NetError> {
    Ok(match body {
        OutboundBody::Empty => (Body::Empty, None),
        OutboundBody::Json(value) => {
            let bytes = serde_json::to_vec(&value)
                .map_err(|e| NetError::Invalid(format!("The body cannot be written: {e}")))?;
            (Body::Bytes(bytes.into()), Some(HeaderValue::from_static("application/json")))
        }
        OutboundBody::Form(pairs) => {
            let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            (Body::Bytes(text.into()), Some(kind))
        }
        OutboundBody::Multipart(parts) => multipart(&parts)?,
        OutboundBody::Raw { content_type, bytes } => {
            (Body::Bytes(bytes), Some(header_value("Content-Type", &content_type)?))
        }
    })
}

/// RFC 7578. The random boundary cannot be foreseen by whoever wrote a value.
fn multipart(parts: &[Part]) -> Result<(Body, Option<HeaderValue>), NetError> {
    let boundary = format!("patchbay-{}", crate::domain::id::random_text(32));
    let size: usize = parts.iter().map(|part| part.content.len() + 300).sum();
    let mut body = Vec::with_capacity(size);
    for part in parts {
        let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"");
        head.push_str(&quoted(&part.name));
        head.push('"');
        if let Some(name) = &part.file_name {
            head.push_str("; filename=\"");
            head.push_str(&quoted(name));
            head.push('"');
        }
        if let Some(kind) = &part.content_type {
            let kind = header_value("Content-Type", kind)?;
            head.push_str("\r\nContent-Type: ");
            head.push_str(kind.to_str().unwrap_or("application/octet-stream"));
        }
        head.push_str("\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let kind = header_value("Content-Type", &format!("multipart/form-data; boundary={boundary}"))?;
    Ok((Body::Bytes(body.into()), Some(kind)))
}

/// A name that cannot leave its quotes, as browsers write it.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A").replace('\0', "%00")
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use url::Url;

    use super::*;

    fn request(headers: &[(&str, &str)], body: OutboundBody) -> OutboundRequest {
        OutboundRequest {
            method: Method::POST,
            url: Url::parse("https://example.com/").unwrap(),
            headers: headers.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            body,
            timeout: None,
        }
    }

    #[test]
    fn a_line_break_in_a_header_is_refused_without_repeating_it() {
        for value in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "\r"] {
            let error = hop(request(&[("X-Key", value)], OutboundBody::Empty)).err().unwrap();
            assert!(matches!(&error, NetError::Invalid(m) if !m.contains("Evil")), "{error}");
        }
        assert!(hop(request(&[("X Key", "a")], OutboundBody::Empty)).is_err());
        assert!(hop(request(&[("X-K\r\ney", "a")], OutboundBody::Empty)).is_err());
    }

    #[test]
    fn a_later_header_replaces_an_earlier_one_and_the_default_content_type() {
        let body = OutboundBody::Json(serde_json::json!({}));
        let hop = hop(request(
            &[("Accept", "a/b"), ("accept", "c/d"), ("content-type", "application/vnd.x+json")],
            body,
        ))
        .unwrap();
        assert_eq!(hop.headers["accept"], "c/d");
        assert_eq!(hop.headers[CONTENT_TYPE], "application/vnd.x+json");
    }

    #[test]
    fn a_multipart_name_cannot_leave_its_quotes() {
        let parts = vec![Part {
            file_name: Some("b\"\r\nX: y".to_owned()),
            ..Part::text("a\"\r\nX: y".to_owned(), "v".to_owned())
        }];
        let hop = hop(request(&[], OutboundBody::Multipart(parts))).unwrap();
        let Body::Bytes(bytes) = hop.body else { panic!() };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains("name=\"a%22%0D%0AX: y\"; filename=\"b%22%0D%0AX: y\""), "{text}");
    }

    #[test]
    fn a_part_has_its_bytes_and_its_type_and_no_more_headers() {
        let part = |kind: &str| Part {
            name: "f".to_owned(),
            file_name: Some("ä.bin".to_owned()),
            content_type: Some(kind.to_owned()),
            content: Bytes::from_static(b"\0\xff\r\n--x"),
        };
        let good = hop(request(&[], OutboundBody::Multipart(vec![part("image/png")]))).unwrap();
        let boundary = good.headers[CONTENT_TYPE].to_str().unwrap().split("boundary=").nth(1);
        let boundary = boundary.unwrap().to_owned();
        let Body::Bytes(bytes) = good.body else { panic!() };
        let mut wanted = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"ä.bin\"\r\n\
             Content-Type: image/png\r\n\r\n"
        )
        .into_bytes();
        wanted.extend_from_slice(b"\0\xff\r\n--x\r\n");
        wanted.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        assert_eq!(bytes, wanted);
        let bad = part("image/png\r\nX-Evil: 1");
        assert!(hop(request(&[], OutboundBody::Multipart(vec![bad]))).is_err());
    }
}
