"""The rendered pods of an account on one network: it trades, each pod is killed in turn, and nothing is lost.

`make test-pods` runs it, some six minutes on two cores, in the order of the file; numbers are printed, and kept in
$SAPPHIRE_HOME/pods/measured.json.
"""

import json
import os
import platform
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from books import require_same_balances, require_same_fills, require_same_orders
from measuring import Sampler, most_memory, table, write
from reaching import NAMES, REACHING
from rendered import CHART
from trading import SPEED

from sapphire.domain.workspace import home
from sapphire.execution.journal import replay_journal

pytestmark = pytest.mark.timeout(1_800)
FILLS = 40
VICTIMS = (
    "valkey", "exchange", "collector", "coordinator-paper", "agent-trend", "engine-paper", "trimmer-paper",
    "notices-paper", "postgresql", "mlflow",
)  # fmt: skip
TOO_LATE = -1021
"""The exchange's code for a request that is older than its window: 5 s of market time are 33 ms at this speed."""
ASIDE = ("trimmer-paper", "notices-paper", "postgresql", "mlflow")
"""Without these an account trades on."""
REACHED = ("open", "pathlib", "libc", "socket", "unix", "time", "stat")
"""What a process of the runner's image reaches for, and gets, where no worker holds it."""
ENDED = ("FILLED", "CANCELED", "EXPIRED", "REJECTED", "DENIED")
PROGRAM = """
import json, os, sys
from pathlib import Path
import numpy as np
from sapphire.agents import load_agent_source
from sapphire.agents.release import ReleaseCode
from sapphire.agents.worker import Worker
from sapphire.domain import Bars, Interval, Window
from sapphire.domain.clocks import from_ns

asked = json.load(sys.stdin)
text = asked["text"].format(secret="/var/run/secrets/sapphire/bus-password", parent=os.getpid(), far="/tmp")
interval, rows = Interval("5m"), 12
close = 100.0 + np.arange(2.0 * rows).reshape(rows, 2)
bars = Bars(symbols=("BTC/USDT", "ETH/USDT"), interval=interval, open=close, high=close, low=close, close=close,
            open_time_ns=interval.ns * (1_000_000 + np.arange(rows, dtype=np.int64)), volume=np.ones((rows, 2)),
            listed=np.ones((rows, 2), dtype=np.bool_)).validate()
window = Window(bars.rows(9, 11), from_ns(int(bars.close_time_ns[10])))


def reach(name):
    return load_agent_source(text, Path("/tmp/reaching.py"))(reach=name)


def inside(name):
    worker = Worker(ReleaseCode.of(reach(name)), bars.symbols, bars.interval, label=name)
    try:
        worker.learn({})
        return worker.isolation, [view.mean_bps for view in worker.views(window)]
    finally:
        worker.close()


print(json.dumps({
    "outside": {name: reach(name).views(window)[0].mean_bps for name in asked["outside"]},
    "inside": {name: inside(name) for name in asked["inside"]},
}))
"""


@pytest.fixture(scope="module")
def sampler(trading):
    """Looks at what the containers use, from here on."""
    running = Sampler(trading.node)
    running.start()
    return running


@pytest.fixture(scope="module")
def recoveries():
    """What the kills came to, by pod."""
    return {}


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_each_container_is_held_as_the_chart_says(trading):
    for name, pod in trading.node.pods.items():
        for each in pod.running:
            about, where = status(each.pid), (name, each.container.name)
            assert about["Uid"].split() == about["Gid"].split() == ["10001"] * 4, where
            assert {about[kind] for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}, where
            assert (about["NoNewPrivs"], about["Seccomp"]) == ("1", "2"), where
            mounts = [line.split() for line in Path(f"/proc/{each.pid}/mountinfo").read_text().splitlines()]
            root = next(mount for mount in mounts if mount[4] == "/")
            assert "ro" in root[5].split(","), where
            option = each.container.options
            assert most_memory(each.pid, each.id) == int(option[option.index("--memory") + 1]), where


def test_the_account_trades_and_nothing_is_refused(trading, sampler):
    trading.node.until(lambda: (trading.fills() or 0) >= FILLS, f"{FILLS} fills")
    state = trading.service.state()
    assert (state["trading"], state["refused_releases"]) == ("ACTIVE", [])
    print(f"\nready after: {json.dumps({name: round(pod.began_s, 1) for name, pod in trading.node.pods.items()})}")


def test_helm_test_makes_a_paper_orders_round_trip(trading):
    codes, log = trading.node.once(trading.check)
    assert codes == [0], log
    print(log)


def test_an_agent_in_the_runners_image_reaches_nothing(trading):
    pod = trading.node.pods["agent-trend"]
    asked = json.dumps({"text": REACHING, "outside": REACHED, "inside": NAMES}).encode()
    output = pod.execute("agent", "python", "-c", PROGRAM, stdin=asked, folder="/opt/bentos/cpu/src")
    found = json.loads(output.splitlines()[-1])
    assert all(value > 0 for value in found["outside"].values()), found["outside"]
    assert found["inside"] == {name: ["enforced", [0.0, 0.0]] for name in NAMES}


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_pod_comes_back_and_the_account_trades_on(trading, sampler, recoveries, victim):
    node, pod = trading.node, trading.node.pods[victim]
    restarts = {name: each.restarts for name, each in node.pods.items()}
    fills = trading.fills()
    killed = pod.kill()
    node.until(lambda: all(each.restart_at is None and each.began > killed for each in pod.running), "restart")
    fills, closes = max(trading.fills() or 0, fills), len(trading.decided())
    seconds = {}

    def looked():
        for what, there in (
            ("ready", pod.is_ready),
            ("decided", len(trading.decided()) > closes),
            ("filled", (trading.fills() or 0) > fills),
        ):
            if there:
                seconds.setdefault(what, time.monotonic() - killed)
        return len(seconds) == 3

    node.until(looked, f"trading after {victim} was killed", every_s=0.1)
    recoveries[victim] = seconds
    others = {name: each.restarts - restarts[name] for name, each in node.pods.items() if name != victim}
    print(f"\n{victim}: " + ", ".join(f"{what} after {value:.1f} s" for what, value in seconds.items()))
    assert not any(others.values()), f"others went with it: {others}"
    if victim in ASIDE:
        assert trading.service.state()["trading"] == "ACTIVE"


def at_rest(trading):
    """The account once nothing is open or on its way, its engine halted."""
    trading.service.halt("its books are compared", by="the test")

    def still():
        state = trading.exchange(full=True)
        account = state["accounts"][0]
        if state["travelling"] or account["open_orders"]:
            return None
        on_its_way = [order for order in trading.service.orders(limit=100_000) if order["state"] not in ENDED]
        return None if on_its_way else account

    return trading.node.until(still, "account at rest")


def test_nothing_was_lost_or_doubled(trading):
    account = at_rest(trading)
    halts = trading.node.until(
        lambda: [notice for notice in trading.notices() if notice["kind"] == "halt"], "notice of the halt"
    )
    assert "its books are compared" in halts[-1]["text"]
    assert len({notice["id"] for notice in trading.notices()}) == len(trading.notices()), "each is told once"
    service = trading.service
    codes = Counter(order["denied"] or order["venue_code"] for order in service.orders(limit=100_000))
    print(f"\nnot traded, by code: { ({code: count for code, count in codes.items() if code}) }")
    require_same_orders(service.orders(limit=100_000), account["history"], refused=(TOO_LATE,))
    require_same_fills(service.fills(limit=100_000), account["history"])
    require_same_balances(service.positions(), account["balances"])
    require_same_fills([row for row in trading.journal() if row["kind"] == "fill"], account["history"])
    closes = trading.decided()
    assert len(closes) == len(set(closes)), "no bar is decided twice"
    replay = replay_journal(trading.volume("engine-paper", "data") / "account")
    assert replay.identical, replay.facts
    service.resume("its books are the exchange's", by="the test")
    before = trading.fills()
    trading.node.until(lambda: (trading.fills() or 0) > before, "fill after the halt")


def test_an_engine_without_its_volume_starts_anew_from_the_venue(trading, recoveries):
    node = trading.node
    before = trading.fills()
    killed = node.pods["engine-paper"].kill()
    node.pods.pop("engine-paper").remove(claims=True)
    assert not trading.volume("engine-paper", "data").exists()
    node.until(lambda: not trading.exchange()["travelling"], "last order of the engine that is gone")
    old = {order["client_order_id"] for order in trading.account["history"]}
    node.play(trading.pods["engine-paper"])
    node.ready("engine-paper")
    seconds = {"ready": time.monotonic() - killed}
    before = trading.fills()
    node.until(lambda: (trading.fills() or 0) >= before + 3, "fills of the engine that is new")
    seconds["filled"] = time.monotonic() - killed
    recoveries["engine-paper and its volume"] = seconds
    account = at_rest(trading)
    service = trading.service
    new = [order for order in account["history"] if order["client_order_id"] not in old]
    ours = [order for order in service.orders(limit=100_000) if order["order"] not in old]
    require_same_orders(ours, new, refused=(TOO_LATE,))
    require_same_fills([fill for fill in service.fills(limit=100_000) if fill["order"] not in old], new)
    require_same_balances(service.positions(), account["balances"])
    assert len({order["client_order_id"] for order in account["history"]}) == len(account["history"])


def test_what_the_containers_use_is_measured(trading, sampler, recoveries):
    rows = sampler.end()
    seconds = time.monotonic() - sampler.began
    requests = yaml.safe_load((CHART / "values.yaml").read_text())["global"]["resources"]
    print(f"\n{table(rows, requests)}")
    print(f"\n{'killed':<30}{'ready':>9}{'decided':>9}{'filled':>9}")
    for victim, found in recoveries.items():
        print(
            f"{victim:<30}"
            + "".join(f"{found.get(key, float('nan')):>8.1f}s" for key in ("ready", "decided", "filled"))
        )
    about = {
        "measured": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[2]:.0f}",
        "speed": SPEED,
        "seconds": round(seconds),
        "recovery_s": {
            name: {key: round(value, 1) for key, value in found.items()} for name, found in recoveries.items()
        },
    }
    path = home() / "pods" / "measured.json"
    write(path, about, rows)
    print(f"\nin {path}; the requests of k8s/trading-system/values.yaml follow tests/deploy/pods/measured.json")
    for name, pod in trading.node.pods.items():
        assert trading.node.volumes.over_full(pod.pod) == {}, name
        causes = {why for each in pod.running for _, _, why in each.ends}
        assert causes <= {"ended"}, f"{name} was killed for its probes: {causes}"


def test_all_pods_end_in_order_within_their_grace(trading):
    codes = {}
    for name in reversed(trading.pods):
        pod = trading.node.pods[name]
        began = time.monotonic()
        codes |= {f"{name}/{container}": code for container, code in pod.stop().items()}
        assert time.monotonic() - began < pod.pod.grace_s + 15, name
    assert {name: code for name, code in codes.items() if code not in (0, 143)} == {}
