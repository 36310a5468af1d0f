//! Owns the target `token`: any bytes as a token, as the claims or the head of one that is signed
//! with the server's own key, and as a published key set. Only good tokens are taken.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use jsonwebtoken::{Algorithm, EncodingKey};
use roundtable::auth::{Auth, Bearer, KeySet, KeySource, Secret, Strangers};
use roundtable::ids::{RoomId, UnixMillis};
use roundtable::limits::USER_ID_BYTES_MAX;
use roundtable::room::Access;

const SECRET: &str = "a secret of thirty-two characters";
const NOW: UnixMillis = UnixMillis(1_000_000_000);
const HEAD: &str = r#"{"alg":"HS256"}"#;

static AUTH: LazyLock<Auth> = LazyLock::new(|| {
    let source = KeySource::Secret(Secret::new(SECRET));
    let opened = Auth::open(&source, Strangers::Refused, NOW).now_or_never();
    opened
        .expect("a secret is there at once")
        .expect("and is a key")
});

/// The first byte says what the rest is.
pub fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    match kind % 4 {
        // Nobody guesses a signature.
        0 => assert_eq!(authenticate(&String::from_utf8_lossy(bytes)), None),
        1 => check(authenticate(&signed(HEAD.as_bytes(), bytes))),
        2 => {
            let claims = br#"{"sub":"ada","exp":2000000,"rooms":{"*":"read"}}"#;
            check(authenticate(&signed(bytes, claims)));
        }
        _ => drop(KeySet::parse(&String::from_utf8_lossy(bytes))),
    }
}

fn authenticate(token: &str) -> Option<Bearer> {
    let judged = AUTH.authenticate(Some(token), NOW).now_or_never();
    judged.expect("a fixed key waits for nothing").ok()
}

fn signed(head: &[u8], claims: &[u8]) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.expect("HMAC takes any message"))
}

fn check(bearer: Option<Bearer>) {
    let Some(bearer) = bearer else {
        return;
    };
    let user = &bearer.identity.user;
    assert!((1..=USER_ID_BYTES_MAX).contains(&user.len()));
    assert!(!user.chars().any(char::is_control));
    assert!(
        bearer.expires_at.is_some_and(|at| at > NOW),
        "it has not expired"
    );
    let room = RoomId::parse("room").expect("a name");
    if let Ok(grant) = bearer.grant(&room) {
        assert_eq!(grant.access == Access::Admin, bearer.admin);
        assert_eq!(grant.expires_at, bearer.expires_at);
    }
}
