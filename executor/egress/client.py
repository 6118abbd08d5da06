"""The proxied client: fetch() of one invocation, through the guard.

Each invocation has its own connections. Tenants never share one, so that a server that answers out
of step cannot give one tenant's response to another.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self

import httpcore
import httpx

from cloister.settings import Settings
from executor.egress import headers as rules
from executor.egress.decoding import decoder_for
from executor.egress.guard import FetchRefused, HostRules, Target, join, parse
from executor.egress.headers import Headers
from executor.egress.network import GuardedNetwork, Resolve
from executor.egress.response import Body, FetchedResponse, FetchFailed
from executor.egress.slots import Slot, Slots

MAX_REDIRECTS = 20
REDIRECTS = frozenset({301, 302, 303, 307, 308})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_BODY_STATUSES = frozenset({204, 205, 304})

CONNECT_S = 10
"""Longest wait for name, connection and TLS."""

ACCEPT_ENCODING = ("accept-encoding", "gzip, deflate")


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A fetch() of a tenant. ``body`` as an iterator is streamed and cannot be sent twice."""

    url: str
    method: str = "GET"
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None = None
    redirect: str = "follow"


class Meter(Protocol):
    """Counts the hops of an invocation's fetches."""

    def begin(self) -> None:
        """Called before each hop, redirects too; raises to refuse it."""

    def end(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """Called after each hop; status 0 means that it failed."""


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The public authorities and those that the operator's system trusts."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


class Client:
    """``async with``: on leaving, every connection is closed and open bodies break off."""

    def __init__(
        self,
        settings: Settings,
        resolve: Resolve,
        host_rules: HostRules,
        meter: Meter,
        slots: Slots | None = None,
    ) -> None:
        self._settings = settings
        self._rules = host_rules
        self._meter = meter
        self._slots = slots or Slots()
        self._network = GuardedNetwork(resolve, settings.egress_private)
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.aclose()

    async def fetch(self, request: OutgoingRequest) -> FetchedResponse:
        """Send a request and follow its redirects as it says.

        Raises:
            FetchRefused: the guard says no, or the request is not one that can be sent.
            FetchFailed: the other side did not answer.
            Exception: whatever the meter raises.
        """
        if request.method not in METHODS:
            raise FetchRefused(f"fetch() does not send {request.method[:20]} requests.")
        if request.redirect not in ("follow", "manual", "error"):
            raise FetchRefused(f"Unknown redirect mode {request.redirect[:20]!r}.")
        target = parse(request.url, self._settings.egress_ports)
        request = replace(request, headers=rules.outgoing(request.headers))
        slot = await self._slots.acquire()
        try:
            return await self._follow(request, target, slot)
        except BaseException:
            slot.release()
            raise

    async def _follow(
        self, request: OutgoingRequest, target: Target, slot: Slot
    ) -> FetchedResponse:
        for hops in range(MAX_REDIRECTS + 1):
            response = await self._hop(request, target)
            location = _location(response)
            if location is None or request.redirect == "manual":
                return self._finish(request, target, response, slot, redirected=hops > 0)
            await response.aclose()
            if request.redirect == "error":
                raise FetchFailed("The response is a redirect, and redirect mode is error.")
            following = join(target, location, self._settings.egress_ports)
            request = _redirected(request, response.status, target, following)
            target = following
        raise FetchFailed("Too many redirects.")

    async def _hop(self, request: OutgoingRequest, target: Target) -> httpcore.Response:
        self._rules.check(target.host)
        self._meter.begin()
        started = time.monotonic()
        status = 0
        try:
            response = await self._send(request, target)
            status = response.status
        except httpcore.TimeoutException as exc:
            raise FetchFailed("The server did not answer in time.") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as exc:
            raise FetchFailed("Network connection lost.") from exc
        finally:
            wall_ms = (time.monotonic() - started) * 1000
            self._meter.end(request.method, target.url, status, wall_ms)
        return response

    async def _send(self, request: OutgoingRequest, target: Target) -> httpcore.Response:
        wait_s = self._settings.egress_wait_s
        return await self._connections().handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=target.scheme,
                    host=target.host,
                    port=target.port,
                    target=target.path,
                ),
                headers=_wire_headers(request, target),
                content=request.body,
                extensions={
                    "timeout": {"connect": CONNECT_S, "read": wait_s, "write": wait_s, "pool": None}
                },
            )
        )

    def _connections(self) -> httpcore.AsyncConnectionPool:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=_tls(), network_backend=self._network, max_connections=None
            )
        return self._pool

    def _finish(
        self,
        request: OutgoingRequest,
        target: Target,
        response: httpcore.Response,
        slot: Slot,
        *,
        redirected: bool,
    ) -> FetchedResponse:
        headers = rules.incoming(response.headers, decoded=False)
        empty = request.method == "HEAD" or response.status in NO_BODY_STATUSES
        encoding = rules.value_of(headers, "content-encoding")
        decoder = None if empty else decoder_for(encoding)
        length = rules.value_of(headers, "content-length")
        if encoding and decoder is not None:
            headers = rules.incoming(response.headers, decoded=True)
        body = Body(
            aiter(response.aiter_stream()),
            _closing(response, slot),
            decoder=decoder,
            limit_bytes=self._settings.egress_body_bytes,
            on_read=slot.touch,
        )
        slot.abort = lambda: _abort(body)
        return FetchedResponse(
            status=response.status,
            status_text=_reason(response),
            headers=headers,
            url=target.url,
            redirected=redirected,
            body=body,
            length=0 if empty else int(length) if length.isdigit() else None,
        )


def _closing(response: httpcore.Response, slot: Slot):  # type: ignore[no-untyped-def]
    async def close() -> None:
        try:
            await response.aclose()
        finally:
            slot.release()

    return close


_closing_tasks: set[asyncio.Task[None]] = set()


def _abort(body: Body) -> None:
    body.abort("The response was left unread while other requests waited for its connection.")
    task = asyncio.ensure_future(body.close())
    _closing_tasks.add(task)  # the loop itself keeps only a weak reference
    task.add_done_callback(_closing_tasks.discard)


def _wire_headers(request: OutgoingRequest, target: Target) -> list[tuple[bytes, bytes]]:
    headers = [("host", target.authority), *request.headers, ACCEPT_ENCODING]
    if isinstance(request.body, bytes):
        headers.append(("content-length", str(len(request.body))))
    elif request.body is not None:
        headers.append(("transfer-encoding", "chunked"))
    elif request.method in ("POST", "PUT", "PATCH"):
        headers.append(("content-length", "0"))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _location(response: httpcore.Response) -> str | None:
    if response.status not in REDIRECTS:
        return None
    return next(
        (v.decode("latin-1") for k, v in response.headers if k.lower() == b"location"), None
    )


def _redirected(
    request: OutgoingRequest, status: int, source: Target, target: Target
) -> OutgoingRequest:
    """The next request, as the Fetch standard says."""
    headers = request.headers
    method, body = request.method, request.body
    if (status == 303 and method not in ("GET", "HEAD")) or (
        status in (301, 302) and method == "POST"
    ):
        method, body, headers = "GET", None, rules.without(headers, rules.CONTENT)
    if body is not None and not isinstance(body, bytes):
        raise FetchFailed("A redirect asks for the body again, and it was streamed.")
    if source.origin != target.origin:
        headers = rules.without(headers, rules.CREDENTIALS)
    return replace(request, method=method, body=body, headers=headers)


def _reason(response: httpcore.Response) -> str:
    phrase = response.extensions.get("reason_phrase", b"")
    return phrase.decode("latin-1") if isinstance(phrase, bytes) else ""
