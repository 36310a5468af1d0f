//! Owns accepting: one task per connection until its handshake, bounded in number and in patience.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::limits::Limits;
use crate::metric;

/// The largest head of a request: a token of 8 KiB in the address, and the headers of a browser
/// behind proxies.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// After an error such as "too many open files" accepting waits, so that it does not spin.
const ACCEPT_PAUSE_MS: u64 = 100;

/// Connections that wait to be accepted. The usual 128 overflow when a server is back and everybody
/// reconnects; who finds no place tries again a second later. Linux allows 4,096.
const WAITING_MAX: u32 = 4_096;

/// Listens on an address.
///
/// # Errors
///
/// When it is taken, or not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts again takes the address over from the one that just ended.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Accepts connections until `stop`, then lets those finish that are in a request.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Arc<Limits>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                // Beyond the limit the connection is closed at once: its peer tries again later.
                let Ok(permit) = permits.clone().try_acquire_owned() else {
                    continue;
                };
                let router = router.clone();
                tasks.spawn(converse(
                    (stream, Peer(address.ip().to_canonical())),
                    router,
                    limits.clone(),
                    stop.clone(),
                    permit,
                ));
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "connections cannot be accepted for now");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Holds a place among the connections; a WebSocket keeps it beyond its handshake.
#[derive(Clone)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
    _gauge: Arc<Counted>,
}

/// Where a connection comes from; behind a proxy, that is the proxy.
#[derive(Clone, Copy)]
pub struct Peer(pub IpAddr);

struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!(metric::CONNECTIONS).increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(metric::CONNECTIONS).decrement(1);
    }
}

async fn converse(
    (stream, peer): (TcpStream, Peer),
    router: Router,
    limits: Arc<Limits>,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) {
    // Small frames leave at once. A socket that is gone says so at its first read.
    let _ = stream.set_nodelay(true);
    let place = Place {
        _permit: Arc::new(permit),
        _gauge: Arc::new(Counted::new()),
    };
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move {
            let answer: Result<_, Infallible> = router.oneshot(request.map(Body::new)).await;
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.handshake_ms_max))
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // A connection that breaks is its peer's affair.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn li22_many_who_connect_at_once_find_a_place() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let mut waiting = Vec::new();
        for _ in 0..400 {
            // Nobody accepts them: without a place this one would wait in vain.
            waiting.push(TcpStream::connect(address).await.expect("a place"));
        }
        assert_eq!(waiting.len(), 400);
    }
}
