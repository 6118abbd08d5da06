"""Questions to databases: an executor has them open. No D1_FAILED is read here."""

import time
import uuid
from typing import TypeVar

import msgspec
import redis

from cloister.broker import celery_message
from cloister.databases import (
    BEGIN_S,
    DATABASE_QUEUE,
    DATABASE_TASK,
    END_S,
    Ask,
    DatabaseAnswer,
    DatabaseJob,
    Failed,
    Kind,
    Outcome,
    decode_outcome,
)
from cloister.errors import NotReady
from cloister.mailbox import wait_for
from cloister.messages import encode, reply_list
from control.errors import (
    D1_FAILED,
    D1_MALFORMED,
    D1_NOT_FOUND,
    D1_OVERLOADED,
    UNAVAILABLE,
    Problem,
    Refused,
)
from control.house import house

PROBLEMS: dict[Kind, Problem] = {
    "sql": D1_FAILED,
    "malformed": D1_MALFORMED,
    "timeout": D1_FAILED,
    "too_large": D1_FAILED,
    "overloaded": D1_OVERLOADED,
    "missing": D1_NOT_FOUND,
    "lost": UNAVAILABLE,
}

Wanted = TypeVar("Wanted")


def ask(account_id: str, database_id: str, question: Ask, kind: type[Wanted]) -> Wanted:
    """What a database answers. Few questions wait at a time: each holds a thread.

    Raises:
        Refused: it could not be done, or too many wait.
        NotReady: nobody answers.
    """
    places = house().queries
    if not places.take():
        raise Refused(D1_OVERLOADED)
    try:
        outcome = _ask(account_id, database_id, question)
    finally:
        places.give()
    if isinstance(outcome, Failed):
        raise Refused(PROBLEMS[outcome.kind], outcome.message)
    if not isinstance(outcome, kind):
        raise NotReady(f"A database answered with {type(outcome).__name__}.")
    return outcome


def _ask(account_id: str, database_id: str, question: Ask) -> Outcome:
    client, id_ = house().redis, uuid.uuid4().hex
    job = DatabaseJob(
        id=id_,
        account=account_id,
        database=database_id,
        ask=question,
        reply_to=reply_list(id_),
        deadline=time.time() + BEGIN_S,
    )
    message = celery_message(DATABASE_TASK, encode(job), DATABASE_QUEUE)
    try:
        client.lpush(DATABASE_QUEUE, message)
        return decode_outcome(_answer(client, job, message).outcome)
    except TimeoutError as exc:
        raise NotReady("No executor answered for the database. Is one running?") from exc
    except msgspec.MsgspecError as exc:
        raise NotReady("A database's answer makes no sense.") from exc


def _answer(client: redis.Redis, job: DatabaseJob, message: bytes) -> DatabaseAnswer:
    """Raises TimeoutError: early, if nobody has even taken the question."""
    try:
        return wait_for(DatabaseAnswer, client, job.reply_to, job.id, timeout_s=BEGIN_S)
    except TimeoutError:
        if client.lrem(DATABASE_QUEUE, 1, message):  # type: ignore[arg-type]  # bytes are as good
            raise
    return wait_for(DatabaseAnswer, client, job.reply_to, job.id, timeout_s=END_S - BEGIN_S)
