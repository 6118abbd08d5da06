"""Calls of other workers and of objects, in one executor: how deep, how many, and as whom."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from cloister.limits import Limits, effective
from cloister.messages import Invocation
from cloister.outcomes import Outcome
from cloister.registry.views import Route
from cloister.settings import Settings
from executor.bindings.base import ObjectTarget
from executor.egress.guard import HostRules
from executor.hop import LocalSink
from executor.host import Host
from executor.invocation import Run
from executor.isolate import frames
from executor.objects.calling import object_invocation
from executor.objects.sink import ObjectSink
from executor.shares import Shares
from executor.streams import Readable
from executor.work import MAX_DEPTH, Ended, Family, Terms, Work

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Runs a coroutine in a task."""


class Objects(Protocol):
    """The Durable Objects of an executor."""

    async def run(
        self, invocation: Invocation, sink: ObjectSink, body: Readable | None, family: Family
    ) -> None:
        """Have one take a call. Whatever comes of it goes to the sink."""


class Hops:
    """Those that run now."""

    def __init__(self, settings: Settings, host: Host, objects: Objects, spawn: Spawn) -> None:
        self._settings = settings
        self._host = host
        self._objects = objects
        self._spawn = spawn
        self._shares = Shares(settings.executor_concurrency)

    def call(
        self,
        caller: Run,
        route: Route,
        invoke: frames.Invoke,
        body: Readable | None,
        rules: frozenset[HostRules],
        terms: Terms | None = None,
    ) -> LocalSink:
        """Start another worker on behalf of a caller, on its terms if it dispatches.

        Raises:
            Ended: the calls are too deep, or too many.
        """
        work = caller.work
        self._begin(work)
        sink = LocalSink()
        run = Run(self._host, self._work(caller, route, invoke, body, rules, terms), sink)
        sink.cancel = run.cancel
        self._spawn(run.run()).add_done_callback(lambda _task: self._end(work))
        return sink

    def call_object(
        self,
        caller: Run,
        target: ObjectTarget,
        invoke: frames.Invoke,
        body: Readable | None,
        rules: frozenset[HostRules],
    ) -> LocalSink:
        """Have an object do something on behalf of a caller. Once it has begun it does so to its
        end, whoever waits.

        Raises:
            Ended: the calls are too deep, or too many.
        """
        work = caller.work
        self._begin(work)
        local = LocalSink()
        sink = ObjectSink(local)
        local.cancel = sink.cancel
        call = object_invocation(self._settings, caller, target, invoke, rules)
        task = self._spawn(self._objects.run(call, sink, body, work.family))
        sink.belong(task)
        task.add_done_callback(lambda _task: self._end(work))
        return local

    def _begin(self, work: Work) -> None:
        if work.depth + 1 >= MAX_DEPTH:
            raise Ended(Outcome.EXCEEDED_DEPTH)
        place = work.namespace, work.script
        if not self._shares.has_room_for(place):
            raise Ended(Outcome.OVERLOADED)
        work.family.join()
        self._shares.take(place)

    def _end(self, work: Work) -> None:
        work.family.part()
        self._shares.give((work.namespace, work.script))

    def _work(
        self,
        caller: Run,
        route: Route,
        invoke: frames.Invoke,
        body: Readable | None,
        rules: frozenset[HostRules],
        terms: Terms | None,
    ) -> Work:
        work = caller.work
        given = terms.limits if terms else None
        own = effective(self._settings, route.namespace_limits, route.script_limits, given)
        left_ms = caller.watch.left_ms if caller.watch is not None else 0
        return Work(
            id=f"{work.id}.{work.family.total}",
            namespace=route.namespace,
            script=route.script,
            version=route.version,
            limits=own.tightest(Limits(wall_ms=int(left_ms))),
            invoke=invoke,
            body=body,
            outbound=terms.outbound if terms else work.outbound,
            begin_by_s=time.time() + left_ms / 1000,
            rules=tuple(rules),
            depth=work.depth + 1,
            objects=work.objects,
            family=work.family,
        )
