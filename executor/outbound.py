"""fetch() of a tenant: through the outbound worker where one is set, never round it.

The outbound worker runs as an invocation of its own, with the declared parameters on its ``env``;
what it returns is what the tenant gets. Its own fetch() goes to the proxied client. If it is
missing or fails, the tenant's fetch() fails.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from executor.egress.guard import Target
from executor.egress.redirects import OutgoingRequest, follow
from executor.egress.response import Body, FetchedResponse
from executor.hop import HopResponse, LocalSink
from executor.streams import BytesReader

ANY_PORT = range(1, 65536)
"""The outbound worker decides what a URL means; where it goes itself, the guard decides."""

Ask = Callable[[OutgoingRequest], Coroutine[Any, Any, tuple[HopResponse, LocalSink]]]
"""Runs the outbound worker with a request."""


async def fetch_through(ask: Ask, request: OutgoingRequest, limit_bytes: int) -> FetchedResponse:
    """The outbound worker's response, redirects followed through it as well.

    Raises:
        FetchRefused: the request is not one that fetch() sends.
        FetchFailed: a redirect that must not be followed.
        Ended: the outbound worker failed.
    """

    async def hop(request: OutgoingRequest, target: Target) -> FetchedResponse:
        headers = [("host", target.authority), *request.headers]
        answer, sink = await ask(replace(request, url=target.url, headers=headers))
        inline = BytesReader(answer.body)
        return FetchedResponse(
            status=answer.status,
            headers=answer.headers,
            url=target.url,
            body=Body(inline.read if answer.end else sink.read, sink.stop, limit_bytes=limit_bytes),
            length=len(answer.body) if answer.end else None,
        )

    return await follow(request, hop, ANY_PORT)
