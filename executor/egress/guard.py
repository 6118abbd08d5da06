"""Decides where fetch() may go. Pure: no sockets, no names looked up.

Three questions, asked for every request and again for every redirect: is the URL one that we
understand (:func:`parse`), may this namespace reach that host (:class:`HostRules`), and, once the
name is resolved, may anyone reach each of its addresses (:func:`check_address`). What is not
understood is refused.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import httpx

from cloister.networks import Address, is_allowed
from cloister.networks import Network as Network

MAX_URL_BYTES = 16 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")


class FetchRefused(Exception):
    """fetch() may not do this. The tenant sees an exception of this kind with this message."""

    kind = "PermissionError"


class FetchInvalid(FetchRefused):
    """The request is not one that can be sent."""

    kind = "TypeError"


@dataclass(frozen=True)
class Target:
    """Where a request goes. ``host`` is lower case, without a final dot or brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, as they go into the request line."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """What decides whether a redirect may keep credentials."""
        return (self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The absolute URL, without a fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse(url: str, ports: Sequence[int]) -> Target:
    """Understand an absolute URL.

    Raises:
        FetchRefused: not absolute, another scheme, a port that is not allowed, user information,
            a host in a form that different software reads differently.
    """
    if len(url) > MAX_URL_BYTES:
        raise FetchInvalid("The URL is too long.")
    if _FORBIDDEN.search(url.strip(" ")):
        raise FetchInvalid("The URL contains a character that is not allowed in one.")
    try:
        parsed = httpx.URL(url.strip(" "))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise FetchInvalid(f"Invalid URL: {url[:200]}") from None
    if parsed.scheme not in DEFAULT_PORTS:
        raise FetchInvalid("fetch() understands http: and https: URLs only.")
    if "@" in re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]:
        raise FetchRefused("The URL must not carry a user name or password.")
    port = DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if port not in ports:
        raise FetchRefused(f"fetch() may not connect to port {port}.")
    host = canonical_host(parsed.raw_host.decode("ascii", "replace"))
    return Target(parsed.scheme, host, port, parsed.raw_path.decode("ascii"))


def join(base: Target, location: str, ports: Sequence[int]) -> Target:
    """The target of a redirect, absolute or relative to ``base``.

    Raises:
        FetchRefused: as :func:`parse`.
    """
    if _FORBIDDEN.search(location.strip(" ")):
        raise FetchInvalid("The redirect's URL contains a character that is not allowed in one.")
    try:
        joined = httpx.URL(base.url).join(location.strip(" "))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise FetchInvalid(f"Invalid redirect: {location[:200]}") from None
    return parse(str(joined), ports)


def canonical_host(host: str) -> str:
    """One spelling of a host.

    Raises:
        FetchRefused: empty, not a host name, or an IP address in any but its usual spelling.
    """
    host = host.lower().strip("[]")
    if ":" in host:
        return str(_address(host))
    host = host.removesuffix(".")
    labels = host.split(".")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # Octal, hexadecimal, single-number forms: resolvers turn them into addresses.
        return str(_address(host))
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchInvalid("The URL's host is not a valid name.")
    return host


def _address(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise FetchInvalid("The URL's host is not a valid address.") from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise FetchRefused("The URL's host names an interface of this machine.")
    return address


def check_addresses(addresses: Sequence[str], extra: Iterable[Network]) -> None:
    """Refuse a host unless each of its addresses is allowed.

    One refused address refuses the host: a name that mixes public and private addresses is
    either an attack or a mistake.

    Raises:
        FetchRefused: there is no address, or one of them is not allowed.
    """
    networks = tuple(extra)
    if not addresses:
        raise FetchRefused("The host has no address.")
    if not all(is_allowed(_address(text), networks) for text in addresses):
        raise FetchRefused("The host's address is not one that fetch() may connect to.")


@dataclass(frozen=True)
class HostRules:
    """A namespace's own allow and deny lists.

    A pattern is a host (``api.example.com``), ``*.example.com`` for every name below one, or ``*``.
    Deny wins. An empty allow list allows all. A pattern that is none of these allows nothing, and
    as a denial denies all.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def check(self, host: str) -> None:
        """Raise FetchRefused if the namespace may not reach ``host`` (canonical)."""
        if any(_matches(pattern, host, malformed=True) for pattern in self.deny):
            raise FetchRefused(f"This namespace may not reach {host}.")
        if self.allow and not any(_matches(p, host, malformed=False) for p in self.allow):
            raise FetchRefused(f"This namespace may not reach {host}.")


def _matches(pattern: str, host: str, *, malformed: bool) -> bool:
    if pattern == "*":
        return True
    below = pattern.startswith("*.")
    try:
        name = canonical_host(httpx.URL(f"http://{pattern.removeprefix('*.')}/").raw_host.decode())
    except (FetchRefused, httpx.InvalidURL, UnicodeError, ValueError):
        return malformed
    return host.endswith(f".{name}") if below else host == name
