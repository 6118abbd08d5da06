"""Host and path to (namespace, worker): the first rule that knows wins."""

import ipaddress
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache

import msgspec

from cloister.registry import HostnameRoute
from cloister.registry.hostname_names import may_be_hostname
from cloister.registry.names import NAME, NAME_CHARACTERS
from cloister.settings import Settings
from dispatcher.failures import Refusal

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")


class Destination(msgspec.Struct, frozen=True):
    """Who gets the request, and the path that it sees (as sent, percent-encoded). ``hostname`` is
    the custom hostname that led there, if one did, with its ``metadata``; ``worker`` is empty where
    it names none."""

    namespace: str
    worker: str
    path: str
    hostname: str = ""
    metadata: dict[str, str] = {}


AUTHORITY_CHARACTERS = 260
"""A name of the DNS, a dot and a port. Longer ones would fill the memory of what is known."""

Rule = Callable[[str, str], Destination | None]
"""(host, path) to a destination; None is "not mine", :class:`Refusal` ends the search."""

HostnameLookup = Callable[[str], Awaitable[HostnameRoute | None]]
"""A custom hostname to where it leads."""


def host_of(authority: str) -> str:
    """The host of ``host[:port]``: lower case, no port, no final dot, brackets of IPv6 kept.

    Raises:
        Refusal: it is no such thing.
    """
    if len(authority) > AUTHORITY_CHARACTERS:
        raise Refusal(400, "Bad Host header")
    return _host_of(authority)


@lru_cache(maxsize=4096)
def _host_of(authority: str) -> str:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise Refusal(400, "Bad Host header")
    host = match[1].lower().removesuffix(".")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError as exc:
            raise Refusal(400, "Bad Host header") from exc
    return host


class Router:
    """Where a request goes, in the product's order: custom hostname, subdomain, path."""

    def __init__(self, settings: Settings, hostnames: HostnameLookup | None = None) -> None:
        self._domain = settings.domain.lower().strip(".")
        self._default_namespace = settings.default_namespace
        self._hostnames = hostnames
        self._rules: tuple[Rule, ...] = (
            _Subdomains(self._domain, settings.default_namespace),
            _Paths(self._domain),
        )

    async def find(self, host: str, path: str) -> Destination:
        """The destination.

        Raises:
            Refusal: nowhere.
        """
        if self._hostnames is not None and may_be_hostname(host, self._domain):
            found = await self._hostnames(host)
            if found is not None:
                namespace = found.namespace or self._default_namespace
                return Destination(
                    namespace, found.script, path, hostname=host, metadata=found.metadata
                )
        for rule in self._rules:
            destination = rule(host, path)
            if destination is not None:
                return destination
        raise no_route()


def no_route() -> Refusal:
    """Nothing is served under this address."""
    return Refusal(404, "Nothing is deployed at this address")


def _checked(namespace: str, worker: str, path: str) -> Destination:
    if max(len(namespace), len(worker)) > NAME_CHARACTERS:
        raise no_route()
    if not (_is_name(namespace) and _is_name(worker)):
        raise no_route()
    return Destination(namespace, worker, path)


@lru_cache(maxsize=4096)
def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


class _Subdomains:
    """``{worker}.{namespace}.{domain}`` and ``{worker}.{domain}``."""

    def __init__(self, domain: str, default_namespace: str) -> None:
        self._suffix = f".{domain}"
        self._default = default_namespace

    def __call__(self, host: str, path: str) -> Destination | None:
        if not host.endswith(self._suffix):
            return None
        worker, _, namespace = host.removesuffix(self._suffix).partition(".")
        return _checked(namespace or self._default, worker, path)


class _Paths:
    """``/{namespace}/{worker}/rest`` on the bare domain, a host without dots, or an address."""

    def __init__(self, domain: str) -> None:
        self._domain = domain

    def __call__(self, host: str, path: str) -> Destination | None:
        if host != self._domain and "." in host and not _is_address(host):
            return None
        parts = path.split("/", 3)
        if len(parts) < 3:
            raise no_route()
        return _checked(parts[1], parts[2], "/" + (parts[3] if len(parts) > 3 else ""))


@lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
