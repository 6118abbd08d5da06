"""Durable Objects: a real executor, real isolates, real storage."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from executor_house import ACCOUNT, House, house
from executor_objects import call, deploy, worker

from cloister.limits import Limits
from cloister.registry import NewVersion
from cloister.registry.object_classes import Migration, Step
from cloister.registry.objects import Ownership

INCREMENT = "return Response(str(await stub.increment()))"
REFUSED = """
try:
    value = str(CALL)
except Exception as error:
    value = f"{type(error).__name__}: {error}"
return Response(value)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running executor."""
    directory: Path = tmp_path_factory.mktemp("house")
    with house(directory, blank_isolates=2, objects_active=6) as made:
        yield made


def test_an_object_counts(shared: House, namespace: str) -> None:
    """Methods of one object by its name: what it stores and what it holds in memory is its own."""
    deploy(shared, namespace, worker(f"await stub.seen()\n{INCREMENT}"))
    assert [call(shared, namespace).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert call(shared, namespace, "b").body == b"1"


def test_an_object_answers_requests(shared: House, namespace: str) -> None:
    """fetch() of a stub: method, body and the object's own name, whole and streamed."""
    calls = """
answer = await stub.fetch("http://object/x", method="POST", body=await request.text())
return Response(await answer.text(), status=answer.status)
"""
    deploy(shared, namespace, worker(calls))
    assert call(shared, namespace, "room", method="POST", body=b"hello").body == b"room POST hello"
    long = b"x" * 600_000
    assert call(shared, namespace, "room").body == b"room POST "
    pieces = [long[start : start + 200_000] for start in range(0, 600_000, 200_000)]
    shared.redis.rpush("body:long", *pieces, b"")
    answer = call(shared, namespace, "room", method="POST", body_is_streamed=True, id="long")
    assert answer.body == b"room POST " + long


def test_memory_lasts_between_events(shared: House, namespace: str) -> None:
    """One instance serves them all, in the order of their calls."""
    methods = """
async def note(self, text):
    self.notes = [*getattr(self, "notes", []), text]
    return self.notes
"""
    calls = """
import asyncio
return Response(json.dumps(await asyncio.gather(*(stub.note(str(n)) for n in range(5)))))
"""
    deploy(shared, namespace, worker(calls, methods))
    assert json.loads(call(shared, namespace).body)[4] == ["0", "1", "2", "3", "4"]


def test_events_of_many_callers_follow_one_another(shared: House, namespace: str) -> None:
    """Sixteen callers at once lose no increment: each reads and writes alone."""
    methods = """
async def slowly(self):
    import asyncio
    value = await self.ctx.storage.get("value") or 0
    await asyncio.sleep(0.001)
    await self.ctx.storage.put("value", value + 1)
    return value + 1
"""
    deploy(shared, namespace, worker("return Response(str(await stub.slowly()))", methods))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: int(call(shared, namespace).body), range(48)))
    assert sorted(answers) == list(range(1, 49))


def test_ids(shared: House, namespace: str) -> None:
    """From a name always the same, by chance never; of another namespace, made up or cut short
    refused, wherever they are used."""
    calls = """
ns = self.env.COUNTERS
ids = [ns.idFromName("a"), ns.newUniqueId()]
again = ns.idFromString(ids[1].toString())
assert again == ids[1] and again.equals(ids[1]) and ids[0] != ids[1], ids
assert ids[0].name == "a" and ids[1].name is None and ns.get(ids[0]).id == ids[0]
await ns.get(ids[1]).increment(4)
assert await ns.get(again).value() == 4
refused = []
for text in (name, "0" * 64, str(ids[1])[:-1], str(ids[1]).upper(), ""):
    try:
        ns.idFromString(text)
    except TypeError as error:
        refused.append(str(error))
assert len(refused) == 5, refused
return Response(str(ids[0]) + str(ids[1]))
"""
    deploy(shared, namespace, worker(calls))
    first = call(shared, namespace, "0" * 64).body.decode()
    assert len(first) == 128
    second = call(shared, namespace, "0" * 64).body.decode()
    assert (first[:64], first[64:] != second[64:]) == (second[:64], True)
    other = f"{namespace}-other"
    shared.namespace(other)
    deploy(shared, other, worker(calls))
    assert call(shared, other, first[64:]).body[:64] != first[:64].encode()


def test_storage(shared: House, namespace: str) -> None:
    """Pairs of many types, lists, SQL and transactions, as the product has them."""
    methods = """
async def everything(self):
    store = self.ctx.storage
    value = {"a": [1, 2.5, None, True], "b": "text"}
    await store.put({"k1": value, "k2": b"bytes", "k3": {1, 2}})
    assert await store.get("k1") == value
    found = await store.get(["k2", "none", "k3"])
    assert bytes(found["k2"]) == b"bytes" and found["k3"] == {1, 2} and len(found) == 2
    assert list(await store.list(prefix="k", reverse=True, limit=2)) == ["k3", "k2"]
    assert await store.delete("k1") is True and await store.delete("k1") is False
    assert await store.delete(["k2", "k3"]) == 2
    store.kv.put("sync", 1)
    assert store.kv.get("sync") == 1 and list(store.kv.list()) == ["sync"]
    sql = store.sql
    sql.exec("CREATE TABLE t (a INTEGER, b BLOB)")
    cursor = sql.exec("INSERT INTO t VALUES (?, ?), (2, NULL) RETURNING a", 1, b"x")
    assert cursor.toArray() == [{"a": 1}, {"a": 2}] and cursor.rowsWritten == 2
    cursor = sql.exec("SELECT a, b FROM t ORDER BY a")
    assert cursor.columnNames == ["a", "b"] and cursor.next()["value"].a == 1
    assert cursor.raw().toArray() == [[2, None]] and cursor.next() == {"done": True, "value": None}
    assert sql.exec("SELECT a FROM t WHERE a = 2").one() == {"a": 2}
    assert [row.a for row in sql.exec("SELECT a FROM t")] == [1, 2]
    assert sql.databaseSize > 0
    try:
        sql.exec("SELECT * FROM t").one()
    except ValueError as error:
        assert "exactly one" in str(error)
    async def failing(txn):
        await txn.put("gone", 1)
        raise KeyError("undo")
    try:
        await store.transaction(failing)
    except KeyError:
        pass
    async def undone(txn):
        await txn.put("gone", 1)
        txn.rollback()
    await store.transaction(undone)
    assert await store.get("gone") is None
    assert store.transactionSync(lambda: store.kv.put("kept", 1) or "done") == "done"
    await store.sync()
    wrongs = ((store.kv.get, (5,)), (store.kv.put, ("k", object())), (sql.exec, (5,)))
    for wrong, arguments in wrongs:
        try:
            wrong(*arguments)
        except TypeError:
            continue
        raise AssertionError(arguments)
    await store.deleteAll()
    assert await store.list() == {}
    return "good"
"""
    deploy(shared, namespace, worker("return Response(await stub.everything())", methods))
    answer = call(shared, namespace)
    assert answer.failure is None, answer.failure
    assert answer.body == b"good"


def test_what_is_refused(shared: House, namespace: str) -> None:
    """Clear words, and the object goes on."""
    refused = {
        "await stub.nothing()": "TypeError: Method nothing does not exist",
        "await stub.alarm()": "TypeError: Method alarm cannot be called.",
        "await self.env.COUNTERS.get('a').increment()": "TypeError: get() takes a DurableObjectId",
        "self.env.COUNTERS.idFromName('a' * 1025).toString()": "ValueError: A Durable",
        "self.env.COUNTERS.jurisdiction('eu')": "ValueError: There are no jurisdictions",
        "await stub.failing()": "ValueError: wrong",
        "await stub.sockets()": "NotImplementedError",
        "await stub.twice()": "KeyError",
    }
    methods = """
async def failing(self):
    await self.ctx.storage.put("value", 7)
    raise ValueError("wrong")

async def sockets(self):
    self.ctx.acceptWebSocket(None)

async def twice(self):
    self.ctx.storage.transactionSync(lambda: {}["no"])
"""
    for number, (asked, message) in enumerate(refused.items()):
        name = f"w{number}"
        deploy(shared, namespace, worker(REFUSED.replace("CALL", asked), methods), name=name)
        answer = shared.call(namespace, name, url=f"http://{name}.localhost/a")
        assert answer.body.decode().startswith(message), answer.body
    deploy(shared, namespace, worker(INCREMENT, methods), name="w5")
    # What an event wrote before it raised is there.
    assert shared.call(namespace, "w5", url="http://w5.localhost/a").body == b"8"


def test_a_cycle_is_refused_at_once(shared: House, namespace: str) -> None:
    """An object that calls itself by way of another would wait for ever."""
    methods = """
async def through(self, names):
    if not names:
        return "end"
    return await self.env.COUNTERS.getByName(names[0]).through(names[1:])
"""
    calls = REFUSED.replace("CALL", "await stub.through(request.headers['x-names'].split())")
    deploy(shared, namespace, worker(calls, methods))

    def through(names: str) -> str:
        headers = [("host", "main.localhost"), ("x-names", names)]
        return call(shared, namespace, "a", headers=headers).body.decode()

    assert through("b c") == "end"
    assert through("b a").startswith("Exception: Durable Object call cycle: this object waits")
    assert "call cycle" in through("a")


def test_an_event_that_is_cut_off_leaves_nothing(shared: House, namespace: str) -> None:
    """Over its CPU time: what it wrote is undone, the next event has a new instance, and all that
    was answered before is there."""
    methods = """
async def burn(self):
    await self.ctx.storage.put("value", 100)
    while True:
        pass
"""
    calls = """
if request.method == "POST":
    await stub.burn()
return Response(f"{await stub.increment()} {await stub.seen()}")
"""
    deploy(shared, namespace, worker(calls, methods), limits=Limits(cpu_ms=150))
    assert call(shared, namespace).body == b"1 1"
    assert call(shared, namespace, method="POST").failure is not None
    assert call(shared, namespace).body == b"2 1"


def test_an_object_gives_itself_up(shared: House, namespace: str) -> None:
    """abort(): neither what it wrote nor what it held is there."""
    methods = """
async def give_up(self):
    await self.ctx.storage.put("value", 100)
    self.ctx.abort("enough")
"""
    calls = """
try:
    await stub.give_up() if request.method == "POST" else None
except Exception as error:
    return Response(str(error))
return Response(f"{await stub.increment()} {await stub.seen()}")
"""
    deploy(shared, namespace, worker(calls, methods))
    assert call(shared, namespace).body == b"1 1"
    assert call(shared, namespace, method="POST").body == b"enough"
    assert call(shared, namespace).body == b"2 1"


def test_a_constructor_blocks(shared: House, namespace: str) -> None:
    """What it awaits by blockConcurrencyWhile is over before the first event; if it raises, the
    event fails, and the next one tries again."""
    source = worker("return Response(str(await stub.loaded()))").replace(
        "        self.calls = 0",
        """        self.calls = 0
        self.ctx.blockConcurrencyWhile(self._load)

    async def _load(self):
        tries = (await self.ctx.storage.get("tries") or 0) + 1
        await self.ctx.storage.put("tries", tries)
        if tries == 2:
            raise ValueError("not now")
        self.tries = tries

    async def loaded(self):
        self.ctx.storage.kv.get("x")
        return self.tries
""",
    )
    deploy(shared, namespace, source)
    assert [call(shared, namespace).body for _ in range(2)] == [b"1", b"1"]
    deploy(shared, namespace, source + "\n")
    failure = call(shared, namespace).failure
    assert failure is not None
    assert "not now" in failure.message
    assert call(shared, namespace).body == b"3"


def test_a_deployment_makes_new_instances(shared: House, namespace: str) -> None:
    """Of the new code, with empty memory and the same storage."""
    deploy(
        shared, namespace, worker("await stub.increment()\nreturn Response(str(await stub.seen()))")
    )
    assert [call(shared, namespace).body for _ in range(2)] == [b"1", b"2"]
    changed = "await stub.increment()\nreturn Response(f'{await stub.seen()} {await stub.value()}')"
    deploy(shared, namespace, worker(changed))
    assert call(shared, namespace).body == b"1 3"


def test_a_version_that_comes_back_has_new_instances(shared: House, namespace: str) -> None:
    """What an instance held in memory before another version ran is not there after it."""
    counts = "await stub.increment()\nreturn Response(str(await stub.seen()))"
    deploy(shared, namespace, worker(counts))
    assert [call(shared, namespace).body for _ in range(2)] == [b"1", b"2"]
    deploy(shared, namespace, worker(f"{counts}  # anew"))
    assert call(shared, namespace).body == b"1"
    found = shared.registry.namespaces.get(ACCOUNT, namespace)
    shared.registry.deployments.roll_back(found.id, "main")
    assert call(shared, namespace).body == b"1"


def test_limits_that_come_back_have_new_instances(shared: House, namespace: str) -> None:
    """The same where the memory that an instance may have is changed and changed back."""
    deploy(
        shared, namespace, worker("await stub.increment()\nreturn Response(str(await stub.seen()))")
    )
    assert [call(shared, namespace).body for _ in range(2)] == [b"1", b"2"]
    for memory_mb in (100, None):
        limits = Limits(memory_mb=memory_mb)
        shared.registry.namespaces.update(ACCOUNT, namespace, limits=limits)
        assert call(shared, namespace).body == b"1"


def test_objects_leave_memory_for_others(shared: House, namespace: str) -> None:
    """More objects than may be active at once: each comes back as it was stored."""
    deploy(shared, namespace, worker(INCREMENT))
    names = [f"o{number}" for number in range(10)]
    for wanted in (b"1", b"2"):
        assert [call(shared, namespace, name).body for name in names] == [wanted] * 10


def test_a_deleted_class_is_gone(shared: House, namespace: str) -> None:
    """Its objects are not called any more, and another class of its name begins anew."""
    class_id = deploy(shared, namespace, worker(INCREMENT))
    assert call(shared, namespace).body == b"1"
    found = shared.registry.namespaces.get(ACCOUNT, namespace)
    digest, _ = shared.compile(("worker.py", worker(INCREMENT)))
    new = NewVersion(digest=digest, main_module="worker.py", handlers={"Default": ["fetch"]})
    steps = [Step(deleted_classes=["Counter"])]
    put = shared.registry.scripts.put_version
    put(found.id, "main", new, migration=Migration(old_tag="v1", new_tag="v2", steps=steps))
    assert shared.registry.objects.namespace(class_id) is None
    binding = {"type": "durable_object_namespace", "name": "COUNTERS", "class_name": "Counter"}
    handlers = {"Default": ["fetch"], "Counter": ["class"]}
    put(
        found.id,
        "main",
        NewVersion(digest=digest, main_module="worker.py", handlers=handlers, bindings=[binding]),
        migration=Migration(old_tag="v2", steps=[Step(new_sqlite_classes=["Counter"])]),
    )
    assert call(shared, namespace).body == b"1"


def test_too_many_calls_of_one_object(shared: House, namespace: str) -> None:
    """They wait in a line that is bounded in time: the last hear that it is overloaded."""
    methods = """
async def wait(self):
    import asyncio
    await asyncio.sleep(30)
"""
    deploy(
        shared,
        namespace,
        worker("await stub.wait()\nreturn Response('')", methods),
        limits=Limits(wall_ms=700),
    )
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(call(shared, namespace))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer.failure is not None for answer in answers)


def test_a_plain_class_has_no_sql(shared: House, namespace: str) -> None:
    """One of new_classes: pairs of small values, and a clear word about SQL."""
    methods = """
async def plain(self):
    await self.ctx.storage.put("k", "v")
    try:
        self.ctx.storage.sql.exec("SELECT 1")
    except TypeError as error:
        return str(error)
"""
    deploy(shared, namespace, worker("return Response(await stub.plain())", methods), sqlite=False)
    assert b"SQL is not enabled" in call(shared, namespace).body


def test_ownership_is_given_back(shared: House, namespace: str) -> None:
    """The registry says who runs an object, and that it stores something."""
    class_id = deploy(shared, namespace, worker(INCREMENT))
    call(shared, namespace)
    (stored,) = shared.registry.objects.list(ACCOUNT, class_id).items
    owned = shared.registry.objects.ownership(stored.id)
    assert owned.owner is not None
    assert owned != Ownership()
