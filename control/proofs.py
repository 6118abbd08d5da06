"""Whether a hostname is its claimant's: by a TXT record, or by a token served under the name.

The hosts asked are whatever customers typed in. So the rule of fetch() holds here too
(:mod:`cloister.networks`): each address that a name has must be public, the one connected to is one
of those looked at, and a redirect is followed to the very same URL with TLS only. What a host says
is compared and never shown.
"""

import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any

import httptools

from cloister.networks import Network, is_allowed
from cloister.registry.claims import Claim, Verdict
from control.names import LookupFailed, Names

TXT_NAME = "_cf-custom-hostname.{hostname}"
CHALLENGE = "/.well-known/cf-custom-hostname-challenge/{id}"
OURS = "/.cloister/hostnames/{id}"
"""Where the dispatcher shows the token of an active hostname: its name leads to us."""

FETCH_S = 10.0
"""For connecting and the whole answer, redirect included."""

ANSWER_BYTES = 16 * 1024
ADDRESSES = 4
"""Of one host that are tried."""

Finding = tuple[Verdict, str]


class Unreachable(Exception):
    """The host could not be asked, or said nothing that means anything."""


@dataclass
class Answer:
    """An HTTP response, as far as it matters."""

    status: int = 0
    location: str = ""
    body: bytes = b""
    complete: bool = False
    _headers: dict[bytes, bytes] = field(default_factory=dict)

    # httptools' callbacks:

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        """Some of the body."""
        self.body += piece

    def on_message_complete(self) -> None:
        """All of it is here."""
        self.complete = True


class Prover:
    """Checks claims. Thread-safe."""

    def __init__(self, names: Names, allowed: Iterable[Network], *, port: int = 80) -> None:
        self._names = names
        self._allowed = tuple(allowed)
        self._port = port

    def check(self, claim: Claim) -> tuple[Verdict, list[str]]:
        """The verdict, and if it is not "proved", what was found instead."""
        findings: list[Finding] = []
        ways = [self._by_dns, self._by_http, *([self._by_us] if claim.is_active else [])]
        for way in ways:
            findings.append(way(claim))
            if findings[-1][0] == "proved":
                return "proved", []
        verdict: Verdict = "elsewhere"
        if any(found == "unknown" for found, _ in findings):
            verdict = "unknown"
        return verdict, [said for _, said in findings[:2]]

    def _by_dns(self, claim: Claim) -> Finding:
        name = TXT_NAME.format(hostname=claim.hostname)
        try:
            found = self._names.txt(name)
        except LookupFailed as exc:
            return "unknown", str(exc)
        if claim.token in found:
            return "proved", ""
        return "elsewhere", f"The TXT record {name} " + (
            "has another value." if found else "does not exist."
        )

    def _by_http(self, claim: Claim) -> Finding:
        return self._served(claim, CHALLENGE.format(id=claim.id))

    def _by_us(self, claim: Claim) -> Finding:
        return self._served(claim, OURS.format(id=claim.id))

    def _served(self, claim: Claim, path: str) -> Finding:
        url = f"http://{claim.hostname}{path}"
        try:
            addresses = self._checked(claim.hostname)
            if not addresses:
                return "elsewhere", f"{claim.hostname} has no address."
            answer = self._fetch(claim.hostname, path, addresses)
        except (LookupFailed, Unreachable) as exc:
            return "unknown", str(exc)
        if answer.status == 200 and answer.body.strip() == claim.token.encode():
            return "proved", ""
        if answer.status >= 500 or answer.status == 429:
            return "unknown", f"{url} answers with status {answer.status}."
        wrong = "serves something else" if answer.status == 200 else "does not serve the token"
        return "elsewhere", f"{url} {wrong} (status {answer.status})."

    def _checked(self, host: str) -> list[str]:
        found = self._names.addresses(host)
        try:
            allowed = all(is_allowed(ip_address(each), self._allowed) for each in found)
        except ValueError:
            allowed = False
        if not allowed:
            raise Unreachable(f"{host} has an address that is not public.")
        return found[:ADDRESSES]

    def _fetch(self, host: str, path: str, addresses: list[str]) -> Answer:
        until = time.monotonic() + FETCH_S
        answer = self._get(host, path, addresses, self._port, None, until)
        if answer.status in (301, 302, 307, 308) and answer.location == f"https://{host}{path}":
            answer = self._get(host, path, addresses, 443, self._tls, until)
        return answer

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _get(
        self,
        host: str,
        path: str,
        addresses: list[str],
        port: int,
        tls: ssl.SSLContext | None,
        until: float,
    ) -> Answer:
        try:
            with _connected(addresses, port, until) as plain:
                if tls is None:
                    return _exchange(plain, host, path, until)
                with tls.wrap_socket(plain, server_hostname=host) as wrapped:
                    return _exchange(wrapped, host, path, until)
        except (OSError, httptools.HttpParserError) as exc:
            raise Unreachable(f"{host} does not answer on port {port}.") from exc


def _connected(addresses: list[str], port: int, until: float) -> socket.socket:
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, port), _left(until))
        except OSError:
            continue
    return socket.create_connection((addresses[-1], port), _left(until))


def _exchange(connection: socket.socket, host: str, path: str, until: float) -> Answer:
    answer = Answer()
    parser: Any = httptools.HttpResponseParser(answer)
    connection.settimeout(_left(until))
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Cloister\r\n"
        "Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii")
    )
    received = 0
    while not answer.complete and received < ANSWER_BYTES:
        connection.settimeout(_left(until))
        data = connection.recv(4096)
        if not data:
            break
        received += len(data)
        parser.feed_data(data)
        answer.status = parser.get_status_code()
    if not 200 <= answer.status < 600:
        raise OSError("no answer")
    return answer


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
