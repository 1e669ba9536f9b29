"""The verbs `sapphire notify list|test`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.stack.commands.command_line import AccountOption, AsJson, RunOption, put, run_folder, say

if TYPE_CHECKING:
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.notices.receivers import Receiver

__all__ = ["notice_lines", "notices_of", "notify", "require_addresses"]

notify = typer.Typer(
    name="notify",
    help="Messages to webhooks: halts, storms of refused orders, undecided bars, restarts, fills, the day.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_EXAMPLE = """[notify.slack]                    # or discord, telegram (with chat = ...), json
address_env = "SLACK_WEBHOOK"     # or address_file = "slack.address", a file that only you can read
kinds = ["halt", "restarts"]      # of halt, denials, undecided, restarts, fills, report; all unless it is said"""


@notify.command("list")
def list_receivers(run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """List who is told of what, and how the run's messages to each stand.

    Example: sapphire notify list
    """
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.showing import print_table

    receivers, stands = _receivers(), notices_of(RunFolder(run_folder(run, account)))
    put({"receivers": [_row(each) | {"run": stands.get(each.shape)} for each in receivers]}, as_json=as_json)
    if not as_json:
        rows = [
            (each.shape, ", ".join(sorted(each.kinds)), each.kept_in, _stand(stands.get(each.shape)))
            for each in receivers
        ]
        print_table(_count(receivers), ("receiver", "told of", "its address is in", "this run"), rows)
    say("next: sapphire notify test sends a message to each")


@notify.command("test")
def send_test(
    only: Annotated[str | None, typer.Option("--only", help="One receiver: json, slack, discord, telegram.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a message to each receiver now, and say what came back. Ends with 1 where one did not arrive.

    Example: sapphire notify test
    """
    from sapphire.domain.clocks import WallClock
    from sapphire.stack.notices.delivery import Came, deliver
    from sapphire.stack.notices.notice import TEST, Notice
    from sapphire.stack.notices.shapes import body_of
    from sapphire.stack.showing import print_table

    receivers = [each for each in _receivers() if only in (None, each.shape)]
    if not receivers:
        raise typer.BadParameter(f"{only} is not in sapphire.toml", param_hint="--only")
    now_ns = WallClock().now_ns()
    found = []
    for each in receivers:
        say(f"sending to {each.shape}")
        notice = Notice(
            id=f"test-{now_ns}",
            kind=TEST,
            title="A test message",
            about="sapphire notify test",
            wall_ns=now_ns,
            lines=(f"Here you are told of: {', '.join(sorted(each.kinds))}.",),
        )
        outcome = deliver(each, body_of(notice, each.shape, chat=each.chat))
        found.append((each, outcome))
    sent = [_row(each) | {"came": str(outcome.came), "what": outcome.what} for each, outcome in found]
    put({"receivers": sent}, as_json=as_json)
    if not as_json:
        rows = [(each.shape, str(outcome.came), outcome.what) for each, outcome in found]
        print_table("test messages", ("receiver", "", "what came back"), rows)
    failed = [each for each, outcome in found if outcome.came is not Came.DELIVERED]
    for each in failed:
        say(f"next: look at {each.kept_in}, and try again: sapphire notify test --only {each.shape}")
    if failed:
        raise typer.Exit(1)
    say("next: sapphire up tells them what happens")


def require_addresses() -> None:
    """Refuse receivers that cannot be told, while somebody is there to set it right.

    Raises
    ------
    ConfigError : as `read_receivers`.
    """
    from sapphire.stack.notices.receivers import read_receivers, receiver_sources

    read_receivers(receiver_sources())


def notices_of(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """How the messages of a run stand, by receiver; empty where it has none, or their file is damaged."""
    from sapphire.stack.notices.outbox import standing

    try:
        return standing(folder.notices_state)
    except (ValueError, KeyError, TypeError) as error:
        say(f"how notices stand is not known: {error}")
        return {}


def notice_lines(stands: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One line for each receiver."""
    for shape, stand in stands.items():
        yield f"notices to {shape}: {_stand(stand)}"


def _receivers() -> Sequence[Receiver]:
    from sapphire.domain.errors import ConfigError
    from sapphire.stack.notices.receivers import read_receivers, receiver_sources

    receivers = read_receivers(receiver_sources())
    if not receivers:
        raise ConfigError(
            "nobody is told of anything",
            expected=f"a receiver in the workspace's sapphire.toml:\n{_EXAMPLE}",
            got="none",
            next="write it there, and set the variable or the file",
        )
    return receivers


def _row(receiver: Receiver) -> dict[str, Any]:
    return {"receiver": receiver.shape, "kinds": sorted(receiver.kinds), "kept_in": receiver.kept_in}


def _stand(stand: Mapping[str, Any] | None) -> str:
    """What waits, arrived and did not, and what came last where that was no success."""
    if stand is None:
        return "nothing sent yet"
    words = [f"{stand['delivered']:,} delivered"]
    if stand["waiting"]:
        words.append(f"{stand['waiting']:,} waiting")
    if stand["undelivered"]:
        words.append("not delivered: " + ", ".join(f"{count:,} {kind}" for kind, count in stand["undelivered"].items()))
    last = stand["last"]
    if last is not None and last["came"] != "delivered":
        words.append(f"last try {last['came']}: {last['what']}")
    return "; ".join(words)


def _count(receivers: Sequence[Receiver]) -> str:
    return f"{len(receivers)} receiver{'' if len(receivers) == 1 else 's'}"
