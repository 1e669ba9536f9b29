//! A running exchange and the client of one account.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// 2024-03-01T00:00Z.
pub const START_NS: i64 = 1_709_251_200_000_000_000;
pub const SECOND_NS: i64 = 1_000_000_000;

/// Market time in lock-step from a start that every test knows.
pub const LOCKSTEP: [&str; 5] = ["--lockstep", "--seed", "7", "--start", "2024-03-01"];

pub struct Exchange {
    child: Child,
    pub first_line: Value,
    agent: ureq::Agent,
}

/// What a start that fails says, and its exit code.
pub struct Failed {
    pub stderr: String,
    pub code: Option<i32>,
}

impl Exchange {
    pub fn start(arguments: &[&str]) -> Self {
        Self::try_start(arguments).unwrap_or_else(|failed| panic!("{}", failed.stderr))
    }

    pub fn try_start(arguments: &[&str]) -> Result<Self, Failed> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_exchange"));
        command.args(arguments);
        Self::spawn(command)
    }

    /// With files limited to so many blocks of 512 bytes, which is what a full disk looks like to one file.
    pub fn start_with_small_disk(blocks: u32, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_exchange")]).args(arguments);
        Self::spawn(command).unwrap_or_else(|failed| panic!("{}", failed.stderr))
    }

    fn spawn(mut command: Command) -> Result<Self, Failed> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            return Err(Failed { stderr, code: child.wait().unwrap().code() });
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Ok(Self { child, first_line: serde_json::from_str(&line).unwrap(), agent })
    }

    pub fn text(&self, key: &str) -> &str {
        self.first_line[key].as_str().unwrap()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal by name; what the process left on stderr and its exit code.
    pub fn end(mut self, signal: &str) -> Failed {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Failed { stderr, code: self.child.wait().unwrap().code() }
    }

    pub fn control(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/control/{path}", self.text("control_url"));
        let bearer = format!("Bearer {}", self.text("control_token"));
        let answer = self.agent.post(url).header("authorization", bearer).send_json(body).unwrap();
        read(answer)
    }

    pub fn state(&self) -> Value {
        let url = format!("{}/control/state?full=true", self.text("control_url"));
        let bearer = format!("Bearer {}", self.text("control_token"));
        let (status, mut state) = read(self.agent.get(url).header("authorization", bearer).call().unwrap());
        assert_eq!(status, 200, "{state}");
        // Which file an entry is in, and how far it is synced, differ between runs; nothing else may.
        state.as_object_mut().unwrap().remove("journal");
        state
    }

    /// Advances as far as the first event or `to_ns`; where it stands and how many events.
    pub fn advance(&self, to_ns: i64) -> (i64, u64) {
        let (status, answer) = self.control("advance", &json!({"to_ns": to_ns.to_string()}));
        assert_eq!(status, 200, "{answer}");
        (answer["now_ns"].as_str().unwrap().parse().unwrap(), answer["events"].as_u64().unwrap())
    }

    /// Advances all the way.
    pub fn advance_all(&self, to_ns: i64) {
        while self.advance(to_ns).0 < to_ns {}
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        read(self.agent.get(format!("{}{path}", self.text("url"))).call().unwrap())
    }

    /// A signed request of the development account.
    pub fn signed(&self, method: &str, path: &str, parameters: &str) -> (u16, Value) {
        self.try_signed(method, path, parameters).unwrap()
    }

    pub fn try_signed(&self, method: &str, path: &str, parameters: &str) -> Result<(u16, Value), ureq::Error> {
        let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let separator = if parameters.is_empty() { "" } else { "&" };
        let query = format!("{parameters}{separator}timestamp={wall_ms}&recvWindow=60000");
        let mut mac = Hmac::<Sha256>::new_from_slice(self.text("api_secret").as_bytes()).unwrap();
        mac.update(query.as_bytes());
        let signature = format!("{:x}", mac.finalize().into_bytes());
        let url = format!("{}{path}?{query}&signature={signature}", self.text("url"));
        let key = self.text("api_key");
        let answer = match method {
            "GET" => self.agent.get(url).header("x-mbx-apikey", key).call()?,
            "DELETE" => self.agent.delete(url).header("x-mbx-apikey", key).call()?,
            _ => self.agent.post(url).header("x-mbx-apikey", key).send_empty()?,
        };
        Ok(read(answer))
    }

    /// The price of the best ask, plus so many ticks of 0.01, as text.
    pub fn near(&self, symbol: &str, ticks: i64) -> String {
        let (_, depth) = self.get(&format!("/api/v3/depth?symbol={symbol}&limit=5"));
        let ask: f64 = depth["asks"][0][0].as_str().unwrap().parse().unwrap();
        format!("{:.2}", ask + ticks as f64 / 100.0)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Killed already, or the test failed before it could be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A folder of a test's own, gone when the test is.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sapphire-exchange-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The journal's files, oldest first.
    pub fn journals(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "journal")).collect();
        files.sort();
        files
    }

    /// Where each journal is or was before it was archived, in order.
    pub fn journals_and_archives(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name());
        let plain = |name: &str| sapphire_archive::plain_name(name).map(str::to_owned);
        let names: BTreeSet<String> = entries.filter_map(|name| plain(name.to_str().unwrap())).collect();
        names.iter().filter(|name| name.ends_with(".journal")).map(|name| self.0.join(name)).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
