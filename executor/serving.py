"""Serves what one isolate asks for, with its worker's rights: fetch(), bindings, streams."""

import asyncio
import contextlib
import functools
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, Protocol

import msgspec
from msgspec import Raw
from redis.asyncio import Redis

from cloister.assets.sites import Sites
from cloister.blobs import Blobs
from cloister.limits import NO_LIMITS
from cloister.messages import Outbound
from cloister.outcomes import Outcome
from cloister.registry.names import plain_namespace
from cloister.registry.objects import ObjectNamespaceView
from cloister.registry.registry import Registry
from cloister.registry.views import Bundle, NamespaceView, Route
from cloister.settings import Settings
from executor import dispatching
from executor.bindings import Binding, Refused, assets, open_binding
from executor.bindings.asked import body_of, read_request, read_stream
from executor.bindings.base import Called, Dispatched, ObjectTarget
from executor.bindings.cache import Cache
from executor.budget import INVOCATION_BYTES, Budget, OverBudget
from executor.caches.store import CacheStore
from executor.databases.asking import Questions
from executor.egress.client import Client
from executor.egress.guard import FetchRefused, HostRules
from executor.egress.network import Resolve
from executor.egress.redirects import OutgoingRequest
from executor.egress.response import FetchedResponse, FetchFailed
from executor.hop import HopResponse, LocalSink
from executor.invocation import Run
from executor.isolate import frames
from executor.isolate.door import pack
from executor.isolates import Isolate, IsolateDied
from executor.open_calls import OpenCalls
from executor.outbound import fetch_through
from executor.points import Gathered
from executor.streams import (
    BytesReader,
    Chained,
    Pulled,
    Readable,
    StreamRefused,
    Streams,
    as_request,
)
from executor.work import Ended, Terms

log = logging.getLogger(__name__)

_NO_TURN = contextlib.nullcontext()

CYCLE = (
    "Durable Object call cycle: this object waits for the end of this very call, and it does one "
    "thing at a time."
)


class Neighbours(Protocol):
    """The executor, as calls use it."""

    settings: Settings
    registry: Registry
    sites: Sites
    blobs: Blobs
    budget: Budget
    valkey: Redis
    points: Gathered
    caches: CacheStore
    questions: Questions

    @property
    def threads(self) -> Executor:
        """Where blocking work is done."""

    def resolve(self, namespace: str) -> Resolve:
        """What looks names up for a namespace."""

    async def route(self, namespace: str, script: str) -> Route | None:
        """The live version under a name."""

    async def namespace(self, name: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""

    def call(
        self,
        caller: Run,
        route: Route,
        invoke: frames.Invoke,
        body: Readable | None,
        rules: frozenset[HostRules],
        terms: Terms | None = None,
    ) -> LocalSink:
        """Start another worker on behalf of a caller, on its terms if it dispatches. Raises
        Ended."""

    async def object_class(self, namespace_id: str) -> ObjectNamespaceView | None:
        """A class of Durable Objects; None if it was deleted."""

    def call_object(
        self,
        caller: Run,
        target: ObjectTarget,
        invoke: frames.Invoke,
        body: Readable | None,
        rules: frozenset[HostRules],
    ) -> LocalSink:
        """Have a Durable Object do that on behalf of a caller. Raises Ended."""


class Server:
    """One for each invocation: the isolate's calls, answered concurrently."""

    def __init__(self, host: Neighbours, run: Run, bundle: Bundle, isolate: Isolate) -> None:
        self.registry = host.registry
        self.databases = host.questions
        self.account_id = bundle.account_id
        self.sites = host.sites
        self.blobs = host.blobs
        self.assets = bundle.assets
        self.streams = Streams(run.work.body, Budget(INVOCATION_BYTES, host.budget))
        self.tally: Counter[str] = Counter()
        self._host = host
        self._run = run
        self._bundle = bundle
        self._isolate = isolate
        self._bindings: dict[str, Binding] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = OpenCalls(isolate.closed)
        self._callees: list[LocalSink] = []
        self._client: Client | None = None

    async def take(self, call: frames.Call, size: int) -> None:
        """Begin to serve a call, whose frame has that size. Waits while those before hold much.

        Raises:
            TooManyCalls: the isolate is to be ended.
        """
        await self._calls.admit(size)
        task = asyncio.get_running_loop().create_task(self._serve(call, size))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is not served yet, and everything open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for callee in self._callees:
            callee.cancel()
        await self.streams.close()
        if self._client is not None:
            await self._client.close()

    async def _serve(self, call: frames.Call, size: int) -> None:
        number = call.call
        # What is worked on may wait for a stream.
        turn = _NO_TURN if call.target == "stream" else self._calls.turns
        try:
            async with turn:
                try:
                    data = await self._packed(call, size)
                    del call  # the isolate may be slow to take the answer
                finally:
                    self._calls.free(size)
                await self._send(data, number)
        except IsolateDied:
            pass  # whoever receives from it says why
        finally:
            self._calls.answered()

    async def _packed(self, call: frames.Call, size: int) -> bytes:
        try:
            with self.streams.budget.held(size):
                return pack(await self._answer(call))
        except OverBudget as over:
            return pack(_refusal(call.call, "RuntimeError", str(over)))
        except IsolateDied:
            raise
        except Exception:
            log.exception("a call of %s failed", self._run.work.id)
            return pack(_refusal(call.call, "Error", "internal error"))

    async def _send(self, data: bytes, number: int) -> None:
        """Send an answer, which counts as held for the isolate until it is on its way."""
        try:
            with self.streams.budget.held(len(data)):
                await self._isolate.send_packed(data)
        except OverBudget as over:
            await self._isolate.send_packed(pack(_refusal(number, "RuntimeError", str(over))))

    async def _answer(self, call: frames.Call) -> frames.Reply | frames.Refusal:
        answer = await self._reply(call)
        if isinstance(answer, frames.Refusal) and (stream := body_of(call)) is not None:
            self.streams.drop(stream)
        return answer

    async def _reply(self, call: frames.Call) -> frames.Reply | frames.Refusal:
        try:
            return frames.Reply(call=call.call, value=await self._value(call))
        except Refused as refused:
            return _refusal(call.call, refused.kind, refused.message)
        except FetchRefused as refused:
            return _refusal(call.call, refused.kind, str(refused))
        except FetchFailed as failed:
            return _refusal(call.call, "NetworkError", str(failed))
        except StreamRefused as refused:
            return _refusal(call.call, "OSError", str(refused))
        except OverBudget as over:
            return _refusal(call.call, "RuntimeError", str(over))
        except Ended as ended:
            return _refusal(call.call, ended.name or "Error", ended.message)

    async def _value(self, call: frames.Call) -> Any:
        if call.target == "fetch":
            return await self._fetch(call)
        if call.target == "stream":
            return await self._stream(call)
        if call.target not in self._bindings:
            self._bindings[call.target] = self._binding(call.target)
        return await self._bindings[call.target].call(call.method, call.arguments, call.options)

    def _binding(self, name: str) -> Binding:
        if name == frames.CACHES:
            return Cache({}, self)
        spec = self._bundle.live.get(name)
        if spec is None:
            raise Refused("KeyError", f"There is no binding named {name[:100]!r}.")
        return open_binding(spec, self)

    async def _stream(self, call: frames.Call) -> bytes | None:
        asked = read_stream(call.arguments)
        match call.method:
            case "read":
                return await self.streams.read(asked.stream)
            case "write":
                await self.streams.write(asked.stream, asked.data)
            case "cancel":
                await self.streams.cancel(asked.stream)
            case _:
                raise Refused("TypeError", "There is no such operation on a stream.")
        return None

    async def _fetch(self, call: frames.Call) -> frames.Incoming:
        request = as_request(read_request(call.arguments), self.streams)
        through = self._run.work.outbound
        if through is None or self._run.work.is_outbound:
            response = await (await self._direct()).fetch(request)
        else:
            ask = functools.partial(self._ask_outbound, through)
            limit_bytes = self._host.settings.egress_body_bytes
            response = await fetch_through(ask, request, limit_bytes)
        return await self._incoming(response)

    async def _direct(self) -> Client:
        if self._client is None:
            rules = await self._rules()
            settings = self._host.settings
            resolve = self._host.resolve(self._run.work.namespace)
            self._client = Client(settings, resolve, rules, self)
        return self._client

    async def _ask_outbound(
        self, through: Outbound, request: OutgoingRequest
    ) -> tuple[HopResponse, LocalSink]:
        route = await self._host.route(through.namespace, through.script)
        if route is None:
            raise FetchRefused("The outbound worker of this namespace is missing.")
        return await self._ask(route, request, entrypoint=through.entrypoint, props={})

    async def _incoming(self, response: FetchedResponse) -> frames.Incoming:
        """What the isolate gets: a short body at once, any other as a stream."""
        inline, stream = b"", None
        if response.length is not None and response.length <= frames.INLINE_BODY_BYTES:
            inline, rest = await _start(response)
            stream = self.streams.open(rest) if rest is not None else None
        else:
            stream = self.streams.open(response.body)
        return frames.Incoming(
            status=response.status,
            headers=response.headers,
            url=response.url,
            redirected=response.redirected,
            status_text=response.status_text,
            body=inline,
            stream=stream,
        )

    async def _ask(
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
        self.begin()
        started = time.monotonic()
        status = 0
        try:
            sink = await start()
            answer = await sink.answer
            if not isinstance(answer, HopResponse):
                raise Ended(Outcome.INTERNAL)
            status = answer.status
        finally:
            self.end(request.method, request.url, status, (time.monotonic() - started) * 1000)
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
            invoke = msgspec.structs.replace(invoke, cf=self._run.work.invoke.cf)
        sink = self._host.call(self._run, route, invoke, body, await self._rules(), terms)
        self._callees.append(sink)
        return sink

    async def _rules(self) -> frozenset[HostRules]:
        """Those of every namespace on whose behalf this worker runs, and of its own."""
        own = await self._host.namespace(self._run.work.namespace)
        if own is None:
            raise FetchRefused("The namespace is gone.")
        lists = HostRules(allow=tuple(own.egress_allow), deny=tuple(own.egress_deny))
        return frozenset({*self._run.work.rules, lists})

    async def _callee(self, called: Called) -> tuple[Route, Terms | None]:
        """A platform's own Worker fetches for itself, not through its caller's outbound worker."""
        own, terms = self._run.work.namespace, None
        place = plain_namespace(self._bundle.account_id) if called.is_plain else own
        if place != own:
            terms = Terms(limits=NO_LIMITS, outbound=None)
        route = await self._host.route(place, called.script)
        if route is None:
            raise Refused("Error", "Worker not found.")
        return route, terms

    async def _file(self, route: Route, request: OutgoingRequest) -> frames.Incoming | None:
        """What another worker's assets answer. None: its code does."""
        found = await assets.of_worker(route, request, self.sites, self.streams)
        if found is not None:
            self.count()
            self.end(request.method, request.url, found.status, 0)
        return found

    # What bindings use:

    @property
    def bundle(self) -> Bundle:
        """The version that runs."""
        return self._bundle

    async def is_trusted(self) -> bool:
        """Whether the worker is plain, or its namespace trusted."""
        namespace = await self._host.namespace(self._bundle.namespace)
        return namespace is not None and namespace.trusted

    @property
    def caches(self) -> CacheStore:
        """Where cached responses are."""
        return self._host.caches

    @property
    def valkey(self) -> Redis:
        """What all executors count with."""
        return self._host.valkey

    @property
    def points(self) -> Gathered:
        """Where data points wait to be written."""
        return self._host.points

    async def in_thread(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """Run something that blocks."""
        call = functools.partial(function, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self._host.threads, call)

    def count(self) -> None:
        """Count a subrequest."""
        record = self._run.record
        if record.subrequest_count >= (self._run.work.limits.subrequests or 0):
            raise Refused("SubrequestLimit", "Too many subrequests.")
        record.subrequest_count += 1

    async def fetch_worker(self, called: Called, request: OutgoingRequest) -> frames.Incoming:
        """Send a request to another worker."""
        route, terms = await self._callee(called)
        found = None
        if called.entrypoint is None:
            found = await self._file(route, request)
        if found is not None:
            return found
        answer, sink = await self._ask(
            route, request, entrypoint=called.entrypoint, props=called.props, terms=terms
        )
        return self._shown(request, answer, sink)

    async def dispatch(self, asked: Dispatched, request: OutgoingRequest) -> frames.Incoming:
        """Send a request to a worker of a dispatch namespace of the account."""
        route, terms = await dispatching.terms(self._host, self._bundle, asked)
        if (found := await self._file(route, request)) is not None:
            return found
        answer, sink = await self._ask(
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
            stream=None if answer.end else self.streams.open(sink),
        )

    async def call_worker(self, called: Called, method: str, arguments: Raw) -> Any:
        """Call a method of another worker."""
        route, terms = await self._callee(called)
        invoke = frames.Invoke(
            handler=method, entrypoint=called.entrypoint, arguments=arguments, props=called.props
        )
        return await self._returned(route, invoke, terms)

    async def dispatch_call(self, asked: Dispatched, method: str, arguments: Raw) -> Any:
        """Call a method of a worker of a dispatch namespace of the account."""
        route, terms = await dispatching.terms(self._host, self._bundle, asked)
        invoke = frames.Invoke(handler=method, arguments=arguments, props=asked.args)
        return await self._returned(route, invoke, terms)

    async def _returned(self, route: Route, invoke: frames.Invoke, terms: Terms | None) -> Any:
        self.count()
        sink = await self._start_callee(route, invoke, None, terms)
        return await sink.answer

    async def object_class(self, namespace_id: str) -> ObjectNamespaceView | None:
        """A class of Durable Objects; None if it was deleted."""
        return await self._host.object_class(namespace_id)

    async def fetch_object(self, target: ObjectTarget, request: OutgoingRequest) -> frames.Incoming:
        """Send a request to a Durable Object."""
        start = functools.partial(self._start_object, target, *_invoke(request, None, {}))
        answer, sink = await self._answered(request, start)
        return self._shown(request, answer, sink)

    async def call_object(self, target: ObjectTarget, method: str, arguments: Raw) -> Any:
        """Call a method of a Durable Object."""
        self.count()
        invoke = frames.Invoke(handler=method, arguments=arguments)
        sink = await self._start_object(target, invoke, None)
        return await sink.answer

    async def _start_object(
        self, target: ObjectTarget, invoke: frames.Invoke, body: Readable | None
    ) -> LocalSink:
        if target.id in self._run.work.objects:
            raise Refused("Error", CYCLE)
        sink = self._host.call_object(self._run, target, invoke, body, await self._rules())
        self._callees.append(sink)
        return sink

    # What the client counts with:

    def begin(self) -> None:
        """A hop of a fetch() begins."""
        self.count()

    def end(self, method: str, url: str, status: int, wall_ms: float) -> None:
        """It is over."""
        self._run.record.subrequest(method, url, status, wall_ms)


def _refusal(number: int, kind: str, message: str) -> frames.Refusal:
    return frames.Refusal(call=number, kind=kind, message=message)


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


async def _start(response: FetchedResponse) -> tuple[bytes, Readable | None]:
    """All of a short body, or all of it as a stream if it turns out to be long."""
    start = b""
    while data := await response.body.read():
        start += data
        if len(start) > frames.INLINE_BODY_BYTES:
            return b"", Chained(start, response.body)
    return start, None
