"""Connections that the guard has seen: names are looked up here, every address is checked, and the
checked address is the one connected to, so that a name cannot change its mind in between."""

import asyncio
import functools
import ipaddress
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from executor.egress.connection import Connection, Lost, TimedOut
from executor.egress.guard import Network, Target, check_addresses
from executor.gate import Gate, Overloaded

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses, in the order to try. Raises OSError."""

LOOKUP_THREADS = 32
LOOKUPS_EACH = 4
"""Of one namespace at once, so that one with slow name servers holds up itself only."""

CONNECT_S = 10
"""Longest wait for name, connection and TLS."""

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


class GuardedNetwork:
    """The only network there is for fetch(): TCP to addresses that the guard has seen."""

    def __init__(self, resolve: Resolve, allowed: Iterable[Network], wait_s: float) -> None:
        self._resolve = resolve
        self._allowed = tuple(allowed)
        self._wait_s = wait_s

    async def connect(self, target: Target, tls: ssl.SSLContext | None) -> Connection:
        """Connect to a checked address of the target's host. With ``tls`` the other side has to
        prove that it is that host, whatever its address.

        Raises:
            FetchRefused: an address of the host is not allowed.
            Lost: nobody answers at any of them, or whoever does is not that host.
            TimedOut: that takes too long.
        """
        try:
            async with asyncio.timeout(CONNECT_S):
                addresses = await self._lookup(target)
                check_addresses(addresses, self._allowed)
                return await self._first(addresses[:MAX_ADDRESSES], target, tls)
        except TimeoutError:
            raise TimedOut from None

    async def _lookup(self, target: Target) -> list[str]:
        try:
            return await self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            raise Lost from None

    async def _first(
        self, addresses: list[str], target: Target, tls: ssl.SSLContext | None
    ) -> Connection:
        loop = asyncio.get_running_loop()
        failure = None
        for address in addresses:
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self._wait_s),
                    address,
                    target.port,
                    ssl=tls,
                    server_hostname=target.host if tls else None,
                )
            except (OSError, ValueError) as exc:
                failure = exc
            else:
                return connection
        raise Lost from failure
