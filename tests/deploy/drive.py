"""One run in lock-step, in a process of its own: `python drive.py SETTINGS`, a JSON file; what came of it on stdout.

The process is on the host that keeps the stack; each part runs on the host that `words` leads to, if there are words
for it. With `servers` the release is shared by a place on two more hosts, and each part has a state folder of its own,
empty at first: `mount` shows it where the keeper's is.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from place_servers import postgres_server, s3_server

from sapphire.execution.journal import replay_journal
from sapphire.stack.network import Network
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described
from sapphire.stack.stack import Stack, run_bars

SAPPHIRE = (sys.executable, "-m", "sapphire.cli")
MOUNT = 'mount --bind "$0" "$SAPPHIRE_HOME" && mkdir -p "$PWD" && cd "$PWD" && exec "$@"'
BRING = f'{" ".join(SAPPHIRE)} places watch "$0" --once >&2 && exec "$@"'
"""What an init container of the engine would do: a coordinator and a bento bring their release themselves."""


def share(settings, folder, entered):
    """Put the release into a place on hosts of its own; every process from here on knows where it is."""
    servers = settings["servers"]
    for host, start in (("database", postgres_server), ("bucket", s3_server)):
        address, words = servers[host]
        server = entered.enter_context(start(folder / host, address, wrap=words))
        os.environ.update({name: value.replace(address, host) for name, value in server.place_settings().items()})
    os.environ["SAPPHIRE_HOME"] = settings["home"]
    subprocess.run([*SAPPHIRE, "places", "send"], check=True, stdout=sys.stderr)


def placed_by(settings, folder):
    """Where each part runs."""
    words, release = settings["words"], settings["release"]

    def placed(part):
        if part.name not in words:
            return part
        command = part.command
        if settings["servers"]:
            own = folder / "homes" / part.name
            own.mkdir(parents=True)
            if part.name == "service":
                command = ("sh", "-c", BRING, release, *command)
            command = ("unshare", "--mount", "sh", "-c", MOUNT, str(own), *command)
        return replace(part, command=(*words[part.name], *command))

    return placed


def drive(settings):
    """What the exchange and the coordinator have of the run."""
    home, folder = Path(settings["home"]), Path(settings["run"])
    with ExitStack() as entered:
        if settings["servers"]:
            share(settings, folder.parent, entered)
        release, manifest = described(home, settings["release"])
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
        stack = entered.enter_context(Stack(plan, placed=placed_by(settings, folder.parent)))
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
