//! Owns the target `request`: any bytes as the parts of a request that are ours to read: the room
//! in its path, the token and the origin in its head, numbers of its query, a sync's body.

use bytes::Bytes;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use roundtable::auth::{Origins, origin_allowed, subprotocol, token_in};
use roundtable::ids::ROOM_ID_BYTES_MAX;
use roundtable::lib0::write_buffer;
use roundtable::transport::caller::room_named;
use roundtable::transport::http::{number, sync};
use roundtable::wire::whole::WHOLE_MAX;

use super::script::Script;

/// The first byte says which part it is; a head has several, each behind its length.
pub fn run(input: &[u8]) {
    let Some((part, bytes)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    match part % 5 {
        0 => room(&text),
        1 => head(&mut Script::new(bytes)),
        2 => origin(&text),
        3 => {
            let text = text.into_owned();
            let read = number("limit", Some(&text));
            let expected = text.parse().ok().filter(|number| *number <= WHOLE_MAX);
            assert_eq!(read.ok().flatten(), expected);
        }
        _ => body(&Bytes::copy_from_slice(bytes)),
    }
}

fn room(encoded: &str) {
    let Ok(room) = room_named(encoded) else {
        return;
    };
    assert!((1..=ROOM_ID_BYTES_MAX).contains(&room.as_str().len()));
    let again = utf8_percent_encode(room.as_str(), NON_ALPHANUMERIC).to_string();
    assert_eq!(room_named(&again).ok(), Some(room));
}

fn head(script: &mut Script<'_>) {
    let mut headers = HeaderMap::new();
    add(&mut headers, AUTHORIZATION, script.bytes());
    add(&mut headers, SEC_WEBSOCKET_PROTOCOL, script.bytes());
    let query = String::from_utf8_lossy(script.bytes());
    if let Some(token) = token_in(&headers, Some(&query)) {
        assert!(!token.expose().is_empty());
    }
    if let Some(protocol) = subprotocol(&headers) {
        let offered = headers[SEC_WEBSOCKET_PROTOCOL].as_bytes();
        let mut offered = offered.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        assert!(offered.any(|offer| offer == protocol.as_bytes()));
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.append(name, value);
    }
}

/// One line each: a list of origins, the page's, the host.
fn origin(text: &str) {
    let mut lines = text.splitn(3, '\n');
    let list = lines.next().unwrap_or_default();
    let (page, host) = (lines.next(), lines.next());
    let Ok(listed) = Origins::parse(list) else {
        return;
    };
    let is_allowed = origin_allowed(page, host, &listed);
    if page.is_none() || listed == Origins::Any {
        assert!(is_allowed);
    }
    if let Some(page) = page
        && is_allowed
        && listed != Origins::Any
    {
        assert!(page.contains("://"), "an origin has a scheme");
    }
}

fn body(bytes: &Bytes) {
    let Ok((state_vector, update)) = sync::read(bytes) else {
        return;
    };
    let mut again = Vec::new();
    write_buffer(&mut again, &state_vector);
    write_buffer(&mut again, &update);
    assert_eq!(sync::read(&again.into()).ok(), Some((state_vector, update)));
}
