"""`python bench/attacks.py`: what workers that use too much get, and what their neighbours feel.

The first table has each attack of ``hostile.py`` alone: how it ended, and by how much it overran
its limit, of the process's own CPU clock or of wall time. The second has a neighbour that answers
plain requests at a steady pace, alone and while an attack is made from several connections.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Self

import msgspec
from hostile import ATTACKS, Attack
from load import Figures, pace
from run import cloister

from cloister import credentials
from cloister.client import Client, Module, script_path
from cloister.limits import Limits
from cloister.messages import Trace
from cloister.outcomes import Outcome

NEIGHBOUR_LIMITS = Limits(cpu_ms=2_000, memory_mb=128, wall_ms=5_000, subrequests=5)
"""Of attacks on a neighbour: more than in the first table, so that they go on for longer."""

WAIT_S = 20.0
QUIET_S, QUIET_MS = 120.0, 25.0
"""For so long at most, a neighbour is waited for whose p99 is below that again."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[""], help="words in the attacks' names")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each attack on a neighbour")
    parser.add_argument("--rate", type=float, default=100.0, help="the neighbour's requests/s")
    parser.add_argument("--attackers", type=int, default=8, help="connections that attack at once")
    parser.add_argument("--alone", action="store_true", help="the first table only")
    options = parser.parse_args()
    attacks = {
        name: attack
        for name, attack in ATTACKS.items()
        if any(word in name for word in options.only)
    }
    with (
        tempfile.TemporaryDirectory(prefix="cloister-bench-") as directory,
        cloister(Path(directory)) as who,
        Api(who) as api,
    ):
        report_overshoot(api, attacks)
        if not options.alone:
            asyncio.run(report_neighbour(api, attacks, options))


class Api:
    """Deploys attacks, makes them, and reads what came of them."""

    def __init__(self, who: credentials.Credentials) -> None:
        self._who = who
        self._client = Client(who.control_url, who.account_id, who.api_token)
        self.neighbour = f"{who.dispatch_url}/{who.namespace}/hello/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.__exit__()

    def url(self, script: str) -> str:
        return f"{self._who.dispatch_url}/{self._who.namespace}/{script}/"

    def deploy(self, script: str, attack: Attack, limits: Limits) -> None:
        module = Module(name="entry.py", content_type="text/x-python", data=attack.source.encode())
        metadata = {
            "main_module": "entry.py",
            "compatibility_flags": ["python_workers"],
            "limits": msgspec.to_builtins(limits),
        }
        self._client.deploy(self._who.namespace, script, metadata, [module])

    def record(self, script: str) -> Trace:
        """The record of the last invocation, once it is there."""
        path = f"{script_path(self._who.namespace, script)}/logs"
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            if found := self._client.call("GET", path, params={"limit": 1}):
                return msgspec.convert(found[0], Trace)
            time.sleep(0.01)
        raise TimeoutError(f"no record of {script}")


def report_overshoot(api: Api, attacks: dict[str, Attack]) -> None:
    """The first table."""
    print(f"\n{'attack':<42}{'outcome':<18}{'limit':>12}{'used':>12}{'over':>8}")
    for number, (name, attack) in enumerate(attacks.items()):
        script = f"attack-{number}"
        api.deploy(script, attack, attack.limits)
        asyncio.run(pace(api.url(script), count=1, rate=1))
        record = api.record(script)
        limit, used, unit = measure_of(attack, record)
        flag = "" if record.outcome is attack.outcome else f"  not {attack.outcome.value}"
        over = f"{used / limit - 1:>+7.1%}" if limit else ""
        print(
            f"{name:<42}{record.outcome.value:<18}{limit or '':>9}{unit if limit else '':>3}"
            f"{used:>9.1f}{unit:>3} {over}{flag}",
            flush=True,
        )


def measure_of(attack: Attack, record: Trace) -> tuple[int | None, float, str]:
    """The limit that ended an attack, if one did, how much it used of it, and the unit."""
    used_by = {
        Outcome.EXCEEDED_CPU: (attack.limits.cpu_ms, record.cpu_ms, "ms"),
        Outcome.EXCEEDED_WALL: (attack.limits.wall_ms, record.wall_ms, "ms"),
        Outcome.EXCEEDED_MEMORY: (attack.limits.memory_mb, record.peak_memory_kb / 1024, "MB"),
    }
    return used_by.get(record.outcome, (None, record.cpu_ms, "ms"))


async def report_neighbour(
    api: Api, attacks: dict[str, Attack], options: argparse.Namespace
) -> None:
    """The second table. Each attack is compared with the quiet just before it."""
    count = round(options.seconds * options.rate)
    print(f"\n{'neighbour: p50 and p99, ms':<42}{'alone':>16}{'attacked':>18}{'p99 ratio':>11}")
    for number, (name, attack) in enumerate(attacks.items()):
        script = f"attack-{number}"
        await asyncio.to_thread(api.deploy, script, attack, NEIGHBOUR_LIMITS)
        alone = await quiet(api, count, options.rate)
        attackers = [asyncio.create_task(insist(api.url(script))) for _ in range(options.attackers)]
        attacked = await pace(api.neighbour, count=count, rate=options.rate)
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
        ratio = attacked.percentile(0.99) / alone.percentile(0.99)
        failed = f"  {attacked.failed} failed" if attacked.failed else ""
        print(f"{name:<42}{figures(alone)}  {figures(attacked)}{ratio:>10.1f}x{failed}", flush=True)


async def quiet(api: Api, count: int, rate: float) -> Figures:
    """The neighbour alone, once what the attack before left behind is over."""
    until = time.monotonic() + QUIET_S
    while True:
        alone = await pace(api.neighbour, count=count // 2, rate=rate)
        if alone.percentile(0.99) < QUIET_MS or time.monotonic() > until:
            return alone


def figures(of: Figures) -> str:
    return f"{of.percentile(0.5):>7.2f} {of.percentile(0.99):>8.2f}"


async def insist(url: str) -> None:
    """Make one attack after the other."""
    while True:
        await pace(url, count=1, rate=1000)


if __name__ == "__main__":
    main()
