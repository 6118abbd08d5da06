"""What goes through the door of the process that has an object's storage open.

Each question but :class:`Keep` has one answer. What the object's code asks comes unread from its
isolate: only the process itself decodes it.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw

from cloister.databases import Failed
from executor.isolate.frames import NO_ARGUMENTS, NO_OPTIONS, NOTHING

KEY_BYTES = 2_048
VALUE_BYTES = 128 * 1024
"""Of classes without SQL."""

KEYS_AT_ONCE = 128


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask", omit_defaults=True):
    """What the object's code wants. Answered by :class:`Did` or Failed."""

    method: str
    arguments: Raw = NO_ARGUMENTS
    options: Raw = NO_OPTIONS


class Settle(msgspec.Struct, frozen=True, kw_only=True, tag="settle"):
    """Make durable what was written, or undo it. At the ``end`` of an event a transaction that is
    still open is undone in any case."""

    commit: bool
    end: bool = False


class Keep(msgspec.Struct, frozen=True, kw_only=True, tag="keep"):
    """The lease is good for longer: to that time of the machine's monotonic clock."""

    until_s: float


class Did(msgspec.Struct, frozen=True, kw_only=True, tag="did", omit_defaults=True):
    """It is done. ``dirty``: something is not durable yet. ``alarm_ms`` is the alarm as it is now,
    0 for none."""

    value: Raw = NOTHING
    dirty: bool = False
    alarm_ms: int = 0


Question = Ask | Settle | Keep
Answer = Did | Failed

encode_answer = msgspec.msgpack.Encoder().encode
decode_answer: Callable[[bytes], Answer] = msgspec.msgpack.Decoder(Answer).decode
decode_question: Callable[[bytes], Question] = msgspec.msgpack.Decoder(Question).decode
