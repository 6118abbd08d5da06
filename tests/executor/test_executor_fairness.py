"""Nobody, however much it asks for, keeps others from being served."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_fakes import until
from executor_house import House, house, worker

from cloister.messages import Invocation
from cloister.outcomes import Outcome
from executor.backlog import Backlog
from executor.gate import BUSY_AT_ONCE, Gate, Overloaded
from executor.shares import Shares


def fill(shares: Shares, *names: tuple[str, str]) -> Counter[tuple[str, str]]:
    """What each gets when all take as much as they can, in turn."""
    got: Counter[tuple[str, str]] = Counter()
    while able := [name for name in names if shares.has_room_for(name)]:
        for name in able:
            if shares.has_room_for(name):
                shares.take(name)
                got[name] += 1
    return got


def test_one_alone_gets_most_but_not_all() -> None:
    """A namespace with a few workers two thirds of the places, a worker half."""
    assert 320 <= sum(fill(Shares(512), *(("a", str(n)) for n in range(20))).values()) <= 342
    assert 250 <= sum(fill(Shares(512), ("a", "1")).values()) <= 260


def test_those_who_come_together_get_the_same() -> None:
    """Namespaces, whatever their number of workers, and the workers in each."""
    names = [(f"ns{n}", f"w{m}") for m in range(10) for n in range(2)]
    got = fill(Shares(512), *names, ("ns2", "w"))
    assert max(got.values()) - min(got[name] for name in names) <= got["ns2", "w"]
    assert max(got[name] for name in names) - min(got[name] for name in names) <= 1
    assert got["ns2", "w"] > 3 * got["ns0", "w0"]


@pytest.mark.parametrize("places", [1, 2, 3, 8, 64, 512])
@pytest.mark.parametrize("namespaces", [1, 2, 5])
@pytest.mark.parametrize("workers", [1, 2, 50])
def test_a_newcomer_finds_a_place(places: int, namespaces: int, workers: int) -> None:
    """Whoever else took all that they could, and in whatever order, as long as there are places to
    speak of."""
    shares = Shares(places)
    names = [(f"ns{n}", f"w{m}") for n in range(namespaces) for m in range(workers)]
    random.Random(places).shuffle(names)
    got = fill(shares, *names[: len(names) // 2])
    got += fill(shares, *names)
    assert 1 <= sum(got.values()) <= places
    if places >= 4 * namespaces:
        assert shares.has_room_for(("new", "w"))
    if places >= 8 * namespaces * workers and namespaces < 3:
        assert shares.has_room_for(("ns0", "new"))


def test_all_is_given_back() -> None:
    """After any order of taking and giving, everything is free again."""
    shares, held = Shares(64), []
    rng = random.Random(7)
    for _ in range(5_000):
        name = (f"ns{rng.randrange(3)}", f"w{rng.randrange(5)}")
        if shares.has_room_for(name) and rng.random() < 0.6:
            shares.take(name)
            held.append(name)
        elif held:
            shares.give(held.pop(rng.randrange(len(held))))
    for name in held:
        shares.give(name)
    assert shares.free == 64
    assert fill(shares, ("a", "1")) == fill(Shares(64), ("a", "1"))


async def test_places_go_round() -> None:
    """A place that is free goes to another namespace than the last one did, and there to another
    worker, first come first served in each line."""
    gate = Gate(2, running=1, waiting=10, in_line=100)
    served: list[str] = []

    async def visit(name: tuple[str, str], label: str) -> None:
        async with gate.place(name):
            served.append(label)
            await asyncio.sleep(0)

    assert gate.enter_now(("x", "x"))
    order = ["a1 1", "a1 2", "a1 3", "a2 1", "b1 1", "b1 2"]
    tasks = [asyncio.create_task(visit((label[0], label[:2]), label)) for label in order]
    await until(lambda: bool(served))
    gate.leave(("x", "x"))
    await asyncio.gather(*tasks)
    assert served.index("b1 1") < served.index("a1 3")
    assert served.index("a2 1") < served.index("a1 3")
    assert [label for label in served if label[:2] == "a1"] == ["a1 1", "a1 2", "a1 3"]
    assert gate.enter_now(("c", "c"))


async def test_invocations_long_at_work_fill_their_workers_bound() -> None:
    """A few of them count as many: the worker's next ones wait until one is over, or waits itself.
    Another worker of the namespace is not concerned, nor is one that only has many waiting."""
    gate, name = Gate(500, running=100, waiting=10, in_line=100), ("a", "hog")
    entered = 0
    while entered < 50 and gate.enter_now(name):
        gate.burden(name, is_busy=True)
        entered += 1
    assert entered == BUSY_AT_ONCE + 1
    assert all(gate.enter_now(("a", "waiting for fetch")) for _ in range(100))
    next_one = asyncio.create_task(gate.enter(name))
    await asyncio.sleep(0)
    assert not next_one.done()
    gate.burden(name, is_busy=False)
    await next_one
    for _ in range(entered - 1):
        gate.burden(name, is_busy=False)
    for _ in range(entered + 1):
        gate.leave(name)
    assert name not in gate._running


async def test_one_without_a_place_may_be_long_at_work() -> None:
    """As a worker that another calls, beside others of the same worker that come and go, and where
    the bound is too small to be counted against: it holds nothing in the end."""
    gate, name = Gate(10, running=2, waiting=10, in_line=100), ("a", "callee")
    gate.burden(name, is_busy=True)
    assert gate.enter_now(name)
    gate.leave(name)
    gate.burden(name, is_busy=False)
    assert name not in gate._running


async def test_lines_are_bounded() -> None:
    """Each by itself; and of all who wait, no worker and no namespace is more than a share. The
    first of a worker may always wait."""
    gate = Gate(1, running=1, waiting=30, in_line=100)
    assert gate.enter_now(("x", "x"))
    waiting: dict[tuple[str, str], list[asyncio.Task[None]]] = {}

    async def fill_line(name: tuple[str, str]) -> int:
        tasks = waiting.setdefault(name, [])
        while not tasks or not tasks[-1].done():
            tasks.append(asyncio.create_task(gate.enter(name)))
            await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await tasks.pop()
        return len(tasks)

    assert await fill_line(("a", "w0")) == 30
    lengths = [await fill_line(("a", f"w{n}")) for n in range(1, 8)]
    assert lengths[0] == 26
    assert lengths[-1] == 1
    assert gate._in_line.has_room("b")
    assert await fill_line(("b", "w")) > 1
    for tasks in waiting.values():
        for task in tasks:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    gate.leave(("x", "x"))
    assert not gate._lines
    assert gate._in_line.free == 100


async def test_who_gives_up_takes_no_place_along() -> None:
    """Whether it waits, or is handed a place at that very moment, or was passed over."""
    rng = random.Random(11)
    gate = Gate(4, running=2, waiting=100, in_line=10_000)

    async def visit(name: tuple[str, str]) -> None:
        async with gate.place(name):
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)

    names = [(f"ns{n % 3}", f"w{n % 2}") for n in range(600)]
    tasks = [asyncio.create_task(visit(name)) for name in names[:180]]
    for _ in range(200):
        await asyncio.sleep(0)
        rng.choice(tasks).cancel()
    await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert not gate._lines
    assert not gate._running
    assert gate._shares.free == 4


def test_a_queue_with_much_waiting_is_left_out() -> None:
    """It is not consumed until part of it is begun; others are; what was refused is told of when
    there is room again, and not for each message."""
    backlog = Backlog(30)
    told: list[str] = []
    backlog.on_room, backlog.on_open = lambda: told.append("room"), lambda: told.append("open")
    held = []
    while backlog.is_open("a"):
        held.append(backlog.take("a"))
    assert len(held) == 20
    assert backlog.is_open("b")
    assert backlog.has_room()
    while held:
        begun = held.pop()
        begun()
        begun()
    assert told == ["open"]
    taken = [backlog.take("a") for _ in range(32)]  # a batch may be too much
    assert not backlog.has_room()
    assert not backlog.is_open("b")
    for begun in taken:
        begun()
    assert told == ["open", "room"]
    assert backlog.has_room()
    assert backlog.is_open("a")


def test_the_backlog_counts_right_on_two_threads() -> None:
    """Celery's thread takes while the loop gives back."""
    backlog, taken = Backlog(100), []

    def give() -> None:
        for _ in range(20_000):
            while not taken:
                time.sleep(0)
            taken.pop()()

    giving = threading.Thread(target=give)
    giving.start()
    taken.extend(backlog.take(str(n % 3)) for n in range(20_000))
    giving.join()
    assert backlog._shares.free == 100


SLOW = worker('import asyncio\nawait asyncio.sleep(60)\nreturn Response("slow")')
HELLO = worker('return Response("Hello")')
AT_ONCE = 24


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An executor that two namespaces, of four workers each, ask for much more than it can do."""
    directory: Path = tmp_path_factory.mktemp("flood")
    with house(directory, executor_concurrency=AT_ONCE, blank_isolates=2) as made:
        for namespace in ("flood-1", "flood-2", "third"):
            made.namespace(namespace)
        made.deploy("third", "hello", HELLO)
        made.deploy("flood-1", "hello", HELLO)
        flood: list[Invocation] = []
        for namespace in ("flood-1", "flood-2"):
            for n in range(4):
                made.deploy(namespace, f"slow-{n}", SLOW, compile_first=n + len(flood) == 0)
                flood += [made.invocation(namespace, f"slow-{n}") for _ in range(50)]
        for at in range(50):
            made.publish(*flood[at:200:50])
            made.publish(*flood[200 + at :: 50])
        made.flood = flood  # type: ignore[attr-defined]
        made.wait_for(lambda: _overloaded(made, flood) > 100)
        yield made


def _overloaded(made: House, flood: list[Invocation]) -> int:
    return sum(made.redis.llen(invocation.reply_to) for invocation in flood)


@pytest.mark.parametrize("namespace", ["third", "flood-1"])
def test_a_flood_holds_up_nobody_else(flooded: House, namespace: str) -> None:
    """While hundreds of slow requests run and wait, another namespace, and another worker of the
    same namespace, answer at once, the first time and then."""
    for _ in range(10):
        started = time.monotonic()
        assert flooded.call(namespace, "hello").body == b"Hello"
        assert time.monotonic() - started < 2


def test_what_waits_is_bounded_and_what_is_too_much_is_told(flooded: House) -> None:
    """Of the flood, a few run and a few wait; the others were told so at once."""
    flood: list[Invocation] = flooded.flood  # type: ignore[attr-defined]
    most = AT_ONCE + AT_ONCE // 2
    flooded.wait_for(lambda: len(flood) - _overloaded(flooded, flood) <= most)
    first = next(one for one in flood if flooded.redis.llen(one.reply_to))
    answer = flooded.answer(first)
    assert answer.failure is not None
    assert answer.failure.outcome is Outcome.OVERLOADED
