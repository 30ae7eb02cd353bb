//! Signatures of what is sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::secret::{ExposeSecret, SecretString};

/// The value of `webhook-signature`. The key is the secret's bytes as they are.
pub fn signature(secret: &SecretString, id: &str, timestamp: i64, body: &[u8]) -> String {
    let key = secret.expose_secret().as_bytes();
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_id_time_and_body_with_the_secret_as_it_is() {
        // From Python: base64(hmac(b"whsec_abc", b"msg_1.1700000000.{\"a\":1}", sha256)).
        let made = signature(&"whsec_abc".into(), "msg_1", 1_700_000_000, br#"{"a":1}"#);
        assert_eq!(made, "v1,SnJHWAWtd6CZvl9WPis+CNayU1PhIcuL7oz9IOoGvL8=");
        for (secret, id, time, body) in [
            ("whsec_abd", "msg_1", 1_700_000_000, &br#"{"a":1}"#[..]),
            ("whsec_abc", "msg_2", 1_700_000_000, br#"{"a":1}"#),
            ("whsec_abc", "msg_1", 1_700_000_001, br#"{"a":1}"#),
            ("whsec_abc", "msg_1", 1_700_000_000, br#"{"a":2}"#),
        ] {
            assert_ne!(signature(&secret.into(), id, time, body), made);
        }
    }
}
