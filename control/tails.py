"""Live tails of plain Workers over a WebSocket, as ``wrangler tail`` has them.

A tail is opened with a token, and its address is then enough to connect for as long as it lasts.
"""

import contextlib
import random
import secrets
import time
from typing import Any, cast

import msgspec
from flask import Blueprint, Response, g, request

from cloister.messages import tail_channel
from cloister.registry.names import plain_namespace
from cloister.registry.views import TokenView
from control import bodies, envelope, logs
from control.errors import TAIL_NOT_FOUND, TOO_MANY_STREAMS, Refused
from control.house import house
from control.operation import ANY, JSON, operation
from control.paths import API, PLAIN, PLAIN_SCRIPT, namespace_of, script_of
from control.websocket import Upgraded, WebSocket

blueprint = Blueprint("tails", __name__)
connections = Blueprint("tail_connections", __name__)

TAILS = f"{PLAIN_SCRIPT}/tails"
PROTOCOL = "trace-v1"
LIFE_S = 6 * 3600
AT_ONCE = 10
"""Of one Worker, as in the product."""

OUTCOMES = frozenset(
    {
        *("ok", "exception", "exceededCpu", "exceededMemory", "scriptNotFound", "canceled"),
        "responseStreamDisconnected",
    }
)
"""Those that the product has. For its filters any other is "unknown": ``--status error`` means
those of ours, too."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A request's header, and what it has to hold."""

    key: str
    query: str = ""


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a record must be like; of several filters all hold. Addresses are not recorded, so that
    there is no ``client_ip``."""

    sampling_rate: float | None = msgspec.field(name="sampling_rate", default=None)
    outcome: list[str] | None = None
    method: list[str] | None = None
    header: Header | None = None
    query: str | None = None
    script_version: str | None = None

    def lets_through(self, record: dict[str, Any]) -> bool:
        """Whether the record is like that."""
        asked = record["event"].get("request") or {}
        said = [str(part) for line in record["logs"] for part in line["message"]]
        return (
            (self.outcome is None or _named(record["outcome"]) in self.outcome)
            and (self.method is None or asked.get("method") in self.method)
            and (self.query is None or any(self.query in text for text in said))
            and self.script_version in (None, record["scriptVersion"])
            and (self.header is None or _has(asked.get("headers") or {}, self.header))
            and (self.sampling_rate is None or random.random() < self.sampling_rate)  # noqa: S311
        )


class NewTail(msgspec.Struct, frozen=True, kw_only=True):
    """What a tail is to show; everything where nothing is said."""

    filters: list[Filter] = []


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """A tail that is open, and where to connect to it."""

    id: str
    url: str
    expires_at: envelope.Time


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one, under the Worker's key."""

    expires_s: float
    token_id: str
    filters: list[Filter]


@blueprint.post(TAILS)
@operation(Tail, takes={JSON: NewTail})
def post(account_id: str, script: str) -> Response:
    """Open one."""
    key = _key(account_id, script)
    data = bodies.whole(bodies.JSON_BYTES)
    said = bodies.converted(bodies.decode_json(data) if data else {}, NewTail)
    if len(_kept(key)) >= AT_ONCE:
        raise Refused(TOO_MANY_STREAMS, f"A Worker has at most {AT_ONCE} tails.")
    tail_id = secrets.token_hex(16)
    kept = Kept(expires_s=time.time() + LIFE_S, token_id=g.token.id, filters=said.filters)
    house().redis.hset(key, tail_id, msgspec.json.encode(kept))
    house().redis.expire(key, LIFE_S)
    return envelope.success(_shape(account_id, script, tail_id, kept))


@blueprint.get(TAILS)
@operation(list[Tail])
def list_all(account_id: str, script: str) -> Response:
    """Those that are open."""
    found = _kept(_key(account_id, script))
    return envelope.success([_shape(account_id, script, *item) for item in found.items()])


@blueprint.delete(f"{TAILS}/<tail_id>")
@operation()
def delete(account_id: str, script: str, tail_id: str) -> Response:
    """Close one, which need not be there."""
    house().redis.hdel(_key(account_id, script), tail_id)
    return envelope.success(None)


@connections.get(f"{TAILS}/<tail_id>/connection", websocket=True)
@operation(gives={ANY: msgspec.Raw})
def connect(account_id: str, script: str, tail_id: str) -> Response:
    """Records as they are made, one a message. Needs no token but the tail's id."""
    plain = plain_namespace(account_id)
    key = f"tails:{plain}:{script}"
    kept = _kept(key).get(tail_id)
    if kept is None:
        raise Refused(TAIL_NOT_FOUND)
    tokens = house().registry.tokens

    def is_wanted() -> bool:
        good = {token.id for token in tokens.list(account_id) if not _has_expired(token)}
        return tail_id in _kept(key) and kept.token_id in good

    response = Upgraded(PROTOCOL, lambda client: _show(client, stream, kept.filters))
    # Made last: whoever holds it has to let go of it.
    stream = logs.Stream(tail_channel(plain, script), is_wanted)
    response.call_on_close(stream.close)
    return response


def _show(client: WebSocket, stream: logs.Stream, filters: list[Filter]) -> None:
    with contextlib.suppress(OSError):
        for record in stream.records():
            if record is not None and _wanted(record, filters):
                client.send(record)
            if not client.is_open():
                return
        client.close()


def _wanted(record: bytes, filters: list[Filter]) -> bool:
    if not filters:
        return True
    decoded = msgspec.json.decode(record)
    return all(each.lets_through(decoded) for each in filters)


def _named(outcome: str) -> str:
    """As the product's filters know it."""
    return outcome if outcome in OUTCOMES else "unknown"


def _has(headers: dict[str, str], wanted: Header) -> bool:
    found = {name.lower(): value for name, value in headers.items()}.get(wanted.key.lower())
    return found is not None and wanted.query in found


def _has_expired(token: TokenView) -> bool:
    return token.expires_at is not None and token.expires_at <= time.time() * 1000


def _key(account_id: str, script: str) -> str:
    script_of(account_id, PLAIN, script)
    return f"tails:{namespace_of(account_id, PLAIN).name}:{script}"


def _kept(key: str) -> dict[str, Kept]:
    """The tails of a Worker that have not expired, by id."""
    found = cast("dict[bytes, bytes]", house().redis.hgetall(key))
    kept = {name.decode(): msgspec.json.decode(data, type=Kept) for name, data in found.items()}
    return {name: tail for name, tail in kept.items() if tail.expires_s > time.time()}


def _shape(account_id: str, script: str, tail_id: str, kept: Kept) -> Tail:
    # A proxy's word is enough here: whoever lies with it gets a wrong address, and nobody else.
    secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
    base = f"{'wss' if secure else 'ws'}://{request.host}{API}"
    path = f"/accounts/{account_id}/workers/scripts/{script}/tails/{tail_id}/connection"
    return Tail(
        id=tail_id, url=base + path, expires_at=envelope.timestamp(int(kept.expires_s * 1000))
    )
