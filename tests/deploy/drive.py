"""One run in lock-step, in a process of its own: `python drive.py SETTINGS`, a JSON file; what came of it on stdout.

The process is on the host that keeps the stack; each part runs on the host that `hosts` names for it, if it names one.
"""

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sapphire.execution.journal import replay_journal
from sapphire.stack.network import Network
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described
from sapphire.stack.stack import Stack, run_bars


def drive(settings):
    """What the exchange and the coordinator have of the run."""
    home, folder = Path(settings["home"]), Path(settings["run"])
    release, manifest = described(home, settings["release"])
    words = settings["words"]
    plan = Plan(
        run=folder,
        home=home,
        release=release,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=Market(settings["seed"], None, settings["start"]),
        latency_ms=(5, 250),
        funds={"USDT": "20000"},
        network=Network(settings["bind"], None, settings["hosts"]),
    )

    def placed(part):
        return replace(part, command=(*words[part.name], *part.command)) if part.name in words else part

    with Stack(plan, placed=placed) as stack:
        driven = run_bars(stack, settings["bars"], rest=timedelta(seconds=60))
        exchange = stack.control.state(full=True)
        return {
            "bars": driven.bars,
            "addresses": {name: part.address for name, part in stack.parts.items()},
            "restarts": sum(part.restarts for part in stack.parts.values()),
            "account": exchange["accounts"][0],
            "now_ns": exchange["now_ns"],
            "decisions": [json.loads(line) for line in stack.folder.decisions.read_bytes().splitlines()],
            "replayed": replay_journal(stack.folder.account).identical,
        }


if __name__ == "__main__":
    json.dump(drive(json.loads(Path(sys.argv[1]).read_text())), sys.stdout)
