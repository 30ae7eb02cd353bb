//! Whether a call is the provider's. All comparisons of secrets take the same time.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac as ring_hmac;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::call::Call;
use crate::catalog::model::{Hmac, HmacAlgorithm, SignatureEncoding, Verify};

/// Most signatures of one call that are looked at.
const MAX_SIGNATURES: usize = 16;

/// Some providers leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Checks a call by a rule. `key` gives secrets by name, `url` is the URL that was registered,
/// `now` in seconds since 1970.
///
/// # Errors
/// Why it is not known to be the provider's, without a secret.
pub(super) fn verify(
    rule: &Verify,
    call: &Call,
    url: &str,
    key: impl Fn(&str) -> Option<String>,
    now: i64,
) -> Result<(), String> {
    let secret = |name: &str| {
        key(name).filter(|secret| !secret.is_empty()).ok_or_else(|| {
            format!("the secret `{name}` that it would be checked with is not known")
        })
    };
    match rule {
        Verify::Url {} => Ok(()),
        Verify::Token { header, at, key } => {
            let secret = secret(key)?;
            let is_it = |given: &str| bool::from(digest(given).ct_eq(&digest(&secret)));
            if let Some(name) = header {
                let given = call.header(name).ok_or_else(|| format!("no header {name}"))?;
                if !is_it(given) {
                    return Err(format!("the header {name} does not hold the secret"));
                }
            }
            if let Some(pointer) = at {
                let mut given = Vec::new();
                pointed(&call.body, pointer, &mut given);
                let all = given.iter().all(|v| v.as_str().is_some_and(is_it));
                if given.is_empty() || !all {
                    return Err(format!("the body does not hold the secret at {pointer}"));
                }
            }
            if header.is_none() && at.is_none() {
                return Err("the definition does not say where the secret is".to_owned());
            }
            Ok(())
        }
        Verify::Hmac(rule) => {
            let secret = secret(&rule.key)?;
            signed(rule, call, url, secret.as_bytes(), now)
        }
    }
}

/// Secrets of any length become texts of the same length.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What a JSON pointer finds, where `*` is every element or member.
fn pointed<'a>(value: &'a Value, pointer: &str, found: &mut Vec<&'a Value>) {
    let Some(rest) = pointer.strip_prefix('/') else {
        found.push(value);
        return;
    };
    let (name, rest) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match value {
        Value::Array(items) if name == "*" => {
            items.iter().for_each(|item| pointed(item, rest, found));
        }
        Value::Object(map) if name == "*" => {
            map.values().for_each(|item| pointed(item, rest, found));
        }
        Value::Array(items) => {
            if let Some(item) = name.parse::<usize>().ok().and_then(|i| items.get(i)) {
                pointed(item, rest, found);
            }
        }
        Value::Object(map) => {
            if let Some(item) = map.get(&name) {
                pointed(item, rest, found);
            }
        }
        _ => {}
    }
}

fn signed(rule: &Hmac, call: &Call, url: &str, secret: &[u8], now: i64) -> Result<(), String> {
    let name = &rule.header;
    let header = call.header(name).ok_or_else(|| format!("no header {name}"))?;
    let fields = |wanted: &str| -> Vec<&str> {
        let pairs = header.split([',', ';']).filter_map(|pair| pair.trim().split_once('='));
        let values = pairs.filter(|(field, _)| field.trim() == wanted).map(|(_, v)| v.trim());
        values.take(MAX_SIGNATURES).collect()
    };
    let mut time = "";
    if let Some(rule) = &rule.timestamp {
        let given = match (&rule.header, &rule.field) {
            (Some(name), _) => call.header(name),
            (None, Some(field)) => fields(field).first().copied(),
            (None, None) => None,
        };
        time = given.ok_or("no time of the call")?;
        let at: i64 = time.parse().map_err(|_| "the time of the call is no number")?;
        let at = if at.unsigned_abs() > 100_000_000_000 { at / 1000 } else { at };
        let apart = now.abs_diff(at);
        if apart > rule.tolerance_s {
            return Err(format!("the call is {apart} seconds old or early"));
        }
    }
    let given: Vec<&str> = match &rule.field {
        Some(field) => fields(field),
        None if rule.prefix.is_some() => header.split_whitespace().take(MAX_SIGNATURES).collect(),
        None => header
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|part| !part.is_empty())
            .take(MAX_SIGNATURES)
            .collect(),
    };
    let text = text_of(&rule.signed, call, url, time);
    for signature in given {
        let bare = match &rule.prefix {
            Some(prefix) => match signature.strip_prefix(prefix.as_str()) {
                Some(bare) => bare,
                None => continue,
            },
            None => signature,
        };
        let bytes = match rule.encoding {
            SignatureEncoding::Hex => hex::decode(bare).ok(),
            SignatureEncoding::Base64 => BASE64.decode(bare).ok(),
        };
        if bytes.is_some_and(|bytes| is_mac(rule.algorithm, secret, &text, &bytes)) {
            return Ok(());
        }
    }
    Err(format!("the signature in {name} is not that of the body"))
}

/// What is signed.
fn text_of(template: &str, call: &Call, url: &str, time: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(call.raw.len() + template.len() + 32);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        text.extend_from_slice(before.as_bytes());
        let known: [(&str, &[u8]); 4] = [
            ("{body}", &call.raw),
            ("{timestamp}", time.as_bytes()),
            ("{url}", url.as_bytes()),
            ("{method}", call.method.as_bytes()),
        ];
        match known.iter().find(|(name, _)| after.starts_with(name)) {
            Some((name, value)) => {
                text.extend_from_slice(value);
                rest = &after[name.len()..];
            }
            None => {
                text.push(b'{');
                rest = &after[1..];
            }
        }
    }
    text.extend_from_slice(rest.as_bytes());
    text
}

fn is_mac(algorithm: HmacAlgorithm, secret: &[u8], text: &[u8], given: &[u8]) -> bool {
    let algorithm = match algorithm {
        HmacAlgorithm::Sha1 => ring_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HmacAlgorithm::Sha256 => ring_hmac::HMAC_SHA256,
        HmacAlgorithm::Sha512 => ring_hmac::HMAC_SHA512,
    };
    ring_hmac::verify(&ring_hmac::Key::new(algorithm, secret), text, given).is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde_json::json;

    use super::*;

    fn rule(value: Value) -> Verify {
        serde_json::from_value(value).unwrap()
    }

    fn call(headers: &[(&'static str, &str)], body: &str) -> Call {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Call::new("POST", &map, None, body.as_bytes().to_vec().into()).unwrap()
    }

    fn check(rule: &Verify, call: &Call) -> Result<(), String> {
        let key = |name: &str| (name == "secret").then(|| "It's a Secret to Everybody".to_owned());
        verify(rule, call, "https://p.example/hooks", key, 1_000_000)
    }

    const BODY: &str = "Hello, World!";
    /// Of the body, with the secret, as GitHub documents it.
    const HEX: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_documented_example_of_github_verifies_and_nothing_near_it() {
        let rule =
            rule(json!({"kind": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="}));
        let good = format!("sha256={HEX}");
        assert_eq!(check(&rule, &call(&[("x-hub-signature-256", &good)], BODY)), Ok(()));
        let upper = format!("sha256={}", HEX.to_uppercase());
        assert_eq!(check(&rule, &call(&[("x-hub-signature-256", &upper)], BODY)), Ok(()));
        let several = format!("sha256=00 {good}");
        assert_eq!(check(&rule, &call(&[("x-hub-signature-256", &several)], BODY)), Ok(()));
        for (header, body) in [
            (good.as_str(), "Hello, World"),
            (HEX, BODY),
            ("sha256=", BODY),
            ("sha256=zz", BODY),
            (&good[..good.len() - 2], BODY),
            (&format!("sha1={HEX}"), BODY),
            ("", BODY),
        ] {
            let call = call(&[("x-hub-signature-256", header)], body);
            assert!(check(&rule, &call).is_err(), "{header} {body}");
        }
        assert!(check(&rule, &call(&[], BODY)).unwrap_err().contains("no header"));
    }

    fn sign(text: &str) -> Vec<u8> {
        let key = ring_hmac::Key::new(ring_hmac::HMAC_SHA256, b"It's a Secret to Everybody");
        ring_hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    }

    fn mac(text: &str) -> String {
        hex::encode(sign(text))
    }

    #[test]
    fn lists_of_fields_hold_several_signatures_and_the_time_that_is_signed() {
        let rule = rule(json!({"kind": "hmac", "header": "stripe-signature", "field": "v1",
            "signed": "{timestamp}.{body}", "timestamp": {"field": "t", "tolerance_s": 300}}));
        let good = mac(&format!("999800.{BODY}"));
        let header = format!("t=999800,v1=00ff,v1={good},v0=abc");
        assert_eq!(check(&rule, &call(&[("stripe-signature", &header)], BODY)), Ok(()));
        for (header, why) in [
            (format!("t=999801,v1={good}"), "signature"),
            (format!("t=999699,v1={}", mac(&format!("999699.{BODY}"))), "301 seconds"),
            (format!("t=1000301,v1={}", mac(&format!("1000301.{BODY}"))), "301 seconds"),
            (format!("v1={good}"), "no time"),
            (format!("t=x,v1={good}"), "no number"),
            (format!("t=-9223372036854775808,v1={good}"), "seconds"),
            (format!("t=999800,v0={good}"), "signature"),
        ] {
            let said = check(&rule, &call(&[("stripe-signature", &header)], BODY)).unwrap_err();
            assert!(said.contains(why), "{header}: {said}");
        }
    }

    #[test]
    fn urls_and_methods_can_be_signed() {
        let rule = rule(json!({"kind": "hmac", "header": "x-s", "encoding": "base64",
            "signed": "{method}:{url}:{timestamp}:{body}:{other}",
            "timestamp": {"header": "x-t"}}));
        let text = format!("POST:https://p.example/hooks:1000000:{BODY}:{{other}}");
        let good = BASE64.encode(sign(&text));
        let headers = |signature: &str| call(&[("x-s", signature), ("x-t", "1000000")], BODY);
        assert_eq!(check(&rule, &headers(&good)), Ok(()));
        assert_eq!(check(&rule, &headers(good.trim_end_matches('='))), Ok(()));
        assert!(check(&rule, &headers("!!")).is_err());
    }

    #[test]
    fn tokens_are_at_every_place_that_a_pointer_names() {
        let secret = "It's a Secret to Everybody";
        let everywhere = rule(json!({"kind": "token", "at": "/value/*/state"}));
        for (body, good) in [
            (json!({"value": [{"state": secret}, {"state": secret}]}), true),
            (json!({"value": [{"state": secret}, {"state": "x"}]}), false),
            (json!({"value": [{"state": secret}, {}]}), true),
            (json!({"value": []}), false),
            (json!({"value": [{"state": [secret]}]}), false),
            (json!([]), false),
        ] {
            let call = call(&[], &body.to_string());
            assert_eq!(check(&everywhere, &call).is_ok(), good, "{body}");
        }
        let header = rule(json!({"kind": "token", "header": "X-Token"}));
        assert_eq!(check(&header, &call(&[("x-token", secret)], "")), Ok(()));
        assert!(check(&header, &call(&[("x-token", "It")], "")).is_err());
        let unknown = rule(json!({"kind": "token", "header": "x-token", "key": "other"}));
        assert!(check(&unknown, &call(&[("x-token", "")], "")).unwrap_err().contains("not known"));
    }
}
