"""Records of a worker's invocations: the last ones, and live.

The product has no such endpoints for user workers; these are ours, under its envelope.
"""

import time
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
import redis
from flask import Blueprint, Response, stream_with_context

from cloister.messages import Trace, log_list, tail_channel
from control import auth, envelope, fields
from control.errors import TOO_MANY_STREAMS, Refused
from control.house import house
from control.operation import operation
from control.paths import SCRIPT, script_of
from control.request_id import log

blueprint = Blueprint("logs", __name__)

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000

CONFIRM_S = 5.0
POLL_S = 1.0
"""How soon a stream notices that the process stops."""

HEARTBEAT_S = 15.0
"""How soon it notices that the client went, or that its token was revoked."""


@blueprint.get(f"{SCRIPT}/logs")
@operation(
    list[Trace],
    info=envelope.CountInfo,
    query={"limit": fields.Whole(DEFAULT_LIMIT, 1, MAX_LIMIT)},
)
def get(account_id: str, namespace: str, script: str, limit: int) -> Response:
    """The last records, newest first."""
    found = script_of(account_id, namespace, script)
    records = recent(found.namespace, script, limit)
    return envelope.success(records, info=envelope.CountInfo(count=len(records)))


@blueprint.get(f"{SCRIPT}/tail")
@operation(gives={"text/event-stream": str})
def tail(account_id: str, namespace: str, script: str) -> Response:
    """Records as they are made, as server-sent events."""
    found = script_of(account_id, namespace, script)
    tokens, token = house().registry.tokens, auth.presented()
    channel = tail_channel(found.namespace, script)
    stream = Stream(channel, lambda: tokens.verify(token) is not None)
    response = Response(stream_with_context(_events(stream)), mimetype="text/event-stream")
    response.call_on_close(stream.close)
    response.headers["X-Accel-Buffering"] = "no"
    return response


def recent(namespace: str, script: str, limit: int) -> list[msgspec.Raw]:
    """The last records as JSON, newest first."""
    found = house().redis.lrange(log_list(namespace, script), 0, limit - 1)
    return [msgspec.Raw(record) for record in cast("list[bytes]", found)]


def forget(namespace: str, *scripts: str) -> None:
    """Drop the records of deleted scripts; a failure is logged, as the scripts are gone."""
    try:
        if scripts:
            house().redis.delete(*(log_list(namespace, script) for script in scripts))
    except redis.RedisError as exc:
        log.warning("could not drop the records of deleted scripts: %s", exc)


class Stream:
    """One open tail. Holds one of the process's few places for streams until it is closed.

    ``is_wanted`` is asked from time to time whether it may go on.
    """

    def __init__(self, channel: str, is_wanted: Callable[[], bool]) -> None:
        self._house = house()
        self._is_wanted = is_wanted
        if not self._house.streams.acquire(blocking=False):
            raise Refused(TOO_MANY_STREAMS)
        self._subscription: redis.client.PubSub = (
            self._house.redis.pubsub()  # type: ignore[no-untyped-call]  # untyped in the client
        )
        try:
            self._subscription.subscribe(channel)
            # The confirmation: nothing is missed from here on.
            self._subscription.get_message(timeout=CONFIRM_S)
        except redis.RedisError:
            self.close()
            raise

    def records(self) -> Iterator[bytes | None]:
        """Records as they come; None whenever none did for a moment.

        Ends when the process stops, nobody may have them any more, or Valkey is gone: the client
        sees an end, and comes again.
        """
        beat = time.monotonic()
        try:
            while not self._house.stopping():
                message = self._subscription.get_message(
                    ignore_subscribe_messages=True, timeout=POLL_S
                )
                yield from message["data"].splitlines() if message is not None else (None,)
                if time.monotonic() - beat > HEARTBEAT_S:
                    beat = time.monotonic()
                    if not self._is_wanted():
                        return
        except redis.RedisError as exc:
            log.warning("a tail ends: %s", exc)

    def close(self) -> None:
        """Give everything back."""
        self._subscription.close()
        self._house.streams.release()


def _events(stream: Stream) -> Iterator[bytes]:
    yield b": the tail begins\n\n"
    said = time.monotonic()
    for record in stream.records():
        if record is not None:
            yield _event(record)
        elif time.monotonic() - said < HEARTBEAT_S:
            continue
        else:
            yield b": still here\n\n"
        said = time.monotonic()


def _event(record: bytes) -> bytes:
    return b"data: %b\n\n" % record
