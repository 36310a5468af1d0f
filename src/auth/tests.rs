//! Tests of tokens from end to end, with real keys of every kind.

mod keys;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const NOW: UnixMillis = UnixMillis(1_000_000_000);
const SECRET: &str = "a secret of thirty-two bytes or more";
const RSA: &[u8] = include_bytes!("../../tests/keys/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/keys/rsa.pub.pem");
const RSA_OTHER: &[u8] = include_bytes!("../../tests/keys/rsa-other.pem");
const RSA_OTHER_PUBLIC: &[u8] = include_bytes!("../../tests/keys/rsa-other.pub.pem");
const EC: &[u8] = include_bytes!("../../tests/keys/ec.pem");
const EC_PUBLIC: &[u8] = include_bytes!("../../tests/keys/ec.pub.pem");
const ED: &[u8] = include_bytes!("../../tests/keys/ed.pem");
const ED_PUBLIC: &[u8] = include_bytes!("../../tests/keys/ed.pub.pem");

fn claims() -> Value {
    json!({ "sub": "ada", "exp": 2_000_000, "rooms": { "project:42": "write" } })
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    signed(
        Algorithm::HS256,
        None,
        &EncodingKey::from_secret(SECRET.as_bytes()),
        claims,
    )
}

fn rs256(kid: Option<&str>, pem: &[u8]) -> String {
    signed(
        Algorithm::RS256,
        kid,
        &EncodingKey::from_rsa_pem(pem).unwrap(),
        &claims(),
    )
}

fn key_file(name: &str) -> KeySource {
    KeySource::PublicKey(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/keys")
            .join(name),
    )
}

async fn open(source: KeySource) -> Auth {
    Auth::open(&source, Strangers::Refused, NOW).await.unwrap()
}

async fn with_secret() -> Auth {
    open(KeySource::Secret(Secret::new(SECRET))).await
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn jwk(pem: &[u8], algorithm: Algorithm, kid: Option<&str>, names_algorithm: bool) -> Jwk {
    let key = match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        _ => DecodingKey::from_rsa_pem(pem),
    };
    let mut jwk = Jwk::from_decoding_key(&key.unwrap(), Some(algorithm)).unwrap();
    if !names_algorithm {
        jwk.common.key_algorithm = None;
    }
    jwk.common.key_id = kid.map(str::to_owned);
    jwk
}

fn set_file(keys: &Value) -> (tempfile::TempDir, KeySource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, json!({ "keys": keys }).to_string()).unwrap();
    (folder, KeySource::Jwks(JwksSource::File(path)))
}

#[tokio::test]
async fn ac1_without_a_token_nobody_gets_in() {
    let auth = with_secret().await;
    assert_eq!(auth.authenticate(None, NOW).await, Err(Denied::Missing));
    assert_eq!(auth.authenticate(Some(""), NOW).await, Err(Denied::Missing));
}

#[tokio::test]
async fn ac2_each_kind_of_key_opens_the_tokens_of_its_algorithm() {
    let ec = signed(
        Algorithm::ES256,
        None,
        &EncodingKey::from_ec_pem(EC).unwrap(),
        &claims(),
    );
    let ed = signed(
        Algorithm::EdDSA,
        None,
        &EncodingKey::from_ed_pem(ED).unwrap(),
        &claims(),
    );
    for (auth, token) in [
        (with_secret().await, hs256(&claims())),
        (open(key_file("rsa.pub.pem")).await, rs256(None, RSA)),
        (open(key_file("ec.pub.pem")).await, ec),
        (open(key_file("ed.pub.pem")).await, ed),
    ] {
        let bearer = auth.authenticate(Some(&token), NOW).await.unwrap();
        assert_eq!(&*bearer.identity.user, "ada");
        assert_eq!(bearer.expires_at, Some(UnixMillis(2_000_000_000)));
    }
}

#[tokio::test]
async fn ac2_the_algorithm_is_the_keys_and_never_the_tokens() {
    let auth = open(key_file("rsa.pub.pem")).await;
    let as_secret = EncodingKey::from_secret(RSA_PUBLIC);
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let forged = signed(algorithm, None, &as_secret, &claims());
        let denied = auth.authenticate(Some(&forged), NOW).await;
        assert_eq!(
            denied,
            Err(Denied::Invalid(
                "its algorithm is not that of the server's key"
            ))
        );
    }
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    for algorithm in [Algorithm::RS384, Algorithm::PS256] {
        let other = signed(algorithm, None, &rsa, &claims());
        assert!(
            auth.authenticate(Some(&other), NOW).await.is_err(),
            "{algorithm:?}"
        );
    }
    let secret = EncodingKey::from_secret(SECRET.as_bytes());
    let other = signed(Algorithm::HS512, None, &secret, &claims());
    assert!(
        with_secret()
            .await
            .authenticate(Some(&other), NOW)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn ac2_a_token_without_a_signature_is_refused() {
    use base64::Engine;
    let part =
        |json: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
    for name in ["none", "None", "NONE", ""] {
        let unsigned = format!("{}.{}.", part(json!({ "alg": name })), part(claims()));
        for auth in [with_secret().await, open(key_file("rsa.pub.pem")).await] {
            let denied = auth.authenticate(Some(&unsigned), NOW).await;
            assert_eq!(
                denied,
                Err(Denied::Invalid("it is no JSON Web Token")),
                "{name}"
            );
        }
    }
    let stripped = format!("{}.", hs256(&claims()).rsplit_once('.').unwrap().0);
    let denied = with_secret().await.authenticate(Some(&stripped), NOW).await;
    assert_eq!(denied, Err(Denied::Invalid("its signature is wrong")));
}

#[tokio::test]
async fn ac2_a_token_of_another_key_or_a_changed_one_is_refused() {
    let wrong = Err(Denied::Invalid("its signature is wrong"));
    let auth = open(key_file("rsa.pub.pem")).await;
    assert_eq!(
        auth.authenticate(Some(&rs256(None, RSA_OTHER)), NOW).await,
        wrong
    );

    let mut more = claims();
    more["admin"] = json!(true);
    let (good, better) = (hs256(&claims()), hs256(&more));
    let payload = better.split('.').nth(1).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let changed = [parts[0], payload, parts[2]].join(".");
    assert_eq!(
        with_secret().await.authenticate(Some(&changed), NOW).await,
        wrong
    );
}

#[tokio::test]
async fn ac5_an_expired_token_is_refused_without_leeway() {
    let auth = with_secret().await;
    let token = hs256(&claims());
    let last = UnixMillis(1_999_999_999);
    let bearer = auth.authenticate(Some(&token), last).await.unwrap();
    assert_eq!(bearer.check_expiry(last), Ok(()));
    let end = UnixMillis(2_000_000_000);
    assert_eq!(bearer.check_expiry(end), Err(Denied::Expired));
    assert_eq!(
        auth.authenticate(Some(&token), end).await,
        Err(Denied::Expired)
    );
}

#[tokio::test]
async fn ac11_a_token_grants_the_rooms_it_names_and_no_other() {
    let auth = with_secret().await;
    let bearer = auth
        .authenticate(Some(&hs256(&claims())), NOW)
        .await
        .unwrap();
    let grant = bearer.grant(&room("project:42")).unwrap();
    assert_eq!(
        grant,
        Grant {
            identity: Arc::clone(&bearer.identity),
            access: Access::Write,
            expires_at: Some(UnixMillis(2_000_000_000)),
        }
    );
    assert_eq!(bearer.grant(&room("project:43")), Err(Denied::Forbidden));
    assert_eq!(bearer.topic("news"), Err(Denied::Forbidden));
}

#[tokio::test]
async fn ac11_without_rooms_a_token_grants_nothing_and_admin_grants_everything() {
    let auth = with_secret().await;
    let plain = hs256(&json!({ "sub": "ada", "exp": 2_000_000 }));
    let bearer = auth.authenticate(Some(&plain), NOW).await.unwrap();
    assert_eq!(bearer.grant(&room("any")), Err(Denied::Forbidden));

    let admin = json!({ "sub": "root", "exp": 2_000_000, "admin": true, "rooms": { "*": "read" } });
    let bearer = auth.authenticate(Some(&hs256(&admin)), NOW).await.unwrap();
    assert_eq!(bearer.grant(&room("any")).unwrap().access, Access::Admin);
    assert_eq!(bearer.topic("any"), Ok(Access::Admin));
}

#[tokio::test]
async fn ac12_a_token_of_more_than_8_kib_is_refused_unread() {
    let auth = with_secret().await;
    let long = "x".repeat(8 * 1024 + 1);
    let denied = auth.authenticate(Some(&long), NOW).await;
    assert_eq!(denied, Err(Denied::Invalid("it is longer than 8 KiB")));
}

#[tokio::test]
async fn ac16_in_dev_who_has_no_token_is_a_guest_and_a_token_is_still_checked() {
    let secret = KeySource::Secret(Secret::new(SECRET));
    let auth = Auth::open(&secret, Strangers::Guests(|| 0xbeef), NOW)
        .await
        .unwrap();
    let guest = auth.authenticate(None, NOW).await.unwrap();
    assert_eq!(&*guest.identity.user, "guest-0000beef");
    assert!(guest.identity.is_guest && guest.identity.color.is_some());
    let grant = guest.grant(&room("any")).unwrap();
    assert_eq!((grant.access, grant.expires_at), (Access::Write, None));
    assert_eq!(guest.check_expiry(UnixMillis(i64::MAX)), Ok(()));

    assert!(matches!(
        auth.authenticate(Some("nonsense"), NOW).await,
        Err(Denied::Invalid(_))
    ));
    let bearer = auth
        .authenticate(Some(&hs256(&claims())), NOW)
        .await
        .unwrap();
    assert!(!bearer.identity.is_guest);
    assert_eq!(bearer.grant(&room("any")), Err(Denied::Forbidden));
}

#[tokio::test]
async fn ac17_nothing_that_can_be_printed_has_a_token_or_a_key() {
    let source = KeySource::Secret(Secret::new(SECRET));
    let auth = open(source.clone()).await;
    let token = hs256(&claims());
    let shown = token_in(&http::HeaderMap::new(), Some(&format!("token={token}")));
    let address = JwksSource::parse("https://user:pass@id.example/keys?api=pass").unwrap();
    let denied = auth.authenticate(Some(&format!("{token}x")), NOW).await;
    let bearer = auth.authenticate(Some(&token), NOW).await;
    let printed = format!("{source:?} {auth:?} {shown:?} {address:?} {denied:?} {bearer:?}");
    for secret in [
        SECRET,
        token.as_str(),
        token.split('.').nth(1).unwrap(),
        "pass",
    ] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn ac18_a_file_that_holds_no_usable_public_key_is_refused_at_the_start() {
    for (name, reason) in [
        ("rsa.pem", InvalidKey::Private),
        ("ec.pem", InvalidKey::Private),
        ("rsa-1024.pub.pem", InvalidKey::Short),
        ("ec-384.pub.pem", InvalidKey::Unknown),
        ("README.md", InvalidKey::Unknown),
    ] {
        let opened = Auth::open(&key_file(name), Strangers::Refused, NOW).await;
        assert!(
            matches!(&opened, Err(OpenError::PublicKey(_, found)) if *found == reason),
            "{name}: {opened:?}"
        );
    }
    let missing = Auth::open(&key_file("missing.pem"), Strangers::Refused, NOW).await;
    assert!(matches!(missing, Err(OpenError::PublicKeyFile(..))));
    let missing = KeySource::Jwks(JwksSource::File("missing.json".into()));
    let missing = Auth::open(&missing, Strangers::Refused, NOW).await;
    assert!(matches!(missing, Err(OpenError::Jwks(ReadError::File(..)))));
}

#[tokio::test]
async fn ac19_a_minted_token_is_one_that_the_server_takes() {
    let passport = Passport {
        user: "ada".into(),
        name: Some("Ada".into()),
        rooms: vec![
            ("table:*".into(), Access::Read),
            ("project:42".into(), Access::Write),
        ],
        admin: false,
        expires_at: UnixMillis(NOW.0 + 3_600_000),
    };
    let token = mint(&Secret::new(SECRET), &passport, NOW).unwrap();
    let auth = with_secret().await;
    let bearer = auth.authenticate(Some(token.expose()), NOW).await.unwrap();
    assert_eq!(bearer.identity.name.as_deref(), Some("Ada"));
    assert_eq!(bearer.expires_at, Some(passport.expires_at));
    assert_eq!(bearer.grant(&room("table:1")).unwrap().access, Access::Read);
    assert_eq!(
        bearer.grant(&room("project:42")).unwrap().access,
        Access::Write
    );
    assert!(!bearer.admin);
}
