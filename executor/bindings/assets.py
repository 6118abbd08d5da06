"""``env.ASSETS``: the files of the worker's own version, and what a worker with files answers.

No isolate and no queue: what answers is the code by which the dispatcher does.
"""

from typing import Any

from msgspec import Raw

from cloister.assets.site import Answer, Asked, asked_of
from cloister.assets.sites import Sites
from cloister.errors import NotReady
from cloister.registry.views import Route
from executor.bindings.asked import read_request
from executor.bindings.base import Binding, Refused
from executor.egress.headers import outgoing
from executor.egress.redirects import OutgoingRequest
from executor.isolate.frames import INLINE_BODY_BYTES, Headers, Incoming
from executor.streams import HeldReader, Pulled, Streams


class Assets(Binding):
    """The host of the URL is ignored but by rules that name one."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Any:  # noqa: ARG002 - none
        """``fetch`` is all there is."""
        if method != "fetch":
            raise Refused("TypeError", f"Assets have no method {method[:40]!r}.")
        if self.scope.assets is None:
            raise Refused("Error", "This Worker has no assets.")
        asked = read_request(arguments)
        outgoing(asked.headers)
        self.scope.count()
        request = _asked(asked.method.upper(), asked.url, asked.headers)
        try:
            site = await self.scope.sites.site(self.scope.assets)
            answer = site.answer(request)
            return await _incoming(answer, asked.url, self.scope.sites, self.scope.streams)
        except NotReady as exc:
            raise _unreadable() from exc
        finally:
            if asked.stream is not None:
                self.scope.streams.drop(asked.stream)


async def of_worker(
    route: Route, request: OutgoingRequest, sites: Sites, streams: Streams
) -> Incoming | None:
    """What the assets of another worker answer; None: it is to be run.

    Raises:
        Refused: they cannot be read.
    """
    if route.assets is None:
        return None
    asked = _asked(request.method, request.url, request.headers)
    try:
        site = await sites.site(route.assets)
        if route.has_code:
            answer = site.route(asked, prefers_assets=route.prefers_assets)
        else:
            answer = site.answer(asked)
        return None if answer is None else await _incoming(answer, request.url, sites, streams)
    except NotReady as exc:
        raise _unreadable() from exc


def _unreadable() -> Refused:
    return Refused("Error", "These assets cannot be read at the moment.")


def _asked(method: str, url: str, headers: Headers) -> Asked:
    """Without Accept-Encoding: it is the client's, and the caller may want to read the file."""
    fields = {name.lower(): value for name, value in headers}
    fields.pop("accept-encoding", None)
    try:
        return asked_of(method, url, fields)
    except ValueError as exc:
        raise Refused("TypeError", "Invalid URL.") from exc


async def _incoming(answer: Answer, url: str, sites: Sites, streams: Streams) -> Incoming:
    body = await sites.body(answer)
    inline, stream = b"", None
    if not isinstance(body, bytes):
        stream = streams.open(Pulled(body))
    elif len(body) > INLINE_BODY_BYTES:
        stream = streams.open(HeldReader(body, streams.budget))
    else:
        inline = body
    return Incoming(
        status=answer.status, headers=answer.headers, url=url, body=inline, stream=stream
    )
