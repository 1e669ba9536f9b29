//! The bus: streams of Valkey, entry by entry.
//!
//! Invariant: what is written under an entry id is there once, whatever broke in between: the same entry again is
//! success, another one under its id a typed error. A connection that breaks is made again, with a growing pause, for
//! as long as it takes; the caller only waits. Reading blocks on the server.
//!
//! Known limitation: an entry that the server numbers itself (`*`) can be there twice after a broken connection.

use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Connection, ConnectionAddr, IntoConnectionInfo, Value};

use crate::clock::Monotonic;
use crate::events::EntryId;

mod entries;

pub use entries::{Batch, Entry};

/// The field that a message's bytes are in.
pub const MESSAGE_FIELD: &str = "m";

/// Pause before the second try to connect; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a server may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// How long a server may take to answer before the connection counts as broken; longer than any [`Bus::read`] blocks.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Longest time that one [`Bus::read`] blocks.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);

/// Entries that a stream which the server numbers keeps at least, where it is trimmed.
const KEPT: &[u8] = b"10000";

/// Writes a stream anew without one of its entries.
const TAKE_OUT: &str = "local rows = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[2]) \
    redis.call('DEL', KEYS[1]) \
    for place = #rows, 1, -1 do local row = rows[place] \
        if row[1] ~= ARGV[1] then redis.call('XADD', KEYS[1], row[1], unpack(row[2])) end end";

/// Why the bus did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// An address that is none. It is not repeated here, because it can hold a password.
    #[error(
        "the bus's address cannot be read: expected valkey://HOST:PORT/DB, got something else; next: bus_url in the settings file"
    )]
    BadAddress,
    /// No machine has its name.
    #[error(
        "the bus at {address} has no address: expected a name that this machine can look up, got {reason}; next: bus_url in the settings file"
    )]
    Unresolved {
        /// Where it was to be.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The server is there and refuses; trying again does not help until somebody changes it.
    #[error(
        "the bus at {address} refuses {command}: expected an answer, got {reason}; next: the server's own log and its user's rights"
    )]
    Refused {
        /// Where it listens.
        address: String,
        /// What was asked.
        command: &'static str,
        /// What it said.
        reason: String,
    },
    /// Another message stands under the same id.
    #[error(
        "entry {entry} of stream {stream} is another message: expected the same bytes (its publish time apart), got others; next: two writers, or one whose numbering began anew on an old bus"
    )]
    Taken {
        /// The stream.
        stream: String,
        /// The entry.
        entry: EntryId,
    },
    /// The stream is past the id, and nothing stands there.
    #[error(
        "entry {entry} cannot be written to stream {stream} any more: expected ids that rise, got one at or before the last; next: two writers, or one whose numbering began anew on an old bus"
    )]
    Passed {
        /// The stream.
        stream: String,
        /// The entry.
        entry: EntryId,
    },
    /// The process is ending.
    #[error("the bus was left because the process is ending")]
    Stopped,
}

/// What became of an entry that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there now.
    New,
    /// It was there before.
    Already,
}

/// Why one try did not succeed.
enum Fault {
    /// The connection is gone, or the server cannot answer yet.
    Lost(String),
    /// The server refuses.
    Refused(String),
}

/// A connection to the bus that mends itself. One thread owns it.
pub struct Bus {
    client: redis::Client,
    address: String,
    connection: Option<Connection>,
    command: Vec<u8>,
    pause: Duration,
    stop: Arc<AtomicBool>,
    connects: Arc<AtomicU64>,
}

impl Bus {
    /// A bus at `url` (`valkey://HOST:PORT/DB`), not connected yet; the first call connects. `stop` ends every wait.
    ///
    /// # Errors
    /// [`BusError::BadAddress`].
    pub fn new(url: &str, stop: Arc<AtomicBool>) -> Result<Self, BusError> {
        let info = url.into_connection_info().map_err(|_| BusError::BadAddress)?;
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true)).set_redis_settings(settings);
        let address = info.addr().to_string();
        let client = redis::Client::open(info).map_err(|_| BusError::BadAddress)?;
        let connects = Arc::new(AtomicU64::new(0));
        Ok(Self { client, address, connection: None, command: Vec::new(), pause: FIRST_PAUSE, stop, connects })
    }

    /// Waits until the server answers. Its name has to be one: later it may be lost for a while, as the server may.
    ///
    /// # Errors
    /// [`BusError::Unresolved`]; [`BusError::Refused`] for a user or database that it does not have;
    /// [`BusError::Stopped`].
    pub fn connect(&mut self) -> Result<(), BusError> {
        if let ConnectionAddr::Tcp(host, port) = self.client.get_connection_info().addr() {
            let found = (host.as_str(), *port).to_socket_addrs();
            found.map_err(|error| BusError::Unresolved { address: self.address.clone(), reason: error.to_string() })?;
        }
        self.ask("PING", |command| pack(command, &[b"PING"])).map(drop)
    }

    /// Connections made so far, for a metric; the first one counts.
    pub fn connects(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.connects)
    }

    /// Writes `message` as entry `entry` of `stream`.
    ///
    /// # Errors
    /// [`BusError::Taken`], [`BusError::Passed`], [`BusError::Refused`], [`BusError::Stopped`].
    pub fn publish(&mut self, stream: &str, entry: EntryId, message: &[u8]) -> Result<Written, BusError> {
        let id = entry.to_string();
        let reply = self.ask("XADD", |command| {
            pack(command, &[b"XADD", stream.as_bytes(), id.as_bytes(), MESSAGE_FIELD.as_bytes(), message]);
        });
        match reply {
            Ok(_) => Ok(Written::New),
            // 0-0 is the one id that the server refuses in other words
            Err(BusError::Refused { reason, .. })
                if reason.contains("equal or smaller") || entry == EntryId::default() =>
            {
                let held = self.entry(stream, entry)?;
                match held.entries().next().map(|held| held.message()) {
                    None => Err(BusError::Passed { stream: stream.to_owned(), entry }),
                    Some(Some(held)) if entries::same(held, message) => Ok(Written::Already),
                    Some(_) => Err(BusError::Taken { stream: stream.to_owned(), entry }),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Writes `message` to `stream` under an id that the server makes; the stream is trimmed to its last 10,000 or so.
    ///
    /// # Errors
    /// [`BusError::Refused`], [`BusError::Stopped`].
    pub fn publish_next(&mut self, stream: &str, message: &[u8]) -> Result<(), BusError> {
        let field = MESSAGE_FIELD.as_bytes();
        let parts: [&[u8]; 8] = [b"XADD", stream.as_bytes(), b"MAXLEN", b"~", KEPT, b"*", field, message];
        self.ask("XADD", |command| pack(command, &parts)).map(drop)
    }

    /// Writes an entry of several fields, under an id that the server makes where none is given.
    ///
    /// # Errors
    /// [`BusError::Refused`], [`BusError::Stopped`].
    pub fn append(&mut self, stream: &str, entry: Option<EntryId>, fields: &[(&str, &[u8])]) -> Result<(), BusError> {
        let id = entry.map_or_else(|| "*".to_owned(), |entry| entry.to_string());
        let mut parts: Vec<&[u8]> = vec![b"XADD", stream.as_bytes(), id.as_bytes()];
        parts.extend(fields.iter().flat_map(|(name, value)| [name.as_bytes(), *value]));
        self.ask("XADD", |command| pack(command, &parts)).map(drop)
    }

    /// Entries of `stream` after `after`, at most `count`. Blocks up to `block` (5 s at most) and gives none then.
    ///
    /// # Errors
    /// [`BusError::Refused`], [`BusError::Stopped`].
    pub fn read(
        &mut self,
        stream: &str,
        after: EntryId,
        count: usize,
        block: Duration,
        clock: Monotonic,
    ) -> Result<Batch, BusError> {
        let (after, count) = (after.to_string(), count.to_string());
        // zero would block for ever
        let block = block.min(LONGEST_BLOCK).as_millis().max(1).to_string();
        let parts = [
            b"XREAD",
            b"COUNT".as_slice(),
            count.as_bytes(),
            b"BLOCK",
            block.as_bytes(),
            b"STREAMS",
            stream.as_bytes(),
            after.as_bytes(),
        ];
        let reply = self.ask("XREAD", |command| pack(command, &parts))?;
        let received_ns = clock.now_ns();
        Batch::of_streams(reply, received_ns).ok_or_else(|| self.unreadable("XREAD"))
    }

    /// The last entry of `stream`, if there is one.
    ///
    /// # Errors
    /// [`BusError::Refused`], [`BusError::Stopped`].
    pub fn last(&mut self, stream: &str) -> Result<Batch, BusError> {
        self.range("XREVRANGE", stream, ["+", "-"])
    }

    /// Entry `entry` of `stream`, if it is there.
    ///
    /// # Errors
    /// [`BusError::Refused`], [`BusError::Stopped`].
    pub fn entry(&mut self, stream: &str, entry: EntryId) -> Result<Batch, BusError> {
        let id = entry.to_string();
        self.range("XRANGE", stream, [&id, &id])
    }

    /// Makes `stream` as if entry `entry` had not been written: a server that deletes an entry gives no id at or before
    /// it any more, so the stream is made anew of its last 10,000 others, in one step.
    ///
    /// # Errors
    /// [`BusError::Refused`], [`BusError::Stopped`].
    pub fn take_out(&mut self, stream: &str, entry: EntryId) -> Result<(), BusError> {
        let id = entry.to_string();
        let parts = [b"EVAL", TAKE_OUT.as_bytes(), b"1", stream.as_bytes(), id.as_bytes(), KEPT];
        self.ask("EVAL", |command| pack(command, &parts)).map(drop)
    }

    /// The process is ending.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn range(&mut self, command: &'static str, stream: &str, ends: [&str; 2]) -> Result<Batch, BusError> {
        let [first, last] = ends.map(str::as_bytes);
        let parts = [command.as_bytes(), stream.as_bytes(), first, last, b"COUNT", b"1"];
        let reply = self.ask(command, |packed| pack(packed, &parts))?;
        Batch::of_range(reply).ok_or_else(|| self.unreadable(command))
    }

    fn unreadable(&self, command: &'static str) -> BusError {
        BusError::Refused { address: self.address.clone(), command, reason: "an answer of another form".to_owned() }
    }

    /// Sends a command until it is answered.
    fn ask(&mut self, name: &'static str, write: impl Fn(&mut Vec<u8>)) -> Result<Value, BusError> {
        self.command.clear();
        write(&mut self.command);
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(BusError::Stopped);
            }
            match self.ask_once() {
                Ok(reply) => {
                    self.pause = FIRST_PAUSE;
                    return Ok(reply);
                }
                Err(Fault::Refused(reason)) => {
                    return Err(BusError::Refused { address: self.address.clone(), command: name, reason });
                }
                Err(Fault::Lost(reason)) => {
                    tracing::warn!(address = %self.address, command = name, %reason, pause = ?self.pause, "the bus does not answer");
                    self.wait();
                }
            }
        }
    }

    fn ask_once(&mut self) -> Result<Value, Fault> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let made = connected(&self.client)?;
                self.connects.fetch_add(1, Ordering::Relaxed);
                none.insert(made)
            }
        };
        let answered = connection.send_packed_command(&self.command).and_then(|()| connection.recv_response());
        let fault = match answered {
            Ok(Value::ServerError(error)) => server_fault(error.code(), error.details().unwrap_or_default()),
            Ok(reply) => return Ok(reply),
            Err(error) => Fault::Lost(error.to_string()),
        };
        if matches!(fault, Fault::Lost(_)) {
            self.connection = None;
        }
        Err(fault)
    }

    fn wait(&mut self) {
        let mut left = self.pause;
        while !left.is_zero() && !self.stop.load(Ordering::Relaxed) {
            let slice = left.min(FIRST_PAUSE);
            thread::sleep(slice);
            left -= slice;
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Bus").field("address", &self.address).finish_non_exhaustive()
    }
}

fn connected(client: &redis::Client) -> Result<Connection, Fault> {
    let fault = |error: redis::RedisError| match error.kind() {
        redis::ErrorKind::AuthenticationFailed | redis::ErrorKind::InvalidClientConfig => {
            Fault::Refused(error.category().to_owned())
        }
        redis::ErrorKind::Server(_) | redis::ErrorKind::Extension => {
            server_fault(error.code().unwrap_or_default(), error.detail().unwrap_or_default())
        }
        _ => Fault::Lost(error.to_string()),
    };
    let connection = client.get_connection_with_timeout(CONNECT_PATIENCE).map_err(fault)?;
    connection.set_read_timeout(Some(ANSWER_PATIENCE)).map_err(fault)?;
    connection.set_write_timeout(Some(ANSWER_PATIENCE)).map_err(fault)?;
    Ok(connection)
}

/// What a server's error means: a wrong command, user or key stays wrong; anything else (it loads, it has no memory or
/// no disk, it follows another) passes.
fn server_fault(code: &str, details: &str) -> Fault {
    let reason = format!("{code} {details}").trim_end().to_owned();
    match code {
        "ERR" | "WRONGTYPE" | "NOAUTH" | "WRONGPASS" | "NOPERM" => Fault::Refused(reason),
        _ => Fault::Lost(reason),
    }
}

/// Writes one command as the protocol frames it.
fn pack(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let number = |out: &mut Vec<u8>, kind: u8, number: usize| {
        out.push(kind);
        out.extend_from_slice(number.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    number(out, b'*', parts.len());
    for part in parts {
        number(out, b'$', part.len());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}
