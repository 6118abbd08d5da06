"""Lost work: who still has the invocations that nothing was heard of for a while?

An executor that dies takes with it what it had, and says nothing. So whoever waits asks all
executors about such invocations, many in one note, and gives up on those that are in nobody's
hands and not on their queue either. Slowness is no loss: an executor that listens but does not
answer leaves the question open, and then the deadline decides.
"""

import asyncio
import logging
import secrets
import time

import redis
import redis.asyncio

from cloister.mailbox import Inbox, Mailbox, stop
from cloister.messages import (
    EXECUTORS_CHANNEL,
    Alive,
    Ask,
    Failure,
    Invocation,
    dispatch_queue,
    encode,
)
from cloister.outcomes import Outcome

log = logging.getLogger(__name__)

SILENCE_S = 1.0
"""After so long without a frame an invocation is asked about."""

ROUND_S = 1.0
"""Between two rounds. What is missing in two of them is lost: in one it may be on its way from the
queue to the executor."""

ANSWER_S = 1.0
"""How long a round waits for the executors."""

Silent = dict[str, tuple[str, float]]
"""Id to namespace, and when it was last heard of."""


class Enquiry:
    """Asks for one process, from :meth:`start` to :meth:`close`."""

    def __init__(self, client: redis.asyncio.Redis, mailbox: Mailbox) -> None:
        self._redis = client
        self._mailbox = mailbox
        self._waiting: dict[str, tuple[str, Inbox]] = {}
        self._missing: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin asking."""
        self._task = asyncio.create_task(self._run(), name="enquiry")

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            await stop(self._task)

    def watch(self, invocation: Invocation, inbox: Inbox) -> None:
        """It is on its queue now, and its frames will come here; :meth:`forget` it after them."""
        inbox.heard_at = time.monotonic()
        self._waiting[invocation.id] = (invocation.namespace, inbox)

    def forget(self, invocation_id: str) -> None:
        """No more frames are expected. Harmless when called again."""
        self._waiting.pop(invocation_id, None)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                missing = await self._round()
            except (redis.RedisError, OSError):
                missing = {}  # the mailbox says in the log that the broker is away
            for id_, heard_at in missing.items():
                if self._missing.get(id_) == heard_at:
                    self._give_up(id_)
            self._missing = missing

    def _give_up(self, id_: str) -> None:
        log.warning("invocation %s was lost: no executor has it any more", id_)
        _, inbox = self._waiting.pop(id_)
        inbox.put(Failure(id=id_, outcome=Outcome.INTERNAL, message="the executor was lost"))

    async def _round(self) -> dict[str, float]:
        """What is in nobody's hands, and when it was last heard of."""
        silent = self._silent()
        if not silent:
            return {}
        nowhere = await self._nowhere(silent)
        return {id_: at for id_, at in nowhere.items() if self._is_silent_since(id_, at)}

    def _silent(self) -> Silent:
        before = time.monotonic() - SILENCE_S
        return {
            id_: (namespace, inbox.heard_at)
            for id_, (namespace, inbox) in self._waiting.items()
            if inbox.heard_at < before and not inbox.has_end
        }

    def _is_silent_since(self, id_: str, heard_at: float) -> bool:
        found = self._waiting.get(id_)
        return found is not None and found[1].heard_at == heard_at

    async def _nowhere(self, silent: Silent) -> dict[str, float]:
        """Those that no executor has and no queue holds. None, unless everybody answered."""
        namespaces = sorted({namespace for namespace, _ in silent.values()})
        ask = Ask(id=secrets.token_hex(16), ids=list(silent), reply_to=self._mailbox.reply_to)
        with self._mailbox.expect(ask.id) as inbox:
            pipeline = self._redis.pipeline(transaction=False)
            # The queues first: what leaves one meanwhile is in an executor's hands when asked.
            for namespace in namespaces:
                pipeline.llen(dispatch_queue(namespace))
            pipeline.publish(EXECUTORS_CHANNEL, encode(ask))
            # Our own answer shows that all that was sent to us before has been read.
            pipeline.rpush(ask.reply_to, encode(Alive(id=ask.id, executor="")))
            *lengths, listeners, _ = await pipeline.execute()
            held = await _answers(inbox, listeners + 1)
        if held is None:
            return {}
        empty = {name for name, length in zip(namespaces, lengths, strict=True) if not length}
        return {
            id_: heard_at
            for id_, (namespace, heard_at) in silent.items()
            if namespace in empty and id_ not in held
        }


async def _answers(inbox: Inbox, count: int) -> set[str] | None:
    """What is held, once so many have answered; None if they do not."""
    held: set[str] = set()
    try:
        async with asyncio.timeout(ANSWER_S):
            for _ in range(count):
                answer = await inbox.get()
                if isinstance(answer, Alive):
                    held.update(answer.ids)
    except TimeoutError:
        return None
    return held
