//! Secrets at rest: XChaCha20-Poly1305, bound to the row that holds them.
//!
//! A sealed value is `version (1) | key id (4) | nonce (24) | ciphertext and tag`. The associated
//! data names table, column, project and row, so that a value copied to another row does not
//! open there. The nonce is random: 192 bits need no counter.

mod records;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4;
const NONCE: usize = 24;

/// A sealing key.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// From 32 bytes in base64 or hex.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())?;
        let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(bytes);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// A new random key, in base64.
    pub fn generate_text() -> Zeroizing<String> {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        Zeroizing::new(STANDARD.encode(bytes.as_slice()))
    }

    fn id(&self) -> [u8; 4] {
        let digest =
            Sha256::new().chain_update(b"patchbay key id").chain_update(*self.0).finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

/// What a sealed value belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `table.column`
    pub column: &'a str,
    /// Project, or the organization where there is none.
    pub project: &'a str,
    /// Row id.
    pub row: &'a str,
}

impl Context<'_> {
    fn bytes(&self) -> Vec<u8> {
        // Length-prefixed, so that no two contexts give the same bytes.
        let mut bytes = Vec::with_capacity(64);
        for part in [self.column, self.project, self.row] {
            bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// A sealed value that does not open: wrong key, wrong row, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened with this encryption key")]
pub struct CannotOpen;

/// Seals and opens.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key_id: [u8; 4],
    derived: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// With one key.
    pub fn new(key: &Key) -> Self {
        let derived: [u8; 32] = Sha256::new()
            .chain_update(b"patchbay link signing")
            .chain_update(*key.0)
            .finalize()
            .into();
        Self {
            cipher: XChaCha20Poly1305::new((&*key.0).into()),
            key_id: key.id(),
            derived: Zeroizing::new(derived),
        }
    }

    /// Seals bytes.
    pub fn seal(&self, context: Context<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        let mut sealed = Vec::with_capacity(HEADER + NONCE + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.key_id);
        sealed.extend_from_slice(&nonce);
        let aad = context.bytes();
        #[expect(clippy::expect_used, reason = "fails only beyond 256 GiB")]
        let text = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
            .expect("sealing a value that fits in memory");
        sealed.extend_from_slice(&text);
        sealed
    }

    /// Opens what [`Vault::seal`] made for the same context.
    ///
    /// # Errors
    /// [`CannotOpen`] for another key or context, or damage.
    pub fn open(
        &self,
        context: Context<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (header, rest) = sealed.split_at_checked(HEADER).ok_or(CannotOpen)?;
        let (nonce, text) = rest.split_at_checked(NONCE).ok_or(CannotOpen)?;
        if header[0] != VERSION || header[1..] != self.key_id {
            return Err(CannotOpen);
        }
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| CannotOpen)?;
        let aad = context.bytes();
        self.cipher
            .decrypt(&XNonce::from(nonce), Payload { msg: text, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| CannotOpen)
    }

    /// Seals a JSON object.
    pub fn seal_map(&self, context: Context<'_>, map: &Map<String, Value>) -> Vec<u8> {
        let plain = Zeroizing::new(Value::Object(map.clone()).to_string().into_bytes());
        self.seal(context, &plain)
    }

    /// Opens a JSON object.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_map(
        &self,
        context: Context<'_>,
        sealed: &[u8],
    ) -> Result<Map<String, Value>, CannotOpen> {
        let plain = self.open(context, sealed)?;
        serde_json::from_slice(&plain).map_err(|_| CannotOpen)
    }

    /// A key for signing links to files, derived from the sealing key.
    pub fn link_key(&self) -> &[u8; 32] {
        &self.derived
    }
}

impl From<CannotOpen> for crate::error::Error {
    fn from(error: CannotOpen) -> Self {
        Self::internal(error)
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// SHA-256 of a token or key, as it is stored and looked up.
pub fn hash_token(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Context<'_> = Context { column: "t.c", project: "p", row: "r" };

    fn vault(byte: u8) -> Vault {
        Vault::new(&Key::parse(&hex::encode([byte; 32])).unwrap())
    }

    #[test]
    fn opens_only_with_its_key_and_in_its_row() {
        let sealed = vault(1).seal(A, b"secret");
        assert_eq!(vault(1).open(A, &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(vault(2).open(A, &sealed), Err(CannotOpen));
        let elsewhere = Context { row: "s", ..A };
        assert_eq!(vault(1).open(elsewhere, &sealed), Err(CannotOpen));
        let shifted = Context { column: "t.cp", project: "", row: "r" };
        assert_eq!(vault(1).open(shifted, &sealed), Err(CannotOpen));
    }

    #[test]
    fn damage_is_noticed_at_every_byte() {
        let sealed = vault(1).seal(A, b"secret");
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert_eq!(vault(1).open(A, &bad), Err(CannotOpen), "byte {i}");
        }
        assert_eq!(vault(1).open(A, b""), Err(CannotOpen));
    }

    #[test]
    fn keys_are_base64_or_hex_of_32_bytes() {
        assert!(Key::parse(&Key::generate_text()).is_some());
        assert!(Key::parse(&hex::encode([7; 32])).is_some());
        assert!(Key::parse("c2hvcnQ=").is_none());
    }
}
