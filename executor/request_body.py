"""A request body that travels beside its message, as a list of chunks in Valkey."""

import asyncio
from collections import deque
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from cloister.link import Link
from cloister.messages import body_list
from executor.egress.response import FetchFailed

BLOCK_S = 5.0
"""One wait for the next chunk; the invocation's wall clock bounds them together."""

CHUNKS_A_POP = 4


class RequestBody:
    """Chunks as the dispatcher pushes them; an empty one ends the body. Close it."""

    def __init__(self, client: redis.asyncio.Redis, invocation_id: str) -> None:
        self._client = client
        self._link = Link(client)
        self._list = body_list(invocation_id)
        self._pop = ("BLMPOP", BLOCK_S, 1, self._list, "LEFT", "COUNT", CHUNKS_A_POP)
        self._chunks: deque[bytes] = deque()
        self._ended = False
        self._reading = asyncio.Lock()

    async def read(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            FetchFailed: the body cannot be had any more.
        """
        async with self._reading:
            while not (self._chunks or self._ended):
                self._chunks.extend(await self._next())
            data = b"" if self._ended else self._chunks.popleft()
            self._ended = not data
            return data

    async def _next(self) -> list[bytes]:
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._link.send([self._pop], lambda replies: _settle(answer, replies))
        (popped,) = await answer
        if isinstance(popped, Exception):
            raise FetchFailed("The request's body was lost.") from popped
        return popped[1] if popped else []

    async def close(self) -> None:
        """Drop what was not read. The list has a time to live besides."""
        await self._link.close()
        if not self._ended:
            self._ended = True
            self._chunks.clear()
            try:
                await self._client.delete(self._list)
            except (RedisError, OSError):
                return


def _settle(answer: "asyncio.Future[list[Any]]", replies: list[Any]) -> None:
    """Hand over what came, unless who waited was cancelled."""
    if not answer.done():
        answer.set_result(replies)
