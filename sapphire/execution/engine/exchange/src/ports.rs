//! Listening sockets, and who holds a used port.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

/// A port that could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody listens there.
    #[error(
        "port {port} is used\n  expected: a free port on 127.0.0.1\n  got:      {holder}\n  next:     end that process or give another port (0 chooses a free one)"
    )]
    Used {
        /// The port.
        port: u16,
        /// Its holder, as far as the system tells.
        holder: String,
    },
    /// Another reason.
    #[error("port {port} could not be bound: {source}")]
    Other {
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
}

/// Listens on 127.0.0.1; port 0 lets the system choose.
///
/// # Errors
/// [`PortError::Used`] names the holder of the port.
pub fn listen(port: u16) -> Result<TcpListener, PortError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let prepared = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    prepared.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => PortError::Used { port, holder: holder(port) },
        _ => PortError::Other { port, source },
    })
}

fn holder(port: u16) -> String {
    let Some(inode) = listening_inode(port) else { return format!("a process that listens on {port}") };
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.map(|file| fs::read_link(file.path())).any(|link| link.is_ok_and(|link| link == wanted))
    };
    pids.find(holds).map_or_else(
        || format!("a process of another user that listens on {port}"),
        |pid| format!("process {pid} ({})", command(pid)),
    )
}

/// Name of the program and its first argument; the rest of a command line may hold secrets.
fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|byte| *byte == 0).take(2).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    words.join(" ").trim().to_owned()
}

fn listening_inode(port: u16) -> Option<String> {
    sockets().into_iter().find(|socket| socket.local_port == port && socket.state == LISTEN).map(|socket| socket.inode)
}

const LISTEN: u8 = 0x0a;
const ESTABLISHED: u8 = 0x01;

/// Remote ends of the established connections of a local port.
pub(crate) fn established_peers(port: u16) -> Vec<u16> {
    let of_port = |socket: &Socket| socket.local_port == port && socket.state == ESTABLISHED;
    sockets().into_iter().filter(of_port).map(|socket| socket.remote_port).collect()
}

struct Socket {
    local_port: u16,
    remote_port: u16,
    state: u8,
    inode: String,
}

/// The kernel's table of TCP sockets (`proc_net_tcp` of the Linux documentation).
fn sockets() -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(socket).collect()
}

fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    Some(Socket {
        local_port: port(fields.get(1)?)?,
        remote_port: port(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        inode: (*fields.get(9)?).to_owned(),
    })
}

/// Where a listener listens.
///
/// # Errors
/// The system's.
pub fn address(listener: &TcpListener) -> io::Result<SocketAddr> {
    listener.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_port_names_its_holder() {
        let first = listen(0).unwrap();
        let port = address(&first).unwrap().port();
        let error = listen(port).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains("next:"), "{error}");
    }
}
