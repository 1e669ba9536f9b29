//! Who is connected to the venue's port, and whether the dead have been heard out.
//!
//! A process that is killed leaves bytes behind: requests that the kernel took and the exchange has not read. Its
//! connection counts as drained once the exchange has read them all and closed its end. Invariant: after
//! `Connections::drain` said so, no request of a connection whose other end is gone can still reach the matching
//! service.
//!
//! Known limitation: asks the kernel's socket table (`/proc/net/tcp`), so Linux only. That a client on another machine
//! is gone is known once its kernel has said so.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sapphire_endpoint::sockets::{canonical, established_peers};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// How often a drain looks again.
const GLANCE: Duration = Duration::from_millis(2);

/// How long connections may take to finish when the exchange shuts down.
const FAREWELL: Duration = Duration::from_secs(5);

/// Wait after a failed accept: usually no file descriptors are left, and some come back.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The open connections of one port; cloned handles see the same.
#[derive(Clone, Debug)]
pub struct Connections {
    address: SocketAddr,
    /// Remote ends.
    open: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

/// What a drain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Nothing of a dead connection is left.
    pub is_drained: bool,
    /// Connections whose other end lives.
    pub open: usize,
    /// Remote ends of those whose other end is gone and that are not read to their end.
    pub closing: Vec<SocketAddr>,
}

impl Connections {
    /// The connections of a port that listens at `address`.
    #[must_use]
    pub fn of(mut address: SocketAddr) -> Self {
        // Where all addresses are listened on, this machine's own is one of them.
        match address {
            SocketAddr::V4(at) if at.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(at) if at.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Self { address, open: Arc::default() }
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Waits, up to `patience`, until every connection whose other end is gone has been read to its end.
    ///
    /// # Errors
    /// The system's, when the port cannot be reached.
    pub async fn drain(&self, patience: Duration) -> io::Result<Drained> {
        let deadline = Instant::now() + patience;
        self.knock(deadline).await?;
        loop {
            let alive = established_peers(self.address.port());
            let open = self.lock().clone();
            let closing: Vec<SocketAddr> = open.difference(&alive).copied().collect();
            if closing.is_empty() || Instant::now() >= deadline {
                let open = open.len() - closing.len();
                return Ok(Drained { is_drained: closing.is_empty(), open, closing });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Connects and waits to be accepted: whoever connected before has been accepted then too.
    async fn knock(&self, deadline: Instant) -> io::Result<()> {
        let knock = TcpStream::connect(self.address).await?;
        let own = canonical(knock.local_addr()?);
        self.wait_for(deadline, |open| open.contains(&own)).await?;
        drop(knock);
        self.wait_for(deadline, |open| !open.contains(&own)).await
    }

    async fn wait_for(&self, deadline: Instant, is_so: impl Fn(&BTreeSet<SocketAddr>) -> bool) -> io::Result<()> {
        while !is_so(&self.lock()) {
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the exchange did not take a connection in time"));
            }
            tokio::time::sleep(GLANCE).await;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, peer: SocketAddr) -> Entered {
        self.lock().insert(peer);
        Entered { connections: self.clone(), peer }
    }
}

/// A connection's line in the table, as long as its stream lives.
#[derive(Debug)]
struct Entered {
    connections: Connections,
    peer: SocketAddr,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.peer);
    }
}

/// A stream that is in the table until it is closed, upgraded or not.
#[derive(Debug)]
struct Tracked {
    // Closed before its line is struck out: fields drop in this order.
    stream: TcpStream,
    _entered: Entered,
}

impl AsyncRead for Tracked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Serves a router on a listener until `shutdown` turns true; then lets connections finish, but not for ever.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Connections,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = is_ending(&mut shutdown) => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, canonical(peer)),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let stream = Tracked { stream, _entered: connections.enter(peer) };
        if let Err(error) = stream.stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "a connection ended before it began");
        }
        tokio::spawn(converse(stream, peer, router.clone(), shutdown.clone()));
    }
    drop(listener);
    if connections.wait_for(Instant::now() + FAREWELL, BTreeSet::is_empty).await.is_err() {
        tracing::warn!("some connections did not finish in time");
    }
}

/// Returns when the exchange shuts down, or has.
async fn is_ending(shutdown: &mut watch::Receiver<bool>) {
    // An error means that whoever could tell is gone.
    let _ = shutdown.wait_for(|ending| *ending).await;
}

/// One connection, from its first request to its last.
async fn converse(stream: Tracked, peer: SocketAddr, router: Router, mut shutdown: watch::Receiver<bool>) {
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = is_ending(&mut shutdown) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended in an error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    async fn start() -> (Connections, watch::Sender<bool>) {
        start_at("127.0.0.1:0").await
    }

    async fn start_at(bind: &str) -> (Connections, watch::Sender<bool>) {
        let listener = TcpListener::bind(bind).await.unwrap();
        let connections = Connections::of(listener.local_addr().unwrap());
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(80)).await;
            "done"
        };
        let router = Router::new().route("/slow", get(slow));
        let (shutdown, closing) = watch::channel(false);
        tokio::spawn(serve(listener, router, connections.clone(), closing));
        (connections, shutdown)
    }

    #[tokio::test]
    async fn the_living_do_not_hold_a_drain_up() {
        let (connections, _shutdown) = start().await;
        let mut living = TcpStream::connect(connections.address).await.unwrap();
        let drained = connections.drain(Duration::from_secs(2)).await.unwrap();
        assert_eq!(drained, Drained { is_drained: true, open: 1, closing: vec![] });
        living.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        living.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }

    /// Two machines may use the same port of theirs.
    #[tokio::test]
    async fn clients_of_one_port_at_two_addresses_are_two() {
        for bind in ["0.0.0.0:0", "[::]:0"] {
            let (connections, _shutdown) = start_at(bind).await;
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, connections.address.port()));
            let from = |ip: [u8; 4], port: u16| {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from((ip, port))).unwrap();
                socket
            };
            let living = from([127, 0, 0, 2], 0).connect(to).await.unwrap();
            let port = living.local_addr().unwrap().port();
            let mut dying = from([127, 0, 0, 3], port).connect(to).await.unwrap();
            dying.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let both = BTreeSet::from([living.local_addr().unwrap(), dying.local_addr().unwrap()]);
            connections.wait_for(Instant::now() + FAREWELL, |open| *open == both).await.unwrap();
            drop(dying);
            let drained = connections.drain(Duration::from_secs(5)).await.unwrap();
            assert_eq!(drained, Drained { is_drained: true, open: 1, closing: vec![] }, "{bind}");
            assert_eq!(*connections.lock(), BTreeSet::from([living.local_addr().unwrap()]), "{bind}");
        }
    }

    #[tokio::test]
    async fn after_a_drain_nothing_of_the_dead_is_left() {
        let (connections, _shutdown) = start().await;
        for _ in 0..20 {
            let mut dying = TcpStream::connect(connections.address).await.unwrap();
            dying.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            drop(dying);
        }
        let drained = connections.drain(Duration::from_secs(5)).await.unwrap();
        assert_eq!(drained, Drained { is_drained: true, open: 0, closing: vec![] });
        assert!(connections.lock().is_empty());
    }

    #[tokio::test]
    async fn a_shutdown_lets_the_last_answer_out() {
        let (connections, shutdown) = start().await;
        let mut client = TcpStream::connect(connections.address).await.unwrap();
        client.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        shutdown.send(true).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }
}
