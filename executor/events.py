"""Events as their records show them (reference of the product: tail items)."""

from collections.abc import Callable
from typing import Any

import msgspec

from cloister.events import SCHEDULED, Scheduled

Shown = Callable[[bytes], dict[str, Any]]

_scheduled = msgspec.msgpack.Decoder(Scheduled).decode


def _show_scheduled(event: bytes) -> dict[str, Any]:
    fired = _scheduled(event)
    return {"cron": fired.cron, "scheduledTime": fired.scheduled_time}


SHOWN: dict[str, Shown] = {SCHEDULED: _show_scheduled}
"""By handler."""


def shown(handler: str, event: bytes) -> dict[str, Any]:
    """The ``event`` of a record."""
    show = SHOWN.get(handler)
    return {} if show is None else show(event)
