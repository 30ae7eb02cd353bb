//! Signatures of RFC 5849.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use url::Url;

use crate::catalog::model::OAuth1Signature;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::secret::{ExposeSecret, SecretString};

/// Section 3.6: everything but the unreserved characters is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The header that carries the signature.
const AUTHORIZATION: &str = "authorization";

/// What a request is signed with.
pub struct Signer {
    /// Signature method.
    pub method: OAuth1Signature,
    /// `realm` of the header.
    pub realm: Option<String>,
    /// The developer's app.
    pub consumer: (String, SecretString),
    /// The person's token, or a temporary one.
    pub token: Option<(String, SecretString)>,
}

/// The parts of a signature that differ from request to request.
pub(super) struct Moment {
    pub nonce: String,
    pub timestamp: i64,
}

impl Signer {
    /// Signs a request that is otherwise finished. `extra` holds further `oauth_` parameters.
    pub(super) fn sign(&self, request: &mut OutboundRequest, extra: &[(&str, &str)], at: &Moment) {
        let mut oauth: Vec<(String, String)> = vec![
            ("oauth_consumer_key".into(), self.consumer.0.clone()),
            ("oauth_signature_method".into(), self.method_name().into()),
            ("oauth_timestamp".into(), at.timestamp.to_string()),
            ("oauth_nonce".into(), at.nonce.clone()),
            ("oauth_version".into(), "1.0".into()),
        ];
        if let Some((token, _)) = &self.token {
            oauth.push(("oauth_token".into(), token.clone()));
        }
        oauth.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let signature = self.signature(request, &oauth);
        oauth.push(("oauth_signature".into(), signature));
        let mut parts: Vec<String> = Vec::with_capacity(oauth.len() + 1);
        if let Some(realm) = &self.realm {
            parts.push(format!("realm=\"{realm}\""));
        }
        parts.extend(oauth.iter().map(|(k, v)| format!("{}=\"{}\"", encode(k), encode(v))));
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(AUTHORIZATION));
        request.headers.push((AUTHORIZATION.into(), format!("OAuth {}", parts.join(", "))));
    }

    fn method_name(&self) -> &'static str {
        match self.method {
            OAuth1Signature::HmacSha1 => "HMAC-SHA1",
            OAuth1Signature::HmacSha256 => "HMAC-SHA256",
            OAuth1Signature::Plaintext => "PLAINTEXT",
        }
    }

    fn signature(&self, request: &OutboundRequest, oauth: &[(String, String)]) -> String {
        let secret = self.token.as_ref().map_or("", |(_, secret)| secret.expose_secret());
        let key = format!("{}&{}", encode(self.consumer.1.expose_secret()), encode(secret));
        let algorithm = match self.method {
            OAuth1Signature::Plaintext => return key,
            OAuth1Signature::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            OAuth1Signature::HmacSha256 => hmac::HMAC_SHA256,
        };
        let mut parameters = oauth.to_vec();
        parameters.extend(request.url.query_pairs().into_owned());
        parameters.extend(form(&request.body));
        let base = base_string(request.method.as_str(), &request.url, parameters);
        let key = hmac::Key::new(algorithm, key.as_bytes());
        STANDARD.encode(hmac::sign(&key, base.as_bytes()))
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Section 3.4.1.3.1: only a body of one part that is URL-encoded counts.
fn form(body: &OutboundBody) -> Vec<(String, String)> {
    match body {
        OutboundBody::Form(pairs) => pairs.clone(),
        OutboundBody::Raw { content_type, bytes }
            if content_type
                .to_ascii_lowercase()
                .starts_with("application/x-www-form-urlencoded") =>
        {
            url::form_urlencoded::parse(bytes).into_owned().collect()
        }
        _ => Vec::new(),
    }
}

/// Sections 3.4.1.1 to 3.4.1.3.2.
fn base_string(method: &str, url: &Url, parameters: Vec<(String, String)>) -> String {
    let mut encoded: Vec<(String, String)> =
        parameters.into_iter().map(|(k, v)| (encode(&k), encode(&v))).collect();
    encoded.sort();
    let normalized: Vec<String> = encoded.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
    // The parser lowers scheme and host, and leaves a port out that is the scheme's own.
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    let uri = format!("{}://{host}{port}{}", url.scheme(), url.path());
    format!(
        "{}&{}&{}",
        encode(&method.to_ascii_uppercase()),
        encode(&uri),
        encode(&normalized.join("&"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Method;

    fn request(method: Method, url: &str, body: OutboundBody) -> OutboundRequest {
        OutboundRequest {
            method,
            url: Url::parse(url).unwrap(),
            headers: vec![("Authorization".into(), "Bearer other".into())],
            body,
            timeout: None,
        }
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_base_string_is_the_one_of_section_3_4_1_1() {
        let url =
            Url::parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
        let mut parameters = pairs(&[
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            // The body: c2&a3=2+q
            ("c2", ""),
            ("a3", "2 q"),
        ]);
        parameters.extend(url.query_pairs().into_owned());
        assert_eq!(
            base_string("post", &url, parameters),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D\
             %253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26\
             oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D\
             137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
        let url = Url::parse("https://www.example.net:8080/?q=1").unwrap();
        let base = base_string("GET", &url, Vec::new());
        assert!(base.starts_with("GET&https%3A%2F%2Fwww.example.net%3A8080%2F&"), "{base}");
    }

    #[test]
    fn characters_are_encoded_as_section_3_6_says() {
        for (plain, encoded) in [
            ("abcABC123", "abcABC123"),
            ("-._~", "-._~"),
            ("%", "%25"),
            ("+", "%2B"),
            ("&=*", "%26%3D%2A"),
            ("\n", "%0A"),
            (" ", "%20"),
            ("\u{7f}", "%7F"),
            ("\u{80}", "%C2%80"),
            ("\u{3001}", "%E3%80%81"),
            ("Ladies + Gentlemen!", "Ladies%20%2B%20Gentlemen%21"),
        ] {
            assert_eq!(encode(plain), encoded);
        }
    }

    /// The example of section 1.2: the person's photo is asked for with a token.
    #[test]
    fn the_signature_is_the_one_of_section_1_2() {
        let mut signer = Signer {
            method: OAuth1Signature::HmacSha1,
            realm: Some("Photos".into()),
            consumer: ("dpf43f3p2l4k3l03".into(), "kd94hf93k423kf44".to_owned().into()),
            token: Some(("nnch734d00sl2jdk".into(), "pfkkdhi9sl3r4s00".to_owned().into())),
        };
        let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
        let of = |signer: &Signer, request: &OutboundRequest, parameters: &[(&str, &str)]| {
            signer.signature(request, &pairs(parameters))
        };
        let photo = request(Method::GET, url, OutboundBody::Empty);
        let parameters = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ];
        assert_eq!(of(&signer, &photo, &parameters), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
        // The third leg of the same example.
        signer.token = Some(("hh5s93j4hdidpola".into(), "hdhd0244k9j7ao03".to_owned().into()));
        let third = request(Method::POST, "https://photos.example.net/token", OutboundBody::Empty);
        let parameters = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "hh5s93j4hdidpola"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "walatlh"),
            ("oauth_verifier", "hfdp7dh39dks9884"),
        ];
        assert_eq!(of(&signer, &third, &parameters), "gKgrFCywp7rO0OXSjdot/IHF7IU=");
        signer.method = OAuth1Signature::Plaintext;
        assert_eq!(of(&signer, &third, &parameters), "kd94hf93k423kf44&hdhd0244k9j7ao03");
    }

    #[test]
    fn the_header_replaces_any_other_and_a_form_is_signed_with_it() {
        let signer = Signer {
            method: OAuth1Signature::HmacSha1,
            realm: None,
            consumer: ("ck".into(), "cs".to_owned().into()),
            token: None,
        };
        let at = Moment { nonce: "n\"".into(), timestamp: 1 };
        let signed = |body: OutboundBody| {
            let mut request = request(Method::POST, "https://a.example/x", body);
            signer.sign(&mut request, &[("oauth_verifier", "v")], &at);
            assert_eq!(request.headers.len(), 1);
            request.headers.remove(0).1
        };
        let form = signed(OutboundBody::Form(pairs(&[("a", "1 2")])));
        let raw = signed(OutboundBody::Raw {
            content_type: "application/x-www-form-urlencoded; charset=utf-8".into(),
            bytes: "a=1+2".into(),
        });
        assert_eq!(form, raw);
        assert_ne!(form, signed(OutboundBody::Empty));
        assert!(form.starts_with("OAuth oauth_consumer_key=\"ck\", "), "{form}");
        assert!(form.contains("oauth_nonce=\"n%22\"") && form.contains("oauth_verifier=\"v\""));
        // JSON is no parameter.
        let json = signed(OutboundBody::Json(serde_json::json!({"a": "1 2"})));
        assert_eq!(json, signed(OutboundBody::Empty));
    }
}
