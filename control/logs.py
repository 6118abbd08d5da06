"""Records of a worker's invocations: the last ones, and live.

The product has no such endpoints for user workers; these are ours, under its envelope.
"""

import time
from collections.abc import Iterator
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
    stream = _Stream(tail_channel(found.namespace, script))
    response = Response(stream_with_context(stream.events()), mimetype="text/event-stream")
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


class _Stream:
    """One open tail. Holds one of the process's few places for streams until it is closed."""

    def __init__(self, channel: str) -> None:
        self._house = house()
        self._token = auth.presented()
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

    def events(self) -> Iterator[bytes]:
        """The stream's bytes, until the process stops, the token is no longer good, or Valkey is
        gone: the client sees an end, and comes again.
        """
        try:
            yield b": the tail begins\n\n"
            yield from self._records()
        except redis.RedisError as exc:
            log.warning("a tail ends: %s", exc)

    def _records(self) -> Iterator[bytes]:
        beat = time.monotonic()
        while not self._house.stopping():
            message = self._subscription.get_message(ignore_subscribe_messages=True, timeout=POLL_S)
            if message is not None:
                yield from map(_event, message["data"].splitlines())
            elif time.monotonic() - beat > HEARTBEAT_S:
                beat = time.monotonic()
                if self._house.registry.tokens.verify(self._token) is None:
                    return
                yield b": still here\n\n"

    def close(self) -> None:
        """Give everything back."""
        self._subscription.close()
        self._house.streams.release()


def _event(record: bytes) -> bytes:
    return b"data: %b\n\n" % record
