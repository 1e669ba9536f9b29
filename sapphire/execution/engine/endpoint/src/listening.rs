//! A bound socket, and the address that others reach it by.
//!
//! Invariant: what is told to others is never an address that nobody can reach: a socket that listens on every address
//! of the machine is told by the name that was given, else by this machine's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use crate::sockets::holder;

/// Longest name of a host (RFC 1035).
const LONGEST_NAME: usize = 253;

/// An address that could not be listened on, or told.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Text that is neither an address nor a name.
    #[error(
        "{setting} does not fit\n  expected: an IP address or the name of a machine, without a port{more}\n  got:      {got}\n  next:     correct {setting}"
    )]
    Form {
        /// Which setting.
        setting: &'static str,
        /// What else was expected.
        more: &'static str,
        /// What came.
        got: String,
    },
    /// A name that does not resolve.
    #[error(
        "{setting} has no address\n  expected: a name that this machine can look up\n  got:      {name}: {source}\n  next:     correct {setting}, or see /etc/hosts and the name service"
    )]
    Unresolved {
        /// Which setting.
        setting: &'static str,
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// An address of another machine.
    #[error(
        "bind is no address of this machine\n  expected: one of its own (ip addr shows them), 0.0.0.0 or :: for all\n  got:      {bind}\n  next:     correct bind; the name by which others reach it is host"
    )]
    Elsewhere {
        /// What was to be bound.
        bind: String,
    },
    /// Somebody listens there.
    #[error(
        "port {port} is used\n  expected: a free port on {bind}\n  got:      {holder}\n  next:     end that process or give another port (0 chooses a free one)"
    )]
    Used {
        /// The port.
        port: u16,
        /// What was to be bound.
        bind: String,
        /// Its holder, as far as the system tells.
        holder: String,
    },
    /// Another reason.
    #[error("port {port} of {bind} could not be bound: {source}")]
    Other {
        /// The port.
        port: u16,
        /// What was to be bound.
        bind: String,
        /// Why.
        source: io::Error,
    },
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    /// The socket; it does not block.
    pub socket: TcpListener,
    /// Where it listens.
    pub at: SocketAddr,
    host: String,
}

impl Listening {
    /// `HOST:PORT` as others reach it; an IPv6 address is in brackets.
    pub fn authority(&self) -> String {
        let port = self.at.port();
        if self.host.parse::<Ipv6Addr>().is_ok() {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }

    /// Its address under a scheme, as others reach it.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.authority())
    }
}

/// Listens.
///
/// `bind` is an address of this machine or a name of one, 0.0.0.0 or :: all of them (:: those of IPv4 too, as Linux has
/// it unless told otherwise). `host` is what others reach it by; without one it is `bind`, and where that is all, the
/// machine itself. `port` 0 lets the system choose.
///
/// # Errors
/// [`ListenError`]: a name that does not resolve, an address of another machine, a port that is used, with its holder.
pub fn listen(bind: &str, host: Option<&str>, port: u16) -> Result<Listening, ListenError> {
    let addresses = resolve("bind", bind, port)?;
    let host = host.map_or_else(|| Ok(default_host(bind)), |host| reachable(host, port))?;
    let bound = TcpListener::bind(&addresses[..]).and_then(|socket| {
        socket.set_nonblocking(true)?;
        Ok((socket.local_addr()?, socket))
    });
    let (at, socket) = bound.map_err(|source| {
        let bind = bind.to_owned();
        match (source.kind(), addresses.first()) {
            (io::ErrorKind::AddrInUse, Some(address)) => ListenError::Used { port, bind, holder: holder(*address) },
            (io::ErrorKind::AddrNotAvailable, _) => ListenError::Elsewhere { bind },
            _ => ListenError::Other { port, bind, source },
        }
    })?;
    if at.ip().is_unspecified() && host == default_host(bind) {
        tracing::warn!(%at, told = host, "others are told an address of this machine alone: host names it for them");
    }
    Ok(Listening { socket, at, host })
}

/// The host that is told when nobody names one.
fn default_host(bind: &str) -> String {
    match bare(bind).parse() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.to_string(),
        _ => bare(bind).to_owned(),
    }
}

/// A host that others are told: it resolves, and is not "all addresses".
fn reachable(host: &str, port: u16) -> Result<String, ListenError> {
    let is_all = bare(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    if is_all {
        let more = "; nobody reaches all addresses";
        return Err(ListenError::Form { setting: "host", more, got: host.to_owned() });
    }
    resolve("host", host, port).map(|_| bare(host).to_owned())
}

fn resolve(setting: &'static str, name: &str, port: u16) -> Result<Vec<SocketAddr>, ListenError> {
    let bare = bare(name);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_letter) {
        return Err(ListenError::Form { setting, more: "", got: format!("{name:?}") });
    }
    let unresolved = |source| ListenError::Unresolved { setting, name: name.to_owned(), source };
    let found: Vec<SocketAddr> = (name, port).to_socket_addrs().map_err(unresolved)?.collect();
    if found.is_empty() {
        return Err(unresolved(io::Error::from(io::ErrorKind::NotFound)));
    }
    Ok(found)
}

/// An IPv6 address may stand in brackets, as in a URL.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn refusal(bind: &str, host: Option<&str>) -> String {
        listen(bind, host, 0).unwrap_err().to_string()
    }

    #[test]
    fn a_used_port_names_its_holder() {
        for bind in ["127.0.0.1", "0.0.0.0", "::1", "::", "localhost"] {
            let first = listen(bind, None, 0).unwrap();
            let error = listen(bind, None, first.at.port()).unwrap_err().to_string();
            assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
            assert!(error.contains(&format!("a free port on {bind}")) && error.contains("next:"), "{error}");
        }
    }

    #[test]
    fn what_is_told_is_reachable() {
        for (bind, host, told) in [
            ("127.0.0.1", None, "127.0.0.1"),
            ("0.0.0.0", None, "127.0.0.1"),
            ("0.0.0.0", Some("localhost"), "localhost"),
            ("::", None, "[::1]"),
            ("[::]", Some("127.0.0.1"), "127.0.0.1"),
            ("::1", None, "[::1]"),
            ("::1", Some("[::1]"), "[::1]"),
            ("localhost", None, "localhost"),
            ("127.0.0.2", None, "127.0.0.2"),
        ] {
            let listening = listen(bind, host, 0).unwrap();
            let port = listening.at.port();
            assert_eq!(listening.url("http"), format!("http://{told}:{port}"), "{bind} {host:?}");
            TcpStream::connect(listening.authority()).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_bound_or_reached_is_named() {
        // RFC 5737 and RFC 3849 keep these addresses for documentation, RFC 6761 the name for nobody.
        for elsewhere in ["192.0.2.1", "2001:db8::1"] {
            let error = refusal(elsewhere, None);
            assert!(error.contains("no address of this machine") && error.contains(elsewhere), "{error}");
        }
        for (bind, host) in [("no-such.invalid", None), ("127.0.0.1", Some("no-such.invalid"))] {
            let error = refusal(bind, host);
            assert!(error.contains("has no address") && error.contains("no-such.invalid"), "{error}");
        }
        for text in ["", "a b", "127.0.0.1:80", "http://here", "a/b", "[::1", &"x".repeat(254)] {
            assert!(refusal(text, None).contains("bind does not fit"), "{text}");
            assert!(refusal("127.0.0.1", Some(text)).contains("host does not fit"), "{text}");
        }
        for all in ["0.0.0.0", "::", "[::]"] {
            assert!(refusal("0.0.0.0", Some(all)).contains("nobody reaches all addresses"), "{all}");
        }
    }
}
