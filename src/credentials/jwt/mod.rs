//! Signed assertions (RFC 7515, RFC 7519). Errors never quote a key.

mod signer;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::catalog::Unsigned;
use crate::catalog::model::{KeyEncoding, SigningAlg};

/// Signs a JWT.
///
/// # Errors
/// What is wrong with the key, for a person.
pub(super) fn sign(unsigned: &Unsigned) -> Result<String, String> {
    signer::install();
    let algorithm = match unsigned.alg {
        SigningAlg::RS256 => Algorithm::RS256,
        SigningAlg::RS384 => Algorithm::RS384,
        SigningAlg::RS512 => Algorithm::RS512,
        SigningAlg::ES256 => Algorithm::ES256,
        SigningAlg::ES384 => Algorithm::ES384,
        SigningAlg::HS256 => Algorithm::HS256,
        SigningAlg::HS384 => Algorithm::HS384,
        SigningAlg::HS512 => Algorithm::HS512,
    };
    let key = key(unsigned, algorithm)?;
    let extras: HashMap<String, serde_json::Value> =
        unsigned.headers.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
    let header = Header { kid: unsigned.key_id.clone(), ..Header::new(algorithm) };
    let token = if extras.is_empty() {
        jsonwebtoken::encode(&header, &unsigned.claims, &key)
    } else {
        with_headers(&header, extras, unsigned, &key, algorithm)
    };
    token.map_err(|_| {
        match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => {
                "the private key is not a usable RSA key of at least 2048 bits"
            }
            _ => "the private key is not a usable key of the algorithm",
        }
        .to_owned()
    })
}

/// The library's header has a fixed set of fields, so others are put in by hand.
fn with_headers(
    header: &Header,
    extras: HashMap<String, serde_json::Value>,
    unsigned: &Unsigned,
    key: &EncodingKey,
    algorithm: Algorithm,
) -> jsonwebtoken::errors::Result<String> {
    let mut header = serde_json::to_value(header)?;
    if let Some(fields) = header.as_object_mut() {
        fields.extend(extras);
    }
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let claims = serde_json::to_string(&unsigned.claims)?;
    let message = format!("{}.{}", part(header.to_string()), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm)?;
    Ok(format!("{message}.{signature}"))
}

fn key(unsigned: &Unsigned, algorithm: Algorithm) -> Result<EncodingKey, String> {
    let text = unsigned.key.trim();
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            let bytes = match unsigned.key_encoding {
                KeyEncoding::Text => Some(text.as_bytes().to_vec()),
                KeyEncoding::Hex => hex::decode(text).ok(),
                KeyEncoding::Base64 => {
                    let bare = text.trim_end_matches('=');
                    let bytes = STANDARD_NO_PAD.decode(bare);
                    bytes.or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()
                }
            };
            let bytes = bytes.filter(|b| !b.is_empty());
            Ok(EncodingKey::from_secret(&bytes.ok_or("the secret is not written as it should be")?))
        }
        Algorithm::ES256 | Algorithm::ES384 => {
            let pem = pem(text).ok_or("the private key is not in PEM form")?;
            EncodingKey::from_ec_pem(pem.as_bytes())
                .map_err(|_| "the private key is not an EC key in PKCS #8 form".to_owned())
        }
        _ => {
            let pem = pem(text).ok_or("the private key is not in PEM form")?;
            EncodingKey::from_rsa_pem(pem.as_bytes())
                .map_err(|_| "the private key is not an RSA key".to_owned())
        }
    }
}

/// A PEM text as it should be, of one whose line breaks were lost on the way: written as `\n`, or
/// turned into blanks by an input of one line.
fn pem(text: &str) -> Option<String> {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let plain = |c: char| c.is_ascii_uppercase() || c == ' ';
    if label.is_empty() || label.len() > 40 || !label.chars().all(plain) {
        return None;
    }
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};
    use std::collections::BTreeMap;

    fn unsigned(alg: SigningAlg, key: &str) -> Unsigned {
        Unsigned {
            alg,
            key: key.to_owned(),
            key_encoding: KeyEncoding::Text,
            key_id: Some("k1".into()),
            headers: BTreeMap::new(),
            claims: Map::from_iter([("iss".to_owned(), json!("me"))]),
            exp: 0,
        }
    }

    fn parts(token: &str) -> (Value, Value) {
        let mut parts = token.split('.').map(|p| URL_SAFE_NO_PAD.decode(p).unwrap());
        let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
        (next(), next())
    }

    #[test]
    fn an_hs256_token_is_the_one_that_the_rfc_has() {
        // The key of RFC 7515, appendix A.1; the header there has another form, so the signature
        // is checked against the primitive.
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let mut jwt = unsigned(SigningAlg::HS256, secret);
        jwt.key_encoding = KeyEncoding::Base64;
        jwt.headers = BTreeMap::from([("aud".to_owned(), "x".to_owned())]);
        let token = sign(&jwt).unwrap();
        let (header, claims) = parts(&token);
        assert_eq!(header, json!({"typ": "JWT", "alg": "HS256", "kid": "k1", "aud": "x"}));
        assert_eq!(claims, json!({"iss": "me"}));
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(secret).unwrap());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        ring::hmac::verify(&key, message.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn an_ec_key_signs_in_any_spelling_of_its_line_breaks() {
        let random = ring::rand::SystemRandom::new();
        let alg = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = ring::signature::EcdsaKeyPair::generate_pkcs8(alg, &random).unwrap();
        let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let pair = ring::signature::EcdsaKeyPair::from_pkcs8(alg, der.as_ref(), &random).unwrap();
        for text in [pem.clone(), pem.replace('\n', "\\n"), pem.replace('\n', " ")] {
            let token = sign(&unsigned(SigningAlg::ES256, &text)).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let public = ring::signature::UnparsedPublicKey::new(
                &ring::signature::ECDSA_P256_SHA256_FIXED,
                ring::signature::KeyPair::public_key(&pair),
            );
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            public.verify(message.as_bytes(), &signature).unwrap();
        }
        for wrong in
            ["", "secret-text", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
        {
            for alg in [SigningAlg::ES256, SigningAlg::RS256] {
                let error = sign(&unsigned(alg, wrong)).unwrap_err();
                assert!(!error.contains("secret-text") && !error.contains("AAAA"));
            }
        }
        // A key of another kind than the algorithm's.
        assert!(sign(&unsigned(SigningAlg::RS256, &pem)).is_err());
    }
}
