"""The response of an object's event on its way out: nothing leaves before what it rests on is
durable, and nothing once the object is another executor's."""

import asyncio
from collections.abc import Callable
from typing import Any

from cloister.messages import Headers
from cloister.outcomes import Outcome
from executor.bindings.base import Refused
from executor.objects.lease import Lost
from executor.objects.storage import RESET, Storage
from executor.replies import Undeliverable
from executor.work import Ended, Sink

ENDED_BY_US = "IsolateEnded"
"""The name of what an isolate that breaks the rules ends in."""


class ObjectSink:
    """Wraps the sink of whoever called. Before :meth:`begin` it passes on failures only.

    Attributes:
        is_cut: the event was ended amid its work, so that what it wrote is to be undone.
        has_failed: it was not done, for whatever reason.
    """

    def __init__(self, sink: Sink) -> None:
        self.is_cut = self.has_failed = False
        self._sink = sink
        self._task: asyncio.Task[None] | None = None
        self._storage: Storage | None = None
        self._check: Callable[[], None] = lambda: None
        self._is_given_up = False

    def belong(self, task: "asyncio.Task[None]") -> None:
        """The task in which the call waits for its turn."""
        self._task = task

    def begin(self, storage: Storage, check: Callable[[], None]) -> None:
        """The event begins. From here on it runs to its end, whoever waits for it."""
        self._storage = storage
        self._check = check

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._is_given_up = True
        if self._storage is None and self._task is not None:
            self._task.cancel()
        else:
            self._sink.abort()

    def stop(self, _outcome: Outcome) -> None:
        """The executor ends."""
        if self._task is not None:
            self._task.cancel()

    @property
    def is_full(self) -> bool:
        """See :class:`Sink`."""
        return not self._is_given_up and self._sink.is_full

    async def wait_for_credit(self) -> None:
        """See :class:`Sink`."""
        await self._sink.wait_for_credit()

    async def head(self, status: int, headers: Headers, body: bytes, *, end: bool) -> None:
        """See :class:`Sink`."""
        await self._settle()
        if not self._is_given_up:
            await self._sink.head(status, headers, body, end=end)

    def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Not called: an object's events run in tasks."""
        raise NotImplementedError

    async def chunk(self, data: bytes) -> None:
        """See :class:`Sink`."""
        await self._settle()
        if self._is_given_up:
            return
        try:
            await self._sink.chunk(data)
        except Undeliverable:
            if not self._is_given_up:
                raise

    async def end(self) -> None:
        """See :class:`Sink`."""
        await self._settle()
        if not self._is_given_up:
            await self._sink.end()

    async def returned(self, value: Any) -> None:
        """See :class:`Sink`."""
        await self._settle()
        if not self._is_given_up:
            await self._sink.returned(value)

    async def fail(self, ended: Ended) -> None:
        """What the object's code raised leaves as a response does."""
        self.has_failed = True
        self.is_cut = ended.outcome is not Outcome.EXCEPTION or ended.name == ENDED_BY_US
        if not self.is_cut:
            try:
                await self._settle()
            except Ended as lost:
                ended = lost
        if not self._is_given_up:
            await self._sink.fail(ended)

    def abort(self) -> None:
        """See :class:`Sink`."""
        self._sink.abort()

    async def _settle(self) -> None:
        try:
            self._check()
            if self._storage is not None:
                await self._storage.flush()
                self._check()
        except (Refused, Lost):
            self.is_cut = True
            raise Ended(Outcome.EXCEPTION, RESET, "Error") from None
