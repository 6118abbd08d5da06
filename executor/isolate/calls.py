"""The isolate's end of the door: frames out, answers in.

:class:`Channel` frames the socket; :class:`Calls` numbers what the tenant's code asks for and hands
each answer to whoever awaits it. A door that closes or speaks nonsense ends the process: an isolate
has no life without its executor.
"""

import asyncio
import os
import select
import socket
from collections import deque
from typing import Any, NoReturn

from executor.isolate import frames
from executor.isolate.door import DoorBroken, Unpacker, pack

READ_BYTES = 64 * 1024


class NetworkError(OSError):
    """A fetch() got no answer."""


class SubrequestLimit(Exception):
    """Too many subrequests."""


KINDS: dict[str, type[Exception]] = {
    "Error": Exception,
    "KeyError": KeyError,
    "NetworkError": NetworkError,
    "NotImplementedError": NotImplementedError,
    "OSError": OSError,
    "PermissionError": PermissionError,
    "RuntimeError": RuntimeError,
    "SubrequestLimit": SubrequestLimit,
    "TimeoutError": TimeoutError,
    "TypeError": TypeError,
    "ValueError": ValueError,
}
"""What a refusal is to the tenant's code, by its kind; any other kind is an ``Exception``."""


class _Nowhere:
    """Takes what is sent."""

    def send(self, data: memoryview) -> int:
        return len(data)


class Channel:
    """Frames over the door's socket, without ever waiting to write while there is to read."""

    def __init__(self) -> None:
        self._unpacker = Unpacker(frames.decode_to_isolate, frames.MAX_LOAD_BYTES)
        self._arrived: deque[frames.ToIsolate] = deque()
        self._unsent: deque[bytes] = deque()
        self._readable = select.poll()
        self._either = select.poll()
        self._door: Any = _Nowhere()

    def open(self, door: socket.socket) -> None:
        """Take a door's socket into use."""
        door.setblocking(False)
        self._door = door
        self._readable.register(door, select.POLLIN)
        self._either.register(door, select.POLLIN | select.POLLOUT)

    def pretend(self) -> None:
        """Send to nobody, until a door is opened."""
        self._door = _Nowhere()

    def close(self) -> None:
        """Let go of it, once every frame that came was taken."""
        for poll in (self._readable, self._either):
            poll.unregister(self._door)
        self.pretend()

    def send(self, frame: frames.FromIsolate) -> None:
        """Send one frame. Raises ``ValueError`` if it is too large for the door."""
        self.send_packed(packed(frame))

    def send_packed(self, data: bytes) -> None:
        """Send frames that are packed already, taking in meanwhile what arrives.

        A finalizer of the tenant's may run amid a frame, and write to the log: that follows.
        """
        unsent, sent = self._unsent, 0
        unsent.append(data)
        if len(unsent) > 1:
            return
        try:
            while unsent:
                view, sent = memoryview(unsent[0]), 0
                while sent < len(view):
                    try:
                        sent += self._door.send(view[sent:])
                    except BlockingIOError:
                        if any(event & ~select.POLLOUT for _, event in self._either.poll()):
                            self._take_in()
                    except OSError:
                        leave()
                unsent.popleft()
        except BaseException:  # memory or recursion, in whatever the tenant's code is in
            if sent:
                leave()  # what came next would be taken for the rest of the frame
            unsent.clear()
            raise

    def wait(self, timeout_ms: int | None) -> bool:
        """Whether something is there within that time; None waits for ever."""
        return bool(self._arrived or self._readable.poll(timeout_ms))

    def receive(self) -> frames.ToIsolate:
        """The next frame, waiting for it."""
        while not self._arrived:
            # Waiting in recv() would wake it up, too, when the executor has read what was sent.
            self._readable.poll()
            self._take_in()
        return self._arrived.popleft()

    def receive_answer(self, number: int) -> frames.Reply | frames.Refusal:
        """The answer to the call of that number, waiting for it; what else comes is left."""
        while True:
            for index, frame in enumerate(self._arrived):
                if isinstance(frame, frames.Reply | frames.Refusal) and frame.call == number:
                    del self._arrived[index]
                    return frame
            self._readable.poll()
            self._take_in()

    def arrived(self) -> list[frames.ToIsolate]:
        """What has come in, after :meth:`wait` said that there is something. Invocations are sent
        back: the one that runs waits."""
        self._take_in()
        return self._without_behind()

    def decline(self) -> None:
        """Tell the executor that those that it has sent behind this invocation have to wait."""
        while self._readable.poll(0):
            self._take_in()
        self._arrived.extendleft(reversed(self._without_behind()))

    def _without_behind(self) -> list[frames.ToIsolate]:
        """Take all that is here; what are invocations is Declined."""
        arrived, self._arrived = self._arrived, deque()
        others: list[frames.ToIsolate] = [
            frame for frame in arrived if not isinstance(frame, frames.Invoke)
        ]
        if behind := len(arrived) - len(others):
            self.send(frames.Declined(count=behind))
        return others

    def _take_in(self) -> None:
        try:
            data = self._door.recv(READ_BYTES)
            if not data:
                leave()
            self._arrived.extend(frame for frame, _ in self._unpacker.feed(data))
        except BlockingIOError:
            return
        except (OSError, DoorBroken):
            leave()


def packed(frame: frames.FromIsolate) -> bytes:
    """The bytes of one frame. Raises ``ValueError`` if it is too large for the door."""
    data = pack(frame)
    if len(data) > frames.MAX_FRAME_BYTES:
        raise ValueError(f"{len(data)} bytes are too many for one message")
    return data


def leave() -> NoReturn:
    """End this process at once, with nothing of the tenant's run any more."""
    os._exit(0)


class Calls:
    """Questions to the executor; several may be open at a time, further ones wait."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last = 0
        self._last_stream = 0

    @property
    def pending(self) -> bool:
        """Whether an answer may still come that somebody waits for."""
        return bool(self._waiting) or any(not answer.done() for answer in self._open.values())

    def new_stream(self) -> int:
        """An id for a body that the isolate is going to write."""
        self._last_stream += 1
        return self._last_stream

    async def ask(
        self,
        target: str,
        method: str,
        arguments: list[Any],
        options: dict[str, Any] | None = None,
    ) -> Any:
        """What the executor answers. Raises what :data:`KINDS` says for a refusal."""
        while len(self._open) >= frames.CALLS_AT_ONCE:
            await self._place()
        self._last = number = self._last + 1
        answer = asyncio.get_running_loop().create_future()
        self._channel.send(
            frames.Call(
                call=number,
                target=target,
                method=method,
                arguments=frames.raw(arguments),
                options=frames.raw(options) if options else frames.NO_OPTIONS,
            )
        )
        self._open[number] = answer
        try:
            return await answer
        finally:
            answer.cancel()  # whoever gives up asking leaves its place taken: an answer will come

    def ask_now(self, target: str, method: str, arguments: list[Any]) -> Any:
        """The same, with nothing else running in here until the answer has come."""
        if len(self._open) >= frames.CALLS_AT_ONCE:
            raise RuntimeError("Too many calls wait for their answers")
        self._last = number = self._last + 1
        call = frames.Call(
            call=number, target=target, method=method, arguments=frames.raw(arguments)
        )
        self._channel.send(call)
        answer = self._channel.receive_answer(number)
        if isinstance(answer, frames.Reply):
            return answer.value
        raise KINDS.get(answer.kind, Exception)(answer.message)

    async def _place(self) -> None:
        """Wait until an answer has come."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except BaseException:
            self._call_next()
            raise

    def _call_next(self) -> None:
        """Wake who waits longest for a place."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    def settle(self, frame: frames.Reply | frames.Refusal) -> None:
        """Hand an answer over; one that nobody awaits any more is dropped."""
        answer = self._open.pop(frame.call, None)
        if answer is None:
            return
        self._call_next()
        if answer.done():
            return
        if isinstance(frame, frames.Reply):
            answer.set_result(frame.value)
        else:
            answer.set_exception(KINDS.get(frame.kind, Exception)(frame.message))

    def forget(self) -> None:
        """The invocation is over: the executor answers none of its questions any more."""
        self._open.clear()
        self._waiting.clear()
