"""From an ASGI scope to a :class:`Request`: what the client meant, or a refusal.

gunicorn's parser has framed the message by then (it refuses what could be framed in two ways);
here it is decided what the request *says*: target, host, scheme, who sent it.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from cloister.previews import HEADER
from cloister.registry.rollout import OVERRIDE_HEADER
from cloister.settings import Network, Settings
from dispatcher.cookies import hide_ours
from dispatcher.failures import BodyTooLarge, ClientGone, Refusal
from dispatcher.headers import HOP_BY_HOP, Pairs, end_to_end
from dispatcher.parser import KNOWN_BYTES
from dispatcher.routing import host_of

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

URL_BYTES = 16 * 1024
HEADERS_BYTES = 128 * 1024

LINGER_BYTES = 1024 * 1024
LINGER_S = 2.0

SPOOFABLE = frozenset(
    {
        *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"),
        *("forwarded", "x-real-ip", "cf-connecting-ip", "cf-connecting-ipv6", "true-client-ip"),
        *("x-cloister-request-id", HEADER, OVERRIDE_HEADER),
    }
)
"""Fields that say who the client is, or what it may: only a trusted proxy's, or ours, reach the
worker."""

_REPLACED = SPOOFABLE | {"host", "expect"}
_STOPPED = _REPLACED | HOP_BY_HOP


class Intake(msgspec.Struct, frozen=True):
    """What the client asked for, before routing."""

    method: str
    scheme: str
    authority: str
    host: str
    path: str
    query: str
    headers: Pairs
    client_ip: str

    def url(self, path: str) -> str:
        """The URL that the worker sees when its path is ``path``."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.authority}{path}{query}"


class _Said(msgspec.Struct, frozen=True):
    """What a client says in its header fields: all, by name (the last of each), and those of its
    own that the worker may see."""

    pairs: Pairs
    fields: dict[str, str]
    kept: Pairs


def _read(headers: tuple[tuple[bytes, bytes], ...]) -> _Said:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    fields = dict(pairs)
    return _Said(pairs, fields, _kept(pairs, fields))


_known = lru_cache(maxsize=512)(_read)


def take_in(scope: Scope, request_id: str, settings: Settings) -> Intake:
    """Read the scope.

    Raises:
        Refusal: too large, or not understood.
    """
    size = _check_sizes(scope)
    if scope["method"] == "CONNECT":
        raise Refusal(405, "Method not allowed")
    sent = tuple(scope["headers"])
    said = _known(sent) if size <= KNOWN_BYTES else _read(sent)
    pairs, fields = said.pairs, said.fields
    if fields.get("upgrade", "").lower() == "websocket":
        raise Refusal(403, "WebSockets are not served here")
    if int(fields.get("content-length", 0)) > settings.request_body_bytes:
        raise BodyTooLarge
    scheme, authority, path = _target(scope, fields)
    peer = client_ip = scope["client"][0] if scope["client"] else ""
    hops = [peer]
    if _in(peer, settings.trusted_proxies):
        authority = _last(fields.get("x-forwarded-host")) or authority
        forwarded_scheme = _last(fields.get("x-forwarded-proto")).lower()
        scheme = forwarded_scheme if forwarded_scheme in {"http", "https"} else scheme
        hops = _hops(pairs, peer)
        proxies = settings.trusted_proxies
        client_ip = next((ip for ip in reversed(hops) if not _in(ip, proxies)), peer)
    return Intake(
        method=scope["method"],
        scheme=scheme,
        authority=authority,
        host=host_of(authority),
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=[
            ("host", authority),
            *said.kept,
            *_said_by_us(request_id, scheme, hops, client_ip),
        ],
        client_ip=client_ip,
    )


class IncomingBody:
    """The request's body as it arrives, bounded by ``limit_bytes``."""

    def __init__(self, scope: Scope, receive: Receive, limit_bytes: int) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self.finished = not any(
            name == b"transfer-encoding" or (name == b"content-length" and int(value))
            for name, value in scope["headers"]
        )
        """Whether all of it has been taken, as it has where there is none."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read it once.

        Raises:
            BodyTooLarge: it exceeds the limit.
            ClientGone: the client closed the connection first.
        """
        received = 0
        while not self.finished:
            chunk = await self._next()
            received += len(chunk)
            if received > self._limit_bytes:
                raise BodyTooLarge
            if chunk:
                yield chunk

    async def drain(self) -> None:
        """Take what is left, within bounds, so that a client that still sends reads our answer
        before it meets a closed connection."""
        if self.finished:
            return
        taken = 0
        with contextlib.suppress(TimeoutError, ClientGone):
            async with asyncio.timeout(LINGER_S):
                while not self.finished and taken < LINGER_BYTES:
                    taken += len(await self._next())

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.finished = not message.get("more_body", False)
        return bytes(message["body"])


def _check_sizes(scope: Scope) -> int:
    """How long the header fields are."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > URL_BYTES:
        raise Refusal(414, "URI too long")
    headers = scope["headers"]
    size = sum(map(len, chain.from_iterable(headers))) + 4 * len(headers)
    if size > HEADERS_BYTES:
        raise Refusal(431, "Request header fields too large")
    return size


def _target(scope: Scope, headers: dict[str, str]) -> tuple[str, str, str]:
    """Scheme, authority and path. An absolute target wins over Host (RFC 9112, 3.2.2)."""
    raw = scope["raw_path"].decode("latin-1")
    if raw.startswith("/"):
        return scope["scheme"], _host_header(scope, headers), raw
    if raw == "*":
        return scope["scheme"], _host_header(scope, headers), "/"
    scheme, separator, rest = raw.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator or scheme.lower() not in {"http", "https"}:
        raise Refusal(400, "Bad request target")
    _host_header(scope, headers)
    return scheme.lower(), authority, slash + path or "/"


def _host_header(scope: Scope, headers: dict[str, str]) -> str:
    host = headers.get("host", "")
    if host:
        return host
    if scope["http_version"] != "1.0":
        raise Refusal(400, "Missing Host header")
    server = scope.get("server") or ("localhost", None)
    return f"[{server[0]}]" if ":" in server[0] else str(server[0])


def _kept(pairs: Pairs, fields: dict[str, str]) -> Pairs:
    """The client's own fields that the worker may see."""
    if "connection" in fields:
        pairs = end_to_end(pairs)
    kept = [pair for pair in pairs if pair[0] not in _STOPPED]
    return hide_ours(kept) if "cookie" in fields else kept


def _said_by_us(request_id: str, scheme: str, hops: list[str], client_ip: str) -> Pairs:
    ours = [("x-forwarded-proto", scheme), ("x-cloister-request-id", request_id)]
    if client_ip:
        ours += [("x-real-ip", client_ip), ("cf-connecting-ip", client_ip)]
    return [("x-forwarded-for", ", ".join(hops)), *ours] if hops != [""] else ours


def _hops(pairs: Pairs, peer: str) -> list[str]:
    """The addresses that the request came through, the client's first, our peer's last."""
    listed = ",".join(value for name, value in pairs if name == "x-forwarded-for")
    return [hop.strip() for hop in listed.split(",") if _is_address(hop.strip())] + [peer]


def _last(value: str | None) -> str:
    """The last element of a list field: what the nearest proxy said."""
    return (value or "").rpartition(",")[2].strip()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _in(address: str, networks: tuple[Network, ...]) -> bool:
    if not networks or not _is_address(address):
        return False
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in network for network in networks)
