"""The process of an object's storage: ``python -I -m executor.objects.cell.main``.

It is a database's process (``executor.databases.cell``) that belongs to one owner's lease: unless
it hears in time that the lease goes on, it undoes what is not durable, closes the file and ends.
So another owner need not wait for one that hangs.
"""

import os
import select
import socket
import time
from collections.abc import Sequence
from typing import NoReturn

from cloister.databases import Failed
from executor.databases.cell.connection import Refused
from executor.databases.cell.main import enclosed, parser, receive
from executor.databases.files import DATABASE
from executor.databases.frames import HEADER_BYTES, MAX_ANSWER_BYTES, framed
from executor.objects.cell.store import Store
from executor.objects.frames import (
    Answer,
    Ask,
    Keep,
    Settle,
    decode_question,
    encode_answer,
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    said = parser()
    said.add_argument("--fence", type=int, required=True, help="the owner's number")
    said.add_argument("--until", type=float, required=True, help="the end of its lease")
    said.add_argument("--sqlite", type=int, required=True, help="whether there is SQL")
    options = said.parse_args(arguments)

    def open_store() -> Store:
        return Store(DATABASE, fence=options.fence, uses_sqlite=bool(options.sqlite))

    door, store = enclosed(options, open_store)
    serve(door, store, options.until)


def serve(door: socket.socket, store: Store, until_s: float) -> NoReturn:
    """Do what is asked until the door closes or the lease is over."""
    door.sendall(bytes(HEADER_BYTES))
    readable = select.poll()
    readable.register(door, select.POLLIN)
    while (left_s := until_s - time.monotonic()) > 0:
        if not readable.poll(left_s * 1000):
            continue
        frame = receive(door)
        if frame is None:
            break
        question = decode_question(frame)
        if isinstance(question, Keep):
            until_s = max(until_s, question.until_s)
        else:
            door.sendall(_packed(answer(store, question)))
    store.settle(commit=False, end=True)
    store.close()
    os._exit(0)


def answer(store: Store, question: Ask | Settle) -> Answer:
    """Do one thing."""
    try:
        if isinstance(question, Ask):
            return store.do(question)
        return store.settle(commit=question.commit, end=question.end)
    except Refused as refused:
        return Failed(kind=refused.kind, message=refused.message)


def _packed(said: Answer) -> bytes:
    data = framed(encode_answer(said))
    if len(data) > MAX_ANSWER_BYTES:
        return _packed(Failed(kind="too_large", message="The result is too large."))
    return data


if __name__ == "__main__":
    main()
