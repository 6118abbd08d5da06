"""One event of an object: a request, a method that was called, or its alarm."""

import logging
import time
from typing import Protocol

import msgspec
from msgspec import Raw

from cloister.limits import effective
from cloister.messages import Invocation, Outbound
from cloister.registry.objects import ObjectNamespaceView
from cloister.registry.views import Route
from executor.bindings.base import Refused
from executor.egress.guard import HostRules
from executor.invocation import Run
from executor.isolate import frames
from executor.objects.running import Lender, ObjectHost
from executor.objects.sink import ObjectSink
from executor.objects.storage import Storage
from executor.streams import Readable
from executor.work import Family, Work

log = logging.getLogger(__name__)

ALARM = "alarm"

ALARM_TRIES = 6
ALARM_BACKOFF_S = 2.0
"""A failed alarm is tried again after so long, then after twice that, and so on."""

EARLY_MS = 50
"""An alarm may come so much too early."""


class Failures(Protocol):
    """Where it is kept how often in a row an object's alarm has failed."""

    alarms_failed: int


class Event:
    """Runs in its turn: nothing else of the object runs meanwhile."""

    def __init__(
        self,
        host: Lender,
        namespace: ObjectNamespaceView,
        route: Route,
        storage: Storage,
        only_for: str,
    ) -> None:
        self._host = host
        self._namespace = namespace
        self._route = route
        self._storage = storage
        self._only_for = only_for

    async def run(
        self,
        invocation: Invocation,
        sink: ObjectSink,
        body: Readable | None,
        family: Family,
        failures: Failures,
    ) -> bool:
        """Whether the instance may go on: what it has in memory fits what is stored."""
        if invocation.handler == ALARM:
            return await self._alarm(invocation, sink, failures)
        return await self._run(self._work(invocation, body, family), sink)

    async def _run(self, work: Work, sink: ObjectSink) -> bool:
        is_good = False
        try:
            await Run(ObjectHost(self._host, self._storage, self._only_for), work, sink).run()
            is_good = not sink.is_cut
        finally:
            if sink.has_failed:
                self._storage.firing_ms = 0  # it comes again
            is_good = await self._storage.end(commit=is_good) and is_good
        return is_good

    async def _alarm(self, invocation: Invocation, sink: ObjectSink, failures: Failures) -> bool:
        """Have the object's alarm come, if it is due; it is gone when its handler has ended well,
        unless that has set another."""
        try:
            due_ms = await self._storage.alarm_ms()
            is_due = 0 < due_ms <= time.time() * 1000 + EARLY_MS
            if is_due:
                self._storage.firing_ms = due_ms
            else:
                await self._storage.wake_at(due_ms)
        except Refused:
            await self._storage.end(commit=False)
            return False
        if not is_due:
            await sink.returned(frames.NOTHING)
            return await self._storage.end(commit=False)
        told = [{"retryCount": failures.alarms_failed, "isRetry": failures.alarms_failed > 0}]
        work = self._work(invocation, None, Family(), Raw(msgspec.msgpack.encode(told)))
        is_good = await self._run(work, sink)
        await self._after_alarm(due_ms, failures, has_failed=sink.has_failed)
        return is_good

    async def _after_alarm(self, due_ms: int, failures: Failures, *, has_failed: bool) -> None:
        if not has_failed:
            failures.alarms_failed = 0
            return
        failures.alarms_failed += 1
        try:
            if failures.alarms_failed > ALARM_TRIES:
                log.warning("an object's alarm has failed too often, and is given up")
                failures.alarms_failed = 0
                await self._storage.give_up_alarm(due_ms)
            else:
                wait_s = ALARM_BACKOFF_S * 2 ** (failures.alarms_failed - 1)
                await self._storage.wake_at(int((time.time() + wait_s) * 1000))
        except Refused:
            log.warning("an object's failed alarm is tried again later than it should be")
        await self._storage.end(commit=True)

    def _work(
        self,
        invocation: Invocation,
        body: Readable | None,
        family: Family,
        arguments: Raw = frames.NO_ARGUMENTS,
    ) -> Work:
        call, route = invocation.object, self._route
        assert call is not None  # noqa: S101 - else it were no call of an object
        rule = route.outbound
        outbound = invocation.outbound or (
            None if rule is None else Outbound(namespace=rule.namespace, script=rule.script)
        )
        invoke = frames.Invoke(
            handler=invocation.handler,
            entrypoint=self._namespace.class_name,
            method=invocation.method,
            url=invocation.url,
            headers=invocation.headers,
            body=invocation.body,
            body_is_streamed=invocation.body_is_streamed,
            arguments=Raw(call.arguments) if call.arguments else arguments,
            cf=invocation.cf if route.trusted else None,
            object=frames.Identity(id=call.id, name=call.name),
        )
        settings = self._host.settings
        return Work(
            id=invocation.id,
            namespace=route.namespace,
            script=route.script,
            version=route.version,
            limits=effective(settings, route.namespace_limits, route.script_limits),
            invoke=invoke,
            body=body,
            outbound=outbound,
            # Its turn has come: from here on it is bounded by its own limits.
            begin_by_s=time.time() + settings.queue_wait_ms / 1000,
            rules=tuple(HostRules(allow=tuple(a), deny=tuple(d)) for a, d in call.rules),
            depth=call.depth,
            family=family,
            objects=(*call.chain, call.id),
        )
