"""The parts of a deployment's plan as plain processes: each has a state folder and a folder of secrets of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from sapphire.execution.binaries import engine_binary
from sapphire.execution.bus_server import bus_command
from sapphire.serving.ports import free_port
from sapphire.stack.pods import Pod, PodPlan, exchange_words

SAPPHIRE = (sys.executable, "-m", "sapphire.cli")
WITHIN_S = 120.0


def on_this_machine(facts):
    """The plan with every part here, on a free port of its own."""
    tables = [facts[name] for name in ("bus", "exchange", "collector")]
    tables += [*facts["agents"].values()]
    tables += [account[part] for account in facts["accounts"].values() for part in ("coordinator", "engine", "trimmer")]
    for table in tables:
        table |= {"host": "127.0.0.1", "port": free_port()}
    facts["exchange"]["control_port"] = free_port()
    return facts | {"bind": "127.0.0.1"}


class Pods:
    """Runs workloads of a plan.

    Parameters
    ----------
    folder : has a folder for each workload.
    plan : the plan's file.
    secrets : what `sapphire secrets make` made.
    variables : of every container, as its ConfigMaps have them.
    """

    def __init__(self, folder, plan, secrets, variables):
        self.folder, self.file, self.secrets, self.variables = folder, plan, secrets, variables
        self.plan = PodPlan.read(plan)
        self.running = {}

    def home(self, workload):
        """The state folder of a workload."""
        home = self.folder / workload
        (home / "run").mkdir(parents=True, exist_ok=True)
        return home

    def environment(self, workload, more=()):
        known = {name: value for name, value in os.environ.items() if not name.startswith("SAPPHIRE_")}
        own = {"SAPPHIRE_HOME": str(self.home(workload)), "SAPPHIRE_SECRETS": str(self.secrets / workload)}
        return known | self.variables | own | dict(more)

    def done(self, workload, *words, more=()):
        """What a container that ends by itself says."""
        done = subprocess.run(
            words, env=self.environment(workload, more), cwd=self.home(workload), capture_output=True, text=True,
            check=False, timeout=WITHIN_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, container, *words, workload=None, more=()):
        """Start a container of a workload."""
        workload = workload or container
        with (self.folder / f"{container}.log").open("ab") as log:
            self.running[container] = subprocess.Popen(
                words, env=self.environment(workload, more), cwd=self.home(workload), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def part(self, container, *words, workload=None):
        self.start(container, *SAPPHIRE, "part", *words, "--plan", str(self.file), workload=workload)

    def valkey(self):
        users = self.secrets / "valkey" / "bus-users.acl"
        self.start("valkey", *bus_command(self.plan.bus.port, self.home("valkey") / "run", users=users))

    def exchange(self):
        words = exchange_words(self.plan, home=self.home("exchange"), secrets=self.secrets / "exchange")
        self.start("exchange", str(engine_binary("exchange")), *words)

    def agent(self, name):
        """As its image does: an init container brings the release, the server starts by its environment alone."""
        workload, plan = f"agent-{name}", self.plan.agents[name]
        self.done(workload, *SAPPHIRE, "places", "watch", plan.release, "--once")
        variables = json.loads(
            self.done(workload, *SAPPHIRE, "part", "agent", "--agent", name, "--plan", str(self.file), "--json")
        )
        metrics = self.home(workload) / "metrics"
        metrics.mkdir()
        more = variables | {"BENTOML_DO_NOT_TRACK": "True", "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        more |= {"BENTOML_HOME": str(self.home(workload) / "bentoml"), "SAPPHIRE_PLACES_ALONE": "yes"}
        root = Path(__file__).parents[2]
        words = (sys.executable, "-m", "bentoml", "serve", "bentos.cpu.service:Cpu", "--host", "127.0.0.1")
        self.start(workload, *words, "--port", str(plan.port), "--working-dir", str(root), more=more)

    def engine(self, account):
        """An init container writes the settings; a side-car keeps the evidence current beside the engine."""
        workload = f"engine-{account}"
        settings = self.folder / f"{workload}.json"
        words = ("part", "service", "--account", account, "--plan", str(self.file), "--settings", str(settings))
        self.done(workload, *SAPPHIRE, *words)
        release = self.plan.agents[self.plan.accounts[account].agent].release
        self.start(f"{workload}-places", *SAPPHIRE, "places", "watch", release, workload=workload)
        self.start(workload, str(engine_binary("service")), "run", "--config", str(settings))
        return settings

    def pod(self, workload):
        """What a container of the workload is told."""
        return Pod(self.plan, self.home(workload), self.secrets / workload)

    def facts(self, address, path="/readyz"):
        """What a part says of itself."""
        return httpx.get(address.url() + path, trust_env=False, timeout=5).json()

    def until(self, there, what):
        """Wait for it; no container ends meanwhile."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            try:
                found = there()
            except httpx.HTTPError:
                found = None
            if found:
                return found
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} ended: {self.output(name)}"
            assert time.monotonic() < deadline, f"no {what} within {WITHIN_S:g} s: " + self.output(*self.running)
            time.sleep(0.1)

    def is_ready(self, address):
        return httpx.get(address.url() + "/readyz", trust_env=False, timeout=5).status_code == 200

    def output(self, *names):
        return "".join(f"\n--- {name}\n{(self.folder / f'{name}.log').read_text()[-1_500:]}" for name in names)

    def kill(self, name):
        """As a node that dies."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self):
        """End all, what others stand on last; exit codes by container."""
        codes = {}
        for is_ground in (False, True):
            ending = [name for name in self.running if (name in ("valkey", "exchange")) is is_ground]
            for name in ending:
                self.running[name].terminate()
            for name in ending:
                process = self.running.pop(name)
                try:
                    codes[name] = process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    codes[name] = process.wait()
        return codes
