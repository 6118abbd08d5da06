"""The fetch() of one invocation: to the network, or through its outbound worker."""

import functools

from cloister.messages import Outbound
from executor.egress.client import Client
from executor.egress.guard import FetchRefused
from executor.egress.redirects import OutgoingRequest
from executor.egress.response import FetchedResponse
from executor.hop import HopResponse, LocalSink
from executor.isolate import frames
from executor.outbound import fetch_through
from executor.serving.scope import InvocationScope
from executor.streams import Chained, Readable


class Fetch:
    """That of one invocation. Close it."""

    def __init__(self, scope: InvocationScope) -> None:
        self._scope = scope
        self._client: Client | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()

    async def send(self, request: OutgoingRequest) -> frames.Incoming:
        """Send a request, out or through the outbound worker."""
        work = self._scope.run.work
        through = work.outbound
        if through is None or work.is_outbound:
            response = await (await self._direct()).fetch(request)
        else:
            ask = functools.partial(self._ask_outbound, through)
            limit_bytes = self._scope.host.settings.egress_body_bytes
            response = await fetch_through(ask, request, limit_bytes)
        return await self._incoming(response)

    async def _direct(self) -> Client:
        if self._client is None:
            scope = self._scope
            rules = await scope.rules()
            resolve = scope.host.resolve(scope.run.work.namespace)
            self._client = Client(scope.host.settings, resolve, rules, scope)
        return self._client

    async def _ask_outbound(
        self, through: Outbound, request: OutgoingRequest
    ) -> tuple[HopResponse, LocalSink]:
        route = await self._scope.host.route(through.namespace, through.script)
        if route is None:
            raise FetchRefused("The outbound worker of this namespace is missing.")
        callees = self._scope.callees
        return await callees.ask(route, request, entrypoint=through.entrypoint, props={})

    async def _incoming(self, response: FetchedResponse) -> frames.Incoming:
        """What the isolate gets: a short body at once, any other as a stream."""
        inline, stream = b"", None
        if response.length is not None and response.length <= frames.INLINE_BODY_BYTES:
            inline, rest = await _start(response)
            stream = self._scope.streams.open(rest) if rest is not None else None
        else:
            stream = self._scope.streams.open(response.body)
        return frames.Incoming(
            status=response.status,
            headers=response.headers,
            url=response.url,
            redirected=response.redirected,
            status_text=response.status_text,
            body=inline,
            stream=stream,
        )


async def _start(response: FetchedResponse) -> tuple[bytes, Readable | None]:
    """All of a short body, or all of it as a stream if it turns out to be long."""
    start = b""
    while data := await response.body.read():
        start += data
        if len(start) > frames.INLINE_BODY_BYTES:
            return b"", Chained(start, response.body)
    return start, None
