"""Who has the databases of this machine: one executor, which opens a process for each that is used.

Whoever holds the lock on the directory serves the queue of databases; the kernel gives it to
another executor when its holder dies. Each database is asked one thing at a time, the others wait
in a line that is short, and few are open at once.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cloister.blobs import Blobs
from cloister.databases import (
    QUERY_S,
    TASK_S,
    DatabaseAnswer,
    Delete,
    Deleted,
    Export,
    Exported,
    Failed,
    FromProcess,
    Import,
    Kind,
    Poll,
    Task,
    UnreadJob,
    UnreadToProcess,
    encode_outcome,
    export_key,
    import_key,
)
from cloister.errors import CloisterError, NotFound, NotReady
from cloister.registry import Registry
from cloister.settings import Settings
from executor import doctor
from executor.databases.files import EXPORT, FILES, IMPORT, PASSING
from executor.databases.frames import decode_answer
from executor.databases.process import Process, ProcessDied
from executor.gate import Gate, Overloaded
from executor.replies import Replies, Undeliverable

log = logging.getLogger(__name__)

Value = TypeVar("Value")

DIRECTORY = "d1"
LOCK = "lock"
HOME = "home"
DELETED = "deleted"

TAKE_OVER_S = 1.0
"""Between two looks at whether the lock is free."""
WATCH_S = 2.0
GRACE_S = 3.0
"""Beyond its time, in which a process ends a query by itself; then it is killed."""

WAITING = 64
"""Questions to one database that may wait for others to end."""
IN_LINE = 512
"""Those to all databases."""

_STORAGE = "D1 DB storage"
_RESET = "caused object to be reset."

POLL_S = 2.0
"""How long an answer about a task waits for its end."""
TASKS_KEPT = 256


class Databases:
    """Answers jobs. Lives in one event loop."""

    def __init__(
        self, settings: Settings, registry: Registry, blobs: Blobs, threads: ThreadPoolExecutor
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._blobs = blobs
        self._threads = threads
        self._directory = settings.data_dir / DIRECTORY
        self.are_ours = False
        """Whether this executor has them."""
        self._lock: int | None = None
        self._home = ""
        self._without: frozenset[str] | None = None
        self._open: OrderedDict[str, Process] = OrderedDict()
        self._accounts: dict[str, str] = {}
        """Whose the open ones are."""
        self._used_s: dict[str, float] = {}
        self._busy: set[str] = set()
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._begun: set[asyncio.Task[bytes]] = set()
        self._tasks: OrderedDict[str, tuple[str, asyncio.Task[FromProcess]]] = OrderedDict()
        self._gate = Gate(
            max(1, settings.databases_open), running=1, waiting=WAITING, in_line=IN_LINE
        )

    async def serve(self, tell: Callable[[], None]) -> None:
        """Wait until the databases are ours, say so, and close those that nobody uses; forever."""
        while True:
            if await self._in_thread(self._take):
                break
            await asyncio.sleep(TAKE_OVER_S)
        self.are_ours = True
        tell()
        while True:
            await asyncio.sleep(WATCH_S)
            before_s = time.monotonic() - self._settings.database_idle_s
            for id_ in [one for one in self._open if one not in self._busy]:
                if self._used_s[id_] < before_s or self._open[id_].ended.is_set():
                    self._close_later(id_)

    async def close(self) -> None:
        """Close every database, and let another executor have them."""
        self.are_ours = False
        for task in (*(task for _, task in self._tasks.values()), *self._begun):
            task.cancel()
        for id_ in list(self._open):
            self._close_later(id_)
        await asyncio.gather(*self._closing.values(), return_exceptions=True)
        if self._lock is not None:
            os.close(self._lock)

    async def reply(self, job: UnreadJob, replies: Replies) -> None:
        """Do a job, and send what came of it to whoever waits."""
        answer = await self.answer(job)
        try:
            replies.send(job.reply_to, answer)
        except Undeliverable:
            log.warning("the answer of database %s could not be delivered", job.database)

    async def answer(self, job: UnreadJob) -> DatabaseAnswer:
        """Do a job. What goes wrong is in the answer. Who gives up waiting takes back what has
        not begun."""
        return DatabaseAnswer(id=job.id, outcome=await self._caught(job, self._do(job)))

    async def _caught(self, job: UnreadJob, work: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            return await work
        except Overloaded:
            return _failed("overloaded", "D1 DB is overloaded. Too many requests queued.")
        except NotFound as exc:
            return _failed("missing", str(exc))
        except TimeoutError:
            return _failed("timeout", f"{_STORAGE} operation exceeded timeout which {_RESET}")
        except ProcessDied as exc:
            log.warning("database %s: %s", job.database, exc)
            return _failed("lost", f"Internal error in {_STORAGE} {_RESET}")
        except CloisterError as exc:
            log.exception("database %s cannot be asked", job.database)
            return _failed("lost", str(exc))

    async def _do(self, job: UnreadJob) -> bytes:
        match job.ask:
            case Poll(task=id_):
                return encode_outcome(await self._poll(job.database, id_))
            case Export() as ask:
                return encode_outcome(await self._start(job, self._export(job, ask)))
            case Import() as ask:
                return encode_outcome(await self._start(job, self._import(job, ask)))
        await self._gate.enter((job.account, job.database))
        if time.time() > job.deadline:
            self._gate.leave((job.account, job.database))
            return _failed("overloaded", "D1 DB is overloaded. Requests queued for too long.")
        # Its process would be killed with it otherwise: by whoever asks, and goes away.
        begun = asyncio.get_running_loop().create_task(self._caught(job, self._begin(job, job.ask)))
        self._begun.add(begun)
        begun.add_done_callback(self._begun.discard)
        return await asyncio.shield(begun)

    async def _begin(self, job: UnreadJob, ask: UnreadToProcess | Delete) -> bytes:
        try:
            if isinstance(ask, Delete):
                await self._delete(job)
                return encode_outcome(Deleted())
            return await self._ask(job, ask, QUERY_S)
        finally:
            self._gate.leave((job.account, job.database))

    async def _ask(self, job: UnreadJob, ask: UnreadToProcess, seconds: float) -> bytes:
        """Ask the database's process, which is started if need be. The answer is passed on unread:
        it is a tenant's."""
        process = await self._process(job)
        self._busy.add(job.database)
        try:
            return await process.ask(ask, seconds + GRACE_S)
        finally:
            self._busy.discard(job.database)
            self._used_s[job.database] = time.monotonic()

    # Processes:

    async def _process(self, job: UnreadJob) -> Process:
        id_ = job.database
        process = self._open.get(id_)
        if process is not None and not process.ended.is_set():
            if self._accounts[id_] != job.account:
                raise NotFound(f"The database {id_} could not be found")
            self._open.move_to_end(id_)
            return process
        if (closing := self._closing.get(id_)) is not None:
            await asyncio.wait([closing])
        await self._make_room()
        await self._check_home(job)
        without = await self._admitted()
        directory = await self._in_thread(self._prepare, id_)
        process = await Process.start(directory, without, self._settings.sandbox_ids)
        self._open[id_] = process
        self._accounts[id_] = job.account
        self._used_s[id_] = time.monotonic()
        return process

    async def _make_room(self) -> None:
        """Close the one that was used the longest ago, if as many are open as may be."""
        while len(self._open) >= max(1, self._settings.databases_open):
            idle = next((one for one in self._open if one not in self._busy), None)
            if idle is None:
                return
            await asyncio.wait([self._close_later(idle)])

    async def _check_home(self, job: UnreadJob) -> None:
        home = await self._in_thread(
            self._registry.databases.settle, job.account, job.database, self._home
        )
        if home != self._home:
            raise NotReady("The files of this database are on another machine.")

    async def _admitted(self) -> frozenset[str]:
        """The facilities of the kernel to do without. Raises NotReady."""
        if self._without is None:
            self._without = await self._in_thread(doctor.admit, self._settings)
        return self._without

    def _close_later(self, id_: str) -> "asyncio.Task[None]":
        process = self._open.pop(id_)
        self._accounts.pop(id_, None)
        self._used_s.pop(id_, None)
        task = asyncio.get_running_loop().create_task(process.close())
        self._closing[id_] = task
        task.add_done_callback(lambda _task: self._closing.pop(id_, None))
        return task

    async def _delete(self, job: UnreadJob) -> None:
        """End the process, and remove the database; a crash in between is made up for by
        :meth:`_recover`."""
        await self._check_home(job)
        if job.database in self._open:
            await asyncio.wait([self._close_later(job.database)])
        await self._in_thread(self._remove, job.account, job.database)
        for key in (export_key(job.database), import_key(job.database)):
            await self._blobs.adelete(key)

    # Exports and imports:

    async def _start(self, job: UnreadJob, work: Coroutine[Any, Any, FromProcess]) -> Task:
        """Begin a task. It has its turn among what is asked of the database."""
        task = asyncio.get_running_loop().create_task(self._settled(work))
        self._tasks[job.id] = job.database, task
        for id_ in [one for one, (_, each) in self._tasks.items() if each.done()][:-TASKS_KEPT]:
            del self._tasks[id_]
        return await self._poll(job.database, job.id)

    async def _poll(self, database: str, id_: str) -> Task:
        owner, task = self._tasks.get(id_, ("", None))
        if task is None or owner != database:
            raise NotFound("There is no such export or import under way.")
        done, _ = await asyncio.wait([task], timeout=POLL_S)
        return Task(id=id_, outcome=task.result() if done else None)

    async def _settled(self, work: Coroutine[Any, Any, FromProcess]) -> FromProcess:
        try:
            return await work
        except Overloaded:
            return Failed(kind="overloaded", message="Too many requests queued.")
        except NotFound as exc:
            return Failed(kind="missing", message=str(exc))
        except (TimeoutError, ProcessDied) as exc:
            return Failed(kind="timeout", message=f"The database was reset: {exc or 'time is up'}.")
        except (CloisterError, OSError) as exc:
            log.exception("a database's export or import failed")
            return Failed(kind="lost", message=str(exc))

    async def _export(self, job: UnreadJob, ask: Export) -> FromProcess:
        file = self._directory / job.database / EXPORT
        async with self._gate.place((job.account, job.database)):
            try:
                answer = await self._read(job, msgspec.structs.replace(ask, key=EXPORT))
                if isinstance(answer, Exported):
                    await self._in_thread(self._blobs.put_file, ask.key, file)
            finally:
                await self._in_thread(_unlink, file)
        return answer

    async def _import(self, job: UnreadJob, ask: Import) -> FromProcess:
        file = self._directory / job.database / IMPORT
        async with self._gate.place((job.account, job.database)):
            await self._process(job)
            if not await self._in_thread(self._fetch, ask, file):
                raise NotFound("The file was not uploaded, or was imported already.")
            try:
                return await self._read(job, Import(key=IMPORT))
            finally:
                await self._in_thread(_unlink, file)
                await self._blobs.adelete(ask.key)

    async def _read(self, job: UnreadJob, ask: Export | Import) -> FromProcess:
        return decode_answer(await self._ask(job, ask, TASK_S))

    async def _in_thread(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run something that blocks."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    # What is done to files, in threads:

    def _take(self) -> bool:
        """Whether the databases are ours from now on."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        self._home = _read_or_make(self._directory / HOME)
        self._recover()
        return True

    def _prepare(self, id_: str) -> Path:
        """The directory of a database, with nothing in it that should not be there."""
        directory = self._directory / id_
        directory.mkdir(mode=0o700, exist_ok=True)
        for entry in directory.iterdir():
            if entry.name not in FILES or entry.name in PASSING:
                entry.unlink()
        return directory

    def _remove(self, account: str, id_: str) -> None:
        """First out of the way, then out of the registry, then for good."""
        trash = self._directory / DELETED / id_
        trash.parent.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self._directory / id_).rename(trash)
        self._registry.databases.delete(account, id_)
        shutil.rmtree(trash, ignore_errors=True)

    def _recover(self) -> None:
        """Finish deletes that were cut off; take back those that had not got to the registry."""
        for trash in (self._directory / DELETED).glob("*"):
            if self._registry.databases.exists(trash.name):
                trash.rename(self._directory / trash.name)
            else:
                shutil.rmtree(trash, ignore_errors=True)

    def _fetch(self, ask: Import, file: Path) -> bool:
        """Bring a blob to where the database's process, whose user owns the directory, reads it,
        if it is the one that is meant."""
        if not self._blobs.get_file(ask.key, file):
            return False
        if ask.etag and _md5(file) != ask.etag:
            file.unlink()
            return False
        owner = file.parent.stat()
        os.chown(file, owner.st_uid, owner.st_gid)
        return True


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def _unlink(file: Path) -> None:
    file.unlink(missing_ok=True)


def _failed(kind: Kind, message: str) -> bytes:
    return encode_outcome(Failed(kind=kind, message=message))


def _read_or_make(path: Path) -> str:
    """The id of this directory, made once."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = path.with_suffix(".new")
        made.write_text(str(uuid.uuid4()))
        made.rename(path)
        return path.read_text()
