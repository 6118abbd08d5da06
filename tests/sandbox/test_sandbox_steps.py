"""When a step of the sandbox fails, nothing runs, and the step is named."""

import subprocess
import sys

import pytest
from sandbox_rig import MEMORY_BYTES, MISSING, start_zygote, zygote_command

from cloister.errors import NotReady
from executor import sandbox
from executor.sandbox.users import Block

BREAK = """
import executor.sandbox as sandbox
def fail():
    raise OSError(1, "made to fail")
def broken(*given, steps=sandbox.{steps}):
    made = steps(*given)
    made[{position}] = sandbox.Step(made[{position}].facility, fail)
    return made
sandbox.{steps} = broken
"""

BREAK_FILTER = """
import executor.sandbox as sandbox
def fail():
    raise OSError(1, "made to fail")
sandbox.seccomp.install = fail
"""


def cases(without, steps, facilities=None):
    """Positions in a list of steps, with what is left out and what the step is of."""
    return [
        pytest.param(without, at, step.facility, id=f"{'-'.join(without)}-{at}-{step.facility}")
        for at, step in enumerate(steps)
        if facilities is None or step.facility in facilities
    ]


def enclosure(without, facilities=None):
    return cases(without, sandbox.enclosure_steps(without, Block((1, 2))), facilities)


@pytest.mark.parametrize(
    ("without", "position", "facility"),
    [
        *enclosure(MISSING),
        *(enclosure(("ids",), ("identity", "user", "capabilities")) if not MISSING else ()),
    ],
)
async def test_a_zygote_that_cannot_enclose_itself_ends(without, position, facility) -> None:
    """Each step of the enclosure, failing, keeps the zygote from ever taking a request."""
    command = zygote_command(BREAK.format(steps="enclosure_steps", position=position))
    with pytest.raises(NotReady, match=f"{facility}: .*made to fail"):
        await start_zygote(command, without)


@pytest.mark.parametrize(
    ("without", "position", "facility"),
    cases(MISSING, sandbox.isolate_steps(MISSING, None if MISSING else 1, 0, 0)),
)
async def test_an_isolate_that_cannot_be_locked_down_runs_nothing(
    without, position, facility
) -> None:
    """Each step of the lock-down, failing, ends the isolate before its first word; the next too."""
    command = zygote_command(BREAK.format(steps="isolate_steps", position=position))
    zygote = await start_zygote(command, without)
    for _ in range(2):
        with pytest.raises(NotReady, match=f"{facility}: .*made to fail"):
            await zygote.fork(MEMORY_BYTES)
    assert zygote.isolates == 0
    await zygote.close()


async def test_a_step_that_is_left_out_is_not_taken() -> None:
    """What the operator accepts to do without is skipped, and the isolate runs: the twin."""
    zygote = await start_zygote(zygote_command(BREAK_FILTER), without=["seccomp"])
    isolate = await zygote.fork(MEMORY_BYTES)
    assert isolate.is_quiet
    await zygote.close()
    assert isolate.closed.is_set()


async def test_a_zygote_whose_entry_cannot_be_imported_ends() -> None:
    """An isolate's entry that does not load is a start that fails, at once."""
    with pytest.raises(NotReady, match="exited with 1"):
        await start_zygote(zygote_command("sys.stderr = None", serve="no_such_module:serve"))


async def test_an_entry_that_raises_ends_its_isolate_only() -> None:
    """An isolate whose own code fails before it is ready is reported; the zygote goes on."""
    zygote = await start_zygote(zygote_command(serve="builtins:int"))
    for _ in range(2):
        with pytest.raises(NotReady, match="exit code 100"):
            await zygote.fork(MEMORY_BYTES)
    await zygote.close()


KEEP = """
import os
from executor.sandbox import process
pipes = [os.pipe() for _ in range(4)]
kept = {kept}
process.keep_descriptors(*kept)
there = []
for number in range(64):
    try:
        os.fstat(number)
        there.append(number)
    except OSError:
        pass
os._exit(there != sorted(kept))
"""


@pytest.mark.parametrize("kept", [(0,), (0, 1, 2), (3,), (1, 3, 4), (0, 6)])
def test_what_is_kept_is_kept_and_nothing_else(kept) -> None:
    """Neighbours too, and the first of all, before which there is nothing to close."""
    program = KEEP.format(kept=kept)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
