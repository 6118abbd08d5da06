"""Whether a scheduler is at work, and how its duties go: ``python -m scheduler.doctor``."""

import sys

import redis

from cloister.broker import redis_client
from cloister.settings import Settings
from scheduler.duties import DUTIES
from scheduler.duty import COUNTS
from scheduler.lease import KEY

WAIT_S = 2.0
"""For Valkey, which need not run."""


def report(client: redis.Redis) -> list[str]:
    """One line for the scheduler, and one for each duty that was done since Valkey was empty.

    Raises:
        redis.RedisError: Valkey is away.
    """
    state = "at work" if client.exists(KEY) else "NOT AT WORK"
    names = [name for duty in DUTIES for name in _keys(duty.name)]
    counts = iter(int(value or 0) for value in client.hmget(COUNTS, names))
    lines = [f"{'scheduler':<13} {state}"]
    for duty in DUTIES:
        runs, failures, overruns = next(counts), next(counts), next(counts)
        if runs:
            lines.append(
                f"  {duty.name:<11} {runs} runs, {failures} failed, {overruns} took too long"
            )
    return lines


def _keys(name: str) -> list[str]:
    return [f"{name}:{what}" for what in ("runs", "failures", "overruns")]


def main() -> None:
    """Print it, if Valkey answers: without an installation that runs there is nothing to say."""
    try:
        with redis_client(Settings.from_env(), timeout_s=WAIT_S) as client:
            lines = report(client)
    except (redis.RedisError, OSError):
        lines = [f"{'scheduler':<13} unknown: Valkey does not answer"]
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
