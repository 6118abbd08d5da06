"""Celery's beat, with one entry: the tick.

Beat would publish a message for a worker to take. What is due is in the registry, and whoever ticks
can see to it at once, so the entry is applied here instead. The hooks used are public to
subclasses of Celery's ``Scheduler``, which keeps its entry in memory: no file of schedules.
"""

import sys
from typing import Any

import celery.beat
from celery.schedules import schedule

from cloister.errors import CloisterError
from cloister.notices import tell_ready
from scheduler.duties import DUTIES
from scheduler.engine import Engine

TICK_S = 1.0


class Beat(celery.beat.Scheduler):  # type: ignore[misc]  # celery has no types
    """See the module. With ``lazy`` it is made only to be described."""

    producer = None
    """Nothing is published, so that beat need not wait for the broker."""

    def __init__(self, app: Any, *args: Any, **options: Any) -> None:
        self._engine = Engine(app.cloister_settings, DUTIES)
        super().__init__(app, *args, **options)

    def setup_schedule(self) -> None:
        """Start what is at work, and the tick."""
        try:
            self._engine.start()
        except CloisterError as exc:
            self._engine.stop()
            print(f"scheduler: {exc}", file=sys.__stderr__, flush=True)
            raise SystemExit(1) from exc
        tick = self.Entry(name="tick", task="tick", schedule=schedule(TICK_S), app=self.app)
        self.schedule = {"tick": tick}
        tell_ready()

    def apply_entry(self, entry: Any, producer: Any = None) -> None:  # noqa: ARG002 - as in Celery
        """It is time."""
        self._engine.tick()

    def close(self) -> None:
        """Stop. Beat calls it more than once."""
        self._engine.stop()
