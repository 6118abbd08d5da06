"""Invocations that are no requests: what their handlers are given, and what is told of the result.

Each handler has a row in :data:`EVENTS`. A handler is called with (first argument, env, ctx).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from cloister.events import QUEUE, SCHEDULED, TAIL, Scheduled
from executor.isolate.workers.queues import batch_of, failed_verdict, verdict
from executor.isolate.workers.scheduled import ScheduledController
from executor.isolate.workers.values import to_js_dicts


class Event(NamedTuple):
    """One kind of event.

    Attributes:
        argument: makes the handler's first argument of the event as it came; only the platform
            writes those.
        value: what is answered, plain data, from that argument and what the handler returned.
        rescued: what is answered if the handler raised, from that argument; the failure is in the
            record all the same. Without it, the failure is the answer.
        waits: what the handler has left for later is over before anything is answered; if some of
            it failed, ``rescued`` is the answer.
    """

    argument: Callable[[bytes], Any]
    value: Callable[[Any, Any], Any]
    rescued: Callable[[Any], Any] | None = None
    waits: bool = False


def _nothing(_argument: Any, _returned: Any) -> None:
    """Nobody asks for more than that it ended."""


_scheduled = msgspec.msgpack.Decoder(Scheduled).decode
_plain = msgspec.msgpack.Decoder().decode

EVENTS: dict[str, Event] = {
    SCHEDULED: Event(lambda event: ScheduledController(_scheduled(event)), _nothing),
    QUEUE: Event(batch_of, verdict, failed_verdict, waits=True),
    TAIL: Event(lambda event: to_js_dicts(_plain(event)["items"]), _nothing),
}
"""By handler. What is not in here is refused."""
