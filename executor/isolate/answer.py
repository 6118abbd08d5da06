"""Running one handler and sending what comes of it: exactly one response, whatever it does."""

import asyncio
import inspect
from types import CoroutineType
from typing import Any

from executor.isolate import frames
from executor.isolate.calls import packed
from executor.isolate.door import pack
from executor.isolate.events import EVENTS
from executor.isolate.handlers import Handlers
from executor.isolate.invocation import Invocation, runtime
from executor.isolate.resident import resident
from executor.isolate.workers.bodies import is_used, known_bytes, take_chunks
from executor.isolate.workers.entrypoints import Context
from executor.isolate.workers.headers import wire_pairs
from executor.isolate.workers.requests import incoming_request
from executor.isolate.workers.responses import FetchResponse
from executor.isolate.workers.rpc import python_from_rpc, python_to_rpc

CHUNK_BYTES = 256 * 1024

_OUT_OF_MEMORY = {
    phase: pack(frames.Failed(name="MemoryError", message="", memory=True, phase=phase))
    for phase in ("load", "invoke", "background")
}
"""Packed while there is memory for it."""


def tell_failure(error: BaseException, phase: str, *, pass_through: bool = False) -> None:
    """Send what the tenant's code raised."""
    channel = runtime.channel
    assert channel is not None  # noqa: S101 - tenant code runs only behind an open door
    if issubclass(type(error), MemoryError):
        error.__traceback__ = None  # lets go of what its frames hold
        channel.send_packed(_OUT_OF_MEMORY[phase])
    else:
        channel.send(runtime.failure(error, phase, pass_through=pass_through))


class Answer:
    """The response of one invocation.

    One that is whole in a frame is left in ``unsent``, packed, to leave with what comes next.
    """

    def __init__(self, invocation: Invocation, handlers: Handlers, env: Any) -> None:
        self._invocation = invocation
        self._handlers = handlers
        self._env = env
        self.given = False
        self.unsent = b""

    async def give(self) -> None:
        """Run the handler and send its response, or its failure. Never raises."""
        try:
            await (self._fetch() if self._invocation.frame.handler == "fetch" else self._other())
        except BaseException as error:  # noqa: BLE001 - tenant code may raise anything
            self.fail(error)
        self.given = True

    def fail(self, error: BaseException) -> None:
        """Send a failure, unless the invocation was answered already."""
        resident.ended(error)
        if not self.given:
            self.given = True
            tell_failure(error, "invoke", pass_through=self._invocation.pass_through)

    async def _fetch(self) -> None:
        frame = self._invocation.frame
        if frame.object is None:
            ctx = Context(frame.props)
            handler = self._handlers.find(frame.entrypoint, "fetch", ctx, self._env)
        else:
            handler, ctx = await resident.method(self._handlers, frame, self._env)
        response = await _result(handler(incoming_request(frame), self._env, ctx))
        if not isinstance(response, FetchResponse):
            raise TypeError(
                f"The handler fetch() returned {type(response).__name__} instead of a Response"
            )
        await self._send(response)

    async def _other(self) -> None:
        await (self._event() if self._invocation.frame.event else self._rpc())

    async def _event(self) -> None:
        frame = self._invocation.frame
        ctx = Context(frame.props)
        event = EVENTS[frame.handler]
        argument = event.argument(frame.event)
        handler = self._handlers.find(frame.entrypoint, frame.handler, ctx, self._env)
        try:
            returned = await _result(handler(argument, self._env, ctx))
            if event.rescued and event.waits and not await _went_well(self._invocation.background):
                value = event.rescued(argument)  # what failed is told where it is waited for
            else:
                value = event.value(argument, returned)
        except BaseException as error:
            if event.rescued is None:
                raise
            self._return(event.rescued(argument))
            tell_failure(error, "background")
        else:
            self._return(value)

    def _return(self, value: Any) -> None:
        self._invocation.channel.send(frames.Returned(value=frames.raw(value)))

    async def _rpc(self) -> None:
        frame = self._invocation.frame
        if frame.object is None:
            ctx = Context(frame.props)
            method = self._handlers.find(frame.entrypoint, frame.handler, ctx, self._env)
        else:
            method, _ = await resident.method(self._handlers, frame, self._env)
        if not isinstance(frame.arguments, list):
            raise TypeError("The arguments cannot be read")
        value = await _result(method(*(python_from_rpc(each) for each in frame.arguments)))
        self._return(python_to_rpc(value))

    async def _send(self, response: FetchResponse) -> None:
        body, channel = response._body, self._invocation.channel
        if is_used(body):
            raise TypeError("Body has already been used. It can only be used once.")
        data = b"" if body is None else known_bytes(body)
        headers = wire_pairs(response._headers)
        if body is None or (data is not None and len(data) <= frames.INLINE_BODY_BYTES):
            self.unsent = packed(
                frames.Head(status=response._status, headers=headers, body=data or b"", end=True)
            )
            return
        channel.send(frames.Head(status=response._status, headers=headers))
        channel.decline()  # its client may be slow
        async for chunk in take_chunks(body):
            for start in range(0, len(chunk), CHUNK_BYTES):
                channel.send(frames.Chunk(data=chunk[start : start + CHUNK_BYTES]))
        channel.send(frames.End())


async def _result(value: Any) -> Any:
    is_awaitable = type(value) is CoroutineType or inspect.isawaitable(value)
    return await value if is_awaitable else value


async def _went_well(background: set[asyncio.Future[Any]]) -> bool:
    """Wait until all of it is over; whether none of it failed."""
    while pending := {task for task in background if not task.done()}:
        await asyncio.wait(pending)
    return all(not task.cancelled() and task.exception() is None for task in background)
