//! A WebSocket on plain TCP whose pongs and closes go out through the guarded line.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tungstenite::handshake::HandshakeError;
use tungstenite::http::Uri;
use tungstenite::protocol::{WebSocket, WebSocketConfig};

use super::errors::GatewayError;
use super::transport::Transport;

/// How long connecting, the handshake and the subscription may take, each.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a write may wait for the venue to read.
const WRITE: Duration = Duration::from_secs(1);
/// Largest message that a venue may send us.
const LARGEST: usize = 4 << 20;

/// Host and port of an address of a scheme.
///
/// # Errors
/// [`GatewayError::Address`].
pub(super) fn address(setting: &'static str, url: &str, scheme: &'static str) -> Result<String, GatewayError> {
    let expected = match scheme {
        "ws" => "ws://HOST:PORT (encrypted connections, wss://, are not spoken yet)",
        _ => "http://HOST:PORT (encrypted connections, https://, are not spoken yet)",
    };
    let misfit = || GatewayError::Address { setting, expected, got: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| misfit())?;
    let plain = uri.path().len() <= 1 && uri.query().is_none();
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some(given), Some(host), Some(port)) if given == scheme && plain => Ok(format!("{host}:{port}")),
        _ => Err(misfit()),
    }
}

/// A connection's reading end; what it writes goes past the line's guard.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    transport: Arc<Transport>,
}

impl Wire {
    /// Another handle of the same stream.
    pub(super) fn handle(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// How long a read may wait.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.transport.write(&mut self.stream, frames)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Connects to a path of the venue and shakes hands.
pub(super) fn connect(host: &str, path: &str, transport: Arc<Transport>) -> Result<WebSocket<Wire>, String> {
    let text = |error: io::Error| error.to_string();
    let stream = reach(host)?;
    stream.set_nodelay(true).map_err(text)?;
    stream.set_read_timeout(Some(HANDSHAKE)).map_err(text)?;
    stream.set_write_timeout(Some(WRITE)).map_err(text)?;
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let wire = Wire { stream, transport };
    let shaken = tungstenite::client::client_with_config(format!("ws://{host}{path}"), wire, Some(config));
    match shaken {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Interrupted(_)) => Err("the handshake took too long".to_owned()),
        Err(HandshakeError::Failure(error)) => Err(error.to_string()),
    }
}

/// A connection to the first of a host's addresses that takes one.
fn reach(host: &str) -> Result<TcpStream, String> {
    let mut reason = format!("no address for {host}");
    for address in host.to_socket_addrs().map_err(|error| error.to_string())? {
        match TcpStream::connect_timeout(&address, HANDSHAKE) {
            Ok(stream) => return Ok(stream),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// A read that merely found nothing in time.
pub(super) fn is_pause(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error)
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A name may have an address of each family, and a server listen on one of them.
    #[test]
    fn a_name_is_reached_at_whichever_of_its_addresses_answers() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            if format!("localhost:{port}").to_socket_addrs().unwrap().any(|at| at == listener.local_addr().unwrap()) {
                assert_eq!(reach(&format!("localhost:{port}")).unwrap().peer_addr().unwrap().port(), port);
            }
        }
        assert!(reach("no-such.invalid:1").is_err());
    }

    #[test]
    fn only_plain_addresses_are_taken() {
        assert_eq!(address("ws_url", "ws://127.0.0.1:7", "ws").unwrap(), "127.0.0.1:7");
        assert_eq!(address("rest_url", "http://localhost:80/", "http").unwrap(), "localhost:80");
        assert_eq!(address("ws_url", "ws://[::1]:7", "ws").unwrap(), "[::1]:7");
        assert_eq!(address("ws_url", "ws://exchange.lan:7", "ws").unwrap(), "exchange.lan:7");
        for (url, scheme) in [
            ("wss://a:1", "ws"),
            ("https://a:1", "http"),
            ("ws://a", "ws"),
            ("a:1", "ws"),
            ("ws://a:1/path", "ws"),
            ("http://a:1", "ws"),
            ("", "http"),
        ] {
            let error = address("ws_url", url, scheme).unwrap_err();
            assert!(error.to_string().contains("not spoken yet"), "{error}");
        }
    }
}
