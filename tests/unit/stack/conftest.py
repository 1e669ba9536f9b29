"""State folders with releases, frozen ones for stacks that run, registered ones for choosing among them; a receiver."""

import importlib.util
import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.domain.clocks import WallClock
from sapphire.registry import Admission, Deployment, EvidenceStore
from sapphire.registry.promotion import Promoter
from sapphire.registry.tracking import Tracking
from sapphire.registry.versions import Versions

UNIT = Path(__file__).parents[1]
SECRET = "T0SECRETSECRET0"


def fixtures_of(room):
    """The functions of another room's fixtures, which make releases and evidence as that room leaves them."""
    spec = importlib.util.spec_from_file_location(f"fixtures_of_{room}", UNIT / room / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", name="fixtures_of")
def fixtures_of_fixture():
    """Name of another room of tests to what its conftest makes."""
    return fixtures_of


@pytest.fixture(scope="session")
def frozen(tmp_path_factory, sign_permit):
    """A state folder with a release that is admitted to paper, and its digest."""
    serving = fixtures_of("serving")
    home = tmp_path_factory.mktemp("state")
    bars = serving.random_bars(600)
    agent = Calibrated(MovingAverageCross(fast=3, slow=9, horizon=timedelta(minutes=15)))
    digest = serving.freeze_into(home, agent.fit(bars.rows(0, 400), seed=7), bars)
    sign_permit(home, digest)
    return home, digest


@pytest.fixture(scope="session")
def champion(frozen, promoted):
    """The same release once it was promoted on its signed report."""
    promoted(*frozen)
    return frozen


@pytest.fixture(scope="session")
def other_release(frozen, sign_permit):
    """The digest of another release in the same state folder, admitted to paper too."""
    serving, home = fixtures_of("serving"), frozen[0]
    bars = serving.random_bars(600)
    agent = Calibrated(MovingAverageCross(fast=4, slow=12, horizon=timedelta(minutes=15)))
    digest = serving.freeze_into(home, agent.fit(bars.rows(0, 400), seed=7), bars)
    sign_permit(home, digest)
    return digest


@pytest.fixture(scope="session")
def narrow_release(frozen, sign_permit):
    """The digest of a release on the first of the symbols alone, admitted to paper."""
    serving, home = fixtures_of("serving"), frozen[0]
    bars = serving.random_bars(600, seed=6).symbols_only(["BTC/USDT"])
    agent = Calibrated(MovingAverageCross(fast=2, slow=6, horizon=timedelta(minutes=15)))
    digest = serving.freeze_into(home, agent.fit(bars.rows(0, 400), seed=7), bars)
    sign_permit(home, digest)
    return digest


@pytest.fixture(scope="session")
def promoted(with_mlflow):
    """Promotes a release that is admitted to paper: registered, copied and recorded by the promoter."""

    def promote(home, digest):
        if not (home / "mlflow" / "mlflow.db").exists():
            with_mlflow(home)
        tracking, clock, store = Tracking.of(home, {}), WallClock(), EvidenceStore(home / "evidence")
        versions = Versions.of(tracking)
        with tracking.run(versions.client, "research.trend", "submit trend", tags={}, clock=clock) as run:
            source = versions.create("research.trend", home / "releases" / digest, run_id=run, tags={})
        report = Admission(home, Deployment.read()).permit(digest, stage="paper", at_ns=clock.now_ns(), name="trend")
        (signed,) = store.reports(digest)
        Promoter(versions, store, clock, report.signer).promote(source, "paper", signed, report, {})

    return promote


@pytest.fixture(scope="session")
def registered():
    """Functions that make small releases and what was measured of them."""
    return fixtures_of("registry")


DRIP_S = 0.05


class Webhook:
    """A server on this machine.

    `answers` are given in turn, the last of them for ever: a status, or (status, headers, body), or "drip", which is an
    answer that never ends, or "hang up", which is none.
    """

    def __init__(self, context=None):
        self.got, self.at, self.answers = [], [], [200]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append(json.loads(body))
                outer.at.append(time.monotonic())
                answer = outer.answers[0] if len(outer.answers) == 1 else outer.answers.pop(0)
                if answer == "hang up":
                    self.connection.close()
                elif answer == "drip":
                    self.drip()
                else:
                    self.answer(*(answer if isinstance(answer, tuple) else (answer, {}, b"")))

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def drip(self):
                self.send_response(200)
                self.end_headers()
                while not outer.closed.is_set():
                    try:
                        self.wfile.write(b".")
                    except OSError:
                        return
                    time.sleep(DRIP_S)

            def log_message(self, *_):
                pass

        self.closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/services/{SECRET}"

    def wait_for(self, count, within_s=20.0):
        """What came, once it is so many."""
        deadline = time.monotonic() + within_s
        while len(self.got) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.got) >= count, self.got
        return self.got

    def close(self):
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def webhook():
    server = Webhook()
    yield server
    server.close()


@pytest.fixture(scope="session")
def webhook_with():
    """Makes one with a TLS context; whoever asks closes it."""
    return Webhook
