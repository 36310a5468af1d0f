//! Owns a published key set: where it comes from and when it is read again.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::keys::{InvalidKey, Key, KeySet};
use super::{Denied, Secret};
use crate::ids::UnixMillis;

/// An unknown key id makes the set be read again at most this often: anyone can invent key ids.
const READ_INTERVAL_MS_MIN: i64 = 10_000;

/// After this long the set is read again in any case, so that a withdrawn key stops working.
const AGE_MS_MAX: i64 = 600_000;

/// A key set is a few kilobytes; whatever sends more than this is something else.
const SET_BYTES_MAX: usize = 1024 * 1024;

/// Connections wait for this answer at the upgrade, so it is shorter than their patience.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a key set is published.
#[derive(Clone, PartialEq, Eq)]
pub enum JwksSource {
    /// A file on this machine.
    File(PathBuf),
    /// An https address, or an http one on this machine.
    Url(Secret),
}

/// Why text does not say where a key set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwksSource {
    /// Plain http to another machine: whoever is between could publish keys of their own.
    #[error("a key set is fetched over https only; plain http is for this machine alone")]
    Insecure,
    /// No URL after `http`.
    #[error("it begins like a URL but is none")]
    Malformed,
}

/// Why a key set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("read {}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The address does not answer with a key set.
    #[error("fetch the key set")]
    Fetch(#[source] reqwest::Error),
    /// More than a key set can be.
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    /// What was read is no key set.
    #[error(transparent)]
    Invalid(#[from] InvalidKey),
}

impl JwksSource {
    /// Reads a setting: what begins with `http` is an address, everything else a path.
    ///
    /// # Errors
    ///
    /// For addresses that are not https, unless they are on this machine.
    pub fn parse(text: &str) -> Result<Self, InvalidJwksSource> {
        let scheme_end = text.find("://");
        let Some(scheme) = scheme_end.map(|at| text[..at].to_ascii_lowercase()) else {
            return Ok(Self::File(text.into()));
        };
        let url = reqwest::Url::parse(text).map_err(|_| InvalidJwksSource::Malformed)?;
        match scheme.as_str() {
            "https" => Ok(Self::Url(Secret::new(text))),
            "http" if is_loopback(&url) => Ok(Self::Url(Secret::new(text))),
            "http" => Err(InvalidJwksSource::Insecure),
            _ => Err(InvalidJwksSource::Malformed),
        }
    }

    async fn read(&self) -> Result<KeySet, ReadError> {
        let text = match self {
            Self::File(path) => read_file(path).await?,
            Self::Url(url) => fetch(url).await?,
        };
        Ok(KeySet::parse(&text)?)
    }
}

impl fmt::Debug for JwksSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            // Addresses carry keys and passwords of their own.
            Self::Url(_) => f.write_str("Url([secret])"),
        }
    }
}

/// A key set that follows its source.
pub(super) struct Jwks {
    source: JwksSource,
    keys: Arc<ArcSwap<KeySet>>,
    /// Held while reading, so that a thousand unknown ids make one request.
    reading: Arc<Mutex<Reading>>,
}

struct Reading {
    tried_at: UnixMillis,
    /// Whether the last try brought a set; without one, an unknown key id proves nothing.
    succeeded: bool,
}

impl Jwks {
    /// Reads the set for the first time. A file has to be there; an address may answer later.
    pub(super) async fn open(source: JwksSource, now: UnixMillis) -> Result<Self, ReadError> {
        let first = source.read().await;
        let (keys, succeeded) = match (first, &source) {
            (Ok(keys), _) => (keys, true),
            (Err(error), JwksSource::File(_)) => return Err(error),
            (Err(error), _) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "key set not read yet"
                );
                (KeySet::default(), false)
            }
        };
        let reading = Reading {
            tried_at: now,
            succeeded,
        };
        Ok(Self {
            source,
            keys: Arc::new(ArcSwap::from_pointee(keys)),
            reading: Arc::new(Mutex::new(reading)),
        })
    }

    /// The key for a token with that key id; reads the set again if it may be news.
    pub(super) async fn key(&self, id: Option<&str>, now: UnixMillis) -> Result<Key, Denied> {
        // One caller pays for the age of the set, the others go on with what there is.
        if let Ok(reading) = Arc::clone(&self.reading).try_lock_owned()
            && elapsed_ms(reading.tried_at, now) >= AGE_MS_MAX
        {
            self.read_again(reading, now).await?;
        }
        let known = self.keys.load_full();
        if let Some(key) = known.find(id) {
            return Ok(key.clone());
        }
        let mut reading = Arc::clone(&self.reading).lock_owned().await;
        let is_news = !Arc::ptr_eq(&known, &self.keys.load());
        if !is_news && elapsed_ms(reading.tried_at, now) >= READ_INTERVAL_MS_MIN {
            reading = self.read_again(reading, now).await?;
        }
        match self.keys.load().find(id) {
            Some(key) => Ok(key.clone()),
            None if !reading.succeeded => Err(Denied::Unavailable),
            None if id.is_none() => Err(Denied::Invalid("it has no key id")),
            None => Err(Denied::Invalid("its key is unknown")),
        }
    }

    /// Reads in a task of its own: a caller that hangs up must not undo what others wait for.
    /// The task ends with the fetch's timeout, and gives the lock back.
    async fn read_again(
        &self,
        mut reading: OwnedMutexGuard<Reading>,
        now: UnixMillis,
    ) -> Result<OwnedMutexGuard<Reading>, Denied> {
        reading.tried_at = now;
        let (source, keys) = (self.source.clone(), Arc::clone(&self.keys));
        let task = tokio::spawn(async move {
            let read = source.read().await;
            reading.succeeded = read.is_ok();
            match read {
                Ok(set) => {
                    tracing::info!(keys = set.len(), "key set read");
                    keys.store(Arc::new(set));
                }
                // The known keys stay: an issuer that is away must not lock everyone out.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "key set not read");
                }
            }
            reading
        });
        task.await.map_err(|_| Denied::Unavailable)
    }
}

/// A wall clock that was set back counts as "long ago".
fn elapsed_ms(since: UnixMillis, now: UnixMillis) -> i64 {
    let elapsed = now.0.saturating_sub(since.0);
    if elapsed < 0 { i64::MAX } else { elapsed }
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

async fn read_file(path: &Path) -> Result<String, ReadError> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|error| ReadError::File(path.into(), error))
}

async fn fetch(url: &Secret) -> Result<String, ReadError> {
    let plain = |error: reqwest::Error| ReadError::Fetch(error.without_url());
    // A redirect could lead from https to http.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(FETCH_TIMEOUT);
    // Plain http is for this machine alone, and a proxy is another one.
    let is_https = url.expose().to_ascii_lowercase().starts_with("https:");
    let client = if is_https { client } else { client.no_proxy() };
    let client = client.build().map_err(plain)?;
    let answer = client.get(url.expose()).send().await.map_err(plain)?;
    let mut answer = answer.error_for_status().map_err(plain)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(plain)? {
        if body.len() + chunk.len() > SET_BYTES_MAX {
            return Err(ReadError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| ReadError::Invalid(InvalidKey::NoSet))
}
