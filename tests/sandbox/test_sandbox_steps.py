"""When a step of the sandbox fails, nothing runs, and the step is named."""

import pytest
from sandbox_rig import MEMORY_BYTES, start_zygote, zygote_command

from cloister.errors import NotReady
from executor import sandbox

BREAK = """
import executor.sandbox as sandbox
def fail():
    raise OSError(1, "made to fail")
def broken(steps):
    return tuple(
        sandbox.Step(one.facility, fail) if at == {position} else one
        for at, one in enumerate(steps)
    )
sandbox.{steps} = broken(sandbox.{steps})
"""

BREAK_MEMORY = """
import executor.sandbox as sandbox
def fail(*bounds):
    raise OSError(1, "made to fail")
sandbox.limits.limit_memory = fail
"""


def names(steps):
    return [f"{at}-{step.facility}" for at, step in enumerate(steps)]


@pytest.mark.parametrize(
    "position", range(len(sandbox.ENCLOSURE_STEPS)), ids=names(sandbox.ENCLOSURE_STEPS)
)
async def test_a_zygote_that_cannot_enclose_itself_ends(position) -> None:
    """Each step of the enclosure, failing, keeps the zygote from ever taking a request."""
    command = zygote_command(BREAK.format(steps="ENCLOSURE_STEPS", position=position))
    facility = sandbox.ENCLOSURE_STEPS[position].facility
    with pytest.raises(NotReady, match=f"{facility}: .*made to fail"):
        await start_zygote(command)


@pytest.mark.parametrize(
    "position", range(len(sandbox.ISOLATE_STEPS)), ids=names(sandbox.ISOLATE_STEPS)
)
async def test_an_isolate_that_cannot_be_locked_down_runs_nothing(position) -> None:
    """Each step of the lock-down, failing, ends the isolate before its first word; the next too."""
    command = zygote_command(BREAK.format(steps="ISOLATE_STEPS", position=position))
    zygote = await start_zygote(command)
    facility = sandbox.ISOLATE_STEPS[position].facility
    for _ in range(2):
        with pytest.raises(NotReady, match=f"{facility}: .*made to fail"):
            await zygote.fork(MEMORY_BYTES)
    assert zygote.isolates == 0
    await zygote.close()


async def test_an_isolate_whose_memory_cannot_be_bounded_runs_nothing() -> None:
    """The bound on memory is a step like the others."""
    zygote = await start_zygote(zygote_command(BREAK_MEMORY))
    with pytest.raises(NotReady, match=r"memory: .*made to fail"):
        await zygote.fork(MEMORY_BYTES)
    await zygote.close()


async def test_a_step_that_is_left_out_is_not_taken() -> None:
    """What the operator accepts to do without is skipped, and the isolate runs: the twin."""
    position = len(sandbox.ISOLATE_STEPS) - 1
    command = zygote_command(BREAK.format(steps="ISOLATE_STEPS", position=position))
    zygote = await start_zygote(command, without=["seccomp"])
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
