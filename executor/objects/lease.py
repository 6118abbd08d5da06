"""An executor's lease: its word, renewed every second, that it runs the objects it has.

It is a key in Valkey that lives for seconds. Who has it counts with less than that, by the clock of
its own machine from before it asked; so by the time others see it gone, its holder knows.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable

import redis.asyncio
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

TTL_S = 5.0
MARGIN_S = 0.5
RENEW_S = 1.0


class Lost(Exception):
    """The lease is over: whatever this executor ran may be another's by now."""


class Lease:
    """Taken with the first object, and then kept. A lost one is never taken again, but another.

    Attributes:
        name: of the lease that is held, or was last: the executor's id, and a number.
        until_s: the monotonic time until which it is good.
    """

    def __init__(
        self, client: redis.asyncio.Redis, executor_id: str, on_kept: Callable[[], None]
    ) -> None:
        self.name = ""
        self.until_s = -math.inf
        self._client = client
        self._executor_id = executor_id
        self._on_kept = on_kept
        self._count = 0
        self._taking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def hold(self) -> str:
        """Have a lease; its name.

        Raises:
            RedisError: Valkey is away.
        """
        async with self._taking:
            if not self.is_good():
                await self._take()
        return self.name

    def is_good(self, name: str | None = None) -> bool:
        """Whether the lease, or that of this name, is still held."""
        return name in (None, self.name) and time.monotonic() < self.until_s

    def check(self, name: str) -> None:
        """Raises :class:`Lost` unless that is still held."""
        if not self.is_good(name):
            raise Lost

    async def is_alive(self, name: str) -> bool:
        """Whether anybody holds the lease of that name."""
        return bool(await self._client.exists(_key(name)))

    async def close(self) -> None:
        """Give it up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.is_good():
            self.until_s = -math.inf
            with contextlib.suppress(RedisError, OSError):
                await self._client.delete(_key(self.name))

    async def _take(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._count += 1
        self.name = f"{self._executor_id}.{self._count}"
        asked_s = time.monotonic()
        await self._client.set(_key(self.name), b"1", px=int(TTL_S * 1000))
        self.until_s = asked_s + TTL_S - MARGIN_S
        self._task = asyncio.create_task(self._keep(self.name))

    async def _keep(self, name: str) -> None:
        """Renew it for as long as it is good; only one that is still there."""
        while self.is_good(name):
            await asyncio.sleep(RENEW_S)
            asked_s = time.monotonic()
            try:
                is_kept = await self._client.set(_key(name), b"1", xx=True, px=int(TTL_S * 1000))
            except (RedisError, OSError) as exc:
                log.warning("the lease of objects was not renewed: %s", exc)
                continue
            if not is_kept or not self.is_good(name):
                break
            self.until_s = asked_s + TTL_S - MARGIN_S
            self._on_kept()
        log.error("the lease of objects is lost; they begin anew")
        self.until_s = -math.inf


def executor_of(name: str) -> str:
    """Whose lease it is."""
    return name.partition(".")[0]


def _key(name: str) -> str:
    return f"lease:{name}"
