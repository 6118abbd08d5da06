"""Invocations that messages ask for, as work to be done here."""

from collections.abc import Callable
from functools import lru_cache, partial

from redis.asyncio import Redis

from cloister.limits import NO_LIMITS, effective
from cloister.messages import Invocation
from cloister.settings import Settings
from executor.isolate import frames
from executor.request_body import RequestBody
from executor.work import Work


def work_of(settings: Settings, client: Redis) -> Callable[[Invocation], Work]:
    """What makes work of an invocation. A streamed body is read with that client."""
    limits_of = lru_cache(maxsize=1024)(partial(effective, settings, NO_LIMITS, NO_LIMITS))
    log_bytes = settings.log_bytes

    def work(invocation: Invocation) -> Work:
        invoke = frames.Invoke(
            handler=invocation.handler,
            event=invocation.event,
            entrypoint=invocation.entrypoint,
            method=invocation.method,
            url=invocation.url,
            headers=invocation.headers,
            body=invocation.body,
            body_is_streamed=invocation.body_is_streamed,
            props=invocation.args,
            cf=invocation.cf,
            log_bytes=log_bytes,
        )
        streamed = invocation.body_is_streamed
        return Work(
            id=invocation.id,
            namespace=invocation.namespace,
            script=invocation.script,
            version=invocation.version,
            limits=limits_of(invocation.limits),
            invoke=invoke,
            body=RequestBody(client, invocation.id) if streamed else None,
            outbound=invocation.outbound,
            begin_by_s=invocation.deadline,
        )

    return work
