"""A database's process, seen from the executor: started, asked, ended."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

import msgspec

from cloister.databases import Failed
from cloister.errors import NotReady
from executor.databases.frames import HEADER_BYTES, MAX_ANSWER_BYTES, decode_answer, encode_ask

COMMAND = (sys.executable, "-I", "-m", "executor.databases.cell.main")

START_S = 30.0
"""From starting a process until the database is open; a log may have to be read first."""
END_S = 10.0
"""From closing the door until it is killed; the log may have to be written back first."""


GRACE_S = 1.0
"""From the door's end to the process's; then it is killed."""


class ProcessDied(Exception):
    """It is gone, and what was asked last may have been done or not.

    Attributes:
        code: its exit code; beyond 128 for a signal, and negative if it was killed from here.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"a database's process ended with {code}")
        self.code = code


class Process:
    """Has one database open. Asked by one task at a time.

    Attributes:
        ended: set once it is gone, and its files are nobody's.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.ended = asyncio.Event()
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer
        self._pidfd = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    @classmethod
    async def start(
        cls,
        directory: Path,
        without: Collection[str],
        ids: tuple[int, int],
        command: Sequence[str] = COMMAND,
    ) -> Self:
        """Start the process of the database in this directory; it is open when this returns.

        Raises:
            NotReady: it could not enclose itself, or not open the file; the message says why.
        """
        options = ["--ids", *map(str, ids), "--without", ",".join(sorted(without))]
        process, door = _spawn([*command, *options], directory)
        reader, writer = await asyncio.open_unix_connection(sock=door)
        started = cls(process, reader, writer)
        try:
            async with asyncio.timeout(START_S):
                await started._check_open()
        except BaseException as exc:
            await started.kill()
            if isinstance(exc, NotReady):
                raise
            if isinstance(exc, asyncio.IncompleteReadError | TimeoutError | OSError):
                raise NotReady("A database's process did not start.") from exc
            raise
        return started

    async def ask(self, ask: object, seconds: float) -> bytes:
        """What it answers, encoded and unread. After so many seconds it is killed.

        Raises:
            TimeoutError: it was killed for its slowness; nothing is committed that takes long.
            ProcessDied: it is gone.
        """
        try:
            async with asyncio.timeout(seconds):
                self._writer.write(encode_ask(ask))
                await self._writer.drain()
                return await self._frame()
        except TimeoutError:
            await self.kill()
            raise
        except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError) as exc:
            await self._end(GRACE_S)
            raise ProcessDied(self._process.returncode) from exc
        except asyncio.CancelledError:
            self._process.kill()  # it would answer a question that nobody remembers
            raise

    async def _check_open(self) -> None:
        if frame := await self._frame():
            answer = decode_answer(frame)
            reason = answer.message if isinstance(answer, Failed) else "it spoke out of turn"
            raise NotReady(f"A database's process did not start: {reason}.")

    async def _frame(self) -> bytes:
        size = int.from_bytes(await self._reader.readexactly(HEADER_BYTES), "big")
        if size > MAX_ANSWER_BYTES:
            raise msgspec.DecodeError(f"an answer of {size} bytes")
        return await self._reader.readexactly(size)

    async def close(self) -> None:
        """Let it close the database and end; returns when it is gone."""
        self._writer.close()
        await self._end(END_S)

    async def _end(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self.ended.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it now; returns when it is gone. What it answered is on the disk."""
        self._process.kill()
        await self.ended.wait()

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._writer.close()
        self.ended.set()


def _spawn(
    command: Sequence[str], directory: Path
) -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """A process in that directory, and our end of its door."""
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--door", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={"TZ": "UTC0"},  # the executor's holds secrets
            cwd=directory,
        )
    except OSError as exc:
        ours.close()
        raise NotReady(f"A database's process did not start: {exc}.") from exc
    finally:
        theirs.close()
    return process, ours
