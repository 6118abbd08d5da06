"""Workers that use more than their share: each is stopped at its limit, the executor lives on."""

from collections.abc import Iterator

import pytest
from executor_house import House, house

from bench.hostile import ATTACKS, BRIEF, HARMLESS, LARGE, LASTING, Attack
from cloister.languages import FULL
from cloister.messages import Trace
from cloister.outcomes import Outcome

IN_BOTH = (
    *("plain requests", "a loop that swallows every exception", "finalisers after the response"),
    *("a loop in waitUntil", "a regular expression", "a hash of a password", "a large list"),
    *("many small objects", "an inflated bomb", "endless recursion", "deep JSON read"),
    "a sleep that blocks",
)
"""Of the attacks on the restricted language, those that are tried in the full one, too."""

IN_FULL = {
    "recursion through C without a limit": Attack(
        "sys.setrecursionlimit(10 ** 9)\ndef deeper(_): return sorted([0], key=deeper)\ndeeper(0)",
        Outcome.EXCEPTION,
        top="import sys",
        limits=LARGE,
    ),
    "a signal handler that ignores the end": Attack(
        "try: signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nexcept OSError: pass\n"
        "while True: pass",
        Outcome.EXCEEDED_CPU,
        top="import signal",
    ),
    "threads": Attack(
        "while True:\n    try: threading.Thread(target=print).start()\n"
        "    except RuntimeError: pass",
        Outcome.EXCEEDED_CPU,
        top="import threading",
    ),
    "a query without end": Attack(
        "sqlite3.connect(':memory:').execute('with recursive n(i) as "
        "(select 1 union all select i + 1 from n) select count(*) from n').fetchone()",
        Outcome.EXCEEDED_CPU,
        top="import sqlite3",
    ),
    "anonymous memory": Attack(
        "kept = []\nwhile True: kept.append(mmap.mmap(-1, 10 ** 6))",
        Outcome.EXCEPTION,
        top="import mmap",
        limits=LASTING,
    ),
    "waiting for the door": Attack(
        "select.select([], [], [])", Outcome.EXCEEDED_WALL, top="import select", limits=BRIEF
    ),
}

TRIES = 3
"""A busy machine may be late once. It is the executor that is late if it is so each time."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One executor for all attacks."""
    with house(tmp_path_factory.mktemp("house")) as made:
        made.namespace("production")
        made.namespace("full")
        made.registry.namespaces.set_language("full", FULL)
        yield made


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_ends_at_its_limit(attacked: House, attack: Attack) -> None:
    """The outcome is the right one, the limit is kept within a fifth and 20 ms of the process's
    own clock, and the worker's next request is answered."""
    check(attacked, "production", f"attack-{list(ATTACKS.values()).index(attack)}", attack)


@pytest.mark.parametrize("name", [*IN_BOTH, *IN_FULL])
def test_an_attack_in_the_full_language_ends_at_its_limit(attacked: House, name: str) -> None:
    """The same without the first wall, which no limit rests on."""
    number = [*IN_BOTH, *IN_FULL].index(name)
    check(attacked, "full", f"attack-{number}", IN_FULL.get(name) or ATTACKS[name])


def check(attacked: House, namespace: str, script: str, attack: Attack) -> None:
    """Make an attack, until it is seen to be stopped in time."""
    attacked.deploy(namespace, script, attack.source, limits=attack.limits, compile_first=False)
    for number in range(1, TRIES + 1):
        attacked.call(namespace, script)
        record = attacked.traces(namespace, script, number)[0]
        assert record.outcome is attack.outcome, record
        if is_kept(attack, record):
            break
    else:
        pytest.fail(f"used {record.cpu_ms} ms, {record.peak_memory_kb} KiB of {attack.limits}")
    assert attacked.call(namespace, script, url=f"http://x{HARMLESS}").body == b"harmless"


def is_kept(attack: Attack, record: Trace) -> bool:
    """Whether the limits were, as nearly as is asked for."""
    cpu_ms, memory_mb = attack.limits.cpu_ms or 0, attack.limits.memory_mb or 0
    memory_kept = record.peak_memory_kb / 1024 <= 1.2 * memory_mb
    cpu_kept = record.cpu_ms <= 1.2 * cpu_ms + 20
    return cpu_kept and memory_kept


def test_each_limit_is_attacked() -> None:
    """CPU time, memory and wall time, and attacks that get nowhere."""
    wanted = {
        Outcome.EXCEEDED_CPU,
        Outcome.EXCEEDED_MEMORY,
        Outcome.EXCEEDED_WALL,
        Outcome.EXCEPTION,
    }
    assert wanted <= {attack.outcome for attack in ATTACKS.values()}
