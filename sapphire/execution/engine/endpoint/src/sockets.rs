//! The kernel's table of TCP sockets (`proc_net_tcp` of the Linux documentation), and who holds one.
//!
//! Known limitation: Linux only, and the network namespace of this process.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

const LISTEN: u8 = 0x0a;
const ESTABLISHED: u8 = 0x01;

struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    state: u8,
    inode: String,
}

/// Remote ends of the established connections of a local port.
pub fn established_peers(port: u16) -> BTreeSet<SocketAddr> {
    let of_port = |socket: &Socket| socket.local.port() == port && socket.state == ESTABLISHED;
    sockets().into_iter().filter(of_port).map(|socket| socket.remote).collect()
}

/// An address as the table has it here: an IPv4 client of an IPv6 socket is an IPv4 client, and a link has no number.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The process that keeps an address from being bound, as far as the system tells.
pub fn holder(address: SocketAddr) -> String {
    let port = address.port();
    let Some(inode) = listening_inode(address) else { return format!("a process that listens on {port}") };
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

/// Of a socket that listens on the same port, and on the same address or on all.
fn listening_inode(address: SocketAddr) -> Option<String> {
    let clashes = |socket: &Socket| {
        let (here, there) = (address.ip(), socket.local.ip());
        let is_same = here == there || here.is_unspecified() || there.is_unspecified();
        socket.local.port() == address.port() && is_same && socket.state == LISTEN
    };
    sockets().into_iter().find(clashes).map(|socket| socket.inode)
}

fn sockets() -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(socket).collect()
}

fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    Some(Socket {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        state: u8::from_str_radix(fields.get(3)?, 16).ok()?,
        inode: (*fields.get(9)?).to_owned(),
    })
}

/// An address of the table: words of 32 bits in the machine's order, a colon, the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(host.get(8 * at..8 * at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = if host.len() == 8 {
        IpAddr::from(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
            four.copy_from_slice(&word(at)?);
        }
        IpAddr::from(Ipv6Addr::from(bytes))
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_ends_of_a_connection_are_as_the_sockets_tell_them() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            let local = if bind.contains("::1") { format!("[::1]:{port}") } else { format!("127.0.0.1:{port}") };
            let client = TcpStream::connect(local).unwrap();
            let (_taken, peer) = listener.accept().unwrap();
            assert_eq!(established_peers(port), BTreeSet::from([canonical(peer)]), "{bind}");
            assert_eq!(canonical(peer), client.local_addr().unwrap(), "{bind}");
        }
    }
}
