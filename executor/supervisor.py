"""What of an executor lives on its event loop: one of each, shared by all invocations."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
from redis.exceptions import RedisError

from cloister.assets.sites import Sites
from cloister.blobs import Blobs
from cloister.broker import async_redis
from cloister.databases import UnreadJob
from cloister.messages import (
    Alive,
    Ask,
    Cancel,
    CompileJob,
    Credit,
    Invocation,
    Note,
)
from cloister.outcomes import Outcome
from cloister.registry import RouteCache, open_registry
from cloister.registry.objects import ObjectNamespaceView
from cloister.registry.rollout import KEY_HEADER
from cloister.registry.views import Bundle, NamespaceView, Route
from cloister.secrets import open_cipher
from cloister.settings import MIB, Settings
from executor.arrivals import work_of
from executor.backlog import waiting_places
from executor.budget import EXECUTOR_BYTES, Budget
from executor.caches.store import CacheStore
from executor.compiling import Compiler
from executor.databases.asking import Questions
from executor.databases.owner import Databases
from executor.egress.client import tls
from executor.egress.network import Resolve, Resolver
from executor.gate import Gate
from executor.hop import LocalSink
from executor.hops import Hops
from executor.host import Answerer
from executor.invocation import Run
from executor.isolate import frames
from executor.isolates import Isolate
from executor.notes import Notes
from executor.objects.calling import ObjectReplySink
from executor.objects.owner import Objects
from executor.objects.sink import ObjectSink
from executor.points import Gathered
from executor.pools import Pools
from executor.replies import Replies, ReplySink, Undeliverable
from executor.request_body import RequestBody
from executor.serving import Server
from executor.tails import Tails
from executor.traces import Traces, now_ms
from executor.turns import Turns
from executor.watch import Watches
from executor.work import Ended, Family

log = logging.getLogger(__name__)

THREADS = 16
"""For the registry's database and its like."""

BROKER_RETRY_S = 0.2
SHORT_RUN_MS = 1.0


class Supervisor:
    """Runs invocations and compile jobs. Made by :meth:`open`, on the loop that it lives on."""

    def __init__(self, settings: Settings, executor_id: str) -> None:
        self.settings = settings
        self.id = executor_id
        self._loop = asyncio.get_running_loop()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="registry")
        self.resolver = Resolver()
        self.budget = Budget(EXECUTOR_BYTES)
        self.gate = Gate(
            settings.executor_concurrency,
            running=settings.worker_concurrency,
            waiting=settings.worker_concurrency,
            in_line=waiting_places(settings),
        )
        self.turns = Turns()
        self.watches = Watches()
        self.registry = open_registry(settings)
        self.pools = Pools(settings)
        self.routes = RouteCache(self.registry, settings)
        self.valkey = async_redis(settings)
        self.caches = CacheStore(settings.data_dir / "cache")
        self.points = Gathered(self.registry.points, self.threads)
        self.blobs = blobs = Blobs.open(settings)
        self.sites = Sites(blobs)
        self._compiler = Compiler(settings, blobs, self.pools, open_cipher(settings))
        self.databases = Databases(settings, self.registry, blobs, self.threads)
        self.questions = Questions(self.valkey, self.databases)
        self.traces = Traces(self.valkey, settings.logs_kept)
        self.tails = Tails(self, self._spawn)
        self.objects = Objects(self, executor_id, self.valkey)
        self.hops = Hops(settings, self, self.objects, self._spawn)
        self.routes.on_change(lambda _note: self.objects.forget_classes())
        self._replies = Replies(self.valkey)
        self._notes = Notes(self.valkey, executor_id, self._take_note)
        self._runs: dict[str, tuple[Run | ObjectSink, ReplySink]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_over = asyncio.Event()
        self._work_of = work_of(settings, self.valkey)

    @classmethod
    async def open(cls, settings: Settings, executor_id: str) -> "Supervisor":
        """Check the sandbox and start everything.

        Raises:
            CloisterError: something that is needed is not there.
        """
        supervisor = cls(settings, executor_id)
        await asyncio.to_thread(tls)
        await supervisor.pools.start()
        await supervisor.routes.start()
        await supervisor._notes.start()
        return supervisor

    async def close(self, drain_s: float) -> None:
        """Let what runs finish for so long, end what is left, and stop everything."""
        self.tails.hasten()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._drained()
        for run, _ in list(self._runs.values()):
            run.stop(Outcome.INTERNAL)
        await asyncio.sleep(0)  # each has a task now; one that has not begun would never end
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for part in (
            self.points.close(),
            self._notes.close(),
            self.objects.close(),
            self._replies.close(),
            self.traces.close(),
            self.pools.close(),
            self.questions.close(),
            self.databases.close(),
            self.routes.close(),
            self.sites.close(),
            self.valkey.aclose(),
        ):
            try:
                await part
            except Exception:
                log.exception("a part of the executor did not close well")
        self.caches.close()
        self.resolver.close()
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.registry.close()

    async def _drained(self) -> None:
        while self._runs or self._tasks:
            self._one_over.clear()
            await self._one_over.wait()

    async def broker_answers(self) -> bool:
        """Whether Valkey does. If it does not, some time has passed."""
        try:
            await self.valkey.ping()
        except (RedisError, OSError):
            await asyncio.sleep(BROKER_RETRY_S)
            return False
        return True

    # Work that arrives:

    def submit(self, invocation: Invocation, begun: Callable[[], None]) -> None:
        """Run an invocation; ``begun`` is called when it waits no more, perhaps again at its
        end."""
        if invocation.object is not None:
            begun()
            self.submit_call(invocation)
            return
        sink = ReplySink(self._replies, invocation.reply_to, invocation.id, self.id)
        run = Run(self, self._work_of(invocation), sink)
        run.on_begun = begun
        run.on_over = partial(self._over, invocation.id, begun)
        self._runs[invocation.id] = run, sink
        self._replies.begin(invocation.id)
        run.start(self._spawn)

    def submit_call(self, invocation: Invocation) -> None:
        """Have a Durable Object take a call of another process."""
        replies = ObjectReplySink(self._replies, invocation.reply_to, invocation.id, self.id)
        sink = ObjectSink(replies)
        self._runs[invocation.id] = sink, replies
        self._replies.begin(invocation.id)
        body = RequestBody(self.valkey, invocation.id) if invocation.body_is_streamed else None
        task = self._spawn(self.objects.run(invocation, sink, body))
        sink.belong(task)
        task.add_done_callback(lambda _task: self._over(invocation.id, _nothing))

    def _over(self, id_: str, begun: Callable[[], None]) -> None:
        del self._runs[id_]
        self._replies.forget(id_)
        self._one_over.set()
        begun()

    def run_tail(self, invocation: Invocation, note: str) -> "asyncio.Future[Any]":
        """Run a tail worker. Nobody in another process waits for it, and nothing of it is tailed.
        What ``note`` says is in its log. The result raises Ended if it fails."""
        work = msgspec.structs.replace(self._work_of(invocation), family=Family(is_tail=True))
        sink = LocalSink()
        run = Run(self, work, sink)
        if note:
            run.record.log("warn", note, now_ms())
        self._spawn(run.run())
        return sink.answer

    def submit_job(self, job: CompileJob, over: Callable[[], None]) -> None:
        """Do a compile job."""
        self._spawn(self._compile(job)).add_done_callback(lambda _task: over())

    def submit_database_job(self, job: UnreadJob, over: Callable[[], None]) -> None:
        """Ask a database."""
        work = self.databases.reply(job, self._replies)
        self._spawn(work).add_done_callback(lambda _task: over())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._one_over.set()

    async def _compile(self, job: CompileJob) -> None:
        answer = await self._compiler.answer(job)
        try:
            self._replies.send(job.reply_to, answer)
        except Undeliverable:
            log.warning("the answer to compile job %s could not be delivered", job.id)

    def _take_note(self, note: Note) -> None:
        if isinstance(note, Ask):
            held = [id_ for id_ in note.ids if id_ in self._runs]
            self._replies.send(note.reply_to, Alive(id=note.id, executor=self.id, ids=held))
            return
        run, sink = self._runs.get(note.id, (None, None))
        if run is None or sink is None:
            return
        match note:
            case Cancel():
                run.cancel()
            case Credit():
                sink.credit(note.bytes)

    # What a run needs:

    async def bundle(self, version: str) -> Bundle | None:
        """What running a version needs; None if it is gone."""
        return await self.routes.bundle(version)

    def bundle_now(self, version: str) -> Bundle | None:
        """The same, if it is at hand."""
        return self.routes.bundle_at_hand(version)

    def borrow_now(self, bundle: Bundle, memory_mb: int, only_for: str = "") -> Isolate | None:
        """A warm isolate of that version, within that memory, if its namespace takes those. One of
        those that are ``only_for`` somebody is nobody else's."""
        namespace = self.routes.namespace_at_hand(bundle.namespace)
        if namespace is None or namespace.fresh_isolates:
            return None
        pool = self.pools.at_hand(namespace.language)
        if pool is None:
            return None
        return pool.borrow_warm(_key(bundle, memory_mb, namespace, only_for))

    async def borrow(self, bundle: Bundle, memory_mb: int, only_for: str = "") -> Isolate:
        """An isolate of that version, within that memory, as its namespace wants it now.

        Raises:
            Ended: the namespace is gone.
            Uncompilable: its language does not take the code, as that of the upload did.
        """
        namespace = await self.routes.namespace(bundle.namespace)
        if namespace is None:
            raise Ended(Outcome.SCRIPT_NOT_FOUND)
        language = namespace.language

        async def load() -> frames.Load:
            code = await self._compiler.code(bundle.digest, bundle.main_module, language)
            return frames.Load(
                main=code.main,
                modules=code.modules,
                data=code.data,
                env=bundle.env,
                live={name: str(spec.get("type")) for name, spec in bundle.live.items()},
                compatibility_date=bundle.compatibility_date,
                compatibility_flags=bundle.compatibility_flags,
                memory_bytes=memory_mb * MIB,
                language=language,
            )

        owner = bundle.namespace, bundle.script
        pool = await self.pools.of(language)
        key = _key(bundle, memory_mb, namespace, only_for)
        return await pool.borrow(key, load, owner=owner, fresh=namespace.fresh_isolates)

    def drop_isolates(self, only_for: str) -> None:
        """End those that nobody else may have."""
        self.pools.drop(f"#{only_for}")

    def give_back(self, isolate: Isolate, *, reuse: bool) -> None:
        """Done with it."""
        self.pools.release(isolate, reuse=reuse)

    def peak_kb(self, isolate: Isolate, cpu_ms: float) -> int:
        """The most memory that it held. Asking the kernel costs more than a short run does, and
        memory cannot grow by much in one: then what was known before is still right."""
        known_kb = isolate.last_peak_kb
        return isolate.peak_kb() if known_kb is None or cpu_ms > SHORT_RUN_MS else known_kb

    def answerer(self, run: Run, bundle: Bundle, isolate: Isolate) -> Answerer:
        """Who serves the isolate's calls."""
        return Server(self, run, bundle, isolate)

    # What its calls need:

    async def route(self, namespace: str, script: str) -> Route | None:
        """The live version under a name; a draw where there are two."""
        route = await self.routes.route(namespace, script)
        return None if route is None else await self.routes.chosen(route)

    def resolve(self, namespace: str) -> Resolve:
        """What looks names up for a namespace."""
        return partial(self.resolver.lookup, namespace)

    async def namespace(self, name: str) -> NamespaceView | None:
        """The namespace of this name; None if there is none."""
        return await self.routes.namespace(name)

    async def object_class(self, namespace_id: str) -> ObjectNamespaceView | None:
        """A class of them; None if it was deleted."""
        return await self.objects.class_of(namespace_id)

    async def object_route(self, namespace: str, script: str, id_: str) -> Route | None:
        """The version that an object runs: of two that are live always the same."""
        route = await self.routes.route(namespace, script)
        return None if route is None else await self.routes.chosen(route, [(KEY_HEADER, id_)])


def _key(bundle: Bundle, memory_mb: int, namespace: NamespaceView, only_for: str) -> str:
    """Isolates of the same key are alike."""
    key = f"{bundle.version}/{memory_mb}/{namespace.language}"
    return f"{key}#{only_for}" if only_for else key


def _nothing() -> None:
    """Nobody asks."""
