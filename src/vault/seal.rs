//! The format of sealed values: XChaCha20-Poly1305 behind a header that names the key.
//!
//! ```text
//! 1 | master key id (4) | nonce (24) | ciphertext and tag    data keys, and values of old
//! 2 | data key id (8)   | nonce (24) | ciphertext and tag    values
//! ```
//!
//! The associated data names column, project and row, so that a value copied to another row does
//! not open there. The nonce is random: 192 bits need no counter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const NONCE: usize = 24;
const TAG: usize = 16;

/// Id of a master key: the start of a hash of it.
pub type MasterId = [u8; 4];

/// Id of a data key: random.
pub type DataKeyId = [u8; 8];

/// A sealing key; wiped when dropped.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// From 32 bytes in base64 or hex.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())?;
        Self::from_bytes(&Zeroizing::new(bytes))
    }

    /// From 32 bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// A new random key.
    pub(super) fn generate() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// A new random key, in base64.
    pub fn generate_text() -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(Self::generate().bytes()))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its id as a master key.
    pub fn id(&self) -> MasterId {
        let digest =
            Sha256::new().chain_update(b"patchbay key id").chain_update(self.bytes()).finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

/// Shows the id only.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", hex::encode(self.id()))
    }
}

/// What a sealed value belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `table.column`
    pub column: &'a str,
    /// Project; empty where there is none.
    pub project: &'a str,
    /// Row id.
    pub row: &'a str,
}

impl Context<'_> {
    fn bytes(&self) -> Vec<u8> {
        // Length-prefixed, so that no two contexts give the same bytes.
        let mut bytes = Vec::with_capacity(96);
        for part in [self.column, self.project, self.row] {
            bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// A sealed value that does not open: wrong key, wrong row, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret is damaged, belongs to another row, or was sealed with another key")]
pub struct CannotOpen;

impl From<CannotOpen> for crate::error::Error {
    fn from(error: CannotOpen) -> Self {
        Self::internal(error)
    }
}

/// Which key a value is sealed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealer {
    /// A master key.
    Master(MasterId),
    /// A data key.
    Data(DataKeyId),
}

impl Sealer {
    fn header(self) -> Vec<u8> {
        let mut header = Vec::with_capacity(9);
        match self {
            Self::Master(id) => {
                header.push(1);
                header.extend_from_slice(&id);
            }
            Self::Data(id) => {
                header.push(2);
                header.extend_from_slice(&id);
            }
        }
        header
    }

    /// Reads a header; the rest is nonce and text.
    fn split(sealed: &[u8]) -> Option<(Self, &[u8])> {
        let (version, rest) = sealed.split_first()?;
        match version {
            1 => rest.split_first_chunk().map(|(id, rest)| (Self::Master(*id), rest)),
            2 => rest.split_first_chunk().map(|(id, rest)| (Self::Data(*id), rest)),
            _ => None,
        }
    }

    /// The key that a value names.
    ///
    /// # Errors
    /// For what is no sealed value.
    pub fn of(sealed: &[u8]) -> Result<Self, CannotOpen> {
        Self::split(sealed).map(|(sealer, _)| sealer).ok_or(CannotOpen)
    }
}

/// Seals bytes with a key that the header calls `sealer`.
pub fn seal(key: &Key, sealer: Sealer, context: Context<'_>, plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = rand::random();
    let mut sealed = sealer.header();
    sealed.reserve_exact(NONCE + plain.len() + TAG);
    sealed.extend_from_slice(&nonce);
    let aad = context.bytes();
    #[expect(clippy::expect_used, reason = "fails only beyond 256 GiB")]
    let text = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad })
        .expect("sealing a value that fits in memory");
    sealed.extend_from_slice(&text);
    sealed
}

/// Opens what [`seal`] made with the same key for the same context.
///
/// # Errors
/// For another key or context, or damage.
pub fn open(
    key: &Key,
    context: Context<'_>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
    let (_, rest) = Sealer::split(sealed).ok_or(CannotOpen)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or(CannotOpen)?;
    let aad = context.bytes();
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: &aad })
        .map(Zeroizing::new)
        .map_err(|_| CannotOpen)
}

/// Seals with a master key under its own id.
pub fn seal_with_master(key: &Key, context: Context<'_>, plain: &[u8]) -> Vec<u8> {
    seal(key, Sealer::Master(key.id()), context, plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Context<'_> = Context { column: "t.c", project: "p", row: "r" };

    fn key(byte: u8) -> Key {
        Key::parse(&hex::encode([byte; 32])).unwrap()
    }

    #[test]
    fn opens_only_with_its_key_and_in_its_row() {
        for sealer in [Sealer::Master(key(1).id()), Sealer::Data([9; 8])] {
            let sealed = seal(&key(1), sealer, A, b"secret");
            assert_eq!(Sealer::of(&sealed), Ok(sealer));
            assert_eq!(open(&key(1), A, &sealed).unwrap().as_slice(), b"secret");
            assert_eq!(open(&key(2), A, &sealed), Err(CannotOpen));
            for elsewhere in [
                Context { row: "s", ..A },
                Context { project: "q", ..A },
                Context { column: "t.d", ..A },
                Context { column: "t.cp", project: "", row: "r" },
            ] {
                assert_eq!(open(&key(1), elsewhere, &sealed), Err(CannotOpen));
            }
        }
    }

    #[test]
    fn damage_is_noticed_at_every_byte() {
        for sealer in [Sealer::Master(key(1).id()), Sealer::Data([9; 8])] {
            let sealed = seal(&key(1), sealer, A, b"secret");
            for i in 0..sealed.len() {
                for bit in 0..8 {
                    let mut bad = sealed.clone();
                    bad[i] ^= 1 << bit;
                    // Either another key is looked for, or the right one refuses.
                    let same_key = Sealer::of(&bad) == Ok(sealer);
                    assert!(!same_key || open(&key(1), A, &bad).is_err(), "byte {i} bit {bit}");
                }
                assert!(open(&key(1), A, &sealed[..i]).is_err(), "cut at {i}");
            }
        }
        assert_eq!(Sealer::of(b""), Err(CannotOpen));
        assert_eq!(open(&key(1), A, b""), Err(CannotOpen));
    }

    #[test]
    fn keys_are_base64_or_hex_of_32_bytes_and_print_as_their_id() {
        assert!(Key::parse(&Key::generate_text()).is_some());
        let text = hex::encode([7; 32]);
        let key = Key::parse(&text).unwrap();
        assert!(!format!("{key:?}").contains("0707"));
        assert!(Key::parse("c2hvcnQ=").is_none());
    }
}
