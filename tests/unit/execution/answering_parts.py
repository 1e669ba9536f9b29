"""All other parts of a lock-step run in one small process: it answers every step on the bus, and can trade and die.

Words: address of the bus, interval (ns), address of the exchange, its key and secret, at which bars (from 1) to buy,
where it notes what it did, and (as JSON) what it does wrong.
"""

import hashlib
import hmac
import json
import sys
import time
import urllib.request
from pathlib import Path

from sapphire.domain.envelope import Envelope
from sapphire.domain.messages import AccountStateMessage, AdvancedMessage, Sent, SettledMessage
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import AccountStreams, EntryId, account_entry, end_of_bar, message_id, step_entry

OWN = AccountStreams("embedded", "paper")
BARS, SIGNALS = OWN.shared.bars("1m", ["BTC/USDT"]), OWN.signals("ab" * 32)
ACCOUNT, LOCKSTEP, SETTLED = OWN.states, OWN.lockstep, OWN.settled


def envelope(kind, producer, stream, entry, at_ns, *, causation=None):
    return Envelope(
        schema_id=kind.SCHEMA_ID,
        message_id=message_id(producer, stream, entry),
        producer=producer,
        sequence=entry.seq,
        event_time_ns=at_ns,
        publish_time_ns=time.time_ns(),
        trace_id=OWN.trace(at_ns),
        causation_id=causation,
    )


def settled(producer, stream, entry, close_ns, **more):
    at_ns = close_ns // 1_000_000 * 1_000_000
    causation = more.pop("causation", None)
    fields = {"consumed": (), "sent": (), "wake_at_ns": None} | more
    head = envelope(SettledMessage, producer, stream, entry, at_ns, causation=causation)
    return SettledMessage(envelope=head, bar_close_ns=at_ns, **fields)


def state(close_ns):
    entry = account_entry(close_ns)
    return AccountStateMessage(
        envelope=envelope(AccountStateMessage, "service", ACCOUNT, entry, close_ns),
        account="paper",
        bar_close_ns=close_ns,
        state="ACTIVE",
        quote="USDT",
        cash_quote_atoms=0,
        positions=(),
    )


def buy(url, key, secret, client_id):
    """At market; the exchange knows the same client order id again, so a repeat is refused and harmless."""
    with urllib.request.urlopen(f"{url}/api/v3/time") as answer:
        now_ms = json.load(answer)["serverTime"]
    query = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01&newClientOrderId={client_id}&timestamp={now_ms}"
    signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(
        f"{url}/api/v3/order?{query}&signature={signature}", method="POST", headers={"X-MBX-APIKEY": key}
    )
    with urllib.request.urlopen(request):
        pass


def main():
    bus_url, interval_ns, url, key, secret, bars, notes, faults = sys.argv[1:]
    bus, interval_ns, faults = Bus(bus_url), int(interval_ns), json.loads(faults)
    wanted = {int(bar) for bar in bars.split(",") if bar}
    last = bus.last(SETTLED)
    place = EntryId(last.id.ms, 1) if last else EntryId.BEGIN
    while True:
        for entry in bus.read(LOCKSTEP, place, block_ms=1_000):
            step = entry.message
            assert isinstance(step, AdvancedMessage)
            answer(bus, step, interval_ns, (url, key, secret), wanted, Path(notes), faults)
            place = entry.id


def answer(bus, step, interval_ns, venue, wanted, notes, faults):
    sent, wake_ns, close_ns, number = (), None, step.bar_close_ns, step.envelope.sequence
    with notes.open("a") as file:
        file.write(f"{step.now_ns} {close_ns or 0} {step.account_events}\n")
    if close_ns is not None:
        bar = (close_ns - faults["start_ns"]) // interval_ns
        if bar in wanted:
            buy(*venue, f"bar-{bar}")
            sent = (Sent(stream="orders", count=1),)
        if bar == faults.get("wake_after"):
            wake_ns = close_ns + 7_000_000_000
        if bar != faults.get("no_state"):
            bus.publish(ACCOUNT, account_entry(close_ns), state(close_ns))
        for producer, stream in (("collector", BARS), ("coordinator", SIGNALS)):
            if (bar, producer) != (faults.get("at"), faults.get("silent")):
                entry = end_of_bar(close_ns)
                bus.publish(stream, entry, settled(producer, stream, entry, close_ns))
    if faults.get("never_moves_on"):
        wake_ns = step.now_ns
    if number != faults.get("unsettled"):
        bus.publish(
            SETTLED,
            step_entry(number),
            settled("service", SETTLED, step_entry(number), step.now_ns, sent=sent, wake_at_ns=wake_ns,
                    causation=faults.get("answers", step.envelope.message_id)),
        )  # fmt: skip


main()
