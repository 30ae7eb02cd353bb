//! Links that need no key: they carry a signature of what they open, and end.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Config;
use crate::domain::time;
use crate::error::Result;
use crate::vault::{LinkKeySet, Vault};

/// Signs links under the public URL, and checks them.
#[derive(Debug, Clone)]
pub struct Links {
    vault: Arc<Vault>,
    public_url: Arc<str>,
    ttl: Duration,
}

/// A link and its end.
#[derive(Debug, Clone)]
pub struct Link {
    /// Link that needs no key.
    pub url: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

impl Links {
    /// Links under the public URL that live for `file_ttl_s`.
    pub fn new(config: &Config, vault: &Arc<Vault>) -> Self {
        Self {
            vault: vault.clone(),
            public_url: config.public_url.as_str().into(),
            ttl: config.file_ttl,
        }
    }

    /// When a link that is made now ends.
    pub fn end(&self) -> DateTime<Utc> {
        time::now() + self.ttl
    }

    /// A link to `path`, which may have a query already, that opens what `parts` say.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sign(
        &self,
        path: &str,
        parts: &[&str],
        expires_at: DateTime<Utc>,
    ) -> Result<Link> {
        let expires = expires_at.timestamp();
        let keys = self.vault.link_keys().await?;
        let signature = hex::encode(mac(keys.newest(), parts, expires).finalize().into_bytes());
        let join = if path.contains('?') { '&' } else { '?' };
        let url = format!("{}{path}{join}expires={expires}&signature={signature}", self.public_url);
        Ok(Link { url, expires_at })
    }

    /// Whether this server, or another one of its database, made a link that opens what `parts`
    /// say, and the link has not ended.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn holds(&self, parts: &[&str], expires: i64, signature: &str) -> Result<bool> {
        let Ok(signature) = hex::decode(signature) else { return Ok(false) };
        let signed = |keys: &LinkKeySet| {
            // Compares in constant time.
            let signed_with = |key| mac(key, parts, expires).verify_slice(&signature).is_ok();
            keys.all().any(signed_with)
        };
        // A key that another server made a moment ago may not be known here yet.
        let known = signed(&*self.vault.link_keys().await?)
            || signed(&*self.vault.link_keys_again().await?);
        Ok(known && time::now().timestamp() < expires)
    }
}

/// Each part is a line, and a line end within one is spelled out, so that no two lists of parts look
/// the same. Links of older versions were signed in this way too.
fn mac(key: &[u8; 32], parts: &[&str], expires: i64) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    for part in parts {
        mac.update(part.replace('\\', "\\\\").replace('\n', "\\n").as_bytes());
        mac.update(b"\n");
    }
    mac.update(expires.to_string().as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_says_where_one_part_ends_and_the_next_begins() {
        let code = |parts: &[&str], expires| {
            hex::encode(mac(&[7; 32], parts, expires).finalize().into_bytes())
        };
        assert_eq!(code(&["file", "ab", "c"], 9), code(&["file", "ab", "c"], 9));
        assert_ne!(code(&["file", "ab", "c"], 9), code(&["file", "a", "bc"], 9));
        assert_ne!(code(&["file", "ab", "c"], 9), code(&["file", "ab", "c"], 8));
        assert_ne!(code(&["file", "ab", "c"], 9), code(&["file", "ab", "c", ""], 9));
        assert_ne!(code(&["file", "a\nb"], 9), code(&["file", "a", "b"], 9));
        assert_ne!(code(&["file", "a\nb"], 9), code(&["file", "a\\nb"], 9));
    }
}
