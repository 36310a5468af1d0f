//! Owns the keys that tokens are checked with. A key pins its algorithm; a token never chooses.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::value::RawValue;

use super::{Denied, Secret};

/// One key with the one algorithm it is for.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why text is not a key that tokens can be checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The PEM text holds a private key.
    #[error("the file holds a private key; give the server the public one")]
    Private,
    /// Neither RSA, nor P-256, nor Ed25519.
    #[error("the file is no PEM public key of RSA, P-256 or Ed25519")]
    Unknown,
    /// RSA with less than 2048 bits.
    #[error("the RSA key has less than 2048 bits")]
    Short,
    /// No JSON object with `keys`.
    #[error("the key set is no JSON object with a list of `keys`")]
    NoSet,
}

impl Key {
    /// The shared secret of `--jwt-secret`: HS256 and nothing else.
    pub(super) fn from_secret(secret: &Secret) -> Self {
        let key = DecodingKey::from_secret(secret.expose().as_bytes());
        Self {
            id: None,
            algorithm: Algorithm::HS256,
            key,
        }
    }

    /// A PEM public key; its type says the algorithm: RS256, ES256 or EdDSA.
    pub(super) fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        if pem.contains("PRIVATE KEY") {
            return Err(InvalidKey::Private);
        }
        let pinned = |algorithm, key| {
            Ok(Self {
                id: None,
                algorithm,
                key,
            })
        };
        if let Ok(key) = DecodingKey::from_rsa_pem(pem.as_bytes()) {
            // A modulus of 2048 bits alone takes 256 bytes; the verifier takes nothing shorter.
            if key.try_get_as_bytes().is_ok_and(|der| der.len() < 256) {
                return Err(InvalidKey::Short);
            }
            return pinned(Algorithm::RS256, key);
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem.as_bytes()) {
            // An uncompressed point of P-256; other curves are not ES256.
            if key.try_get_as_bytes().is_ok_and(|point| point.len() == 65) {
                return pinned(Algorithm::ES256, key);
            }
            return Err(InvalidKey::Unknown);
        }
        let key = DecodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| InvalidKey::Unknown)?;
        pinned(Algorithm::EdDSA, key)
    }

    /// A key of a key set. `None` for keys that are not for signatures, or not public.
    fn from_jwk(jwk: &Jwk) -> Option<Self> {
        if jwk
            .common
            .public_key_use
            .as_ref()
            .is_some_and(|it| *it != PublicKeyUse::Signature)
        {
            return None;
        }
        let algorithm = algorithm_of(jwk)?;
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self {
            id: jwk.common.key_id.clone(),
            algorithm,
            key,
        })
    }

    /// Checks a token's signature and returns its payload.
    pub(super) fn open(&self, token: &str) -> Result<Box<RawValue>, Denied> {
        let mut validation = Validation::new(self.algorithm);
        // Times are judged in `claims`, by the clock that the caller gives; the audience is open.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        match jsonwebtoken::decode::<Box<RawValue>>(token, &self.key, &validation) {
            // RFC 7515, 4.1.11: whoever does not understand a critical extension must refuse.
            Ok(data) if data.header.crit.is_some() => {
                Err(Denied::Invalid("it has a critical extension"))
            }
            Ok(data) => Ok(data.claims),
            Err(error) => Err(Denied::Invalid(match error.kind() {
                ErrorKind::InvalidAlgorithm => "its algorithm is not that of the server's key",
                ErrorKind::InvalidSignature => "its signature is wrong",
                _ => "it is no JSON Web Token",
            })),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.algorithm)
    }
}

/// The algorithm a published key is for: its `alg` if it fits its type, else the type's usual one.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    use Algorithm as A;
    let (usual, fitting): (A, &[A]) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (
            A::RS256,
            &[A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512],
        ),
        AlgorithmParameters::EllipticCurve(point) => match point.curve {
            EllipticCurve::P256 => (A::ES256, &[A::ES256]),
            EllipticCurve::P384 => (A::ES384, &[A::ES384]),
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            (A::EdDSA, &[A::EdDSA])
        }
        // A symmetric key in a published set is known to everyone.
        _ => return None,
    };
    match jwk.common.key_algorithm {
        None => Some(usual),
        // Ed25519 also goes by its own name (RFC 9864), which the library does not know.
        Some(KeyAlgorithm::UNKNOWN_ALGORITHM) if usual == A::EdDSA => Some(usual),
        Some(named) => A::try_from(named).ok().filter(|it| fitting.contains(it)),
    }
}

/// The keys of one reading of a key set.
#[derive(Debug, Default)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a JWK set (RFC 7517). Keys of other kinds or uses are passed over.
    ///
    /// # Errors
    ///
    /// When the text is no JSON object with `keys`.
    pub fn parse(json: &str) -> Result<Self, InvalidKey> {
        let set: JwkSet = serde_json::from_str(json).map_err(|_| InvalidKey::NoSet)?;
        Ok(Self(set.keys.iter().filter_map(Key::from_jwk).collect()))
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key with that id; without an id the only key, if there is exactly one.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&Key> {
        match id {
            Some(id) => self.0.iter().find(|key| key.id.as_deref() == Some(id)),
            None => match self.0.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}
