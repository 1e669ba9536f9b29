"""What is wrong with a release or its evidence keeps `sapphire promote` from moving anything.

Each fault ends the verb with 1 and an error that says what was expected, what came and what to do; the champion stays,
no version and no record is made, and with the fault undone the same command promotes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sapphire.cli import main
from sapphire.domain.canonical import sha256_of
from sapphire.domain.clocks import to_ns
from sapphire.domain.protocols import Protocol
from sapphire.domain.releases import MANIFEST_FILE, Manifest, ReleasedAgent, ReleasedSizing
from sapphire.domain.workspace import config_folder
from sapphire.registry import (
    CheckEvidence,
    CostEvidence,
    EvidenceBundle,
    HoldoutEvidence,
    IntegrityEvidence,
    Outcome,
    Registry,
    WalkForwardEvidence,
    signing_key,
)
from sapphire.registry.integrity import CHECKS
from sapphire.registry.signing import KEY_FILE, PUBLIC_FILE
from sapphire.registry.trust import KEY_VARIABLE
from sapphire.research.ledger.book import Evaluation, Ledger
from sapphire.research.ledger.chain import Head
from sapphire.research.ledger.counting import registry_of
from sapphire.research.ledger.spans import Span

ROOT = Path(__file__).parents[2]
SOURCE = "agents/cross/source.py"
Fault = Callable[[Registry, str], Path]
"""Harms one file of a release's state; gives the file."""
Cut = Callable[[Ledger, Protocol], None]
"""Cuts or exchanges a ledger."""


def write_release(folder: Path, name: str, fast: int) -> Path:
    files = {
        "source.py": f"FAST = {fast}\n".encode(),
        "card.json": b"{}",
        "golden_inputs.safetensors": b"inputs",
        "golden_outputs.json": b"[]",
    }
    digests = {f"{path.split('.')[0]}_sha256": sha256_of(data) for path, data in files.items()}
    agent = ReleasedAgent(
        name="cross", class_name="Cross", parameters={"fast": fast}, feature_version="bars@1",
        horizon_ns=3_600_000_000_000, warmup=48, max_age_ns=90 * 86_400_000_000_000, **digests,
    )  # fmt: skip
    sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256=sha256_of(b"sizing"))
    manifest = Manifest(
        name=name, universe=("BTC/USDT",), interval="1h", agents=(agent,), sizing=sizing,
        lock_sha256=sha256_of(b"lock"), engine_version="0.1.0",
    )  # fmt: skip
    (folder / "agents" / "cross").mkdir(parents=True)
    for path, data in files.items():
        (folder / "agents" / "cross" / path).write_bytes(data)
    (folder / MANIFEST_FILE).write_bytes(manifest.canonical)
    return folder


SPAN = Span("real", {"BTC/USDT": "a" * 64}, 3_600_000_000_000, to_ns("2024-01-01"), to_ns("2025-01-01"))
HOLDOUT = Span("real", {"BTC/USDT": "b" * 64}, 3_600_000_000_000, to_ns("2025-01-01"), to_ns("2025-06-30"))


def tried(home: Path, count: int, protocol: Protocol, *, at_ns: int = 1) -> Head:
    """A ledger with so many trials; how far it reaches."""
    trials = [
        Evaluation(
            agent="cross", code=f"{number}", parameters={}, sizing={}, protocol=protocol.digest, seed=7, span=SPAN,
            method="screen", returns_digest=f"{number}", sharpe=number / 1e4, active=number / 1e4, study="trend",
        )
        for number in range(count)
    ]  # fmt: skip
    trials.append(replace(trials[0], span=HOLDOUT, method="holdout"))
    return Ledger(home / "ledger").record(trials, at_ns=at_ns)


def measured(folder: Path, head: Head, protocol: Protocol) -> EvidenceBundle:
    nothing = Outcome(total_return=0.0, sharpe=None)
    return EvidenceBundle(
        manifest_digest=Manifest.parse((folder / MANIFEST_FILE).read_bytes()).digest,
        source="recorded",
        data="recorded candles (binance spot)",
        engine_version="0.1.0",
        walk_forward=WalkForwardEvidence(
            sharpe=0.05, skew=0.0, kurtosis=3.0, length=8_760, total_return=0.4, active=None, folds=12,
            tested_days=365.0, fills=900, span=SPAN.as_dict(), trials=74, variance_of_trials=1e-4,
            variance_of_active=1e-4, effective_trials=21.5, openings=1, ledger_head=head.digest,
            ledger_lines=head.lines,
        ),
        holdout=HoldoutEvidence(
            start_ns=to_ns("2025-01-01"), end_ns=to_ns("2025-06-30"), agent=Outcome(total_return=0.12, sharpe=0.03),
            baselines={"cash": nothing, "buy_and_hold": Outcome(total_return=0.1, sharpe=0.01)},
            over={"cash": None, "buy_and_hold": None}, span=HOLDOUT.as_dict(), seen_by=(),
        ),
        costs=CostEvidence(times=2.0, outcome=Outcome(total_return=0.2, sharpe=0.02)),
        integrity=IntegrityEvidence(
            captured_source=True, snapshot_hash=sha256_of(b"snapshot"), snapshot_verified=True,
            lock_sha256=sha256_of(b"lock"), golden_ok=True, git_commit="c0ffee" + "0" * 34,
            dirty=False, isolation="enforced",
            checks={name: CheckEvidence(verdict="pass", bars=460, worst=0.0) for name in CHECKS},
        ),
        protocol=protocol,
        replays={name: sha256_of(name.encode()) for name in ("walk_forward", "holdout", "doubled_costs")},
    )  # fmt: skip


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory,
    with_mlflow: Callable[[Path], Path],
    wire: Callable[..., Registry],
    protocol: Protocol,
) -> Registry:
    """A registry on a real MLflow."""
    home = with_mlflow(tmp_path_factory.mktemp("home"))
    tried(home, 74, protocol)
    return wire(registry_of(home), policies=ROOT / "mlflow" / "gates", environment={})


numbers = itertools.count()


@pytest.fixture
def challenger(registry: Registry, protocol: Protocol, tmp_path: Path) -> str:
    """A release with a signed report for paper, where another one is champion; its digest."""
    name = f"trend{next(numbers)}"
    digests = []
    for fast in (9, 12):
        folder = write_release(tmp_path / str(fast), name, fast)
        digests.append(
            registry.register(folder, measured(folder, Ledger(registry.home / "ledger").head, protocol)).digest
        )
        registry.gates(digests[-1], to="paper")
    registry.promote(digests[0], to="paper")
    return digests[1]


def evidence(registry: Registry, digest: str, pattern: str) -> Path:
    (path,) = registry.store.folder(digest).glob(pattern)
    return path


def tampered(registry: Registry, digest: str) -> Path:
    path = registry.folder(digest) / SOURCE
    path.write_bytes(path.read_bytes().replace(b"12", b"13"))
    return path


def another_number(registry: Registry, digest: str) -> Path:
    path = evidence(registry, digest, "report-paper-*.json")
    path.write_bytes(path.read_bytes().replace(b"74", b"73", 1))
    return path


def other_measurements(registry: Registry, digest: str) -> Path:
    path = evidence(registry, digest, "bundle-*.json")
    path.write_bytes(path.read_bytes().replace(b"74", b"73", 1))
    return path


def no_report(registry: Registry, digest: str) -> Path:
    path = evidence(registry, digest, "report-paper-*.json")
    path.unlink()
    return path


def no_measurements(registry: Registry, digest: str) -> Path:
    path = evidence(registry, digest, "bundle-*.json")
    path.unlink()
    return path


@contextmanager
def harmed(registry: Registry, digest: str, fault: Fault) -> Iterator[Path]:
    """The fault, and everything as it was afterwards."""
    folders = (registry.folder(digest), registry.store.folder(digest))
    before = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    path = fault(registry, digest)
    assert not path.exists() or path.read_bytes() != before[path]
    yield path
    path.write_bytes(before[path])


def standing(registry: Registry) -> tuple[object, ...]:
    """Every version with its aliases, and every record of evidence."""
    versions = [(each.model, each.number, each.digest, tuple(each.aliases)) for each in registry.releases()]
    records = registry.home.glob("evidence/*/records.jsonl")
    return (*versions, *(path.read_bytes() for path in sorted(records)))


@pytest.fixture
def run(registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a verb in this process to the exit code that is expected; what it wrote to stderr."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(registry.home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(ROOT)

    def verb(*words: str, code: int) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(words)
        captured = capsys.readouterr()
        assert (left.value.code or 0) == code, captured.err
        assert "Traceback" not in captured.err
        return captured.err

    return verb


def helps(message: str) -> bool:
    return all(f"\n  {label:<10}" in message for label in ("expected:", "got:", "next:"))


@pytest.mark.parametrize("fault", [tampered, another_number, other_measurements, no_report, no_measurements])
def test_a_fault_moves_nothing_and_can_be_undone(
    registry: Registry, challenger: str, run: Callable[..., str], fault: Fault
) -> None:
    before = standing(registry)
    with harmed(registry, challenger, fault) as path:
        message = run("promote", challenger[:12], "--to", "paper", code=1)
        assert (SOURCE if fault is tampered else path.name) in message
        assert helps(message)
    assert standing(registry) == before
    run("promote", challenger[:12], "--to", "paper", code=0)
    assert standing(registry) != before


def test_another_promoter_s_key_moves_nothing(
    registry: Registry, challenger: str, run: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = standing(registry)
    signing_key(tmp_path / "stranger")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "stranger" / PUBLIC_FILE))
    message = run("promote", challenger[:12], "--to", "paper", code=1)
    assert "signature of a gate report does not verify" in message
    assert helps(message)
    monkeypatch.delenv(KEY_VARIABLE)
    assert standing(registry) == before
    run("promote", challenger[:12], "--to", "paper", code=0)


def test_a_key_that_others_can_read_signs_nothing(registry: Registry, challenger: str, run: Callable[..., str]) -> None:
    key = config_folder() / KEY_FILE
    before = standing(registry)
    key.chmod(0o644)
    message = run("gates", challenger[:12], "--to", "live", code=1)
    key.chmod(0o600)
    assert "others can read the promoter's key" in message
    assert helps(message)
    assert standing(registry) == before


def without_its_last_line(ledger: Ledger, _: Protocol) -> None:
    ledger.path.write_bytes(b"".join(ledger.path.read_bytes().splitlines(keepends=True)[:-1]))


def another(ledger: Ledger, protocol: Protocol) -> None:
    ledger.path.unlink()
    tried(ledger.folder.parent, 80, protocol, at_ns=2)


@pytest.mark.parametrize("cut", [without_its_last_line, another, lambda ledger, _: ledger.path.unlink()])
def test_a_ledger_that_was_cut_or_exchanged_moves_nothing(
    registry: Registry, challenger: str, run: Callable[..., str], cut: Cut, protocol: Protocol
) -> None:
    ledger, before = Ledger(registry.home / "ledger"), standing(registry)
    kept = {path: path.read_bytes() for path in (ledger.path, ledger.mark.path)}
    cut(ledger, protocol)
    for verb in ("gates", "promote"):
        message = run(verb, challenger[:12], "--to", "paper", code=1)
        assert "the trial ledger is not the one that release" in message
        assert "lines were cut off or replaced" in message
        assert helps(message)
    assert standing(registry) == before
    for path, whole in kept.items():
        path.write_bytes(whole)
    run("promote", challenger[:12], "--to", "paper", code=0)


def test_the_ledger_s_head_is_kept_by_mlflow_as_well(
    registry: Registry, challenger: str, run: Callable[..., str], protocol: Protocol
) -> None:
    head = Ledger(registry.home / "ledger").head
    (version,) = (each for each in registry.releases() if each.digest == challenger)
    assert (version.tags["ledger.head"], version.tags["ledger.lines"]) == (head.digest, str(head.lines))
    assert version.tags["protocol.sha256"] == protocol.digest
    kept = {anchor.kept_by: (anchor.lines, anchor.head) for anchor in registry.ledger_anchors()}
    assert kept[version.label] == kept[f"release {challenger[:12]}"] == (head.lines, head.digest)


def test_trials_after_the_submit_count_at_the_next_gate(
    registry: Registry, challenger: str, run: Callable[..., str]
) -> None:
    assert "N = 74 trials" in str(registry.gates(challenger, to="paper"))
    head = Ledger(registry.home / "ledger").record(
        [
            Evaluation(
                agent="cross", code=f"later {number}", parameters={}, sizing={}, protocol="", seed=7, span=SPAN,
                method="screen", returns_digest=f"later {number}", sharpe=number / 1e4, study="trend",
            )
            for number in range(500)
        ],
        at_ns=2,
    )  # fmt: skip
    report = registry.gates(challenger, to="paper")
    assert "N = 574 trials" in str(report)
    assert report.ledger_head == head.digest
