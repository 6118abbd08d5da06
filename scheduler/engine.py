"""The event loop on which duties are done, in a thread beside Celery's beat."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence

import redis

from cloister.settings import Settings
from scheduler.duty import Duty, Watched
from scheduler.house import House
from scheduler.lease import LEASE_S, Lease

log = logging.getLogger(__name__)

STOP_S = 5.0
"""How long duties that are told to end may take."""


class Engine:
    """From :meth:`start` to :meth:`stop`, both called from outside, as :meth:`tick` is."""

    def __init__(self, settings: Settings, duties: Sequence[Duty]) -> None:
        self._settings = settings
        self._duties = duties
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="duties", daemon=True)
        self._ticking: asyncio.Future[None] | None = None
        self._house: House | None = None
        self._lease: Lease | None = None
        self._watched: list[Watched] = []
        self._was_held = False

    def start(self) -> None:
        """Connect to everything.

        Raises:
            CloisterError: something that is needed is not there.
        """
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def tick(self) -> None:
        """See what is due, soon. Returns at once; a tick that comes while one is under way is
        none."""
        self._loop.call_soon_threadsafe(self._begin_tick)

    def stop(self) -> None:
        """End what is being done, and let another scheduler begin at once. Harmless again."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
            with contextlib.suppress(TimeoutError):
                closing.result(STOP_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _open(self) -> None:
        self._house = await House.open(self._settings)
        self._lease = Lease(self._house.redis)
        self._watched = [Watched(duty, self._house) for duty in self._duties]

    def _begin_tick(self) -> None:
        if self._ticking is None or self._ticking.done():
            self._ticking = self._loop.create_task(self._tick())

    async def _tick(self) -> None:
        if await self._holds():
            for each in self._watched:
                each.start_if_due()
        else:
            for each in self._watched:
                await each.stop()

    async def _holds(self) -> bool:
        assert self._lease is not None  # noqa: S101 - opened before the first tick
        try:
            async with asyncio.timeout(LEASE_S / 2):
                held = await self._lease.hold()
        except (redis.RedisError, OSError) as exc:
            log.warning("the lease is not known: %s", exc)
            held = self._lease.is_held
        if held != self._was_held:
            self._was_held = held
            log.info("this scheduler is %s", "at work" if held else "not at work any more")
        return held

    async def _close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
        for each in self._watched:
            await each.stop()
        if self._lease is not None and self._lease.is_held:
            with contextlib.suppress(redis.RedisError, OSError):
                await self._lease.release()
        if self._house is not None:
            await self._house.close()
