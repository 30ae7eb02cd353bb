//! Signatures for `jsonwebtoken`, made by *ring*, which TLS has in the tree already. The
//! backends that the library itself offers bring a second implementation of everything.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use signature::Signer;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes the signatures available to the library.
pub(super) fn install() {
    // Fails only when it is there already.
    let _ = PROVIDER.install_default();
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if key.family() != family(*algorithm) {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(Ring { algorithm: *algorithm, key: key.clone() }))
}

/// Nothing here trusts a token that it did not fetch itself.
fn verifier(_: &Algorithm, _: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn family(algorithm: Algorithm) -> AlgorithmFamily {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => AlgorithmFamily::Hmac,
        Algorithm::ES256 | Algorithm::ES384 => AlgorithmFamily::Ec,
        Algorithm::EdDSA => AlgorithmFamily::Ed,
        _ => AlgorithmFamily::Rsa,
    }
}

struct Ring {
    algorithm: Algorithm,
    key: EncodingKey,
}

impl JwtSigner for Ring {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Signer<Vec<u8>> for Ring {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let key = self.key.as_bytes();
        let hmac = |algorithm| {
            let key = ring::hmac::Key::new(algorithm, key);
            Ok(ring::hmac::sign(&key, message).as_ref().to_vec())
        };
        match self.algorithm {
            Algorithm::HS256 => hmac(ring::hmac::HMAC_SHA256),
            Algorithm::HS384 => hmac(ring::hmac::HMAC_SHA384),
            Algorithm::HS512 => hmac(ring::hmac::HMAC_SHA512),
            Algorithm::RS256 => rsa(key, &RSA_PKCS1_SHA256, message),
            Algorithm::RS384 => rsa(key, &RSA_PKCS1_SHA384, message),
            Algorithm::RS512 => rsa(key, &RSA_PKCS1_SHA512, message),
            Algorithm::ES256 => ecdsa(key, &ECDSA_P256_SHA256_FIXED_SIGNING, message),
            Algorithm::ES384 => ecdsa(key, &ECDSA_P384_SHA384_FIXED_SIGNING, message),
            _ => Err(signature::Error::new()),
        }
    }
}

fn rsa(
    key: &[u8],
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> std::result::Result<Vec<u8>, signature::Error> {
    let key = RsaKeyPair::from_der(key).map_err(|_| signature::Error::new())?;
    let mut out = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message, &mut out)
        .map_err(|_| signature::Error::new())?;
    Ok(out)
}

fn ecdsa(
    key: &[u8],
    algorithm: &'static ring::signature::EcdsaSigningAlgorithm,
    message: &[u8],
) -> std::result::Result<Vec<u8>, signature::Error> {
    let random = SystemRandom::new();
    let key =
        EcdsaKeyPair::from_pkcs8(algorithm, key, &random).map_err(|_| signature::Error::new())?;
    let signed = key.sign(&random, message).map_err(|_| signature::Error::new())?;
    Ok(signed.as_ref().to_vec())
}
