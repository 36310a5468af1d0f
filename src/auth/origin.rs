//! Owns which pages may open a socket: the check of `Origin` that keeps strange pages out.

/// The origins that are allowed besides the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Any page: `*`, and `--dev` without a list.
    Any,
    /// These: `scheme://host[:port]`, in lower case, without the scheme's usual port.
    Listed(Vec<String>),
}

/// Why text is not a list of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin; write it as https://app.example.com, without a path")]
pub struct InvalidOrigin(String);

impl Origins {
    /// Reads a comma-separated list. `*` anywhere in it allows any origin.
    ///
    /// # Errors
    ///
    /// When a member is not a scheme, a host and perhaps a port.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        let members = list
            .split(',')
            .map(str::trim)
            .filter(|member| !member.is_empty());
        let mut listed = Vec::new();
        for member in members {
            if member == "*" {
                return Ok(Self::Any);
            }
            let origin = parts(member.trim_end_matches('/'))
                .ok_or_else(|| InvalidOrigin(member.to_owned()))?;
            listed.push(origin.joined());
        }
        Ok(Self::Listed(listed))
    }
}

/// Whether a page of `origin` may connect to the server that it knows as `host`.
///
/// No `Origin` is allowed, for only browsers send one; the server's own is always allowed.
#[must_use]
pub fn origin_allowed(origin: Option<&str>, host: Option<&str>, allowed: &Origins) -> bool {
    let Some(origin) = origin else {
        return true;
    };
    let listed = match allowed {
        Origins::Any => return true,
        Origins::Listed(listed) => listed,
    };
    // Also `null`, the origin of sandboxed frames and of files, ends here.
    let Some(origin) = parts(origin) else {
        return false;
    };
    let is_own = host.is_some_and(|host| {
        // Behind a proxy the server does not know its scheme, so the page's is taken for both.
        let host = host.to_ascii_lowercase();
        origin.authority == without_usual_port(&origin.scheme, &host)
    });
    is_own || listed.contains(&origin.joined())
}

struct Parts {
    scheme: String,
    authority: String,
}

impl Parts {
    fn joined(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

fn parts(origin: &str) -> Option<Parts> {
    let lower = origin.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://")?;
    let is_foreign = |c: char| c.is_whitespace() || "/?#@\\*,".contains(c);
    if scheme.is_empty() || authority.is_empty() || authority.contains(is_foreign) {
        return None;
    }
    let authority = without_usual_port(scheme, authority).to_owned();
    Some(Parts {
        scheme: scheme.to_owned(),
        authority,
    })
}

fn without_usual_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return authority,
    };
    authority.strip_suffix(usual).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str) -> Origins {
        Origins::parse(list).unwrap()
    }

    #[test]
    fn ac15_no_origin_and_the_servers_own_are_always_allowed() {
        for allowed in [listed(""), listed("https://other.example")] {
            assert!(origin_allowed(None, Some("a.example"), &allowed));
            for (origin, host) in [
                ("https://a.example", "a.example"),
                ("https://A.example", "a.EXAMPLE:443"),
                ("http://a.example:80", "a.example"),
                ("http://127.0.0.1:8080", "127.0.0.1:8080"),
                ("http://[::1]:8080", "[::1]:8080"),
            ] {
                assert!(
                    origin_allowed(Some(origin), Some(host), &allowed),
                    "{origin} {host}"
                );
            }
        }
    }

    #[test]
    fn ac15_another_origin_is_refused_unless_listed() {
        let nobody = listed("");
        for origin in [
            "https://evil.example",
            "https://a.example:8443",
            "https://a.example.evil.example",
            "https://a.example@evil.example",
            "https://sub.a.example",
            "null",
            "",
            "a.example",
        ] {
            assert!(
                !origin_allowed(Some(origin), Some("a.example"), &nobody),
                "{origin}"
            );
        }
        assert!(!origin_allowed(Some("https://a.example"), None, &nobody));
        assert!(!origin_allowed(
            Some("http://a.example"),
            Some("a.example:443"),
            &nobody
        ));
    }

    #[test]
    fn ac15_a_listed_origin_is_allowed_with_its_scheme_and_port() {
        let allowed =
            listed("https://App.example/ , http://dev.example:3000,https://b.example:443");
        let is = |origin| origin_allowed(Some(origin), Some("a.example"), &allowed);
        assert!(is("https://app.example"));
        assert!(is("http://dev.example:3000"));
        assert!(is("https://b.example"));
        assert!(!is("http://app.example"));
        assert!(!is("http://dev.example"));
        assert!(!is("https://app.example:8443"));
    }

    #[test]
    fn ac15_a_star_allows_any_origin() {
        let allowed = listed("https://a.example,*");
        assert_eq!(allowed, Origins::Any);
        assert!(origin_allowed(
            Some("https://evil.example"),
            Some("a.example"),
            &allowed
        ));
        assert!(origin_allowed(Some("null"), None, &allowed));
    }

    #[test]
    fn ac15_what_is_no_origin_is_not_listed() {
        for list in [
            "a.example",
            "https://a.example/path",
            "https://*.example",
            "https://",
        ] {
            assert!(Origins::parse(list).is_err(), "{list}");
        }
    }
}
