"""What an isolate says during one invocation, and the response that becomes of it."""

import asyncio
import logging
from collections.abc import Callable

from cloister.outcomes import Outcome
from cloister.settings import Settings
from executor import endings
from executor.head import check_head
from executor.host import Answerer
from executor.isolate import frames
from executor.isolates import Isolate
from executor.open_calls import TooManyCalls
from executor.replies import WHOLE_BYTES, Undeliverable
from executor.traces import Record, now_ms
from executor.watch import Watch
from executor.work import Ended, Sink, Work

log = logging.getLogger(__name__)

BACKGROUND_SLACK_MS = 1_000
"""The isolate itself ends waitUntil work in time; it is ended so much later if it did not."""


class Conversation:
    """Takes the isolate's frames; exactly one response goes out. Close it.

    Attributes:
        watch: that of the invocation, while one runs.
        is_begun: whether something of the response is out, or its failure.
        is_answered: whether all of it is: only waitUntil work goes on.
        outcome: of the invocation, as far as is known.
    """

    def __init__(self, settings: Settings, work: Work, record: Record, sink: Sink) -> None:
        self.watch: Watch | None = None
        self.is_begun = False
        self.is_answered = False
        self.outcome = Outcome.OK
        self._settings = settings
        self._work = work
        self._record = record
        self._sink = sink
        self._answerer: Answerer | None = None
        self._failed = False
        self._sent_bytes = 0

    @property
    def _is_fetch(self) -> bool:
        """Whether it ends in a response; else in a value."""
        return self._work.invoke.handler == "fetch"

    def take_logs(self, isolate: Isolate) -> None:
        """Take what of the log is there now."""
        while not self._record.is_flooded and (line := isolate.take_log()) is not None:
            self._log(line)

    def plain_answer(self, isolate: Isolate) -> frames.Head | None:
        """The whole response and the isolate's Done, if both are there, and are all there is."""
        head = isolate.whole_answer()
        if head is None or len(head.body) > min(WHOLE_BYTES, self._settings.response_body_bytes):
            return None
        if not self._is_fetch:
            return None
        try:
            check_head(head.status, head.headers)
        except Ended:
            return None
        return head

    def answer(self, head: frames.Head) -> None:
        """Send a whole response."""
        self.is_begun = self.is_answered = True
        self._record.status = head.status
        try:
            self._sink.whole(head.status, head.headers, head.body)
        except Exception:
            log.exception("the answer of %s could not be sent", self._work.id)

    async def take(
        self, call: frames.Call, isolate: Isolate, open_answerer: Callable[[], Answerer]
    ) -> None:
        """Have a call served, which was received last.

        Raises:
            Ended: the isolate has more of them open than one of ours ever has.
        """
        if self.watch is not None:
            self.watch.calls += 1
        if self._answerer is None:
            self._answerer = open_answerer()
        try:
            await self._answerer.take(call, isolate.frame_bytes)
        except TooManyCalls:
            raise endings.nonsense(self._record, call) from None

    async def hear(self, frame: frames.FromIsolate) -> bool | None:
        """Take a frame that is no call. None: go on; else the isolate is done, and True if it may
        serve again.

        Raises:
            Ended: there is no whole response, or the isolate is not what it should be.
            Undeliverable: nobody takes the response.
        """
        match frame:
            case frames.Done() if self.is_answered:
                return True
            case frames.Log() if not self._record.is_flooded:
                self._log(frame)
            case frames.Head() if not self.is_begun and self._is_fetch:
                await self._head(frame)
            case frames.Chunk() if self.is_begun and not self.is_answered:
                await self._chunk(frame.data)
            case frames.End() if self.is_begun and not self.is_answered:
                await self._sink.end()
                self._responded()
            case frames.Returned() if not self.is_begun and not self._is_fetch:
                self.is_begun = True
                await self._sink.returned(frame.value)
                self._responded()
            case frames.Failed(phase="background") if self.is_answered:
                self.outcome = endings.raised(self._record, frame).outcome
            case frames.Failed(phase="invoke") if not self.is_answered:
                await self.fail(endings.raised(self._record, frame))
                if frame.memory:
                    return False
                self._responded()
            case _:
                raise endings.nonsense(self._record, frame)
        return None

    async def close(self) -> None:
        """Serve no calls any more; nothing of the request's body is read."""
        answerer, self._answerer = self._answerer, None
        if answerer is not None:
            await answerer.close()
        elif self._work.body is not None:
            await self._work.body.close()

    async def fail(self, ended: Ended) -> None:
        """It ends like that. Who waits for the response hears of it, unless that is out."""
        self.outcome = ended.outcome
        if not self.is_answered and not self._failed:
            self._failed = True
            self.is_begun = True
            try:
                await self._sink.fail(ended)
            except Undeliverable:
                log.warning("the failure of %s could not be delivered", self._work.id)

    def overran(self, outcome: Outcome) -> Outcome:
        """A limit was exceeded: what the invocation ends in. waitUntil work that takes too long is
        no failure of what was answered."""
        if outcome is Outcome.EXCEEDED_WALL and self.is_answered:
            message = "waitUntil() tasks did not complete in time and were cancelled"
            self._record.log("warn", message, now_ms())
            return self.outcome
        return outcome

    def _log(self, line: frames.Log) -> None:
        self._record.log(line.level, line.text, line.timestamp, last=line.last)

    async def _head(self, frame: frames.Head) -> None:
        check_head(frame.status, frame.headers)
        self._count_bytes(frame.body)
        self.is_begun = True
        self._record.status = frame.status
        await self._sink.head(frame.status, frame.headers, frame.body, end=frame.end)
        if frame.end:
            self._responded()

    async def _chunk(self, data: bytes) -> None:
        self._count_bytes(data)
        if self._sink.is_full and self.watch is not None:
            await self._wait_for_credit(self.watch)
        await self._sink.chunk(data)

    async def _wait_for_credit(self, watch: Watch) -> None:
        """The client is slow, not the tenant: its wall clock stands still meanwhile. One wait may
        take as long as a whole invocation."""
        watch.hold()
        try:
            async with asyncio.timeout((self._work.limits.wall_ms or 0) / 1000):
                await self._sink.wait_for_credit()
        except TimeoutError:
            raise Ended(Outcome.RESPONSE_DISCONNECTED) from None
        finally:
            watch.resume()

    def _count_bytes(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        if self._sent_bytes > self._settings.response_body_bytes:
            raise Ended(Outcome.EXCEEDED_RESPONSE)

    def _responded(self) -> None:
        self.is_answered = True
        if self.watch is not None and not self._work.invoke.event:
            self.watch.allow(self._settings.wait_until_ms + BACKGROUND_SLACK_MS)
