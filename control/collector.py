"""When blobs that nobody wants are collected: every hour, by one of all control processes."""

import logging
import threading

import redis

from cloister.blobs import Blobs
from cloister.collection import collect
from cloister.registry import Registry

TURN = "collect:turn"
EVERY_S = 60 * 60

log = logging.getLogger(__name__)


class Collector:
    """Start it after a fork; its thread ends with the process."""

    def __init__(self, registry: Registry, blobs: Blobs, client: redis.Redis) -> None:
        self._registry = registry
        self._blobs = blobs
        self._redis = client
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        """Begin: once now, and then every hour."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being collected."""
        self._stopped.set()
        self._thread.join()

    def collect(self) -> int | None:
        """Collect, unless somebody did within the hour; how many blobs that was. Never fails: what
        is not collected now is so later."""
        try:
            if not self._redis.set(TURN, b"", nx=True, ex=EVERY_S - 60):
                return None
            return collect(self._registry, self._blobs)
        except Exception:
            log.exception("blobs could not be collected")
            return None

    def _run(self) -> None:
        self.collect()
        while not self._stopped.wait(EVERY_S):
            self.collect()
