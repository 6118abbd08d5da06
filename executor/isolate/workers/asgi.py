"""``workers.asgi``: an ASGI application as a worker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from executor.isolate.workers.bodies import read_all
from executor.isolate.workers.entrypoints import WorkerEntrypoint
from executor.isolate.workers.headers import wire_pairs
from executor.isolate.workers.requests import Request
from executor.isolate.workers.responses import NULL_BODY_STATUSES, Response

VERSIONS = {"version": "3.0", "spec_version": "2.0"}


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
    lifespan = _Lifespan(app)
    await lifespan.start()
    exchange = _Exchange(await read_all(request._body))
    scope = _scope(request, env, lifespan.state)
    running = asyncio.ensure_future(app(scope, exchange.receive, exchange.send))
    await asyncio.wait((running, exchange.begun), return_when=asyncio.FIRST_COMPLETED)
    if not exchange.begun.done():
        await lifespan.stop()
        running.result()
        raise RuntimeError("The application did not generate a response")
    if exchange.is_whole or exchange.status in NULL_BODY_STATUSES:
        exchange.drop_rest()
        await running
        await lifespan.stop()
        return exchange.response(exchange.first)
    return exchange.response(_rest(exchange, running, lifespan))


async def websocket(_app: Any, _request: Any, _env: Any) -> NoReturn:
    """Raises ``NotImplementedError``."""
    raise NotImplementedError("WebSockets are not available on this platform")


class _Exchange:
    """What one request's application receives and sends."""

    def __init__(self, body: bytes) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.first = b""
        self.is_whole = False
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue(maxsize=1)
        self._body: bytes | None = body
        self._headers: list[tuple[str, str]] = []
        self._ended = asyncio.Event()
        self._dropping = False

    async def receive(self) -> dict[str, Any]:
        body, self._body = self._body, None
        if body is None:
            await self._ended.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "http.response.start" if not self.status:
                self.status = int(message["status"])
                self._headers = [_text_pair(*pair) for pair in message.get("headers", ())]
            case "http.response.body" if self.status and not self._ended.is_set():
                await self._take(bytes(message.get("body", b"")), message.get("more_body", False))
            case kind:
                raise RuntimeError(f"Unexpected ASGI message {kind!r}")

    def drop_rest(self) -> None:
        """Take what the application still sends, and do nothing with it."""
        self._dropping = True
        while not self.chunks.empty():
            self.chunks.get_nowait()

    def response(self, body: Any) -> Response:
        data = None if self.status in NULL_BODY_STATUSES else body
        return Response(data, self.status, headers=self._headers)

    async def _take(self, data: bytes, more: bool) -> None:
        if not more:
            self._ended.set()
        if not self.begun.done():
            self.first, self.is_whole = data, not more
            self.begun.set_result(None)
        elif data and not self._dropping:
            await self.chunks.put(data)
        if not more and not self.is_whole and not self._dropping:
            await self.chunks.put(b"")


class _Lifespan:
    """The application's start-up and shut-down around one request, if it knows them."""

    def __init__(self, app: Any) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())
        self._events.put_nowait({"type": "lifespan.startup"})
        answer = await self._answers.get()
        if answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"ASGI lifespan startup failed: {answer.get('message', '')}")

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            self._events.put_nowait({"type": "lifespan.shutdown"})
            await self._answers.get()

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": VERSIONS, "state": self.state}
        try:
            await self._app(scope, self._events.get, self._answers.put)
        except Exception:  # noqa: BLE001 - an application that knows no lifespan may say so this way
            self.state.clear()
        finally:
            self._answers.put_nowait({"type": "over"})


async def _rest(
    exchange: _Exchange, running: asyncio.Future[None], lifespan: _Lifespan
) -> AsyncIterator[bytes]:
    """A body as the application sends it; its failure is the body's."""
    yield exchange.first
    while True:
        coming = asyncio.ensure_future(exchange.chunks.get())
        await asyncio.wait((coming, running), return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            running.result()
            break
        if not coming.result():
            await running
            break
        yield coming.result()
    await lifespan.stop()


def _scope(request: Request, env: Any, state: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(request._url)
    default_port = 443 if parts.scheme == "https" else 80
    return {
        "type": "http",
        "asgi": VERSIONS,
        "http_version": "1.1",
        "method": request._method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in wire_pairs(request._headers)
        ],
        "server": (parts.hostname, parts.port or default_port),
        "client": None,
        "env": env,
        "state": state.copy(),
    }


def _text_pair(name: bytes, value: bytes) -> tuple[str, str]:
    return bytes(name).decode("latin-1"), bytes(value).decode("latin-1")
