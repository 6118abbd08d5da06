"""A request body that travels beside its message, as a list of chunks in Valkey."""

import asyncio
from typing import cast

import redis.asyncio
from redis.exceptions import RedisError

from cloister.messages import body_list
from executor.egress.response import FetchFailed

BLOCK_S = 5.0
"""One wait for the next chunk; the invocation's wall clock bounds them together."""


class RequestBody:
    """Chunks as the dispatcher pushes them; an empty one ends the body."""

    def __init__(self, client: redis.asyncio.Redis, invocation_id: str) -> None:
        self._client = client
        self._list = body_list(invocation_id)
        self._ended = False
        self._reading = asyncio.Lock()

    async def read(self) -> bytes:
        """The next bytes; empty at the end.

        Raises:
            FetchFailed: the body cannot be had any more.
        """
        async with self._reading:
            popped = None
            while popped is None and not self._ended:
                popped = await self._pop()
            data = b"" if popped is None else popped[1]
            self._ended = not data
            return data

    async def _pop(self) -> tuple[bytes, bytes] | None:
        try:
            popped = await self._client.blpop([self._list], timeout=BLOCK_S)
        except (RedisError, OSError) as exc:
            raise FetchFailed("The request's body was lost.") from exc
        return cast("tuple[bytes, bytes] | None", popped)

    async def close(self) -> None:
        """Drop what was not read. The list has a time to live besides."""
        if not self._ended:
            self._ended = True
            try:
                await self._client.delete(self._list)
            except (RedisError, OSError):
                return
