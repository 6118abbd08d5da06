"""Tail workers get the records of others, off their path and within bounds."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
from executor_fakes import bundle
from executor_house import ACCOUNT, House, worker
from executor_objects import deploy
from executor_objects import worker as objects_worker

from cloister.limits import Limits
from cloister.messages import Invocation, ObjectCall, Trace
from cloister.outcomes import Outcome
from cloister.registry.names import plain_namespace
from cloister.registry.views import NamespaceView, Route
from cloister.settings import Settings
from executor import tails
from executor.objects import ids
from executor.tails import LINE_BYTES, Tails
from executor.work import Ended

TAIL = """
import json
from workers import WorkerEntrypoint, Response

class Default(WorkerEntrypoint):
    async def tail(self, events, env, ctx):
        for item in events:
            print(item.scriptName, item.outcome, json.dumps([len(events), item]))
"""
SAYS = worker('print("said", request.method)\nreturn Response("ok")')


def tailed(shared: House, namespace: str, script: str, *consumers: dict[str, str]) -> None:
    """Have those workers get the records of this one."""
    id_ = shared.registry.namespaces.get(ACCOUNT, namespace).id
    shared.registry.scripts.configure(id_, script, {"tail_consumers": list(consumers)})


def lines(shared: House, namespace: str, script: str, count: int) -> list[str]:
    """What a worker has logged, once that is so much."""

    def said() -> list[str]:
        found = shared.traces(namespace, script, 0)
        return [line.message[0] for each in reversed(found) for line in each.logs]

    shared.wait_for(lambda: len(said()) >= count)
    return said()


def test_records_of_another_worker(shared: House, namespace: str) -> None:
    """A request's record, an uncaught exception, and that of a worker called by another, in the
    product's shape; a consumer may be in the namespace or a plain Worker. Its own invocation is in
    its log, and no consumer's: the two that tail each other are not called for ever."""
    for place in (namespace, plain_namespace(ACCOUNT)):
        shared.deploy(place, "watcher", TAIL)
    shared.deploy(namespace, "says", SAYS)
    shared.deploy(namespace, "fails", worker('raise ValueError("no")'))
    here = {"service": "watcher", "namespace": namespace}
    tailed(shared, namespace, "says", here, {"service": "watcher"})
    tailed(shared, namespace, "fails", here)
    tailed(shared, namespace, "watcher", {"service": "watcher"})
    headers = [("host", "says.localhost"), ("x-token", "hush")]
    shared.call(namespace, "says", headers=headers)
    (line,) = lines(shared, plain_namespace(ACCOUNT), "watcher", 1)
    assert line.startswith("says ok ")
    count, item = msgspec.json.decode(line.removeprefix("says ok "))
    assert count == 1
    assert item["dispatchNamespace"] == namespace
    assert item["logs"][0]["message"] == ["said GET"]
    assert item["event"]["request"]["url"] == "http://says.localhost/"
    assert item["event"]["request"]["headers"] == {"host": "says.localhost", "x-token": "REDACTED"}
    assert item["event"]["response"] == {"status": 200}
    shared.call(namespace, "fails")
    _, failed = lines(shared, namespace, "watcher", 2)
    _, item = msgspec.json.decode(failed.removeprefix("fails exception "))
    assert (item["exceptions"][0]["name"], item["exceptions"][0]["message"]) == ("ValueError", "no")
    own = shared.traces(namespace, "watcher", 2)
    assert own[0].event == {"consumedEvents": [{"scriptName": "fails"}]}
    assert len(lines(shared, plain_namespace(ACCOUNT), "watcher", 1)) == 1


def test_no_records_of_an_object_that_a_tail_worker_calls(shared: House, namespace: str) -> None:
    """Whichever executor runs it: the two would call each other for ever. The twin: of one that a
    request leads to."""
    shared.deploy(namespace, "watcher", TAIL)
    class_id = deploy(shared, namespace, objects_worker("return Response('')"))
    tailed(shared, namespace, "main", {"service": "watcher", "namespace": namespace})
    found = shared.registry.objects.namespace(class_id)
    assert found is not None
    for name, is_tail in (("by-tail", True), ("by-request", False)):
        id_ = ids.from_name(found.key, name)
        called = ObjectCall(namespace_id=class_id, id=id_, name=name, is_tail=is_tail)
        answer = shared.call(namespace, "main", object=called)
        assert answer.body.decode() == f"{name} GET "
    (line,) = lines(shared, namespace, "watcher", 1)
    assert line.startswith("main ok [1, ")


def test_a_tail_worker_that_fails_costs_its_producer_nothing(shared: House, namespace: str) -> None:
    """It has no handler, raises, or is not there: requests are answered as if it were not."""
    shared.deploy(namespace, "deaf", SAYS)
    shared.deploy(
        namespace,
        "raises",
        TAIL.replace("for item in events:", "raise ValueError(1)\n        for item in events:"),
    )
    shared.deploy(namespace, "says", SAYS)
    names = ("deaf", "raises", "missing")
    tailed(shared, namespace, "says", *({"service": n, "namespace": namespace} for n in names))
    assert shared.call(namespace, "says").body == b"ok"
    (deaf,) = shared.traces(namespace, "deaf")
    assert "does not export a handler tail()" in deaf.exceptions[0].message
    assert shared.traces(namespace, "raises")[0].outcome is Outcome.EXCEPTION
    assert shared.call(namespace, "says").body == b"ok"


# The bounds:


class Host:
    """An executor whose tail worker ends when it is told to."""

    def __init__(self, owner: str = "a") -> None:
        self.settings = Settings()
        self.owner = owner
        self.runs: list[tuple[Invocation, str, asyncio.Future[Any]]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.came = asyncio.Event()

    async def route(self, namespace: str, script: str) -> Route | None:
        return Route(
            namespace=namespace,
            script=script,
            version="t",
            trusted=False,
            namespace_limits=Limits(),
            script_limits=Limits(),
            outbound=None,
        )

    async def namespace(self, name: str) -> NamespaceView | None:
        return NamespaceView(id="n", account_id=self.owner, name=name)

    def run_tail(self, invocation: Invocation, note: str) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.runs.append((invocation, note, future))
        self.came.set()
        return future

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)

    async def next(self) -> tuple[list[Any], str, "asyncio.Future[Any]"]:
        async with asyncio.timeout(10):
            await self.came.wait()
        self.came.clear()
        invocation, note, future = self.runs[-1]
        return msgspec.msgpack.decode(invocation.event)["items"], note, future


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records wait for no others."""
    monkeypatch.setattr(tails, "GATHER_S", 0.0)


WATCHED = msgspec.structs.replace(bundle(), tails=[("ns", "watcher")])


def trace(id_: str, size: int = 0) -> Trace:
    return Trace(
        id=id_,
        script_name=id_,
        dispatch_namespace="ns",
        script_version="v",
        event_timestamp=1,
        event={"padding": "x" * size},
        outcome=Outcome.OK,
    )


def told(count: int, size: int = 0) -> Callable[[Tails], None]:
    def tell(to: Tails) -> None:
        for number in range(count):
            to.tell(WATCHED, trace(str(number), size))

    return tell


@pytest.mark.usefixtures("at_once")
async def test_batches_follow_one_another() -> None:
    """While one is under way the others wait; a batch has a hundred records at most."""
    host = Host()
    made = Tails(host, host.spawn)
    told(150)(made)
    items, note, done = await host.next()
    assert ([item["scriptName"] for item in items], note) == ([str(n) for n in range(100)], "")
    assert len(host.runs) == 1
    done.set_result(None)
    items, _, done = await host.next()
    assert len(items) == 50
    done.set_result(None)
    await asyncio.gather(*host.tasks)
    assert len(host.runs) == 2


@pytest.mark.usefixtures("at_once")
async def test_a_slow_one_loses_what_is_too_much() -> None:
    """Of what it does not keep up with a few megabytes wait; it is told of the rest."""
    host = Host()
    made = Tails(host, host.spawn)
    told(1)(made)
    _, _, done = await host.next()
    size = LINE_BYTES // 8
    told(10, size)(made)
    done.set_result(None)
    seen = 0
    notes = []
    while seen < 7:
        items, note, done = await host.next()
        seen += len(items)
        notes.append(note)
        done.set_result(None)
    await asyncio.gather(*host.tasks)
    assert seen == 7
    assert [note for note in notes if note] == ["3 earlier trace events were lost"]


@pytest.mark.usefixtures("at_once")
async def test_a_failing_one_loses_its_batch() -> None:
    """Nothing is tried twice; the next batch says how much was lost."""
    host = Host()
    made = Tails(host, host.spawn)
    told(3)(made)
    _, _, done = await host.next()
    done.set_exception(Ended(Outcome.EXCEPTION))
    await asyncio.gather(*host.tasks)
    told(1)(made)
    items, note, done = await host.next()
    assert (len(items), note) == (1, "3 earlier trace events were lost")
    done.set_result(None)
    await asyncio.gather(*host.tasks)


@pytest.mark.usefixtures("at_once")
async def test_a_name_that_is_another_accounts_by_now() -> None:
    """A namespace that was deleted may be somebody else's: they get nothing."""
    host = Host(owner="b")
    made = Tails(host, host.spawn)
    told(1)(made)
    made.hasten()
    await asyncio.gather(*host.tasks)
    assert host.runs == []


async def test_an_executor_that_ends_does_not_wait_for_more() -> None:
    """What has gathered is handed over when it is to end."""
    host = Host()
    made = Tails(host, host.spawn)
    told(2)(made)
    made.hasten()
    items, _, done = await host.next()
    assert len(items) == 2
    done.set_result(None)
    await asyncio.gather(*host.tasks)
