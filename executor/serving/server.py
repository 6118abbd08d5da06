"""Answers an isolate's calls, several at once, and says no in the terms of the tenant's code."""

import asyncio
import contextlib
import logging
from typing import Any

from cloister.registry.views import Bundle
from executor.bindings import Binding, Refused, open_binding
from executor.bindings.asked import body_of, read_request, read_stream
from executor.bindings.cache import Cache
from executor.budget import INVOCATION_BYTES, Budget, OverBudget
from executor.egress.guard import FetchRefused
from executor.egress.response import FetchFailed
from executor.invocation import Run
from executor.isolate import frames
from executor.isolate.door import pack
from executor.isolates import Isolate, IsolateDied
from executor.open_calls import OpenCalls
from executor.serving.fetch import Fetch
from executor.serving.neighbours import Neighbours
from executor.serving.scope import InvocationScope
from executor.streams import StreamRefused, Streams, as_request
from executor.work import Ended

log = logging.getLogger(__name__)

_NO_TURN = contextlib.nullcontext()


class Server:
    """One for each invocation: the isolate's calls, answered concurrently."""

    def __init__(self, host: Neighbours, run: Run, bundle: Bundle, isolate: Isolate) -> None:
        self._host = host
        self._run = run
        self._bundle = bundle
        self._isolate = isolate
        self._streams = Streams(run.work.body, Budget(INVOCATION_BYTES, host.budget))
        self._opened_scope: InvocationScope | None = None
        self._opened_fetch: Fetch | None = None
        self._bindings: dict[str, Binding] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls = OpenCalls(isolate.closed)

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
        if self._opened_scope is not None:
            self._opened_scope.close()
        await self._streams.close()
        if self._opened_fetch is not None:
            await self._opened_fetch.close()

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
            with self._streams.budget.held(size):
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
            with self._streams.budget.held(len(data)):
                await self._isolate.send_packed(data)
        except OverBudget as over:
            await self._isolate.send_packed(pack(_refusal(number, "RuntimeError", str(over))))

    async def _answer(self, call: frames.Call) -> frames.Reply | frames.Refusal:
        answer = await self._reply(call)
        if isinstance(answer, frames.Refusal) and (stream := body_of(call)) is not None:
            self._streams.drop(stream)
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
            return await self._fetch.send(as_request(read_request(call.arguments), self._streams))
        if call.target == "stream":
            return await self._stream(call)
        if call.target not in self._bindings:
            self._bindings[call.target] = self._binding(call.target)
        return await self._bindings[call.target].call(call.method, call.arguments, call.options)

    def _binding(self, name: str) -> Binding:
        if name == frames.CACHES:
            return Cache({}, self._scope)
        spec = self._bundle.live.get(name)
        if spec is None:
            raise Refused("KeyError", f"There is no binding named {name[:100]!r}.")
        return open_binding(spec, self._scope)

    async def _stream(self, call: frames.Call) -> bytes | None:
        asked = read_stream(call.arguments)
        match call.method:
            case "read":
                return await self._streams.read(asked.stream)
            case "write":
                await self._streams.write(asked.stream, asked.data)
            case "cancel":
                await self._streams.cancel(asked.stream)
            case _:
                raise Refused("TypeError", "There is no such operation on a stream.")
        return None

    @property
    def _scope(self) -> InvocationScope:
        if self._opened_scope is None:
            host, run, bundle = self._host, self._run, self._bundle
            self._opened_scope = InvocationScope(host, run, bundle, self._streams)
        return self._opened_scope

    @property
    def _fetch(self) -> Fetch:
        if self._opened_fetch is None:
            self._opened_fetch = Fetch(self._scope)
        return self._opened_fetch


def _refusal(number: int, kind: str, message: str) -> frames.Refusal:
    return frames.Refusal(call=number, kind=kind, message=message)
