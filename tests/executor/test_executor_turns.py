"""Turns: who computes, when more want to than there are cores."""

import asyncio

import pytest

from executor.turns import Turn, Turns

A, B = ("a", "worker"), ("b", "worker")
FOREVER_S = 3_600.0


async def begun(turns: Turns, name: tuple[str, str]) -> "asyncio.Task[Turn]":
    """A task that has asked for a turn."""
    task = asyncio.create_task(turns.begin(name))
    await asyncio.sleep(0)
    return task


async def test_only_so_many_turns_are_under_way() -> None:
    """The next one begins when one ends, and ending twice counts once."""
    turns = Turns(2, FOREVER_S)
    first, second = await turns.begin(A), await turns.begin(A)
    third, fourth = await begun(turns, A), await begun(turns, A)
    assert not third.done()
    first.end()
    first.end()
    await third
    await asyncio.sleep(0)
    assert not fourth.done()
    second.end()
    await fourth


async def test_workers_take_turns() -> None:
    """A worker that asks once waits for one turn of another's, however many of those wait."""
    turns = Turns(1, FOREVER_S)
    running = await turns.begin(A)
    flood = [await begun(turns, A) for _ in range(10)]
    one = await begun(turns, B)
    running.end()
    (await flood[0]).end()
    (await one).end()
    for each in flood[1:]:
        (await each).end()


async def test_a_turn_that_takes_long_makes_room() -> None:
    """Nobody waits for the end of somebody's long computation."""
    turns = Turns(1, 0.001)
    await turns.begin(A)
    await turns.begin(B)
    await turns.begin(A)


async def test_who_gives_up_takes_no_turn() -> None:
    """Neither while it waits, nor when its turn comes at that very moment."""
    turns = Turns(1, FOREVER_S)
    running = await turns.begin(A)
    early, late, patient = [await begun(turns, A) for _ in range(3)]
    early.cancel()
    running.end()  # hands on to `late`, which has not run since
    late.cancel()
    await asyncio.wait([early, late])
    assert early.cancelled()
    assert late.cancelled()
    (await patient).end()
    (await turns.begin(B)).end()


async def test_those_who_come_together_can_begin_together() -> None:
    """Though there is a turn for each: the first may take the others along. A newcomer that is not
    like them has its own turn, and whoever is left over waits for one."""
    turns = Turns(2, FOREVER_S)
    order: list[str] = []

    class Caller:
        def __init__(self, name: str) -> None:
            self.name = name

        def begin(self, turn: Turn) -> bool:
            order.append(self.name)
            while (other := turns.take_first(A, like=self)) is not None:
                order.append(f"behind {self.name}: {other.name}")  # type: ignore[attr-defined]
            self.turn = turn
            return True

        def is_like(self, other: object) -> bool:
            return isinstance(other, Caller) and self.name != "odd"

    callers = [Caller(name) for name in ("first", "second", "odd", "last")]
    with turns.gathering():
        for caller in callers:
            turns.call(A, caller)
        assert not order
    assert order == ["first", "behind first: second", "odd", "behind odd: last"]


async def test_an_error_amid_those_who_come_together_holds_nobody() -> None:
    """Who was called before it begins, and so do later ones."""
    turns = Turns(2, FOREVER_S)
    waiter = asyncio.get_running_loop().create_future()

    class Caller:
        def begin(self, turn: Turn) -> bool:
            waiter.set_result(turn)
            return True

        def is_like(self, other: object) -> bool:
            return False

    def fail() -> None:
        with turns.gathering():
            turns.call(A, Caller())
            raise ValueError("amid")

    with pytest.raises(ValueError, match="amid"):
        fail()
    (await waiter).end()
    (await turns.begin(A)).end()
