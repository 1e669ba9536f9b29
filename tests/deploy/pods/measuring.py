"""What containers use while they run: memory that cannot be taken from them, and processor time."""

import json
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

CGROUPS = Path("/sys/fs/cgroup")
EVERY_S, SPAN_S, START_S = 0.5, 5.0, 10.0
"""How often is looked, over how long a stretch processor time is counted, and how long what serves may take to start:
that takes all there is of a processor, which no limit keeps from it, and is not what is asked for."""
ROWS = {"agent": "runner-cpu", "settings": "copy", "release": "copy"}
"""Rows of global.resources in the chart's values that are not called as the container is."""
MEBIBYTE = 1 << 20


class Sampler(threading.Thread):
    """Looks at every container of a node's pods until it is told to end."""

    def __init__(self, node):
        super().__init__(name="sampler", daemon=True)
        self._node, self._ending = node, threading.Event()
        self._memory, self._processor = defaultdict(list), defaultdict(list)
        self._marks, self._last = {}, {}
        self.began = time.monotonic()

    def run(self):
        while not self._ending.wait(EVERY_S):
            for pod in list(self._node.pods.values()):
                for each in list(pod.running):
                    self._look(ROWS.get(each.container.name, each.container.name), each)

    def end(self):
        """What was seen, by row of the chart's resources."""
        self._ending.set()
        self.join()
        for key, (row, now, seconds) in self._last.items():
            began, before, is_first = self._marks[key]
            if is_first and now - began >= 1.0:  # it ended before a stretch was over
                self._processor[row].append(1000 * (seconds - before) / (now - began))
        return {
            row: {
                "cpu_m": round(float(np.percentile(self._processor[row] or [0.0], 95)), 1),
                "memory_mib": round(float(np.percentile(memory, 95)) / MEBIBYTE, 1),
                "peak_memory_mib": round(max(memory) / MEBIBYTE, 1),
                "looks": len(memory),
            }
            for row, memory in sorted(self._memory.items())
        }

    def _look(self, row, each):
        try:
            memory, seconds = used(each.pid, each.id)
        except (OSError, KeyError, ValueError):
            return  # it is ending
        self._memory[row].append(memory)
        now, key = time.monotonic(), (each.id, each.pid)
        if each.container.restarts and now - each.began < START_S:
            return
        began, before, _ = self._marks.setdefault(key, (now, seconds, True))
        self._last[key] = (row, now, seconds)
        if now - began >= SPAN_S:
            self._processor[row].append(1000 * (seconds - before) / (now - began))
            self._marks[key] = (now, seconds, False)


def used(pid, container):
    """Bytes of the working set of a container, as a kubelet counts them, and seconds of its processor time so far."""
    paths = groups(pid, container)
    if "memory" in paths:
        memory, processor = CGROUPS / f"memory{paths['memory']}", CGROUPS / f"cpuacct{paths['cpuacct']}"
        held = int((memory / "memory.usage_in_bytes").read_text())
        idle = _table(memory / "memory.stat")["total_inactive_file"]
        return held - idle, int((processor / "cpuacct.usage").read_text()) / 1e9
    folder = CGROUPS / paths[""].lstrip("/")
    held, idle = int((folder / "memory.current").read_text()), _table(folder / "memory.stat")["inactive_file"]
    return held - idle, _table(folder / "cpu.stat")["usage_usec"] / 1e6


def groups(pid, container):
    """Control groups of a container's first process; one that has ended is in the machine's, which are nobody's."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    paths = {name: path for _, names, path in lines for name in names.split(",")}
    own = paths.get("memory", paths.get(""))
    if container not in own:
        raise ProcessLookupError(f"process {pid} of {container} is in {own}")
    return paths


def most_memory(pid, container):
    """Bytes that a container may use."""
    paths = groups(pid, container)
    if "memory" in paths:
        return int((CGROUPS / f"memory{paths['memory']}" / "memory.limit_in_bytes").read_text())
    return int((CGROUPS / paths[""].lstrip("/") / "memory.max").read_text())


def write(path, about, rows):
    """Keep what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


def table(rows, requests):
    """The numbers beside what the chart asks for, for people."""
    head = f"{'container':<18}{'cpu p95':>9}{'twice':>8}{'asked':>8}{'memory p95':>13}{'twice':>8}{'asked':>8}"
    lines = [head]
    for row, seen in rows.items():
        asked = requests.get(row, {})
        lines.append(
            f"{row:<18}{seen['cpu_m']:>8.0f}m{2 * seen['cpu_m']:>7.0f}m{asked.get('cpu', '-')!s:>8}"
            f"{seen['memory_mib']:>10.0f}MiB{2 * seen['memory_mib']:>6.0f}Mi{asked.get('memory', '-')!s:>8}"
        )
    return "\n".join(lines)


def _table(path):
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
