"""Events as their records show them (reference of the product: tail items)."""

from collections.abc import Callable
from typing import Any

import msgspec

from cloister.events import QUEUE, SCHEDULED, TAIL, QueueBatch, Scheduled

Shown = Callable[[bytes], dict[str, Any]]

_scheduled = msgspec.msgpack.Decoder(Scheduled).decode


def _show_scheduled(event: bytes) -> dict[str, Any]:
    fired = _scheduled(event)
    return {"cron": fired.cron, "scheduledTime": fired.scheduled_time}


_batch = msgspec.msgpack.Decoder(QueueBatch).decode


def _show_queue(event: bytes) -> dict[str, Any]:
    batch = _batch(event)
    return {"queue": batch.queue, "batchSize": len(batch.messages)}


class _Named(msgspec.Struct, rename="camel"):
    script_name: str


class _Consumed(msgspec.Struct):
    items: list[_Named]


_consumed = msgspec.msgpack.Decoder(_Consumed).decode


def _show_tail(event: bytes) -> dict[str, Any]:
    named = _consumed(event).items
    return {"consumedEvents": [{"scriptName": each.script_name} for each in named]}


SHOWN: dict[str, Shown] = {
    SCHEDULED: _show_scheduled,
    QUEUE: _show_queue,
    TAIL: _show_tail,
}
"""By handler."""


def shown(handler: str, event: bytes) -> dict[str, Any]:
    """The ``event`` of a record."""
    show = SHOWN.get(handler)
    return {} if show is None else show(event)
