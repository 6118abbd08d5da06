"""Questions of this executor's workers to databases, wherever those are."""

import asyncio
import time
import uuid

import redis.asyncio

from cloister.broker import celery_message
from cloister.databases import (
    BEGIN_S,
    DATABASE_QUEUE,
    DATABASE_TASK,
    END_S,
    DatabaseAnswer,
    Failed,
    UnreadJob,
    UnreadToProcess,
    encode_outcome,
)
from cloister.mailbox import Inbox, Mailbox
from cloister.messages import encode
from executor.databases.owner import Databases

NOBODY = "No executor answered for the database."


class Questions:
    """Asks this executor's own databases directly, others through the queue."""

    def __init__(self, client: redis.asyncio.Redis, databases: Databases) -> None:
        self._redis = client
        self._databases = databases
        self._mailbox = Mailbox(client, uuid.uuid4().hex)
        self._starting: asyncio.Task[None] | None = None
        self._taken_back: set[asyncio.Task[bool]] = set()

    async def ask(self, account: str, database: str, question: UnreadToProcess) -> bytes:
        """What a database of that account answers: an encoded outcome, unread."""
        job = UnreadJob(
            id=uuid.uuid4().hex,
            account=account,
            database=database,
            ask=question,
            reply_to=self._mailbox.reply_to,
            deadline=time.time() + BEGIN_S,
        )
        if self._databases.are_ours:
            return (await self._databases.answer(job)).outcome
        if self._starting is None:
            self._starting = asyncio.create_task(self._mailbox.start())
        await asyncio.shield(self._starting)
        with self._mailbox.expect(job.id) as inbox:
            return await self._elsewhere(job, inbox)

    async def close(self) -> None:
        """Expect no answers any more."""
        if self._starting is not None:
            await self._mailbox.close()

    async def _elsewhere(self, job: UnreadJob, inbox: Inbox) -> bytes:
        message = celery_message(DATABASE_TASK, encode(job), DATABASE_QUEUE)
        await self._redis.lpush(DATABASE_QUEUE, message)
        try:
            return await _outcome(inbox, BEGIN_S)
        except TimeoutError:
            if await self._take_back(message):
                return encode_outcome(Failed(kind="lost", message=NOBODY))
        except asyncio.CancelledError:
            task = asyncio.create_task(self._take_back(message))
            self._taken_back.add(task)
            task.add_done_callback(self._taken_back.discard)
            raise
        try:
            return await _outcome(inbox, END_S - BEGIN_S)
        except TimeoutError:
            return encode_outcome(Failed(kind="lost", message=NOBODY))

    async def _take_back(self, message: bytes) -> bool:
        """Remove what nobody has taken from the queue; whether it was still there."""
        removed: int = await self._redis.lrem(DATABASE_QUEUE, 1, message)  # type: ignore[arg-type]  # bytes are as good
        return removed > 0


async def _outcome(inbox: Inbox, seconds: float) -> bytes:
    async with asyncio.timeout(seconds):
        while True:
            if isinstance(answer := await inbox.get(), DatabaseAnswer):
                return answer.outcome
