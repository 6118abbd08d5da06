"""Real isolates, in which tests run native code as if the first wall had fallen."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cloister.settings import MIB, Settings
from executor.cell import Isolate, IsolateDied
from executor.isolate.frames import Failed, Invoke, Returned, plain
from executor.zygotes import Zygote

HERE = Path(__file__).parent
CEILING_BYTES = 1024 * MIB
MEMORY_BYTES = 64 * MIB
IDS = Settings().sandbox_ids
MISSING = () if os.geteuid() == 0 else ("ids",)
"""What an ordinary user has to do without."""


def zygote_command(
    before: str = "pass", serve: str = "native:serve", ids: tuple[int, int] = IDS
) -> tuple[str, ...]:
    """A zygote whose isolates run a test's module; ``before`` is run ahead of its main()."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n{before}\n"
        "from executor.isolate.zygote import main; main()"
    )
    return (sys.executable, "-I", "-c", code, "--serve", serve, "--ids", *map(str, ids))


class Raised(Exception):
    """The code in the isolate raised; the text is the exception's name and message."""


class Native:
    """An isolate that runs what it is sent."""

    def __init__(self, isolate: Isolate) -> None:
        self.isolate = isolate

    async def run(self, code: str) -> Any:
        """The value of ``result`` after the code ran."""
        await self.isolate.send(Invoke(url=code))
        answer = await self.isolate.receive()
        if isinstance(answer, Failed):
            raise Raised(f"{answer.name}: {answer.message}")
        assert isinstance(answer, Returned)
        return plain(answer.value)

    async def death(self, code: str) -> IsolateDied:
        """How the isolate died of the code. It was alive and well before."""
        assert await self.run("result = 6 * 7") == 42
        try:
            survived = await self.run(code)
        except IsolateDied as died:
            return died
        pytest.fail(f"the isolate lives on: {survived!r}")


async def start_zygote(command: Sequence[str] | None = None, without: Sequence[str] = ()) -> Zygote:
    return await Zygote.start(command or zygote_command(), {*without, *MISSING}, CEILING_BYTES)
