"""`python bench/crons.py`: what 100,000 cron triggers cost a scheduler, tick by tick.

The registry (SQLite in a file, as `cloister up` has it) and Valkey are real, the clock is not: it
is set to one minute after another, so that a day's worth of ticks takes seconds. Times are CPU
seconds of this process, all of its threads, and wall seconds beside them.
"""

import argparse
import asyncio
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cloister.broker import redis_client
from cloister.cron import parse
from cloister.embedded import valkey_command
from cloister.messages import dispatch_queue
from cloister.registry import NewVersion, Registry, open_registry, schedules
from cloister.registry.schedule_models import Schedule
from cloister.settings import Settings
from scheduler import crons
from scheduler.house import House

START_MS = 1_767_225_600_000  # 2026-01-01 00:00
MINUTE_MS = 60_000
ACCOUNT = "a" * 32
NAMESPACES = 100
SEED = 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crons", type=int, default=100_000)
    parser.add_argument("--scripts", type=int, default=1_000)
    parser.add_argument("--minutes", type=int, default=30, help="ticks on the full minute")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cloister-bench-") as name:
        settings = Settings(data=name, secret_key="ab" * 32)
        socket = Path(name) / "valkey.sock"
        command = valkey_command(socket, Path(name), append_only=True)
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                time.sleep(0.01)
            populate(settings, options.scripts, options.crons)
            asyncio.run(measure(settings, options.minutes, options.crons))
        finally:
            server.terminate()
            server.wait()


def populate(settings: Settings, scripts: int, count: int) -> None:
    """Make scripts with triggers: of ten, six are daily, three hourly, one every five minutes."""
    registry = open_registry(settings)
    registry.accounts.ensure(ACCOUNT, "bench")
    ids = [_script(registry, number) for number in range(scripts)]
    draw = random.Random(SEED)
    rows: dict[tuple[str, str], int] = {}
    while len(rows) < count:
        minute, hour = draw.randrange(60), draw.randrange(24)
        kind = draw.random()
        daily, hourly = f"{minute} {hour} * * *", f"{minute} * * * *"
        often = f"{minute % 5}/5 {hour}-{(hour + 22) % 24} * * *"
        cron = daily if kind < 0.6 else hourly if kind < 0.9 else often
        following = parse(cron).next(START_MS // MINUTE_MS)
        rows[draw.choice(ids), cron] = (following or 0) * MINUTE_MS
    with registry._database.write() as work:
        values = {"created_at": START_MS, "modified_at": START_MS}
        work.execute(
            work.insert(Schedule),
            [
                {"script_id": script, "cron": cron, "next_at": due, **values}
                for (script, cron), due in rows.items()
            ],
        )
    registry.close()


def _script(registry: Registry, number: int) -> str:
    name = f"ns-{number % NAMESPACES}"
    if number < NAMESPACES:
        registry.namespaces.create(ACCOUNT, name)
    namespace = registry.namespaces.get(ACCOUNT, name)
    version = NewVersion(digest="d" * 64, main_module="w.py", handlers={"Default": ["scheduled"]})
    return registry.scripts.put_version(namespace.id, f"w-{number}", version).id


async def measure(settings: Settings, minutes: int, count: int) -> None:
    """Tick through the minutes, then after a day without a scheduler."""
    house = await House.open(settings)
    now = [START_MS]
    schedules.now_ms = lambda: now[0]
    try:
        await _ticks(house, "nothing due", 100, lambda: None)

        def next_minute() -> None:
            now[0] += MINUTE_MS

        await _ticks(house, "a full minute", minutes, next_minute)
        now[0] += 24 * 60 * MINUTE_MS
        await _ticks(house, "all were missed", count // crons.FIRED_A_TICK + 1, lambda: None)
    finally:
        await house.close()


async def _ticks(house: House, what: str, ticks: int, before: Callable[[], None]) -> None:
    fired: list[int] = []
    cpu_s: list[float] = []
    wall_s: list[float] = []
    for _ in range(ticks):
        before()
        began = _counted(house.settings)
        cpu, wall = time.process_time(), time.monotonic()
        await crons.fire(house)
        cpu_s.append(time.process_time() - cpu)
        wall_s.append(time.monotonic() - wall)
        fired.append(_counted(house.settings) - began)
    print(
        f"{what}: {ticks} ticks, {sum(fired) / ticks:,.0f} fired a tick (at most {max(fired):,}); "
        f"CPU s a tick {sum(cpu_s) / ticks:.4f} (at most {max(cpu_s):.3f}), "
        f"wall s {sum(wall_s) / ticks:.4f} (at most {max(wall_s):.3f})",
        flush=True,
    )


def _counted(settings: Settings) -> int:
    """How many have fired in all. Empties the queues, which nobody else does here."""
    with redis_client(settings) as client:
        client.delete(*(dispatch_queue(f"ns-{number}") for number in range(NAMESPACES)))
        found = client.hget(crons.COUNTS, "fired")
        return int(found or 0)


if __name__ == "__main__":
    main()
