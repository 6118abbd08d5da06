"""The one object that an isolate of a Durable Object holds, from its first event on."""

from collections.abc import Callable
from typing import Any

from executor.isolate import frames
from executor.isolate.handlers import Handlers
from executor.isolate.workers.objects import (
    DurableObjectAbort,
    DurableObjectId,
    DurableObjectState,
)


class Resident:
    """Made when an event first wants it, and again after it was given up."""

    def __init__(self) -> None:
        self._instance: Any = None
        self._ctx: DurableObjectState | None = None

    async def method(
        self, handlers: Handlers, frame: frames.Invoke, env: Any
    ) -> tuple[Callable[..., Any], DurableObjectState]:
        """The method that an event is for, once nothing blocks the object; and its context.

        Raises whatever its constructor or ``blockConcurrencyWhile`` raises: it is then given up.
        """
        assert frame.object is not None  # noqa: S101 - the caller has looked
        try:
            if self._ctx is None:
                identity = frame.object
                ctx = DurableObjectState(DurableObjectId("", identity.id, identity.name))
                self._instance = handlers.object_class(frame.entrypoint)(ctx, env)
                self._ctx = ctx
            await self._ctx._unblocked()
        except BaseException:
            self.forget()
            raise
        return handlers.method(self._instance, frame.handler), self._ctx

    def ended(self, error: BaseException) -> None:
        """An event of it raised that."""
        if isinstance(error, DurableObjectAbort):
            self.forget()

    def forget(self) -> None:
        """Give it up."""
        self._instance = self._ctx = None


resident = Resident()
"""An isolate has one at most."""
