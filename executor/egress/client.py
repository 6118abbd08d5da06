"""The proxied client: fetch() of one invocation, through the guard.

Each invocation has its own connections. Tenants never share one, so that a server that answers out
of step cannot give one tenant's response to another.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Protocol

import httpcore
import httpx

from cloister.settings import Settings
from executor.egress import headers as rules
from executor.egress.decoding import decoder_for
from executor.egress.guard import HostRules, Target
from executor.egress.network import GuardedNetwork, Resolve
from executor.egress.redirects import OutgoingRequest, follow
from executor.egress.response import Body, FetchedResponse, FetchFailed
from executor.egress.slots import Slot, Slots

NO_BODY_STATUSES = frozenset({204, 205, 304})

CONNECT_S = 10
"""Longest wait for name, connection and TLS."""

ACCEPT_ENCODING = ("accept-encoding", "gzip, deflate")


class Meter(Protocol):
    """Counts the hops of an invocation's fetches."""

    def begin(self) -> None:
        """Called before each hop, redirects too; raises to refuse it."""

    def end(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """Called after each hop; status 0 means that it failed."""


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """The public authorities and those that the operator's system trusts. Slow the first time."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


class Client:
    """Close it when the invocation ends: open bodies then break off."""

    def __init__(
        self,
        settings: Settings,
        resolve: Resolve,
        host_rules: Iterable[HostRules],
        meter: Meter,
        slots: Slots | None = None,
    ) -> None:
        self._settings = settings
        self._rules = tuple(host_rules)
        self._meter = meter
        self._slots = slots or Slots()
        self._network = GuardedNetwork(resolve, settings.egress_private)
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.aclose()

    async def fetch(self, request: OutgoingRequest) -> FetchedResponse:
        """Send a request, with redirects as it says.

        Raises:
            FetchRefused: the guard says no, or the request is not one that can be sent.
            FetchFailed: the other side did not answer.
            Exception: whatever the meter raises.
        """
        return await follow(request, self._hop, self._settings.egress_ports)

    async def _hop(self, request: OutgoingRequest, target: Target) -> FetchedResponse:
        for host_rules in self._rules:
            host_rules.check(target.host)
        self._meter.begin()
        slot = await self._slots.acquire()
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
            if status == 0:
                slot.release()
            wall_ms = (time.monotonic() - started) * 1000
            self._meter.end(request.method, target.url, status, wall_ms)
        return self._fetched(request, target, response, slot)

    async def _send(self, request: OutgoingRequest, target: Target) -> httpcore.Response:
        wait_s = self._settings.egress_wait_s
        return await self._connections().handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=target.scheme, host=target.host, port=target.port, target=target.path
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
                ssl_context=tls(), network_backend=self._network, max_connections=None
            )
        return self._pool

    def _fetched(
        self, request: OutgoingRequest, target: Target, response: httpcore.Response, slot: Slot
    ) -> FetchedResponse:
        headers = rules.incoming(response.headers, decoded=False)
        empty = request.method == "HEAD" or response.status in NO_BODY_STATUSES
        encoding = rules.value_of(headers, "content-encoding")
        length = rules.value_of(headers, "content-length")
        decoder = None if empty else decoder_for(encoding)
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
            body=body,
            length=0 if empty else int(length) if length.isdigit() else None,
        )


def _closing(response: httpcore.Response, slot: Slot) -> Callable[[], Awaitable[None]]:
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


def _reason(response: httpcore.Response) -> str:
    phrase = response.extensions.get("reason_phrase", b"")
    return phrase.decode("latin-1") if isinstance(phrase, bytes) else ""
