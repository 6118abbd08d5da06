"""One invocation's conversation: publish it, wait for the head, read the body, or give up."""

import asyncio
import time
from collections.abc import AsyncIterator

from cloister.databases import DatabaseAnswer
from cloister.enquiry import Enquiry
from cloister.link import Link
from cloister.mailbox import Mailbox
from cloister.messages import (
    EXECUTORS_CHANNEL,
    STREAM_WINDOW_BYTES,
    Alive,
    Cancel,
    Chunk,
    CompileAnswer,
    Credit,
    End,
    Failure,
    Frame,
    Head,
    Invocation,
    Returned,
    body_list,
    executor_channel,
)
from cloister.outcomes import Outcome
from dispatcher.deadlines import Deadlines
from dispatcher.failures import NoAnswer, PlatformFailure, failure_of
from dispatcher.headers import Headers, end_to_end, is_valid, lower
from dispatcher.messages import Response
from dispatcher.publisher import Publisher
from dispatcher.upload import Upload, send_body

CREDIT_BYTES = STREAM_WINDOW_BYTES // 4
"""Bytes taken by the client before the executor is told."""

SILENCE_S = 15.0
"""How long after the deadline a begun response may be silent before it counts as lost."""


class Exchange:
    """Close it in any case: what was not finished is then canceled at the executor."""

    def __init__(
        self,
        mailbox: Mailbox,
        publisher: Publisher,
        enquiry: Enquiry,
        deadlines: Deadlines,
        uploads: Link,
        invocation: Invocation,
    ) -> None:
        self._publisher = publisher
        self._enquiry = enquiry
        self._deadlines = deadlines
        self._uploads = uploads
        self._invocation = invocation
        self._mailbox = mailbox
        self._inbox = mailbox.open(invocation.id)
        self.is_closed = False
        self._error: Exception | None = None
        self._executor: str | None = None
        self._waiting = False
        self._finished = True
        self._upload: asyncio.Task[None] | None = None

    async def begin(self, upload: Upload) -> Response:
        """Send the invocation and wait for its response's head.

        Raises:
            DispatchFailure: there will be no response.
            Refusal, ClientGone: the request's body could not be read to its end.
        """
        self._publisher.enter(self._invocation.namespace)
        self._waiting, self._finished = True, False
        ending = self._deadlines.add(self._left_s(), self)
        try:
            self._publisher.publish(self._invocation, self)
            self._start_upload(upload)
            frame = await self._next()
        finally:
            ending.discard(self)
        self._answered()
        return self._response(frame)

    def published(self) -> None:
        """The publisher says so; the response may even be here already."""
        if not self._finished:
            self._enquiry.watch(self._invocation, self._inbox)

    def not_published(self) -> None:
        """The publisher says so."""
        self._break(PlatformFailure())

    def close(self) -> None:
        """Let go. Harmless when called again."""
        self.is_closed = True
        self._answered()
        self._enquiry.forget(self._invocation.id)
        self._mailbox.shut(self._invocation.id)
        if self._upload is not None:
            self._upload.cancel()
            # Not before its end: a push under way would make the list anew.
            self._upload.add_done_callback(self._drop_body)
            self._upload = None
        if not self._finished:
            self._finished = True
            channel = executor_channel(self._executor) if self._executor else EXECUTORS_CHANNEL
            self._publisher.note(channel, Cancel(id=self._invocation.id))

    def _finish(self) -> None:
        """The executor has said its last."""
        self._finished = True
        self._enquiry.forget(self._invocation.id)

    def _left_s(self) -> float:
        return max(0.0, self._invocation.deadline - time.time())

    def _answered(self) -> None:
        if self._waiting:
            self._waiting = False
            self._publisher.leave(self._invocation.namespace)

    def _start_upload(self, upload: Upload) -> None:
        if upload.rest is None:
            return
        key, ttl_s = body_list(self._invocation.id), int(self._left_s()) + 60
        sending = send_body(self._uploads, key, upload.inline, upload.rest, ttl_s)
        self._upload = asyncio.create_task(sending, name="upload")
        self._upload.add_done_callback(self._upload_done)

    def _upload_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._break(error)

    def _drop_body(self, upload: asyncio.Task[None]) -> None:  # noqa: ARG002 - asyncio's signature
        self._publisher.remove(body_list(self._invocation.id))

    def expire(self) -> None:
        """The deadline has passed."""
        self._break(NoAnswer())

    def _break(self, error: Exception) -> None:
        """There is no going on. Wakes the reader, which meets the error in :meth:`_next`."""
        self._error = self._error or error
        self._inbox.put(End(id=self._invocation.id))

    async def _next(self) -> Frame:
        frame = await self._inbox.get()
        if self._error is not None:
            raise self._error
        if isinstance(frame, Failure):
            self._finish()
            raise failure_of(frame.outcome, frame.message)
        if isinstance(frame, Returned | CompileAnswer | DatabaseAnswer | Alive):
            raise TypeError(f"{type(frame).__name__} came to an invocation")
        return frame

    def _response(self, frame: Frame) -> Response:
        if not isinstance(frame, Head):
            raise TypeError(f"a response began with {type(frame).__name__}")
        self._executor = frame.executor
        if frame.end:
            self._finish()
        headers = end_to_end(lower(frame.headers))
        if not 200 <= frame.status <= 599 or not is_valid(headers):
            raise failure_of(
                Outcome.EXCEPTION, "The response's status or headers are not valid HTTP."
            )
        return Response(
            frame.body if frame.end else self._chunks(frame.body),
            status=frame.status,
            headers=Headers.of(headers),
        )

    async def _chunks(self, first: bytes) -> AsyncIterator[bytes]:
        owed = 0
        chunk = first
        while True:
            if chunk:
                yield chunk
                owed = self._grant(owed + len(chunk))
            frame = await self._in_time()
            if isinstance(frame, End):
                self._finish()
                return
            if not isinstance(frame, Chunk):
                raise TypeError("a response had two heads")
            chunk = frame.data

    async def _in_time(self) -> Frame:
        if self._inbox.has_frames:
            return await self._next()
        try:
            async with asyncio.timeout(self._left_s() + SILENCE_S):
                return await self._next()
        except TimeoutError as exc:
            raise NoAnswer from exc

    def _grant(self, owed: int) -> int:
        """Tell the executor what the client took; returns what it was not told yet."""
        if owed < CREDIT_BYTES or self._executor is None:
            return owed
        self._publisher.note(
            executor_channel(self._executor), Credit(id=self._invocation.id, bytes=owed)
        )
        return 0
