"""Previews: requests to the host of one version, by those who have its link.

A link's parameter becomes a cookie of that host alone, which scripts do not see, and goes from the
address, so that no worker, log or referrer has it. To whoever has no valid token it is as if there
were no previews at all: no answer says whether a version exists.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import msgspec

from cloister.previews import HEADER, PARAMETER, PREFIX_CHARACTERS, Grant, unseal
from cloister.secrets import Cipher
from dispatcher.intake import Intake, Scope
from dispatcher.messages import Response
from dispatcher.routing import Destination

COOKIES = (PARAMETER, f"__Host-{PARAMETER}")

TOKENS = 4
"""Tokens of a request that are looked at: a neighbour's pages can add cookies of a wider domain."""

_HEX = frozenset("0123456789abcdef")


class Admission(Response):
    """The redirect of a link, with our cookie, which no other response may set."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A request that may see a version. ``admission`` is the answer, where it came by its link."""

    version: str
    intake: Intake
    destination: Destination
    admission: Admission | None


def may_be_preview(host: str) -> bool:
    """Whether a host looks like a preview's. Cheap: asked of each request."""
    return host[PREFIX_CHARACTERS : PREFIX_CHARACTERS + 1] == "-"


class Previews:
    """Knows the hosts of previews, and who may see them."""

    def __init__(self, cipher: Cipher, domain: str) -> None:
        self._cipher = cipher
        self._suffix = f".{domain.lower().strip('.')}"

    def find(self, intake: Intake, scope: Scope) -> Preview | None:
        """The preview that a request may see; None if it is to none, or may not."""
        place = self._place(intake.host)
        if place is None:
            return None
        prefix, worker, namespace = place
        query, said = _without_token(intake.query)
        for token in (*said[:1], *_tokens(scope)):
            grant = unseal(self._cipher, intake.host, token)
            if grant is not None and grant.version_id.startswith(prefix):
                break
        else:
            return None
        clean = msgspec.structs.replace(intake, query=query)
        is_link = bool(said) and token == said[0] and intake.method in ("GET", "HEAD")
        return Preview(
            version=grant.version_id,
            intake=clean,
            destination=Destination(namespace, worker, intake.path),
            admission=_admission(clean, token, grant) if is_link else None,
        )

    def _place(self, host: str) -> tuple[str, str, str] | None:
        """Version's prefix, worker and namespace; of the long form of hosts only."""
        label, dot, namespace = host.removesuffix(self._suffix).partition(".")
        prefix, _, worker = label.partition("-")
        if not host.endswith(self._suffix) or not dot or not set(prefix) <= _HEX:
            return None
        return prefix, worker, namespace


def keep_private(response: Response) -> None:
    """No cache between here and the one who may see it keeps it for others, no search engine."""
    response.headers["cache-control"] = "private, no-store"
    response.headers["x-robots-tag"] = "noindex"


def _admission(intake: Intake, token: str, grant: Grant) -> Admission:
    is_secure = intake.scheme == "https"
    left_s = max(1, int(grant.expires_at - time.time()))
    cookie = (
        f"{COOKIES[is_secure]}={token}; Path=/; Max-Age={left_s}; HttpOnly; SameSite=Lax"
        f"{'; Secure' if is_secure else ''}"
    )
    headers = {
        "location": intake.url(intake.path),
        "set-cookie": cookie,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
    }
    return Admission(status=302, headers=headers)


def _without_token(query: str) -> tuple[str, list[str]]:
    """A query without our parameter, the rest as sent; and the values of that."""
    if PARAMETER not in query:
        return query, []
    pairs = [pair.partition("=") for pair in query.split("&")]
    said = [unquote(value) for name, _, value in pairs if name == PARAMETER]
    kept = ["".join(pair) for pair in pairs if pair[0] != PARAMETER]
    return "&".join(kept), said


def _tokens(scope: Scope) -> Iterator[str]:
    """Those of header and cookies, the first few."""
    found: list[str] = []
    for name, value in scope["headers"]:
        if name == HEADER.encode():
            found.append(value.decode("latin-1").strip())
        elif name == b"cookie":
            cookies = value.decode("latin-1").split(";")
            pairs = (cookie.strip().partition("=") for cookie in cookies)
            found += [token for key, _, token in pairs if key in COOKIES]
    yield from found[:TOKENS]
