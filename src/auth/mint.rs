//! Owns how a token is made, for development and tests. In production an application makes its own.

use std::collections::BTreeMap;

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use super::Secret;
use crate::ids::UnixMillis;
use crate::room::Access;

/// What a token shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passport {
    /// The user's id.
    pub user: String,
    /// The name to show.
    pub name: Option<String>,
    /// Patterns with what they grant: [`Access::Read`], or anything more for write.
    pub rooms: Vec<(String, Access)>,
    /// Reads and writes every room.
    pub admin: bool,
    /// Until when, rounded down to a second.
    pub expires_at: UnixMillis,
}

/// The token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("sign the token")]
pub struct MintError(#[source] jsonwebtoken::errors::Error);

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rooms: BTreeMap<&'a str, &'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    admin: bool,
}

/// Signs a token with HS256.
///
/// # Errors
///
/// When the signing fails, which no known secret makes it do.
pub fn mint(secret: &Secret, passport: &Passport, now: UnixMillis) -> Result<Secret, MintError> {
    let word = |access: Access| match access {
        Access::Read => "read",
        Access::Write | Access::Admin => "write",
    };
    let rooms = passport
        .rooms
        .iter()
        .map(|(pattern, access)| (pattern.as_str(), word(*access)));
    let claims = Claims {
        sub: &passport.user,
        iat: now.0.div_euclid(1000),
        exp: passport.expires_at.0.div_euclid(1000),
        name: passport.name.as_deref(),
        rooms: rooms.collect(),
        admin: passport.admin,
    };
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(MintError)?;
    Ok(Secret::new(token))
}
