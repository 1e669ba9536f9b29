//! The exchange as a process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sapphire_service::clock::ClockMode;
use sapphire_service::gateway::{DrainControl, RECV_WINDOW_MS, Secret, VenueSettings};
use serde_json::{Value, json};

/// 2024-03-01T00:00Z.
pub const START_NS: i64 = 1_709_251_200_000_000_000;
pub const SECOND_NS: i64 = 1_000_000_000;
pub const SYMBOLS: [&str; 2] = ["BTC/USDT", "ETH/USDT"];

/// Market time in lock-step from a start that every test knows, with requests that travel.
pub const LOCKSTEP: [&str; 8] = ["--lockstep", "--seed", "7", "--start", "2024-03-01", "--latency-ms", "5", "25"];

/// The exchange's binary, beside this test's; built when nobody has.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let binary = profile.join("exchange");
        if !binary.exists() {
            let release = if profile.ends_with("release") { &["--release"][..] } else { &[] };
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let built = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "-p", "sapphire-exchange", "--bin", "exchange", "--target-dir"])
                .arg(profile.parent().unwrap())
                .args(release)
                .current_dir(workspace)
                .status();
            assert!(built.unwrap().success(), "the exchange could not be built");
        }
        binary
    })
}

pub struct Exchange {
    child: Child,
    first_line: Value,
    agent: ureq::Agent,
}

impl Exchange {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .proxy(None)
            .build()
            .into();
        Self { child, first_line: serde_json::from_str(&line).expect(&line), agent }
    }

    pub fn text(&self, key: &str) -> &str {
        self.first_line[key].as_str().unwrap()
    }

    pub fn settings(&self, clock_mode: ClockMode) -> VenueSettings {
        let token = Secret::new(self.text("control_token"));
        let control = DrainControl { url: self.text("control_url").into(), token };
        VenueSettings {
            rest_url: self.text("url").into(),
            ws_url: self.text("ws_url").into(),
            api_key: Secret::new(self.text("api_key")),
            api_secret: Secret::new(self.text("api_secret")),
            clock_mode,
            control: (clock_mode == ClockMode::Lockstep).then_some(control),
            recv_window_ms: RECV_WINDOW_MS,
        }
    }

    /// Stops the process where it stands, or lets it go on.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        // A thread that was running reads on for a moment.
        while signal == "STOP" && !self.stands() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Every thread of the process is stopped.
    fn stands(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.flatten().all(|thread| {
            let emitted = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            emitted.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        })
    }

    /// `kill -9`, and gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn control(&self, path: &str, body: &Value) -> Value {
        let url = format!("{}/control/{path}", self.text("control_url"));
        let bearer = format!("Bearer {}", self.text("control_token"));
        let mut answer = self.agent.post(url).header("authorization", bearer).send_json(body).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub fn state(&self) -> Value {
        let url = format!("{}/control/state?full=true", self.text("control_url"));
        let bearer = format!("Bearer {}", self.text("control_token"));
        let mut answer = self.agent.get(url).header("authorization", bearer).call().unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Advances all the way; the last event number of the development account.
    pub fn advance_to(&self, to_ns: i64) -> u64 {
        let to_ns = to_ns.to_string();
        loop {
            let answer = self.control("advance", &json!({"to_ns": to_ns}));
            if answer["now_ns"] == *to_ns {
                return answer["sequences"]["1"].as_u64().unwrap_or(0);
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Killed already, or the test failed before it could be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports that nobody holds, for an exchange that comes back where it was.
pub fn free_ports() -> [String; 2] {
    let listeners = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    listeners.map(|listener| listener.local_addr().unwrap().port().to_string())
}

/// A folder of a test's own, gone when the test is.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sapphire-gateway-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
