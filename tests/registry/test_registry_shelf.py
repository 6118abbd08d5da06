"""The bounded cache in front of slow reads."""

import asyncio
import threading
from collections import Counter

import pytest

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
    shelf = Shelf(10, source.load, keep_none=True)
    asking = [asyncio.create_task(shelf.get("k", 30)) for _ in range(20)]
    await source.has_begun()
    source.let_go()
    assert await asyncio.gather(*asking) == ["one"] * 20
    assert await shelf.get("k", 30) == "one"
    assert source.reads == {"k": 1}


@pytest.mark.parametrize("how", ["drop", "drop_where", "clear"])
async def test_a_read_begun_before_a_change_is_not_kept(source: Source, how: str) -> None:
    """Who asked before gets what there was; who asks after never does."""
    shelf = Shelf(10, source.load, keep_none=True)
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
    shelf = Shelf(10, source.load, keep_none=True)
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
    shelf = Shelf(10, source.load, keep_none=True)
    first, second = (asyncio.create_task(shelf.get("k", 30)) for _ in range(2))
    await source.has_begun()
    first.cancel()
    source.let_go()
    assert await second == "one"
    assert first.cancelled()
    assert source.reads == {"k": 1}


async def test_errors_are_told_and_not_kept(source: Source) -> None:
    """Everyone who waits gets the error; the next one reads again."""
    shelf = Shelf(10, source.load, keep_none=True)
    source.value = "broken"
    source.let_go(2)
    asking = [shelf.get("k", 30) for _ in range(2)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in found] == [OSError, OSError]
    source.value = "one"
    assert await shelf.get("k", 30) == "one"


async def test_age(source: Source, clock: list[float]) -> None:
    """An entry older than asked for is read again; age counts from the read's beginning."""
    shelf = Shelf(10, source.load, keep_none=True)
    source.let_go(3)
    await shelf.get("k", 30)
    clock[0] += 30
    await shelf.get("k", 30)
    assert source.reads["k"] == 1
    await shelf.get("k", 29)
    assert source.reads["k"] == 2


async def test_least_recently_used_goes(source: Source) -> None:
    """The shelf never holds more than it may; what is asked for stays."""
    shelf = Shelf(2, source.load, keep_none=True)
    source.let_go(10)
    for key in ("a", "b", "a", "c", "a", "b"):
        await shelf.get(key, 30)
    assert source.reads == {"a": 1, "b": 2, "c": 1}


@pytest.mark.parametrize(("keep_none", "reads"), [(True, 1), (False, 2)])
async def test_what_is_missing(source: Source, keep_none: bool, reads: int) -> None:
    """That there is nothing is remembered only where it can change and be told of."""
    source.value = None
    source.let_go(2)
    shelf = Shelf(2, source.load, keep_none=keep_none)
    assert [await shelf.get("k", 30) for _ in range(2)] == [None, None]
    assert source.reads["k"] == reads


async def test_close_waits_for_reads(source: Source) -> None:
    """No thread is left in a read of a registry that is about to be closed."""
    shelf = Shelf(2, source.load, keep_none=True)
    asking = asyncio.create_task(shelf.get("k", 30))
    await source.has_begun()
    closing = asyncio.create_task(shelf.close())
    await asyncio.sleep(0)
    assert not closing.done()
    source.let_go()
    await closing
    assert await asking == "one"
