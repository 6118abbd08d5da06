"""fetch(): a request goes out over the door, a response comes back."""

import asyncio
from typing import Any

from executor.isolate import frames
from executor.isolate.invocation import runtime
from executor.isolate.workers.bodies import BodyStream, known_bytes, take_chunks
from executor.isolate.workers.headers import wire_pairs
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import Response, received_response
from executor.isolate.workers.urls import fetchable_url


async def fetch(resource: Request | str, *, fetcher: Any = None, **options: Any) -> Response:
    """Send a request and wait for the head of its response.

    ``options`` are those of ``Request``; ``fetcher`` is a binding to send it to instead.
    """
    request = resource
    if options or not isinstance(request, Request):
        request = Request(resource, **options)
    fetcher = fetcher if fetcher is not None else request._fetcher
    if fetcher is not None:
        answer: Response = await fetcher.fetch(request)
        return answer
    return await send("fetch", request)


async def send(target: str, request: Request, options: dict[str, Any] | None = None) -> Response:
    """Send a request to ``target``: the internet, or a binding of this worker."""
    if not isinstance(request, Request):
        raise TypeError(f"fetch() takes a URL or a Request, not {type(request).__name__}")
    if target == "fetch":
        fetchable_url(request._url)
    body, stream = request._body, None
    data = b"" if body is None else known_bytes(body)
    if data is None or len(data) > frames.INLINE_BODY_BYTES:
        data, stream = b"", runtime.new_stream()
    chunks = take_chunks(body) if body is not None else None
    question = runtime.ask(target, "fetch", [outgoing(request, data, stream)], options)
    if stream is None or body is None or chunks is None:
        return received_response(await question)
    return received_response(await ask_while_writing(question, stream, chunks))


def outgoing(request: Request, body: bytes, stream: int | None) -> frames.Outgoing:
    """A request as it travels."""
    return frames.Outgoing(
        method=request._method,
        url=request._url.partition("#")[0],
        headers=wire_pairs(request._headers),
        body=body,
        stream=stream,
        redirect=request._redirect,
        cf=frames.raw(request._cf),
    )


async def ask_while_writing(question: Any, stream: int, chunks: Any) -> Any:
    """The answer to a question whose body is written meanwhile.

    The answer may come before the body is through: the rest is then written in the background. A
    body that fails ends the question with its error.
    """
    answer = asyncio.ensure_future(question)
    await asyncio.sleep(0)  # the question goes first
    writing = asyncio.ensure_future(_write(stream, chunks))
    await asyncio.wait((answer, writing), return_when=asyncio.FIRST_COMPLETED)
    if writing.done() and writing.exception() is not None and not answer.done():
        answer.cancel()
        return writing.result()
    writing.add_done_callback(lambda task: task.cancelled() or task.exception())
    return await answer


async def _write(stream: int, chunks: Any) -> None:
    async for chunk in chunks:
        for start in range(0, len(chunk), frames.INLINE_BODY_BYTES):
            part = chunk[start : start + frames.INLINE_BODY_BYTES]
            await runtime.ask("stream", "write", [stream, part])
    await runtime.ask("stream", "write", [stream, b""])


def stream_of(value: BodyStream | bytes) -> tuple[int, Any]:
    """A new stream's id and the chunks to write to it."""
    body = value if isinstance(value, BodyStream) else BodyStream(value)
    return runtime.new_stream(), take_chunks(body)
