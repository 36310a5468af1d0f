//! Owns where in a request its token is. Pure; the token is not judged here.

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use super::Secret;

/// The subprotocol that the server chooses when it is offered, so that no token is echoed.
pub const PROTOCOL: &str = "roundtable.v1";

const BEARER_PROTOCOL: &str = "bearer.";

/// The token of a request.
///
/// From `Authorization: Bearer`, else `?token=`, else the subprotocol `bearer.<token>`.
/// `query` is what follows the `?`, as it was sent. An empty token counts as none.
#[must_use]
pub fn token_in(headers: &HeaderMap, query: Option<&str>) -> Option<Secret> {
    from_authorization(headers)
        .or_else(|| query.and_then(from_query))
        .or_else(|| from_protocols(headers))
}

/// The subprotocol to answer an upgrade with: [`PROTOCOL`] if offered, else the bearer protocol.
///
/// Browsers close a socket whose offer is not answered, so the bearer protocol is echoed at need;
/// the value is marked sensitive.
#[must_use]
pub fn subprotocol(headers: &HeaderMap) -> Option<HeaderValue> {
    if offered(headers).any(|protocol| protocol == PROTOCOL) {
        return Some(HeaderValue::from_static(PROTOCOL));
    }
    let bearer = offered(headers).find(|protocol| protocol.starts_with(BEARER_PROTOCOL))?;
    let mut value = HeaderValue::from_str(bearer).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn from_authorization(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    not_empty(token.trim())
}

fn from_query(query: &str) -> Option<Secret> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "token")?;
    not_empty(&percent_decode_str(value).decode_utf8().ok()?)
}

fn from_protocols(headers: &HeaderMap) -> Option<Secret> {
    offered(headers).find_map(|protocol| not_empty(protocol.strip_prefix(BEARER_PROTOCOL)?))
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

fn not_empty(token: &str) -> Option<Secret> {
    (!token.is_empty()).then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    fn token(pairs: &[(http::HeaderName, &'static str)], query: Option<&str>) -> Option<String> {
        token_in(&headers(pairs), query).map(|token| token.expose().to_owned())
    }

    #[test]
    fn ac13_a_token_is_found_in_the_header_the_query_or_the_subprotocol() {
        let found = Some("a.b.c".to_owned());
        assert_eq!(token(&[(AUTHORIZATION, "Bearer a.b.c")], None), found);
        assert_eq!(token(&[(AUTHORIZATION, "bearer  a.b.c ")], None), found);
        assert_eq!(token(&[], Some("x=1&token=a.b.c&y=2")), found);
        assert_eq!(token(&[], Some("token=a%2Eb.c")), found);
        assert_eq!(
            token(
                &[(SEC_WEBSOCKET_PROTOCOL, "roundtable.v1, bearer.a.b.c")],
                None
            ),
            found
        );
    }

    #[test]
    fn ac13_the_header_comes_before_the_query_before_the_subprotocol() {
        let header = (AUTHORIZATION, "Bearer header");
        let protocol = (SEC_WEBSOCKET_PROTOCOL, "bearer.protocol");
        let all = token(&[header, protocol.clone()], Some("token=query"));
        assert_eq!(all.as_deref(), Some("header"));
        let both = token(std::slice::from_ref(&protocol), Some("token=query"));
        assert_eq!(both.as_deref(), Some("query"));
        assert_eq!(
            token(&[protocol], Some("token=")).as_deref(),
            Some("protocol")
        );
    }

    #[test]
    fn ac13_an_empty_token_or_another_scheme_is_no_token() {
        assert_eq!(token(&[(AUTHORIZATION, "Bearer ")], None), None);
        assert_eq!(token(&[(AUTHORIZATION, "Basic YTpi")], None), None);
        assert_eq!(
            token(
                &[(SEC_WEBSOCKET_PROTOCOL, "bearer.")],
                Some("tokens=a&token=")
            ),
            None
        );
        assert_eq!(token(&[], Some("token=%ff")), None);
    }

    #[test]
    fn ac14_roundtable_v1_is_chosen_when_offered_else_the_bearer_is_echoed() {
        let chosen = |list| subprotocol(&headers(&[(SEC_WEBSOCKET_PROTOCOL, list)]));
        assert_eq!(chosen("bearer.a.b.c, roundtable.v1").unwrap(), PROTOCOL);
        let echoed = chosen("chat, bearer.a.b.c").unwrap();
        assert_eq!(echoed, "bearer.a.b.c");
        assert_eq!(format!("{echoed:?}"), "Sensitive");
        assert_eq!(chosen("chat"), None);
        assert_eq!(subprotocol(&HeaderMap::new()), None);
    }
}
