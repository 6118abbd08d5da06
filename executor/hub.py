"""Celery's event loop asleep in asyncio's: one thread takes messages and supervises all isolates.

kombu's hub asks a poller which descriptors are ready. Ours waits by running the asyncio loop, so
that a message costs no change of threads, and what lives on that loop goes on while Celery waits.
What is to be read is read without ending the wait.
"""

import asyncio
from collections.abc import Callable
from queue import Empty
from typing import Any

from kombu.asynchronous import Hub
from kombu.utils.eventio import ERR, READ, WRITE


class LoopHub(Hub):
    """A hub whose poller is an asyncio loop."""

    def __init__(self, timer: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio = loop
        super().__init__(timer)  # type: ignore[no-untyped-call]  # kombu has few types

    def call_soon(self, callback: Any, *args: Any) -> Any:
        """See kombu. Called from the asyncio loop, it ends the wait."""
        called = super().call_soon(callback, *args)  # type: ignore[no-untyped-call]  # as above
        if self._poller is not None:
            self._poller.wake()
        return called

    def _create_poller(self) -> None:
        self._poller = LoopPoller(self._asyncio, self.readers)
        self._register_fd = self._poller.register
        self._unregister_fd = self._poller.unregister
        if self._waker is not None:
            self._register_fd(self._waker.fileno(), READ)


class LoopPoller:
    """What kombu has epoll for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, readers: dict[int, Any]) -> None:
        self._loop = loop
        self._readers = readers
        self._watched: dict[int, int] = {}
        self._ready: list[tuple[int, int]] = []
        self._waiting = False
        self._failure: Exception | None = None

    def register(self, fd: Any, events: int) -> None:
        """Watch a descriptor from now on. kombu says so again before each wait."""
        number = _number(fd)
        if self._watched.get(number) == events:
            return
        self.unregister(number)
        self._watched[number] = events
        if events & (READ | ERR):
            self._loop.add_reader(number, self._on_ready, number, READ)
        if events & WRITE:
            self._loop.add_writer(number, self._on_ready, number, WRITE)

    modify = register

    def unregister(self, fd: Any) -> None:
        """Watch it no more. Harmless when it is not watched, or closed."""
        number = _number(fd)
        if self._watched.pop(number, None) is not None and not self._loop.is_closed():
            self._loop.remove_reader(number)
            self._loop.remove_writer(number)

    def poll(self, timeout_s: float | None) -> list[tuple[int, int]]:
        """Run the loop for so long, or until a descriptor is ready for which the hub has no reader;
        which ones are. Raises what a reader raised."""
        timer = None if timeout_s is None else self._loop.call_later(timeout_s, self._loop.stop)
        self._waiting = True
        try:
            self._loop.run_forever()
        finally:
            self._waiting = False
            if timer is not None:
                timer.cancel()
        if (failure := self._failure) is not None:
            self._failure = None
            raise failure
        ready, self._ready = self._ready, []
        return ready

    def wake(self) -> None:
        """End the wait, if there is one. Called from the loop."""
        if self._waiting:  # and no other run of the loop, which has an end of its own
            self._loop.stop()

    def close(self) -> None:
        """Watch nothing."""
        for number in list(self._watched):
            self.unregister(number)

    def _on_ready(self, number: int, event: int) -> None:
        if not self._waiting:
            return
        reader = self._readers.get(number) if event == READ else None
        if reader is None:
            self._ready.append((number, event))
            self._loop.stop()
        else:
            self._read(*reader)

    def _read(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        try:
            callback(*arguments)
        except Empty:
            pass
        except Exception as exc:  # noqa: BLE001 - for the hub to judge
            self._failure = exc
            self._loop.stop()


def _number(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())
