"""The seam between Celery's thread and the event loop that supervises all isolates."""

import asyncio
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from celery import bootsteps

from cloister.errors import CloisterError
from cloister.messages import COMPILE_QUEUE, CompileJob, Invocation, dispatch_queue
from cloister.settings import Settings
from executor.backlog import Backlog, waiting_places
from executor.supervisor import Supervisor

log = logging.getLogger(__name__)

DRAIN_S = 6.0
"""How long what runs may take to finish after SIGTERM. `cloister up` kills after 10 seconds."""

CLOSE_S = 2.5
"""How long the rest may take."""


class Engine:
    """One event loop in a thread of its own. The public methods are for Celery's thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.id = uuid.uuid4().hex
        self.names: frozenset[str] = frozenset()
        self.backlog = Backlog(waiting_places(settings))
        self._loop = asyncio.new_event_loop()
        # A daemon: should closing fail, the process still ends, and the isolates with it.
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._supervisor: Supervisor | None = None
        self._names_task: asyncio.Task[None] | None = None
        self._on_names: Callable[[], Any] = _nothing

    def start(self) -> None:
        """Start the loop and everything on it; returns when it is ready.

        Raises:
            CloisterError: something that is needed is not there.
        """
        self._thread.start()
        try:
            self._call(self._open())
        except BaseException:
            self._end_loop()
            raise

    def stop(self) -> None:
        """Finish what runs, within :data:`DRAIN_S`, and end every isolate."""
        if not self._thread.is_alive():
            return
        try:
            self._call(self._close(), DRAIN_S + CLOSE_S)
        except TimeoutError:
            log.error("the engine does not close in time; it is left behind")  # noqa: TRY400
        else:
            self._end_loop()

    def submit(self, invocations: Sequence[Invocation]) -> None:
        """Run these."""
        taken = [(each, self.backlog.take(dispatch_queue(each.namespace))) for each in invocations]
        self._loop.call_soon_threadsafe(self._submit, taken)

    def submit_job(self, job: CompileJob) -> None:
        """Do this."""
        over = self.backlog.take(COMPILE_QUEUE)
        self._loop.call_soon_threadsafe(self._submit_job, job, over)

    def listen(self, on_names: Callable[[], Any]) -> None:
        """Called from the loop's thread: :attr:`names` has changed."""
        self._on_names = on_names

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, None], timeout_s: float | None = None) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _open(self) -> None:
        self._supervisor = await Supervisor.open(self.settings, self.id)
        known = asyncio.Event()

        def tell(names: frozenset[str]) -> None:
            self.names = names
            known.set()
            self._on_names()

        self._names_task = asyncio.create_task(self._supervisor.follow_names(tell))
        await known.wait()

    async def _close(self) -> None:
        if self._names_task is not None:
            self._names_task.cancel()
        if self._supervisor is not None:
            await self._supervisor.close(DRAIN_S)

    def _submit(self, taken: Sequence[tuple[Invocation, Callable[[], None]]]) -> None:
        for invocation, begun in taken:
            self._ready.submit(invocation, begun)

    def _submit_job(self, job: CompileJob, over: Callable[[], None]) -> None:
        self._ready.submit_job(job, over)

    @property
    def _ready(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the engine is not started")
        return self._supervisor


class EngineStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Worker bootstep: the engine stands before the first message is taken, and stops after the
    last. If tenants may not run here, the worker says why and exits."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.engine = Engine(worker.app.cloister_settings)

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
