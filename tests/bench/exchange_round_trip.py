"""How long an order takes to the embedded exchange and back, by REST and over the socket.

Run: python tests/bench/exchange_round_trip.py [--orders N]. One client, one order at a time, over loopback: LIMIT
orders that stand, each answered before the next is sent, in bursts of fifty that are cancelled outside the clock. The
clock runs from before the request is signed until its answer has been read; parsing the answer is outside it. The
exchange keeps a journal and stands in lock-step, so an order is signed, checked, journalled and answered; matching is
not in it. What dominates is printed beside: the same round trip of a `ping`, which reaches no desk.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import platform
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from sapphire.execution import Exchange, ExchangeAddress

BURST = 50
Trip = Callable[[int], Awaitable[bytes | str]]


def signature(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def stamp() -> int:
    return time.time_ns() // 1_000_000


async def timed(trips: int, trip: Trip, between: Callable[[], Awaitable[Any]], market: Exchange) -> list[int]:
    """Nanoseconds of each round trip; market time moves between bursts, so that no limit is met."""
    took = []
    for number in range(trips):
        if number % BURST == 0:
            await between()
            market.control.advance_fully(market.control.now_ns() + 60_000_000_000)
        start = time.perf_counter_ns()
        answer = await trip(number)
        took.append(time.perf_counter_ns() - start)
        if number < BURST and "error" in json.loads(answer):
            raise RuntimeError(answer)
    return took[BURST:]


def report(name: str, took: list[int]) -> None:
    took = sorted(took)
    at = {percent: took[len(took) * percent // 100] / 1000 for percent in (50, 90, 99)}
    print(f"{name:<28} n={len(took):<6} p50 {at[50]:7.0f} us   p90 {at[90]:7.0f} us   p99 {at[99]:7.0f} us")


def rest_order(session: aiohttp.ClientSession, address: ExchangeAddress) -> Trip:
    async def trip(number: int) -> bytes:
        body = (
            f"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price={10_000 + number % 100}"
            f"&timestamp={stamp()}"
        )
        body += "&signature=" + signature(address.api_secret, body)
        headers = {"X-MBX-APIKEY": address.api_key, "Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(f"{address.url}/api/v3/order", data=body, headers=headers) as response:
            return await response.read()

    return trip


def socket_order(socket: aiohttp.ClientWebSocketResponse, address: ExchangeAddress) -> Trip:
    async def trip(number: int) -> str:
        params: dict[str, Any] = {
            "apiKey": address.api_key,
            "price": str(10_000 + number % 100),
            "quantity": "0.001",
            "side": "BUY",
            "symbol": "BTCUSDT",
            "timeInForce": "GTC",
            "timestamp": stamp(),
            "type": "LIMIT",
        }
        payload = "&".join(f"{name}={value}" for name, value in params.items())
        params["signature"] = signature(address.api_secret, payload)
        await socket.send_str(json.dumps({"id": number, "method": "order.place", "params": params}))
        return await socket.receive_str()

    return trip


async def measure(orders: int, journal: Path) -> None:
    with Exchange(seed=7, lockstep=True, latency_ms=(0, 0), journal=journal) as market:
        address = market.address
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{address.ws_url}/ws-api/v3") as socket:

            async def nothing() -> None:
                return None

            async def clear() -> None:
                query = f"symbol=BTCUSDT&timestamp={stamp()}"
                query += "&signature=" + signature(address.api_secret, query)
                headers = {"X-MBX-APIKEY": address.api_key}
                async with session.delete(f"{address.url}/api/v3/openOrders?{query}", headers=headers) as response:
                    await response.read()

            async def rest_ping(_: int) -> bytes:
                async with session.get(f"{address.url}/api/v3/ping") as response:
                    return await response.read()

            async def socket_ping(number: int) -> str:
                await socket.send_str(json.dumps({"id": number, "method": "ping"}))
                return await socket.receive_str()

            report("REST ping", await timed(orders, rest_ping, nothing, market))
            report("REST order", await timed(orders, rest_order(session, address), clear, market))
            report("socket ping", await timed(orders, socket_ping, nothing, market))
            report("socket order", await timed(orders, socket_order(socket, address), clear, market))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=5_000)
    orders = parser.parse_args().orders
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}")
    with TemporaryDirectory() as journal:
        asyncio.run(measure(orders + BURST, Path(journal)))


if __name__ == "__main__":
    main()
