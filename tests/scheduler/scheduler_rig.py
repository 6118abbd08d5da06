"""Real scheduler processes, each Celery's beat as the Procfile starts it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import redis

from scheduler.lease import KEY

COMMAND = (
    *(sys.executable, "-m", "celery", "-q", "-A", "scheduler.app"),
    *("beat", "-S", "scheduler.beat:Beat"),
)


class Scheduler:
    """One process."""

    def __init__(self, data: Path, redis_url: str, **environment: str) -> None:
        known = {name: value for name, value in os.environ.items() if "CLOISTER_" not in name}
        ours = {"CLOISTER_DATA": str(data), "CLOISTER_REDIS_URL": redis_url}
        self.output: list[str] = []
        self._process = subprocess.Popen(
            COMMAND,
            env={**known, **ours, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.output.extend(self._process.stdout)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self._process.send_signal(number)
        try:
            return self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join(10)
            assert self._process.stdout is not None
            self._process.stdout.close()


def holder(client: redis.Redis) -> bytes | None:
    """The id of the scheduler at work."""
    found = client.get(KEY)
    assert found is None or isinstance(found, bytes)
    return found
