"""The Celery app of an executor.

Run with ``celery -A executor.app worker -P solo --without-gossip --without-mingle
--without-heartbeat -Q compile``. The queues of the namespaces are added by
:class:`executor.consumer.NamespaceQueues`. Messages do not run as Celery tasks: each task's
strategy hands them to the engine, which supervises all isolates on one event loop.
"""

import atexit
import gc
from typing import Any, NoReturn

from celery import Celery
from celery.signals import setup_logging, worker_ready

from cloister import logs
from cloister.allocator import keep_freed_memory
from cloister.broker import celery_app
from cloister.databases import DATABASE_TASK
from cloister.messages import COMPILE_TASK, DISPATCH_TASK
from cloister.notices import tell_ready
from cloister.settings import Settings
from executor.consumer import WAKE_TASK, NamespaceQueues
from executor.engine import EngineStep

GC_OBJECTS = 10_000
"""New objects before the collector looks through them. A busy moment holds thousands, none of them
garbage."""


def create_app(settings: Settings) -> Celery:
    """The app of a worker that serves the namespaces of ``settings``."""
    app = celery_app(settings)
    app.cloister_settings = settings
    app.conf.worker_consumer = "executor.consumer:Consumer"
    app.steps["worker"].add(EngineStep)
    app.steps["consumer"].add(NamespaceQueues)
    for name, strategy in (
        (DISPATCH_TASK, "dispatch"),
        (COMPILE_TASK, "compile_job"),
        (DATABASE_TASK, "database_job"),
        (WAKE_TASK, "wake"),
    ):
        app.task(name=name, Strategy=f"executor.strategy:{strategy}", shared=False)(_run)
    return app


def _run(payload: bytes) -> NoReturn:
    """What a Celery pool would run; the strategies leave nothing to it."""
    raise RuntimeError(f"a message of {len(payload)} bytes went round its strategy")


@worker_ready.connect  # type: ignore[untyped-decorator]  # celery has no types
def _ready(**_: Any) -> None:
    """It takes messages. What was made until now stays, and the collector need not look at it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 20)
    tell_ready()


atexit.register(gc.freeze)  # else the collector looks through everything once more, at the end

keep_freed_memory()

_settings = Settings.from_env()

app = create_app(_settings)

if _settings.log_json:

    @setup_logging.connect  # type: ignore[untyped-decorator]  # celery has no types
    def _log_json(**_: Any) -> None:
        """Instead of what Celery sets up."""
        logs.configure()
