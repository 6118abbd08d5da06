"""Connections that the guard has seen: names are looked up here, every address is checked, and the
checked address is the one connected to, so that a name cannot change its mind in between."""

import asyncio
import functools
import ipaddress
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpcore

from executor.egress.guard import FetchRefused, Network, check_addresses
from executor.gate import Gate, Overloaded

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses, in the order to try. Raises OSError."""

LOOKUP_THREADS = 32
LOOKUPS_EACH = 4
"""Of one namespace at once, so that one with slow name servers holds up itself only."""

MAX_ADDRESSES = 4
"""Addresses of one host that are tried."""


class Resolver:
    """The system's resolver, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="resolve")
        line = LOOKUP_THREADS * LOOKUPS_EACH
        self._gate = Gate(LOOKUP_THREADS, running=LOOKUPS_EACH, waiting=line, in_line=sys.maxsize)

    async def lookup(self, namespace: str, host: str, port: int) -> list[str]:
        """Every address of ``host``, which may be one itself. Raises OSError."""
        if _is_address(host):
            return [host]
        place = namespace, "lookup"
        try:
            await self._gate.enter(place)
        except Overloaded:
            raise OSError("too many names are being looked up") from None
        look = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        looking = asyncio.get_running_loop().run_in_executor(self._threads, look)
        # The thread works on when nobody waits any more: the place is free when it is.
        looking.add_done_callback(lambda _done: self._gate.leave(place))
        found = await asyncio.shield(looking)
        return list(dict.fromkeys(str(item[4][0]) for item in found))

    def close(self) -> None:
        """Let go of the threads; lookups under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _is_address(host: str) -> bool:
    """Whether it is an address as such, in the only way to write it: other forms are looked up."""
    try:
        return str(ipaddress.ip_address(host)) == host and "%" not in host
    except ValueError:
        return False


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """The network that the HTTP client sees. There is no way past it: no unix sockets either."""

    def __init__(self, resolve: Resolve, allowed: Iterable[Network]) -> None:
        self._resolve = resolve
        self._allowed = tuple(allowed)
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a checked address of ``host``.

        Raises:
            FetchRefused: an address of the host is not allowed.
        """
        until = time.monotonic() + (timeout or 30)
        addresses = await self._lookup(host, port, until)
        check_addresses(addresses, self._allowed)
        failure: Exception = httpcore.ConnectTimeout()
        for address in addresses[:MAX_ADDRESSES]:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                return await self._backend.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - httpcore's signature
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's signature
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        """Refused: sockets of this machine are not reachable by fetch()."""
        raise FetchRefused("fetch() connects to no unix socket.")

    async def sleep(self, seconds: float) -> None:
        """Part of the interface."""
        await asyncio.sleep(seconds)

    async def _lookup(self, host: str, port: int, until: float) -> list[str]:
        try:
            async with asyncio.timeout(until - time.monotonic()):
                return await self._resolve(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout("The name was not resolved in time.") from None
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("The name does not resolve.") from None
