"""What every message about a bar has in common: an envelope that is a function of its entry, and the end marker."""

from __future__ import annotations

from collections.abc import Sequence

from sapphire.domain.envelope import Envelope
from sapphire.domain.messages import Sent, SettledMessage, StreamPosition
from sapphire.telemetry.streams import EntryId, bar_of, bar_sequence, end_of_bar, message_id

__all__ = ["bar_envelope", "end_marker"]


def bar_envelope(
    schema_id: str,
    producer: str,
    stream: str,
    entry: EntryId,
    *,
    publish_time_ns: int,
    trace_id: str,
    causation_id: str | None,
) -> Envelope:
    """Envelope of a message about a bar; but for `publish_time_ns` it is the same whenever it is made.

    Parameters
    ----------
    trace_id : of the bar, `VenueStreams.trace` or `AccountStreams.trace`.
    causation_id : the message that this one answers, itself a function of the bar.
    """
    return Envelope(
        schema_id=schema_id,
        message_id=message_id(producer, stream, entry),
        producer=producer,
        sequence=bar_sequence(entry),
        event_time_ns=bar_of(entry),
        publish_time_ns=publish_time_ns,
        trace_id=trace_id,
        causation_id=causation_id,
    )


def end_marker(
    producer: str,
    stream: str,
    bar_close_ns: int,
    *,
    sent: int,
    consumed: Sequence[tuple[str, EntryId]] = (),
    publish_time_ns: int,
    trace_id: str,
    causation_id: str | None,
) -> tuple[EntryId, SettledMessage]:
    """The marker that all of a bar is in a stream, and its entry.

    Parameters
    ----------
    sent : messages before it.
    consumed : the streams that the bar was made from, and up to where.
    """
    entry = end_of_bar(bar_close_ns)
    envelope = bar_envelope(
        SettledMessage.SCHEMA_ID,
        producer,
        stream,
        entry,
        publish_time_ns=publish_time_ns,
        trace_id=trace_id,
        causation_id=causation_id,
    )
    return entry, SettledMessage(
        envelope=envelope,
        bar_close_ns=bar_close_ns,
        consumed=tuple(StreamPosition(stream=name, position=str(place)) for name, place in consumed),
        sent=(Sent(stream=stream, count=sent),),
        wake_at_ns=None,
    )
