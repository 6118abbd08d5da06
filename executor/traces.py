"""The record of each invocation: gathered while it runs, then kept and told to who watches."""

import asyncio
import logging
import time
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

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

log = logging.getLogger(__name__)

MAX_SUBREQUESTS = 100
LEVELS = frozenset({"debug", "info", "log", "warn", "error"})
MAX_TIMESTAMP = 2**53
PART_BYTES = 8
"""What a part of a log line costs beside its text."""

MAX_EXCEPTIONS = 8
MAX_NAME_CHARS = 256
MAX_MESSAGE_CHARS = 8 * 1024
MAX_STACK_CHARS = 32 * 1024

MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Of records that wait for Valkey; beyond it they are dropped, and that is logged."""

GATHER_S = 0.02
"""A record waits so long for others: nobody watches that closely, and a round trip is dear."""

_json = msgspec.json.Encoder().encode


class Record:
    """What happened in one invocation, within ``log_bytes`` of text."""

    def __init__(self, log_bytes: int) -> None:
        self._left_bytes = log_bytes
        self._logs: list[LogLine] = []
        self._exceptions: list[ExceptionLine] = []
        self._subrequests: list[Subrequest] = []
        self._truncated = False
        self.subrequest_count = 0
        self.status: int | None = None
        self.cpu_ms = 0.0
        self.wall_ms = 0.0
        self.peak_memory_kb = 0
        self.event_timestamp = now_ms()

    def log(self, level: str, message: list[Any], timestamp: int) -> None:
        """Keep a log line, while there is room. The isolate is not believed to send a good one."""
        parts = [_plain(part) for part in message]
        if self._fits(PART_BYTES + sum(map(_size, parts))):
            kept = level if level in LEVELS else "log"
            timestamp = timestamp if 0 <= timestamp < MAX_TIMESTAMP else now_ms()
            self._logs.append(LogLine(timestamp=timestamp, level=kept, message=parts))

    def exception(self, name: str, message: str, stack: str = "") -> None:
        """Keep an uncaught exception, of which there is room for a few however much was logged."""
        if len(self._exceptions) >= MAX_EXCEPTIONS:
            self._truncated = True
            return
        self._exceptions.append(
            ExceptionLine(
                timestamp=now_ms(),
                name=name[:MAX_NAME_CHARS],
                message=message[:MAX_MESSAGE_CHARS],
                stack=stack[:MAX_STACK_CHARS],
            )
        )

    def subrequest(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """Keep one hop of a fetch(), while there is room."""
        if len(self._subrequests) >= MAX_SUBREQUESTS:
            self._truncated = True
        elif self._fits(len(url)):
            kept = Subrequest(
                method=method, url=redaction.url(url), status=status, wall_ms=round(wall_ms, 3)
            )
            self._subrequests.append(kept)

    def trace(
        self, *, id_: str, names: tuple[str, str, str], event: dict[str, Any], outcome: Outcome
    ) -> Trace:
        """The finished record. ``names``: namespace, script, version."""
        namespace, script, version = names
        response = None if self.status is None else {"status": self.status}
        return Trace(
            id=id_,
            script_name=script,
            dispatch_namespace=namespace,
            script_version=version,
            event_timestamp=self.event_timestamp,
            event={**event, "response": response},
            outcome=outcome,
            logs=self._logs,
            exceptions=self._exceptions,
            subrequests=self._subrequests,
            subrequest_count=self.subrequest_count,
            cpu_ms=round(self.cpu_ms, 3),
            wall_ms=round(self.wall_ms, 3),
            peak_memory_kb=self.peak_memory_kb,
            truncated=self._truncated,
        )

    def _fits(self, size: int) -> bool:
        self._left_bytes -= size
        if self._left_bytes < 0:
            self._truncated = True
            self._left_bytes = 0
            return False
        return True


def fetch_event(
    method: str, url: str, headers: Headers, cf: dict[str, Any] | None
) -> dict[str, Any]:
    """The ``event`` of an HTTP invocation, redacted."""
    shown = {name: redaction.header_value(name, value) for name, value in headers}
    request: dict[str, Any] = {"method": method, "url": redaction.url(url), "headers": shown}
    if cf is not None:
        request["cf"] = cf
    return {"request": request}


def now_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def _plain(part: Any) -> Any:
    """A value of a log line as JSON can hold it: scalars as they are, others as their JSON text."""
    if part is None or isinstance(part, str | int | float):
        return part
    try:
        return _json(part).decode()
    except (TypeError, ValueError):
        return f"<{type(part).__name__}>"


def _size(part: Any) -> int:
    return PART_BYTES + (len(part) if isinstance(part, str) else 0)


class Traces:
    """Writes records, many in one round trip. Losing one is logged and costs nothing else."""

    def __init__(self, client: redis.asyncio.Redis, kept: int) -> None:
        self._client = client
        self._kept = kept
        self._pending: list[tuple[str, str, bytes]] = []
        self._pending_bytes = 0
        self._writer: asyncio.Task[None] | None = None

    def write(self, trace: Trace) -> None:
        """Queue a record."""
        data = _json(trace)
        if self._pending_bytes + len(data) > MAX_PENDING_BYTES:
            log.warning("an invocation record was dropped: Valkey does not keep up")
            return
        self._pending_bytes += len(data)
        self._pending.append((trace.dispatch_namespace, trace.script_name, data))
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def drain(self) -> None:
        """Wait until everything queued is written."""
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        try:
            while self._pending:
                await asyncio.sleep(GATHER_S)
                batch, self._pending = self._pending, []
                await self._try_push(batch)
                self._pending_bytes -= sum(len(data) for _, _, data in batch)
        finally:
            self._writer = None

    async def _try_push(self, batch: list[tuple[str, str, bytes]]) -> None:
        try:
            await self._push(batch)
        except (RedisError, OSError) as exc:
            log.warning("%d invocation records were lost: %s", len(batch), exc)

    async def _push(self, batch: list[tuple[str, str, bytes]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        lists: dict[str, list[bytes]] = {}
        for namespace, script, data in batch:
            lists.setdefault(log_list(namespace, script), []).append(data)
            pipeline.publish(tail_channel(namespace, script), data)
        for key, records in lists.items():
            pipeline.lpush(key, *records)
            pipeline.ltrim(key, 0, self._kept - 1)
        await pipeline.execute()
