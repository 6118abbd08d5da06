"""Records of invocations: the last ones, and the live stream."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import redis

from cloister.messages import LogLine, Trace, log_list, tail_channel
from cloister.outcomes import Outcome

S = "/workers/dispatch/namespaces/production/scripts/hello"

Upload = Callable[..., httpx.Response]


def trace(number: int) -> bytes:
    return msgspec.json.encode(
        Trace(
            id=f"t{number}",
            script_name="hello",
            dispatch_namespace="production",
            script_version="v",
            event_timestamp=1_700_000_000_000,
            event={"request": {"method": "GET", "url": "http://hello.localhost/"}},
            outcome=Outcome.OK,
            logs=[LogLine(timestamp=1, level="log", message=["line\none"])],
        )
    )


def test_last_records_newest_first(api: httpx.Client, upload: Upload, valkey: redis.Redis) -> None:
    """The endpoint gives the records as written, up to the limit."""
    upload("hello")
    for number in range(5):
        valkey.lpush(log_list("production", "hello"), trace(number))
    body = api.get(f"{S}/logs?limit=3").json()
    assert [record["id"] for record in body["result"]] == ["t4", "t3", "t2"]
    assert body["result"][0]["scriptName"] == "hello"
    assert api.get(f"{S}/logs?limit=0").status_code == 400


def test_tail_streams_records(
    api: httpx.Client, upload: Upload, valkey: redis.Redis, stopping: threading.Event
) -> None:
    """What is published after the stream began arrives as an event; it ends with the process."""
    upload("hello")
    with api.stream("GET", f"{S}/tail", timeout=20) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert next(lines).startswith(":")
        told = b"\n".join((trace(1), trace(2)))
        assert valkey.publish(tail_channel("production", "hello"), told) == 1
        for id_ in ("t1", "t2"):
            data = next(line for line in lines if line.startswith("data: "))
            assert msgspec.json.decode(data.removeprefix("data: "))["id"] == id_
        stopping.set()
        assert list(lines)[-1:] in ([], [""])


def test_open_streams_are_bounded(api: httpx.Client, upload: Upload, app: Any) -> None:
    """Where no place is left, a tail is 429 in the envelope; the API goes on."""
    upload("hello")
    streams = app.extensions["cloister"].streams
    while streams.acquire(blocking=False):
        pass
    response = api.get(f"{S}/tail")
    assert response.status_code == 429
    assert response.json()["errors"][0]["code"] == 10429
    assert api.get(S).status_code == 200
