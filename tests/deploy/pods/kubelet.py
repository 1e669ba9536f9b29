"""A kubelet by podman: pods on one network, their containers begun in order, asked, restarted and stopped."""

import contextlib
import json
import os
import select
import subprocess
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

TURN_S = 0.2
BACK_OFF_S, LONGEST_BACK_OFF_S = 10.0, 300.0
"""A kubelet's: the first restart is at once, the next ones wait, each twice as long."""
PODMAN_S = 8.0
"""How much longer a command in a container may take than a kubelet would wait: podman itself takes its time."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Running:
    """A container of a pod that is meant to run.

    Parameters
    ----------
    ends : moments (monotonic), exit codes and causes of its ends.
    """

    container: object
    id: str
    pid: int = 0
    watched: int = -1
    has_started: bool = False
    is_ready: bool = False
    restart_at: float | None = None
    began: float = 0.0
    asked: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)
    ends: list = field(default_factory=list)

    def has_ended(self):
        return self.pid == 0 or bool(select.select([self.watched], [], [], 0)[0])


class RunningPod(threading.Thread):
    """A pod, and the thread that keeps it.

    Parameters
    ----------
    podman : its command line.
    pod : what it is.
    network : the name of the network that it is on.
    volumes : where its volumes are made.
    prefix : of its name.
    """

    def __init__(self, podman, pod, network, volumes, prefix):
        super().__init__(name=pod.name, daemon=True)
        self.podman, self.pod, self.volumes = podman, pod, volumes
        self._network, self._prefix = network, prefix
        self._ending = threading.Event()
        self.running, self.made = [], []
        self.id = self.address = ""
        self.error = None
        self.began_s = None

    @property
    def is_ready(self):
        """Whether all its containers are, as its Service would say."""
        return len(self.running) > 0 and self.began_s is not None and all(each.is_ready for each in self.running)

    @property
    def restarts(self):
        return sum(len(each.ends) for each in self.running)

    def container(self, name):
        return next(each for each in self.running if each.container.name == name)

    def run(self):
        try:
            self._begin()
            while not self._ending.is_set():
                for each in self.running:
                    self._keep(each)
                self._ending.wait(TURN_S)
        except BaseException as error:
            self.error = error
            raise

    def kill(self):
        """Kill every container at once; back when they are dead. The kubelet starts them again."""
        alive = [each for each in self.running if not each.has_ended()]
        before = {each.id: len(each.ends) for each in alive}
        now = time.monotonic()
        self.podman.run("kill", "--signal", "KILL", *(each.id for each in alive))
        while any(len(each.ends) == before[each.id] for each in alive):
            self._require_sound()
            assert time.monotonic() - now < 60, f"{self.pod.name} does not die"
            time.sleep(0.02)
        return now

    def stop(self):
        """End it as a node does: preStop, SIGTERM, the grace, SIGKILL; sidecars last. Exit codes by container."""
        self._end_keeping()
        deadline = time.monotonic() + self.pod.grace_s
        for each in self.running[::-1]:
            if each.has_ended():
                continue
            container = each.container
            time.sleep(container.stop_sleep_s)
            if container.stop_command:
                self._ask(each, container.stop_command, self.pod.grace_s)
            left = max(1, int(deadline - time.monotonic()))
            self.podman.run("stop", "--time", str(left), each.id)
        return {each.container.name: self._exit_code(each) for each in self.running}

    def remove(self, *, claims=False):
        """Remove it and what goes with it, on the spot."""
        self._end_keeping()
        if self.id:
            self.podman.run("pod", "rm", "--force", "--time", "0", self.id)
            self.id = ""
        self.volumes.forget(self.pod, claims=claims)

    def logs(self, tail=2_000):
        output = ""
        for each in self.made:
            done = subprocess.run(
                ("podman", "logs", each.id), env=self.podman.environment, capture_output=True, check=False
            )
            output += f"\n--- {self.pod.name}/{each.container.name}\n{(done.stdout + done.stderr).decode()[-tail:]}"
        return output

    def execute(self, name, *words, stdin, folder):
        """What a command says that runs in a folder of a container."""
        options = ("--interactive", "--workdir", folder)
        return self.podman.run("exec", *options, self.container(name).id, *words, stdin=stdin)

    def _require_sound(self):
        if self.error is not None:
            raise AssertionError(f"{self.pod.name} is kept by nobody: {self.error!r}") from self.error

    def _end_keeping(self):
        self._ending.set()
        if self.is_alive():
            self.join()

    def once(self):
        """Run its containers, each to its end; their exit codes."""
        self._make()
        self.made = [self._create(container) for container in self.pod.containers]
        for each in self.made:
            self.podman.run("start", each.id)
        return [int(self.podman.run("wait", each.id)) for each in self.made]

    def _make(self):
        self.volumes.make(self.pod)
        network = ":".join(filter(None, (self._network, ",".join(f"alias={host}" for host in self.pod.hosts))))
        words = ("--hostname", f"{self.pod.name}-0", "--network", network)
        self.id = self.podman.run("pod", "create", "--name", f"{self._prefix}-{self.pod.name}", *words).strip()

    def _begin(self):
        now = time.monotonic()
        self._make()
        for container in (*self.pod.first, *self.pod.containers):
            if self._ending.is_set():
                return
            each = self._create(container)
            self.made.append(each)
            if container.restarts:
                self.running.append(each)
                self._start(each)
            else:
                self._run_to_its_end(each)
        infra = json.loads(self.podman.run("pod", "inspect", self.id))["InfraContainerID"]
        networks = json.loads(self.podman.run("container", "inspect", infra))[0]["NetworkSettings"]["Networks"]
        self.address = networks[self._network]["IPAddress"]
        self.began_s = time.monotonic() - now

    def _create(self, container):
        mounts = []
        for mount in container.mounts:
            path = self.volumes.path(self.pod, mount.volume)
            mounts += ["--volume", f"{path}:{mount.path}{':ro' if mount.read_only else ''}"]
        name = f"{self._prefix}-{self.pod.name}-{container.name}"
        words = ("create", "--pod", self.id, "--name", name, *container.options, *mounts)
        return Running(container, self.podman.run(*words, container.image, *container.words).strip())

    def _run_to_its_end(self, each):
        """An init container: again, with a kubelet's patience, until it ends well."""
        wait = BACK_OFF_S
        while not self._ending.is_set():
            self.running.append(each)
            self._start(each)
            while not each.has_ended() and not self._ending.is_set():
                self._ending.wait(TURN_S)
            self.running.remove(each)
            if self._ending.is_set() or self._exit_code(each) == 0:
                return
            self._ending.wait(wait)
            wait = min(wait * 2, LONGEST_BACK_OFF_S)

    def _start(self, each):
        self.podman.run("start", each.id)
        each.pid = json.loads(self.podman.run("container", "inspect", each.id))[0]["State"]["Pid"]
        each.began = time.monotonic()
        if each.watched >= 0:
            os.close(each.watched)
            each.watched = -1
        try:
            each.watched = os.pidfd_open(each.pid) if each.pid else -1
        except ProcessLookupError:
            each.pid = 0
        each.restart_at, each.failures, each.asked = None, {}, {}
        each.has_started = each.container.startup is None
        each.is_ready = each.has_started and each.container.readiness is None

    def _exit_code(self, each):
        return int(json.loads(self.podman.run("container", "inspect", each.id))[0]["State"]["ExitCode"])

    def _keep(self, each):
        now = time.monotonic()
        if each.restart_at is not None:
            if now >= each.restart_at:
                self._start(each)
            return
        if each.has_ended():
            each.is_ready = False
            each.ends.append((now, self._exit_code(each), each.failures.pop("why", "ended")))
            again = len(each.ends) - 1
            each.restart_at = now + (min(BACK_OFF_S * 2 ** (again - 1), LONGEST_BACK_OFF_S) if again else 0.0)
            return
        container = each.container
        if not each.has_started:
            self._probe(each, "startup", container.startup)
            return
        self._probe(each, "liveness", container.liveness)
        self._probe(each, "readiness", container.readiness)

    def _probe(self, each, kind, probe):
        now = time.monotonic()
        if probe is None or now - each.asked.get(kind, -1e9) < probe.every_s:
            return
        each.asked[kind] = now
        if self._answers(each, probe):
            each.failures[kind] = 0
            each.has_started = True
            if kind == "readiness" or (kind == "startup" and each.container.readiness is None):
                each.is_ready = True
            return
        each.failures[kind] = each.failures.get(kind, 0) + 1
        if each.failures[kind] < probe.failures:
            return
        if kind == "readiness":
            each.is_ready = False
            return
        each.failures["why"] = kind
        self.podman.run("stop", "--time", str(int(self.pod.grace_s)), each.id)

    def _answers(self, each, probe):
        if probe.command:
            return self._ask(each, probe.command, probe.within_s + PODMAN_S)
        try:
            with _OPENER.open(f"http://{self.address}:{probe.port}{probe.path}", timeout=probe.within_s) as answer:
                return 200 <= answer.status < 400
        except (OSError, urllib.error.URLError, ValueError):
            return False

    def _ask(self, each, command, within_s):
        words = ("podman", "exec", each.id, *command)
        try:
            done = subprocess.run(
                words, env=self.podman.environment, capture_output=True, timeout=within_s, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


class Node:
    """This machine as a node: a network of its own, and the pods on it.

    Parameters
    ----------
    podman : its command line.
    volumes : where volumes are made.
    """

    def __init__(self, podman, volumes):
        self.podman, self.volumes = podman, volumes
        self.prefix = f"sapphire-pods-{os.getpid()}"
        self.network = ""
        self.pods = {}
        self._others = []

    def __enter__(self):
        # internal: no way out of it, and nothing outside but this machine leads into it
        self.podman.run("network", "create", "--internal", self.prefix)
        self.network = self.prefix
        return self

    def __exit__(self, *_):
        with contextlib.ExitStack() as stack:  # the rest is removed all the same where one thing is not
            stack.callback(self.volumes.close)
            stack.callback(self.podman.succeeds, "network", "rm", "--force", self.network)
            for container in self._others:
                stack.callback(self.podman.succeeds, "rm", "--force", "--time", "0", container)
            for pod in self.pods.values():
                stack.callback(pod.remove, claims=True)

    def play(self, pod):
        """Begin a pod; its thread keeps it from now on."""
        played = RunningPod(self.podman, pod, self.network, self.volumes, self.prefix)
        self.pods[pod.name] = played
        played.start()
        return played

    def once(self, pod):
        """Exit codes and log of a pod that runs to its end, and is not tried again."""
        played = RunningPod(self.podman, pod, self.network, self.volumes, self.prefix)
        try:
            return played.once(), played.logs()
        finally:
            played.remove(claims=True)

    def server(self, image, alias, *words, options=()):
        """Run a container that is none of the chart's; gives its address."""
        made = ("run", "--detach", "--network", f"{self.network}:alias={alias}", "--name", f"{self.prefix}-{alias}")
        container = self.podman.run(*made, *options, image, *words).strip()
        self._others.append(container)
        networks = json.loads(self.podman.run("container", "inspect", container))[0]["NetworkSettings"]["Networks"]
        return networks[self.network]["IPAddress"]

    def log(self, alias):
        """What such a container has printed."""
        return self.podman.run("logs", f"{self.prefix}-{alias}")

    def until(self, there, what, *, within_s=300.0, every_s=0.3):
        """What it gives, once it gives something; every pod is kept meanwhile."""
        deadline = time.monotonic() + within_s
        while True:
            for pod in self.pods.values():
                pod._require_sound()
            found = there()
            if found:
                return found
            assert time.monotonic() < deadline, f"no {what} within {within_s:g} s: {self.output()}"
            time.sleep(every_s)

    def ready(self, *names, within_s=300.0):
        """Wait until pods are ready."""
        self.until(
            lambda: all(self.pods[name].is_ready for name in names or self.pods),
            f"readiness of {', '.join(name for name in names or self.pods)}",
            within_s=within_s,
        )

    def output(self):
        state = {name: "ready" if pod.is_ready else "not ready" for name, pod in self.pods.items()}
        return f"{state}" + "".join(pod.logs() for pod in self.pods.values() if not pod.is_ready or pod.restarts)
