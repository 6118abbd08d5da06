"""A database's process: ``python -I -m executor.databases.cell.main`` in the database's directory.

It is started by the executor, takes itself out of the system (``executor.sandbox.database``), and
then does what comes through the door, one thing at a time, until the door closes. A child does the
work, as PID 1 of its own world; this process holds its user id and waits for it.
"""

import argparse
import encodings.utf_8_sig  # noqa: F401 - later there is no file to import it from
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from cloister.databases import (
    DATABASE_BYTES,
    QUERY_S,
    Describe,
    Execute,
    Export,
    Failed,
    FromProcess,
    Import,
    Imported,
    Locate,
    Located,
    Restore,
    Restored,
    Results,
    Run,
    ToProcess,
)
from executor import sandbox
from executor.databases.cell import dump
from executor.databases.cell.connection import Database, Refused
from executor.databases.cell.history import History
from executor.databases.files import DATABASE, FILES
from executor.databases.frames import HEADER_BYTES, encode_answer
from executor.sandbox import database as wall
from executor.sandbox import identity, kernel, limits, process, seccomp, users

EXIT_REFUSED = 64
"""The cell would be incomplete, or SQLite could not open the file: the door's first frame says why.
"""
MAX_DESCRIPTORS = 1 << 20

SIGNALLED = 128
"""Plus the signal that ended the child."""

MEMORY_BYTES = 256 * 1024 * 1024
"""What SQLite may allocate for caches, sorting and rows."""

FILE_BYTES = DATABASE_BYTES + 1024 * 1024 * 1024

Opened = TypeVar("Opened")

_decode: Callable[[bytes], ToProcess] = msgspec.msgpack.Decoder(ToProcess).decode


class OwnBlock(users.Block):
    """Ids that are claimed together with the database's files: they become their owner's."""

    def claim(self) -> None:
        """Take a block, and give the files to who we are going to be."""
        super().claim()
        give_files(self.first)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    name = Path.cwd().name
    door, opened = enclosed(parser().parse_args(arguments), lambda: _opened(name))
    serve(door, *opened)


def _opened(name: str) -> tuple[Database, History]:
    database = Database(DATABASE)
    return database, History(database, name)


def enclosed(
    options: argparse.Namespace, open_database: Callable[[], Opened]
) -> tuple[socket.socket, Opened]:
    """Take this process out of the system. Only a child returns from here, with the door and what
    it has opened; where that fails, the door is told and the process ends."""
    os.umask(0o077)
    _move(options.door)
    seccomp.program(kernel.machine(), wall.CALLS)
    total_bytes = limits.address_space_bytes() + MEMORY_BYTES
    without = frozenset(filter(None, options.without.split(",")))
    block = OwnBlock(tuple(options.ids))
    door = socket.socket(fileno=sandbox.DOOR_DESCRIPTOR)
    try:
        if os.geteuid() == 0 and not sandbox.has_users(without):
            give_files(identity.NOBODY)
        wall.enclose(without, block)
        process.die_with_parent()
        if first := os.fork():
            _watch(first)
        block.release()
        wall.lock_down(without, total_bytes, FILE_BYTES)
        database = open_database()
    except Exception as exc:  # noqa: BLE001 - it ends here, and is told
        door.sendall(encode_answer(Failed(kind="lost", message=str(exc))))
        os._exit(EXIT_REFUSED)
    return door, database


def parser() -> argparse.ArgumentParser:
    """What a database's process is told on its command line."""
    parser = argparse.ArgumentParser(prog="executor.databases.cell.main")
    parser.add_argument("--door", type=int, required=True, help="descriptor of the socket")
    parser.add_argument("--ids", type=int, nargs=2, required=True, help="first and last, for users")
    parser.add_argument("--without", default="", help="facilities accepted to be missing")
    return parser


def _move(door: int) -> None:
    """The door alone stays open, and what is no file: SQLite opens none as 0, 1 or 2."""
    if door != sandbox.DOOR_DESCRIPTOR:
        os.dup2(door, sandbox.DOOR_DESCRIPTOR)
    os.closerange(sandbox.DOOR_DESCRIPTOR + 1, MAX_DESCRIPTORS)


def give_files(owner: int) -> None:
    """Make the working directory and the files in it that user's and group's."""
    os.chown(".", owner, owner)
    for name in FILES:
        if os.path.lexists(name):
            os.chown(name, owner, owner, follow_symlinks=False)


def _watch(first: int) -> NoReturn:
    """Outside the PID namespace: hold the ids, and end as PID 1 did."""
    os.close(sandbox.DOOR_DESCRIPTOR)
    _, status = os.waitpid(first, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else SIGNALLED - code)


def serve(door: socket.socket, database: Database, history: History) -> NoReturn:
    """Say that the database is open, with an empty frame, and do what is asked until the door
    closes."""
    door.sendall(bytes(HEADER_BYTES))
    while (frame := receive(door)) is not None:
        door.sendall(encode_answer(answered(database, history, frame)))
        history.keep()
    history.close()
    database.close()
    os._exit(0)


def answered(database: Database, history: History, frame: bytes) -> FromProcess:
    """What a question is answered, which may be none: nobody has read it before."""
    try:
        ask = _decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError):
        return Failed(kind="malformed", message="That is no query.")
    found = answer(database, ask, history)
    if isinstance(found, Results | Imported):
        found = msgspec.structs.replace(found, bookmark=history.bookmark)
    return found


def answer(database: Database, ask: ToProcess, history: History) -> FromProcess:
    """Do one thing."""
    try:
        match ask:
            case Run():
                return database.run(ask, QUERY_S)
            case Execute():
                return database.execute_each(ask, QUERY_S)
            case Locate(at_ms=at_ms):
                return Located(bookmark=history.bookmark_at(at_ms))
            case Restore(bookmark=bookmark):
                return Restored(bookmark=bookmark, previous=history.restore(bookmark))
            case Describe():
                return database.describe()
            case Export():
                return dump.write(database, ask, Path())
            case Import(key=name):
                return dump.read(database, Path(name))
    except Refused as refused:
        return Failed(kind=refused.kind, message=refused.message)


def receive(door: socket.socket) -> bytes | None:
    """The next frame; None when the door is closed."""
    header = _exactly(door, HEADER_BYTES)
    return header and _exactly(door, int.from_bytes(header, "big"))


def _exactly(door: socket.socket, size: int) -> bytes | None:
    parts, left = [], size
    while left:
        data = door.recv(min(left, 1 << 20))
        if not data:
            return None
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


if __name__ == "__main__":
    main()
