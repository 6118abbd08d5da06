"""The record of each invocation: gathered while it runs, then kept and told to who watches."""

import asyncio
import logging
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import redis.asyncio

from cloister.languages import RESTRICTED, Language
from cloister.link import Command, Link
from cloister.messages import (
    ExceptionLine,
    Headers,
    LogLine,
    Subrequest,
    Trace,
    log_list,
    tail_channel,
)
from cloister.outcomes import Outcome
from executor import redaction
from executor.events import shown as shown_event
from executor.isolate.frames import LEVELS, Invoke
from executor.isolate.text import MAX_LINES, cut, json_bytes, line_bytes

log = logging.getLogger(__name__)

SPARE_LINES = 16
"""Log lines that may come after those that are kept. An isolate cuts its log off by itself."""

MAX_SUBREQUESTS = 100
MAX_TIMESTAMP = 2**53

MAX_EXCEPTIONS = 8
EXCEPTION_BYTES = 64 * 1024
"""Of all exceptions of a record together, beside what is logged."""

MAX_NAME_BYTES = 256
MAX_MESSAGE_BYTES = 8 * 1024
MAX_STACK_BYTES = 32 * 1024

MAX_URL_BYTES = 8 * 1024
HEADER_BYTES = 8 * 1024
"""Names and values of a request's headers that a record keeps."""

PAIR_BYTES = 4
"""What a header costs beside its name and value."""

MESSAGE_BYTES = 256 * 1024
"""Records that are told in one message, unless one alone is longer."""

MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Of records that wait for Valkey; beyond it they are dropped, and that is logged."""

GATHER_S = 0.02
"""A record waits so long for others: nobody watches that closely, and a round trip is dear."""

_json = msgspec.json.Encoder().encode


class Record:
    """What happened in one invocation: at most ``log_bytes`` of log and subrequests, as JSON, and
    bounded amounts of the rest."""

    def __init__(self, log_bytes: int) -> None:
        self._left_bytes = log_bytes
        self._exception_bytes = EXCEPTION_BYTES
        self._logs: list[LogLine] = []
        self._exceptions: list[ExceptionLine] = []
        self._subrequests: list[Subrequest] = []
        self._truncated = False
        self._lines_lost = 0
        self.subrequest_count = 0
        self.status: int | None = None
        self.cpu_ms = 0.0
        self.wall_ms = 0.0
        self.peak_memory_kb = 0
        self.language: Language = RESTRICTED
        self.event_timestamp = now_ms()

    @property
    def is_flooded(self) -> bool:
        """Whether more was logged than an isolate of ours ever does."""
        return self._lines_lost > SPARE_LINES

    def log(self, level: str, text: str, timestamp: int, *, last: bool = False) -> None:
        """Keep a log line, while there is room. The isolate is not believed to send a good one.

        ``last``: it says that it would have written more.
        """
        self._truncated = self._truncated or last
        if len(self._logs) > MAX_LINES or not self._fits(line_bytes(text)):
            self._truncated = True
            self._lines_lost += 1
            return
        kept = level if level in LEVELS else "log"
        timestamp = timestamp if 0 <= timestamp < MAX_TIMESTAMP else now_ms()
        self._logs.append(LogLine(timestamp=timestamp, level=kept, message=[text]))

    def exception(self, name: str, message: str, stack: str = "") -> None:
        """Keep an uncaught exception, of which there is room for a few however much was logged."""
        if len(self._exceptions) >= MAX_EXCEPTIONS:
            self._truncated = True
            return
        self._exceptions.append(
            ExceptionLine(
                timestamp=now_ms(),
                name=self._start_of(name, MAX_NAME_BYTES),
                message=self._start_of(message, MAX_MESSAGE_BYTES),
                stack=self._start_of(stack, MAX_STACK_BYTES),
            )
        )

    def subrequest(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """Keep one hop of a fetch(), while there is room."""
        url = _shown_url(url)
        if len(self._subrequests) >= MAX_SUBREQUESTS:
            self._truncated = True
        elif self._fits(line_bytes(url)):
            self._subrequests.append(
                Subrequest(method=method[:16], url=url, status=status, wall_ms=round(wall_ms, 3))
            )

    def trace(
        self, *, id_: str, names: tuple[str, str, str], event: dict[str, Any], outcome: Outcome
    ) -> Trace:
        """The finished record. ``names``: namespace, script, version."""
        namespace, script, version = names
        if "request" in event:
            event = {**event, "response": self.status and {"status": self.status}}
        return Trace(
            id=id_,
            script_name=script,
            dispatch_namespace=namespace,
            script_version=version,
            event_timestamp=self.event_timestamp,
            event=event,
            outcome=outcome,
            logs=self._logs,
            exceptions=self._exceptions,
            subrequests=self._subrequests,
            subrequest_count=self.subrequest_count,
            cpu_ms=round(self.cpu_ms, 3),
            wall_ms=round(self.wall_ms, 3),
            peak_memory_kb=self.peak_memory_kb,
            truncated=self._truncated,
            language=self.language,
        )

    def _fits(self, size: int) -> bool:
        self._left_bytes -= size
        if self._left_bytes < 0:
            self._truncated = True
            self._left_bytes = 0
            return False
        return True

    def _start_of(self, text: str, limit_bytes: int) -> str:
        """As much of an exception's text as there is room for."""
        kept = cut(text, min(limit_bytes, self._exception_bytes))
        self._exception_bytes -= json_bytes(kept)
        self._truncated = self._truncated or len(kept) < len(text)
        return kept


def event_of(invoke: Invoke, *, redacts_query: bool = False) -> dict[str, Any]:
    """The ``event`` of a record."""
    if invoke.handler == "fetch":
        url = invoke.url.partition("?")[0] if redacts_query else invoke.url
        return fetch_event(invoke.method, url, invoke.headers, invoke.cf)
    if invoke.event:
        return shown_event(invoke.handler, invoke.event)
    return {"rpcMethod": cut(invoke.handler, MAX_NAME_BYTES)}


def fetch_event(
    method: str, url: str, headers: Headers, cf: dict[str, Any] | None
) -> dict[str, Any]:
    """The ``event`` of an HTTP invocation, redacted, and of a long one only the start."""
    shown, is_whole = _shown(headers)
    request: dict[str, Any] = {
        "method": method[:16],
        "url": _shown_url(url),
        "headers": shown,
    }
    if not is_whole:
        request["headersTruncated"] = True
    if cf is not None:
        request["cf"] = cf
    return {"request": request}


def _shown_url(url: str) -> str:
    return cut(redaction.url(url[: 8 * MAX_URL_BYTES]), MAX_URL_BYTES)


def _shown(headers: Headers) -> tuple[dict[str, str], bool]:
    """The first headers, and whether they are all."""
    shown = {name: redaction.header_value(name, value) for name, value in headers}
    # As JSON, a character takes six bytes at most; so most requests need no closer look.
    chars = sum(map(len, shown)) + sum(map(len, shown.values()))
    if 6 * chars + 2 * PAIR_BYTES * len(shown) < HEADER_BYTES:
        return shown, True
    hidden = [(name, redaction.header_value(name, value)) for name, value in headers]
    shown = {}
    left_bytes = HEADER_BYTES
    for name, value in hidden:
        left_bytes -= json_bytes(name) + json_bytes(value) + PAIR_BYTES
        if left_bytes < 0:
            return shown, False
        shown[name] = value
    return shown, True


def now_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Traces:
    """Writes records, many in one round trip. Losing one is logged and costs nothing else."""

    def __init__(self, client: redis.asyncio.Redis, kept: int) -> None:
        self._link = Link(client)
        self._kept = kept
        self._pending: dict[tuple[str, str], tuple[list[bytes], list[bytes]]] = {}
        """Of each worker: what is told to who watches, and what is kept."""
        self._pending_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, trace: Trace, *, keep: bool = True) -> None:
        """Queue a record: to be told, and kept unless it is not to be."""
        data = _json(trace)
        if self._pending_bytes + len(data) > MAX_PENDING_BYTES:
            log.warning("an invocation record was dropped: Valkey does not keep up")
            return
        self._pending_bytes += len(data)
        told, kept = self._pending.setdefault(
            (trace.dispatch_namespace, trace.script_name), ([], [])
        )
        told.append(data)
        if keep:
            kept.append(data)
        if self._idle.is_set():
            self._idle.clear()
            self._gather()

    async def drain(self) -> None:
        """Wait until everything queued is written."""
        await self._idle.wait()

    async def close(self) -> None:
        """Write what is queued, then stop."""
        await self.drain()
        await self._link.close()

    def _gather(self) -> None:
        asyncio.get_running_loop().call_later(GATHER_S, self._push)

    def _push(self) -> None:
        batch, self._pending = self._pending, {}
        size = 0
        commands: list[Command] = []
        for (namespace, script), (told, kept) in batch.items():
            key, channel = log_list(namespace, script), tail_channel(namespace, script)
            commands += [("PUBLISH", channel, lines) for lines in _messages(told)]
            if kept:
                commands += [("LPUSH", key, *kept), ("LTRIM", key, 0, self._kept - 1)]
            size += sum(map(len, told))
        self._link.send(commands, partial(self._pushed, size))

    def _pushed(self, size: int, replies: list[Any]) -> None:
        self._pending_bytes -= size
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        if errors:
            log.warning("invocation records were lost: %s", errors[0])
        if self._pending:
            self._gather()
        else:
            self._idle.set()


def _messages(records: list[bytes]) -> Iterator[bytes]:
    """The records, several a message, one a line."""
    lines: list[bytes] = []
    size = 0
    for record in records:
        if lines and size + len(record) > MESSAGE_BYTES:
            yield b"\n".join(lines)
            lines, size = [], 0
        lines.append(record)
        size += len(record)
    yield b"\n".join(lines)
