"""What the DNS says of a name, for the proof of hostnames. Another source may stand in for it."""

import importlib
from functools import cached_property
from typing import Any, Protocol

import dns.exception
import dns.resolver

from cloister.addresses import split
from cloister.errors import SettingInvalid
from cloister.settings import Settings

ANSWER_S = 5.0
"""For one question, all name servers and attempts together."""


class LookupFailed(Exception):
    """The DNS did not answer: nothing is known."""


class Names(Protocol):
    """Answers questions about names; no records is an empty answer. Called by several threads."""

    def txt(self, name: str) -> list[str]:
        """TXT records. Raises :class:`LookupFailed`."""

    def addresses(self, host: str) -> list[str]:
        """IPv4 and IPv6 addresses. Raises :class:`LookupFailed`."""


class Dns:
    """The DNS, by the resolvers of this machine or by one server, ``HOST:PORT``."""

    def __init__(self, server: str = "") -> None:
        self._server = server

    def txt(self, name: str) -> list[str]:
        """See :class:`Names`."""
        return [
            b"".join(record.strings).decode(errors="replace") for record in self._ask(name, "TXT")
        ]

    def addresses(self, host: str) -> list[str]:
        """See :class:`Names`."""
        return [record.address for kind in ("A", "AAAA") for record in self._ask(host, kind)]

    @cached_property
    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self._server)
        if self._server:
            host, resolver.port = split(self._server)
            resolver.nameservers = [host]
        resolver.lifetime = ANSWER_S
        return resolver

    def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            return list(self._resolver.resolve(f"{name}.", kind, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as exc:
            raise LookupFailed(f"The DNS did not answer for {name}.") from exc


def open_names(settings: Settings) -> Names:
    """What the setting says: this machine's resolvers, a server, or ``module:Class``.

    Raises:
        SettingInvalid: there is no such class.
    """
    said = settings.hostname_resolver
    module, colon, name = said.partition(":")
    if not said or name.isdigit() or not colon or said.startswith("["):
        return Dns(said if colon or not said else f"{said}:53")
    try:
        made: Names = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError) as exc:
        raise SettingInvalid(f"CLOISTER_HOSTNAME_RESOLVER={said!r}: {exc}.") from exc
    return made
