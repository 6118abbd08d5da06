"""A user of its own for each isolate: no living sibling has its id, and the zygote has another.

Ids of groups are the same numbers. A zygote claims a block of the host's, which no other zygote of
the machine has meanwhile, and maps it into its user namespace: in there it is nobody, isolates are
numbers from 1 on, and there is no root. Whoever starts it must be allowed to map ids, as root is.
"""

import errno
import os
import socket
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

from executor.sandbox import namespaces
from executor.sandbox.identity import NOBODY

BLOCK = 4096
"""Ids of a zygote: its own, and one for each isolate that can live at a time."""


class Block:
    """The ids that a zygote claims for itself, among the ``ids`` from one to another."""

    def __init__(self, ids: tuple[int, int]) -> None:
        self._ids = ids
        self._first = 0
        self._held: socket.socket | None = None

    def claim(self) -> None:
        """Take a block. It is held by a name, which is known to all who share our network
        namespace, and which the kernel takes back when nobody has the socket open any more."""
        _check_mapped(self._ids)
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for number in _blocks(self._ids):
            try:
                held.bind(f"\0cloister-ids-{number}".encode())
            except OSError as exc:
                if exc.errno != errno.EADDRINUSE:
                    raise
            else:
                self._first, self._held = number * BLOCK, held
                return
        raise OSError(errno.EAGAIN, "no block of {} ids is free in {}-{}".format(BLOCK, *self._ids))

    @property
    def first(self) -> int:
        """The host's id of who we become, once it is claimed."""
        return self._first

    def unshare(self) -> None:
        """A user namespace with the block's ids in it. They can only be mapped from outside."""
        os.setgroups([])
        zygote = os.getpid()
        told, tell = os.pipe()
        if (mapper := os.fork()) == 0:
            os.close(tell)
            self._map(zygote, told)
        os.close(told)
        try:
            namespaces.unshare_user()
            os.write(tell, b"!")
        finally:
            os.close(tell)
            _, status = os.waitpid(mapper, 0)
        if code := os.waitstatus_to_exitcode(status):
            raise OSError(code, f"the ids are not mapped: {os.strerror(abs(code))}")

    def _map(self, zygote: int, told: int) -> NoReturn:
        """In a process that stays outside: wait for the word, and map the block."""
        code = errno.EIO
        ids = f"{NOBODY} {self._first} 1\n1 {self._first + 1} {BLOCK - 1}\n"
        try:
            if os.read(told, 1):
                for name, text in (("setgroups", "deny"), ("uid_map", ids), ("gid_map", ids)):
                    Path(f"/proc/{zygote}/{name}").write_text(text)
                code = 0
        except OSError as exc:
            code = exc.errno or code
        finally:
            os._exit(code)

    def release(self) -> None:
        """Hold it no more in this process; whoever else has it open does."""
        if self._held is not None:
            self._held.close()


def _check_mapped(ids: tuple[int, int]) -> None:
    first, last = ids
    for name in ("uid_map", "gid_map"):
        lines = Path("/proc/self", name).read_text().splitlines()
        maps = [[int(word) for word in line.split()] for line in lines]
        if not any(start <= first and last < start + count for start, _, count in maps):
            raise OSError(errno.EINVAL, f"not all of {first}-{last} are in our {name}")


def _blocks(ids: tuple[int, int]) -> Iterator[int]:
    """Numbers of the blocks among the ids, never root's. They begin anywhere: where others cannot
    see which are held, that has to do."""
    first, last = ids
    numbers = range(max(1, -(-first // BLOCK)), (last + 1) // BLOCK)
    start = int.from_bytes(os.urandom(4), "little") % max(1, len(numbers))
    yield from numbers[start:]
    yield from numbers[:start]


def pick(taken: Collection[int]) -> int:
    """An id for an isolate that is not among those of living ones. It can see it: so that it
    learns nothing from it, it is any.

    Raises:
        OSError: there is none.
    """
    if len(taken) >= BLOCK - 1:
        raise OSError(errno.EAGAIN, "every id of the zygote's is taken")
    while True:
        user = int.from_bytes(os.urandom(2), "little") % BLOCK
        if user and user not in taken:
            return user


def become(user: int) -> None:
    """Be this user and group from here on, and no other any more."""
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
