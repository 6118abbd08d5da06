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
MAX_PENDING = 10_000
"""Records that wait for Valkey; beyond it they are dropped, and that is logged."""

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
        """Keep a log line, while there is room."""
        if self._fits(_size(message)):
            self._logs.append(LogLine(timestamp=timestamp, level=level, message=message))

    def exception(self, name: str, message: str, stack: str = "") -> None:
        """Keep an uncaught exception, while there is room."""
        if self._fits(len(name) + len(message) + len(stack)):
            line = ExceptionLine(timestamp=now_ms(), name=name, message=message, stack=stack)
            self._exceptions.append(line)

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


def _size(message: list[Any]) -> int:
    return sum(len(part) if isinstance(part, str) else 16 for part in message)


class Traces:
    """Writes records, many in one round trip. Losing one is logged and costs nothing else."""

    def __init__(self, client: redis.asyncio.Redis, kept: int) -> None:
        self._client = client
        self._kept = kept
        self._pending: list[Trace] = []
        self._writer: asyncio.Task[None] | None = None

    def write(self, trace: Trace) -> None:
        """Queue a record."""
        if len(self._pending) >= MAX_PENDING:
            log.warning("an invocation record was dropped: Valkey does not keep up")
            return
        self._pending.append(trace)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def drain(self) -> None:
        """Wait until everything queued is written."""
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        await asyncio.sleep(0)
        while self._pending:
            batch, self._pending = self._pending, []
            try:
                await self._push(batch)
            except (RedisError, OSError) as exc:
                log.warning("%d invocation records were lost: %s", len(batch), exc)
        self._writer = None

    async def _push(self, batch: list[Trace]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        lists: dict[str, list[bytes]] = {}
        for trace in batch:
            data = _json(trace)
            name = trace.dispatch_namespace, trace.script_name
            lists.setdefault(log_list(*name), []).append(data)
            pipeline.publish(tail_channel(*name), data)
        for key, records in lists.items():
            pipeline.lpush(key, *records)
            pipeline.ltrim(key, 0, self._kept - 1)
        await pipeline.execute()
