"""The bounded cache in front of slow reads."""

import asyncio
import threading
from collections import Counter

import pytest

from cloister.errors import NotReady
from cloister.registry import shelf as shelf_module
from cloister.registry.shelf import Shelf

WAIT_S = 10


class Source:
    """A slow read under the test's control: each one waits for :meth:`let_go`."""

    def __init__(self) -> None:
        self.value: str | None = "one"
        self.reads: Counter[str] = Counter()
        self.begun = threading.Semaphore(0)
        self._gate = threading.Semaphore(0)

    def load(self, key: str) -> str | None:
        seen = self.value
        self.reads[key] += 1
        self.begun.release()
        assert self._gate.acquire(timeout=WAIT_S)
        if seen == "broken":
            raise OSError("the database is away")
        return seen

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=WAIT_S)

    def let_go(self, reads: int = 1) -> None:
        self._gate.release(reads)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The shelf's clock, to be set."""
    now = [1000.0]
    monkeypatch.setattr(shelf_module.time, "monotonic", lambda: now[0])
    return now


async def test_one_read_answers_many(source: Source) -> None:
    """Whoever asks while a read is under way shares it; afterwards none is needed."""
    shelf = Shelf(10, source.load, absent=1)
    asking = [asyncio.create_task(shelf.get("k", 30)) for _ in range(20)]
    await source.has_begun()
    source.let_go()
    assert await asyncio.gather(*asking) == ["one"] * 20
    assert await shelf.get("k", 30) == "one"
    assert source.reads == {"k": 1}


@pytest.mark.parametrize("how", ["drop", "drop_where", "clear"])
async def test_a_read_begun_before_a_change_is_not_kept(source: Source, how: str) -> None:
    """Who asked before gets what there was; who asks after never does."""
    shelf = Shelf(10, source.load, absent=1)
    before = asyncio.create_task(shelf.get("k", 30))
    await source.has_begun()
    source.value = "two"
    forget = {
        "drop": lambda: shelf.drop("k"),
        "drop_where": lambda: shelf.drop_where(lambda key, value: False),
        "clear": shelf.clear,
    }
    forget[how]()
    after = asyncio.create_task(shelf.get("k", 30))
    await source.has_begun()
    source.let_go(2)
    assert await before == "one"
    assert await after == "two"
    assert await shelf.get("k", 30) == "two"
    assert source.reads == {"k": 2}


async def test_a_late_read_does_not_replace_a_newer_one(source: Source) -> None:
    """An old read that ends last changes nothing."""
    shelf = Shelf(10, source.load, absent=1)
    old = asyncio.create_task(shelf.get("k", 30))
    await source.has_begun()
    shelf.drop("k")
    blocked, source._gate = source._gate, threading.Semaphore(1)
    source.value = "two"
    assert await shelf.get("k", 30) == "two"
    blocked.release()
    assert await old == "one"
    assert await shelf.get("k", 30) == "two"


async def test_a_cancelled_caller_spoils_nothing(source: Source) -> None:
    """The others still get their answer, and it is kept."""
    shelf = Shelf(10, source.load, absent=1)
    first, second = (asyncio.create_task(shelf.get("k", 30)) for _ in range(2))
    await source.has_begun()
    first.cancel()
    source.let_go()
    assert await second == "one"
    assert first.cancelled()
    assert source.reads == {"k": 1}


async def test_errors_are_told_and_not_kept(source: Source) -> None:
    """Everyone who waits gets the error; the next one reads again."""
    shelf = Shelf(10, source.load, absent=1)
    source.value = "broken"
    source.let_go(2)
    asking = [shelf.get("k", 30) for _ in range(2)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in found] == [OSError, OSError]
    source.value = "one"
    assert await shelf.get("k", 30) == "one"


async def test_age(source: Source, clock: list[float]) -> None:
    """An entry older than asked for is read again; age counts from the read's beginning."""
    shelf = Shelf(10, source.load, absent=1)
    source.let_go(3)
    await shelf.get("k", 30)
    clock[0] += 30
    await shelf.get("k", 30)
    assert source.reads["k"] == 1
    await shelf.get("k", 29)
    assert source.reads["k"] == 2


async def test_least_recently_used_goes(source: Source) -> None:
    """The shelf never holds more than it may; what is asked for stays."""
    shelf = Shelf(2, source.load, absent=1)
    source.let_go(10)
    for key in ("a", "b", "a", "c", "a", "b"):
        await shelf.get(key, 30)
    assert source.reads == {"a": 1, "b": 2, "c": 1}


@pytest.mark.parametrize(("absent", "reads"), [(1, 1), (0, 2)])
async def test_what_is_missing(source: Source, absent: int, reads: int) -> None:
    """That there is nothing is remembered only where it can change and be told of."""
    source.value = None
    source.let_go(2)
    shelf = Shelf(2, source.load, absent=absent)
    assert [await shelf.get("k", 30) for _ in range(2)] == [None, None]
    assert source.reads["k"] == reads


async def test_what_is_missing_is_remembered_briefly(source: Source, clock: list[float]) -> None:
    """Not for as long as what is there; and once it is there, it is found."""
    source.value = None
    source.let_go(2)
    shelf = Shelf(2, source.load, absent=2)
    await shelf.get("k", 30)
    clock[0] += shelf_module.ABSENT_AGE_S
    assert await shelf.get("k", 30) is None
    clock[0] += 0.1
    source.value = "one"
    assert await shelf.get("k", 30) == "one"
    assert source.reads["k"] == 2


async def test_strangers_push_nothing_out(source: Source) -> None:
    """However many keys without a value are asked for, those with one stay; no more are kept."""
    shelf = Shelf(2, source.load, absent=2)
    source.let_go(9)
    await shelf.get("mine", 30)
    source.value = None
    for key in ("a", "b", "c", "d", "c", "mine", "a"):
        await shelf.get(key, 30)
    assert source.reads == {"mine": 1, "a": 2, "b": 1, "c": 1, "d": 1}
    shelf.drop_where(lambda key, _value: key == "a")
    shelf.drop("d")
    await shelf.get("a", 30)
    assert source.reads["a"] == 3


async def test_close_waits_for_reads(source: Source) -> None:
    """No thread is left in a read of a registry that is about to be closed."""
    shelf = Shelf(2, source.load, absent=1)
    asking = asyncio.create_task(shelf.get("k", 30))
    await source.has_begun()
    closing = asyncio.create_task(shelf.close())
    await asyncio.sleep(0)
    assert not closing.done()
    source.let_go()
    await closing
    assert await asking == "one"


async def test_a_near_read_takes_no_thread(source: Source) -> None:
    """What can be read at once is there before anything else runs, and is kept like the rest."""
    near = {"k": "near"}
    shelf = Shelf(10, source.load, absent=1, near=near.pop)
    asking = shelf.get("k", 30)
    with pytest.raises(StopIteration) as answered:
        asking.send(None)
    assert answered.value.value == "near"
    assert await shelf.get("k", 30) == "near"
    assert not source.reads


async def test_a_near_read_that_would_wait(source: Source) -> None:
    """A database that another process has to itself is asked again where waiting hurts nobody."""

    def near(_key: str) -> str:
        raise NotReady("busy")

    shelf = Shelf(10, source.load, absent=1, near=near)
    asking = asyncio.create_task(shelf.get("k", 30))
    await source.has_begun()
    source.let_go()
    assert await asking == "one"
    assert await shelf.get("k", 30) == "one"
    assert source.reads == {"k": 1}


async def test_heavy_values_leave_room_for_fewer() -> None:
    """What is kept is bounded by weight: the least recently used go, one that alone is too heavy is
    not kept, and what was dropped weighs nothing any more."""
    read: list[str] = []

    def near(key: str) -> str:
        read.append(key)
        return key

    shelf = Shelf(10, near, near=near, weigh=len)
    for key in ("aaaa", "bbbb", "cc", "aaaa"):
        await shelf.get(key, 30)
    assert read == ["aaaa", "bbbb", "cc"]
    await shelf.get("dddd", 30)
    assert [shelf.at_hand(key, 30) for key in ("aaaa", "bbbb", "cc", "dddd")] == [
        *("aaaa", None),
        *("cc", "dddd"),
    ]
    shelf.drop("aaaa")
    shelf.drop_where(lambda key, _value: key == "dddd")
    for key in ("eeee", "ffff"):
        await shelf.get(key, 30)
    assert shelf.at_hand("cc", 30) == "cc"
    assert await shelf.get("g" * 11, 30) == "g" * 11
    assert [shelf.at_hand(key, 30) for key in ("cc", "ffff", "g" * 11)] == ["cc", "ffff", None]
    shelf.clear()
    await shelf.get("h" * 10, 30)
    assert shelf.at_hand("h" * 10, 30) == "h" * 10
