"""Invocation records: redaction, bounds, and how they reach Valkey."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import redis.asyncio

from cloister.messages import Trace, log_list, tail_channel
from cloister.outcomes import Outcome
from executor import redaction
from executor.traces import MAX_SUBREQUESTS, Record, Traces, fetch_event


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of a real server."""
    made = redis.asyncio.Redis.from_url(redis_url)
    yield made
    await made.aclose()


def trace(record: Record | None = None, **more: Any) -> Trace:
    """A finished record."""
    made = record or Record(1000)
    values = {"id_": "i", "names": ("ns", "w", "v"), "event": {}, "outcome": Outcome.OK}
    return made.trace(**{**values, **more})


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("Cookie", True),
        ("Set-Cookie", True),
        ("Authorization", True),
        ("x-api-key", True),
        ("X-Secret-Thing", True),
        ("csrf-Token", True),
        ("x-jwt", True),
        ("accept", False),
        ("user-agent", False),
    ],
)
def test_headers_that_hold_credentials(name: str, hidden: bool) -> None:
    """The product's rule: by fragments of the name."""
    assert (redaction.header_value(name, "value") == redaction.REDACTED) is hidden


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://x/" + "0123456789abcdef" * 2, "http://x/REDACTED"),
        ("http://x/" + "0123456789abcdef" * 2 + "?a=b", "http://x/REDACTED?a=b"),
        ("http://x/8f14e45f-ceea-467f-9b5a-3c1b2a1d0e9f", "http://x/REDACTED"),
        ("http://x/0123456789abcdef", "http://x/0123456789abcdef"),
        ("http://x/?t=AAbb11" + "c" * 15, "http://x/?t=REDACTED"),
        (
            "http://x/a-very-long-readable-path-segment",
            "http://x/a-very-long-readable-path-segment",
        ),
        ("http://x/AAbb11", "http://x/AAbb11"),
    ],
)
def test_ids_in_urls(url: str, shown: str) -> None:
    """Long hexadecimal and base-64 runs work like passwords; words do not."""
    assert redaction.url(url) == shown


def test_the_event_is_redacted() -> None:
    """Neither URL nor headers of a record give away what the request carried."""
    event = fetch_event("GET", "http://x/" + "ab" * 16, [("cookie", "s=1"), ("accept", "a")], None)
    assert event["request"] == {
        "method": "GET",
        "url": "http://x/REDACTED",
        "headers": {"cookie": "REDACTED", "accept": "a"},
    }


def test_log_lines_are_plain() -> None:
    """Whatever an isolate sends as a log line, the record can be written."""
    record = Record(10_000)
    record.log("log", ["text", 1, None, 1.5, True], 1)
    record.log("loud", [{"a": [1]}, msgspec.msgpack.Ext(5, b"x"), b"bytes", float("nan")], 2**70)
    logs = msgspec.json.decode(msgspec.json.encode(trace(record)))["logs"]
    assert logs[0] == {"timestamp": 1, "level": "log", "message": ["text", 1, None, 1.5, True]}
    assert logs[1]["level"] == "log"
    assert logs[1]["message"][0] == '{"a":[1]}'


def test_bounds() -> None:
    """Log text, exceptions and subrequests are bounded, and the record says what is missing."""
    record = Record(100)
    record.log("log", ["x" * 80], 1)
    for _ in range(100):
        record.log("log", [], 1)
    record.exception("E", "y" * 20_000)
    made = trace(record)
    assert (len(made.logs), len(made.exceptions), made.truncated) == (1, 1, True)
    assert len(made.exceptions[0].message) == 8 * 1024
    record = Record(100_000)
    for _ in range(MAX_SUBREQUESTS + 1):
        record.subrequest("GET", "http://x/", 200, 1.0)
    made = trace(record)
    assert (len(made.subrequests), made.truncated) == (MAX_SUBREQUESTS, True)


async def test_records_are_kept_and_told(client: redis.asyncio.Redis) -> None:
    """Newest first, no more than wanted, as camelCase JSON; and live to who watches."""
    async with client.pubsub(ignore_subscribe_messages=True) as watching:
        await watching.subscribe(tail_channel("ns", "w"))
        await watching.get_message(timeout=5)
        traces = Traces(client, kept=3)
        for n in range(5):
            traces.write(trace(id_=str(n)))
        await traces.drain()
        kept = [
            msgspec.json.decode(data) for data in await client.lrange(log_list("ns", "w"), 0, -1)
        ]
        assert [each["id"] for each in kept] == ["4", "3", "2"]
        assert {"scriptName", "dispatchNamespace", "eventTimestamp", "cpuMs"} <= kept[0].keys()
        seen = []
        while len(seen) < 5:
            message = await watching.get_message(timeout=5)
            if message is not None:
                seen.append(msgspec.json.decode(message["data"])["id"])
        assert seen == ["0", "1", "2", "3", "4"]


async def test_a_server_that_is_away_costs_records_only() -> None:
    """Nothing waits for it and nothing fails."""
    away = redis.asyncio.Redis(unix_socket_path="/nonexistent", retry=None)
    traces = Traces(away, kept=3)
    traces.write(trace())
    await asyncio.wait_for(traces.drain(), 5)
    await away.aclose()
