//! A service with everything around it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sapphire_core::messages::Message;
use sapphire_service::bus::Bus;
use sapphire_service::clock::Monotonic;
use sapphire_service::events::EntryId;
use sapphire_service::streams::Streams;
use serde_json::{Value, json};

use crate::home::Home;
use crate::valkey::{Folder, Valkey, streams};
use crate::venue::{Exchange, LOCKSTEP, SYMBOLS};

pub const MINUTE_NS: i64 = 60_000_000_000;
pub const BAR_NS: i64 = 5 * MINUTE_NS;
pub const TOKEN: &str = "the-service-token";
pub const READ_TOKEN: &str = "the-reading-token";

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running service.
pub struct Service {
    child: Child,
    pub first_line: Value,
}

/// Everything around a service.
pub struct Rig {
    pub exchange: Exchange,
    pub valkey: Valkey,
    pub home: Home,
    pub folder: Folder,
    pub bus: Bus,
    pub service: Option<Service>,
    /// What the service gets beside the test's own environment.
    pub environment: Vec<(String, PathBuf)>,
    agent: ureq::Agent,
}

impl Rig {
    /// In lock-step, with the development account's 100,000 USDT; the service is not started yet.
    pub fn new() -> Self {
        Self::with(&LOCKSTEP, &json!({"lockstep": true}), &json!({}))
    }

    /// On an exchange with these arguments; `changed` replaces settings.
    pub fn with(exchange: &[&str], clock: &Value, changed: &Value) -> Self {
        let valkey = Valkey::start();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build()
            .into();
        let rig = Self {
            exchange: Exchange::start(exchange),
            home: Home::new(&json!({})),
            folder: Folder::new(),
            bus: valkey.bus(),
            valkey,
            service: None,
            environment: Vec::new(),
            agent,
        };
        rig.write_settings(clock, changed);
        rig
    }

    /// Writes the settings file; `changed` replaces settings.
    pub fn write_settings(&self, clock: &Value, changed: &Value) {
        let credentials = self.path("credentials.json");
        let keys = json!({
            "api_key": self.exchange.text("api_key"), "api_secret": self.exchange.text("api_secret"),
            "venue_control_token": self.exchange.text("control_read_token"),
            "service_token": TOKEN, "service_read_token": READ_TOKEN,
        });
        fs::write(&credentials, keys.to_string()).unwrap();
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        let key = self.path("signal-key");
        fs::write(&key, "5c".repeat(32)).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let mut settings = json!({
            "account": "paper", "account_tag": 1, "release": self.home.digest, "stage": "paper",
            "home": self.home.path(), "trust": self.home.trust(),
            "folder": self.account(), "symbols": SYMBOLS, "quote": "USDT", "interval": "5m",
            "venue": {
                "name": "embedded", "rest_url": self.exchange.text("url"), "ws_url": self.exchange.text("ws_url"),
                "control_url": self.exchange.text("control_url"),
            },
            "credentials": credentials, "bus_url": self.valkey.url(), "signal_key": key, "clock": clock,
            "journal": {"segment_bytes": 262_144, "reserve_bytes": 16_384},
        });
        for (key, value) in changed.as_object().unwrap() {
            settings[key] = value.clone();
        }
        fs::write(self.path("service.json"), settings.to_string()).unwrap();
    }

    /// The streams of the account and the release that its settings name.
    pub fn streams(&self) -> Streams {
        let settings: Value = serde_json::from_slice(&fs::read(self.path("service.json")).unwrap()).unwrap();
        streams(&settings["release"].as_str().unwrap().parse().unwrap())
    }

    /// The stream of a kind.
    pub fn stream(&self, kind: &str) -> Arc<str> {
        let streams = self.streams();
        match kind {
            "lockstep" => streams.lockstep,
            "settled" => streams.settled,
            "account" => streams.states,
            "executions" => streams.executions,
            "heartbeats" => streams.heartbeats,
            "dead-letters" => streams.dead_letters,
            other => panic!("{other}"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn account(&self) -> PathBuf {
        self.path("account")
    }

    /// Starts the service and waits for its first line.
    pub fn start(&mut self) -> &Service {
        self.service = Some(self.try_start().unwrap_or_else(|(code, message)| panic!("exit code {code:?}: {message}")));
        self.service.as_ref().unwrap()
    }

    /// A start that may fail, with its exit code and what it said.
    pub fn try_start(&self) -> Result<Service, (Option<i32>, String)> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("service.log")).unwrap();
        let before = log.metadata().unwrap().len();
        let mut child = Command::new(env!("CARGO_BIN_EXE_service"))
            .args(["run", "--config"])
            .arg(self.path("service.json"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.is_empty() {
            let code = child.wait().unwrap().code();
            let message = fs::read(self.path("service.log")).unwrap()[before as usize..].to_vec();
            return Err((code, String::from_utf8(message).unwrap()));
        }
        Ok(Service { child, first_line: serde_json::from_str(&line).unwrap() })
    }

    /// `kill -9`, and a new start.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start();
    }

    pub fn kill(&mut self) {
        let mut service = self.service.take().unwrap();
        service.child.kill().unwrap();
        service.child.wait().unwrap();
    }

    /// SIGTERM; the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut service = self.service.take().unwrap();
        let pid = service.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = service.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the service did not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> u32 {
        self.service.as_ref().unwrap().child.id()
    }

    pub fn log(&self) -> String {
        let mut text = String::new();
        fs::File::open(self.path("service.log")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn url(&self, path: &str) -> String {
        let service = self.service.as_ref().expect("a service that runs");
        format!("{}{path}", service.first_line["control_url"].as_str().unwrap())
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.get_as(path, TOKEN)
    }

    pub fn get_as(&self, path: &str, token: &str) -> (u16, Value) {
        let asked = self.agent.get(self.url(path)).header("authorization", format!("Bearer {token}"));
        read(asked.call().unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_as(path, TOKEN, body)
    }

    pub fn post_as(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let asked = self.agent.post(self.url(path)).header("authorization", format!("Bearer {token}"));
        read(asked.send_json(body).unwrap())
    }

    pub fn wait_until_ready(&self) {
        self.wait_for("the service to be ready", || self.get("/readyz").0 == 200);
    }

    pub fn wait_for(&self, what: &str, mut is_there: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there() {
            assert!(Instant::now() < deadline, "waited for {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All messages of a kind of stream.
    pub fn messages(&mut self, kind: &str) -> Vec<(EntryId, Message)> {
        let clock = Monotonic::new();
        let mut all = Vec::new();
        let mut after = EntryId::default();
        loop {
            let batch = self.bus.read(&self.stream(kind), after, 1_000, Duration::from_millis(1), clock).unwrap();
            if batch.is_empty() {
                return all;
            }
            for entry in batch.entries() {
                after = entry.id;
                all.push((entry.id, Message::decode(entry.message().unwrap()).unwrap()));
            }
        }
    }

    /// The risk updates so far: code and symbol.
    pub fn risk_updates(&mut self) -> Vec<(String, Option<String>)> {
        let messages = self.messages("executions").into_iter();
        messages
            .filter_map(|(_, message)| match message {
                Message::RiskUpdate(update) => {
                    Some((update.code.to_string(), update.symbol.map(|symbol| symbol.to_string())))
                }
                _ => None,
            })
            .collect()
    }

    /// A verb of the binary on the account's journal.
    pub fn journal(&self, verb: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_service"));
        command.args(["journal", verb]).arg(self.account());
        // What is exported is JSON anyhow.
        if verb != "export" {
            command.arg("--json");
        }
        command.output().unwrap()
    }

    /// Rows of the journal's export of one kind.
    pub fn exported(&self, kind: &str) -> Vec<Value> {
        let output = self.journal("export");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let rows = String::from_utf8(output.stdout).unwrap();
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row["kind"] == *kind).collect()
    }

    /// The journal folds again to what was decided.
    pub fn assert_replays(&self) -> Value {
        let output = self.journal("replay");
        let message = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{message}{}", String::from_utf8_lossy(&output.stderr));
        let emitted: Value = serde_json::from_str(message.trim()).unwrap();
        assert_eq!(emitted["identical"], true, "{emitted}");
        emitted
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.service.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
