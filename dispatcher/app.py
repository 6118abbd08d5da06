"""The dispatcher as an ASGI application."""

import asyncio
import contextlib
import gc
import logging
import secrets
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any

from asgiref.wsgi import WsgiToAsgi

from cloister.errors import CloisterError
from cloister.outcomes import Outcome
from cloister.registry.names import plain_namespace
from cloister.secrets import open_cipher
from cloister.settings import Settings
from dispatcher.environment import Environment
from dispatcher.exchange import Exchange
from dispatcher.failures import ClientGone, DispatchFailure, Refusal
from dispatcher.headers import Headers
from dispatcher.house import create_house, own_path
from dispatcher.intake import IncomingBody, Receive, Scope, Send, take_in
from dispatcher.messages import Request, Response
from dispatcher.metrics import Metrics
from dispatcher.pages import failure_page, outcome_page
from dispatcher.previews import Previews, keep_private, may_be_preview
from dispatcher.reply import Aborted, check, send_response
from dispatcher.routing import Destination, Router
from dispatcher.services import Services
from dispatcher.stub import Dispatcher
from dispatcher.worker import Context, LoadedWorker, load_worker

log = logging.getLogger(__name__)

FLUSH_S = 1.0
"""How often other processes learn what this one has counted."""

GC_OBJECTS = 10_000
"""New objects before the collector looks through them. A busy moment holds thousands, none of them
garbage: looked through at the usual 700 they cost a tenth of a request."""

DRAIN_S = 25.0
"""How long shutdown waits for requests under way; gunicorn's graceful timeout is longer."""


def create_app(settings: Settings) -> "Front":
    """The ASGI callable. It opens nothing before its lifespan starts."""
    return Front(settings)


class Front:
    """Tenants' traffic, and ``/.cloister/`` beside it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._router = Router(settings, lambda host: self._services.routes.hostname(host))
        self._metrics = Metrics(shared=settings.dispatcher_processes > 1)
        house = create_house(
            settings,
            self._metrics,
            lambda: self._serving,
            lambda hostname_id: self._services.registry.hostnames.token(hostname_id),
        )
        self._house = WsgiToAsgi(house)  # type: ignore[no-untyped-call]  # asgiref has no types
        self._serving = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._background: set[asyncio.Task[Any]] = set()
        self._worker: LoadedWorker
        self._services: Services
        self._previews: Previews
        self._declared: dict[str, Any]
        self._catch_all: tuple[str, str] | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        if (path := own_path(scope["raw_path"])) is not None:
            self._metrics.flush()
            return self._house({**scope, "path": path}, receive, send)
        return self._serve(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._worker = load_worker(self._settings.dispatch_worker)
            self._services = Services(self._settings)
            await self._services.open()
            self._previews = Previews(open_cipher(self._settings), self._settings.domain)
        except Exception as exc:
            if not isinstance(exc, CloisterError):  # those say all in one line
                log.exception("start-up failed")
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return
        self._declared = self._worker.declared(self._services.registry)
        self._catch_all = await asyncio.to_thread(self._find_catch_all)
        self._serving = True
        # What was made so far stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_OBJECTS, 20, 20)
        counting = asyncio.create_task(self._keep_counting(), name="metrics")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._serving = False
        await self._drain()
        counting.cancel()
        self._metrics.flush()
        await self._services.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _find_catch_all(self) -> tuple[str, str] | None:
        """Namespace and name of the dispatch worker that is deployed, if one is."""
        accounts = self._services.registry.accounts.list()
        if not self._settings.dispatch_script or not accounts:
            return None
        account_id = self._settings.account_id or accounts[0].id
        return plain_namespace(account_id), self._settings.dispatch_script

    async def _keep_counting(self) -> None:
        while True:
            self._metrics.flush()
            await asyncio.sleep(FLUSH_S)

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await self._idle.wait()
                if self._background:
                    await asyncio.wait(self._background)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = _Visit(IncomingBody(scope, receive, self._settings.request_body_bytes))
        self._enter()
        try:
            response = await self._answer(visit, scope)
            await send_response(response, visit.id, scope["method"], send)
        except (ClientGone, asyncio.CancelledError):
            visit.outcome = Outcome.CANCELED.value
            raise asyncio.CancelledError from None
        except Aborted as exc:
            visit.outcome = exc.outcome
            # The connection is closed, so that the client sees the response is cut off.
            raise asyncio.CancelledError from None
        finally:
            self._leave(visit)
        await visit.body.drain()

    def _enter(self) -> None:
        self._idle.clear()
        self._metrics.under_way += 1

    def _leave(self, visit: "_Visit") -> None:
        visit.close()
        self._metrics.under_way -= 1
        if not self._metrics.under_way:
            self._idle.set()
        self._metrics.count(visit.namespace, visit.outcome, visit.age_s())

    async def _answer(self, visit: "_Visit", scope: Scope) -> Response:
        try:
            return await self._dispatch(visit, scope)
        except DispatchFailure as exc:
            visit.outcome = exc.outcome.value
            return failure_page(exc, visit.id, _accept(scope))
        except Refusal as exc:
            visit.outcome = f"refused{exc.status}"
            return failure_page(exc, visit.id, _accept(scope))
        except ClientGone:
            raise
        except Exception:
            log.exception("request %s: the dispatch worker failed", visit.id)
            visit.outcome = "dispatchWorkerException"
            return outcome_page(Outcome.EXCEPTION, visit.id, _accept(scope))

    async def _dispatch(self, visit: "_Visit", scope: Scope) -> Response:
        intake = take_in(scope, visit.id, self._settings)
        preview = self._previews.find(intake, scope) if may_be_preview(intake.host) else None
        if preview is None:
            destination = await self._destination(intake.host, intake.path)
        elif preview.admission is not None:
            return preview.admission
        else:
            intake, destination = preview.intake, preview.destination
        namespace = destination.namespace
        if self._metrics.knows(namespace) or await self._is_namespace(namespace):
            visit.namespace = namespace
        request = Request(
            intake.url(destination.path),
            method=intake.method,
            headers=Headers.of(intake.headers),
            body=b"" if visit.body.finished else visit.body,
            id=visit.id,
            namespace=namespace,
            worker=destination.worker,
            hostname=destination.hostname,
            cf={"hostMetadata": destination.metadata} if destination.metadata else None,
            client_ip=intake.client_ip,
        )
        if preview is not None:
            request.version = preview.version
        dispatcher = Dispatcher(self._services, request, visit.exchanges.append)
        env = Environment(dispatcher, self._declared)
        response = check(await self._worker.call(request, env, Context(self._background)))
        if preview is not None:
            keep_private(response)
        return response

    async def _destination(self, host: str, path: str) -> Destination:
        """Who gets a request: the worker of its address, else the dispatch worker that is deployed.

        Raises:
            Refusal: neither is there.
        """
        if self._catch_all is None:
            return await self._router.find(host, path)
        try:
            found = await self._router.find(host, path)
        except Refusal as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
        else:
            if await self._services.routes.route(found.namespace, found.worker) is not None:
                return found
        return Destination(*self._catch_all, path)

    async def _is_namespace(self, name: str) -> bool:
        """Whether requests are counted by this name: what a visitor made up makes no series."""
        return await self._services.routes.namespace(name) is not None


def _accept(scope: Scope) -> str:
    return next((v.decode("latin-1") for n, v in scope["headers"] if n == b"accept"), "")


class _Visit:
    """One client request under way: how it ends, and what must end with it."""

    def __init__(self, body: IncomingBody) -> None:
        self.id = secrets.token_hex(16)
        self.body = body
        self._began = time.perf_counter()
        self.namespace = ""
        self.outcome = Outcome.OK.value
        self.exchanges: list[Exchange] = []

    def age_s(self) -> float:
        return time.perf_counter() - self._began

    def close(self) -> None:
        for exchange in self.exchanges:
            exchange.close()
