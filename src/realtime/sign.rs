//! Who may listen: a signature over the socket and the channel, as the Pusher protocol wants it.
//!
//! A project's secret is derived from the server's link keys. Every replica agrees on it, nothing
//! is stored, and it changes with them; signatures of retired keys are good for as long as those
//! are kept. Each is bound to a socket, so none outlives its connection.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::channel::Channel;
use crate::app::App;
use crate::domain::id::ProjectId;
use crate::error::Result;

/// What opens a channel to a socket: `key:signature`.
///
/// # Errors
/// When the keys are not in memory and the database is away.
pub async fn auth(
    app: &App,
    project: &ProjectId,
    socket_id: &str,
    channel: Channel,
) -> Result<String> {
    let name = channel.name(project);
    let (key, mac) = match &app.config.realtime_relay {
        // The socket is at the relay, which knows the app's own secret.
        Some(relay) => {
            let secret = relay.secret.expose_secret().as_bytes();
            (relay.key.as_str(), signature(secret, socket_id, &name))
        }
        None => {
            let secret = secret(app.vault.link_keys().await?.newest(), project);
            (project.as_str(), signature(&secret, socket_id, &name))
        }
    };
    Ok(format!("{key}:{}", hex::encode(mac.finalize().into_bytes())))
}

/// Whether [`auth`] gave this, on whichever replica.
///
/// # Errors
/// When the keys are not in memory and the database is away.
pub async fn verify(
    app: &App,
    project: &ProjectId,
    socket_id: &str,
    channel: Channel,
    auth: &str,
) -> Result<bool> {
    let Some((key, given)) = auth.split_once(':') else { return Ok(false) };
    let Ok(given) = hex::decode(given) else { return Ok(false) };
    if key != project.as_str() {
        return Ok(false);
    }
    let name = channel.name(project);
    // Compares in constant time.
    let signed_with = |key: &[u8; 32]| {
        signature(&secret(key, project), socket_id, &name).verify_slice(&given).is_ok()
    };
    if app.vault.link_keys().await?.all().any(signed_with) {
        return Ok(true);
    }
    // A key that another server made a moment ago may not be known here yet.
    Ok(app.vault.link_keys_again().await?.all().any(signed_with))
}

/// A keyed hash that is to be fed.
pub(super) fn mac(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("any key")
}

/// A project's secret under a link key. Links begin with another word.
fn secret(link_key: &[u8; 32], project: &ProjectId) -> [u8; 32] {
    let mut mac = mac(link_key);
    mac.update(format!("realtime\n{project}").as_bytes());
    mac.finalize().into_bytes().into()
}

/// The protocol's signature.
fn signature(secret: &[u8], socket_id: &str, channel: &str) -> Hmac<Sha256> {
    let mut mac = mac(secret);
    mac.update(format!("{socket_id}:{channel}").as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_protocol() {
        // The worked example of the protocol's documentation.
        let mac = signature(b"7ad3773142a6692b25b8", "1234.1234", "private-foobar");
        assert_eq!(
            hex::encode(mac.finalize().into_bytes()),
            "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        );
    }

    #[test]
    fn projects_and_keys_have_secrets_of_their_own() {
        let (a, b) = (ProjectId::from("pr_a"), ProjectId::from("pr_b"));
        assert_ne!(secret(&[1; 32], &a), secret(&[1; 32], &b));
        assert_ne!(secret(&[1; 32], &a), secret(&[2; 32], &a));
    }
}
