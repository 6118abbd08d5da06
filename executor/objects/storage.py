"""An object's storage as its executor uses it: opened when first used, durable when flushed."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Raw

from cloister.databases import QUERY_S, Failed, Kind
from cloister.errors import CloisterError
from executor.bindings.base import Refused
from executor.databases.process import ProcessDied
from executor.isolate.frames import NOTHING
from executor.objects.frames import Ask, Did, Settle, decode_answer
from executor.objects.lease import Lost
from executor.objects.process import StorageProcess

log = logging.getLogger(__name__)

GRACE_S = 3.0
"""Beyond its time, in which a process ends a query by itself; then it is killed."""

RESET = "Durable Object storage operation failed and caused object to be reset."

KINDS: dict[Kind, str] = {
    "malformed": "TypeError",
    "timeout": "TimeoutError",
    "too_large": "ValueError",
}
"""What a failure is to the object's code; any other is an Error."""


_FAILURES = (Lost, CloisterError, ProcessDied, TimeoutError, OSError, msgspec.MsgspecError)


class Keeper:
    """What a storage needs of who runs the object: three functions.

    ``start`` opens its process, ``wake_at`` notes when its alarm is due and says whether the object
    is still ours, ``check`` raises :class:`Lost` if it is not.
    """

    def __init__(
        self,
        *,
        start: Callable[[], Awaitable[StorageProcess]],
        wake_at: Callable[[int | None], Awaitable[bool]],
        check: Callable[[], None],
    ) -> None:
        self.start = start
        self.wake_at = wake_at
        self.check = check


class Storage:
    """Asked during events, of which there is one at a time. :meth:`end` follows each."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._process: StorageProcess | None = None
        self._lock = asyncio.Lock()
        self._is_dirty = False
        self._is_lost = False
        self._is_aborted = False
        self._alarm_ms = 0
        self._noted_ms = 0
        self.firing_ms = 0
        """The alarm that the event is about, unless its code has set another since."""

    async def call(self, method: str, arguments: Raw, options: Raw) -> Raw:
        """Do what the object's code asks. Raises Refused."""
        match method:
            case "sync":
                await self.flush()
                return NOTHING
            case "abort":
                self._is_aborted = True
                return NOTHING
            case "set_alarm" | "delete_alarm":
                self.firing_ms = 0
        async with self._lock:
            did = await self._ask(Ask(method=method, arguments=arguments, options=options))
        fires = method == "get_alarm" and self.firing_ms == did.alarm_ms
        return NOTHING if fires else did.value

    async def alarm_ms(self) -> int:
        """When its alarm is due; 0 if there is none. Raises Refused."""
        async with self._lock:
            return (await self._ask(Ask(method="get_alarm"))).alarm_ms

    async def wake_at(self, at_ms: int) -> None:
        """Have the object woken then, whatever its alarm says. Raises Refused."""
        try:
            await self._keeper.wake_at(at_ms or None)
        except CloisterError as exc:
            raise await self._lose(exc) from exc

    async def give_up_alarm(self, due_ms: int) -> None:
        """Delete the alarm, unless it is another one by now. Raises Refused."""
        async with self._lock:
            if self._alarm_ms == due_ms:
                await self._ask(Ask(method="delete_alarm"))

    async def flush(self) -> None:
        """Make durable what was written, but for what is in a transaction that is open.

        Raises:
            Refused: it cannot be, and nothing of the event since the last time is there.
        """
        if self._is_aborted or not (self._is_dirty or self._is_lost):
            return
        async with self._lock:
            await self._note_alarm(before=True)
            await self._ask(Settle(commit=True))
            if not self._is_dirty:
                await self._note_alarm(before=False)

    async def end(self, *, commit: bool) -> bool:
        """The event is over: make its writes durable or undo them. False if they are not there,
        though they should be."""
        commit = commit and not self._is_aborted
        try:
            async with self._lock:
                is_good = await self._settled(commit=commit)
        finally:
            self._is_dirty = self._is_lost = self._is_aborted = False
            self.firing_ms = 0
        return is_good or not commit

    def keep(self, until_s: float) -> None:
        """The lease goes on to that time."""
        if self._process is not None:
            self._process.keep(until_s)

    async def close(self) -> None:
        """Close the file, if it is open."""
        process, self._process = self._process, None
        if process is not None:
            await process.close()

    async def _settled(self, *, commit: bool) -> bool:
        if self._is_lost:
            return False
        if self._process is None:
            return True
        try:
            if commit and self.firing_ms and self.firing_ms == self._alarm_ms:
                await self._ask(Ask(method="delete_alarm"))
            if not self._is_dirty:
                return True
            if commit:
                await self._note_alarm(before=True)
            await self._ask(Settle(commit=commit, end=True))
            if commit:
                await self._note_alarm(before=False)
        except Refused:
            return False
        return True

    async def _note_alarm(self, *, before: bool) -> None:
        """Note when to wake the object: sooner than it is durable that there is an alarm, later
        than that there is none. To wake it in vain is no harm. An alarm of the past is due now:
        it comes after those that others wait for already."""
        alarm_ms = self._alarm_ms
        if alarm_ms == self._noted_ms or before != bool(alarm_ms):
            return
        try:
            at_ms = max(alarm_ms, int(time.time() * 1000)) if alarm_ms else None
            is_ours = await self._keeper.wake_at(at_ms)
        except CloisterError as exc:
            raise await self._lose(exc) from exc
        if not is_ours:
            raise await self._lose(Lost())
        self._noted_ms = alarm_ms

    async def _ask(self, question: Ask | Settle) -> Did:
        if self._is_lost:
            raise Refused("Error", RESET)
        try:
            self._keeper.check()
            process = await self._opened()
            data = await process.ask(question, QUERY_S + GRACE_S)
            self._keeper.check()
            answer = decode_answer(data)
        except (
            Lost,
            CloisterError,
            ProcessDied,
            TimeoutError,
            OSError,
            msgspec.MsgspecError,
        ) as exc:
            raise await self._lose(exc) from exc
        except BaseException:
            self._is_lost = True
            self._process = None  # it is being killed
            raise
        if isinstance(answer, Failed):
            self._is_dirty = isinstance(question, Ask)
            raise Refused(KINDS.get(answer.kind, "Error"), answer.message)
        self._is_dirty = answer.dirty
        self._alarm_ms = answer.alarm_ms
        return answer

    async def _opened(self) -> StorageProcess:
        if self._process is not None and self._process.ended.is_set():
            self._process = None
            if self._is_dirty:
                raise Lost
        if self._process is None:
            self._process = await self._keeper.start()
            first = decode_answer(await self._process.ask(Ask(method="get_alarm"), QUERY_S))
            if isinstance(first, Did):
                self._alarm_ms = self._noted_ms = first.alarm_ms
        return self._process

    async def _lose(self, why: Exception) -> Refused:
        """Nobody knows what became of it; what is not durable is undone with the process."""
        log.warning("an object's storage is reset: %s", why or type(why).__name__)
        self._is_lost = True
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):
                await process.kill()
        return Refused("Error", RESET)
