"""The proxied client: fetch() of one invocation, through the guard.

Each invocation has its own connections. Tenants never share one, so that a server that answers out
of step cannot give one tenant's response to another.
"""

import ssl
import time
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Protocol

import httpx

from cloister.settings import Settings
from executor.egress import headers as rules
from executor.egress.connection import Connection, Lost, TimedOut
from executor.egress.decoding import decoder_for
from executor.egress.guard import HostRules, Target
from executor.egress.network import GuardedNetwork, Resolve
from executor.egress.redirects import OutgoingRequest, follow
from executor.egress.response import Body, FetchedResponse, FetchFailed
from executor.egress.slots import SLOTS, Slot, Slots
from executor.egress.wire import Head, request_head

NO_BODY_STATUSES = frozenset({204, 205, 304})

ACCEPT_ENCODING = ("accept-encoding", "gzip, deflate")

UNREAD = "The response was left unread while other requests waited for its connection."


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
    context.set_alpn_protocols(["http/1.1"])
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
        self._network = GuardedNetwork(resolve, settings.egress_private, settings.egress_wait_s)
        self._in_use: set[Connection] = set()
        self._idle: dict[Connection, tuple[str, str, int]] = {}

    async def close(self) -> None:
        """Close every connection."""
        for connection in [*self._in_use, *self._idle]:
            connection.close()
        self._in_use.clear()
        self._idle.clear()

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
            head, connection = await self._send(request, target)
            status = head.status
        except TimedOut as exc:
            raise FetchFailed("The server did not answer in time.") from exc
        except Lost as exc:
            raise FetchFailed("Network connection lost.") from exc
        finally:
            if status == 0:
                slot.release()
            wall_ms = (time.monotonic() - started) * 1000
            self._meter.end(request.method, target.url, status, wall_ms)
        return self._fetched(request, target, head, connection, slot)

    async def _send(self, request: OutgoingRequest, target: Target) -> tuple[Head, Connection]:
        asked = request_head(request.method, target.path, _wire_headers(request, target))
        connection = self._idle_one(target) or await self._connected(target)
        self._in_use.add(connection)
        try:
            has_body = request.method != "HEAD"
            head = await connection.ask(asked, request.body, has_answer_body=has_body)
        except BaseException:
            self._give_back(connection, target)
            raise
        return head, connection

    async def _connected(self, target: Target) -> Connection:
        return await self._network.connect(target, tls() if target.scheme == "https" else None)

    def _idle_one(self, target: Target) -> Connection | None:
        """One to the same origin that is still open."""
        for connection, origin in self._idle.items():
            if origin == target.origin and connection.may_be_used_again:
                del self._idle[connection]
                return connection
        return None

    def _give_back(self, connection: Connection, target: Target) -> None:
        if connection not in self._in_use:
            return
        self._in_use.remove(connection)
        if not connection.may_be_used_again:
            connection.close()
            return
        self._idle[connection] = target.origin
        if len(self._idle) > SLOTS:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.close()

    def _fetched(
        self,
        request: OutgoingRequest,
        target: Target,
        head: Head,
        connection: Connection,
        slot: Slot,
    ) -> FetchedResponse:
        headers = rules.incoming(head.headers, decoded=False)
        empty = request.method == "HEAD" or head.status in NO_BODY_STATUSES
        encoding = rules.value_of(headers, "content-encoding")
        length = rules.value_of(headers, "content-length")
        decoder = None if empty else decoder_for(encoding)
        if encoding and decoder is not None:
            headers = rules.incoming(head.headers, decoded=True)

        def close() -> None:
            self._give_back(connection, target)
            slot.release()

        body = Body(
            connection.read,
            close,
            decoder=decoder,
            limit_bytes=self._settings.egress_body_bytes,
            on_read=slot.touch,
        )
        slot.abort = partial(body.abort, UNREAD)
        return FetchedResponse(
            status=head.status,
            status_text=head.reason,
            headers=headers,
            url=target.url,
            body=body,
            length=0 if empty else int(length) if length.isdigit() else None,
        )


def _wire_headers(request: OutgoingRequest, target: Target) -> rules.Headers:
    headers = [("host", target.authority), *request.headers, ACCEPT_ENCODING]
    if isinstance(request.body, bytes):
        headers.append(("content-length", str(len(request.body))))
    elif request.body is not None:
        headers.append(("transfer-encoding", "chunked"))
    elif request.method in ("POST", "PUT", "PATCH"):
        headers.append(("content-length", "0"))
    return headers
