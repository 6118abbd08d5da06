"""The objects of an executor: which it runs, who runs the others, and when one is let go.

Of each object at most one instance runs in all executors. Who is to run it says so in the registry,
under a number that grows, for as long as its lease is good; its storage takes nothing from anybody
with a lower one.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec
from redis.exceptions import RedisError

from cloister.errors import CloisterError, Conflict, NotFound, NotReady
from cloister.messages import Invocation
from cloister.outcomes import Outcome
from cloister.registry.objects import ObjectNamespaceView, Ownership, TooMany
from cloister.registry.views import Route
from executor import doctor
from executor.objects import files
from executor.objects.event import Event
from executor.objects.lease import Lease
from executor.objects.process import StorageProcess
from executor.objects.remote import Remote
from executor.objects.running import Lender
from executor.objects.sink import ObjectSink
from executor.objects.storage import Keeper, Storage
from executor.streams import Readable
from executor.work import Ended, Family

log = logging.getLogger(__name__)

Value = TypeVar("Value")

DIRECTORY = "objects"

WAITING = 256
"""Calls of one object that wait for others to end."""

ELSEWHERE = 4_096
"""Objects of other executors that are remembered."""
ELSEWHERE_S = 1.0

CLASSES = 1_024
CLASSES_S = 5.0
"""So many classes are remembered, and for so long."""

HOPS = 4
"""How often a call is sent on before it is given up."""

WATCH_S = 1.0
SWEEP_S = 3_600.0

BUSY = "Durable Object is overloaded. Too many requests queued."
LATE = "Durable Object is overloaded. Requests queued for too long."
FULL = "Durable Object is overloaded. Too many objects are active on this executor."
GONE = "There is no such Durable Object: its class was deleted."
AWAY = "The files of this Durable Object are on another machine."


class Entry:
    """An object that is, or was just, called here.

    Attributes:
        owned: what this executor has of it; None: it runs elsewhere, or nobody has looked.
        kind: of which version its instance is, if there is one, and within what memory.
        generation: how often its instance was given up.
    """

    def __init__(self, id_: str, namespace: ObjectNamespaceView) -> None:
        self.id = id_
        self.namespace = namespace
        self.lock = asyncio.Lock()
        self.waiting = 0
        self.owned: Ownership | None = None
        self.storage: Storage | None = None
        self.elsewhere: tuple[str, float] | None = None
        self.kind: tuple[object, ...] = ()
        self.generation = 0
        self.used_s = time.monotonic()
        self.alarms_failed = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody has or wants it now."""
        return not self.waiting and not self.lock.locked()

    @property
    def only_for(self) -> str:
        """Whose isolate it is."""
        fence = self.owned.fence if self.owned else 0
        return f"{self.id}/{fence}/{self.generation}"


class Executor(Lender, Protocol):
    """The executor, as objects use it."""

    async def object_route(self, namespace: str, script: str, id_: str) -> Route | None:
        """The version that an object runs."""

    def submit_call(self, invocation: Invocation) -> None:
        """Run a call that another executor has sent."""

    def drop_isolates(self, only_for: str) -> None:
        """End those that nobody else may have."""


class Objects:
    """One for each executor. Lives in its event loop."""

    def __init__(self, host: Executor, executor_id: str, client: Any) -> None:
        self._host = host
        self._registry = host.registry.objects
        self._directory = host.settings.data_dir / DIRECTORY
        self.lease = Lease(client, executor_id, self._keep)
        self._remote = Remote(client, executor_id, host.submit_call, self.lease.is_alive)
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._classes: OrderedDict[
            str, tuple[float, asyncio.Future[ObjectNamespaceView | None]]
        ] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()
        self._home = ""
        self._without: frozenset[str] = frozenset()
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def class_of(self, namespace_id: str) -> ObjectNamespaceView | None:
        """The class that a binding names; None if it was deleted."""
        at_s, found = self._classes.get(namespace_id, (-CLASSES_S, None))
        if found is None or time.monotonic() > at_s + CLASSES_S:
            found = asyncio.ensure_future(self._in_thread(self._registry.namespace, namespace_id))
            self._classes[namespace_id] = time.monotonic(), found
            self._classes.move_to_end(namespace_id)
            if len(self._classes) > CLASSES:
                self._classes.popitem(last=False)
        try:
            return await asyncio.shield(found)  # those who wait go on in the order they came
        except CloisterError:
            self._classes.pop(namespace_id, None)
            raise

    def forget_classes(self) -> None:
        """Something was deployed or deleted: look again."""
        self._classes.clear()

    async def run(
        self,
        invocation: Invocation,
        sink: ObjectSink,
        body: Readable | None = None,
        family: Family | None = None,
    ) -> None:
        """Have an object take a call. Whatever comes of it goes to the sink."""
        try:
            await self._run(invocation, sink, body, family or _family(invocation))
        except Ended as ended:
            await sink.fail(ended)
        except (CloisterError, RedisError, OSError) as exc:
            log.warning("a call of an object failed: %s", exc)
            await sink.fail(Ended(Outcome.INTERNAL))
        except Exception:
            log.exception("call %s of an object failed", invocation.id)
            await sink.fail(Ended(Outcome.INTERNAL))
        finally:
            if body is not None:
                await body.close()

    async def close(self) -> None:
        """Let go of every object, and take no more calls."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._remote.close()
        for entry in list(self._entries.values()):
            self._let_go(entry)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.lease.close()

    async def _run(
        self, invocation: Invocation, sink: ObjectSink, body: Readable | None, family: Family
    ) -> None:
        call = invocation.object
        assert call is not None  # noqa: S101 - else it were no call of an object
        if call.hops > HOPS:
            raise Ended(Outcome.INTERNAL, "The Durable Object moves too often.")
        namespace = await self.class_of(call.namespace_id)
        if namespace is None:
            raise Ended(Outcome.EXCEPTION, GONE, "Error")
        sent = msgspec.structs.replace(call, hops=call.hops + 1)
        while True:
            entry = self._entry(call.id, namespace)
            owner = await self._enter(entry, invocation.deadline)
            if owner is None:
                try:
                    await self._event(entry, invocation, sink, body, family)
                finally:
                    self._leave(entry)
                return
            onward = msgspec.structs.replace(invocation, object=sent)
            if await self._remote.send(owner, onward, sink, body):
                return
            entry.elsewhere = None  # it is gone, and has not begun

    async def _event(
        self,
        entry: Entry,
        invocation: Invocation,
        sink: ObjectSink,
        body: Readable | None,
        family: Family,
    ) -> None:
        storage, name = entry.storage, entry.owned.owner if entry.owned else ""
        assert storage is not None  # noqa: S101 - it is ours
        place = entry.namespace
        route = await self._host.object_route(place.namespace, place.script, entry.id)
        if route is None or not route.has_code:
            raise Ended(Outcome.EXCEPTION, GONE, "Error")
        memory_mb = route.namespace_limits.memory_mb, route.script_limits.memory_mb
        if entry.kind not in ((), kind := (route.version, *memory_mb)):
            self._give_up(entry)  # that version may come back, and what its instance holds is old
        entry.kind = kind
        event = Event(self._host, place, route, storage, entry.only_for)
        sink.begin(storage, lambda: self.lease.check(str(name)))
        try:
            is_good = await event.run(invocation, sink, body, family, entry)
        except BaseException:
            self._give_up(entry)
            raise
        if not is_good:
            self._give_up(entry)

    def _give_up(self, entry: Entry) -> None:
        """What its instance holds in memory does not fit what is stored: the next one is new."""
        self._host.drop_isolates(entry.only_for)
        entry.generation += 1

    # Who runs it:

    def _entry(self, id_: str, namespace: ObjectNamespaceView) -> Entry:
        entry = self._entries.get(id_)
        if entry is None:
            entry = self._entries[id_] = Entry(id_, namespace)
        entry.namespace = namespace
        self._entries.move_to_end(id_)
        return entry

    async def _enter(self, entry: Entry, deadline: float) -> str | None:
        """Wait for the object's turn: None once it has come, or else who runs the object.

        Raises:
            Ended: too many wait, or it took too long.
        """
        if entry.waiting >= WAITING:
            raise Ended(Outcome.OVERLOADED, BUSY)
        entry.waiting += 1
        try:
            async with asyncio.timeout(max(deadline - time.time(), 0)):
                await entry.lock.acquire()
        except TimeoutError:
            raise Ended(Outcome.OVERLOADED, LATE) from None
        finally:
            entry.waiting -= 1
        owner: str | None = None
        try:
            if entry.owned is None or not self.lease.is_good(entry.owned.owner):
                owner = await self._settle(entry)
        except BaseException:
            self._leave(entry)
            raise
        if owner is not None:
            self._leave(entry)
        return owner

    def _leave(self, entry: Entry) -> None:
        entry.used_s = time.monotonic()
        entry.lock.release()
        if entry.owned is None and entry.is_idle and len(self._entries) > ELSEWHERE:
            self._entries.pop(entry.id, None)

    async def _settle(self, entry: Entry) -> str | None:
        """Become the one who runs it, unless somebody does: then who."""
        if entry.elsewhere is not None and time.monotonic() < entry.elsewhere[1] + ELSEWHERE_S:
            return entry.elsewhere[0]
        await self._start()
        await self._drop(entry)
        name = await self.lease.hold()
        for _ in range(2):
            seen = await self._in_thread(self._registry.ownership, entry.id)
            if seen.owner not in (None, name) and await self.lease.is_alive(seen.owner):
                entry.elsewhere = seen.owner, time.monotonic()
                return seen.owner
            await self._make_room()
            try:
                await self._acquire(entry, seen, name)
            except TooMany:
                raise Ended(Outcome.OVERLOADED, "The class has too many objects.") from None
            except NotFound:
                self._classes.pop(entry.namespace.id, None)
                raise Ended(Outcome.EXCEPTION, GONE, "Error") from None
            except Conflict:
                continue
            return None
        raise Ended(Outcome.INTERNAL, AWAY, "Error")

    async def _acquire(self, entry: Entry, seen: Ownership, name: str) -> None:
        acquire = self._registry.acquire
        args = entry.namespace.id, entry.id, seen
        loop = asyncio.get_running_loop()
        owned = await loop.run_in_executor(
            self._host.threads, lambda: acquire(*args, owner=name, home=self._home)
        )
        entry.owned, entry.elsewhere = owned, None
        entry.storage = Storage(
            Keeper(
                start=lambda: self._open(entry.id, entry.namespace, owned),
                wake_at=lambda at_ms: self._in_thread(
                    self._registry.wake_at, entry.id, owned.fence, at_ms
                ),
                check=lambda: self.lease.check(name),
            )
        )

    async def _open(
        self, id_: str, namespace: ObjectNamespaceView, owned: Ownership
    ) -> StorageProcess:
        """Start the process of its storage. Raises NotReady."""
        if not await self._in_thread(self._registry.store, id_, owned.fence):
            raise NotReady("Another executor runs this object.")
        directory = self._directory / namespace.id / id_
        await self._in_thread(files.make, directory)
        return await StorageProcess.open(
            directory,
            self._without,
            self._host.settings.sandbox_ids,
            fence=owned.fence,
            until_s=self.lease.until_s,
            uses_sqlite=namespace.uses_sqlite,
        )

    async def _make_room(self) -> None:
        """Let go of the one that was used the longest ago, if as many are active as may be."""
        mine = [entry for entry in self._entries.values() if entry.owned is not None]
        if len(mine) + len(self._closing) < self._host.settings.objects_active:
            return
        idle = next((entry for entry in mine if entry.is_idle), None)
        if idle is not None:
            self._let_go(idle)
        if not self._closing:
            raise Ended(Outcome.OVERLOADED, FULL)
        await asyncio.wait(self._closing, return_when=asyncio.FIRST_COMPLETED)

    # Letting go:

    def _let_go(self, entry: Entry) -> None:
        """Close an object that is idle. A call that comes now makes a new entry."""
        self._entries.pop(entry.id, None)
        task = asyncio.get_running_loop().create_task(self._drop(entry, release=True))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _drop(self, entry: Entry, *, release: bool = False) -> None:
        owned, storage = entry.owned, entry.storage
        if owned is None or storage is None:
            return
        self._host.drop_isolates(entry.only_for)
        entry.owned = entry.storage = None
        try:
            await storage.close()
            if release:
                await self._in_thread(self._registry.release, entry.id, owned.fence)
        except (CloisterError, OSError) as exc:
            log.warning("an object was not let go in order: %s", exc)

    def _keep(self) -> None:
        """The lease goes on."""
        for entry in self._entries.values():
            if entry.storage is not None:
                entry.storage.keep(self.lease.until_s)

    async def _start(self) -> None:
        """What is needed before the first object."""
        async with self._starting:
            if self._watching is None:
                self._without = await self._in_thread(doctor.admit, self._host.settings)
                self._home = await self._in_thread(files.home, self._directory)
                self._remote.listen()
                self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Let go of objects that nobody calls, and of files of classes that were deleted."""
        sweep_s = 0.0
        while True:
            if time.monotonic() >= sweep_s:
                sweep_s = time.monotonic() + SWEEP_S
                await self._sweep()
            await asyncio.sleep(WATCH_S)
            before_s = time.monotonic() - self._host.settings.object_idle_s
            for entry in [one for one in self._entries.values() if one.is_idle]:
                is_lost = entry.owned is not None and not self.lease.is_good(entry.owned.owner)
                if is_lost or entry.used_s < before_s:
                    self._let_go(entry)

    async def _sweep(self) -> None:
        try:
            await self._in_thread(files.sweep, self._directory, self._registry.exist)
        except (CloisterError, OSError):
            log.exception("files of deleted objects are still there")

    async def _in_thread(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Run something that blocks."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._host.threads, function, *arguments)


def _family(invocation: Invocation) -> Family:
    """That of a call which another process has sent."""
    call = invocation.object
    return Family(is_tail=call is not None and call.is_tail)
