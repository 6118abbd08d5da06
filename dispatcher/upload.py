"""Request bodies: small ones ride in the message, large ones beside it on a list."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import redis
import redis.asyncio

from cloister.messages import CHUNK_BYTES, INLINE_BODY_BYTES
from dispatcher.failures import PlatformFailure
from dispatcher.messages import Request

LIST_CHUNKS = 16
"""Chunks on the list at which the upload waits for the executor to take some."""

POLL_S = 0.02


@dataclass(frozen=True)
class Upload:
    """A request body: ``inline`` is all of it, unless ``rest`` gives what follows."""

    inline: bytes
    rest: AsyncIterator[bytes] | None


_EMPTY = Upload(b"", None)


async def send_body(
    client: redis.asyncio.Redis,
    key: str,
    first: bytes,
    rest: AsyncIterator[bytes],
    ttl_s: int,
) -> None:
    """Push a body on the list ``key`` as it arrives, an empty chunk at the end.

    Waits while the list is long, so that memory stays flat here and in Valkey.

    Raises:
        PlatformFailure: Valkey did not take it.
    """
    try:
        async for chunk in _rechunked(first, rest):
            await _push(client, key, chunk, ttl_s)
        await _push(client, key, b"", ttl_s)
    except (redis.RedisError, OSError) as exc:
        raise PlatformFailure from exc


async def take_body(request: Request) -> Upload:
    """Read the body up to what fits in the message."""
    whole = request.whole_body
    if whole is not None:
        return _of_bytes(whole)
    chunks = request.body
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) > INLINE_BODY_BYTES:
            return Upload(bytes(buffer), chunks)
    return Upload(bytes(buffer), None)


def _of_bytes(body: bytes) -> Upload:
    if not body:
        return _EMPTY
    return Upload(body, None if len(body) <= INLINE_BODY_BYTES else _nothing())


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield  # pragma: no cover - makes this an empty generator


async def _push(client: redis.asyncio.Redis, key: str, chunk: bytes, ttl_s: int) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.rpush(key, chunk)
    pipeline.expire(key, ttl_s)
    length = (await pipeline.execute())[0]
    while length >= LIST_CHUNKS:
        await asyncio.sleep(POLL_S)
        length = await client.llen(key)


async def _rechunked(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks of :data:`CHUNK_BYTES`, but nothing held back: what has arrived goes on."""
    buffer = bytearray(first)
    async for chunk in rest:
        buffer += chunk
        while len(buffer) >= CHUNK_BYTES:
            yield bytes(buffer[:CHUNK_BYTES])
            del buffer[:CHUNK_BYTES]
    for start in range(0, len(buffer), CHUNK_BYTES):
        yield bytes(buffer[start : start + CHUNK_BYTES])
