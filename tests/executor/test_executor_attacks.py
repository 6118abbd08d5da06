"""Workers that use more than their share: each is stopped at its limit, the executor lives on."""

from collections.abc import Iterator

import pytest
from executor_house import House, house

from bench.hostile import ATTACKS, HARMLESS, Attack
from cloister.messages import Trace
from cloister.outcomes import Outcome

TRIES = 3
"""A busy machine may be late once. It is the executor that is late if it is so each time."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One executor for all attacks."""
    with house(tmp_path_factory.mktemp("house")) as made:
        made.namespace("production")
        yield made


@pytest.fixture(params=ATTACKS.values(), ids=ATTACKS.keys())
def attack(request: pytest.FixtureRequest) -> Attack:
    chosen: Attack = request.param
    return chosen


def test_an_attack_ends_at_its_limit(attacked: House, attack: Attack) -> None:
    """The outcome is the right one, the limit is kept within a fifth and 20 ms of the process's
    own clock, and the worker's next request is answered."""
    script = f"attack-{list(ATTACKS.values()).index(attack)}"
    attacked.deploy("production", script, attack.source, limits=attack.limits, compile_first=False)
    for number in range(1, TRIES + 1):
        attacked.call("production", script)
        record = attacked.traces("production", script, number)[0]
        assert record.outcome is attack.outcome
        if is_kept(attack, record):
            break
    else:
        pytest.fail(f"used {record.cpu_ms} ms, {record.peak_memory_kb} KiB of {attack.limits}")
    assert attacked.call("production", script, url=f"http://x{HARMLESS}").body == b"harmless"


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
