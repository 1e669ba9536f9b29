"""Weights of large models: fetched from a hub by revision, verified by digest, and nothing else in their place."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain import ConfigError, EvidenceRefused, MissingData, NotReady
from sapphire.serving.weights import Weights, digest_of, pull, verified

REPOSITORY, REVISION = "desk/tiny-model", "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "tiny"}',
    "model.safetensors": bytes(range(256)) * 64,
    "tokenizer/vocab.txt": b"buy\nsell\nhold\n",
    "pytorch_model.bin": b"a pickle, which can run code",
    "modeling_tiny.py": b"raise SystemExit",
}
WANTED = ("config.json", "model.safetensors", "tokenizer/vocab.txt")


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as a client asks: what a revision has, and each file of it."""

    files = FILES

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        files = type(self).files
        if path == f"/api/models/{REPOSITORY}/revision/{REVISION}":
            listed = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            return self.send({"id": REPOSITORY, "sha": REVISION, "siblings": listed})
        if path.startswith(f"/api/models/{REPOSITORY}/tree/{REVISION}"):
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return self.send(listed)
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{REVISION}/")
        if name in files:
            return self.send_bytes(files[name], etag=hashlib.sha256(files[name]).hexdigest())
        self.send_response(404)
        self.send_header("X-Error-Code", "RevisionNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, told):
        self.send_bytes(json.dumps(told).encode())

    def send_bytes(self, data, etag=""):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        if etag:
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def others(monkeypatch):
    """The hub says the same revision with another byte in the weights."""
    monkeypatch.setattr(Hub, "files", FILES | {"model.safetensors": b"\x01" + FILES["model.safetensors"][1:]})


def test_what_is_fetched_cannot_run_code_and_has_the_digest_of_its_files(hub, tmp_path):
    weights = Weights(REPOSITORY, REVISION)
    digest = pull(weights, tmp_path, hub=hub)
    folder = weights.folder(tmp_path)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == list(WANTED)
    listed = {name: hashlib.sha256(FILES[name]).hexdigest() for name in WANTED}
    spelled = json.dumps(listed, sort_keys=True, separators=(",", ":")).encode()
    assert digest == hashlib.sha256(spelled).hexdigest() == digest_of(folder)
    assert verified(Weights(REPOSITORY, REVISION, digest), tmp_path) == folder
    assert pull(Weights(REPOSITORY, REVISION, digest), tmp_path, hub="http://127.0.0.1:1") == digest, "it is there"


def test_other_weights_than_the_named_ones_do_not_stay(hub, tmp_path, others):
    wanted = {name: hashlib.sha256(FILES[name]).hexdigest() for name in WANTED}
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    weights = Weights(REPOSITORY, REVISION, digest)
    with pytest.raises(EvidenceRefused, match="not the ones that are named") as refused:
        pull(weights, tmp_path, hub=hub)
    assert digest in refused.value.expected
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("spoil", ["flip", "add", "remove"])
def test_weights_that_changed_on_the_volume_are_refused(hub, tmp_path, spoil):
    digest = pull(Weights(REPOSITORY, REVISION), tmp_path, hub=hub)
    weights = Weights(REPOSITORY, REVISION, digest)
    file = weights.folder(tmp_path) / "model.safetensors"
    if spoil == "flip":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    elif spoil == "add":
        file.with_name("more.json").write_text("{}")
    else:
        file.unlink()
    for ask in (lambda: verified(weights, tmp_path), lambda: pull(weights, tmp_path, hub=hub)):
        with pytest.raises(EvidenceRefused, match="not the ones that are named"):
            ask()


def test_a_hub_that_does_not_answer_or_has_no_such_revision_is_said(hub, tmp_path):
    for asked, weights in (
        ("http://127.0.0.1:1", Weights(REPOSITORY, REVISION)),
        (hub, Weights(REPOSITORY, REVISION[::-1])),
    ):
        with pytest.raises(NotReady, match="could not be fetched"):
            pull(weights, tmp_path, hub=asked)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_weights_are_named_by_repository_commit_and_digest(tmp_path):
    for words in (
        ("tiny-model", REVISION),
        ("../tiny/model", REVISION),
        ("a/..", REVISION),
        (REPOSITORY, "main"),
        (REPOSITORY, REVISION.upper()),
        (REPOSITORY, REVISION, "abc"),
    ):
        with pytest.raises(ConfigError):
            Weights(*words)
    with pytest.raises(ConfigError, match="without a digest"):
        verified(Weights(REPOSITORY, REVISION), tmp_path)
    with pytest.raises(MissingData, match="is not there") as missing:
        verified(Weights(REPOSITORY, REVISION, "0" * 64), tmp_path)
    assert f"sapphire weights pull {REPOSITORY} --revision {REVISION}" in missing.value.next


def test_the_verb_says_the_digest(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub)
    words = ["weights", "pull", REPOSITORY, "--revision", REVISION, "--into", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    told = json.loads(done.stdout)
    assert told["sha256"] == digest_of(Weights(REPOSITORY, REVISION).folder(tmp_path))
    assert told["folder"] == str(tmp_path / "desk--tiny-model" / REVISION)
