"""What fetch() asks for, and how it follows redirects, whoever answers each hop."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from executor.egress import headers as rules
from executor.egress.guard import FetchInvalid, Target, join, parse
from executor.egress.headers import Headers
from executor.egress.response import FetchedResponse, FetchFailed

MAX_REDIRECTS = 20
REDIRECTS = frozenset({301, 302, 303, 307, 308})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A fetch() of a tenant. ``body`` as an iterator is streamed and cannot be sent twice."""

    url: str
    method: str = "GET"
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None = None
    redirect: str = "follow"


Hop = Callable[[OutgoingRequest, Target], Awaitable[FetchedResponse]]
"""Sends one request and gives its response, whatever its status."""


async def follow(request: OutgoingRequest, hop: Hop, ports: Sequence[int]) -> FetchedResponse:
    """Send a request and follow its redirects as it says. Every target passes the guard.

    Raises:
        FetchRefused: the guard says no, or the request is not one that can be sent.
        FetchFailed: a redirect that must not be followed, or too many of them.
        Exception: whatever ``hop`` raises.
    """
    if request.method not in METHODS:
        raise FetchInvalid(f"fetch() does not send {request.method[:20]} requests.")
    if request.redirect not in ("follow", "manual", "error"):
        raise FetchInvalid(f"Unknown redirect mode {request.redirect[:20]!r}.")
    target = parse(request.url, ports)
    request = replace(request, url=target.url, headers=rules.outgoing(request.headers))
    for hops in range(MAX_REDIRECTS + 1):
        response = await hop(request, target)
        location = _location(response)
        if location is None or request.redirect == "manual":
            return replace(response, redirected=hops > 0)
        await response.body.close()
        if request.redirect == "error":
            raise FetchFailed("The response is a redirect, and redirect mode is error.")
        following = join(target, location, ports)
        request = _redirected(request, response.status, target, following)
        target = following
    raise FetchFailed("Too many redirects.")


def _location(response: FetchedResponse) -> str | None:
    if response.status not in REDIRECTS:
        return None
    return next((value for name, value in response.headers if name == "location"), None)


def _redirected(
    request: OutgoingRequest, status: int, source: Target, target: Target
) -> OutgoingRequest:
    """The next request, as the Fetch standard says."""
    headers = request.headers
    method, body = request.method, request.body
    if (status == 303 and method not in ("GET", "HEAD")) or (
        status in (301, 302) and method == "POST"
    ):
        method, body, headers = "GET", None, rules.without(headers, rules.CONTENT)
    if body is not None and not isinstance(body, bytes):
        raise FetchFailed("A redirect asks for the body again, and it was streamed.")
    if source.origin != target.origin:
        headers = rules.without(headers, rules.CREDENTIALS)
    return replace(request, url=target.url, method=method, body=body, headers=headers)
