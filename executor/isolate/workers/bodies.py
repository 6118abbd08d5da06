"""Bodies: read once, whole or chunk by chunk, from memory, from the door, or from a generator."""

import asyncio
import json as json_module
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

from executor.isolate.invocation import Invocation, runtime
from executor.isolate.workers.forms import Blob, FormData
from executor.isolate.workers.headers import HeaderMap
from executor.isolate.workers.multipart import encode_form, parse_form

CHUNK_BYTES = 256 * 1024

Bytes = bytes
View = memoryview
"""Names for the types that methods below are named after."""

TEXT_TYPE = "text/plain;charset=UTF-8"


class Chunk(bytes):
    """Some bytes of a body."""

    def to_bytes(self) -> bytes:
        """The same as plain bytes."""
        return bytes(self)


class BodyStream:
    """A body that can be iterated once (``async for chunk in body``)."""

    __slots__ = ("_chunks", "_data", "_stream", "_used")

    def __init__(
        self,
        data: bytes | None,
        chunks: AsyncIterator[bytes] | None = None,
        stream: int | None = None,
    ) -> None:
        self._data = data
        self._chunks = chunks
        self._stream = stream
        self._used = False

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return _as_chunks(take_chunks(self))

    def __repr__(self) -> str:
        return "<body, used>" if self._used else "<body>"


def is_used(body: BodyStream | None) -> bool:
    """Whether somebody has read it."""
    return body is not None and body._used


def known_bytes(body: BodyStream) -> bytes | None:
    """All of the body, without reading it, where it is in memory."""
    return None if body._used else body._data


def take_chunks(body: BodyStream) -> AsyncIterator[bytes]:
    """The chunks of a body, which is used from now on."""
    _use(body)
    return _cut(body._data) if body._chunks is None else body._chunks


async def read_all(body: BodyStream | None) -> bytes:
    """All of the body, which is used from now on."""
    if body is None:
        return b""
    _use(body)
    if body._chunks is None:
        return body._data or b""
    return b"".join([chunk async for chunk in body._chunks])


def fork(body: BodyStream | None) -> tuple[BodyStream | None, BodyStream | None]:
    """Two bodies for one. What one of them has read, the other still holds in memory."""
    if body is None:
        return None, None
    _use(body)
    if body._chunks is None:
        return BodyStream(body._data), BodyStream(body._data)
    first, second = _branches(body._chunks)
    return BodyStream(None, first), BodyStream(None, second)


def pulled(stream: int) -> BodyStream:
    """A body that the executor holds."""
    return BodyStream(None, _pull(stream, runtime.current()), stream)


def give_up(body: BodyStream | None) -> None:
    """Read no more of a body; where the executor holds it, let it go."""
    if not isinstance(body, BodyStream):  # none, or what a class of the tenant's put in its place
        return
    body._used = True
    if body._stream is not None:
        telling = asyncio.ensure_future(runtime.ask("stream", "cancel", [body._stream]))
        telling.add_done_callback(lambda task: task.cancelled() or task.exception())


def body_of(value: Any) -> tuple[BodyStream | None, str | None]:
    """The body that a tenant's value stands for, and the content type that comes with it.

    Raises ``TypeError`` for a value that is no body.
    """
    match value:
        case None:
            return None, None
        case str():
            return BodyStream(value.encode("utf-8", "replace")), TEXT_TYPE
        case bytes() | bytearray() | memoryview():
            return BodyStream(bytes(value)), None
        case BodyStream():
            return _moved(value), None
        case Blob():
            return BodyStream(value._data), value.content_type or None
        case FormData():
            data, content_type = encode_form(value)
            return BodyStream(data), content_type
        case AsyncIterable():
            return BodyStream(None, _checked_chunks(aiter(value))), None
        case Iterator():
            return BodyStream(None, _checked_chunks(_awaited(value))), None
        case _:
            raise TypeError(f"Unsupported type in Response: {type(value).__name__}")


class BodyReader:
    """The part that Request and Response share: headers, and a body to read once."""

    __slots__ = ("_body", "_headers")

    _body: BodyStream | None
    _headers: HeaderMap

    @property
    def headers(self) -> HeaderMap:
        """The headers."""
        return self._headers

    @property
    def body(self) -> BodyStream | None:
        """The body as an asynchronous iterator of chunks, or None."""
        return self._body

    @property
    def body_used(self) -> bool:
        """Whether the body was read."""
        return is_used(self._body)

    bodyUsed = body_used

    @property
    def js_object(self) -> Any:
        """The object itself: there is no JavaScript underneath."""
        return self

    async def bytes(self) -> Bytes:
        """The body."""
        return await read_all(self._body)

    async def text(self) -> str:
        """The body as UTF-8 text."""
        return (await read_all(self._body)).decode("utf-8-sig", "replace")

    async def json(self, **options: Any) -> Any:
        """The body as JSON; ``options`` are those of ``json.loads``."""
        return json_module.loads(await self.text(), **options)

    async def buffer(self) -> Chunk:
        """The body, with the ``to_bytes()`` of a buffer."""
        return Chunk(await read_all(self._body))

    async def memoryview(self) -> View:
        """The body as a memoryview."""
        return View(await read_all(self._body))

    async def blob(self) -> Blob:
        """The body as a Blob of the message's content type."""
        return Blob(await read_all(self._body), self._headers.get("content-type"))

    async def form_data(self) -> FormData:
        """The body as a form. Raises ``TypeError`` if it is none."""
        content_type = self._headers.get("content-type", "")
        return parse_form(await read_all(self._body), content_type)

    formData = form_data


def _use(body: BodyStream) -> None:
    if body._used:
        raise OSError("Body already used")
    body._used = True


def _moved(body: BodyStream) -> BodyStream:
    _use(body)
    return BodyStream(body._data, body._chunks, body._stream)


async def _as_chunks(chunks: AsyncIterator[bytes]) -> AsyncIterator[Chunk]:
    async for chunk in chunks:
        yield Chunk(chunk)


async def _cut(data: bytes | None) -> AsyncIterator[bytes]:
    for start in range(0, len(data or b""), CHUNK_BYTES):
        yield (data or b"")[start : start + CHUNK_BYTES]


async def _pull(stream: int, invocation: Invocation) -> AsyncIterator[bytes]:
    while runtime.invocation is invocation:
        chunk = await runtime.ask("stream", "read", [stream])
        if not chunk:
            return
        yield chunk
    raise RuntimeError("Cannot perform I/O on behalf of a different request.")


async def _awaited(values: Iterable[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value
        await asyncio.sleep(0)  # other work of this invocation goes on meanwhile


async def _checked_chunks(values: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for value in values:
        if isinstance(value, str):
            value = value.encode("utf-8", "replace")
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"A body's chunks are bytes or str, not {type(value).__name__}")
        if len(value):
            yield bytes(value)


def _branches(chunks: AsyncIterator[bytes]) -> tuple[AsyncIterator[bytes], AsyncIterator[bytes]]:
    waiting: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
    lock = asyncio.Lock()

    async def branch(mine: deque[bytes], other: deque[bytes]) -> AsyncIterator[bytes]:
        while True:
            async with lock:
                if not mine:
                    chunk = await anext(chunks, b"")
                    if not chunk:
                        return
                    mine.append(chunk)
                    other.append(chunk)
            yield mine.popleft()

    return branch(*waiting), branch(*reversed(waiting))
