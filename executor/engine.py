"""The seam between Celery and the event loop that supervises all isolates."""

import asyncio
import logging
import sys
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from celery import bootsteps
from celery.signals import worker_shutting_down
from kombu.asynchronous import set_event_loop

from cloister.databases import DATABASE_QUEUE, UnreadJob
from cloister.errors import CloisterError
from cloister.messages import COMPILE_QUEUE, CompileJob, Invocation, dispatch_queue
from cloister.settings import Settings
from executor import names
from executor.backlog import Backlog, waiting_places
from executor.hub import LoopHub
from executor.supervisor import Supervisor

log = logging.getLogger(__name__)

DRAIN_S = 6.0
"""How long what runs may take to finish after SIGTERM. `cloister up` kills after 10 seconds."""

CLOSE_S = 2.5
"""How long the rest may take."""


class Engine:
    """Everything on one event loop. The public methods are for the thread that runs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.id = uuid.uuid4().hex
        self.names: frozenset[str] = frozenset()
        self.backlog = Backlog(waiting_places(settings))
        self.loop = asyncio.new_event_loop()
        self._supervisor: Supervisor | None = None
        self._followers: list[asyncio.Task[None]] = []
        self._has_databases = False
        self._on_names: Callable[[], Any] = _nothing

    def start(self) -> None:
        """Start everything; returns when it is ready.

        Raises:
            CloisterError: something that is needed is not there.
        """
        self.loop.run_until_complete(self._open())

    def stop(self) -> None:
        """Finish what runs, within :data:`DRAIN_S`, and end every isolate."""
        if self.loop.is_closed():
            return
        try:
            self.loop.run_until_complete(asyncio.wait_for(self._close(), DRAIN_S + CLOSE_S))
        except TimeoutError:
            log.error("the engine does not close in time; it is left behind")  # noqa: TRY400
        self.loop.close()

    def broker_answers(self) -> bool:
        """Whether it does by now. If it does not, some time has passed."""
        return self.loop.run_until_complete(self._ready.broker_answers())

    def submit(self, invocations: Sequence[Invocation]) -> None:
        """Run these. Those that are alike may share an isolate's waking."""
        with self._ready.turns.gathering():
            for each in invocations:
                begun = self.backlog.take(dispatch_queue(each.namespace))
                self._ready.submit(each, begun)

    def submit_job(self, job: CompileJob) -> None:
        """Do this."""
        self._ready.submit_job(job, self.backlog.take(COMPILE_QUEUE))

    def submit_database_job(self, job: UnreadJob) -> None:
        """Ask this."""
        self._ready.submit_database_job(job, self.backlog.take(DATABASE_QUEUE))

    @property
    def queues(self) -> frozenset[str]:
        """What is consumed beside compile jobs."""
        own = {DATABASE_QUEUE} if self._has_databases else set()
        return frozenset({*map(dispatch_queue, self.names), *own})

    def listen(self, on_names: Callable[[], Any]) -> None:
        """Called from the loop: :attr:`queues` have changed."""
        self._on_names = on_names

    async def _open(self) -> None:
        self._supervisor = await Supervisor.open(self.settings, self.id)
        known = asyncio.Event()

        def tell(known_names: frozenset[str]) -> None:
            self.names = known_names
            known.set()
            self._on_names()

        self._follow(names.follow(self.settings, self._supervisor.routes, tell))
        if self.settings.databases:
            self._follow(self._supervisor.databases.serve(self._take_databases))
        await known.wait()

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        self._followers.append(asyncio.create_task(work))

    def _take_databases(self) -> None:
        self._has_databases = True
        self._on_names()

    async def _close(self) -> None:
        for task in self._followers:
            task.cancel()
        if self._supervisor is not None:
            await self._supervisor.close(DRAIN_S)

    @property
    def _ready(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the engine is not started")
        return self._supervisor


class EngineStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Worker bootstep: the engine stands before the first message is taken, and stops after the
    last. If tenants may not run here, the worker says why and exits."""

    requires = ("celery.worker.components:Hub",)

    def create(self, worker: Any) -> "EngineStep":
        """Make it, and have the worker's own loop wait in it."""
        worker.engine = Engine(worker.app.cloister_settings)
        self._loop = worker.engine.loop
        self._hub = worker.hub = LoopHub(worker.timer, self._loop)
        set_event_loop(self._hub)
        worker_shutting_down.connect(self._wake)
        return self

    def _wake(self, **_: Any) -> None:
        """A signal has come, of which Celery learns when its loop turns."""
        self._loop.call_soon_threadsafe(self._hub.poller.wake)

    def start(self, worker: Any) -> None:
        """Start the engine."""
        try:
            worker.engine.start()
        except CloisterError as exc:
            print(f"executor: {exc}", file=sys.__stderr__, flush=True)
            raise SystemExit(1) from exc

    def stop(self, worker: Any) -> None:
        """Drain and stop it."""
        worker.engine.stop()

    terminate = stop


def _nothing() -> None:
    """Nobody listens."""
