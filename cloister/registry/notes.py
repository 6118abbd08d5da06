"""Notes of what changed, from the writer to every cache, over Valkey's pub/sub."""

import asyncio
import logging
from collections.abc import Callable

import msgspec
from redis import RedisError
from redis.asyncio.client import PubSub

from cloister.broker import async_redis, redis_client
from cloister.messages import REGISTRY_CHANNEL, Changed, decode_changed, encode
from cloister.settings import Settings

SILENCE_S = 1.0
"""After so long without a message the server is pinged; after twice so long it counts as gone."""

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
"""Between attempts to subscribe, doubling."""

ATTEMPTS = 2
"""To publish a note: the first may meet a connection that went stale. A note may come twice."""

log = logging.getLogger(__name__)


class ChangePublisher:
    """Called with each change after its commit (``open_registry(..., on_change=)``). Thread-safe.

    A note that cannot be sent is logged and given up: the write has happened all the same, and no
    cache keeps an entry for ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._redis = redis_client(settings)

    def __call__(self, changed: Changed) -> None:
        """Tell every cache."""
        note = encode(changed)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._redis.publish(REGISTRY_CHANNEL, note)
            except RedisError:
                if attempt == ATTEMPTS:
                    log.exception("A change of %s could not be published", changed.namespace)
            else:
                return

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def change_publisher(settings: Settings) -> ChangePublisher:
    """What to give ``open_registry`` as ``on_change`` where the registry is written."""
    return ChangePublisher(settings)


class ChangeListener:
    """Follows the notes. ``handle`` gets each one, and None when any number may have been missed:
    after each (re)connection, and for a note that cannot be read.
    """

    def __init__(self, settings: Settings, handle: Callable[[Changed | None], None]) -> None:
        self._redis = async_redis(settings)
        self._handle = handle
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self.connected = asyncio.Event()
        """Set while every note is sure to arrive."""

    async def start(self) -> None:
        """Begin; returns once subscribed, or once the first attempt has failed."""
        self._task = asyncio.create_task(self._follow())
        await self._settled.wait()

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._redis.aclose()

    async def _follow(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._listen(pubsub)
            except (RedisError, OSError) as exc:
                log.warning("The registry's notes are interrupted: %s", exc)
            was_connected = self.connected.is_set()
            pause_s = FIRST_PAUSE_S if was_connected else min(2 * pause_s, LONGEST_PAUSE_S)
            self.connected.clear()
            self._settled.set()
            await asyncio.sleep(pause_s)

    async def _listen(self, pubsub: PubSub) -> None:
        """Until the connection fails, or the server is silent for too long."""
        await pubsub.subscribe(REGISTRY_CHANNEL)
        pinged = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_S)
            if message is not None:
                pinged = False
                self._take(message["type"], message["data"])
            elif pinged:
                raise OSError("the server is silent")
            else:
                pinged = True
                await pubsub.ping()

    def _take(self, kind: str, data: object) -> None:
        if kind == "subscribe":
            # Also when the client library has reconnected on its own.
            self._tell(None)
            self.connected.set()
            self._settled.set()
        elif kind == "message" and isinstance(data, bytes):
            self._tell(_decoded(data))

    def _tell(self, changed: Changed | None) -> None:
        try:
            self._handle(changed)
        except Exception:
            # One reader's mistake must not end the notes to all.
            log.exception("A note of the registry was not handled")


def _decoded(data: bytes) -> Changed | None:
    try:
        return decode_changed(data)
    except msgspec.DecodeError:
        log.exception("A note of the registry cannot be read")
        return None
