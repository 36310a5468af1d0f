//! AC: keys found by `kid`, and published sets of them.

use super::*;

#[tokio::test]
async fn ac3_a_token_is_found_its_key_by_kid() {
    let keys = json!([
        jwk(RSA_PUBLIC, Algorithm::RS256, Some("one"), true),
        jwk(RSA_OTHER_PUBLIC, Algorithm::RS256, Some("two"), false),
        jwk(EC_PUBLIC, Algorithm::ES256, Some("three"), false),
        jwk(ED_PUBLIC, Algorithm::EdDSA, Some("four"), true),
        { "kty": "oct", "kid": "five", "k": "c2VjcmV0" },
        { "kty": "something new", "kid": "six" },
    ]);
    let (_folder, source) = set_file(&keys);
    let auth = open(source).await;
    let ec = EncodingKey::from_ec_pem(EC).unwrap();
    let ed = EncodingKey::from_ed_pem(ED).unwrap();
    for good in [
        rs256(Some("one"), RSA),
        rs256(Some("two"), RSA_OTHER),
        signed(Algorithm::ES256, Some("three"), &ec, &claims()),
        signed(Algorithm::EdDSA, Some("four"), &ed, &claims()),
    ] {
        assert!(auth.authenticate(Some(&good), NOW).await.is_ok());
    }
    let oct = EncodingKey::from_secret(b"secret");
    for (bad, reason) in [
        (rs256(Some("two"), RSA), "its signature is wrong"),
        (
            rs256(Some("three"), RSA),
            "its algorithm is not that of the server's key",
        ),
        (rs256(Some("seven"), RSA), "its key is unknown"),
        (rs256(None, RSA), "it has no key id"),
        (
            signed(Algorithm::HS256, Some("five"), &oct, &claims()),
            "its key is unknown",
        ),
    ] {
        assert_eq!(
            auth.authenticate(Some(&bad), NOW).await,
            Err(Denied::Invalid(reason))
        );
    }
}

#[tokio::test]
async fn ac3_a_token_without_kid_is_tried_against_the_only_key() {
    let (_folder, source) = set_file(&json!([jwk(RSA_PUBLIC, Algorithm::RS256, Some("x"), true)]));
    let auth = open(source).await;
    assert!(
        auth.authenticate(Some(&rs256(None, RSA)), NOW)
            .await
            .is_ok()
    );
    assert!(
        auth.authenticate(Some(&rs256(None, RSA_OTHER)), NOW)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn ac3_a_published_key_for_encryption_or_another_algorithm_opens_nothing() {
    let mut for_encryption = serde_json::to_value(jwk(RSA_PUBLIC, Algorithm::RS256, None, true));
    for_encryption.as_mut().unwrap()["use"] = json!("enc");
    let mut as_secret = serde_json::to_value(jwk(RSA_PUBLIC, Algorithm::RS256, None, true));
    as_secret.as_mut().unwrap()["alg"] = json!("HS256");
    for key in [for_encryption.unwrap(), as_secret.unwrap()] {
        let (_folder, source) = set_file(&json!([key]));
        let auth = open(source).await;
        assert!(
            auth.authenticate(Some(&rs256(None, RSA)), NOW)
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn ac4_an_unknown_kid_makes_the_set_be_read_again_but_not_too_often() {
    let (folder, source) = set_file(&json!([jwk(RSA_PUBLIC, Algorithm::RS256, Some("1"), true)]));
    let auth = open(source).await;
    let fresh = rs256(Some("2"), RSA_OTHER);
    let keys = json!({ "keys": [jwk(RSA_OTHER_PUBLIC, Algorithm::RS256, Some("2"), true)] });
    std::fs::write(folder.path().join("jwks.json"), keys.to_string()).unwrap();

    let soon = UnixMillis(NOW.0 + 9_999);
    let unknown = Err(Denied::Invalid("its key is unknown"));
    assert_eq!(auth.authenticate(Some(&fresh), soon).await, unknown);
    let later = UnixMillis(NOW.0 + 10_000);
    assert!(auth.authenticate(Some(&fresh), later).await.is_ok());
    assert_eq!(
        auth.authenticate(Some(&rs256(Some("1"), RSA)), later).await,
        unknown
    );
}

#[tokio::test]
async fn ac4_a_withdrawn_key_stops_working_within_ten_minutes() {
    let (folder, source) = set_file(&json!([jwk(RSA_PUBLIC, Algorithm::RS256, Some("1"), true)]));
    let auth = open(source).await;
    std::fs::write(folder.path().join("jwks.json"), r#"{"keys":[]}"#).unwrap();
    let token = rs256(Some("1"), RSA);
    assert!(
        auth.authenticate(Some(&token), UnixMillis(NOW.0 + 599_999))
            .await
            .is_ok()
    );
    assert!(
        auth.authenticate(Some(&token), UnixMillis(NOW.0 + 600_000))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn ac4_a_set_at_an_address_is_fetched_and_known_keys_outlive_its_absence() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = json!({ "keys": [jwk(RSA_PUBLIC, Algorithm::RS256, Some("1"), true)] }).to_string();
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let _ = socket.read(&mut request).await;
            let status = match ASKED.fetch_add(1, Ordering::SeqCst) {
                1 => "200 OK",
                _ => "500 Internal Server Error",
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n");
            let answer = format!("{head}connection: close\r\n\r\n{body}");
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let source = JwksSource::parse(&format!("http://{address}/keys")).unwrap();
    let auth = open(KeySource::Jwks(source)).await;
    let token = rs256(Some("1"), RSA);
    let at = |ms| UnixMillis(NOW.0 + ms);
    assert_eq!(
        auth.authenticate(Some(&token), NOW).await,
        Err(Denied::Unavailable)
    );
    assert!(auth.authenticate(Some(&token), at(10_000)).await.is_ok());
    assert!(auth.authenticate(Some(&token), at(700_000)).await.is_ok());
    assert_eq!(ASKED.load(Ordering::SeqCst), 3);
    let stranger = auth
        .authenticate(Some(&rs256(Some("2"), RSA)), at(700_001))
        .await;
    assert_eq!(stranger, Err(Denied::Unavailable));
    server.abort();
}

#[tokio::test]
async fn ac4_a_caller_that_hangs_up_does_not_stop_the_set_from_being_read() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = JwksSource::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let refuse_first = async {
        drop(listener.accept().await.unwrap());
    };
    let (auth, ()) = tokio::join!(open(KeySource::Jwks(source)), refuse_first);
    let later = UnixMillis(NOW.0 + 10_000);
    let token = rs256(Some("1"), RSA);

    let (asked, mut socket) = {
        let asking = auth.authenticate(Some(&token), later);
        tokio::select! {
            _ = asking => (false, None),
            accepted = listener.accept() => (true, Some(accepted.unwrap().0)),
        }
    };
    assert!(asked, "answered without asking");
    let body = json!({ "keys": [jwk(RSA_PUBLIC, Algorithm::RS256, Some("1"), true)] }).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let socket = socket.as_mut().unwrap();
    socket
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    assert!(auth.authenticate(Some(&token), later).await.is_ok());
}

#[test]
fn ac4_a_set_is_fetched_over_https_or_from_this_machine() {
    for good in [
        "https://id.example/jwks",
        "http://localhost:1/",
        "http://[::1]:1/",
        "keys.json",
    ] {
        assert!(JwksSource::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "http://id.example/jwks",
        "HTTP://id.example/jwks",
        "http://localhost@id.example/",
        "http://localhost.example/",
        "ftp://id.example/",
        "https://",
    ] {
        assert!(JwksSource::parse(bad).is_err(), "{bad}");
    }
}
