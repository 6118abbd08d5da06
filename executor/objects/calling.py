"""A call of an object on its way: from an isolate, or from another executor."""

import time

from msgspec import Raw

from cloister.limits import NO_LIMITS
from cloister.messages import Invocation, ObjectCall, Returned
from cloister.outcomes import Outcome
from cloister.settings import Settings
from executor.bindings.base import ObjectTarget
from executor.egress.guard import HostRules
from executor.invocation import Run
from executor.isolate import frames
from executor.replies import ReplySink
from executor.work import Ended


def object_invocation(
    settings: Settings,
    caller: Run,
    target: ObjectTarget,
    invoke: frames.Invoke,
    rules: frozenset[HostRules],
) -> Invocation:
    """What is sent to whoever runs the object. Version and limits are found there."""
    work = caller.work
    left_ms = caller.watch.left_ms if caller.watch is not None else settings.queue_wait_ms
    call = ObjectCall(
        namespace_id=target.namespace_id,
        id=target.id,
        name=target.name,
        arguments=b"" if invoke.handler == "fetch" else bytes(invoke.arguments),
        chain=list(work.objects),
        depth=work.depth + 1,
        rules=[(list(each.allow), list(each.deny)) for each in rules],
        is_tail=work.family.is_tail,
    )
    return Invocation(
        id=f"{work.id}.{work.family.total}",
        namespace=work.namespace,
        script=work.script,
        version="",
        method=invoke.method,
        url=invoke.url,
        headers=invoke.headers,
        reply_to="",
        deadline=time.time() + left_ms / 1000,
        limits=NO_LIMITS,
        body=invoke.body,
        body_is_streamed=invoke.body_is_streamed,
        outbound=work.outbound,
        cf=work.invoke.cf,
        handler=invoke.handler,
        object=call,
    )


class ObjectReplySink(ReplySink):
    """To the executor that sent a call: values may be as long as an isolate's frames."""

    async def returned(self, value: Raw) -> None:
        """Send the value of a method."""
        if len(value) > frames.MAX_FRAME_BYTES:
            raise Ended(Outcome.EXCEEDED_RESPONSE)
        self._send(Returned(id=self._id, value=bytes(value)))
