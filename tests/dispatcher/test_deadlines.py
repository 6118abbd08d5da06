"""Deadlines that share their timers."""

import asyncio

from dispatcher.deadlines import SLOT_S, Deadlines


class Waiter:
    """Knows when it expired."""

    def __init__(self) -> None:
        self.expired: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def expire(self) -> None:
        self.expired.set_result(asyncio.get_running_loop().time())


async def test_who_still_waits_expires_in_time() -> None:
    """Each after its own time, never before it; who was taken out does not, and nothing is kept."""
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    begun_at, times = loop.time(), [0, SLOT_S / 2, SLOT_S * 3, SLOT_S * 3]
    waiters = [Waiter() for _ in times]
    gone = Waiter()
    for waiter, left_s in zip(waiters, times, strict=True):
        deadlines.add(left_s, waiter)
    deadlines.add(SLOT_S * 3, gone).discard(gone)
    async with asyncio.timeout(20):
        for waiter, left_s in zip(waiters, times, strict=True):
            assert await waiter.expired >= begun_at + left_s
    assert not gone.expired.done()
    assert deadlines._slots == {}
