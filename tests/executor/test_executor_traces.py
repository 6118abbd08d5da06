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
from executor.isolate.frames import Invoke
from executor.isolate.text import MAX_LINES, cut, json_bytes
from executor.traces import (
    EXCEPTION_BYTES,
    HEADER_BYTES,
    MAX_EXCEPTIONS,
    MAX_SUBREQUESTS,
    MAX_URL_BYTES,
    MESSAGE_BYTES,
    Record,
    Traces,
    event_of,
    fetch_event,
)


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
    record.log("warn", "text", 1)
    record.log("loud", "\x00\U0001f600", 2**70)
    logs = msgspec.json.decode(msgspec.json.encode(trace(record)))["logs"]
    assert logs[0] == {"timestamp": 1, "level": "warn", "message": ["text"]}
    assert (logs[1]["level"], logs[1]["message"]) == ("log", ["\x00\U0001f600"])
    assert logs[1]["timestamp"] < 2**53


@pytest.mark.parametrize("text", ["", "x", "\x01" * 50, '"' * 50, "\U0001f600" * 50, "x" * 2_000])
def test_the_log_of_a_record_costs_no_more_than_its_bound(text: str) -> None:
    """Empty lines, escapes and the like included: in bytes of the record as it is kept. Most of the
    bound can be used."""
    record, empty = Record(20_000), trace(Record(20_000))
    for _ in range(20_000):
        record.log("error", text, 2**53 - 1)
    made = trace(record)
    size = len(msgspec.json.encode(made)) - len(msgspec.json.encode(empty))
    assert made.truncated
    assert 15_000 < size <= 20_000


def test_an_isolate_that_cut_its_log_off_says_so() -> None:
    """The record is marked although every line that came is in it."""
    record = Record(10_000)
    record.log("log", "one", 1)
    assert not trace(record).truncated
    record.log("warn", "[log truncated]", 1, last=True)
    made = trace(record)
    assert (len(made.logs), made.truncated) == (2, True)


def test_lines_are_bounded_too() -> None:
    """However much text may be kept."""
    record = Record(10**9)
    for _ in range(MAX_LINES + 1):
        record.log("log", "", 1)
    assert not trace(record).truncated
    record.log("log", "", 1)
    made = trace(record)
    assert (len(made.logs), made.truncated) == (MAX_LINES + 1, True)


def test_bounds() -> None:
    """Exceptions and subrequests are bounded, and the record says if something is missing."""
    record = Record(0)
    for _ in range(MAX_EXCEPTIONS):
        record.exception("E" * 1_000, "\x01" * 20_000, "\x01" * 40_000)
    made = trace(record)
    assert len(made.exceptions) == MAX_EXCEPTIONS
    assert made.exceptions[0].stack
    assert made.truncated
    assert len(msgspec.json.encode(made)) < EXCEPTION_BYTES + 2_000
    record = Record(100_000)
    for _ in range(MAX_SUBREQUESTS):
        record.subrequest("GET", "http://x/", 200, 1.0)
    assert not trace(record).truncated
    record.subrequest("GET", "http://x/", 200, 1.0)
    made = trace(record)
    assert (len(made.subrequests), made.truncated) == (MAX_SUBREQUESTS, True)


def test_an_exception_of_usual_size_is_whole() -> None:
    """The twin: nothing of it is cut off."""
    record = Record(0)
    record.exception("ValueError", "m" * 8_000, "s" * 30_000)
    made = trace(record)
    assert (len(made.exceptions[0].message), len(made.exceptions[0].stack)) == (8_000, 30_000)
    assert not made.truncated


def test_long_requests_are_cut_off() -> None:
    """A record keeps so much of URL and headers, however much a visitor sends, and says so."""
    headers = [(f"name-{n}", "\x80v" * 1_000) for n in range(60)]
    event = fetch_event("M" * 9_000, "http://x/" + "\x01" * 100_000, headers, None)
    assert event["request"]["headersTruncated"]
    assert 1 <= len(event["request"]["headers"]) < 60
    assert len(msgspec.json.encode(event)) < HEADER_BYTES + MAX_URL_BYTES + 200
    event = fetch_event("GET", "http://x/" + "-" * 2_000, headers[:2], None)
    assert "headersTruncated" not in event["request"]
    assert len(event["request"]["headers"]) == 2
    assert len(event_of(Invoke(handler="m" * 100_000))["rpcMethod"]) < 300


@pytest.mark.parametrize("text", ["", "plain", "\x01\x02\x03", "\U0001f600" * 9, 'a"b' * 9])
def test_cutting_text(text: str) -> None:
    """The longest start that fits, whatever its characters cost."""
    for limit in range(json_bytes(text) + 2):
        start = cut(text, limit)
        assert text.startswith(start)
        assert not start or json_bytes(start) <= limit
        assert start == text or json_bytes(text[: len(start) + 1]) > limit


async def test_records_are_kept_and_told(client: redis.asyncio.Redis) -> None:
    """Newest first, no more than wanted, as camelCase JSON; and live to who watches."""
    async with client.pubsub(ignore_subscribe_messages=True) as watching:
        await watching.subscribe(tail_channel("ns", "w"))
        await watching.get_message(timeout=5)
        traces = Traces(client, kept=3)
        for n in range(5):
            traces.write(trace(id_=str(n)))
        await traces.close()
        kept = [
            msgspec.json.decode(data) for data in await client.lrange(log_list("ns", "w"), 0, -1)
        ]
        assert [each["id"] for each in kept] == ["4", "3", "2"]
        assert {"scriptName", "dispatchNamespace", "eventTimestamp", "cpuMs"} <= kept[0].keys()
        seen = []
        while len(seen) < 5:
            message = await watching.get_message(timeout=5)
            if message is not None:
                lines = message["data"].splitlines()
                seen += [msgspec.json.decode(line)["id"] for line in lines]
        assert seen == ["0", "1", "2", "3", "4"]


async def test_no_message_to_those_who_watch_is_long(client: redis.asyncio.Redis) -> None:
    """Large records are told in messages of their own: a watcher's buffer is bounded."""
    async with client.pubsub(ignore_subscribe_messages=True) as watching:
        await watching.subscribe(tail_channel("ns", "w"))
        await watching.get_message(timeout=5)
        traces = Traces(client, kept=9)
        for n in range(5):
            traces.write(trace(id_=str(n) * (MESSAGE_BYTES // 2)))
        await traces.close()
        lengths: list[int] = []
        while sum(lengths) < 5:
            message = await watching.get_message(timeout=5)
            if message is not None:
                lengths.append(len(message["data"].splitlines()))
        assert lengths == [1] * 5


async def test_a_server_that_is_away_costs_records_only() -> None:
    """Nothing waits for it and nothing fails."""
    away = redis.asyncio.Redis(unix_socket_path="/nonexistent", retry=None)
    traces = Traces(away, kept=3)
    traces.write(trace())
    await asyncio.wait_for(traces.close(), 5)
    await away.aclose()
