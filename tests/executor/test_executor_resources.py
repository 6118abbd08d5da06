"""Rate limits, datasets, secrets of stores and version metadata, from inside a real isolate."""

import json
import time
from typing import Any

import msgspec
import pytest
from executor_house import ACCOUNT, House, worker

from cloister.registry.points import Point
from cloister.registry.secret_stores import NewSecret

OTHER = "b" * 32


def limiter(counter: str, limit: int, period: int = 60, **more: int) -> dict[str, Any]:
    simple = {"limit": limit, "period": period, **more}
    return {"type": "ratelimit", "name": "RL", "namespace_id": counter, "simple": simple}


LIMIT = worker(
    """
key = request.url.partition("?")[2]
return Response(str((await self.env.RL.limit({"key": key})).success))
"""
)


def test_a_rate_limit(shared: House, namespace: str) -> None:
    """So many calls with a key succeed in a period, in whichever Worker of the account they are; a
    key, and an id, of another name has a count of its own."""
    shared.deploy(namespace, "one", LIMIT, bindings=[limiter("7001", 3)])
    shared.deploy(namespace, "two", LIMIT, bindings=[limiter("7001", 3)])
    shared.deploy(namespace, "other", LIMIT, bindings=[limiter("7002", 3)])

    def limit(script: str, key: str) -> bytes:
        return shared.call(namespace, script, url=f"http://{script}.localhost/?{key}").body

    assert [limit(script, "k") for script in ("one", "two", "one", "two", "one")] == [
        *[b"True"] * 3,
        *[b"False"] * 2,
    ]
    assert limit("one", "l") == b"True"
    assert limit("other", "k") == b"True"


def test_counters_go(shared: House, namespace: str) -> None:
    """A counter lives for its period; who goes over the limit is blocked for as long as the
    binding says. No tenant's key is in the store, however long it is."""
    bindings = [limiter("7003", 1, 10, mitigation_timeout=600)]
    shared.deploy(namespace, "one", LIMIT, bindings=bindings)
    before = set(shared.redis.keys("ratelimit:*"))
    shared.call(namespace, "one", url=f"http://one.localhost/?{'k' * 5000}")
    (counter,) = set(shared.redis.keys("ratelimit:*")) - before
    assert len(counter) < 64
    assert 0 < shared.redis.ttl(counter) <= 10
    shared.call(namespace, "one", url=f"http://one.localhost/?{'k' * 5000}")
    assert 10 < shared.redis.ttl(counter) <= 600


@pytest.mark.parametrize("call", ["limit()", "limit({'key': 1})", "limit({'name': 'k'})"])
def test_a_rate_limit_needs_a_key(shared: House, namespace: str, call: str) -> None:
    """Anything else is a TypeError in the worker."""
    source = worker(
        f"""
try:
    await self.env.RL.{call}
except TypeError as error:
    return Response(str(error), status=400)
return Response("taken")
"""
    )
    shared.deploy(namespace, "w", source, bindings=[limiter("7004", 1)])
    assert shared.call(namespace, "w").status == 400


def test_data_points(shared: House, namespace: str) -> None:
    """Points that a handler writes without waiting are there for the operator soon after, with
    what the handler said and who it was."""
    source = worker(
        """
self.env.AE.writeDataPoint({"blobs": ["Z\\u00fcrich", None, b"raw"], "doubles": [1, 2.5],
                            "indexes": ["k"]})
self.env.AE.writeDataPoint(blobs=["second"])
self.env.AE.writeDataPoint({})
return Response("written")
"""
    )
    dataset = f"d_{namespace.replace('-', '_')}"
    binding = {"type": "analytics_engine", "name": "AE", "dataset": dataset}
    shared.deploy(namespace, "w", source, bindings=[binding])
    assert shared.call(namespace, "w").body == b"written"
    points = shared.wait_for(lambda: _points(shared, dataset))
    assert [(p.index, p.blobs, p.doubles) for p in points] == [
        ("k", ["Zürich", None, "raw"], [1.0, 2.5]),
        (None, ["second"], []),
        (None, [], []),
    ]
    assert {(p.namespace, p.script) for p in points} == {(namespace, "w")}
    assert not _points(shared, dataset, OTHER)


def _points(shared: House, dataset: str, account: str = ACCOUNT) -> list[Point]:
    until = int(time.time() * 1000) + 1
    lines = shared.registry.points.lines(account, dataset, since=0, until=until, limit=100)
    return [msgspec.json.decode(line, type=Point) for line in lines]


@pytest.mark.parametrize(
    "point",
    [
        "{'blobs': ['x'] * 21}",
        "{'doubles': [1] * 21}",
        "{'indexes': ['a', 'b']}",
        "{'indexes': ['x' * 97]}",
        "{'blobs': ['x' * 16385]}",
        "{'blobs': [1]}",
        "{'doubles': ['1']}",
        "{'blobs': 'x'}",
    ],
)
def test_points_that_are_none(shared: House, namespace: str, point: str) -> None:
    """A point beyond the product's limits is a TypeError at once."""
    source = worker(
        f"""
try:
    self.env.AE.writeDataPoint({point})
except TypeError as error:
    return Response(str(error), status=400)
return Response("taken")
"""
    )
    binding = {"type": "analytics_engine", "name": "AE", "dataset": "refused"}
    shared.deploy(namespace, "w", source, bindings=[binding])
    assert shared.call(namespace, "w").status == 400


def test_points_of_an_invocation_are_counted(shared: House, namespace: str) -> None:
    """250 are written, the others are not, and the log says so; the handler goes on."""
    source = worker("for _ in range(252): self.env.AE.writeDataPoint({})\nreturn Response('on')")
    dataset = f"many_{namespace.replace('-', '_')}"
    binding = {"type": "analytics_engine", "name": "AE", "dataset": dataset}
    shared.deploy(namespace, "w", source, bindings=[binding])
    assert shared.call(namespace, "w").body == b"on"

    def written() -> int:
        found = {each.name: each.points for each in shared.registry.points.datasets(ACCOUNT)}
        return found.get(dataset, 0)

    assert shared.wait_for(written) == 250
    (trace,) = shared.traces(namespace, "w")
    assert len([line for line in trace.logs if "at most 250" in str(line.message)]) == 2


SECRET = worker(
    """
try:
    return Response(await self.env.S.get())
except Exception as error:
    return Response(str(error), status=404)
"""
)


def test_a_secret_of_a_store(shared: House, namespace: str) -> None:
    """A worker reads what is there now: an edit needs no deploy, a deleted one is an exception."""
    stores = shared.registry.secret_stores
    store = stores.create(ACCOUNT, f"store-{namespace}").id
    new = NewSecret(name="key", value="first", scopes=["workers"])
    (secret,) = stores.add(ACCOUNT, store, [new])
    binding = {
        "type": "secrets_store_secret",
        "name": "S",
        "store_id": store,
        "secret_name": "key",
    }
    shared.deploy(namespace, "w", SECRET, bindings=[binding])
    assert shared.call(namespace, "w").body == b"first"
    stores.edit(ACCOUNT, store, secret.id, value="second")
    assert shared.call(namespace, "w").body == b"second"
    stores.edit(ACCOUNT, store, secret.id, scopes=["access"])
    assert shared.call(namespace, "w").status == 404
    stores.remove(ACCOUNT, store, secret.id)
    answer = shared.call(namespace, "w")
    assert (answer.status, answer.body) == (404, b'Secret "key" not found')


def test_a_secret_of_another_account(shared: House, namespace: str) -> None:
    """However a binding to it came to be, it is not read."""
    shared.registry.accounts.ensure(OTHER, "other")
    stores = shared.registry.secret_stores
    store = stores.create(OTHER, f"store-{namespace}").id
    stores.add(OTHER, store, [NewSecret(name="key", value="theirs", scopes=["workers"])])
    assert stores.value(OTHER, store, "key") == "theirs"
    binding = {
        "type": "secrets_store_secret",
        "name": "S",
        "store_id": store,
        "secret_name": "key",
    }
    shared.deploy(namespace, "w", SECRET, bindings=[binding])
    assert shared.call(namespace, "w").status == 404


def test_version_metadata(shared: House, namespace: str) -> None:
    """A worker knows its version, when it was made, and that it has no tag; while it is tried at
    upload, the fields are there and empty."""
    source = worker(
        """
import json
v = self.env.V
return Response(json.dumps([v.id, v.tag, v.timestamp, AT_UPLOAD]))
""",
        top="from workers import env\nAT_UPLOAD = type(env.V.id).__name__",
    )
    binding = {"type": "version_metadata", "name": "V"}
    digest, compiled = shared.compile(("worker.py", source), bindings=[binding])
    assert not compiled.errors, (digest, compiled)
    version = shared.deploy(namespace, "w", source, bindings=[binding], compile_first=False)
    found, tag, timestamp, at_upload = json.loads(shared.call(namespace, "w").body)
    assert (found, tag, at_upload) == (version, "", "str")
    assert timestamp.endswith("Z")
