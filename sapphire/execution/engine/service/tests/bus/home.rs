//! A state folder with one release and its signed gate report, as the registry leaves it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use sapphire_service::clock::wall_ns;
use sapphire_service::events::ReleaseDigest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::valkey::Folder;

const FILES: [(&str, &str); 4] = [
    ("source_sha256", "source.py"),
    ("card_sha256", "card.json"),
    ("golden_inputs_sha256", "golden_inputs.safetensors"),
    ("golden_outputs_sha256", "golden_outputs.json"),
];

pub struct Home {
    folder: Folder,
    /// The key lies elsewhere.
    keys: Folder,
    pub digest: ReleaseDigest,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn sha256(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

/// `serde_json` sorts keys; the numbers here are whole.
fn canonical(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

impl Home {
    /// A release with these limits of its own, good for paper.
    pub fn new(limits: &Value) -> Self {
        let folder = Folder::new();
        let mut agent = json!({
            "name": "cross", "class": "Cross", "parameters": {"fast": 3}, "feature_version": "1", "horizon_ns": 900,
            "warmup": 9, "max_age_ns": 1000, "arrays_sha256": null, "calibration_sha256": null, "prompt_version": null,
            "modules": {"desk/averages.py": sha256(b"averages")},
        });
        for (key, file) in FILES {
            agent[key] = sha256(file.as_bytes()).into();
        }
        let manifest = json!({
            "format": "RELEASE@2", "name": "trend", "universe": ["BTC/USDT", "ETH/USDT"], "interval": "5m",
            "agents": [agent], "pooling": null, "limits": limits, "execution": {}, "lock_sha256": "b".repeat(64),
            "sizing": {"class": "equal_weight", "parameters": {}, "source_sha256": "a".repeat(64)},
            "engine_version": "0.1.0", "when_views_stop": {"hold_bars": 3, "reduce_bars": 0},
        });
        let manifest = canonical(&manifest);
        let digest = sha256(&manifest);
        let release = folder.path().join("releases").join(&digest);
        fs::create_dir_all(release.join("agents/cross")).unwrap();
        fs::write(release.join("manifest.json"), manifest).unwrap();
        for (_, file) in FILES {
            fs::write(release.join("agents/cross").join(file), file).unwrap();
        }
        fs::create_dir_all(release.join("agents/cross/modules/desk")).unwrap();
        fs::write(release.join("agents/cross/modules/desk/averages.py"), "averages").unwrap();
        let home = Self { folder, keys: Folder::new(), digest: digest.parse().unwrap() };
        home.report(true);
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn source(&self) -> PathBuf {
        self.path().join("releases").join(self.digest.to_string()).join("agents/cross/source.py")
    }

    /// What an admission of it goes by, as it stands in the settings.
    pub fn trust(&self) -> Value {
        let (policies, required) = (json!(["c".repeat(64)]), json!(["integrity.captured_source"]));
        json!({
            "key": self.keys.path().join("promoter.ed25519.pub"),
            "authority": "laptop key file: proves integrity, not authority",
            "policies": {"paper": policies, "live": policies}, "required": {"paper": required, "live": required},
        })
    }

    /// Signs a report for paper that its one gate passes or not, and records it after those before.
    pub fn report(&self, passed: bool) {
        self.report_for(passed, Duration::from_secs(86_400));
    }

    /// The same, for a report that permits for so long.
    pub fn report_for(&self, passed: bool, valid: Duration) {
        let digest = self.digest.to_string();
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        fs::write(self.keys.path().join("promoter.ed25519.pub"), format!("{}\n", hex(&public))).unwrap();
        let row = json!({
            "gate": "integrity", "measure": "captured_source", "needs": true, "value": passed, "refuses": true,
            "note": "", "passed": passed,
        });
        let folder = self.path().join("evidence").join(&digest);
        let records = folder.join("records.jsonl");
        let mut lines = fs::read(&records).unwrap_or_default();
        let last = lines.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        let before = last.map_or_else(|| "0".repeat(64), sha256);
        let now_ns = wall_ns();
        let report = canonical(&json!({
            "format": "GATES@2", "name": "trend", "manifest_digest": digest, "policy_digest": "c".repeat(64),
            "evidence_digest": "d".repeat(64), "data": "generated market, seed 7", "target": "paper", "rows": [row],
            "ledger_head": "e".repeat(64), "engine_version": "0.1.0", "signer": sha256(&public),
            "authority": "laptop key file: proves integrity, not authority",
            "permits": passed.then_some("paper"), "skill_failed": false, "trials": 3, "record_head": before,
            "sequence": lines.split(|byte| *byte == b'\n').count(), "revocations": 0,
            "issued_ns": now_ns, "valid_until_ns": now_ns + valid.as_nanos() as i64,
        }));
        let signature = format!("{}\n", hex(&key.sign(&report).to_bytes()));
        fs::create_dir_all(&folder).unwrap();
        let name = format!("report-paper-{}", &sha256(&report)[..12]);
        let (json, sig) = (format!("{name}.json"), format!("{name}.sig"));
        fs::write(folder.join(&json), &report).unwrap();
        fs::write(folder.join(&sig), &signature).unwrap();
        lines.extend(canonical(&json!({
            "at_ns": 1, "before": before, "kind": "report", "facts": {"target": "paper"},
            "files": {json: sha256(&report), sig: sha256(signature.as_bytes())},
        })));
        lines.push(b'\n');
        fs::write(&records, lines).unwrap();
    }

    /// Revokes the release, in the list of the state folder.
    pub fn revoke(&self) {
        let list = canonical(&json!({"format": "REVOCATIONS@1", "revoked": [{
            "at_ns": 1, "manifest_digest": self.digest.to_string(), "name": "trend@1", "who": "a@b", "why": "wrong prices",
        }]}));
        let signature = hex(&SigningKey::from_bytes(&[7; 32]).sign(&list).to_bytes());
        let file = [list.as_slice(), b"\n", signature.as_bytes(), b"\n"].concat();
        fs::write(self.path().join("evidence").join("revocations.signed"), file).unwrap();
    }
}
