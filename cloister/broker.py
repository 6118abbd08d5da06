"""The way to Valkey: URL, clients, the Celery app, and the raw Celery message.

No client here retries a command on its own: a repeated LPUSH would run a request twice. Pools do
replace a connection that went stale while idle, so a restarted server costs no request.
"""

import base64
import os
import socket
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from cloister.messages import COMPILE_QUEUE, COMPILE_TASK
from cloister.settings import Settings

if TYPE_CHECKING:  # slow to import, and only executors make an app
    from celery import Celery

CONTENT_TYPE = "application/x-msgpack"

SOCKET_TIMEOUT_S = 30
"""Longest wait for one answer of the server; a blocking command must ask for less."""

MAX_CONNECTIONS = 10_000
"""Of one client. redis-py's own bound, 100, would fail the 101st upload instead of serving it."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def redis_url(settings: Settings) -> str:
    """URL of the server, as redis-py reads it; the embedded one listens on a unix socket."""
    return settings.redis_url or f"unix://{quote(str(settings.data_dir / 'valkey.sock'))}"


def redis_client(settings: Settings, *, timeout_s: float = SOCKET_TIMEOUT_S) -> redis.Redis:
    """A blocking client with a pool of its own. Bytes in, bytes out. Thread-safe."""
    return redis.Redis.from_url(
        redis_url(settings),
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        max_connections=MAX_CONNECTIONS,
    )


def async_redis(settings: Settings) -> redis.asyncio.Redis:
    """An asyncio client with a pool of its own. Bytes in, bytes out."""
    return redis.asyncio.Redis.from_url(
        redis_url(settings),
        retry=redis.asyncio.retry.Retry(NoBackoff(), 0),
        socket_timeout=SOCKET_TIMEOUT_S,
        max_connections=MAX_CONNECTIONS,
    )


def celery_app(settings: Settings) -> "Celery":
    """The Celery app of every process: msgpack only, no results.

    ``celery -A executor.app inspect`` and its like reach the workers, which are started with
    ``--without-gossip --without-mingle``: nothing here needs those.
    """
    from celery import Celery

    _register_msgpack()
    app = Celery("cloister", broker=_kombu_url(redis_url(settings)), set_as_current=False)
    app.conf.update(
        task_serializer="msgpack",
        accept_content=[CONTENT_TYPE],
        task_ignore_result=True,
        task_default_queue=COMPILE_QUEUE,
        task_routes={COMPILE_TASK: {"queue": COMPILE_QUEUE}},
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Unacknowledged messages come back after this long: never while the job may run.
            "visibility_timeout": max(3600, 4 * settings.max_wall_ms // 1000),
            # One list a queue instead of four.
            "priority_steps": [0],
        },
    )
    return app


def celery_message(task: str, payload: bytes, queue: str) -> bytes:
    """The message that ``app.send_task(task, [payload], queue=queue)`` puts on the broker.

    LPUSH it on the list ``queue``. Built from a template: kombu's own path costs some 200 us.
    """
    head, middle, tail = _envelope(task, queue, os.getpid())
    body = base64.b64encode(_pack(([payload], {}, _NO_CANVAS)))
    task_id = str(uuid.uuid4()).encode()
    return b"".join((head, body, middle.replace(_ID, task_id), tail, task_id, b'"}}'))


_ID = b"\x00id\x00"
_NO_CANVAS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@lru_cache(maxsize=4096)
def _envelope(task: str, queue: str, pid: int) -> tuple[bytes, bytes, bytes]:
    """The constant parts: before the body, headers (with :data:`_ID` in them), properties."""
    place = "@"
    headers: dict[str, Any] = {
        "lang": "py",
        "task": task,
        "id": place,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": place,
        "parent_id": None,
        "argsrepr": "(...)",
        "kwargsrepr": "{}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "reply_to": "",
        "delivery_mode": 2,
        "priority": 0,
        "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": queue},
    }
    origin = msgspec.json.encode(f"gen{pid}@{socket.gethostname()}")
    encoded = msgspec.json.encode(headers)[:-1].replace(b'"@"', b'"' + _ID + b'"')
    return (
        b'{"body":"',
        b'","content-encoding":"binary","content-type":"application/x-msgpack","headers":'
        + encoded
        + b',"origin":'
        + origin
        + b'},"properties":{"correlation_id":"'
        + _ID
        + b'",'
        + msgspec.json.encode(properties)[1:-1],
        b',"delivery_tag":"',
    )


def _register_msgpack() -> None:
    """Give kombu its ``msgpack`` serializer on msgspec, which is here anyway and faster."""
    import kombu.serialization

    register: Callable[..., Any] = kombu.serialization.register
    register("msgpack", _pack, _unpack, content_type=CONTENT_TYPE, content_encoding="binary")


def _kombu_url(url: str) -> str:
    """kombu's spelling of a unix socket's URL."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    credentials = parts.netloc.rpartition("@")[0]
    database = dict(p.split("=", 1) for p in parts.query.split("&") if "=" in p).get("db", "0")
    path = quote(unquote(parts.path))
    at = f"{credentials}@" if credentials else ""
    return f"redis+socket://{at}{path}?virtual_host={database}"
