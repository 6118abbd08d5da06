"""``workers.wsgi``: a WSGI application as a worker."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from executor.isolate.invocation import runtime
from executor.isolate.workers.bodies import read_all
from executor.isolate.workers.entrypoints import WorkerEntrypoint
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import NULL_BODY_STATUSES, Response


def entrypoint(app: Any, *, options: Any = None) -> type[WorkerEntrypoint]:
    """A ``Default`` class that answers with that application."""

    class Default(WorkerEntrypoint):
        async def fetch(self, request: Request) -> Response:
            return await fetch(app, request, self.env, self.ctx, options=options)

    return Default


async def fetch(
    app: Any,
    request: Request,
    env: Any,
    ctx: Any = None,  # noqa: ARG001 - the product's signature, as are the options
    *,
    options: Any = None,  # noqa: ARG001
) -> Response:
    """The application's answer to one request.

    Raises ``RuntimeError`` if it gives none, and whatever it raises before its response begins.
    """
    answer = _Answer()
    parts = app(_environ(request, env, await read_all(request._body)), answer.start)
    body = _pieces(parts, answer)
    first = next(body, b"")  # by now start_response must have been called
    if not answer.status:
        raise RuntimeError("The application did not generate a response")
    if answer.status in NULL_BODY_STATUSES:
        for _ in body:
            pass
        return Response(None, answer.status, headers=answer.headers)
    if isinstance(parts, list | tuple):
        return Response(first + b"".join(body), answer.status, headers=answer.headers)
    return Response(_chained(first, body), answer.status, headers=answer.headers)


class _Answer:
    """What the application says with start_response, and through the old write callable."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], error: Any = None
    ) -> Callable[[bytes], None]:
        if self.status and error is None:
            raise RuntimeError("start_response was called twice")
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(str(name), str(value)) for name, value in headers]
        return self.written.append


class _Errors:
    """``wsgi.errors``: lines of the worker's log."""

    __slots__ = ()

    def write(self, text: str) -> int:
        if line := text.rstrip("\n"):
            runtime.log("error", line)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Every line has been sent."""


def _pieces(parts: Iterable[bytes], answer: _Answer) -> Iterator[bytes]:
    """The body, what was written first; empty pieces are left out."""
    try:
        for part in parts:
            yield from answer.written
            answer.written.clear()
            if part:
                yield bytes(part)
        yield from answer.written
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _environ(request: Request, env: Any, body: bytes) -> dict[str, Any]:
    parts = urlsplit(request._url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    environ = {
        "REQUEST_METHOD": request._method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": _Errors(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "workers.env": env,
    }
    for name in request._headers:
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = request._headers[name]
        elif key != "CONTENT_LENGTH":
            environ[f"HTTP_{key}"] = ",".join(request._headers.get_all(name))
    return environ
