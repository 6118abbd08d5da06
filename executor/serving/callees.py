"""Calls of other workers and of Durable Objects on behalf of one invocation."""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from cloister.limits import NO_LIMITS
from cloister.outcomes import Outcome
from cloister.registry.names import plain_namespace
from cloister.registry.views import Route
from executor import dispatching
from executor.bindings import Refused, assets
from executor.bindings.base import Called, Dispatched, ObjectTarget
from executor.egress.redirects import OutgoingRequest
from executor.hop import HopResponse, LocalSink
from executor.isolate import frames
from executor.streams import BytesReader, Pulled, Readable
from executor.work import Ended, Terms

if TYPE_CHECKING:
    from executor.serving.scope import InvocationScope

CYCLE = (
    "Durable Object call cycle: this object waits for the end of this very call, and it does one "
    "thing at a time."
)


class InvocationCallees:
    """Runs other workers, and has objects do things, for one invocation."""

    def __init__(self, scope: "InvocationScope") -> None:
        self._scope = scope

    async def fetch_worker(self, called: Called, request: OutgoingRequest) -> frames.Incoming:
        """Send a request to another worker."""
        route, terms = await self._named(called)
        found = None
        if called.entrypoint is None:
            found = await self._file(route, request)
        if found is not None:
            return found
        answer, sink = await self.ask(
            route, request, entrypoint=called.entrypoint, props=called.props, terms=terms
        )
        return self._shown(request, answer, sink)

    async def dispatch(self, asked: Dispatched, request: OutgoingRequest) -> frames.Incoming:
        """Send a request to a worker of a dispatch namespace of the account."""
        route, terms = await dispatching.terms(self._scope.host, self._scope.bundle, asked)
        if (found := await self._file(route, request)) is not None:
            return found
        answer, sink = await self.ask(
            route, request, entrypoint=None, props=asked.args, terms=terms
        )
        return self._shown(request, answer, sink)

    def _shown(
        self, request: OutgoingRequest, answer: HopResponse, sink: LocalSink
    ) -> frames.Incoming:
        return frames.Incoming(
            status=answer.status,
            headers=answer.headers,
            url=request.url,
            body=answer.body,
            stream=None if answer.end else self._scope.streams.open(sink),
        )

    async def call_worker(self, called: Called, method: str, arguments: Raw) -> Any:
        """Call a method of another worker."""
        route, terms = await self._named(called)
        invoke = frames.Invoke(
            handler=method, entrypoint=called.entrypoint, arguments=arguments, props=called.props
        )
        return await self._returned(route, invoke, terms)

    async def dispatch_call(self, asked: Dispatched, method: str, arguments: Raw) -> Any:
        """Call a method of a worker of a dispatch namespace of the account."""
        route, terms = await dispatching.terms(self._scope.host, self._scope.bundle, asked)
        invoke = frames.Invoke(handler=method, arguments=arguments, props=asked.args)
        return await self._returned(route, invoke, terms)

    async def _returned(self, route: Route, invoke: frames.Invoke, terms: Terms | None) -> Any:
        self._scope.count()
        sink = await self._start_callee(route, invoke, None, terms)
        return await sink.answer

    async def fetch_object(self, target: ObjectTarget, request: OutgoingRequest) -> frames.Incoming:
        """Send a request to a Durable Object."""
        start = functools.partial(self._start_object, target, *_invoke(request, None, {}))
        answer, sink = await self._answered(request, start)
        return self._shown(request, answer, sink)

    async def call_object(self, target: ObjectTarget, method: str, arguments: Raw) -> Any:
        """Call a method of a Durable Object."""
        self._scope.count()
        invoke = frames.Invoke(handler=method, arguments=arguments)
        sink = await self._start_object(target, invoke, None)
        return await sink.answer

    async def _start_object(
        self, target: ObjectTarget, invoke: frames.Invoke, body: Readable | None
    ) -> LocalSink:
        if target.id in self._scope.run.work.objects:
            raise Refused("Error", CYCLE)
        sink = self._scope.host.hops.call_object(
            self._scope.run, target, invoke, body, await self._scope.rules()
        )
        self._scope.called.append(sink)
        return sink

    async def ask(
        self,
        route: Route,
        request: OutgoingRequest,
        *,
        entrypoint: str | None,
        props: Any,
        terms: Terms | None = None,
    ) -> tuple[HopResponse, LocalSink]:
        """Send a request to another worker; the head of its response, and where the rest comes."""
        invoke, body = _invoke(request, entrypoint, props)
        start = functools.partial(self._start_callee, route, invoke, body, terms)
        return await self._answered(request, start)

    async def _answered(
        self, request: OutgoingRequest, start: Callable[[], Awaitable[LocalSink]]
    ) -> tuple[HopResponse, LocalSink]:
        self._scope.begin()
        started = time.monotonic()
        status = 0
        try:
            sink = await start()
            answer = await sink.answer
            if not isinstance(answer, HopResponse):
                raise Ended(Outcome.INTERNAL)
            status = answer.status
        finally:
            self._scope.end(
                request.method, request.url, status, (time.monotonic() - started) * 1000
            )
        return answer, sink

    async def _start_callee(
        self,
        route: Route,
        invoke: frames.Invoke,
        body: Readable | None,
        terms: Terms | None = None,
    ) -> LocalSink:
        if not route.has_code:
            raise Refused("TypeError", "That Worker has no code, only assets.")
        if route.trusted:
            invoke = msgspec.structs.replace(invoke, cf=self._scope.run.work.invoke.cf)
        sink = self._scope.host.hops.call(
            self._scope.run, route, invoke, body, await self._scope.rules(), terms
        )
        self._scope.called.append(sink)
        return sink

    async def _named(self, called: Called) -> tuple[Route, Terms | None]:
        """A platform's own Worker fetches for itself, not through its caller's outbound worker."""
        own, terms = self._scope.run.work.namespace, None
        place = plain_namespace(self._scope.bundle.account_id) if called.is_plain else own
        if place != own:
            terms = Terms(limits=NO_LIMITS, outbound=None)
        route = await self._scope.host.route(place, called.script)
        if route is None:
            raise Refused("Error", "Worker not found.")
        return route, terms

    async def _file(self, route: Route, request: OutgoingRequest) -> frames.Incoming | None:
        """What another worker's assets answer. None: its code does."""
        found = await assets.of_worker(route, request, self._scope.sites, self._scope.streams)
        if found is not None:
            self._scope.count()
            self._scope.end(request.method, request.url, found.status, 0)
        return found


def _invoke(
    request: OutgoingRequest, entrypoint: str | None, props: Any
) -> tuple[frames.Invoke, Readable | None]:
    """The callee's request. A long or streamed body is pulled by it."""
    inline = b""
    body: Readable | None = None
    if isinstance(request.body, bytes):
        if len(request.body) <= frames.INLINE_BODY_BYTES:
            inline = request.body
        else:
            body = BytesReader(request.body)
    elif request.body is not None:
        body = Pulled(request.body)
    invoke = frames.Invoke(
        entrypoint=entrypoint,
        method=request.method,
        url=request.url,
        headers=request.headers,
        body=inline,
        body_is_streamed=body is not None,
        props=props,
    )
    return invoke, body
