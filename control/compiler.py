"""Compilation of an upload: an executor does it, in an isolate. Nothing is parsed here."""

import time
import uuid
from typing import Protocol

import redis

from cloister import trial
from cloister.broker import celery_message
from cloister.errors import NotReady
from cloister.languages import Language
from cloister.mailbox import wait_for_answer
from cloister.messages import (
    COMPILE_QUEUE,
    COMPILE_TASK,
    CompileAnswer,
    CompileJob,
    encode,
    reply_list,
)
from cloister.registry.bindings import Bindings
from cloister.secrets import Cipher

DEADLINE_S = 15.0


class Compiles(Protocol):
    """What the upload needs of a compiler."""

    def compile(
        self, digest: str, main_module: str, bindings: Bindings, language: Language
    ) -> CompileAnswer:
        """Compile the source blob ``digest``, and run its top level with these bindings.

        Raises:
            NotReady: nobody answered.
        """


class QueueCompiler:
    """Publishes a Celery message on the queue ``compile`` and waits for its answer."""

    def __init__(
        self, client: redis.Redis, cipher: Cipher, *, deadline_s: float = DEADLINE_S
    ) -> None:
        self._redis = client
        self._cipher = cipher
        self._deadline_s = deadline_s

    def compile(
        self, digest: str, main_module: str, bindings: Bindings, language: Language
    ) -> CompileAnswer:
        """See :class:`Compiles`."""
        job_id = uuid.uuid4().hex
        reply_to = reply_list(job_id)
        job = CompileJob(
            id=job_id,
            digest=digest,
            main_module=main_module,
            reply_to=reply_to,
            deadline=time.time() + self._deadline_s,
            environment=trial.seal(self._cipher, job_id, bindings),
            language=language,
        )
        try:
            message = celery_message(COMPILE_TASK, encode(job), COMPILE_QUEUE)
            self._redis.lpush(COMPILE_QUEUE, message)
            return wait_for_answer(self._redis, reply_to, job_id, timeout_s=self._deadline_s)
        except TimeoutError as exc:
            raise NotReady(
                "No executor compiled the script in time. Nothing was changed; is one running?"
            ) from exc
        except redis.RedisError as exc:
            raise NotReady("The queue cannot be reached. Nothing was changed.") from exc
