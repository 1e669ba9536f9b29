"""A stack whose permit was closed while it was down, and whose parts die after that, leads what it held to its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from sapphire.domain.errors import PermitClosed
from sapphire.domain.messages import HeartbeatMessage
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described, permit_now
from sapphire.stack.stack import Stack, run_bars
from sapphire.telemetry.streams import EntryId, VenueStreams

START = "2025-03-07T00:00:00Z"


def plan_of(home: Path, digest: str, run: Path) -> Plan:
    release, manifest = described(home, digest, run=RunFolder(run))
    return Plan(
        run=run,
        home=home,
        release=release,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=Market(7, None, START),
        funds={"USDT": "20000"},
    )


def positions(stack: Stack) -> dict[str, int]:
    return {row["symbol"]: int(row["lots"]) for row in stack.service.positions()["positions"]}


def decisions(stack: Stack) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stack.folder.decisions.read_bytes().splitlines()]


def readyz(stack: Stack) -> httpx.Response:
    """What the coordinator answers; its address is in its heartbeats."""
    messages = [
        entry.message for entry in stack.bus().read(VenueStreams("embedded").heartbeats, EntryId.BEGIN, count=100_000)
    ]
    beats = [each for each in messages if isinstance(each, HeartbeatMessage)]
    address = next(beat.address for beat in reversed(beats) if beat.envelope.producer == "coordinator:paper")
    return httpx.get(f"{address}/readyz", trust_env=False)


def kill(stack: Stack, name: str) -> None:
    pid, restarts = stack.parts[name].pid, stack.parts[name].restarts
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until_s = time.monotonic() + 120
    while stack.parts[name].restarts == restarts and time.monotonic() < until_s:
        time.sleep(0.01)
    stack.wait_until_ready(name, within_s=240)


def drive_until(stack: Stack, done: Callable[[dict[str, int]], bool]) -> None:
    for _ in range(30):
        if done(positions(stack)):
            return
        run_bars(stack, 1)
    raise AssertionError(positions(stack))


def test_a_stack_goes_on_by_the_rule_where_its_permit_was_closed_while_it_was_down(
    restless: tuple[Path, str], sign_permit: Callable[..., object], tmp_path: Path
) -> None:
    home, run, digest = tmp_path / "home", tmp_path / "run", restless[1]
    shutil.copytree(restless[0], home)
    with Stack(plan_of(home, digest, run)) as stack:
        drive_until(stack, lambda lots: any(lots.values()))
        run_bars(stack, 1)
        before = positions(stack)
        assert any(before.values())
    sign_permit(home, digest, name="restless", passed=False)
    for elsewhere in (tmp_path / "another", None):
        with pytest.raises(PermitClosed, match="does not permit paper"):
            described(home, digest, run=None if elsewhere is None else RunFolder(elsewhere))
    assert permit_now(home, digest, "paper")["rule"] == "hold for 3 bars, reduce over 3 bars, then flat"

    with Stack(plan_of(home, digest, run)) as stack:
        answer = readyz(stack)
        assert answer.status_code == 503
        assert "does not permit paper" in answer.json()["refusal"]
        most = positions(stack)
        for bar, victim in enumerate(("bento", "service", "coordinator", *[None] * 9)):
            if victim is not None:
                kill(stack, victim)
            run_bars(stack, 1)
            now = positions(stack)
            assert all(lots <= most[symbol] for symbol, lots in now.items()), (bar, most, now)
            most = now
        run_bars(stack, 1)
        assert not any(positions(stack).values())
        closed = [line for line in decisions(stack) if line["reason"]]
        assert {line["reason"]["code"] for line in closed} == {"views_refused"}
        assert len(closed) == 13
        assert not any(line["views"] for line in closed)
        assert readyz(stack).status_code == 503
        assert {name: part.restarts for name, part in stack.parts.items() if part.restarts} == {
            "bento": 1, "service": 1, "coordinator": 1,
        }  # fmt: skip
    with pytest.raises(PermitClosed, match="does not permit paper"):
        described(home, digest, run=RunFolder(run))
