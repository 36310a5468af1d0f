//! Owns how a token becomes a grant. Knows nothing of sockets, and keeps no token.
//!
//! [`Auth`] checks a token once and gives a [`Bearer`]; a bearer is asked for a [`Grant`] per room.
//! The algorithm is pinned by the configured key. The rules are in `docs/SPEC.md`.

mod claims;
mod credentials;
mod jwks;
mod keys;
mod mint;
mod origin;
mod pattern;
mod secret;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use credentials::{PROTOCOL, subprotocol, token_in};
pub use jwks::{InvalidJwksSource, JwksSource, ReadError};
pub use keys::{InvalidKey, KeySet};
pub use mint::{MintError, Passport, mint};
pub use origin::{InvalidOrigin, Origins, origin_allowed};
pub use pattern::Patterns;
pub use secret::Secret;

use crate::ids::{RoomId, UnixMillis};
use crate::limits;
use crate::room::{Access, Grant, Identity};

/// What tokens are checked with. Exactly one of them is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A secret shared with the issuer: HS256.
    Secret(Secret),
    /// A PEM file with a public key: RS256, ES256 or EdDSA, by its type.
    PublicKey(PathBuf),
    /// A published key set.
    Jwks(JwksSource),
}

/// What becomes of a connection without a token.
#[derive(Debug, Clone, Copy)]
pub enum Strangers {
    /// It is refused.
    Refused,
    /// It is a guest with a new name, who writes everywhere: `--dev`. The function is the dice.
    Guests(fn() -> u32),
}

/// Checks tokens. Cheap to clone; all clones share one set of keys.
#[derive(Clone)]
pub struct Auth {
    keys: Arc<Keys>,
    strangers: Strangers,
}

enum Keys {
    Fixed(keys::Key),
    Published(jwks::Jwks),
}

/// Who a token stands for and what they may do: a token that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// Who.
    pub identity: Arc<Identity>,
    /// The rooms, by name or prefix.
    pub rooms: Patterns,
    /// The topics for messages, by name or prefix.
    pub topics: Patterns,
    /// Reads, writes and deletes every room.
    pub admin: bool,
    /// Until when; `None` only for guests of `--dev`.
    pub expires_at: Option<UnixMillis>,
}

/// Why somebody is not let in. Its text never has any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No token was shown: 401, close 4401.
    #[error("a token is required")]
    Missing,
    /// The token is not good: 401, close 4401.
    #[error("the token is refused: {0}")]
    Invalid(&'static str),
    /// The token was good once: 401, close 4401.
    #[error("the token has expired")]
    Expired,
    /// The token is good, and does not grant this: 403, close 4403.
    #[error("the token does not grant this")]
    Forbidden,
    /// The key set cannot be read, so nothing is known about the token: 503, close 4503.
    #[error("the keys to check tokens with are not available")]
    Unavailable,
}

/// Why the keys could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The public key cannot be read.
    #[error("read the public key {}", .0.display())]
    PublicKeyFile(PathBuf, #[source] std::io::Error),
    /// The public key is none.
    #[error("read the public key {}", .0.display())]
    PublicKey(PathBuf, #[source] InvalidKey),
    /// The key set cannot be read.
    #[error("read the key set")]
    Jwks(#[from] ReadError),
}

impl Auth {
    /// Reads the keys. A key set at an address may be away for now; a file has to be there.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is no public key.
    pub async fn open(
        source: &KeySource,
        strangers: Strangers,
        now: UnixMillis,
    ) -> Result<Self, OpenError> {
        let keys = match source {
            KeySource::Secret(secret) => Keys::Fixed(keys::Key::from_secret(secret)),
            KeySource::PublicKey(path) => {
                let pem = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|error| OpenError::PublicKeyFile(path.clone(), error))?;
                let key = keys::Key::from_pem(&pem)
                    .map_err(|error| OpenError::PublicKey(path.clone(), error))?;
                Keys::Fixed(key)
            }
            KeySource::Jwks(source) => {
                Keys::Published(jwks::Jwks::open(source.clone(), now).await?)
            }
        };
        Ok(Self {
            keys: Arc::new(keys),
            strangers,
        })
    }

    /// Checks a token. An empty one counts as none.
    ///
    /// May wait for a published key set, 5 seconds at most. May be dropped at any await.
    ///
    /// # Errors
    ///
    /// Everything of [`Denied`] except [`Denied::Forbidden`].
    pub async fn authenticate(
        &self,
        token: Option<&str>,
        now: UnixMillis,
    ) -> Result<Bearer, Denied> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            return self.stranger();
        };
        if token.len() > limits::TOKEN_BYTES_MAX {
            return Err(Denied::Invalid("it is longer than 8 KiB"));
        }
        let payload = match &*self.keys {
            Keys::Fixed(key) => key.open(token)?,
            Keys::Published(set) => {
                let header = jsonwebtoken::decode_header(token)
                    .map_err(|_| Denied::Invalid("it is no JSON Web Token"))?;
                set.key(header.kid.as_deref(), now).await?.open(token)?
            }
        };
        claims::read(payload.get(), now)
    }

    fn stranger(&self) -> Result<Bearer, Denied> {
        match self.strangers {
            Strangers::Refused => Err(Denied::Missing),
            Strangers::Guests(dice) => Ok(Bearer::guest(dice())),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("strangers", &self.strangers)
            .finish_non_exhaustive()
    }
}

impl Bearer {
    /// What this bearer may do in `room`, which need not exist.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`] when nothing is granted.
    pub fn grant(&self, room: &RoomId) -> Result<Grant, Denied> {
        let access = if self.admin {
            Access::Admin
        } else if self.identity.is_guest {
            Access::Write
        } else {
            self.rooms.access(room.as_str()).ok_or(Denied::Forbidden)?
        };
        let identity = Arc::clone(&self.identity);
        Ok(Grant {
            identity,
            access,
            expires_at: self.expires_at,
        })
    }

    /// What this bearer may do with the messages of `topic`: read is hearing, write is sending.
    ///
    /// # Errors
    ///
    /// [`Denied::Forbidden`] when nothing is granted.
    pub fn topic(&self, topic: &str) -> Result<Access, Denied> {
        if self.admin {
            return Ok(Access::Admin);
        }
        if self.identity.is_guest {
            return Ok(Access::Write);
        }
        self.topics.access(topic).ok_or(Denied::Forbidden)
    }

    /// Whether the token still holds.
    ///
    /// # Errors
    ///
    /// [`Denied::Expired`] from the moment of its `exp` on.
    pub fn check_expiry(&self, now: UnixMillis) -> Result<(), Denied> {
        match self.expires_at {
            Some(expires_at) if now >= expires_at => Err(Denied::Expired),
            _ => Ok(()),
        }
    }

    fn guest(number: u32) -> Self {
        let user: Arc<str> = format!("guest-{number:08x}").into();
        let color = Some(claims::color_of(&user));
        let identity = Identity {
            user,
            name: None,
            color,
            avatar: None,
            is_guest: true,
        };
        Self {
            identity: Arc::new(identity),
            rooms: Patterns::default(),
            topics: Patterns::default(),
            admin: false,
            expires_at: None,
        }
    }
}

#[cfg(test)]
mod tests;
