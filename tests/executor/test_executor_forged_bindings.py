"""A worker of the full language that asks its bindings for what no runtime of ours would ask.

Whatever it says is answered, as refused or as done; the executor's own log has no word of it.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from executor_house import ACCOUNT, House, house, worker
from executor_objects import deploy

from cloister.languages import FULL
from cloister.limits import Limits
from cloister.registry.queue_views import QueueSettings

LIMITS = Limits(cpu_ms=5_000, memory_mb=128, wall_ms=60_000, subrequests=10_000)

METHODS = {
    "COUNTERS": "idFromName idFromString newUniqueId increment fetch alarm nothing",
    "DB": "batch exec nothing",
    "JOBS": "send sendBatch nothing",
    "BUCKET": (
        "head get put delete list createMultipartUpload uploadPart completeMultipartUpload "
        "abortMultipartUpload nothing"
    ),
    "RL": "limit nothing",
    "SET": "write nothing",
    "SECRET": "get nothing",
    "KV": "get get_many put delete list nothing",
    "caches.": "match put delete nothing",
    "ctx.storage": (
        "get put delete list clear sql size begin commit rollback get_alarm set_alarm "
        "delete_alarm sync nothing"
    ),
}
"""By target."""

CASES = [(target, method) for target, methods in METHODS.items() for method in methods.split()]

FORGER = """
import json, os, select, sys
from workers import DurableObject, Response, WorkerEntrypoint


def runtime():
    frame = sys._getframe()
    while "_DONE" not in frame.f_globals:
        frame = frame.f_back
    return frame.f_globals


OPTIONAL = ("COUNTERS", "BUCKET", "KV", "caches.")


def values(frames):
    raw, odd = frames.raw, frames.Raw
    yield from map(odd, (b"\\xc0", b"\\x80", b"\\x90", b"\\x91\\xa1\\xff"))
    yield odd(b"\\x91" * 500 + b"\\xc0")
    yield from map(raw, ([None], ["k"], [["k"]], [[["k"]]], [{}], [[{}]], [2**64 - 1], [-(2**63)]))
    yield from map(raw, (["k", b"v"], ["k", "u"], ["k", "u", 1, b"v"], ["k", "u", -1, b"v"]))
    yield from map(raw, (["k", "u", [[1, "e"], [1, "e"]]], ["k", "u", [[2**64 - 1, ""]]]))
    yield from map(raw, (["\\0"], ["k" * 100_000], [["k"] * 5_000], ["\\0", b"v"], [["\\0"]], [""]))
    yield raw([[[b"x", "json", 2**63]]])
    yield raw([[[b"x", "json", None]]])
    yield raw([[{"sql": "SELECT 1", "params": [2**64 - 1, {}, [1]]}]])
    yield raw([{"blobs": ["\\0"], "doubles": [1e308 * 10, float("nan")], "indexes": ["\\0"]}])
    yield raw([{"doubles": [1.0] * 21}])
    head = {"status": 2**64 - 1, "headers": [["cache-control", "max-age=9"]] * 9, "body": b"x"}
    yield raw([{"url": "http://x/"}, head])
    yield raw([{"url": "", "method": "\\0", "headers": [["a\\r\\n", "b"]], "stream": 9}])
    headers = [["range", "bytes=9-1"], ["if-modified-since", "1"]]
    yield raw([{"url": "http://x/", "headers": headers}])


def options(frames):
    raw, odd = frames.raw, frames.Raw
    yield from map(odd, (b"\\x80", b"\\xc0", b"\\x90", b"\\x81\\xa1\\xff\\xc0"))
    yield from map(raw, ({"stream": "x"}, {"cache": "\\0", "ignore_method": True}, {"cache": "c"}))
    yield from map(raw, ({"object": {}}, {"object": {"name": "a"}}, {"object": {"id": "../x"}}))
    yield from map(raw, ({"object": {"id": "0" * 64}}, {"object": {"name": "n" * 5_000}}))
    yield from map(raw, ({"limit": -1}, {"limit": 2**63, "cursor": "/"}, {"cursor": "\\0"}))
    yield from map(raw, ({"prefix": "\\0", "delimiter": "\\0", "start_after": "\\0"},))
    yield raw({"range": {"offset": -1, "length": -1}})
    yield raw({"range": {"suffix": 2**64 - 1}, "range_header": "bytes=9-1"})
    yield raw({"only_if": {"uploaded_before": 2**64 - 1, "etag_matches": ["\\0"]}})
    yield raw({"if_headers": {"if-modified-since": "Mon, 99 Foo 99999 99:99:99 +9999"}})
    yield raw({"checksums": {"md5": "\\0"}})
    yield raw({"http_metadata": {"cacheExpiry": "never"}, "custom_metadata": {"\\0": "\\0"}})
    yield raw({"expiration": -(2**63), "metadata": [[]]})
    yield raw({"expiration_ttl": 2**63, "cache_ttl": -1})


def calls(frames, target, method):
    for arguments in values(frames):
        for said in options(frames) if target in OPTIONAL else (frames.NO_OPTIONS,):
            yield dict(target=target, method=method, arguments=arguments, options=said)


def packed(known, some):
    frame = known["frames"].Call
    return memoryview(b"".join(known["pack"](frame(call=n, **each)) for n, each in enumerate(some)))


def ask(target, method):
    known = runtime()
    unpacker = known["Channel"]()._unpacker
    told = {}
    asked = list(calls(known["frames"], target, method))
    for start in range(0, len(asked), 100):
        some = asked[start : start + 100]
        data, left = packed(known, some), len(some)
        while left:
            _, writable, _ = select.select([3], [3] if data else [], [])
            if writable:
                data = data[os.write(3, data) :]
            if select.select([3], [], [], 0)[0]:
                for frame, _ in unpacker.feed(os.read(3, 1 << 20)):
                    left -= 1
                    kind = getattr(frame, "kind", "done")
                    if getattr(frame, "message", "") == "internal error":
                        kind = "internal error"
                        told[str(some[frame.call])[:300]] = 1
                    told[kind] = told.get(kind, 0) + 1
    return told


class Counter(DurableObject):
    async def increment(self, *arguments):
        return 1

    async def forge(self, method):
        return ask("ctx.storage", method)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        target, method = (await request.text()).split()
        if target == "ctx.storage":
            told = await self.env.COUNTERS.getByName("forger").forge(method)
        else:
            told = ask(target, method)
        return Response(json.dumps(told))
"""


@pytest.fixture(scope="module")
def forging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An executor; a namespace of the full language with the forger, which has every binding."""
    with house(tmp_path_factory.mktemp("house"), blank_isolates=2) as made:
        made.namespace("full")
        made.registry.namespaces.set_language("full", FULL)
        made.deploy("full", "neighbour", worker("return Response('well')"))
        deploy(made, "full", FORGER, bindings=_bindings(made), limits=LIMITS)
        yield made
        assert "Traceback" not in "".join(made.output)


def _bindings(made: House) -> list[dict[str, Any]]:
    registry = made.registry
    registry.queues.create(ACCOUNT, "jobs", QueueSettings())
    registry.r2.create(ACCOUNT, "files", location="weur", storage_class="Standard")
    database = registry.databases.create(ACCOUNT, "shop").id
    limit = {"limit": 9, "period": 10}
    store = registry.kv.namespaces.create(ACCOUNT, "pairs").id
    return [
        {"type": "d1", "name": "DB", "database_id": database},
        {"type": "queue", "name": "JOBS", "queue_name": "jobs"},
        {"type": "r2_bucket", "name": "BUCKET", "bucket_name": "files"},
        {"type": "ratelimit", "name": "RL", "namespace_id": "1", "simple": limit},
        {"type": "analytics_engine", "name": "SET", "dataset": "points"},
        {"type": "secrets_store_secret", "name": "SECRET", "store_id": "0", "secret_name": "s"},
        {"type": "kv_namespace", "name": "KV", "namespace_id": store},
    ]


@pytest.mark.parametrize(("target", "method"), CASES)
def test_what_it_asks_of_a_binding(forging: House, target: str, method: str) -> None:
    """Each question has an answer, none of which says that something of ours went wrong; and the
    neighbour is served as ever."""
    answer = forging.call("full", "main", method="POST", body=f"{target} {method}".encode())
    assert answer.failure is None
    told = json.loads(answer.body)
    assert told
    assert "internal error" not in told, told
    assert forging.call("full", "neighbour").body == b"well"
