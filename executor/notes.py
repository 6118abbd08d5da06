"""Notes from dispatchers: who has gone away, how much more of a response may be sent, and what they
have not heard of for long."""

import asyncio
import logging
from collections.abc import Callable

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from cloister.messages import EXECUTORS_CHANNEL, Note, decode_note, executor_channel

log = logging.getLogger(__name__)

RECONNECT_S = 0.2
POLL_S = 5.0


class Notes:
    """Listens on this executor's channel and on that of all executors."""

    def __init__(
        self, client: redis.asyncio.Redis, executor_id: str, take: Callable[[Note], None]
    ) -> None:
        self._client = client
        self._channels = (EXECUTORS_CHANNEL, executor_channel(executor_id))
        self._take = take
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Return once notes arrive."""
        self._task = asyncio.create_task(self._listen())
        await self._listening.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._subscribe()
            except (RedisError, OSError) as exc:
                # Missed notes cost no correctness: limits end a run that nobody waits for.
                log.warning("notes are not received, trying again: %s", exc)
                await asyncio.sleep(RECONNECT_S)

    async def _subscribe(self) -> None:
        async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(*self._channels)
            self._listening.set()
            while True:
                message = await pubsub.get_message(timeout=POLL_S)
                if message is not None:
                    self._decode(message["data"])

    def _decode(self, data: bytes) -> None:
        try:
            note = decode_note(data)
        except msgspec.MsgspecError as exc:
            log.warning("dropped a note that is none: %s", exc)
            return
        self._take(note)
